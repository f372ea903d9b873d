"""The figures of a report: what plotly draws, and the words that say the same.

Colours are those of Okabe and Ito, which people with colour blindness can tell apart; real and synthetic differ in
lightness and form too, so that a grey print can be read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthkit.evaluation.pictures import Pictures
from synthkit.evaluation.records import Evaluation
from synthkit.evaluation.report.contents import (
    Table,
    association_table,
    interval,
    percent,
    shown,
)
from synthkit.evaluation.report.details import giveaway_table, giveaways

REAL, REAL_LINE, SYNTHETIC, BEHIND = "#9ecae9", "#0072B2", "#D55E00", "#d5d9de"
_DIGITS = 4
_MOST_LETTERS = 22
_MOST_GIVEAWAYS = 20
_WIDE_MATRIX = 20
_FALSE_POSITIVE_RATES = (0.01, 0.05, 0.1, 0.25, 0.5)


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes
    ----------
    identifier
        Its id in the page.
    heading
        What is above it; empty where the section says it.
    caption
        What everybody reads below it.
    alternative
        What it shows, in words with numbers, for those who do not see it.
    height
        In pixels.
    data, layout
        What plotly draws.
    table
        The same as numbers.
    """

    identifier: str
    heading: str
    caption: str
    alternative: str
    height: int
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    table: Table | None = None


def association_figures(pictures: Pictures) -> list[Figure]:
    """Return the heat-maps of the association of pairs of columns: real, synthetic, difference."""
    names = pictures.associated
    if not names:
        return []
    real, synthetic = (np.array(matrix) for matrix in (pictures.real_association, pictures.synthetic_association))
    difference = synthetic - real
    bound = max(0.05, float(np.nanmax(np.abs(difference), initial=0.0)))
    off = ~np.eye(len(names), dtype=bool)
    table = association_table(pictures)
    figures = []
    for kind, matrix in (("real", real), ("synthetic", synthetic)):
        said = f"Association of each pair of {len(names)} columns in the {kind} table: 0 is none, 1 is complete."
        strongest = _strongest(names, np.where(off, matrix, np.nan))
        figures.append(_heatmap(f"association-{kind}", kind.capitalize(), said, strongest, names, matrix, (0.0, 1.0)))
    mean = float(np.nanmean(np.abs(difference[off]))) if np.isfinite(difference[off]).any() else math.nan
    said = f"Synthetic minus real; orange is more association than in the real table. Mean absolute {shown(mean)}."
    strongest = _strongest(names, np.where(off, difference, np.nan))
    last = _heatmap("association-difference", "Difference", said, strongest, names, difference, (-bound, bound))
    return [*figures, Figure(**(vars(last) | {"table": table}))]


def _strongest(names: Sequence[str], matrix: Any) -> str:
    """Return the pair with the largest entry in words."""
    if not np.isfinite(matrix).any():
        return ""
    first, second = np.unravel_index(int(np.nanargmax(np.abs(matrix))), matrix.shape)
    return f"Largest: {names[int(first)]} and {names[int(second)]}, {shown(float(matrix[first, second]))}."


def _heatmap(
    identifier: str,
    heading: str,
    said: str,
    strongest: str,
    names: Sequence[str],
    matrix: Any,
    ends: tuple[float, float],
) -> Figure:
    diverging = ends[0] < 0
    places = list(range(len(names)))
    colours = [[0, REAL_LINE], [0.5, "#ffffff"], [1, SYNTHETIC]] if diverging else [[0, "#ffffff"], [1, "#08306b"]]
    data: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "x": places,
            "y": places,
            "z": [[None if math.isnan(value) else round(float(value), 3) for value in row] for row in matrix.tolist()],
            "zmin": rounded(ends[0]),
            "zmax": rounded(ends[1]),
            "colorscale": colours,
            "xgap": 1 if len(names) <= _WIDE_MATRIX else 0,
            "ygap": 1 if len(names) <= _WIDE_MATRIX else 0,
            "hovertemplate": "%{x}<br>%{y}<br>%{z:.3f}<extra></extra>",
            "colorbar": {
                "orientation": "h",
                "y": 1.01,
                "yanchor": "bottom",
                "thickness": 8,
                "len": 1,
                "outlinewidth": 0,
                "ticklabelposition": "outside top",
                "tickfont": {"size": 11},
                "nticks": 5,
            },
        }
    ]
    labelled = named_ticks(names) | {"showgrid": False, "tickfont": {"size": 11 if len(names) <= _WIDE_MATRIX else 8}}
    layout = {
        "hovermode": "closest",
        "xaxis": labelled | {"tickangle": -90},
        "yaxis": labelled | {"autorange": "reversed"},
        "margin": {"t": 8},
    }
    height = 400 if len(names) <= _WIDE_MATRIX else 160 + 12 * len(names)
    caption = f"{said} {strongest}".strip()
    return Figure(identifier, heading, caption, f"Heat map. {caption}", height, data, layout)


def projection_figures(pictures: Pictures) -> list[Figure]:
    """Return two scatters in the same plane: real points in front of synthetic ones, and the other way round."""
    if not pictures.projection:
        return []
    points = {kind: np.array(pictures.projection[kind]) for kind in ("real", "synthetic")}
    both = np.vstack(list(points.values()))
    low, high = both.min(axis=0), both.max(axis=0)
    margin = 0.05 * np.where(high > low, high - low, 1.0)
    shares = [f" ({percent(share)} of variance)" for share in pictures.explained] or ["", ""]
    axes = [
        {"range": [rounded(float(start)), rounded(float(end))], "title": {"text": f"component {place + 1}{share}"}}
        for place, (start, end, share) in enumerate(zip(low - margin, high + margin, shares, strict=True))
    ]
    layout = {"xaxis": axes[0] | {"zeroline": False}, "yaxis": axes[1] | {"zeroline": False}, "hovermode": False}
    table = _projection_table(points)
    figures = []
    for kind, other in (("real", "synthetic"), ("synthetic", "real")):
        centre = " and ".join(shown(float(value)) for value in points[kind].mean(axis=0))
        spread = " and ".join(shown(float(value)) for value in points[kind].std(axis=0))
        colours = {kind: REAL_LINE if kind == "real" else SYNTHETIC, other: BEHIND}
        caption = f"{len(points[kind]):,} {kind} rows in colour, as many {other} ones in grey behind them."
        data: list[dict[str, Any]] = [
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [rounded(value, 3) for value in points[name][:, 0].tolist()],
                "y": [rounded(value, 3) for value in points[name][:, 1].tolist()],
                "marker": {"color": colours[name], "size": 4, "opacity": 0.9 if name == other else 0.55},
                "hoverinfo": "skip",
            }
            for name in (other, kind)
        ]
        said = f"Scatter plot. {caption} The {kind} rows have their centre at {centre}, standard deviations {spread}."
        last = table if kind == "synthetic" else None
        figures.append(Figure(f"projection-{kind}", kind.capitalize(), caption, said, 380, data, layout, last))
    return figures


def _projection_table(points: dict[str, Any]) -> Table:
    rows = []
    for word, made in (("mean", np.mean), ("standard deviation", np.std)):
        real, synthetic = (made(points[kind], axis=0) for kind in ("real", "synthetic"))
        for place in range(2):
            cells = shown(float(real[place])), shown(float(synthetic[place]))
            rows.append((f"{word}, component {place + 1}", *cells))
    return Table("Centre and spread of the projected rows", ("", "real", "synthetic"), tuple(rows))


def roc_figure(evaluation: Evaluation) -> Figure | None:
    """Return the ROC curve of the boosted two-sample test, or None where there is none."""
    pictures, score = evaluation.pictures, evaluation.scores.get("c2st_tree")
    if pictures is None or score is None or not len(pictures.roc[0]):
        return None
    false, true = pictures.roc
    found = [(rate, float(np.interp(rate, false, true))) for rate in _FALSE_POSITIVE_RATES]
    caption = (
        f"Area {shown(score.value)} ({interval(score.low, score.high)}). At a false positive rate of 10 % the true"
        f" positive rate is {percent(found[2][1])}; guessing gives 10 %."
    )
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 1],
            "y": [0, 1],
            "line": {"color": "#6b7280", "dash": "dash", "width": 1},
            "name": "guessing",
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "x": numbers(false),
            "y": numbers(true),
            "name": "boosted trees",
            "line": {"color": SYNTHETIC, "width": 2},
            "hovertemplate": "false positives %{x:.1%}<br>true positives %{y:.1%}<extra></extra>",
        },
    ]
    layout = {
        "hovermode": "closest",
        "margin": {"r": 20},
        "xaxis": {"range": [0, 1], "dtick": 0.25, "tickformat": ".0%", "title": {"text": "false positive rate"}},
        "yaxis": {"range": [0, 1.01], "dtick": 0.25, "tickformat": ".0%", "title": {"text": "true positive rate"}},
    }
    rows = tuple((percent(rate), percent(share)) for rate, share in found)
    table = Table("Points of the ROC curve", ("false positive rate", "true positive rate"), rows)
    said = f"ROC curve of the boosted two-sample test beside the diagonal of guessing. {caption}"
    return Figure("roc", "ROC curve of the boosted trees", caption, said, 380, data, layout, table)


def giveaway_figure(evaluation: Evaluation) -> Figure | None:
    """Return the columns that give synthetic rows away with their intervals, or None where that is unknown."""
    found = giveaways(evaluation)[:_MOST_GIVEAWAYS]
    if not found:
        return None
    names, values, lows, highs = zip(*found, strict=True)
    caption = (
        "How much the AUC of boosted trees falls without one column, with 95 % interval; 0 means that nothing is lost."
        f" First: {names[0]}, {shown(values[0])}."
    )
    spread = {
        "type": "data",
        "symmetric": False,
        "array": numbers([high - value for high, value in zip(highs, values, strict=True)]),
        "arrayminus": numbers([value - low for low, value in zip(lows, values, strict=True)]),
        "color": "#374151",
        "thickness": 1.25,
        "width": 3,
    }
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": numbers(values),
            "y": list(range(len(names))),
            "error_x": spread,
            "marker": {"color": SYNTHETIC, "size": 9},
            "hovertemplate": "%{y}: %{x:.4f}<extra></extra>",
            "showlegend": False,
        }
    ]
    layout = {
        "hovermode": "closest",
        "xaxis": {"zeroline": True, "zerolinecolor": "#374151", "title": {"text": "loss of AUC"}},
        "yaxis": named_ticks(names) | {"autorange": "reversed", "showgrid": True},
    }
    said = f"Dot plot of {len(names)} columns. {caption}"
    heading, height = "Columns that give synthetic rows away", 110 + 24 * len(names)
    return Figure("giveaways", heading, caption, said, height, data, layout, giveaway_table(evaluation))


def escaped(text: str) -> str:
    """Return a text for plotly, which reads tags and entities in whatever it prints."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")


def named_ticks(names: Sequence[str]) -> dict[str, Any]:
    """Return ticks that are names, at 0, 1, 2 and so on: two long ones may be cut to the same."""
    cut = [name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 1] + "…" for name in names]
    return {"tickvals": list(range(len(names))), "ticktext": [escaped(name) for name in cut], "zeroline": False}


def rounded(value: float, digits: int = _DIGITS) -> float:
    """Return a number with few digits: a page holds thousands of them."""
    return float(f"{value:.{digits}g}")


def numbers(values: Sequence[float]) -> list[float | None]:
    """Return numbers with few digits, None in place of NaN."""
    return [None if math.isnan(value) else rounded(float(value)) for value in values]
