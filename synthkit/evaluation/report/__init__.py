"""The report that people read: one HTML page, Markdown, or JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from synthkit.archive import atomic_path
from synthkit.errors import InputError
from synthkit.evaluation.compare import Comparison
from synthkit.evaluation.records import Evaluation
from synthkit.evaluation.report.comparison import render_comparison_html, render_comparison_markdown
from synthkit.evaluation.report.html import render_html
from synthkit.evaluation.report.markdown import render_markdown

__all__ = [
    "check_suffix",
    "render_comparison_html",
    "render_comparison_markdown",
    "render_html",
    "render_markdown",
    "write_form",
    "write_report",
]

SUFFIXES = (".html", ".md", ".json")


class _Told(Protocol):
    def to_json(self) -> str: ...


Result = TypeVar("Result", bound=_Told)


def write_report(evaluation: Evaluation | Comparison, path: Path) -> None:
    """Write the report of an evaluation or of a comparison; the suffix of the file decides its form.

    Parameters
    ----------
    evaluation
        What is reported.
    path
        A file that ends in .html (one page with figures, which needs no network), .md (tables only) or .json (every
        number). An existing file is replaced.

    Raises
    ------
    InputError
        For any other suffix, and for a comparison without any table.
    OutputError
        If the file cannot be written.
    """
    if isinstance(evaluation, Comparison):
        write_form(path, evaluation, html=render_comparison_html, markdown=render_comparison_markdown)
    else:
        write_form(path, evaluation, html=render_html, markdown=render_markdown)


def write_form(path: Path, result: Result, *, html: Callable[[Result], str], markdown: Callable[[Result], str]) -> None:
    """Write a result as its path asks: as a page, as Markdown, or everything as JSON; nothing half-written.

    Raises
    ------
    InputError
        For any other suffix.
    OutputError
        If the file cannot be written.
    """
    suffix = check_suffix(path)
    text = result.to_json() if suffix == ".json" else (html if suffix == ".html" else markdown)(result)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def check_suffix(path: Path) -> str:
    """Return the suffix of a report in lower case; InputError for one that is none of the three."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"a report ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, got {path.name!r}",
            remedy="Choose one of these three.",
        )
    return suffix
