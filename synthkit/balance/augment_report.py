"""An experiment as a file: one HTML page without scripts, Markdown, or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthkit import html_table as html
from synthkit.balance import augment_text as text
from synthkit.balance.augmentation import AugmentResult
from synthkit.balance.learners import LEARNERS
from synthkit.balance.measures import measures_of
from synthkit.evaluation.report import write_form
from synthkit.evaluation.report.contents import Table, provenance_table
from synthkit.evaluation.report.markdown import item_lines, markdown, table_lines
from synthkit.evaluation.report.page import render_page
from synthkit.visible import visible


def write_report(result: AugmentResult, path: Path) -> None:
    """Write a report; the suffix of the file decides its form, as for an evaluation.

    Parameters
    ----------
    result
        What is reported.
    path
        A file that ends in .html, .md or .json. An existing file is replaced.

    Raises
    ------
    InputError
        For any other suffix.
    OutputError
        If the file cannot be written.
    """
    write_form(path, result, html=render_html, markdown=render_markdown)


def render_html(result: AugmentResult) -> str:
    """Return the report as one HTML page; everything from the table is escaped."""
    page = render_page(
        "augment.html.j2",
        (),
        package="synthkit.balance",
        title=text.headline(result),
        recommended=result.recommended.reason,
        findings=list(text.findings(result)),
        legend=list(text.legend(result)),
        notes=list(text.notes(result)),
        tables=[model_table(result, model) for model in result.models],
        measures=measure_table(result),
        treatments=treatment_table(result),
        provenance=provenance_table(result.provenance, result.seed),
    )
    return visible(page)


def notebook_html(result: AugmentResult) -> str:
    """Return what a notebook shows: the recommendation, what came of each model, and the tables."""
    tables = [model_table(result, model) for model in result.models]
    return html.page(
        text.headline(result),
        html.paragraph(f"Recommended: {result.recommended.reason}"),
        html.bullets(text.findings(result)),
        *(html.folded(table.caption, html.table(table.head, table.rows, numbers=range(1, 9))) for table in tables),
        html.folded("How to read the tables", html.bullets([*text.legend(result), *text.notes(result)])),
    )


def render_markdown(result: AugmentResult) -> str:
    """Return the report as Markdown."""
    return "\n".join(_lines(result)).strip() + "\n"


def _lines(result: AugmentResult) -> Iterator[str]:
    yield f"# {markdown(text.headline(result))}"
    yield ""
    yield f"**Recommended:** {markdown(result.recommended.reason)}"
    yield ""
    yield from item_lines(text.findings(result))
    for model in result.models:
        yield from table_lines(model_table(result, model))
    yield from item_lines([*text.legend(result), *text.notes(result)])
    for table in (measure_table(result), treatment_table(result), provenance_table(result.provenance, result.seed)):
        yield from table_lines(table)


def model_table(result: AugmentResult, model: str) -> Table:
    """Return what came of every treatment with one model."""
    beside = text.measures_beside(result)
    head = ("treatment", text.metric_title(result), "against doing nothing", "p")
    rows = tuple(tuple(cells) for cells in text.rows_of(result, model, beside))
    chosen = frozenset((place, 1) for place, row in enumerate(rows) if row[0].startswith(">"))
    return Table(
        f"{model}: {LEARNERS[model].title}",
        (*head, *(text.metric_title(result, name) for name in beside)),
        rows,
        strong=chosen,
    )


def measure_table(result: AugmentResult) -> Table:
    """Return what the measures mean."""
    known = measures_of(len(result.classes)).items()
    rows = tuple((text.metric_title(result, name), measure.meaning) for name, measure in known)
    return Table("What the measures say", ("measure", "meaning"), rows, texts=(1,))


def treatment_table(result: AugmentResult) -> Table:
    """Return how the treatments went, from the simplest to the least simple."""
    rows = tuple(
        (run.title, f"{run.added:,.0f}", f"{run.seconds:.1f}", run.problem or "in every repeat")
        for run in result.treatments
    )
    return Table("The treatments", ("treatment", "rows added", "seconds", "applied"), rows, texts=(3,))
