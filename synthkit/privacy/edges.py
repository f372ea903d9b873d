"""Bins of a number column, bought from the budget: noisy counts in a tree over a public range, then public rules.

The range is cut into nodes of equal width at a first level (up to 256 of them), and a node whose noisy count says that
there is something in it is cut into 8 to 32 narrower ones at the next level, down to single ticks of whole numbers or
1/4,096 of the range. A wide fan keeps the levels few, which is what the noise depends on: a row is in one node of each
level, so a tree with L levels is L noisy histograms. The study in `research/dp.md` halved nodes and needed 75 levels
for the six number columns of Adult; these need 12, so that the noise is 2.5 times smaller.

Everything after the noisy counts (`edge_choice`) follows from them and from public numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import PrivacyError
from synthkit.privacy.edge_choice import Level, chosen_edges, consistent_leaves
from synthkit.privacy.noise import NoiseSource

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_FIRST = 8
_FAN = 5
# Halvings of the range at the last level: of whole numbers, which end at single ticks when they can, and of others.
_FINEST_TICK = 24
_FINEST_PART = 12
# A node is looked into when its noisy count is above this many sigmas, and above this part of the records of a bin,
# which keeps the number of nodes small where there is hardly any noise.
_SPLIT_SIGMAS = 4.0
_SPLIT_PART = 64


@dataclass(frozen=True)
class PrivateBins:
    """Bins of a number column that were bought from the budget.

    Attributes
    ----------
    edges
        Ascending, shape [B + 1]. Whole numbers (int64): bin b holds the ticks edges[b] to edges[b + 1] - 1, so the last
        edge is high + 1. Others (float64): bin b holds edges[b] <= x < edges[b + 1], the last one also high.
    counts
        Estimated number of rows in each bin, shape [B], not negative.
    points
        Whether a bin is a single tick, shape [B].
    spikes
        The declared values with a cell of their own, in the order in which they were declared.
    spike_counts
        Their noisy counts, shape [number of spikes]; may be negative.
    missing_count
        Noisy number of missing cells; may be negative.
    visited
        Noisy count of each node that was looked at, by (level, node): the numbers that were released. Level -1 holds
        the missing cells (node 0) and the spikes (from node 1).
    """

    edges: Integers | Floats
    counts: Floats
    points: NDArray[np.bool_]
    spikes: tuple[float, ...]
    spike_counts: Integers
    missing_count: int
    visited: dict[tuple[int, int], int]


@dataclass(frozen=True)
class _Grid:
    """A public range cut into `size` cells, of which a node of depth d has 2**(bits - d)."""

    low: float
    high: float
    integral: bool
    bits: int
    size: int

    def places(self, values: Floats | Integers) -> Integers:
        """Return the cell of each value; values out of the range count as its ends."""
        if self.integral:
            # Narrow integers cannot be compared with bounds that they cannot hold.
            numbers = values if values.dtype.kind == "f" else values.astype(np.int64)
            inside: Integers = np.clip(numbers, int(self.low), int(self.high)).astype(np.int64)
            return cast("Integers", inside - np.int64(self.low))
        share = (np.clip(np.asarray(values, float), self.low, self.high) - self.low) / (self.high - self.low)
        cells: Integers = np.minimum((share * self.size).astype(np.int64), self.size - 1)
        return cells

    def edges(self, cuts: Integers) -> Integers | Floats:
        """Return the values at the beginnings of cells; the number `size` stands for the end of the range."""
        if self.integral:
            return cuts + np.int64(self.low)
        values = self.low + (self.high - self.low) * (cuts / self.size)
        values[-1] = self.high
        return values


def tree_levels(low: float, high: float, integral: bool) -> tuple[int, ...]:
    """Choose the levels of a tree from its public range: halvings of the range, ascending.

    Parameters
    ----------
    low, high
        Bounds of the column, declared.
    integral
        Whether the values are whole numbers.

    Returns
    -------
    tuple[int, ...]
        For example (8, 12, 17) for whole numbers 0 to 99,999: nodes of 512, 32 and 1 ticks. What it costs goes by the
        number of levels.
    """
    bits = _grid(low, high, integral, _FINEST_PART).bits
    finest = min(bits, _FINEST_TICK)
    if finest <= _FIRST:
        return (finest,)
    more = math.ceil((finest - _FIRST) / _FAN)
    return _FIRST, *(_FIRST + round((finest - _FIRST) * step / more) for step in range(1, more + 1))


def private_edges(
    values: Floats | Integers,
    low: float,
    high: float,
    integral: bool,
    sigma: float,
    noise: NoiseSource,
    max_bins: int = 32,
    *,
    levels: Sequence[int] | None = None,
    total: float | None = None,
    missing: NDArray[np.bool_] | None = None,
    spikes: Sequence[float] = (),
) -> PrivateBins:
    """Find bins of a number column, and the single values that many rows share.

    Parameters
    ----------
    values
        Private, shape [n]: whole numbers (ticks) or others. Values out of the range count as its ends; NaN is missing.
    low, high
        Bounds of the column, declared; low <= high, and low < high unless integral.
    integral
        Whether the values are whole numbers. Only those have bins of a single tick.
    sigma
        Scale of the noise of each count, in rows.
    noise
        Where the noise comes from.
    max_bins
        How many bins there are at most, spikes and missing cells not counted; >= 1.
    levels
        Halvings of the range at which nodes are counted, ascending; by default those of `tree_levels`.
    total
        Number of rows, public or noisy; by default the sum of the noisy counts of the first level, which is less exact.
    missing
        Private: cells that are missing, shape [n]; they are counted apart.
    spikes
        Declared values with a cell of their own, such as sentinels; they take no part in the bins.

    Returns
    -------
    PrivateBins
        Bins that cover the range without a gap.

    Raises
    ------
    PrivacyError
        If the range, the levels or max_bins makes no sense. What the values are raises nothing.

    Privacy
    -------
    Gaussian mechanism, discrete, once for each level. A row is in one node of each level (or is missing or a spike, and
    then in one cell of the first), so each level is a histogram of L2 sensitivity 1 when rows are added or removed,
    sqrt(L) for L levels; sqrt(2 L) when one is replaced. Which nodes of a level are looked at depends on the noisy
    counts of the levels above only, so the levels compose adaptively. Bins, counts and points follow from noisy counts.
    The tree is that of Hay et al. (VLDB 2010) with a fan as advised by Qardaji et al. (VLDB 2013), grown where there is
    mass as by Zhang et al. (PrivTree, SIGMOD 2016).
    """
    depths = tuple(levels) if levels is not None else tree_levels(low, high, integral)
    grid = _grid(low, high, integral, depths[-1] if depths else 0)
    if not depths or sorted(set(depths)) != list(depths) or depths[0] < 0 or depths[-1] > grid.bits:
        raise PrivacyError(f"levels must ascend from 0 to at most {grid.bits} halvings, got {depths}")
    if max_bins < 1:
        raise PrivacyError(f"a number column needs at least one bin, got max_bins {max_bins}")
    places, apart = _split_off(values, missing, spikes, grid)
    own = apart + noise.discrete_gaussian(sigma, apart.size)
    inside = None if total is None else max(float(total) - float(np.maximum(own, 0).sum()), 0.0)
    tree = _noisy_tree(np.sort(places), grid, depths, sigma, noise, max_bins, inside)
    if inside is None:
        inside = max(float(tree[0].noisy.sum()), 0.0)
    starts, counts = consistent_leaves(tree, sigma, inside, grid.bits)
    cuts, kept = chosen_edges(starts, counts, grid.size, sigma, max_bins)
    visited = {(-1, node): int(count) for node, count in enumerate(own)}
    for number, level in enumerate(tree):
        visited |= {(number, int(node)): int(count) for node, count in zip(level.nodes, level.noisy, strict=True)}
    return PrivateBins(
        edges=grid.edges(cuts),
        counts=kept,
        points=(np.diff(cuts) == 1) & integral,
        spikes=tuple(spikes),
        spike_counts=own[1:],
        missing_count=int(own[0]),
        visited=visited,
    )


def node_counts(
    values: Floats | Integers,
    low: float,
    high: float,
    integral: bool,
    *,
    levels: Sequence[int] | None = None,
    missing: NDArray[np.bool_] | None = None,
    spikes: Sequence[float] = (),
) -> dict[tuple[int, int], int]:
    """Count every node that is not empty, by (level, node) as in `PrivateBins.visited`. Exact, so private."""
    depths = tuple(levels) if levels is not None else tree_levels(low, high, integral)
    grid = _grid(low, high, integral, depths[-1])
    places, apart = _split_off(values, missing, spikes, grid)
    counts = {(-1, node): int(count) for node, count in enumerate(apart)}
    for number, depth in enumerate(depths):
        nodes, sizes = np.unique(places >> (grid.bits - depth), return_counts=True)
        counts |= {(number, int(node)): int(size) for node, size in zip(nodes, sizes, strict=True)}
    return counts


def _grid(low: float, high: float, integral: bool, depth: int) -> _Grid:
    """Return the cells of a public range, or refuse it."""
    if not (math.isfinite(low) and math.isfinite(high) and low <= high and math.isfinite(high - low)):
        raise PrivacyError(f"bins need finite bounds in order, got {low} to {high}")
    if integral:
        if low != int(low) or high != int(high) or not -(2**60) <= low <= high <= 2**60:
            raise PrivacyError(
                f"the bounds of whole numbers must be whole and at most 2**60 in size, got {low} to {high}"
            )
        span = int(high) - int(low)
        return _Grid(low, high, True, span.bit_length(), span + 1)
    if low == high or depth > 2 * _FINEST_TICK:
        raise PrivacyError(f"bins need bounds that differ and at most {2 * _FINEST_TICK} halvings, got {low} to {high}")
    return _Grid(low, high, False, depth, 2**depth)


def _split_off(
    values: Floats | Integers, missing: NDArray[np.bool_] | None, spikes: Sequence[float], grid: _Grid
) -> tuple[Integers, Integers]:
    """Return the cells of the values that go into the tree, and how many are missing and at each spike."""
    numbers = cast("Floats | Integers", np.asarray(values))
    absent = np.zeros(numbers.size, bool) if missing is None else np.asarray(missing, bool)
    absent = absent | np.isnan(numbers) if numbers.dtype.kind == "f" else absent
    left = ~absent
    apart = [int(absent.sum())]
    for spike in spikes:
        here = left & (numbers == spike)
        left &= ~here
        apart.append(int(here.sum()))
    return grid.places(numbers[left]), np.array(apart, np.int64)


def _noisy_tree(
    places: Integers,
    grid: _Grid,
    depths: Sequence[int],
    sigma: float,
    noise: NoiseSource,
    max_bins: int,
    total: float | None,
) -> list[Level]:
    """Count the nodes of the first level, and of each further one those below a node with something in it, with noise.

    `places` are sorted. Only noisy counts decide which nodes are looked at.
    """
    tree: list[Level] = []
    width = 1 << (grid.bits - depths[0])
    nodes = np.arange(-(-grid.size // width), dtype=np.int64)
    parents = np.full(nodes.size, -1)
    for number, depth in enumerate(depths):
        width = 1 << (grid.bits - depth)
        exact = np.searchsorted(places, (nodes + 1) * width) - np.searchsorted(places, nodes * width)
        noisy = exact + noise.discrete_gaussian(sigma, nodes.size)
        tree.append(Level(depth, nodes, parents, noisy))
        if number + 1 == len(depths):
            break
        total = float(noisy.sum()) if total is None else total
        parents = np.flatnonzero(noisy > max(_SPLIT_SIGMAS * sigma, total / (_SPLIT_PART * max_bins)))
        fan = 1 << (depths[number + 1] - depth)
        below = (nodes[parents, None] * fan + np.arange(fan)).ravel()
        parents = np.repeat(parents, fan)
        within = below * (width // fan) < grid.size
        nodes, parents = below[within], parents[within]
        if not nodes.size:
            break
    return tree
