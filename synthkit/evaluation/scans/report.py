"""The report of scans: one HTML page with its pictures inside, Markdown, or JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthkit.archive import atomic_path
from synthkit.evaluation.records import STATUSES, Score, Status
from synthkit.evaluation.report import check_suffix
from synthkit.evaluation.report.contents import Table, provenance_table
from synthkit.evaluation.report.html import strip
from synthkit.evaluation.report.markdown import item_lines, markdown, table_lines
from synthkit.evaluation.report.page import render_page
from synthkit.evaluation.scans import text
from synthkit.evaluation.scans.curves import Drawn, histogram_drawn, spectrum_drawn
from synthkit.evaluation.scans.metrics import METRICS, NEEDED, QUESTIONS, ScanMetric, ScanTheme
from synthkit.evaluation.scans.pictures import data_address
from synthkit.evaluation.scans.records import ScanEvaluation
from synthkit.phrases import counted

_STATED: tuple[tuple[Status, str], ...] = (
    ("fail", "not met"),
    ("borderline", "met within the uncertainty"),
    ("pass", "met"),
    ("not applicable", "not applicable"),
)


@dataclass(frozen=True)
class ScoreRow:
    """A score with everything that is printed beside it."""

    metric: ScanMetric
    score: Score
    value: str
    interval: str
    ceiling: str
    floor: str
    n: str
    words: str


@dataclass(frozen=True)
class ThemeScores:
    """The scores that answer one question, and titles of those that were left out with what they need."""

    theme: ScanTheme
    title: str
    question: str
    rows: tuple[ScoreRow, ...]
    left_out: tuple[tuple[str, str], ...]


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
    suffix = check_suffix(path)
    content = evaluation.to_json() if suffix == ".json" else _RENDERED[suffix](evaluation)
    with atomic_path(path) as temporary:
        temporary.write_text(content, encoding="utf-8", newline="\n")


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
    total, suite = len(evaluation.verdicts), f"suite {evaluation.suite!r}"
    if total == 0:
        return "none", "No verdict", f"The {suite} sets no gates; read each score beside its two controls."
    counts = {status: sum(one.status == status for one in evaluation.verdicts) for status, _ in _STATED}
    said = ", ".join(f"{counts[status]} {word}" for status, word in _STATED if counts[status])
    rests = f"The {suite} has {counted(total, 'gate')}: {said}."
    if counts["fail"]:
        return "fail", f"Not passed: {counted(counts['fail'], 'gate')} not met", rests
    if counts["not applicable"] == total:
        return "not applicable", "No verdict: no gate applies to these scans", rests
    return ("borderline" if counts["borderline"] else "pass"), "Passed", rests


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
    found = []
    for theme, (title, question) in QUESTIONS.items():
        rows = tuple(
            ScoreRow(METRICS[name], score, *text.cells(score), text.in_words(name, score))
            for name, score in evaluation.scores.items()
            if METRICS[name].theme == theme
        )
        left_out = tuple(
            (METRICS[name].title, NEEDED[need])
            for name, need in evaluation.left_out.items()
            if METRICS[name].theme == theme
        )
        if rows or left_out:
            found.append(ThemeScores(theme, title, question, rows, left_out))
    return found


def class_table(evaluation: ScanEvaluation) -> Table | None:
    """Return the numbers of each class, or None without classes."""
    if not evaluation.classes:
        return None
    heads = list(dict.fromkeys(head for row in evaluation.classes.values() for head in row))
    rows = tuple(
        (name, *(_cell(head, row.get(head, math.nan)) for head in heads)) for name, row in evaluation.classes.items()
    )
    return Table("Class by class", ("class", *heads), rows)


def _cell(head: str, value: float) -> str:
    return f"{value:,.0f}" if head.endswith(" scans") and value == round(value) else text.number(value)


def _curves(evaluation: ScanEvaluation) -> list[Drawn]:
    if evaluation.pictures is None:
        return []
    units = str(evaluation.form.get("units") or "")
    return [histogram_drawn(evaluation.pictures.histogram, units), spectrum_drawn(evaluation.pictures.spectrum)]


def _lines(evaluation: ScanEvaluation) -> Iterator[str]:
    _, verdict, rests = overall(evaluation)
    yield from ("# Evaluation of synthetic scans", "", f"**{markdown(verdict)}.** {markdown(rests)}", "")
    yield from item_lines(f"{term}: {value}" for term, value in facts(evaluation))
    yield from ("## Summary", "")
    if evaluation.verdicts:
        gates = tuple((str(one.status), one.sentence, one.reason) for one in evaluation.verdicts)
        yield from table_lines(Table("Gates", ("status", "gate", "reason"), gates, texts=(1, 2)))
    yield from item_lines(text.summary(evaluation))
    yield from ("**How the controls are to be read**", "")
    yield from item_lines(text.notes(evaluation))
    yield from ("## Scores", "")
    heads = ("score", "value", "95 % interval", "real scans", "blurred scans", "n", "meaning")
    for theme in themes(evaluation):
        yield from (f"### {theme.title}", "", theme.question, "")
        rows = tuple(
            (row.metric.title, row.value, row.interval, row.ceiling, row.floor, row.n, row.words) for row in theme.rows
        )
        yield from table_lines(Table(f"{theme.title}: scores with their controls", heads, rows, texts=(6,)))
        yield from item_lines(f"Left out: {title}, which needs {need}" for title, need in theme.left_out)
    classes = class_table(evaluation)
    if classes is not None:
        yield from ("## Classes", "")
        yield from table_lines(classes)
    yield from ("## Provenance", "")
    yield from table_lines(provenance_table({**evaluation.extractor, **evaluation.provenance}, evaluation.seed))


_RENDERED = {".html": render_html, ".md": render_markdown}
