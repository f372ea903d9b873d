"""The figures of the report of gene expression: what plotly draws, and the words that say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.expression.margins import pearson
from synthkit.evaluation.expression.records import ExpressionPictures
from synthkit.evaluation.intervals import Floats
from synthkit.evaluation.report.figures import (
    REAL_LINE,
    SYNTHETIC,
    Figure,
    named_ticks,
    numbers,
    rounded,
)

# Okabe and Ito, then darker ones: neighbours in the list can be told apart without colours too, by their place.
_PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#8c6d31",
    "#5254a3",
    "#637939",
    "#7f7f7f",
)
_KINDS = (("held-out", "Held-out real cells"), ("synthetic", "Synthetic cells"))
_LARGEST_DOT = 16.0
_BLUES = [[0, "#f3f6fa"], [0.5, "#6aaed6"], [1, "#08306b"]]
_DIVERGING = [[0, REAL_LINE], [0.5, "#ffffff"], [1, SYNTHETIC]]


def component_figures(pictures: ExpressionPictures) -> list[Figure]:
    """Return cells of both kinds in the same plane: over each other, and either kind by type."""
    points = pictures.points
    both = np.vstack([points[kind] for kind, _ in _KINDS])
    low, high = both.min(axis=0), both.max(axis=0)
    margin = 0.05 * np.where(high > low, high - low, 1.0)
    axes = [
        {
            "range": [rounded(float(low[place] - margin[place])), rounded(float(high[place] + margin[place]))],
            "title": {"text": f"component {place + 1} ({100 * share:.1f} % of variance)"},
        }
        for place, share in enumerate(pictures.explained)
    ]
    if len(axes) < 2:
        return []
    layout = {"xaxis": axes[0], "yaxis": axes[1] | {"showgrid": False}, "hovermode": False, "margin": {"t": 44}}
    n = len(points["synthetic"])
    said = f"{n:,} synthetic over {n:,} held-out real cells, in components of both."
    over = [
        _dots(points[kind], name, colour) for (kind, name), colour in zip(_KINDS, (REAL_LINE, SYNTHETIC), strict=True)
    ]
    figures = [Figure("components", "Over each other", said, f"Scatter plot. {said}", 400, over, layout)]
    # More types than colours would look alike.
    if 1 < len(pictures.classes) <= len(_PALETTE):
        for kind, name in _KINDS:
            codes = pictures.point_classes[kind]
            data = [
                _dots(points[kind][codes == place], label, _PALETTE[place])
                for place, label in enumerate(pictures.classes)
            ]
            said = f"{name} by type."
            figures.append(Figure(f"components-{kind}", name, said, f"Scatter plot. {said}", 400, data, layout))
    return figures


def _dots(points: npt.NDArray[np.float32], name: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name.replace("<", "&lt;"),
        "x": numbers([float(value) for value in points[:, 0]]),
        "y": numbers([float(value) for value in points[:, 1]]),
        "marker": {"color": colour, "size": 4, "opacity": 0.5},
        "hoverinfo": "skip",
    }


def moment_figures(pictures: ExpressionPictures) -> list[Figure]:
    """Return variance by mean and share of zeros by mean of each gene, of both kinds."""
    scale: dict[str, Any] = {"type": "log", "dtick": 1, "exponentformat": "power"} if pictures.logarithmic else {}
    figures = []
    for identifier, place, title, heading in (
        ("mean-variance", 1, "variance", "Mean and variance of genes"),
        ("mean-zeros", 2, "share of zeros", "Mean and share of zeros of genes"),
    ):
        data = []
        for (kind, name), colour in zip(_KINDS, (REAL_LINE, SYNTHETIC), strict=True):
            mean, other = pictures.moments[kind][0], pictures.moments[kind][place]
            # A logarithmic axis has no place for 0.
            shown = (mean > 0) & (other > 0) if pictures.logarithmic and place == 1 else mean > -np.inf
            if pictures.logarithmic:
                shown &= mean > 0
            entry = _dots(np.column_stack([mean[shown], other[shown]]).astype(np.float32), name, colour)
            entry["marker"] |= {"size": 4, "opacity": 0.35}
            data.append(entry)
        layout = {
            "xaxis": scale | {"title": {"text": "mean"}},
            "yaxis": (scale if place == 1 else {"range": [-0.02, 1.02]}) | {"title": {"text": title}},
            "hovermode": False,
            "margin": {"t": 44},
        }
        said = "A dot is a gene. "
        if place == 1:
            said += "Synthetic dots below the real ones vary too little at their mean."
        else:
            gap = np.abs(pictures.moments["held-out"][2] - pictures.moments["synthetic"][2]).mean()
            said += f"Mean absolute gap of the share of zeros: {gap:.3g}."
        figures.append(Figure(identifier, heading, said, f"Scatter plot of genes. {said}", 400, data, layout))
    return figures


def correlation_figures(pictures: ExpressionPictures) -> list[Figure]:
    """Return heat-maps of the correlations of genes, both in the order in which real cells cluster them."""
    names = pictures.correlated
    if not names:
        return []
    above = np.triu_indices(len(names), 1)
    agreement = pearson(*(pictures.correlations[kind][above] for kind, _ in _KINDS))
    figures = []
    for kind, name in _KINDS:
        matrix = pictures.correlations[kind]
        strong = float((np.abs(matrix[above]) > 0.3).mean())
        said = (
            f"The {len(names)} most variable genes, in the order in which held-out cells cluster them."
            f" {100 * strong:.0f} % of pairs correlate beyond 0.3; with the other picture r is {agreement:.2f}."
        )
        data: list[dict[str, Any]] = [
            {
                "type": "heatmap",
                "x": list(names),
                "y": list(names),
                "z": [[round(float(value), 2) for value in row] for row in matrix],
                "zmin": -1,
                "zmax": 1,
                "colorscale": _DIVERGING,
                "hovertemplate": "%{x}<br>%{y}<br>%{z:.2f}<extra></extra>",
                "colorbar": _bar("correlation"),
            }
        ]
        hidden = {"type": "category", "showticklabels": False, "showgrid": False, "ticks": ""}
        layout = {"hovermode": "closest", "xaxis": hidden, "yaxis": hidden | {"autorange": "reversed"}}
        figures.append(Figure(f"correlations-{kind}", name, said, f"Heat map. {said}", 460, data, layout))
    return figures


def marker_figures(pictures: ExpressionPictures) -> list[Figure]:
    """Return dot plots of marker genes by type: size is the share of cells above 0, colour the mean."""
    if not pictures.markers:
        return []
    largest = max(float(np.nanmax(means, initial=0.0)) for means in pictures.marker_means.values()) or 1.0
    figures = []
    for kind, name in _KINDS:
        means, shares = pictures.marker_means[kind], pictures.marker_shares[kind]
        rows, columns = np.meshgrid(np.arange(means.shape[0]), np.arange(means.shape[1]), indexing="ij")
        said = (
            f"{len(pictures.markers)} markers of held-out cells, three of each type. Size: share of cells above 0;"
            " colour: mean of normalised logarithms, on the scale of both pictures."
        )
        data: list[dict[str, Any]] = [
            {
                "type": "scatter",
                "mode": "markers",
                "x": columns.ravel().tolist(),
                "y": rows.ravel().tolist(),
                "text": _texts(pictures, means, shares),
                "hovertemplate": "%{text}<extra></extra>",
                "showlegend": False,
                "marker": {
                    "size": [rounded(_LARGEST_DOT * float(share) ** 0.5) for share in np.nan_to_num(shares).ravel()],
                    "color": numbers([float(value) for value in np.nan_to_num(means).ravel()]),
                    "colorscale": _BLUES,
                    "cmin": 0,
                    "cmax": rounded(largest),
                    "line": {"color": "#9aa3af", "width": 0.5},
                    "colorbar": _bar("mean"),
                },
            }
        ]
        layout = {
            "hovermode": "closest",
            "xaxis": named_ticks(pictures.markers) | {"tickangle": -90, "range": [-0.7, len(pictures.markers) - 0.3]},
            "yaxis": named_ticks(pictures.classes) | {"range": [len(pictures.classes) - 0.4, -0.6]},
        }
        height = 190 + 24 * len(pictures.classes)
        figures.append(Figure(f"markers-{kind}", name, said, f"Dot plot. {said}", height, data, layout))
    return figures


def _texts(pictures: ExpressionPictures, means: Floats, shares: Floats) -> list[str]:
    """Return what is told of each dot."""
    labels: Sequence[str] = [label.replace("<", "&lt;") for label in pictures.classes]
    genes: Sequence[str] = [gene.replace("<", "&lt;") for gene in pictures.markers]
    return [
        f"{gene} in {label}: mean {means[row, column]:.2f}, {100 * shares[row, column]:.0f} % above 0"
        for row, label in enumerate(labels)
        for column, gene in enumerate(genes)
    ]


def _bar(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "side": "right"},
        "thickness": 8,
        "outlinewidth": 0,
        "tickfont": {"size": 11},
        "nticks": 5,
    }
