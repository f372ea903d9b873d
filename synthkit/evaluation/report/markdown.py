"""The report as Markdown: the same sentences and tables as the HTML page, without figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from synthkit.evaluation.pictures import Pictures
from synthkit.evaluation.records import Evaluation
from synthkit.evaluation.report import contents, details
from synthkit.evaluation.report.contents import Table
from synthkit.evaluation.report.rows import ThemeScores
from synthkit.evaluation.text import notes, summary

_SPECIAL = re.compile(r"([\\`*_\[\]|#~])")


def render_markdown(evaluation: Evaluation) -> str:
    """Return the report as Markdown.

    Parameters
    ----------
    evaluation
        The scores and pictures.
    """
    return "\n".join(_lines(evaluation)).strip() + "\n"


def _lines(evaluation: Evaluation) -> Iterator[str]:
    pictures = evaluation.pictures or Pictures()
    _, verdict, rests = contents.overall(evaluation)
    yield from ("# Evaluation of a synthetic table", "", f"**{markdown(verdict)}.** {markdown(rests)}", "")
    yield from item_lines(f"{term}: {value}" for term, value in contents.facts(evaluation))
    yield from ("## Summary", "")
    if evaluation.verdicts:
        rows = tuple(
            (verdict.status, verdict.sentence, verdict.reason) for verdict in contents.sorted_verdicts(evaluation)
        )
        yield from table_lines(Table("Gates", ("status", "gate", "reason"), rows, texts=(1, 2)))
    yield from item_lines(summary(evaluation))
    yield from ("**How the controls are to be read**", "")
    yield from item_lines(notes(evaluation))
    yield from ("## Scores", "")
    themes = contents.themes(evaluation)
    for theme in themes:
        if theme.theme != "copies":
            yield from (f"### {theme.title}", "", theme.question, "")
            yield from _scores(theme)
            for table in details.theme_tables(evaluation, theme.theme):
                yield from table_lines(table)
    yield from ("## Columns", "")
    yield from table_lines(contents.columns_table(pictures.columns, "All columns, the one that differs most first"))
    if pictures.associated:
        yield from ("## Association", "")
        yield from table_lines(contents.association_table(pictures))
    for heading, tables in (
        ("Detection", [details.giveaway_table(evaluation)]),
        ("Utility", [details.utility_table(evaluation)]),
        ("Groups", details.group_tables(evaluation)),
    ):
        found = [table for table in tables if table is not None]
        if found:
            yield from (f"## {heading}", "")
            for table in found:
                yield from table_lines(table)
    yield from ("## Copies", "")
    for line in contents.COPIES_PROVE:
        yield from (markdown(line), "")
    for theme in themes:
        if theme.theme == "copies":
            yield from _scores(theme)
    yield from ("## Provenance", "")
    yield from table_lines(contents.provenance_table(evaluation.provenance, evaluation.seed))


def _scores(theme: ThemeScores) -> Iterator[str]:
    if theme.rows:
        yield from table_lines(contents.score_table(theme))
    yield from left_out_lines(theme.left_out)


def left_out_lines(left_out: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield which scores were left out with what they need, if any were."""
    if left_out:
        yield "Left out: " + "; ".join(f"{markdown(title)}, which needs {need}" for title, need in left_out) + "."
        yield ""


def item_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield texts as a list."""
    for line in lines:
        yield f"- {markdown(line)}"
    yield ""


def table_lines(table: Table) -> Iterator[str]:
    """Yield a table with its columns in line, so that it can be read as plain text too."""
    cells = [[markdown(cell) for cell in row] for row in (table.head, *table.rows)]
    for line, column in table.strong:
        cells[line + 1][column] = f"**{cells[line + 1][column]}**"
    left = [place == 0 or place in table.texts for place in range(len(table.head))]
    widths = [max(3, *(len(row[place]) for row in cells)) for place in range(len(table.head))]
    # The last column is often a sentence: no other row is filled up to its length.
    if left[-1]:
        widths[-1] = 3
    yield from (f"**{markdown(table.caption)}**", "")
    for place, row in enumerate(cells):
        texts = [
            cell.ljust(width) if on_left else cell.rjust(width)
            for cell, width, on_left in zip(row, widths, left, strict=True)
        ]
        yield f"| {' | '.join(texts)} |"
        if place == 0:
            rules = [
                "-" * width if on_left else "-" * (width - 1) + ":" for width, on_left in zip(widths, left, strict=True)
            ]
            yield f"| {' | '.join(rules)} |"
    yield ""


def markdown(text: str) -> str:
    """Return a text in which nothing is markup."""
    one_line = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
