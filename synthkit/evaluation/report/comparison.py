"""The report of a comparison: what it says as texts and tables, and the same as an HTML page and as Markdown."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from synthkit.errors import InputError
from synthkit.evaluation.compare import BEST, Comparison
from synthkit.evaluation.metric import Metric, Theme
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.records import Evaluation, Status, Verdict
from synthkit.evaluation.report import contents
from synthkit.evaluation.report.contents import DASH, Table, shown
from synthkit.evaluation.report.details import giveaways
from synthkit.evaluation.report.dots import Mark, dot_plot, mark_of
from synthkit.evaluation.report.figures import Figure
from synthkit.evaluation.report.markdown import item_lines, left_out_lines, markdown, table_lines
from synthkit.evaluation.report.page import render_page
from synthkit.evaluation.report.rows import ScoreRow
from synthkit.evaluation.suite import Gate
from synthkit.evaluation.text import notes

_Entry = TypeVar("_Entry", Gate, Verdict)
_MOST_COLUMNS = 3
_CONDITIONS = {"<=": "at most", ">=": "at least", "<": "below", ">": "above"}
_CONTROLS = {"ceiling": "real rows", "floor": "independent columns"}
_ENDS = {"low": "lower end of the interval ", "high": "upper end of the interval ", "value": ""}
CHOOSE_FIRST = (
    "An average of numbers that do not compare would hide the one that matters. Choose the scores that your use depends"
    " on before you look at who wins them."
)
HOW_TO_READ = (
    f"{BEST} marks the best table of a line and every other whose interval meets its interval. A table without the mark"
    " is clearly worse in that one score. Lines without any mark have fewer than two values, or are there only to"
    " compare others with.",
    "A copy of the training rows is at or beyond the level of real rows in nearly every score but those of copies. So"
    " look at the copies first: where a table repeats its training rows, its other scores mean nothing.",
    "The intervals are for other rows from the same sources. They do not say how much a generator changes from one"
    " training to the next; a claim about generators, rather than about these tables, needs several of each.",
)


@dataclass(frozen=True)
class ComparedTable:
    """One of the tables.

    Attributes
    ----------
    name
        What it is called.
    mark
        How it is drawn.
    rows
        Its number of rows.
    status, said
        Of all gates together.
    gates
        The gates that are not met, or what the verdict rests on.
    """

    name: str
    mark: Mark
    rows: str
    status: Status | Literal["none"]
    said: str
    gates: str


@dataclass(frozen=True)
class GateRow:
    """One gate, with the verdict on each table: None where a table was not asked."""

    title: str
    condition: str
    verdicts: tuple[Verdict | None, ...]


@dataclass(frozen=True)
class ComparedRow:
    """One score with its cells, whether each is among the best, and the two controls."""

    metric: Metric
    cells: tuple[ScoreRow | None, ...]
    best: tuple[bool, ...]
    ceiling: str
    floor: str


@dataclass(frozen=True)
class ComparedTheme:
    """The scores that answer one question, what was left out, and which scores do not apply."""

    theme: Theme
    title: str
    question: str
    rows: tuple[ComparedRow, ...]
    left_out: tuple[tuple[str, str], ...]
    inapplicable: tuple[str, ...]
    figure: Figure | None


def render_comparison_html(comparison: Comparison) -> str:
    """Return the report of a comparison as one HTML page.

    Parameters
    ----------
    comparison
        The evaluations.

    Raises
    ------
    InputError
        If there is no table in it.
    """
    first = _first(comparison)
    themes = compared_themes(comparison)
    return render_page(
        "comparison.html.j2",
        [theme.figure for theme in themes if theme.figure is not None],
        headline=headline(comparison),
        facts=comparison_facts(comparison),
        tables=compared_tables(comparison),
        gates=gate_rows(comparison),
        gate_table=gate_table(comparison),
        summary=comparison.summary(),
        choose_first=CHOOSE_FIRST,
        themes=themes,
        copies_prove=contents.COPIES_PROVE,
        columns=columns_table(comparison),
        giveaways=giveaways_table(comparison),
        reading=reading(comparison),
        provenance=contents.provenance_table(comparison.provenance, first.seed),
        shown=shown,
        best_mark=BEST,
    )


def render_comparison_markdown(comparison: Comparison) -> str:
    """Return the report of a comparison as Markdown: the same tables, without figures.

    Parameters
    ----------
    comparison
        The evaluations.

    Raises
    ------
    InputError
        If there is no table in it.
    """
    _first(comparison)
    return "\n".join(_lines(comparison)).strip() + "\n"


def headline(comparison: Comparison) -> tuple[Status | Literal["none"], str, str]:
    """Return the status of the tables together, how many of them meet every gate, and which."""
    found = {name: contents.overall(evaluation) for name, evaluation in comparison.evaluations.items()}
    judged = [name for name, (status, _, _) in found.items() if status not in ("none", "not applicable")]
    if not judged:
        return next(iter(found.values()))
    passed = [name for name in judged if found[name][0] != "fail"]
    rests = f"Met by {', '.join(passed)}; what the others miss is below." if 0 < len(passed) < len(found) else ""
    if len(found) == 1:
        return found[judged[0]]
    if not passed:
        return "fail", f"None of {len(found)} tables meets every gate", rests
    if len(passed) == len(found):
        borderline = any(found[name][0] == "borderline" for name in passed)
        return "borderline" if borderline else "pass", f"All {len(found)} tables meet every gate", rests
    return "none", f"{len(passed)} of {len(found)} tables meet{'s' * (len(passed) == 1)} every gate", rests


def comparison_facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Return what was compared, as pairs of a term and its value."""
    entries = contents.facts(_first(comparison))[1:]
    return [("Synthetic tables", f"{len(comparison.names):,}"), *entries]


def compared_tables(comparison: Comparison) -> list[ComparedTable]:
    """Return each table with its verdict."""
    found = []
    for place, (name, evaluation) in enumerate(comparison.evaluations.items()):
        status, said, rests = contents.overall(evaluation)
        failed = "; ".join(METRICS[verdict.metric].title for verdict in evaluation.failed)
        rows = f"{evaluation.rows['synthetic']:,} rows"
        found.append(
            ComparedTable(name, mark_of(place), rows, status, said, f"Not met: {failed}." if failed else rests)
        )
    return found


def gate_rows(comparison: Comparison) -> list[GateRow]:
    """Return the verdict of each gate on each table, gates that some table fails first."""
    verdicts = [_numbered(evaluation.verdicts) for evaluation in comparison.evaluations.values()]
    conditions = {key: _condition(gate) for key, gate in _numbered(comparison.gates).items()}
    rows = [
        GateRow(METRICS[key[0]].title, conditions.get(key, ""), tuple(found.get(key) for found in verdicts))
        for key in dict.fromkeys(key for found in verdicts for key in found)
    ]
    return sorted(
        rows, key=lambda row: -sum(verdict is not None and verdict.status == "fail" for verdict in row.verdicts)
    )


def _numbered(entries: Sequence[_Entry]) -> dict[tuple[str, int], _Entry]:
    """Return gates or verdicts by their metric and a number, as a score may have several gates."""
    seen: Counter[str] = Counter()
    found: dict[tuple[str, int], _Entry] = {}
    for entry in entries:
        found[entry.metric, seen[entry.metric]] = entry
        seen[entry.metric] += 1
    return found


def _condition(gate: Gate) -> str:
    said = f"{_ENDS[gate.bound]}{_CONDITIONS[gate.comparison]} {gate.threshold:g}".replace("-", "−")
    if gate.relative_to == "absolute":
        return said
    return f"{said} {'times' if gate.unit == 'ratio' else 'above'} {_CONTROLS[gate.relative_to]}"


def gate_table(comparison: Comparison) -> Table | None:
    """Return every verdict as a sentence, those that are not met first, or None where there is no gate."""
    rows = tuple(
        (name, verdict.status, verdict.sentence, verdict.reason)
        for name, evaluation in comparison.evaluations.items()
        for verdict in contents.sorted_verdicts(evaluation)
    )
    head = ("table", "status", "gate", "reason")
    return Table("Every gate and its verdict in words", head, rows, texts=(1, 2, 3)) if rows else None


def compared_themes(comparison: Comparison) -> list[ComparedTheme]:
    """Return the scores theme by theme, in the order of the questions."""
    found = {name: contents.themes(evaluation) for name, evaluation in comparison.evaluations.items()}
    titles = {entry.theme: entry for themes in found.values() for entry in themes}
    compared = []
    for theme in (entry for entry in contents.THEMES if entry in titles):
        cells = [
            {row.metric.name: row for entry in themes if entry.theme == theme for row in entry.rows}
            for themes in found.values()
        ]
        left_out = dict.fromkeys(
            pair for themes in found.values() for entry in themes if entry.theme == theme for pair in entry.left_out
        )
        metrics = [name for name in comparison.metrics if METRICS[name].theme == theme]
        title, question = titles[theme].title, titles[theme].question
        rows = tuple(_compared_row(comparison, name, [row.get(name) for row in cells]) for name in metrics)
        inapplicable = tuple(line for row in rows for line in _inapplicable(comparison.names, row))
        figure = dot_plot(f"dots-{theme}", title, comparison, metrics)
        compared.append(ComparedTheme(theme, title, question, rows, tuple(left_out), inapplicable, figure))
    return compared


def _compared_row(comparison: Comparison, name: str, cells: Sequence[ScoreRow | None]) -> ComparedRow:
    best = comparison.best(name)
    ceiling, floor = comparison.controls(name)
    return ComparedRow(
        metric=METRICS[name],
        cells=tuple(cells),
        best=tuple(table in best for table in comparison.names),
        ceiling=shown(ceiling),
        floor=shown(floor),
    )


def _inapplicable(names: Sequence[str], row: ComparedRow) -> Iterator[str]:
    """Yield why a score has no value, once for all tables with the same reason."""
    reasons: dict[str, list[str]] = {}
    for name, cell in zip(names, row.cells, strict=True):
        if cell is not None and not cell.score.applies:
            reasons.setdefault(cell.score.note, []).append(name)
    for reason, tables in reasons.items():
        whose = "" if len(tables) == len(names) else f" for {', '.join(tables)}"
        yield f"{row.metric.title}{whose}: not applicable, because {reason}."


def theme_table(comparison: Comparison, theme: ComparedTheme) -> Table:
    """Return the scores of a theme as a table of texts, the best of each line marked."""
    rows, strong = [], set()
    for place, row in enumerate(theme.rows):
        cells = []
        for column, (cell, best) in enumerate(zip(row.cells, row.best, strict=True)):
            said = DASH if cell is None else cell.value
            if cell is not None and cell.interval != DASH:
                said += f" ({cell.interval})"
            cells.append(f"{said} {BEST}" if best else said)
            if best:
                strong.add((place, column + 2))
        rows.append((row.metric.title, row.ceiling, *cells, row.floor))
    head = ("score", "real rows", *comparison.names, "independent columns")
    caption = f"{theme.title}: scores with 95 % intervals and controls"
    return Table(caption, head, tuple(rows), strong=frozenset(strong))


def columns_table(comparison: Comparison) -> Table:
    """Return the errors of the columns that are among the worst of some table, the largest first."""
    errors = [evaluation.columns for evaluation in comparison.evaluations.values()]
    names = dict.fromkeys(name for found in errors for name in list(found)[:_MOST_COLUMNS])
    worst_first = sorted(names, key=lambda name: -max(found[name] for found in errors if name in found))
    rows = tuple((name, *(shown(found[name]) if name in found else DASH for found in errors)) for name in worst_first)
    places = {name: place for place, name in enumerate(worst_first)}
    strong = {(places[next(iter(found))], column + 1) for column, found in enumerate(errors) if any(found.values())}
    caption = (
        f"Error of the columns that are among the {_MOST_COLUMNS} worst of some table; the worst of each stands out"
    )
    return Table(caption, ("column", *comparison.names), rows, strong=frozenset(strong))


def giveaways_table(comparison: Comparison) -> Table | None:
    """Return the columns that give the rows of each table away, or None where that is unknown."""
    found = {name: giveaways(evaluation) for name, evaluation in comparison.evaluations.items()}
    rows = tuple(
        (name, "; ".join(f"{column} ({shown(loss)})" for column, loss, _, _ in entries[:_MOST_COLUMNS]))
        for name, entries in found.items()
        if entries
    )
    caption = "What gives rows away: columns with the loss of AUC without them, the largest first"
    return Table(caption, ("table", "columns"), rows, texts=(1,)) if rows else None


def reading(comparison: Comparison) -> list[str]:
    """Return how marks and controls are to be read."""
    bare = [dataclasses.replace(evaluation, notes=()) for evaluation in comparison.evaluations.values()]
    return [*HOW_TO_READ, *dict.fromkeys(line for evaluation in bare for line in notes(evaluation))]


def _first(comparison: Comparison) -> Evaluation:
    if not comparison.evaluations:
        raise InputError("there is no synthetic table to report", remedy="Compare at least one.")
    return next(iter(comparison.evaluations.values()))


def _lines(comparison: Comparison) -> Iterator[str]:
    _, verdict, rests = headline(comparison)
    yield from ("# Comparison of synthetic tables", "", f"**{markdown(verdict)}.** {markdown(rests)}".strip(), "")
    yield from item_lines(f"{term}: {value}" for term, value in comparison_facts(comparison))
    yield from ("## Overall", "")
    tables = tuple((table.name, table.rows, table.said, table.gates) for table in compared_tables(comparison))
    yield from table_lines(Table("The tables", ("table", "rows", "verdict", "gates"), tables, texts=(2, 3)))
    gates = tuple(
        (row.title, row.condition, *(verdict.status if verdict else DASH for verdict in row.verdicts))
        for row in gate_rows(comparison)
    )
    if gates:
        head = ("gate", "condition", *comparison.names)
        yield from table_lines(Table("Gates", head, gates, texts=tuple(range(1, len(head)))))
    in_words = gate_table(comparison)
    yield from table_lines(in_words) if in_words is not None else ()
    yield from ("**In plain words**", "")
    yield from item_lines(comparison.summary())
    yield from ("## Scores", "", CHOOSE_FIRST, "")
    for theme in compared_themes(comparison):
        yield from (f"### {theme.title}", "", theme.question, "")
        if theme.theme == "copies":
            for line in contents.COPIES_PROVE:
                yield from (markdown(line), "")
        if theme.rows:
            yield from table_lines(theme_table(comparison, theme))
        if theme.inapplicable:
            yield from item_lines(theme.inapplicable)
        yield from left_out_lines(theme.left_out)
    yield from ("## Columns", "")
    yield from table_lines(columns_table(comparison))
    given_away = giveaways_table(comparison)
    yield from table_lines(given_away) if given_away is not None else ()
    yield from ("## How to read this", "")
    yield from item_lines(reading(comparison))
    yield from ("## Provenance", "")
    yield from table_lines(contents.provenance_table(comparison.provenance, _first(comparison).seed))
