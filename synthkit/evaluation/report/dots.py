"""Dot plots of the scores of several tables: one row for each score, one mark for each table, better to the right."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synthkit.evaluation.compare import Comparison
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.records import Score
from synthkit.evaluation.report.contents import interval, shown
from synthkit.evaluation.report.figures import REAL_LINE, Figure, escaped, numbers, rounded
from synthkit.evaluation.report.scale import Scale, scale_of
from synthkit.phrases import counted

_INDEPENDENT = "#566070"
_INK = "#1b2430"
_BAND = "#f5f7f9"
# Colours of Okabe and Ito but for the blue, which is that of real rows, and the yellow, too pale for an arm.
_COLOURS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
# What plotly calls a form, and the same as a path in a square of 14 units.
_FORMS = (
    ("circle", "M7 2a5 5 0 1 0 .001 0Z"),
    ("square", "M2.5 2.5h9v9h-9Z"),
    ("triangle-up", "M7 1.5L13 12H1Z"),
    ("diamond", "M7 1L13 7L7 13L1 7Z"),
    ("triangle-down", "M7 12.5L1 2H13Z"),
    ("cross", "M5 1.5h4V5h3.5v4H9v3.5H5V9H1.5V5H5Z"),
    ("star", "M7 .8L8.6 5.2 13.2 5.4 9.6 8.2 10.8 12.7 7 10.2 3.2 12.7 4.4 8.2 .8 5.4 5.4 5.2Z"),
    ("pentagon", "M7 1.2L13 5.6L10.7 12.6H3.3L1 5.6Z"),
)
_LETTERS = 22
_LINE_HEIGHT = 15
_ABOVE = 26


@dataclass(frozen=True)
class Mark:
    """How a table is drawn.

    Attributes
    ----------
    form
        What plotly calls its form.
    path
        The same form as a path in a square of 14 units.
    colour
        Its colour.
    """

    form: str
    path: str
    colour: str


def mark_of(place: int) -> Mark:
    """Return the mark of a table by its place; up to 56 tables differ in form or colour, the first seven in both."""
    return Mark(*_FORMS[place % len(_FORMS)], _COLOURS[place % len(_COLOURS)])


def dot_plot(identifier: str, title: str, comparison: Comparison, metrics: Sequence[str]) -> Figure | None:
    """Return the dot plot of some scores, or None where they do not differ.

    Parameters
    ----------
    identifier
        Its id in the page.
    title
        What the scores have in common.
    comparison
        The tables.
    metrics
        Names of the scores.
    """
    scales = {name: _scale(comparison, name) for name in metrics}
    drawn = {name: scale for name, scale in scales.items() if scale is not None}
    if not drawn:
        return None
    tables = comparison.names
    lane = 12 if len(tables) <= 4 else 10 if len(tables) <= 6 else 9
    labels = [textwrap.wrap(METRICS[name].title, _LETTERS) for name in drawn]
    height = max(lane * len(tables) + 14, _LINE_HEIGHT * max(map(len, labels)) + 8)
    offsets = [(place - (len(tables) - 1) / 2) * lane / height for place in range(len(tables))]
    data = [*_controls(comparison, drawn)]
    for place, (table, offset) in enumerate(zip(tables, offsets, strict=True)):
        data.append(_trace(comparison, table, drawn, offset, mark_of(place)))
    ends = [("worse", 0.0, "left"), ("better", 1.0, "right")]
    annotations = [
        {"x": x, "y": 1, "yref": "paper", "xanchor": anchor, "text": text, "font": {"size": 12, "color": _INDEPENDENT}}
        for text, x, anchor in ends
    ]
    bands = [
        {
            "type": "rect",
            "layer": "below",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": row - 0.5,
            "y1": row + 0.5,
            "line": {"width": 0},
            "fillcolor": _BAND,
        }
        for row in range(0, len(drawn), 2)
    ]
    layout = {
        "hovermode": "closest",
        "showlegend": False,
        "margin": {"t": _ABOVE},
        "annotations": annotations,
        "shapes": bands,
        "xaxis": {"range": [-0.03, 1.03], "showticklabels": False, "ticks": "", "showgrid": False},
        "yaxis": {
            "range": [len(drawn) - 0.5, -0.5],
            "tickvals": list(range(len(drawn))),
            "ticktext": ["<br>".join(escaped(line) for line in lines) for lines in labels],
            "showgrid": False,
        },
    }
    same = [METRICS[name].title for name in metrics if name not in drawn]
    caption = f"{title}: each row has a scale of its own, better to the right; arms are 95 % intervals."
    if same:
        caption += f" Not drawn, because there is nothing to tell apart: {', '.join(same)}."
    wins = [(table, sum(table in comparison.best(name) for name in drawn)) for table in tables]
    said = ", ".join(f"{table} in {count}" for table, count in wins)
    alternative = (
        f"Dot plot of {counted(len(drawn), 'score')} of {counted(len(tables), 'table')} beside real rows and"
        f" independent columns; the numbers are in the table above it. Best or not clearly worse: {said}."
    )
    return Figure(
        identifier=identifier,
        heading="",
        caption=caption,
        alternative=alternative,
        height=_ABOVE + 10 + height * len(drawn),
        data=data,
        layout=layout,
    )


def _scale(comparison: Comparison, metric: str) -> Scale | None:
    """Return the scale of a row, or None where its scores do not tell which table is better."""
    scores = [score for table in comparison.names if (score := _score(comparison, table, metric)) is not None]
    if not scores or (len(comparison.names) > 1 and not comparison.best(metric)):
        return None
    return scale_of(scores, METRICS[metric].ideal)


def _score(comparison: Comparison, table: str, metric: str) -> Score | None:
    score = comparison[table].scores.get(metric)
    return score if score is not None and score.applies else None


def _controls(comparison: Comparison, drawn: dict[str, Scale]) -> list[dict[str, Any]]:
    """Draw a bar through each row where its control stands: whole for real rows, of dots for independent columns."""
    traces: list[dict[str, Any]] = []
    names = ("independent columns", "real rows")
    lines = ({"color": _INDEPENDENT, "width": 2, "dash": "dot"}, {"color": REAL_LINE, "width": 3})
    for name, line, which in zip(names, lines, (1, 0), strict=True):
        x: list[float | None] = []
        y: list[float | None] = []
        texts: list[str] = []
        for row, (metric, scale) in enumerate(drawn.items()):
            value = comparison.controls(metric)[which]
            place = scale.place(value)
            if not math.isnan(place):
                x += [rounded(place), rounded(place), None]
                y += [row - 0.42, row + 0.42, None]
                texts += [f"{name}<br>{escaped(METRICS[metric].title)}: {shown(value)}"] * 2 + [""]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": x,
                "y": y,
                "line": line,
                "hovertext": texts,
                "hoverinfo": "text",
            }
        )
    return traces


def _trace(comparison: Comparison, table: str, drawn: dict[str, Scale], offset: float, mark: Mark) -> dict[str, Any]:
    """Draw one mark with its interval in each row."""
    places, rights, lefts, texts = [], [], [], []
    for metric, scale in drawn.items():
        score = _score(comparison, table, metric)
        place = scale.place(score.value) if score is not None else math.nan
        worse, better = scale.interval(score) if score is not None else (math.nan, math.nan)
        places.append(place)
        rights.append(better - place)
        lefts.append(place - worse)
        said = f"{shown(score.value)} ({interval(score.low, score.high)})" if score is not None else ""
        texts.append(f"{escaped(table)}<br>{escaped(METRICS[metric].title)}: {said}")
    arms = {
        "type": "data",
        "symmetric": False,
        "array": numbers(rights),
        "arrayminus": numbers(lefts),
        "color": mark.colour,
        "thickness": 2,
        "width": 0,
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escaped(table),
        "x": numbers(places),
        "y": [round(row + offset, 3) for row in range(len(drawn))],
        "error_x": arms,
        "marker": {"symbol": mark.form, "size": 9, "color": mark.colour, "line": {"width": 1, "color": _INK}},
        "hovertext": texts,
        "hoverinfo": "text",
    }
