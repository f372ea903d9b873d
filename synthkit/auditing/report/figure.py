"""The small picture of a risk: its interval on a scale, with the baseline and both controls marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from synthkit.auditing.records import Estimate, Risk

WIDTH = 200.0
_MARGIN = 8.0
# A scale is never narrower than this: sampling noise alone would fill it and look like something.
_NARROWEST = 0.02
# A positive control further out than so many times the rest stands at the edge: else nobody could see the rest.
_ROOM = 2.0


@dataclass(frozen=True)
class Axis:
    """A linear scale from `start` at the left to `end` at the right.

    Attributes
    ----------
    start, end
        Values at the ends.
    """

    start: float
    end: float

    def place(self, value: float) -> float | None:
        """Return where a value stands, in units of the picture; None for NaN and for what is infinite."""
        if not math.isfinite(value):
            return None
        share = (value - self.start) / (self.end - self.start)
        return round(_MARGIN + (WIDTH - 2 * _MARGIN) * min(max(share, 0.0), 1.0), 1)


@dataclass(frozen=True)
class Strip:
    """Where the marks of a picture stand, in units of it; None for what there is not.

    Attributes
    ----------
    axis
        The scale.
    value, low, high, baseline, positive, negative
        Places.
    positive_beyond
        Whether the positive control is really further to the right than the scale reaches.
    """

    axis: Axis
    value: float
    low: float | None
    high: float | None
    baseline: float | None
    positive: float | None
    negative: float | None
    positive_beyond: bool = False


def axis_of(risks: Sequence[Risk]) -> Axis | None:
    """Return one scale for the first measure of several risks, or None where none of them has a value.

    Parameters
    ----------
    risks
        Risks with the same first measure, so that their pictures compare.
    """
    points = [point for risk in risks for point in _points(risk)]
    if not points:
        return None
    start, end = min(points), max(points)
    if end - start < _NARROWEST:
        middle = (start + end) / 2
        start, end = middle - _NARROWEST / 2, middle + _NARROWEST / 2
    caught = [_value(risk.positive) for risk in risks if math.isfinite(_value(risk.positive))]
    furthest = max([end, *caught])
    return Axis(min([start, *caught]), min(furthest, start + _ROOM * (end - start)))


def strip(risk: Risk, axis: Axis | None) -> Strip | None:
    """Return the picture of a risk, or None where it has no value.

    Parameters
    ----------
    risk
        Its first measure is drawn.
    axis
        The scale.
    """
    own, caught = risk.headline, _value(risk.positive)
    value = axis.place(own.value) if axis is not None else None
    if axis is None or value is None:
        return None
    return Strip(
        axis,
        value,
        axis.place(own.low),
        axis.place(own.high),
        axis.place(own.baseline),
        axis.place(caught),
        axis.place(_value(risk.negative)),
        positive_beyond=caught > axis.end,
    )


def _points(risk: Risk) -> list[float]:
    own = risk.headline
    if not math.isfinite(own.value):
        return []
    found = (own.value, own.low, own.high, own.baseline, _value(risk.negative))
    return [point for point in found if math.isfinite(point)]


def _value(control: Estimate | None) -> float:
    return control.value if control is not None else math.nan
