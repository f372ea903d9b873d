"""How an evaluation and a comparison are shown: in one line, and as a page for a notebook."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.records import STATUSES, Evaluation, Score, Status
from synthkit.evaluation.text import notes, number, summary
from synthkit.html_table import Html, bullets, folded, page, paragraph, table, verdict

if TYPE_CHECKING:
    from synthkit.evaluation.compare import Comparison

_KINDS: dict[Status, Literal["good", "bad", "unsure"]] = {"fail": "bad", "borderline": "unsure", "pass": "good"}


def evaluation_text(evaluation: Evaluation) -> str:
    """Return one line: the rows, and whether the suite is passed."""
    return f"Evaluation({_rows(evaluation)}; {_passed(evaluation)})"


def evaluation_html(evaluation: Evaluation) -> str:
    """Return the page of an evaluation: what to take away, the gates, and every score with its controls."""
    rows = [
        (METRICS[name].title, number(score.value), _interval(score), number(score.ceiling), number(score.floor))
        for name, score in evaluation.scores.items()
    ]
    scores = table(
        ("score", "value", "95 % interval", "real rows", "independent columns"),
        list(_by_theme(tuple(evaluation.scores), rows)),
        numbers=(1, 2, 3, 4),
        most=None,
    )
    return page(
        _rows(evaluation),
        _verdicts(evaluation),
        bullets(summary(evaluation)),
        folded(f"{len(rows)} scores", scores),
        folded("how to read them", *(paragraph(note) for note in notes(evaluation))),
    )


def comparison_text(comparison: Comparison) -> str:
    """Return one line: the names of the tables."""
    return f"Comparison({len(comparison.names)} synthetic tables: {', '.join(comparison.names)})"


def comparison_html(comparison: Comparison, cell: Callable[[Score | None, bool], str]) -> str:
    """Return the page of a comparison: one column for each synthetic table, between the controls.

    Parameters
    ----------
    comparison
        What to show.
    cell
        Tells a score, and whether it is the best of its line.
    """
    rows = []
    for metric in comparison.metrics:
        ceiling, floor = comparison.controls(metric)
        best = comparison.best(metric)
        told = [cell(comparison[name].scores.get(metric), name in best) for name in comparison.names]
        told = [text.replace(" ", "\u2007") for text in told]  # a blank at the end would be dropped
        rows.append((METRICS[metric].title, number(ceiling), *told, number(floor)))
    headings = ("score", "real rows", *comparison.names, "independent columns")
    first = next(iter(comparison.evaluations.values()))
    return page(
        f"{len(comparison.names)} synthetic tables against {first.rows['real']:,} real rows"
        f" ({first.rows['held-out']:,} held out)",
        bullets(comparison.summary()),
        table(headings, list(_by_theme(comparison.metrics, rows)), numbers=range(1, len(headings)), most=None),
    )


def _rows(evaluation: Evaluation) -> str:
    rows = evaluation.rows
    return f"{rows['synthetic']:,} synthetic rows against {rows['real']:,} real rows ({rows['held-out']:,} held out)"


def _passed(evaluation: Evaluation) -> str:
    failed, total = len(evaluation.failed), len(evaluation.verdicts)
    if not total:
        return "no gates"
    said = f"{failed} of {total} gates not met" if failed else f"all of {total} gates met, or not applicable"
    return f"suite {evaluation.suite!r}: {said}"


def _verdicts(evaluation: Evaluation) -> Html:
    """Return whether the suite is passed, what is not met, and the other gates folded."""
    if not evaluation.verdicts:
        return paragraph("No gates: these are scores without a verdict.", dim=True)
    said = verdict(_passed(evaluation), "bad" if evaluation.failed else "good")
    ordered = sorted(evaluation.verdicts, key=lambda verdict: STATUSES.index(verdict.status))
    rows = [(_status(one.status), one.sentence) for one in ordered]
    failed = len(evaluation.failed)
    shown = table((), rows[:failed], most=None) if failed else Html()
    more = folded("the gates that are met, or not applicable", table((), rows[failed:], most=None))
    return Html(paragraph(said) + shown + (more if rows[failed:] else ""))


def _status(status: Status) -> object:
    return verdict(status, _KINDS[status]) if status in _KINDS else status


def _by_theme(names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, ...] | str]:
    """Yield the rows with the theme of their metrics before the first of each."""
    theme = None
    for name, row in zip(names, rows, strict=True):
        if METRICS[name].theme != theme:
            theme = METRICS[name].theme
            yield theme
        yield row


def _interval(score: Score) -> str:
    return "" if math.isnan(score.low) else f"{number(score.low)} to {number(score.high)}"
