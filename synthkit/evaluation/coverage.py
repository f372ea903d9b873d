"""Coverage: whether synthetic rows lie where real rows lie, and reach all of them.

Improved precision and recall of Kynkaanniemi et al. (2019), density and coverage of Naeem et al. (2020), in the
standardised indicator view.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthkit.evaluation.case import Case
from synthkit.evaluation.intervals import LEVEL, Floats, mean_interval
from synthkit.evaluation.metric import KYNKAANNIEMI, NAEEM, Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView

N_NEIGHBOURS = 5
MOST_ROWS = 5000
# The value with ties decided by rounding, as in the scorer that published tables were made with.
AS_PUBLISHED = "ties left to rounding"
NAMES = ("precision", "recall", "density", "coverage")
# Distances of float32 features that differ by less than this, absolutely and relatively, are equal up to rounding.
ROUNDING = 1e-6
_CELL_ROWS = 20
_FEWEST_CELLS = 10
_WORTH_SAYING = 0.005

Values = npt.NDArray[np.float64] | npt.NDArray[np.bool_]


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
    drawn = [table.take(generator.permutation(len(table))[:most_rows]) for table in (real, synthetic)]
    n_neighbours = min(n_neighbours, *(len(table) - 1 for table in drawn))
    n = len(drawn[1])
    if n_neighbours < 1:
        return {
            name: Score(float("nan"), n=n, direction="higher", note="needs two rows of either kind") for name in NAMES
        }
    return point_scores(view.linear(drawn[0]), view.linear(drawn[1]), generator, n_neighbours=n_neighbours)


def point_scores(
    real: npt.NDArray[np.float32],
    synthetic: npt.NDArray[np.float32],
    generator: np.random.Generator,
    *,
    n_neighbours: int = N_NEIGHBOURS,
) -> dict[str, Score]:
    """Return precision, recall, density and coverage of points, as in `coverage_scores`.

    Parameters
    ----------
    real, synthetic
        Points, shape [points, dimensions]; more than `n_neighbours` of either kind.
    generator
        Draws the middles of the cells that the intervals rest on.
    n_neighbours
        Which neighbour sets the size of a ball.
    """
    from sklearn.metrics import pairwise_distances

    n = len(synthetic)
    points = (real, synthetic)
    radii = [_radius(rows, n_neighbours) for rows in points]
    distances = pairwise_distances(points[0], points[1])
    # A row exactly on the edge of a ball is outside by definition, but rounding may put it inside.
    shrunk = [radius - ROUNDING * (1 + radius) for radius in radii]
    strict = ball_values(distances, shrunk[0], shrunk[1], n_neighbours)
    rounded = ball_values(distances, radii[0], radii[1], n_neighbours)
    cells = dict.fromkeys(("recall", "coverage"), cells_of(distances, generator))
    cells |= dict.fromkeys(("precision", "density"), cells_of(distances.T, generator))
    return {name: _score(name, strict[name], float(rounded[name].mean()), cells[name], n) for name in NAMES}


def ball_values(
    distances: npt.NDArray[np.float32], real_radius: Floats, synthetic_radius: Floats, n_neighbours: int
) -> dict[str, Values]:
    """Return precision and density for each synthetic row, recall and coverage for each real row.

    Parameters
    ----------
    distances
        Of real from synthetic rows, shape [real rows, synthetic rows].
    real_radius, synthetic_radius
        Radius of the ball of each row.
    n_neighbours
        What density is divided by.
    """
    in_real_ball = distances < real_radius[:, None]
    return {
        "precision": in_real_ball.any(axis=0),
        "recall": (distances < synthetic_radius[None]).any(axis=1),
        "density": in_real_ball.sum(axis=0) / n_neighbours,
        "coverage": distances.min(axis=1) < real_radius,
    }


def cells_of(distances: npt.NDArray[np.float32], generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the cell of each row: which of a few rows of the other kind, drawn at random, is the nearest.

    Parameters
    ----------
    distances
        Of the rows from those of the other kind, shape [rows, other rows].
    generator
        Draws the middles of the cells.
    """
    n_rows, n_others = distances.shape
    middles = generator.permutation(n_others)[: n_cells(n_rows)]
    nearest: npt.NDArray[np.int64] = distances[:, middles].argmin(axis=1)
    return nearest


def n_cells(n_rows: int) -> int:
    """Return the number of cells for so many rows: of many rows, a cell has about four times as many as a ball."""
    return max(_FEWEST_CELLS, n_rows // _CELL_ROWS)


def cell_interval(values: Values, cells: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    """Return the mean of values of which those in the same cell depend on each other, and its interval.

    Rows that lie near each other share their neighbours, so that the interval of independent values is too short. Cells
    of near rows are nearly independent of each other. The interval reaches as far as either of the two.

    Parameters
    ----------
    values
        One value per row, shape [rows].
    cells
        The cell of each row, shape [rows].

    References
    ----------
    Liang and Zeger (1986), Biometrika 73: the variance of a mean of clusters.
    """
    value, low, high = mean_interval(values)
    sums = np.bincount(cells, weights=np.asarray(values, dtype=np.float64) - value)
    occupied = len(np.unique(cells))
    if occupied < 2:
        return value, low, high
    spread = float(np.sqrt(occupied / (occupied - 1) * (sums**2).sum())) / len(values)
    half = float(stats.t.ppf(0.5 + LEVEL / 2, occupied - 1)) * spread
    return value, min(low, value - half), max(high, value + half)


def _score(name: str, values: Values, rounded: float, cells: npt.NDArray[np.int64], n: int) -> Score:
    value, low, high = cell_interval(values, cells)
    note = ""
    if abs(rounded - value) > _WORTH_SAYING:
        note = (
            "many rows lie exactly on the edge of a ball and count as outside; scorers that leave that to rounding get "
            f"{rounded:.3f}"
        )
    high = high if name == "density" else min(1.0, high)
    details = {AS_PUBLISHED: rounded}
    return Score(value, max(0.0, low), high, n=n, direction="higher", note=note, details=details)


def _radius(points: npt.NDArray[np.float32], n_neighbours: int) -> Floats:
    """Return the distance of each point to its n-th nearest other point."""
    from sklearn.neighbors import NearestNeighbors

    # The nearest of all is the point itself.
    radius: Floats = NearestNeighbors(n_neighbors=n_neighbours + 1).fit(points).kneighbors(points)[0][:, -1]
    return radius


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
