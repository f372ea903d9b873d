"""The report of scans: one HTML page with its pictures inside, Markdown, or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthkit.evaluation.records import STATUSES
from synthkit.evaluation.report import judged, write_form
from synthkit.evaluation.report.contents import Table, provenance_table
from synthkit.evaluation.report.html import strip
from synthkit.evaluation.report.judged import group_table, markdown_lines
from synthkit.evaluation.report.page import render_page
from synthkit.evaluation.report.rows import ThemeScores
from synthkit.evaluation.report.rows import overall as overall_of
from synthkit.evaluation.scans import text
from synthkit.evaluation.scans.curves import Drawn, histogram_drawn, spectrum_drawn
from synthkit.evaluation.scans.metrics import METRICS, NEEDED, QUESTIONS
from synthkit.evaluation.scans.pictures import data_address
from synthkit.evaluation.scans.records import ScanEvaluation
from synthkit.evaluation.told import number


def write_scan_report(evaluation: ScanEvaluation, path: Path) -> None:
    """Write the report of an evaluation of scans; the suffix of the file decides its form.

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


def render_html(evaluation: ScanEvaluation) -> str:
    """Return the report as one HTML page without any script.

    Parameters
    ----------
    evaluation
        The scores and pictures; an evaluation without pictures gives a page without them.
    """
    pictures = evaluation.pictures
    units = str(evaluation.form.get("units") or "")
    window = None
    if pictures is not None:
        window = f"{pictures.window[0]:.4g} to {pictures.window[1]:.4g} {units}".strip().replace("-", "−")
    return render_page(
        "scans.html.j2",
        (),
        package="synthkit.evaluation.scans",
        evaluation=evaluation,
        overall=overall(evaluation),
        facts=facts(evaluation),
        verdicts=sorted(evaluation.verdicts, key=lambda one: STATUSES.index(one.status)),
        summary=text.summary(evaluation),
        notes=text.notes(evaluation),
        themes=themes(evaluation),
        classes=class_table(evaluation),
        grids=[] if pictures is None else pictures.grids,
        volumes=len(evaluation.form["size"]) == 3,
        window=window,
        neighbours=() if pictures is None else pictures.neighbours,
        neighbour_texts=() if pictures is None else pictures.neighbour_texts,
        curves=_curves(evaluation),
        address=data_address,
        provenance=provenance_table({**evaluation.extractor, **evaluation.provenance}, evaluation.seed),
        strip=strip,
    )


def render_markdown(evaluation: ScanEvaluation) -> str:
    """Return the report as Markdown, without pictures."""
    return "\n".join(_lines(evaluation)).strip() + "\n"


def overall(evaluation: ScanEvaluation) -> tuple[str, str, str]:
    """Return the status of all gates together, the verdict in words, and what it rests on."""
    return overall_of(evaluation, "scans")


def facts(evaluation: ScanEvaluation) -> list[tuple[str, str]]:
    """Return what was compared, as pairs of a term and its value."""
    counts, form = evaluation.scans, evaluation.form
    kind = " ".join(part for part in (str(form["modality"]), f"in {form['units']}" if form["units"] else "") if part)
    return [
        ("Synthetic scans", f"{counts['synthetic']:,}"),
        ("Real scans", f"{counts['real']:,}"),
        ("Held-out real scans", f"{counts['held-out']:,}"),
        ("Size", " × ".join(map(str, form["size"]))),
        ("Kind", kind),
        ("Extractor", str(evaluation.extractor["extractor"])),
        ("Suite", evaluation.suite or "none"),
    ]


def themes(evaluation: ScanEvaluation) -> list[ThemeScores]:
    """Return the scores theme by theme, in the order of the questions."""
    return judged.themes(evaluation, METRICS, QUESTIONS.items(), NEEDED, text.in_words)


def class_table(evaluation: ScanEvaluation) -> Table | None:
    """Return the numbers of each class, or None without classes."""
    return group_table("Class by class", "class", evaluation.classes, _cell)


def _cell(head: str, value: float) -> str:
    return f"{value:,.0f}" if head.endswith(" scans") and value == round(value) else number(value)


def _curves(evaluation: ScanEvaluation) -> list[Drawn]:
    if evaluation.pictures is None:
        return []
    units = str(evaluation.form.get("units") or "")
    return [histogram_drawn(evaluation.pictures.histogram, units), spectrum_drawn(evaluation.pictures.spectrum)]


def _lines(evaluation: ScanEvaluation) -> Iterator[str]:
    return markdown_lines(
        "Evaluation of synthetic scans",
        evaluation,
        verdict=overall(evaluation),
        facts=facts(evaluation),
        summary=text.summary(evaluation),
        notes=text.notes(evaluation),
        themes=themes(evaluation),
        controls=text.CONTROLS,
        tables=(
            ("Classes", class_table(evaluation)),
            ("Provenance", provenance_table({**evaluation.extractor, **evaluation.provenance}, evaluation.seed)),
        ),
    )
