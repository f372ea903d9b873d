"""The readable form of an evaluation of gene expression: a table with controls, then what it says in plain words."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator

from synthkit.evaluation.expression.metrics import METRICS
from synthkit.evaluation.expression.records import ExpressionEvaluation
from synthkit.evaluation.records import STATUSES, Score
from synthkit.evaluation.report.contents import DASH
from synthkit.evaluation.scans.text import cells, interval, number
from synthkit.evaluation.text import wrapped
from synthkit.html_table import bullets, folded, page, paragraph, table, verdict

_VERDICT = len("not applicable")
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
    percent = f"{100 * score.value:.1f} %"
    return METRICS[name].meaning.format(value=number(score.value), percent=percent, **told)


def one_line(evaluation: ExpressionEvaluation) -> str:
    """Return one line: what was compared, and whether the suite is passed."""
    return f"ExpressionEvaluation({sets(evaluation)}; {passed(evaluation)})"


def as_text(evaluation: ExpressionEvaluation, *, width: int) -> str:
    """Return the tables, the verdict, the summary and the notes as text without colours."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    stream = io.StringIO()
    console = Console(file=stream, width=width, no_color=True, highlight=False)
    scores = Table(title=sets(evaluation), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    scores.add_column("score")
    for heading in ("value", "95 % interval", "real\ncells", "independent\ngenes", "n"):
        scores.add_column(heading, justify="right", no_wrap=True)
    theme = None
    for name, score in evaluation.scores.items():
        if theme is not None and METRICS[name].theme != theme:
            scores.add_section()
        theme = METRICS[name].theme
        scores.add_row(METRICS[name].title, *cells(score))
    console.print(scores)
    if evaluation.types:
        types = Table(title="Type by type", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        types.add_column("type")
        for heading in ("real", "synthetic", *(heading for _, heading in OF_A_TYPE)):
            types.add_column(heading, justify="right", no_wrap=True)
        for name, row in list(evaluation.types.items())[:_MOST_TYPES]:
            counts = (f"{row['real cells']:,.0f}", f"{row['synthetic cells']:,.0f}")
            types.add_row(name, *counts, *(number(row.get(key, math.nan)) for key, _ in OF_A_TYPE))
        console.print(types)
        if len(evaluation.types) > _MOST_TYPES:
            console.print(f"and {len(evaluation.types) - _MOST_TYPES} more types, in the JSON and the report")
    lines = [*_verdict_lines(evaluation), ""] if evaluation.verdicts else []
    lines += [*(f"- {line}" for line in summary(evaluation)), "", *notes(evaluation)]
    text = [line.rstrip() for line in stream.getvalue().splitlines()]
    for line in lines:
        text += wrapped(line, width)
    return "\n".join(text) + "\n"


def as_html(evaluation: ExpressionEvaluation) -> str:
    """Return the page of an evaluation for a notebook."""
    rows = [(METRICS[name].title, *cells(score)) for name, score in evaluation.scores.items()]
    heads = ("score", "value", "95 % interval", "real cells", "independent genes", "n")
    said = [verdict(passed(evaluation), "bad" if evaluation.failed else "good")] if evaluation.verdicts else []
    return page(
        sets(evaluation),
        *said,
        bullets(summary(evaluation)),
        folded(f"{len(rows)} scores", table(heads, rows, numbers=(1, 2, 3, 4, 5), most=None)),
        folded("how to read them", *(paragraph(note) for note in notes(evaluation))),
    )


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


def passed(evaluation: ExpressionEvaluation) -> str:
    """Return whether the gates are met, in words."""
    failed, total = len(evaluation.failed), len(evaluation.verdicts)
    if not total:
        return "no gates"
    return f"{failed} of {total} gates not met" if failed else f"all of {total} gates met, or not applicable"


def _said(evaluation: ExpressionEvaluation) -> Iterator[str]:
    scores = {name: score for name, score in evaluation.scores.items() if score.applies}
    if "auc_forest_components" in scores:
        yield f"A random forest tells synthetic from real cells with AUC {_beside(scores['auc_forest_components'])}."
    if "recall" in scores and "coverage" in scores:
        recall, coverage = scores["recall"], scores["coverage"]
        yield (
            f"Synthetic cells reach {_percent(recall.value)} of the real ones (recall; real cells"
            f" {_percent(recall.ceiling)}), and {_percent(coverage.value)} have one nearby (coverage;"
            f" {_percent(coverage.ceiling)})."
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
            f" {number(own.value)}, trained on real ones {number(own.ceiling)}: {_percent(share[0])} of it"
            f" ({_percent(share[1])} to {_percent(share[2])})."
        )
    if "equal_cells" in scores:
        own = scores["equal_cells"]
        yield (
            f"{own.details['cells']:,} of {own.n:,} synthetic cells equal a training cell in every gene (held-out"
            f" cells: {_percent(own.ceiling)})."
        )


def _beside(score: Score) -> str:
    return (
        f"{number(score.value)} ({interval(score)}; real cells {number(score.ceiling)}, independent genes"
        f" {number(score.floor)})"
    )


def _verdict_lines(evaluation: ExpressionEvaluation) -> list[str]:
    lines = [f"Suite {evaluation.suite!r}: {passed(evaluation)}"]
    for one in sorted(evaluation.verdicts, key=lambda one: STATUSES.index(one.status)):
        lines.append(f"{one.status:>{_VERDICT}}  {one.sentence}")
    return lines


def _percent(share: float) -> str:
    return DASH if math.isnan(share) else f"{100 * share:.1f} %"
