"""Coverage: whether synthetic rows lie where real rows lie, and reach all of them.

Improved precision and recall of Kynkaanniemi et al. (2019), density and coverage of Naeem et al. (2020), in the
standardised indicator view.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from synthkit.evaluation.case import Case
from synthkit.evaluation.intervals import mean_interval
from synthkit.evaluation.metric import KYNKAANNIEMI, NAEEM, Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView

N_NEIGHBOURS = 5
MOST_ROWS = 5000
NAMES = ("precision", "recall", "density", "coverage")


def coverage_scores(
    view: TableView,
    real: CodedTable,
    synthetic: CodedTable,
    generator: np.random.Generator,
    *,
    n_neighbours: int = N_NEIGHBOURS,
    most_rows: int = MOST_ROWS,
) -> dict[str, Score]:
    """Return precision, recall, density and coverage.

    The ball of a row reaches to its `n_neighbours`-th nearest neighbour of its own kind.

    - precision: share of synthetic rows inside the ball of a real row;
    - recall: share of real rows inside the ball of a synthetic row;
    - density: number of real balls around a synthetic row, divided by `n_neighbours` (may exceed 1);
    - coverage: share of real rows with a synthetic row in their ball.

    Parameters
    ----------
    view
        How columns are read.
    real, synthetic
        The rows.
    generator
        Draws at most `most_rows` of either kind.
    n_neighbours
        Which neighbour sets the size of a ball.
    most_rows
        At most this many rows of either kind: the cost is quadratic.
    """
    from sklearn.metrics import pairwise_distances

    drawn = [table.take(generator.permutation(len(table))[:most_rows]) for table in (real, synthetic)]
    n_neighbours = min(n_neighbours, *(len(table) - 1 for table in drawn))
    n = len(drawn[1])
    if n_neighbours < 1:
        return {
            name: Score(float("nan"), n=n, direction="higher", note="needs two rows of either kind") for name in NAMES
        }
    points = [view.linear(table) for table in drawn]
    real_radius, synthetic_radius = (_radius(rows, n_neighbours) for rows in points)
    distances = pairwise_distances(points[0], points[1])
    in_real_ball = distances < real_radius[:, None]
    per_row = {
        "precision": in_real_ball.any(axis=0),
        "recall": (distances < synthetic_radius[None]).any(axis=1),
        "density": in_real_ball.sum(axis=0) / n_neighbours,
        "coverage": distances.min(axis=1) < real_radius,
    }
    scores = {}
    for name, values in per_row.items():
        value, low, high = mean_interval(values)
        scores[name] = Score(value, max(0.0, low), high, n=n, direction="higher")
    return scores


def _radius(points: Any, n_neighbours: int) -> Any:
    """Return the distance of each point to its n-th nearest other point."""
    from sklearn.neighbors import NearestNeighbors

    # The nearest of all is the point itself.
    return NearestNeighbors(n_neighbors=n_neighbours + 1).fit(points).kneighbors(points)[0][:, -1]


def _scored(name: str) -> Callable[[Case], Score]:
    """Return the function that computes one of the four scores; they share their distances."""

    def compute(case: Case) -> Score:
        four = case.share(
            "coverage",
            lambda: coverage_scores(
                case.view,
                case.train.coded,
                case.synthetic.coded,
                case.generator(),
                most_rows=case.limits.neighbours,
            ),
        )
        return four[name]

    return compute


_ROWS = "at most 5,000 rows of either kind"
METRICS = (
    Metric(
        name="precision",
        theme="coverage",
        title="precision",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=KYNKAANNIEMI,
        meaning="{percent} of synthetic rows lie where real rows lie.",
        reading="Share of synthetic rows that lie inside the ball of a real row; the ball reaches to its fifth "
        "nearest real neighbour.",
        lies="A single outlier makes a large ball. A generator that repeats one typical row scores 1. It depends on "
        "how columns are scaled.",
        good="As the ceiling. Clearly above it, the generator avoids rare rows.",
        rows=_ROWS,
        compute=_scored("precision"),
    ),
    Metric(
        name="recall",
        theme="coverage",
        title="recall",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=KYNKAANNIEMI,
        meaning="{percent} of real rows lie where synthetic rows lie.",
        reading="Share of real rows that lie inside the ball of a synthetic row.",
        lies="Scattered synthetic rows have large balls: independent columns come out well.",
        good="As the ceiling.",
        rows=_ROWS,
        compute=_scored("recall"),
    ),
    Metric(
        name="density",
        theme="coverage",
        title="density",
        direction="higher",
        bounds=(0.0, math.inf),
        ideal=1.0,
        source=NAEEM,
        meaning="Synthetic rows lie in real neighbourhoods {value} times as densely as expected.",
        reading="Number of real balls around a synthetic row, divided by five: precision that one outlier cannot "
        "raise.",
        lies="Above 1 for a generator that repeats typical rows: that is not better than 1.",
        good="As the ceiling, near 1.",
        rows=_ROWS,
        compute=_scored("density"),
    ),
    Metric(
        name="coverage",
        theme="coverage",
        title="coverage",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=NAEEM,
        meaning="{percent} of real rows have a synthetic row nearby.",
        reading="Share of real rows with a synthetic row inside their ball: recall that scattered rows cannot raise.",
        lies="It needs as many synthetic as real rows; with fewer it is lower for any generator.",
        good="As the ceiling, near 0.97 for equally many rows.",
        rows=_ROWS,
        compute=_scored("coverage"),
    ),
)
