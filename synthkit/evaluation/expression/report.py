"""The report of gene expression: one HTML page with its figures inside, Markdown, or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthkit.evaluation.expression import figures, text
from synthkit.evaluation.expression.metrics import METRICS, NEEDED, QUESTIONS
from synthkit.evaluation.expression.records import ExpressionEvaluation
from synthkit.evaluation.records import STATUSES
from synthkit.evaluation.report import judged, write_form
from synthkit.evaluation.report.contents import Table, provenance_table
from synthkit.evaluation.report.html import strip
from synthkit.evaluation.report.judged import group_table, markdown_lines
from synthkit.evaluation.report.page import render_page
from synthkit.evaluation.report.rows import ThemeScores
from synthkit.evaluation.report.rows import overall as overall_of
from synthkit.evaluation.told import number


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
    return overall_of(evaluation, "cells")


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
    return judged.themes(evaluation, METRICS, QUESTIONS.items(), NEEDED, text.in_words)


def type_table(evaluation: ExpressionEvaluation) -> Table | None:
    """Return the numbers of each type, or None without types."""
    return group_table("Type by type", "type", evaluation.types, _cell)


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
    return markdown_lines(
        "Evaluation of synthetic gene expression",
        evaluation,
        verdict=overall(evaluation),
        facts=facts(evaluation),
        summary=text.summary(evaluation),
        notes=text.notes(evaluation),
        themes=themes(evaluation),
        controls=text.CONTROLS,
        tables=(
            ("Types", type_table(evaluation)),
            ("CAMDA", camda_table(evaluation)),
            ("Provenance", provenance_table({**evaluation.provenance}, evaluation.seed)),
        ),
    )


_FIGURES = (
    figures.component_figures,
    figures.moment_figures,
    figures.correlation_figures,
    figures.marker_figures,
)
