"""Alpha-precision, beta-recall and authenticity: typical rows, how many of them are reached, and how many are new.

The three scores of Alaa et al. (2022), How Faithful is Your Synthetic Data?, with the integration over all levels of
their reference implementation, which synthcity and the tables of TabSyn use. That implementation measures distances
after a one-class embedding, or, in the variant that most tables print, in the columns scaled to [0, 1]; here they are
measured in the standardised indicator view, as for precision and recall.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.case import Case
from synthkit.evaluation.coverage import MOST_ROWS, ROUNDING, cell_interval, n_cells
from synthkit.evaluation.intervals import Floats, groups_of, jackknife_interval
from synthkit.evaluation.metric import ALAA, Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView

FEWEST_ROWS = 10
NAMES = ("alpha_precision", "beta_recall", "authenticity")
_LEVELS: Floats = np.linspace(0, 1, 30)
# Rows whose distances to all others are in memory at once.
_CHUNK = 500


@dataclass(frozen=True)
class Nearest:
    """The nearest neighbours of two equally large sets of rows.

    Attributes
    ----------
    real_to_real
        Distance of each real row to the nearest other real row, shape [rows].
    real_to_synthetic, nearest_synthetic
        Distance of each real row to the nearest synthetic row, and which that is, shape [rows].
    synthetic_to_real, nearest_real
        Distance of each synthetic row to the nearest real row, and which that is, shape [rows].
    real_cell, synthetic_cell
        Which of some rows of the other kind is the nearest: rows of one cell lie near each other, shape [rows].
    """

    real_to_real: Floats
    real_to_synthetic: Floats
    nearest_synthetic: npt.NDArray[np.int64]
    synthetic_to_real: Floats
    nearest_real: npt.NDArray[np.int64]
    real_cell: npt.NDArray[np.int64]
    synthetic_cell: npt.NDArray[np.int64]


def nearest_rows(real: npt.NDArray[np.float32], synthetic: npt.NDArray[np.float32]) -> Nearest:
    """Return the nearest neighbours, a block of rows at a time.

    Parameters
    ----------
    real, synthetic
        Features of rows in random order, shape [rows, features].
    """
    from sklearn.metrics import pairwise_distances

    n = len(real)
    n_middles = n_cells(n)
    to_real, to_synthetic = np.empty(n), np.empty(n)
    nearest_synthetic, real_cell = np.empty((2, n), dtype=np.int64)
    back = np.full(len(synthetic), np.inf)
    nearest_real = np.zeros(len(synthetic), dtype=np.int64)
    for start in range(0, n, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, n))
        own = pairwise_distances(real[rows], real)
        own[np.arange(len(rows)), rows] = np.inf
        to_real[rows] = own.min(axis=1)
        other = pairwise_distances(real[rows], synthetic)
        nearest_synthetic[rows] = other.argmin(axis=1)
        to_synthetic[rows] = other.min(axis=1)
        real_cell[rows] = other[:, :n_middles].argmin(axis=1)
        closer = other.min(axis=0) < back
        nearest_real[closer] = start + other.argmin(axis=0)[closer]
        back = np.minimum(back, other.min(axis=0))
    synthetic_cell = pairwise_distances(synthetic, real[:n_middles]).argmin(axis=1)
    return Nearest(to_real, to_synthetic, nearest_synthetic, back, nearest_real, real_cell, synthetic_cell)


def alpha_precision(real: Floats, synthetic: Floats) -> float:
    """Return how well synthetic rows fill the balls that hold a share alpha of the real rows, over all alpha.

    Parameters
    ----------
    real, synthetic
        Distance of each row to the mean of the real rows, shape [rows] each.

    Returns
    -------
    float
        1 - 2 mean |alpha - share of synthetic rows in the ball|, in [0, 1].
    """
    radii = np.quantile(real, _LEVELS)
    share = np.searchsorted(np.sort(synthetic), radii, side="right") / len(synthetic)
    return _integrated(share)


def beta_recall(reached: npt.NDArray[np.bool_], distance: Floats) -> float:
    """Return the share of real rows that the typical synthetic rows reach, over all shares beta of typical rows.

    Parameters
    ----------
    reached
        Whether the nearest synthetic row is no farther from a real row than the nearest other real row, shape [rows].
    distance
        Distance of that synthetic row to the mean of the synthetic rows, shape [rows].

    Returns
    -------
    float
        1 - 2 mean |beta - share of real rows that are reached by a synthetic row in the ball of beta|, in [0, 1].
    """
    radii = np.quantile(distance, _LEVELS)
    return _integrated((reached[:, None] & (distance[:, None] <= radii)).mean(axis=0))


def _integrated(shares: Floats) -> float:
    """Return 1 for shares that are the levels, less in proportion to the area between the two curves."""
    return float(1 - np.abs(_LEVELS - shares).sum() / _LEVELS.sum())


def alpha_scores(
    view: TableView,
    real: CodedTable,
    synthetic: CodedTable,
    generator: np.random.Generator,
    *,
    most_rows: int = MOST_ROWS,
) -> dict[str, Score]:
    """Return alpha-precision, beta-recall and authenticity.

    Parameters
    ----------
    view
        How columns are read.
    real, synthetic
        The rows; equally many of each are drawn.
    generator
        Draws the rows.
    most_rows
        At most this many rows of either kind: the cost is quadratic.
    """
    n = min(len(real), len(synthetic), most_rows)
    if n < FEWEST_ROWS:
        note = f"needs at least {FEWEST_ROWS} rows of either kind"
        return {name: Score(float("nan"), n=n, direction="higher", note=note) for name in NAMES}
    first, second = (view.linear(table.take(generator.permutation(len(table))[:n])) for table in (real, synthetic))
    near = nearest_rows(first, second)
    groups = groups_of(n, generator), groups_of(n, generator)
    value = _precision(first, second)
    parts = [
        _precision(first[groups[0] != group], second[groups[1] != group]) for group in range(int(groups[0].max()) + 1)
    ]
    low, high = jackknife_interval(value, np.array(parts))
    reached = near.real_to_synthetic <= near.real_to_real + _slack(near.real_to_real)
    distance = _from_mean(second, second)[near.nearest_synthetic]
    limit = near.real_to_real[near.nearest_real]
    authentic = near.synthetic_to_real > limit + _slack(limit)
    return {
        "alpha_precision": Score(value, max(0.0, low), min(1.0, high), n=n, direction="higher"),
        "beta_recall": _recall_score(reached, distance, near.real_cell),
        "authenticity": _clipped(cell_interval(authentic, near.synthetic_cell), n),
    }


def _precision(real: npt.NDArray[np.float32], synthetic: npt.NDArray[np.float32]) -> float:
    return alpha_precision(_from_mean(real, real), _from_mean(synthetic, real))


def _from_mean(points: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> Floats:
    """Return the distance of each point to the mean of other points."""
    distance: Floats = np.sqrt(((points - others.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=1))
    return distance


def _slack(distance: Floats) -> Floats:
    """Return what rounding may add to a distance: equal rows are equally far."""
    return ROUNDING * (1 + distance)


def _recall_score(reached: npt.NDArray[np.bool_], distance: Floats, cells: npt.NDArray[np.int64]) -> Score:
    """Return beta-recall; its interval is that of the mean of what each real row adds."""
    value = beta_recall(reached, distance)
    # A row that is reached adds to the shares of all levels whose ball holds the synthetic row that reaches it. How
    # many levels those are on average is fixed, so that only being reached or not is left to chance.
    levels = (distance[:, None] <= np.quantile(distance, _LEVELS)).sum(axis=1) / _LEVELS.sum()
    mean, low, high = cell_interval((reached - reached.mean()) * levels, cells)
    return _clipped((value, value + low - mean, value + high - mean), len(reached))


def _clipped(interval: tuple[float, float, float], n: int) -> Score:
    value, low, high = interval
    return Score(value, max(0.0, low), min(1.0, high), n=n, direction="higher")


def _scored(name: str) -> Callable[[Case], Score]:
    """Return the function that computes one of the three scores; they share their distances."""

    def compute(case: Case) -> Score:
        tables = (case.train.coded, case.synthetic.coded)
        three = case.share(
            "alpha", lambda: alpha_scores(case.view, *tables, case.generator(), most_rows=case.limits.neighbours)
        )
        return three[name]

    return compute


_ROWS = "at most 5,000 rows of either kind, equally many"
_SPACE = (
    " Distances are measured on standardised numbers and indicators of categories, not after the one-class embedding "
    "of the paper, and not on columns scaled to [0, 1] as in most published tables: those numbers differ."
)
METRICS = (
    Metric(
        name="alpha_precision",
        theme="coverage",
        title="alpha-precision",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=1.0,
        source=ALAA,
        meaning="Synthetic rows are as typical as real ones up to {value} of 1.",
        reading="For each share alpha, a ball around the mean of the real rows holds that share of them. The score is "
        "1 less twice the mean gap of alpha and the share of synthetic rows in the ball, over all alpha.",
        lies="It sees one number of each row, its distance to the mean: rows in the wrong place at the right distance "
        "pass, and so do independent columns, nearly." + _SPACE,
        good="As the ceiling, above 0.97 for some thousand rows.",
        rows=_ROWS,
        compute=_scored("alpha_precision"),
    ),
    Metric(
        name="beta_recall",
        theme="coverage",
        title="beta-recall",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=ALAA,
        meaning="Synthetic rows reach real ones to {value}; real held-out rows reach about 0.5.",
        reading="A real row is reached when its nearest synthetic row is no farther than its nearest other real row. "
        "The score is 1 less twice the mean gap of beta and the share of real rows reached by the most typical share "
        "beta of those synthetic rows, over all beta.",
        lies="A perfect generator gets about 0.5, because a fresh row is as often farther as nearer than another real "
        "one; above that rows are copied, and a copied table scores 1." + _SPACE,
        good="As the ceiling, near 0.5.",
        rows=_ROWS,
        compute=_scored("beta_recall"),
    ),
    Metric(
        name="authenticity",
        theme="coverage",
        title="authenticity",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=None,
        source=ALAA,
        meaning="{percent} of synthetic rows are new: not nearer to a training row than another training row is.",
        reading="A synthetic row is authentic when its nearest training row lies farther from it than from the nearest "
        "other training row. As defined in the paper; the code of synthcity takes the distances of other rows.",
        lies="Rows far from all real ones are authentic too, so that noise scores 1 and a perfect generator 0.4 to "
        "0.6, by the table. Of a large training table 5,000 rows are looked at, and copies of the others are taken for "
        "new: near copies look at more." + _SPACE,
        good="As the ceiling. Clearly below it, rows are copied; clearly above it, they lie where no real rows are.",
        rows=_ROWS,
        compute=_scored("authenticity"),
    ),
)
