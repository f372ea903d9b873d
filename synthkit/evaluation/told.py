"""What the texts of evaluations of scans and of gene expression share: numbers, tables and verdicts."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from synthkit.evaluation.records import STATUSES, Judged, Score
from synthkit.evaluation.report.contents import DASH
from synthkit.evaluation.report.rows import Described
from synthkit.evaluation.text import wrapped
from synthkit.html_table import Html, bullets, folded, page, paragraph, table, verdict

if TYPE_CHECKING:
    from rich.table import Table

_VERDICT = len("not applicable")
_VALUES = ("value", "95 % interval")


def number(value: float) -> str:
    """Return a score with three decimals, more where it is small, fewer where it is large; a dash for none."""
    if math.isnan(value):
        return DASH
    size = abs(value)
    digits = 1 if size >= 100 else 2 if size >= 10 else 4 if 0 < size < 0.1 else 3
    text = f"{round(value, digits) + 0.0:.{digits}f}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """Return a share in per cent; a dash for none."""
    return DASH if math.isnan(share) else f"{100 * share:.1f} %"


def interval(score: Score) -> str:
    """Return the two ends of the interval, or a dash."""
    if math.isnan(score.low) or math.isnan(score.high):
        return DASH
    return f"{number(score.low)} to {number(score.high)}"


def cells(score: Score) -> tuple[str, str, str, str, str]:
    """Return value, interval, both controls and n of a score as texts."""
    n = f"{score.n:,}" if score.n else DASH
    return number(score.value), interval(score), number(score.ceiling), number(score.floor), n


def passed(evaluation: Judged) -> str:
    """Return whether the gates are met, in words."""
    failed, total = len(evaluation.failed), len(evaluation.verdicts)
    if not total:
        return "no gates"
    return f"{failed} of {total} gates not met" if failed else f"all of {total} gates met, or not applicable"


def narrow_table(title: str, first: str, heads: Iterable[str]) -> Table:
    """Return an empty table for a terminal: texts in the first column, numbers in the others."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column(first)
    for heading in heads:
        made.add_column(heading, justify="right", no_wrap=True)
    return made


def score_table(
    title: str, controls: tuple[str, str], scores: Mapping[str, Score], metrics: Mapping[str, Described]
) -> Table:
    """Return the scores with their two controls for a terminal, a rule between themes."""
    heads = (*_VALUES, *(name.replace(" ", "\n") for name in controls), "n")
    made = narrow_table(title, "score", heads)
    theme = None
    for name, score in scores.items():
        if theme is not None and metrics[name].theme != theme:
            made.add_section()
        theme = metrics[name].theme
        made.add_row(metrics[name].title, *cells(score))
    return made


def as_lines(
    evaluation: Judged, tables: Sequence[Table | str], summary: Iterable[str], notes: Iterable[str], *, width: int
) -> str:
    """Return tables, the verdict, the summary and the notes as text without colours, of a width in characters."""
    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, width=width, no_color=True, highlight=False)
    for one in tables:
        console.print(one)
    lines = [*_verdict_lines(evaluation), ""] if evaluation.verdicts else []
    lines += [*(f"- {line}" for line in summary), "", *notes]
    text = [line.rstrip() for line in stream.getvalue().splitlines()]
    for line in lines:
        text += wrapped(line, width)
    return "\n".join(text) + "\n"


def as_page(
    title: str,
    evaluation: Judged,
    controls: tuple[str, str],
    metrics: Mapping[str, Described],
    summary: Iterable[str],
    notes: Iterable[str],
) -> str:
    """Return the page of an evaluation for a notebook."""
    rows = [(metrics[name].title, *cells(score)) for name, score in evaluation.scores.items()]
    heads = ("score", *_VALUES, *controls, "n")
    said: list[Html] = []
    if evaluation.verdicts:
        said.append(verdict(passed(evaluation), "bad" if evaluation.failed else "good"))
    return page(
        title,
        *said,
        bullets(summary),
        folded(f"{len(rows)} scores", table(heads, rows, numbers=(1, 2, 3, 4, 5), most=None)),
        folded("how to read them", *(paragraph(note) for note in notes)),
    )


def _verdict_lines(evaluation: Judged) -> list[str]:
    lines = [f"Suite {evaluation.suite!r}: {passed(evaluation)}"]
    for one in sorted(evaluation.verdicts, key=lambda one: STATUSES.index(one.status)):
        lines.append(f"{one.status:>{_VERDICT}}  {one.sentence}")
    return lines
