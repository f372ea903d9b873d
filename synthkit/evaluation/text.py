"""The readable form of an evaluation: a table with controls, then the summary in plain words."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.records import Evaluation, Score

if TYPE_CHECKING:
    from rich.table import Table

_WORST_COLUMNS = 3
# Above this nearest-record share a reader is warned.
_LEANING = 0.53
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
    """Return the table, the summary and the notes as text without colours."""
    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, width=width, no_color=True, highlight=False)
    console.print(as_table(evaluation))
    for line in (*words(evaluation), "", *summary(evaluation)):
        console.print(line, markup=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def words(evaluation: Evaluation) -> list[str]:
    """Return what each score says, one sentence each, those of copied rows only where there are any."""
    return [
        f"- {in_words(name, score)}"
        for name, score in evaluation.scores.items()
        if not (name.startswith("exact") and score.value == 0)
    ]


def summary(evaluation: Evaluation) -> list[str]:
    """Return what a reader should take away, one sentence or two each."""
    lines = [
        "'real rows': the same score for held-out real rows, what a perfect generator gets. 'independent columns': "
        "for columns drawn one by one, what a generator gets that knows no relation."
    ]
    scores, rows = evaluation.scores, evaluation.rows
    if 2 * rows["held-out"] < rows["synthetic"]:
        lines.append("There are fewer held-out rows than synthetic ones, so their shape and trend errors are noisier.")
    tstr, trtr = scores.get("tstr"), scores.get("trtr")
    if tstr is not None and trtr is not None and tstr.applies and trtr.applies:
        loss = trtr.value - tstr.value
        lines.append(
            f"A model trained on the synthetic table {'loses' if loss >= 0 else 'gains'} {abs(loss):.3f} "
            f"{_measure(tstr)} against one trained on the real table."
        )
    lines += _about_copies(scores.get("dcr_share"))
    worst = [f"{name} ({error:.3f})" for name, error in list(evaluation.columns.items())[:_WORST_COLUMNS]]
    lines.append(f"Columns whose margins differ most: {', '.join(worst)}.")
    return [*lines, *(f"Note: {note}" for note in evaluation.notes)]


def _about_copies(share: Score | None) -> list[str]:
    """Return a warning when synthetic rows lie nearer to training rows than chance allows."""
    if share is None or not share.applies or share.low <= 0.5 or share.value <= _LEANING:
        return []
    if share.value < _COPYING:
        return [
            f"Synthetic rows lean towards training rows (share {share.value:.3f}): the generator memorises a little."
        ]
    return [f"The synthetic table repeats training rows (share {share.value:.3f}): its other scores mean nothing."]


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
