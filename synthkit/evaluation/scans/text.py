"""The readable form of an evaluation of scans: a table with controls, then what it says in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from synthkit.evaluation.records import Score
from synthkit.evaluation.scans.metrics import METRICS
from synthkit.evaluation.scans.records import ScanEvaluation
from synthkit.evaluation.told import as_lines, as_page, interval, narrow_table, number, passed, percent, score_table

CONTROLS = ("real scans", "blurred scans")
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


def in_words(name: str, score: Score) -> str:
    """Return the sentence that tells what the score of this name says."""
    if not score.applies:
        return f"Not applicable: {score.note}."
    return METRICS[name].meaning.format(value=number(score.value), percent=percent(score.value))


def one_line(evaluation: ScanEvaluation) -> str:
    """Return one line: what was compared, and whether the suite is passed."""
    return f"ScanEvaluation({_sets(evaluation)}; {passed(evaluation)})"


def as_text(evaluation: ScanEvaluation, *, width: int) -> str:
    """Return the tables, the verdict, the summary and the notes as text without colours."""
    tables = [score_table(_sets(evaluation), CONTROLS, evaluation.scores, METRICS)]
    if evaluation.classes:
        heads = ("real", "synthetic", "KID", "KID of\nreal", "largest\ngap", "MS-SSIM\nreal", "MS-SSIM\nsynth.")
        classes = narrow_table("Class by class", "class", heads)
        for name, row in list(evaluation.classes.items())[:_MOST_CLASSES]:
            counts = (f"{row['real scans']:,.0f}", f"{row['synthetic scans']:,.0f}")
            classes.add_row(name, *counts, *(number(row.get(key, math.nan)) for key in _OF_A_CLASS))
        tables.append(classes)
    return as_lines(evaluation, tables, summary(evaluation), notes(evaluation), width=width)


def as_html(evaluation: ScanEvaluation) -> str:
    """Return the page of an evaluation for a notebook."""
    return as_page(_sets(evaluation), evaluation, CONTROLS, METRICS, summary(evaluation), notes(evaluation))


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
            f"Synthetic scans reach {percent(recall.value)} of the real ones (recall; real scans "
            f"{percent(recall.ceiling)}), and {percent(coverage.value)} have one nearby (coverage; "
            f"{percent(coverage.ceiling)})."
        )
    if "intensity_ks" in scores:
        gap, shift = scores["intensity_ks"], scores.get("intensity_shift")
        line = f"Intensities differ by up to {percent(gap.value)} of all values (real scans {percent(gap.ceiling)})"
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
            f"ones, trained on real ones {number(own.ceiling)}: {percent(share[0])} of it ({percent(share[1])} to "
            f"{percent(share[2])})."
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
            f"scans: {percent(own.ceiling)})."
        )


def _sets(evaluation: ScanEvaluation) -> str:
    counts = evaluation.scans
    return (
        f"{counts['synthetic']:,} synthetic scans against {counts['real']:,} real scans ({counts['held-out']:,} held "
        "out)"
    )
