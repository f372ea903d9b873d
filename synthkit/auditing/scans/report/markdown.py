"""The report as Markdown: the same sentences and tables as the HTML page, without pictures."""

from __future__ import annotations

from collections.abc import Iterator

from synthkit.auditing.report.markdown import tables
from synthkit.auditing.report.released import attack_lines, closing_lines, head_lines
from synthkit.auditing.scans.metadata import BURNED_IN
from synthkit.auditing.scans.report import contents, words
from synthkit.auditing.scans.result import ScanAudit
from synthkit.visible import visible


def render_markdown(audit: ScanAudit) -> str:
    """Return the report as Markdown.

    Parameters
    ----------
    audit
        Any audit of scans; what it lacks is told.
    """
    lines = [
        *head_lines(audit, words, contents.facts(audit), contents.summary(audit)),
        *_found(audit),
        *closing_lines(audit, words, contents.scope_table(audit)),
    ]
    return visible("\n".join(lines).strip()) + "\n"


def _found(audit: ScanAudit) -> Iterator[str]:
    yield from ("## Nearest pairs", "")
    yield from tables(contents.worst_table(audit))
    yield from attack_lines(audit, words)
    yield from ("## Distances", "", words.DISTANCES, "")
    yield from tables(contents.distances_table(audit))
    yield from ("## Headers and marks", "", contents.metadata_line(audit), "", BURNED_IN, "")
    yield from tables(contents.metadata_table(audit))
    yield from ("## Scans that are there twice", "")
    yield from tables(contents.duplicates_table(audit))
