"""The report of an audit of scans: one HTML page with pictures, Markdown, or JSON."""

from __future__ import annotations

from pathlib import Path

from synthkit.archive import atomic_path
from synthkit.auditing.scans.report.html import render_html
from synthkit.auditing.scans.report.markdown import render_markdown
from synthkit.auditing.scans.result import ScanAudit
from synthkit.evaluation.report import check_suffix

__all__ = ["render_html", "render_markdown", "write_report"]


def write_report(audit: ScanAudit, path: Path) -> None:
    """Write the report of an audit; the suffix of the file decides its form.

    Parameters
    ----------
    audit
        What is reported.
    path
        A file that ends in .html (one page with pictures, which needs no network and runs no script), .md (without
        pictures) or .json (every number; its SHA-256 is the digest that the others print). An existing file is
        replaced.

    Raises
    ------
    InputError
        For any other suffix.
    OutputError
        If the file cannot be written.
    """
    suffix = check_suffix(path)
    if suffix == ".json":
        text = audit.to_json()
    else:
        text = (render_html if suffix == ".html" else render_markdown)(audit)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
