"""The report that a privacy officer reads and signs: one HTML page, Markdown, or JSON."""

from __future__ import annotations

from pathlib import Path

from synthkit.auditing.report.contents import digest
from synthkit.auditing.report.html import render_html
from synthkit.auditing.report.markdown import render_markdown
from synthkit.auditing.result import Audit
from synthkit.evaluation.report import check_suffix, write_form

__all__ = ["check_suffix", "digest", "render_html", "render_markdown", "write_report"]


def write_report(audit: Audit, path: Path) -> None:
    """Write the report of an audit; the suffix of the file decides its form.

    Parameters
    ----------
    audit
        What is reported.
    path
        A file that ends in .html (one page, which needs no network and runs no script), .md (the same without figures)
        or .json (every number; its SHA-256 is the digest that the others print). An existing file is replaced.

    Raises
    ------
    InputError
        For any other suffix.
    OutputError
        If the file cannot be written.
    """
    write_form(path, audit, html=render_html, markdown=render_markdown)
