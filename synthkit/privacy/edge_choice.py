"""From noisy counts in a tree to bins: what follows the noise in `edges`, with no private number anywhere.

First the counts are made to agree: a node that was looked into is measured twice, by its own count and by the sum of
those below it, and the two are averaged by their precision (Hay, Rastogi, Miklau and Suciu, VLDB 2010); then, from the
top down, the counts below a node become the nearest ones that are not negative and add up to the node's. Then edges are
set one at a time where the bins, taken as uniform inside, are furthest from those counts.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

# A bin is cut where its cumulative counts leave the straight line by more than this many standard deviations,
_CUT_SIGMAS = 2.0
# and, whatever its shape, as if they left it by this part of its rows: relations with other columns need narrow bins
# even where the column itself is even.
_CUT_PART = 0.15
# A cut for the sake of size leaves at least this many sigmas of rows, and this part of the bin, on either side.
_LEAST_SIGMAS = 2.0
_LEAST_PART = 0.1


@dataclass(frozen=True)
class Level:
    """The nodes of one level that were looked at.

    Attributes
    ----------
    depth
        Halvings of the range.
    nodes
        Their numbers from the beginning of the range, ascending, shape [m].
    parents
        The place of the node above each in the level above, ascending; -1 at the first level. Shape [m].
    noisy
        Their noisy counts, shape [m].
    """

    depth: int
    nodes: Integers
    parents: Integers
    noisy: Integers


def consistent_leaves(tree: list[Level], sigma: float, total: float, bits: int) -> tuple[Integers, Floats]:
    """Make the counts of a tree agree, and return its leaves.

    Parameters
    ----------
    tree
        Levels from the top; the first covers the whole range.
    sigma
        Standard deviation of each noisy count.
    total
        What the leaves add up to, >= 0.
    bits
        Halvings of the range that make a cell.

    Returns
    -------
    tuple[NDArray[int64], NDArray[float64]]
        First cell of each leaf, ascending, and its estimated count, not negative; shape [leaves] each.
    """
    means = [level.noisy.astype(float) for level in tree]
    variances = [np.full(mean.size, sigma**2) for mean in means]
    opened = [np.zeros(mean.size, bool) for mean in means]
    for number in range(len(tree) - 1, 0, -1):
        above, size = tree[number].parents, means[number - 1].size
        sums = np.bincount(above, means[number], size)
        spread = np.bincount(above, variances[number], size)
        here = opened[number - 1] = spread > 0
        share = spread[here] / (spread[here] + sigma**2)
        means[number - 1][here] = share * means[number - 1][here] + (1 - share) * sums[here]
        variances[number - 1][here] = share * sigma**2
    counts = [_nearest_with_sum(means[0], variances[0], total)]
    for number in range(1, len(tree)):
        above = tree[number].parents
        level = np.zeros(above.size)
        begins = np.flatnonzero(np.r_[True, above[1:] != above[:-1]])
        for begin, end in zip(begins, np.r_[begins[1:], above.size], strict=True):
            family = slice(begin, end)
            level[family] = _nearest_with_sum(
                means[number][family], variances[number][family], counts[-1][above[begin]]
            )
        counts.append(level)
    starts = [level.nodes[~inner] << (bits - level.depth) for level, inner in zip(tree, opened, strict=True)]
    kept = [count[~inner] for count, inner in zip(counts, opened, strict=True)]
    order = np.argsort(np.concatenate(starts))
    return np.concatenate(starts)[order], np.concatenate(kept)[order]


def chosen_edges(starts: Integers, counts: Floats, size: int, sigma: float, max_bins: int) -> tuple[Integers, Floats]:
    """Set edges between leaves so that bins which are even inside fit the counts.

    One edge at a time is set, in the bin that needs it most, where its cumulative counts are furthest from a straight
    line. That puts edges around a leaf that stands out, so that a single tick with many rows becomes a bin of its own.

    Parameters
    ----------
    starts
        First cell of each leaf, ascending from 0, shape [leaves].
    counts
        Estimated count of each leaf, shape [leaves].
    size
        Number of cells of the range.
    sigma
        Standard deviation of the noise of a leaf.
    max_bins
        Most bins.

    Returns
    -------
    tuple[NDArray[int64], NDArray[float64]]
        Cells at which bins begin, with `size` at the end, shape [B + 1]; estimated count of each, shape [B].
    """
    ends = np.r_[starts, size].astype(np.int64)
    below = np.r_[0.0, np.cumsum(counts)]
    cuts = {0, starts.size}
    waiting: list[tuple[float, int, int, int]] = []

    def consider(begin: int, end: int) -> None:
        need, cut = _best_cut(ends[begin : end + 1], below[begin : end + 1], sigma)
        if need > 0:
            heapq.heappush(waiting, (-need, begin, end, begin + cut))

    consider(0, starts.size)
    while waiting and len(cuts) <= max_bins:
        _, begin, end, cut = heapq.heappop(waiting)
        cuts.add(cut)
        consider(begin, cut)
        consider(cut, end)
    chosen = np.array(sorted(cuts))
    return ends[chosen], np.diff(below[chosen])


def _best_cut(ends: Integers, below: Floats, sigma: float) -> tuple[float, int]:
    """Return how much a bin needs to be cut, in rows, and after which leaf; a need of 0 is none."""
    if ends.size < 3:
        return 0.0, 0
    inner = np.arange(1, ends.size - 1)
    share = (ends[1:-1] - ends[0]) / float(ends[-1] - ends[0])
    rows = below[-1] - below[0]
    left = below[1:-1] - below[0]
    off = np.abs(left - share * rows)
    # Were the bin even, the leaves before the cut, each with its own noise, would differ from their share by this.
    noise = sigma * np.sqrt(inner * (1 - share) ** 2 + inner[::-1] * share**2)
    off[off <= _CUT_SIGMAS * noise] = 0
    place = int(off.argmax())
    if off[place] >= _CUT_PART * rows:
        return float(off[place]), int(inner[place])
    smaller = np.minimum(left, rows - left)
    middle = int(smaller.argmax())
    if smaller[middle] > max(_LEAST_SIGMAS * sigma, _LEAST_PART * rows):
        return _CUT_PART * float(rows), int(inner[middle])
    return float(off[place]), int(inner[place])


def _nearest_with_sum(means: Floats, variances: Floats, total: float) -> Floats:
    """Return the numbers >= 0 with the given sum that are nearest to the means, in units of their deviations.

    The minimum of sum (x - mean)**2 / variance is at x = max(mean - lambda * variance, 0).
    """
    if total <= 0:
        return np.zeros(means.size)
    ratio = means / variances
    order = np.argsort(-ratio)
    lambdas = (np.cumsum(means[order]) - total) / np.cumsum(variances[order])
    last = np.flatnonzero(ratio[order] >= lambdas)[-1]
    nearest: Floats = np.maximum(means - lambdas[last] * variances, 0)
    return nearest
