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


def as_table(evaluation: Evaluation) -> Table:
    """Return the scores as a rich table: value, interval, controls, plain words."""
    from rich.table import Table

    held_out = f"{evaluation.rows['held-out']:,} held out"
    table = Table(
        title=f"{evaluation.rows['synthetic']:,} synthetic rows against {evaluation.rows['real']:,} real rows ({held_out})",
        title_justify="left",
        pad_edge=False,
    )
    table.add_column("score")
    for heading in ("value", "95 % interval", "real rows", "independent\ncolumns"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("in plain words")
    theme = None
    for name, score in evaluation.scores.items():
        metric = METRICS[name]
        if theme is not None and metric.theme != theme:
            table.add_section()
        theme = metric.theme
        table.add_row(
            metric.title,
            number(score.value),
            f"{number(score.low)} to {number(score.high)}" if not math.isnan(score.low) else "",
            number(score.ceiling),
            number(score.floor),
            in_words(name, score),
        )
    return table


def as_text(evaluation: Evaluation, *, width: int) -> str:
    """Return the table, the summary and the notes as text without colours."""
    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, width=width, no_color=True, highlight=False)
    console.print(as_table(evaluation))
    for line in summary(evaluation):
        console.print(line, markup=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def summary(evaluation: Evaluation) -> list[str]:
    """Return what a reader should take away, one sentence or two each."""
    scores = evaluation.scores
    lines = [
        "'real rows' is the same score for held-out real rows (what a perfect generator gets), 'independent columns' for columns drawn"
        " one by one (what a generator gets that knows no relation)."
    ]
    tstr, trtr = scores.get("tstr"), scores.get("trtr")
    if tstr is not None and trtr is not None and tstr.applies and trtr.applies:
        loss = trtr.value - tstr.value
        lines.append(
            f"A model trained on the synthetic table {'loses' if loss >= 0 else 'gains'} {abs(loss):.3f} {_measure(tstr)}"
            " against one trained on the real table."
        )
    share = scores.get("dcr_share")
    if share is not None and share.applies and share.low > 0.5:
        lines.append(
            f"Synthetic rows lie nearer to training rows than chance allows (share {share.value:.3f}): the generator memorises a little"
            if share.value < 0.6
            else f"The synthetic table repeats its training rows (share {share.value:.3f}): do not take its other scores at face value"
        )
        lines[-1] += "."
    worst = [name for name, _ in list(evaluation.columns.items())[:_WORST_COLUMNS]]
    if worst:
        told = ", ".join(f"{name} ({evaluation.columns[name]:.3f})" for name in worst)
        lines.append(f"Columns whose margins differ most: {told}.")
    return [*lines, *(f"Note: {note}" for note in evaluation.notes)]


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
