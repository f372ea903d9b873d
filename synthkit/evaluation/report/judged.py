"""What the reports of scans and of gene expression share: scores by theme, tables of classes, and their Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from synthkit.evaluation.records import Judged, Score
from synthkit.evaluation.report.contents import Table
from synthkit.evaluation.report.markdown import item_lines, markdown, table_lines
from synthkit.evaluation.report.rows import Described, ScoreRow, ThemeScores
from synthkit.evaluation.told import cells


def themes(
    evaluation: Judged,
    metrics: Mapping[str, Described],
    questions: Iterable[tuple[str, tuple[str, str]]],
    needed: Mapping[str, str],
    in_words: Callable[[str, Score], str],
) -> list[ThemeScores]:
    """Return the scores theme by theme, in the order of the questions (theme, then its title and question)."""
    found = []
    for theme, (title, question) in questions:
        rows = tuple(
            ScoreRow(metrics[name], score, *cells(score), in_words(name, score))
            for name, score in evaluation.scores.items()
            if metrics[name].theme == theme
        )
        left_out = tuple(
            (metrics[name].title, needed[need])
            for name, need in evaluation.left_out.items()
            if metrics[name].theme == theme
        )
        if rows or left_out:
            found.append(ThemeScores(theme, title, question, rows, left_out))
    return found


def group_table(
    title: str, first: str, groups: Mapping[str, Mapping[str, float]], cell: Callable[[str, float], str]
) -> Table | None:
    """Return the numbers of each class or type as a table, or None without any."""
    if not groups:
        return None
    heads = list(dict.fromkeys(head for row in groups.values() for head in row))
    rows = tuple((name, *(cell(head, row.get(head, math.nan)) for head in heads)) for name, row in groups.items())
    return Table(title, (first, *heads), rows)


def markdown_lines(
    title: str,
    evaluation: Judged,
    *,
    verdict: tuple[str, str, str],
    facts: Iterable[tuple[str, str]],
    summary: Iterable[str],
    notes: Iterable[str],
    themes: Iterable[ThemeScores],
    controls: tuple[str, str],
    tables: Iterable[tuple[str, Table | None]],
) -> Iterator[str]:
    """Give the lines of a report in Markdown; `tables` come last, each under its heading, those that are there."""
    _, said, rests = verdict
    yield from (f"# {title}", "", f"**{markdown(said)}.** {markdown(rests)}", "")
    yield from item_lines(f"{term}: {value}" for term, value in facts)
    yield from ("## Summary", "")
    if evaluation.verdicts:
        gates = tuple((str(one.status), one.sentence, one.reason) for one in evaluation.verdicts)
        yield from table_lines(Table("Gates", ("status", "gate", "reason"), gates, texts=(1, 2)))
    yield from item_lines(summary)
    yield from ("**How the controls are to be read**", "")
    yield from item_lines(notes)
    yield from ("## Scores", "")
    heads = ("score", "value", "95 % interval", *controls, "n", "meaning")
    for theme in themes:
        yield from (f"### {theme.title}", "", theme.question, "")
        rows = tuple(
            (row.metric.title, row.value, row.interval, row.ceiling, row.floor, row.n, row.words) for row in theme.rows
        )
        yield from table_lines(Table(f"{theme.title}: scores with their controls", heads, rows, texts=(6,)))
        yield from item_lines(f"Left out: {left}, which needs {need}" for left, need in theme.left_out)
    for heading, table in tables:
        if table is not None:
            yield from (f"## {heading}", "")
            yield from table_lines(table)
