"""The readable form of an evaluation: a table with controls, then the summary in plain words."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.records import STATUSES, Evaluation, Score

if TYPE_CHECKING:
    from rich.table import Table

_WORST_COLUMNS = 3
# Above this nearest-record share a reader is warned.
_LEANING = 0.53
# Above this AUC a reader is told by which columns.
_NOTICEABLE = 0.52
_VERDICT = len("not applicable")
# Above this nearest-record share the table is a copy of its training rows for all practical purposes.
_COPYING = 0.65


def as_table(evaluation: Evaluation) -> Table:
    """Return the scores as a rich table: value, interval, controls."""
    from rich import box
    from rich.table import Table

    rows = evaluation.rows
    title = f"{rows['synthetic']:,} synthetic rows against {rows['real']:,} real rows ({rows['held-out']:,} held out)"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("score", no_wrap=True)
    for heading in ("value", "95 % interval", "real\nrows", "independent\ncolumns"):
        table.add_column(heading, justify="right", no_wrap=True)
    theme = None
    for name, score in evaluation.scores.items():
        metric = METRICS[name]
        if theme is not None and metric.theme != theme:
            table.add_section()
        theme = metric.theme
        table.add_row(
            metric.title,
            number(score.value),
            f"{number(score.low)} - {number(score.high)}" if not math.isnan(score.low) else "",
            number(score.ceiling),
            number(score.floor),
        )
    return table


def as_text(evaluation: Evaluation, *, width: int) -> str:
    """Return the table, the verdict, the summary and the notes as text without colours."""
    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, width=width, no_color=True, highlight=False)
    console.print(as_table(evaluation))
    lines = [*verdict_lines(evaluation), ""] if evaluation.verdicts else []
    lines += [*(f"- {line}" for line in summary(evaluation)), "", *notes(evaluation)]
    text = [line.rstrip() for line in stream.getvalue().splitlines()]
    for line in lines:
        text += wrapped(line, width)
    return "\n".join(text) + "\n"


def wrapped(line: str, width: int) -> list[str]:
    """Return a line as lines that fit, with what follows a mark or a verdict below each other."""
    indent = 2 if line.startswith("- ") else _VERDICT + 2 if line[:_VERDICT].strip() in STATUSES else 0
    return textwrap.wrap(line, width, subsequent_indent=" " * indent, break_on_hyphens=False) or [""]


def verdict_lines(evaluation: Evaluation) -> list[str]:
    """Return whether the suite is passed, and each gate on a line of its own, those that are not met first."""
    failed = len(evaluation.failed)
    total = len(evaluation.verdicts)
    said = f"{failed} of {total} gates not met" if failed else f"all of {total} gates met, or not applicable"
    lines = [f"Suite {evaluation.suite!r}: {said}"]
    for verdict in sorted(evaluation.verdicts, key=lambda verdict: STATUSES.index(verdict.status)):
        lines.append(f"{verdict.status:>{_VERDICT}}  {verdict.sentence}")
    return lines


def summary(evaluation: Evaluation) -> list[str]:
    """Return what a reader should take away, one sentence or two each: no number without its controls."""
    scores = evaluation.scores
    said = (
        _about_validity(scores),
        _about_fidelity(scores),
        _about_detection(scores),
        _about_coverage(scores),
        _about_utility(scores),
        _about_fairness(scores),
        _about_copies(scores),
    )
    worst = [f"{name} ({error:.3f})" for name, error in list(evaluation.columns.items())[:_WORST_COLUMNS]]
    return [*(line for lines in said for line in lines), f"Columns whose margins differ most: {', '.join(worst)}."]


def notes(evaluation: Evaluation) -> list[str]:
    """Return how the controls are to be read, and what was done to the tables."""
    rows = evaluation.rows
    lines = [
        "'real rows': the same score for held-out real rows, what a perfect generator gets. 'independent columns': "
        "for columns drawn one by one, what a generator gets that knows no relation."
    ]
    if 2 * rows["held-out"] < rows["synthetic"]:
        lines.append("There are fewer held-out rows than synthetic ones, so the errors of 'real rows' are noisier.")
    return [*lines, *(f"Note: {note}" for note in evaluation.notes)]


def _given(scores: Mapping[str, Score], *names: str) -> list[Score]:
    """Return the scores of these names, or nothing unless all of them apply."""
    found = [scores[name] for name in names if name in scores and scores[name].applies]
    return found if len(found) == len(names) else []


def _about_validity(scores: Mapping[str, Score]) -> Iterator[str]:
    for score in _given(scores, "out_of_domain"):
        count = score.details.get("rows", round(score.value * score.n))
        yield (
            f"{count:,} of {score.n:,} synthetic rows ({_percent(score.value)}) hold a value that no training row has"
            f" the like of; of held-out real rows {_percent(score.ceiling)} do."
        )


def _about_fidelity(scores: Mapping[str, Score]) -> Iterator[str]:
    found = _given(scores, "shape_err", "trend_err")
    if found:
        shape, trend = found
        yield (
            f"Single columns differ from the real ones by {_percent(shape.value)} on average, pairs of columns by"
            f" {_percent(trend.value)} (real rows {_percent(trend.ceiling)}, independent columns"
            f" {_percent(trend.floor)})."
        )


def _about_detection(scores: Mapping[str, Score]) -> Iterator[str]:
    for score in _given(scores, "c2st_tree"):
        yield (
            f"Boosted trees tell synthetic rows from training rows with AUC {number(score.value)}; 0.5 is guessing"
            f" (real rows {number(score.ceiling)}, independent columns {number(score.floor)})."
        )
        found = _given(scores, "giveaway")
        if found and score.low > _NOTICEABLE:
            columns = list(found[0].details.get("columns", {}))[:_WORST_COLUMNS]
            yield f"What gives synthetic rows away most: {', '.join(columns)}."


def _about_coverage(scores: Mapping[str, Score]) -> Iterator[str]:
    for score in _given(scores, "coverage"):
        yield (
            f"{_percent(score.value)} of real rows have a synthetic row nearby (real rows {_percent(score.ceiling)},"
            f" independent columns {_percent(score.floor)})."
        )


def _about_utility(scores: Mapping[str, Score]) -> Iterator[str]:
    found = _given(scores, "tstr", "trtr")
    if found:
        loss = found[1].value - found[0].value
        yield (
            f"Boosted trees trained on the synthetic table {'lose' if loss >= 0 else 'gain'} {abs(loss):.3f}"
            f" {_measure(found[0])} against those trained on the real table ({number(found[0].value)} and"
            f" {number(found[1].value)}, independent columns {number(found[0].floor)})."
        )
    for score in _given(scores, "augmentation_gain_boosted"):
        said = "does not clearly help or harm" if score.low <= 0 <= score.high else f"changes it by {score.value:+.3f}"
        yield f"Adding the synthetic rows to the real ones {said}."


def _about_fairness(scores: Mapping[str, Score]) -> Iterator[str]:
    for score in _given(scores, "demographic_parity"):
        column = next(iter(score.details.get("columns", {})), "the sensitive column")
        yield (
            "Training on the synthetic in place of the real table changes the gap of positive predictions between"
            f" values of {column} by {number(score.value)}."
        )


def _about_copies(scores: Mapping[str, Score]) -> Iterator[str]:
    """Yield how many rows are repeated, and a warning when rows lie nearer to training rows than chance allows."""
    for score in _given(scores, "copied"):
        yield (
            f"{_percent(score.value)} of synthetic rows equal a training row in every column; of held-out real rows"
            f" {_percent(score.ceiling)} do."
        )
    for share in _given(scores, "dcr_share"):
        yield (
            f"{_percent(share.value)} of synthetic rows lie nearer to a training than to a held-out row; 50 % is"
            " chance."
        )
        if share.low <= 0.5 or share.value <= _LEANING:
            return
        if share.value < _COPYING:
            yield f"Synthetic rows lean towards training rows (share {share.value:.3f}): it memorises a little."
        else:
            yield f"The synthetic table repeats training rows (share {share.value:.3f}): its other scores mean nothing."


def in_words(name: str, score: Score) -> str:
    """Return the sentence that tells what the score of this name says."""
    if not score.applies:
        return f"Not applicable: {score.note}."
    return METRICS[name].meaning.format(
        value=number(score.value), percent=_percent(score.value), measure=_measure(score)
    )


def number(value: float) -> str:
    """Return a score with three decimals, more where it is small, or a dash."""
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if 0 < abs(value) < 0.1 else f"{value:.3f}"


def _measure(score: Score) -> str:
    return score.note or "score"


def _percent(value: float) -> str:
    share = 100 * value
    return f"{share:.2f} %" if abs(share) < 10 else f"{share:.1f} %"
