"""Coverage: whether synthetic rows lie where real rows lie, and reach all of them.

Improved precision and recall of Kynkaanniemi et al. (2019), density and coverage of Naeem et al. (2020), in the
standardised indicator view.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synthkit.evaluation.intervals import mean_interval
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
