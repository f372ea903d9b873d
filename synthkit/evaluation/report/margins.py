"""Figures of the margins of one column: a histogram of a number or date, pairs of bars of anything else."""

from __future__ import annotations

import math
from typing import Any

from synthkit.evaluation.pictures import ColumnPicture
from synthkit.evaluation.report.contents import column_table, largest_gap, percent, shown
from synthkit.evaluation.report.figures import REAL, SYNTHETIC, Figure, escaped, named_ticks, numbers, rounded

_MILLISECOND = 1e6
_NOTHING: dict[str, Any] = {
    "xaxis": {"visible": False},
    "yaxis": {"visible": False},
    "annotations": [{"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "text": "no value in either table"}],
}


def column_figure(picture: ColumnPicture, place: int) -> Figure:
    """Return the margins of a column: a histogram of a number or date, pairs of bars of anything else.

    Parameters
    ----------
    picture
        The margins.
    place
        Makes the id of the figure.
    """
    gap = largest_gap(picture)
    missing = " and ".join(percent(share) for share in picture.missing)
    caption = f"{picture.kind.capitalize()}; error {shown(picture.error)}."
    if gap and picture.real == picture.synthetic:
        caption += " Both margins are the same."
    elif gap:
        digits = 1 if abs(gap[1] - gap[2]) > 0.005 else 2
        shares = [percent(share, digits=digits) for share in gap[1:]]
        caption += f" Largest gap at {gap[0]}: {shares[0]} of real, {shares[1]} of synthetic values."
    else:
        caption += " There is no value in either table."
    if any(picture.missing):
        caption += f" Missing: {missing} of real and synthetic cells."
    drawn = _histogram(picture) if picture.edges else _bars(picture) if picture.labels else ([], _NOTHING)
    form = "Histogram" if picture.edges else "Bar chart"
    return Figure(
        identifier=f"column-{place}",
        heading=picture.name,
        caption=caption,
        alternative=f"{form} of {picture.name}, real against synthetic values. {caption}",
        height=250 if picture.edges else 66 + max(2, len(picture.labels)) * (25 if len(picture.labels) <= 8 else 20),
        data=drawn[0],
        layout=drawn[1],
        table=column_table(picture),
    )


def _histogram(picture: ColumnPicture) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Draw real values as bars and synthetic ones as a step line; a bin without an end stands apart from the others."""
    unit = _MILLISECOND if picture.kind == "date" else 1.0
    inner = [edge / unit for edge in picture.edges if math.isfinite(edge)]
    width = inner[1] - inner[0]
    lefts = [edge / unit for edge in picture.edges[:-1]]
    lefts = [inner[0] - 2 * width if edge == -math.inf else edge for edge in lefts]
    if picture.edges[-1] == math.inf:
        lefts[-1] = inner[-1] + width
    # Dates are counted in milliseconds, of which four digits would be a few years.
    digits = 15 if picture.kind == "date" else 9
    steps_x: list[float] = []
    steps_y: list[float] = []
    for left, share in zip(lefts, picture.synthetic, strict=True):
        if not steps_x or left > steps_x[-1] + width / 2:
            steps_x += [*([steps_x[-1]] if steps_x else []), left]
            steps_y += [0.0] * (2 if len(steps_x) > 2 else 1)
        steps_x += [left, left + width]
        steps_y += [share, share]
    steps_x.append(steps_x[-1])
    steps_y.append(0.0)
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": "real",
            "x": [rounded(left + width / 2, digits) for left in lefts],
            "y": numbers(picture.real),
            "width": rounded(width, digits),
            "hovertext": _hover(picture),
            "hoverinfo": "text",
            "marker": {"color": REAL, "line": {"width": 0}},
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "synthetic",
            "x": [rounded(value, digits) for value in steps_x],
            "y": numbers(steps_y),
            "hoverinfo": "skip",
            "line": {"color": SYNTHETIC, "width": 1.75},
        },
    ]
    horizontal: dict[str, Any] = {"type": "date" if picture.kind == "date" else "linear"}
    open_ends = [place for place in (0, -1) if math.isinf(picture.edges[place])]
    if open_ends:
        horizontal |= _ticks(inner[0], inner[-1], date=picture.kind == "date")
    annotations = [
        {
            "x": rounded(lefts[place] + (0 if place == 0 else width), digits),
            "y": rounded(max(picture.real[place], picture.synthetic[place])),
            "xanchor": "left" if place == 0 else "right",
            "text": escaped(picture.labels[place]),
        }
        for place in open_ends
    ]
    vertical = {"tickformat": ".0%" if max(*picture.real, *picture.synthetic) > 0.05 else ".1%", "rangemode": "tozero"}
    return data, {"xaxis": horizontal, "yaxis": vertical, "annotations": annotations}


def _ticks(low: float, high: float, *, date: bool) -> dict[str, Any]:
    """Return about five ticks between the ends of the closed bins: none may stand below an open one."""
    if date:
        values = [low + part * (high - low) / 3 for part in range(4)]
        return {"tickvals": values, "tickformat": "%Y-%m-%d"}
    step = 10 ** math.floor(math.log10((high - low) / 5))
    step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= (high - low) / 6)
    first = math.ceil(low / step - 1e-9)
    return {"tickvals": [rounded(place * step, 9) for place in range(first, math.floor(high / step + 1e-9) + 1)]}


def _bars(picture: ColumnPicture) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Draw a pair of horizontal bars for each category, the first on top."""
    places = list(range(len(picture.labels)))
    common = {"type": "bar", "orientation": "h", "y": places, "hovertext": _hover(picture), "hoverinfo": "text"}
    data: list[dict[str, Any]] = [
        common | {"name": "real", "x": numbers(picture.real), "marker": {"color": REAL}},
        common
        | {
            "name": "synthetic",
            "x": numbers(picture.synthetic),
            "marker": {"color": SYNTHETIC},
            "hoverinfo": "text",
        },
    ]
    layout = {
        "barmode": "group",
        "bargap": 0.3,
        "hovermode": "y",
        "xaxis": {"tickformat": ".0%", "rangemode": "tozero", "showgrid": True},
        "yaxis": named_ticks(picture.labels) | {"autorange": "reversed", "showgrid": False},
    }
    return data, layout


def _hover(picture: ColumnPicture) -> list[str]:
    return [
        f"{escaped(label)}<br>real {percent(real)}<br>synthetic {percent(synthetic)}"
        for label, real, synthetic in zip(picture.labels, picture.real, picture.synthetic, strict=True)
    ]
