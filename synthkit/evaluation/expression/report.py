"""The report of gene expression: one HTML page with its figures inside, Markdown, or JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthkit.evaluation.expression import figures, text
from synthkit.evaluation.expression.metrics import METRICS, NEEDED, QUESTIONS, ExpressionMetric, ExpressionTheme
from synthkit.evaluation.expression.records import ExpressionEvaluation
from synthkit.evaluation.records import STATUSES, Score, Status
from synthkit.evaluation.report import write_form
from synthkit.evaluation.report.contents import Table, provenance_table
from synthkit.evaluation.report.html import strip
from synthkit.evaluation.report.markdown import item_lines, markdown, table_lines
from synthkit.evaluation.report.page import render_page
from synthkit.evaluation.scans.text import cells, number
from synthkit.phrases import counted

_STATED: tuple[tuple[Status, str], ...] = (
    ("fail", "not met"),
    ("borderline", "met within the uncertainty"),
    ("pass", "met"),
    ("not applicable", "not applicable"),
)


@dataclass(frozen=True)
class ScoreRow:
    """A score with everything that is printed beside it."""

    metric: ExpressionMetric
    score: Score
    value: str
    interval: str
    ceiling: str
    floor: str
    n: str
    words: str


@dataclass(frozen=True)
class ThemeScores:
    """The scores that answer one question, and titles of those that were left out with what they need."""

    theme: ExpressionTheme
    title: str
    question: str
    rows: tuple[ScoreRow, ...]
    left_out: tuple[tuple[str, str], ...]


def write_expression_report(evaluation: ExpressionEvaluation, path: Path) -> None:
    """Write the report of an evaluation of gene expression; the suffix of the file decides its form.

    Parameters
    ----------
    evaluation
        What is reported.
    path
        A file that ends in .html (one page, which needs no network), .md (tables only) or .json (every number). An
        existing file is replaced.

    Raises
    ------
    InputError
        For any other suffix.
    OutputError
        If the file cannot be written.
    """
    write_form(path, evaluation, html=render_html, markdown=render_markdown)


def render_html(evaluation: ExpressionEvaluation) -> str:
    """Return the report as one HTML page.

    Parameters
    ----------
    evaluation
        The scores and pictures; an evaluation without pictures gives a page without them.
    """
    pictures = evaluation.pictures
    components, moments, correlations, markers = (
        [make(pictures) for make in _FIGURES] if pictures is not None else ([], [], [], [])
    )
    return render_page(
        "expression.html.j2",
        [*components, *moments, *correlations, *markers],
        package="synthkit.evaluation.expression",
        overall=overall(evaluation),
        facts=facts(evaluation),
        verdicts=sorted(evaluation.verdicts, key=lambda one: STATUSES.index(one.status)),
        summary=text.summary(evaluation),
        notes=text.notes(evaluation),
        themes=themes(evaluation),
        types=type_table(evaluation),
        components=components,
        moments=moments,
        correlations=correlations,
        markers=markers,
        camda=camda_table(evaluation),
        provenance=provenance_table({**evaluation.provenance}, evaluation.seed),
        strip=strip,
    )


def render_markdown(evaluation: ExpressionEvaluation) -> str:
    """Return the report as Markdown, without figures."""
    return "\n".join(_lines(evaluation)).strip() + "\n"


def overall(evaluation: ExpressionEvaluation) -> tuple[str, str, str]:
    """Return the status of all gates together, the verdict in words, and what it rests on."""
    total, suite = len(evaluation.verdicts), f"suite {evaluation.suite!r}"
    if total == 0:
        return "none", "No verdict", f"The {suite} sets no gates; read each score beside its two controls."
    counts = {status: sum(one.status == status for one in evaluation.verdicts) for status, _ in _STATED}
    said = ", ".join(f"{counts[status]} {word}" for status, word in _STATED if counts[status])
    rests = f"The {suite} has {counted(total, 'gate')}: {said}."
    if counts["fail"]:
        return "fail", f"Not passed: {counted(counts['fail'], 'gate')} not met", rests
    if counts["not applicable"] == total:
        return "not applicable", "No verdict: no gate applies to these cells", rests
    return ("borderline" if counts["borderline"] else "pass"), "Passed", rests


def facts(evaluation: ExpressionEvaluation) -> list[tuple[str, str]]:
    """Return what was compared, as pairs of a term and its value."""
    counts, form = evaluation.cells, evaluation.form
    named = [(option.capitalize(), str(form[option])) for option in ("label", "batch", "donor") if form[option]]
    return [
        ("Synthetic cells", f"{counts['synthetic']:,}"),
        ("Real cells", f"{counts['real']:,}"),
        ("Held-out real cells", f"{counts['held-out']:,}"),
        ("Compared, of each", f"{counts['compared']:,}"),
        ("Genes", f"{form['genes']:,}"),
        ("Variable genes", f"{form['variable genes']:,}"),
        ("Values", str(form["measure"])),
        ("Normalisation", str(form["normalisation"])),
        *named,
        ("Suite", evaluation.suite or "none"),
    ]


def themes(evaluation: ExpressionEvaluation) -> list[ThemeScores]:
    """Return the scores theme by theme, in the order of the questions."""
    found = []
    for theme, (title, question) in QUESTIONS.items():
        rows = tuple(
            ScoreRow(METRICS[name], score, *cells(score), text.in_words(name, score))
            for name, score in evaluation.scores.items()
            if METRICS[name].theme == theme
        )
        left_out = tuple(
            (METRICS[name].title, NEEDED[need])
            for name, need in evaluation.left_out.items()
            if METRICS[name].theme == theme
        )
        if rows or left_out:
            found.append(ThemeScores(theme, title, question, rows, left_out))
    return found


def type_table(evaluation: ExpressionEvaluation) -> Table | None:
    """Return the numbers of each type, or None without types."""
    if not evaluation.types:
        return None
    heads = list(dict.fromkeys(head for row in evaluation.types.values() for head in row))
    rows = tuple(
        (name, *(_cell(head, row.get(head, math.nan)) for head in heads)) for name, row in evaluation.types.items()
    )
    return Table("Type by type", ("type", *heads), rows)


def camda_table(evaluation: ExpressionEvaluation) -> Table | None:
    """Return the scores by the names of the CAMDA challenge, or None where there are none."""
    rows = tuple(
        (name, number(float(column["value"])), str(column["score"]), str(column["differs"]) or "the same")
        for name, column in evaluation.to_camda().items()
    )
    head = ("column", "value", "score here", "what differs from the challenge")
    return Table("Columns of the CAMDA health privacy challenge", head, rows, texts=(2, 3)) if rows else None


def _cell(head: str, value: float) -> str:
    whole = head.endswith(" cells") and "," not in head and value == round(value)
    return f"{value:,.0f}" if whole else number(value)


def _lines(evaluation: ExpressionEvaluation) -> Iterator[str]:
    _, verdict, rests = overall(evaluation)
    yield from ("# Evaluation of synthetic gene expression", "", f"**{markdown(verdict)}.** {markdown(rests)}", "")
    yield from item_lines(f"{term}: {value}" for term, value in facts(evaluation))
    yield from ("## Summary", "")
    if evaluation.verdicts:
        gates = tuple((str(one.status), one.sentence, one.reason) for one in evaluation.verdicts)
        yield from table_lines(Table("Gates", ("status", "gate", "reason"), gates, texts=(1, 2)))
    yield from item_lines(text.summary(evaluation))
    yield from ("**How the controls are to be read**", "")
    yield from item_lines(text.notes(evaluation))
    yield from ("## Scores", "")
    heads = ("score", "value", "95 % interval", "real cells", "independent genes", "n", "meaning")
    for theme in themes(evaluation):
        yield from (f"### {theme.title}", "", theme.question, "")
        rows = tuple(
            (row.metric.title, row.value, row.interval, row.ceiling, row.floor, row.n, row.words) for row in theme.rows
        )
        yield from table_lines(Table(f"{theme.title}: scores with their controls", heads, rows, texts=(6,)))
        yield from item_lines(f"Left out: {title}, which needs {need}" for title, need in theme.left_out)
    for heading, table in (("Types", type_table(evaluation)), ("CAMDA", camda_table(evaluation))):
        if table is not None:
            yield from (f"## {heading}", "")
            yield from table_lines(table)
    yield from ("## Provenance", "")
    yield from table_lines(provenance_table({**evaluation.provenance}, evaluation.seed))


_FIGURES = (
    figures.component_figures,
    figures.moment_figures,
    figures.correlation_figures,
    figures.marker_figures,
)
