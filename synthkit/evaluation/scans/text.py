"""The readable form of an evaluation of scans: a table with controls, then what it says in plain words."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator

from synthkit.evaluation.records import STATUSES, Score
from synthkit.evaluation.report.contents import DASH
from synthkit.evaluation.scans.metrics import METRICS
from synthkit.evaluation.scans.records import ScanEvaluation
from synthkit.evaluation.text import wrapped
from synthkit.html_table import bullets, folded, page, paragraph, table, verdict

_VERDICT = len("not applicable")
_MOST_CLASSES = 12
_OF_A_CLASS = (
    "KID",
    "KID of held-out real scans",
    "intensities, largest gap",
    "MS-SSIM of real pairs",
    "MS-SSIM of synthetic pairs",
)
COPIES_SAY = (
    "Copies of training scans score perfectly on everything above. These two scores see only exact repetitions and a "
    "lean towards training scans; `synthkit audit` looks for shifted, noisy and partial copies, patient by patient."
)


def number(value: float) -> str:
    """Return a score with three decimals, more where it is small, fewer where it is large; a dash for none."""
    if math.isnan(value):
        return DASH
    size = abs(value)
    digits = 1 if size >= 100 else 2 if size >= 10 else 4 if 0 < size < 0.1 else 3
    text = f"{round(value, digits) + 0.0:.{digits}f}"
    return text.replace("-", "−")


def interval(score: Score) -> str:
    """Return the two ends of the interval, or a dash."""
    if math.isnan(score.low) or math.isnan(score.high):
        return DASH
    return f"{number(score.low)} to {number(score.high)}"


def in_words(name: str, score: Score) -> str:
    """Return the sentence that tells what the score of this name says."""
    if not score.applies:
        return f"Not applicable: {score.note}."
    percent = f"{100 * score.value:.1f} %"
    return METRICS[name].meaning.format(value=number(score.value), percent=percent)


def one_line(evaluation: ScanEvaluation) -> str:
    """Return one line: what was compared, and whether the suite is passed."""
    return f"ScanEvaluation({_sets(evaluation)}; {_passed(evaluation)})"


def as_text(evaluation: ScanEvaluation, *, width: int) -> str:
    """Return the tables, the verdict, the summary and the notes as text without colours."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    stream = io.StringIO()
    console = Console(file=stream, width=width, no_color=True, highlight=False)
    scores = Table(title=_sets(evaluation), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    scores.add_column("score")
    for heading in ("value", "95 % interval", "real\nscans", "blurred\nscans", "n"):
        scores.add_column(heading, justify="right", no_wrap=True)
    theme = None
    for name, score in evaluation.scores.items():
        if theme is not None and METRICS[name].theme != theme:
            scores.add_section()
        theme = METRICS[name].theme
        scores.add_row(METRICS[name].title, *cells(score))
    console.print(scores)
    if evaluation.classes:
        classes = Table(title="Class by class", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        classes.add_column("class")
        for heading in ("real", "synthetic", "KID", "KID of\nreal", "largest\ngap", "MS-SSIM\nreal", "MS-SSIM\nsynth."):
            classes.add_column(heading, justify="right", no_wrap=True)
        for name, row in list(evaluation.classes.items())[:_MOST_CLASSES]:
            counts = (f"{row['real scans']:,.0f}", f"{row['synthetic scans']:,.0f}")
            classes.add_row(name, *counts, *(number(row.get(key, math.nan)) for key in _OF_A_CLASS))
        console.print(classes)
    lines = [*_verdict_lines(evaluation), ""] if evaluation.verdicts else []
    lines += [*(f"- {line}" for line in summary(evaluation)), "", *notes(evaluation)]
    text = [line.rstrip() for line in stream.getvalue().splitlines()]
    for line in lines:
        text += wrapped(line, width)
    return "\n".join(text) + "\n"


def cells(score: Score) -> tuple[str, str, str, str, str]:
    """Return value, interval, both controls and n of a score as texts."""
    n = f"{score.n:,}" if score.n else DASH
    return number(score.value), interval(score), number(score.ceiling), number(score.floor), n


def as_html(evaluation: ScanEvaluation) -> str:
    """Return the page of an evaluation for a notebook."""
    rows = [(METRICS[name].title, *cells(score)) for name, score in evaluation.scores.items()]
    heads = ("score", "value", "95 % interval", "real scans", "blurred scans", "n")
    said = [verdict(_passed(evaluation), "bad" if evaluation.failed else "good")] if evaluation.verdicts else []
    return page(
        _sets(evaluation),
        *said,
        bullets(summary(evaluation)),
        folded(f"{len(rows)} scores", table(heads, rows, numbers=(1, 2, 3, 4, 5), most=None)),
        folded("how to read them", *(paragraph(note) for note in notes(evaluation))),
    )


def summary(evaluation: ScanEvaluation) -> list[str]:
    """Return what a reader should take away: no number without its controls."""
    return [*_said(evaluation), COPIES_SAY]


def notes(evaluation: ScanEvaluation) -> list[str]:
    """Return how the controls are to be read, and what was done to the scans."""
    lines = [
        "'real scans': the same score for held-out real scans, what a perfect generator gets. 'blurred scans': for the "
        "same scans blurred with a Gaussian of one sample, what visibly bad scans get.",
        f"Features: {evaluation.extractor.get('what', evaluation.extractor.get('extractor', ''))}. Numbers of two "
        "extractors do not compare.",
    ]
    return [*lines, *(f"Note: {note}" for note in evaluation.notes)]


def _said(evaluation: ScanEvaluation) -> Iterator[str]:
    scores = {name: score for name, score in evaluation.scores.items() if score.applies}
    if "kid" in scores:
        own = scores["kid"]
        line = (
            f"KID {number(own.value)} ({interval(own)}): real scans {number(own.ceiling)}, blurred {number(own.floor)}"
        )
        if own.value > 0 and own.floor > own.value:
            line += f"; {own.floor / own.value:.1f} times below blurred real scans"
        yield line + "."
    if "recall" in scores and "coverage" in scores:
        recall, coverage = scores["recall"], scores["coverage"]
        yield (
            f"Synthetic scans reach {_percent(recall.value)} of the real ones (recall; real scans "
            f"{_percent(recall.ceiling)}), and {_percent(coverage.value)} have one nearby (coverage; "
            f"{_percent(coverage.ceiling)})."
        )
    if "intensity_ks" in scores:
        gap, shift = scores["intensity_ks"], scores.get("intensity_shift")
        line = f"Intensities differ by up to {_percent(gap.value)} of all values (real scans {_percent(gap.ceiling)})"
        units = f" {evaluation.form['units']}" if evaluation.form.get("units") else ""
        moved = f", a value by {number(shift.value)}{units} on average" if shift is not None else ""
        yield line + moved + "."
    if "spectrum_gap" in scores:
        part = next(iter(scores["spectrum_gap"].details.values()), math.nan)
        if isinstance(part, float) and not math.isnan(part):
            word = "less" if part < 0 else "more"
            yield f"In the upper half of the frequencies synthetic scans have {abs(part):.1f} dB {word} power."
    if "tstr" in scores:
        own = scores["tstr"]
        share = own.details["share of that trained on real"]
        yield (
            f"A classifier trained on synthetic scans reaches balanced accuracy {number(own.value)} on held-out real "
            f"ones, trained on real ones {number(own.ceiling)}: {_percent(share[0])} of it ({_percent(share[1])} to "
            f"{_percent(share[2])})."
        )
    if "augmentation_gain" in scores:
        own = scores["augmentation_gain"]
        clear = own.low > 0 or own.high < 0
        change = f"changes it by {own.value:+.3f} ({interval(own)})".replace("-", "−")
        yield f"Adding synthetic to real scans {change if clear else 'does not clearly help or harm'}."
    if "equal_scans" in scores:
        own = scores["equal_scans"]
        yield (
            f"{own.details['scans']:,} of {own.n:,} synthetic scans equal a training scan in every value (held-out "
            f"scans: {_percent(own.ceiling)})."
        )


def _verdict_lines(evaluation: ScanEvaluation) -> list[str]:
    lines = [f"Suite {evaluation.suite!r}: {_passed(evaluation)}"]
    for one in sorted(evaluation.verdicts, key=lambda one: STATUSES.index(one.status)):
        lines.append(f"{one.status:>{_VERDICT}}  {one.sentence}")
    return lines


def _sets(evaluation: ScanEvaluation) -> str:
    counts = evaluation.scans
    return (
        f"{counts['synthetic']:,} synthetic scans against {counts['real']:,} real scans ({counts['held-out']:,} held "
        "out)"
    )


def _passed(evaluation: ScanEvaluation) -> str:
    failed, total = len(evaluation.failed), len(evaluation.verdicts)
    if not total:
        return "no gates"
    return f"{failed} of {total} gates not met" if failed else f"all of {total} gates met, or not applicable"


def _percent(share: float) -> str:
    return DASH if math.isnan(share) else f"{100 * share:.1f} %"
