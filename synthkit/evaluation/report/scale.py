"""One linear scale for scores of the same kind, from the worst to the best of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from synthkit.evaluation.compare import badness, badness_ends
from synthkit.evaluation.records import Direction, Score


@dataclass(frozen=True)
class Scale:
    """A scale on which the worst of some numbers stands at 0 and the best at 1.

    Attributes
    ----------
    direction
        Which way is good.
    worst, best
        Badness of the two ends.
    """

    direction: Direction
    worst: float
    best: float

    def place(self, value: float) -> float:
        """Return where a value stands; NaN for NaN and for what is infinite."""
        return self._at(badness(value, self.direction))

    def interval(self, score: Score) -> tuple[float, float]:
        """Return where the worse and the better end of the interval of a score stand, NaN where it has none."""
        if math.isnan(score.low) or math.isnan(score.high):
            return math.nan, math.nan
        better, worse = badness_ends(score)
        return self._at(worse), self._at(better)

    def _at(self, bad: float) -> float:
        return (self.worst - bad) / (self.worst - self.best) if math.isfinite(bad) else math.nan


def scale_of(scores: Sequence[Score], ideal: float | None) -> Scale | None:
    """Return the scale on which scores, their controls and their intervals stand, or None where all of them agree.

    Parameters
    ----------
    scores
        Scores of one metric, all of which apply.
    ideal
        The value of tables from the very same source, to which the scale reaches; None where it is unknown.
    """
    direction = scores[0].direction
    values = [value for score in scores for value in (score.value, score.ceiling, score.floor)]
    points = [badness(value, direction) for value in (*values, *([] if ideal is None else [ideal]))]
    points = [point for point in points if math.isfinite(point)]
    if not points or not max(points) > min(points):
        # An interval alone would fill the scale and look like a large one.
        return None
    known = [*points, *(end for score in scores for end in badness_ends(score) if math.isfinite(end))]
    return Scale(direction, max(known), min(known))
