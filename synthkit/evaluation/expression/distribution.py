"""Whether synthetic cells lie where real cells lie, in components fitted on both together.

Components that are fitted on one half of real cells tell the other half apart from it: noise is fitted too. Therefore
they are fitted on held-out and compared cells together, equally many of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.expression.case import Side
from synthkit.evaluation.expression.leave_out import Interval, around
from synthkit.evaluation.intervals import LEVEL, NORMAL, Floats
from synthkit.evaluation.records import Score
from synthkit.evaluation.scans.distances import prdc
from synthkit.random import RandomSource

N_COMPONENTS = 20
_SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
_NEIGHBOURS = 90
_PERPLEXITY = 30.0
_STEPS = 50
Points = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pooled:
    """Two or more sets of cells in components that were fitted on all of them.

    Attributes
    ----------
    points
        Of each set, ``[cells, components]``.
    explained
        Share of the variance that each component shows, ``[components]``.
    """

    points: tuple[Points, ...]
    explained: Floats


def pooled(*sides: Side, random: RandomSource, components: int = N_COMPONENTS) -> Pooled:
    """Return cells in the first principal components of all of them together.

    Parameters
    ----------
    sides
        Equally many cells of each set.
    random
        Where the randomised decomposition starts.
    components
        At most this many components.
    """
    from sklearn.decomposition import PCA

    both = np.vstack([side.logs for side in sides])
    n = max(1, min(components, *(size - 1 for size in both.shape)))
    fitted = PCA(n, svd_solver="randomized", random_state=random.integer("components")).fit(both)
    found = np.ascontiguousarray(fitted.transform(both), dtype=np.float32)
    ends = np.cumsum([len(side) for side in sides])[:-1]
    return Pooled(tuple(np.split(found, ends)), np.asarray(fitted.explained_variance_ratio_, dtype=np.float64))


def neighbour_scores(real: Points, other: Points, *, seed: int) -> dict[str, Score]:
    """Return precision, recall, density and coverage of points."""
    return prdc(real, other, seed=seed)


def discrepancy(
    real: Points, other: Points, groups: npt.NDArray[np.int64], own_groups: npt.NDArray[np.int64]
) -> Interval:
    """Return the unbiased squared maximum mean discrepancy of a mean of Gaussian kernels.

    Parameters
    ----------
    real, other
        Points, ``[n, components]`` and ``[m, components]``.
    groups, own_groups
        Group of each point, left out in turn for the interval.

    Returns
    -------
    Interval
        0 on average for two sets from the same source, and then as often below as above 0.

    References
    ----------
    Gretton et al. (2012), A kernel two-sample test. The kernels are exp(−d² / (2 s²)) with s² from a quarter to four
    times the median squared distance of the real points, as is usual for single cells.
    """
    squared = _squared_distances(real, real)
    width = float(np.median(squared[np.triu_indices(len(squared), 1)])) or 1.0
    # Five kernels of matrices of a few million entries: the one exponential is squared and rooted instead.
    kernels = [
        _kernel(squared, width),
        _kernel(_squared_distances(other, other), width),
        _kernel(_squared_distances(real, other), width),
    ]
    for own in kernels[:2]:
        np.fill_diagonal(own, 0.0)
    member, own_member = (np.eye(int(codes.max()) + 1, dtype=np.float32)[codes] for codes in (groups, own_groups))
    first = (member.T @ kernels[0] @ member).astype(np.float64)
    second = (own_member.T @ kernels[1] @ own_member).astype(np.float64)
    between = (member.T @ kernels[2] @ own_member).astype(np.float64)
    counts, own_counts = member.sum(axis=0, dtype=np.float64), own_member.sum(axis=0, dtype=np.float64)
    value = _unbiased(first, counts, second, own_counts, between)
    variance = 0.0
    for axis, sizes in ((0, counts), (1, own_counts)):
        if len(sizes) < 2:
            continue
        left = []
        for group in range(len(sizes)):
            if axis == 0:
                kept = np.delete(np.delete(first, group, 0), group, 1), np.delete(counts, group), second, own_counts
            else:
                kept = first, counts, np.delete(np.delete(second, group, 0), group, 1), np.delete(own_counts, group)
            left.append(_unbiased(*kept, np.delete(between, group, axis)))
        spread = np.array(left)
        variance += (len(left) - 1) / len(left) * float(((spread - spread.mean()) ** 2).sum())
    return around(value, NORMAL * float(np.sqrt(variance)))


def mixing(real: Points, other: Points, groups: npt.NDArray[np.int64], own_groups: npt.NDArray[np.int64]) -> Interval:
    """Return the integration LISI: how many of the two sets a neighbourhood holds effectively, from 1 to 2.

    Parameters
    ----------
    real, other
        Points, ``[n, components]`` and ``[m, components]``.
    groups, own_groups
        Group of each point, left out in turn for the interval.

    Returns
    -------
    Interval
        The mean over all points of the inverse of Simpson's index among the weighted neighbours.

    References
    ----------
    Korsunsky et al. (2019), Fast, sensitive and accurate integration of single-cell data with Harmony: 90 neighbours,
    Gaussian weights with perplexity 30.
    """
    from sklearn.neighbors import NearestNeighbors

    points = np.vstack([real, other])
    is_other = np.repeat([False, True], [len(real), len(other)])
    n_neighbours = min(_NEIGHBOURS, len(points) - 1)
    distances, places = NearestNeighbors(n_neighbors=n_neighbours + 1).fit(points).kneighbors(points)
    # A point is its own neighbour, if perhaps not the first where others are equal to it.
    own = places == np.arange(len(points))[:, None]
    own[~own.any(axis=1), -1] = True
    distances, places = (part[~own].reshape(len(points), n_neighbours) for part in (distances, places))
    weights = perplexity_weights(distances, min(_PERPLEXITY, n_neighbours / 3))
    n_groups = int(groups.max()) + 1
    all_groups = np.concatenate([groups, own_groups + n_groups])
    among = is_other[places]
    value = float(_inverse_simpson(weights, among).mean())
    variance = 0.0
    for first, last in ((0, n_groups), (n_groups, int(all_groups.max()) + 1)):
        if last - first < 2:
            continue
        left = []
        for group in range(first, last):
            kept = np.where(all_groups[places] == group, 0.0, weights)
            left.append(float(_inverse_simpson(kept, among)[all_groups != group].mean()))
        spread = np.array(left)
        variance += (len(left) - 1) / len(left) * float(((spread - spread.mean()) ** 2).sum())
    return around(value, NORMAL * float(np.sqrt(variance)))


def perplexity_weights(distances: Floats, perplexity: float) -> Floats:
    """Return weights of neighbours that sum to 1 and whose entropy is the logarithm of the perplexity.

    Parameters
    ----------
    distances
        Of each point from its neighbours, ``[points, neighbours]``.
    perplexity
        How many neighbours count effectively; fewer than there are.

    References
    ----------
    van der Maaten and Hinton (2008), Visualizing data using t-SNE: the width of the kernel by bisection.
    """
    shifted = distances - distances.min(axis=1, keepdims=True)
    # In units of the mean distance, so that one bracket holds for all points.
    unit = shifted.mean(axis=1, keepdims=True)
    scaled = np.divide(shifted, unit, out=np.zeros_like(shifted), where=unit > 0)
    low, high = np.full(len(scaled), -20.0), np.full(len(scaled), 20.0)
    wanted = np.log(perplexity)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        weights = np.exp(-scaled * np.exp(middle)[:, None])
        weights /= weights.sum(axis=1, keepdims=True)
        entropy = -np.where(weights > 0, weights * np.log(np.where(weights > 0, weights, 1.0)), 0.0).sum(axis=1)
        low, high = np.where(entropy > wanted, middle, low), np.where(entropy > wanted, high, middle)
    found: Floats = weights
    return found


def nearest_ratio(points: Points, training: Points, held_out: Points) -> tuple[Interval, float]:
    """Return the median over points of the distance to the nearest training cell by that to the nearest held-out cell.

    Parameters
    ----------
    points
        The cells that are scored, ``[m, components]``.
    training, held_out
        Equally many real cells of either kind.

    Returns
    -------
    tuple
        The median, with the interval by order statistics, which needs no distribution; and the share of points that are
        nearer to a training cell, where a tie counts one half.
    """
    from scipy import stats
    from sklearn.metrics import pairwise_distances_argmin_min

    near, far = (pairwise_distances_argmin_min(points, others)[1] for others in (training, held_out))
    ratios = np.sort(np.where(near == far, 1.0, near / np.maximum(far, 1e-12)))
    n = len(ratios)
    low, high = (int(stats.binom.ppf(end, n, 0.5)) for end in (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
    share = float((ratios < 1).mean() + (ratios == 1).mean() / 2)
    ends = float(ratios[max(0, low - 1)]), float(ratios[min(n - 1, high)])
    return Interval(float(np.median(ratios)), *ends), share


def _squared_distances(first: Points, second: Points) -> Points:
    squares = [np.einsum("nf,nf->n", points, points) for points in (first, second)]
    found: Points = np.maximum(squares[0][:, None] + squares[1][None] - 2 * first @ second.T, np.float32(0))
    return found


def _kernel(squared: Points, width: float) -> Points:
    """Return the mean of the Gaussian kernels of all scales."""
    # exp(−x/4), squared for exp(−x/2), squared again, and so on: half the cost of five exponentials.
    power = np.exp(squared * np.float32(-0.5 / (width * _SCALES[-1])))
    total = power.copy()
    for _ in _SCALES[1:]:
        power = power * power
        total += power
    found: Points = total / np.float32(len(_SCALES))
    return found


def _unbiased(first: Floats, counts: Floats, second: Floats, own_counts: Floats, between: Floats) -> float:
    n, m = float(counts.sum()), float(own_counts.sum())
    return float(first.sum() / (n * (n - 1)) + second.sum() / (m * (m - 1)) - 2 * between.sum() / (n * m))


def _inverse_simpson(weights: Floats, among: npt.NDArray[np.bool_]) -> Floats:
    """Return the effective number of sets among weighted neighbours, ``[points]``."""
    total = np.maximum(weights.sum(axis=1), 1e-300)
    share = (weights * among).sum(axis=1) / total
    found: Floats = 1.0 / (share**2 + (1 - share) ** 2)
    return found
