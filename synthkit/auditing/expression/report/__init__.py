"""The report of an audit of cells: one HTML page, Markdown, or JSON."""

from __future__ import annotations

from pathlib import Path

from synthkit.auditing.expression.report.html import render_html
from synthkit.auditing.expression.report.markdown import render_markdown
from synthkit.auditing.expression.result import ExpressionAuditResult
from synthkit.evaluation.report import write_form

__all__ = ["render_html", "render_markdown", "write_report"]


def write_report(audit: ExpressionAuditResult, path: Path) -> None:
    """Write the report of an audit; the suffix of the file decides its form.

    Parameters
    ----------
    audit
        What is reported.
    path
        A file that ends in .html (one page, which needs no network and runs no script), .md (the same) or .json (every
        number; its SHA-256 is the digest that the others print). An existing file is replaced.

    Raises
    ------
    InputError
        For any other suffix.
    OutputError
        If the file cannot be written.
    """
    write_form(path, audit, html=render_html, markdown=render_markdown)
