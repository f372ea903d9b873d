"""The readable form of an evaluation of gene expression: a table with controls, then what it says in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from synthkit.evaluation.expression.metrics import METRICS
from synthkit.evaluation.expression.records import ExpressionEvaluation
from synthkit.evaluation.records import Score
from synthkit.evaluation.told import as_lines, as_page, interval, narrow_table, number, passed, percent, score_table

if TYPE_CHECKING:
    from rich.table import Table

CONTROLS = ("real cells", "independent genes")
_MOST_TYPES = 20
OF_A_TYPE = (
    ("marker overlap", "markers"),
    ("marker overlap, real cells", "markers\nreal"),
    ("fold change slope", "change\nslope"),
    ("fold change slope, real cells", "slope\nreal"),
    ("F1, trained on synthetic", "F1\nsynth."),
    ("F1, trained on real", "F1\nreal"),
)
COPIES_SAY = (
    "Copies of training cells score as well as real cells on everything above. The scores of copies see only exact"
    " repetitions and a lean of most cells towards training cells; `synthkit audit` asks whether membership of a cell"
    " or donor can be told."
)


def in_words(name: str, score: Score) -> str:
    """Return the sentence that tells what the score of this name says."""
    if not score.applies:
        return f"Not applicable: {score.note}."
    told = {key: number(float(score.details.get(key, math.nan))) for key in ("slope", "corrected")}
    return METRICS[name].meaning.format(value=number(score.value), percent=percent(score.value), **told)


def one_line(evaluation: ExpressionEvaluation) -> str:
    """Return one line: what was compared, and whether the suite is passed."""
    return f"ExpressionEvaluation({sets(evaluation)}; {passed(evaluation)})"


def as_text(evaluation: ExpressionEvaluation, *, width: int) -> str:
    """Return the tables, the verdict, the summary and the notes as text without colours."""
    tables: list[Table | str] = [score_table(sets(evaluation), CONTROLS, evaluation.scores, METRICS)]
    if evaluation.types:
        types = narrow_table("Type by type", "type", ("real", "synthetic", *(heading for _, heading in OF_A_TYPE)))
        for name, row in list(evaluation.types.items())[:_MOST_TYPES]:
            counts = (f"{row['real cells']:,.0f}", f"{row['synthetic cells']:,.0f}")
            types.add_row(name, *counts, *(number(row.get(key, math.nan)) for key, _ in OF_A_TYPE))
        tables.append(types)
        if len(evaluation.types) > _MOST_TYPES:
            tables.append(f"and {len(evaluation.types) - _MOST_TYPES} more types, in the JSON and the report")
    return as_lines(evaluation, tables, summary(evaluation), notes(evaluation), width=width)


def as_html(evaluation: ExpressionEvaluation) -> str:
    """Return the page of an evaluation for a notebook."""
    return as_page(sets(evaluation), evaluation, CONTROLS, METRICS, summary(evaluation), notes(evaluation))


def summary(evaluation: ExpressionEvaluation) -> list[str]:
    """Return what a reader should take away: no number without its controls."""
    return [*_said(evaluation), COPIES_SAY]


def notes(evaluation: ExpressionEvaluation) -> list[str]:
    """Return how the controls are to be read, and what was done to the cells."""
    lines = [
        "'real cells': the same score for training cells in place of synthetic ones (for held-out cells where it"
        " compares with training cells), what a perfect generator gets. 'independent genes': for training cells of"
        f" which each gene is permuted{' within its type' if evaluation.form['types'] else ''}, what perfect margins"
        " without any relation get.",
        "Intervals reach over other cells"
        f"{' and donors' if evaluation.form['donor'] else ''} from the same sources, not over another training of the"
        " generator.",
    ]
    return [*lines, *(f"Note: {note}" for note in evaluation.notes)]


def sets(evaluation: ExpressionEvaluation) -> str:
    """Return what was compared, in words."""
    counts, form = evaluation.cells, evaluation.form
    return (
        f"{counts['synthetic']:,} synthetic cells against {counts['real']:,} real cells ({counts['held-out']:,} held"
        f" out), {form['genes']:,} genes, {form['measure']}"
    )


def _said(evaluation: ExpressionEvaluation) -> Iterator[str]:
    scores = {name: score for name, score in evaluation.scores.items() if score.applies}
    if "auc_forest_components" in scores:
        yield f"A random forest tells synthetic from real cells with AUC {_beside(scores['auc_forest_components'])}."
    if "recall" in scores and "coverage" in scores:
        recall, coverage = scores["recall"], scores["coverage"]
        yield (
            f"Synthetic cells reach {percent(recall.value)} of the real ones (recall; real cells"
            f" {percent(recall.ceiling)}), and {percent(coverage.value)} have one nearby (coverage;"
            f" {percent(coverage.ceiling)})."
        )
    if "correlation_r_within" in scores:
        yield (
            f"Within types, correlations of genes agree at r {_beside(scores['correlation_r_within'])}: what is left"
            " when types are taken off."
        )
    elif "correlation_r" in scores:
        yield f"Correlations of genes agree at r {_beside(scores['correlation_r'])}."
    if "fold_change_slope_error" in scores:
        own = scores["fold_change_slope_error"]
        yield in_words("fold_change_slope_error", own)
    if "tstr_f1" in scores:
        own = scores["tstr_f1"]
        share = own.details["share of that trained on real"]
        yield (
            f"A random forest trained on synthetic cells names types of held-out real cells with macro F1"
            f" {number(own.value)}, trained on real ones {number(own.ceiling)}: {percent(share[0])} of it"
            f" ({percent(share[1])} to {percent(share[2])})."
        )
    if "equal_cells" in scores:
        own = scores["equal_cells"]
        yield (
            f"{own.details['cells']:,} of {own.n:,} synthetic cells equal a training cell in every gene (held-out"
            f" cells: {percent(own.ceiling)})."
        )


def _beside(score: Score) -> str:
    return (
        f"{number(score.value)} ({interval(score)}; real cells {number(score.ceiling)}, independent genes"
        f" {number(score.floor)})"
    )
