"""Curves of a report as pictures that need no script: intensities in real units, and power by frequency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from synthkit.evaluation.intervals import Floats
from synthkit.evaluation.report.contents import Table
from synthkit.evaluation.scans.records import Curve
from synthkit.evaluation.told import number

_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 12, 46
_MOST_BINS = 96
_MOST_ROWS = 24
_TICKS = 5
_LINES = (("real", "#0072B2", "7 0"), ("held-out", "#566070", "2 4"), ("synthetic", "#d55e00", "8 4"))
_NAMES = {"real": "training scans", "held-out": "held-out scans", "synthetic": "synthetic scans"}


@dataclass(frozen=True)
class Drawn:
    """A picture of curves.

    Attributes
    ----------
    title
        What it shows.
    svg
        The picture.
    caption
        How to read it.
    table
        The same as numbers.
    """

    title: str
    svg: Markup
    caption: str
    table: Table


def histogram_drawn(curve: Curve, units: str) -> Drawn:
    """Return the distribution of values in real units.

    Parameters
    ----------
    curve
        Share of the values in each bin.
    units
        Unit of the values.
    """
    step = max(1, math.ceil(len(curve.x) / _MOST_BINS))
    x = np.array([curve.x[start : start + step].mean() for start in range(0, len(curve.x), step)])
    lines = {
        name: np.array([values[start : start + step].sum() for start in range(0, len(values), step)]) * 100
        for name, values in _named(curve)
    }
    # One bin of background can hold most values: the axis ends at the fourth largest bin, and taller ones are cut.
    tops = np.sort(np.concatenate([values for values in lines.values()]))
    top = float(max(tops[-min(len(tops), 10)] * 1.15, tops.max() * 0.02))
    cut = tops[-1] > top
    label = f"intensity{f' in {units}' if units else ''}"
    svg = _svg(x, lines, (0.0, top), label, "% of values")
    caption = f"Share of all values by {label}, in {len(x)} bins."
    if cut:
        caption += " The tallest bins, mostly background, are cut off; the table has them."
    return Drawn("Intensities", svg, caption, _table("Share of values in %", label, x, lines))


def spectrum_drawn(curve: Curve) -> Drawn:
    """Return radial power by frequency."""
    lines = dict(_named(curve))
    every = np.concatenate(list(lines.values()))
    low, high = float(every.min()), float(every.max())
    room = max(1.0, 0.05 * (high - low))
    svg = _svg(curve.x, lines, (low - room, high + room), "cycles per sample", "dB")
    caption = (
        "Radial power spectrum. Synthetic scans below real ones at the right are blurred; above them, they are noisy "
        "or have a grid."
    )
    return Drawn("Power spectrum", svg, caption, _table("Power in dB", "cycles per sample", curve.x, lines))


def _named(curve: Curve) -> Sequence[tuple[str, Floats]]:
    return (("real", curve.real), ("held-out", curve.held_out), ("synthetic", curve.synthetic))


def _table(caption: str, head: str, x: Floats, lines: dict[str, Floats]) -> Table:
    step = max(1, math.ceil(len(x) / _MOST_ROWS))
    rows = tuple(
        (number(float(x[place])), *(number(float(values[place])) for values in lines.values()))
        for place in range(0, len(x), step)
    )
    return Table(caption, (head, *(_NAMES[name] for name in lines)), rows)


def _svg(x: Floats, lines: dict[str, Floats], ends: tuple[float, float], across: str, up: str) -> Markup:
    """Return curves with axes and a key as SVG."""
    low, high = float(x[0]), float(x[-1]) if x[-1] > x[0] else float(x[0]) + 1
    bottom, top = ends
    wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(horizontal: float, vertical: float) -> str:
        left = _LEFT + wide * (horizontal - low) / (high - low)
        over = _TOP + tall * (1 - (min(max(vertical, bottom), top) - bottom) / (top - bottom))
        return f"{left:.1f} {over:.1f}"

    said = f"{across} against {up} of " + ", ".join(_NAMES[name] for name in lines)
    parts = [f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">']
    for tick in _ticks(bottom, top):
        over = place(low, tick).split()[1]
        parts.append(f'<path d="M{_LEFT} {over}H{_WIDTH - _RIGHT}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{over}" dy=".32em" text-anchor="end">{_short(tick)}</text>')
    for tick in _ticks(low, high):
        left = place(tick, bottom).split()[0]
        parts.append(f'<text x="{left}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{_short(tick)}</text>')
    parts.append(f'<path d="M{_LEFT} {_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}" class="axis"/>')
    middle = _LEFT + wide / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>')
    parts.append(
        f'<text x="14" y="{_TOP + tall / 2}" text-anchor="middle" transform="rotate(-90 14 {_TOP + tall / 2})">'
        f"{escape(up)}</text>"
    )
    for name, colour, dash in _LINES:
        points = "L".join(place(float(a), float(b)) for a, b in zip(x, lines[name], strict=True))
        parts.append(f'<path d="M{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
    parts.append("</svg>")
    return Markup("".join(parts))


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two ends."""
    raw = (high - low) / _TICKS
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [place * step for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _short(value: float) -> str:
    return f"{value:,.6g}".replace("-", "−")
