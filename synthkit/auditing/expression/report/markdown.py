"""The report as Markdown: the same sentences and tables as the HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from synthkit.auditing.expression.metadata import NOT_READ
from synthkit.auditing.expression.report import contents, words
from synthkit.auditing.expression.result import ExpressionAuditResult
from synthkit.auditing.report.markdown import tables
from synthkit.auditing.report.released import attack_lines, closing_lines, head_lines
from synthkit.visible import visible


def render_markdown(audit: ExpressionAuditResult) -> str:
    """Return the report as Markdown.

    Parameters
    ----------
    audit
        Any audit of cells; what it lacks is told.
    """
    lines = [
        *head_lines(audit, words, contents.facts(audit), contents.summary(audit)),
        *_found(audit),
        *closing_lines(audit, words, contents.scope_table(audit)),
    ]
    return visible("\n".join(lines).strip()) + "\n"


def _found(audit: ExpressionAuditResult) -> Iterator[str]:
    yield from attack_lines(audit, words)
    yield from ("## What this audit would have found", "", words.PLANTED, "")
    yield from tables(contents.planted_table(audit))
    yield from ("## Types at risk", "", words.TYPES, "")
    yield from tables(contents.types_table(audit))
    yield from ("## Nearest cells", "", words.WORST, "")
    yield from tables(contents.worst_table(audit))
    yield from ("## Annotations of the file", "", contents.metadata_line(audit), "", NOT_READ, "")
    yield from tables(contents.metadata_table(audit))
    yield from ("## Cells that are there twice", "")
    yield from tables(contents.duplicates_table(audit))
