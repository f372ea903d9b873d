"""From distinct numbers with counts to point masses, cells and bins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthkit.tables.cells import Integers, Numbers
from synthkit.tables.support import Support

MAX_CELLS = 4096
HEAPED = 0.5
"""A column is heaped when its distinct numbers are fewer than this share of its rows."""
_ROWS_PER_GRID_VALUE = 4
_ROWS_PER_BIN = 8
_SMALL_GRID = 10
_NEIGHBOURS = 10
_STANDS_OUT = 3.0


def is_grid(distinct: int, rows: int, max_grid: int) -> bool:
    """Whether every number gets a bin of its own: few of them, and each seen often enough to learn its share."""
    if distinct > max_grid:
        return False
    return distinct <= _SMALL_GRID or rows >= _ROWS_PER_GRID_VALUE * distinct


def spikes(values: Numbers, counts: Integers, share: float) -> NDArray[np.bool_]:
    """Which values are point masses: at least this share of the rows, and well above their neighbours.

    The second condition keeps whole regions of a narrow but smooth distribution (150 different ages, each with about
    one percent) in the ordered bins, where neighbours support each other. A value is compared with the median count of
    the ten distinct values on either side of it.
    """
    candidates = np.flatnonzero(counts >= max(share * counts.sum(), _ROWS_PER_BIN))
    offsets = np.concatenate([np.arange(-_NEIGHBOURS, 0), np.arange(1, _NEIGHBOURS + 1)])
    around = candidates[:, None] + offsets
    valid = (around >= 0) & (around < len(values))
    neighbours = np.where(valid, counts[np.clip(around, 0, len(values) - 1)], np.nan)
    chosen = np.zeros(len(values), dtype=bool)
    if candidates.size:
        chosen[candidates] = counts[candidates] >= _STANDS_OUT * np.nanmedian(neighbours, axis=1)
    return chosen


def fit_support(
    values: Numbers, counts: Integers, specials: Numbers, *, grid: bool, heaped: bool, max_bins: int
) -> Support:
    """Cells and bins of a column.

    Parameters
    ----------
    values, counts
        Ascending distinct numbers without the specials, and their rows.
    specials
        Ascending point masses (spikes, sentinels). No cell contains one.
    grid
        Every value is its own bin.
    heaped
        Only observed values come back (up to compression), else the space between them is filled.
    max_bins
        Largest number of bins; tables with few rows get fewer.
    """
    if not len(values):
        return Support(values, values, np.zeros(1), np.zeros(1, dtype=np.int64))
    step = grid_step(values)
    start = np.arange(len(values)) if len(values) <= MAX_CELLS or grid else _groups(values, counts, specials, heaped)
    end = np.append(start[1:], len(values)) - 1
    lowest, highest = values[start], values[end]
    if not heaped and not grid:
        lowest, highest = _fill_gaps(lowest, highest, end - start + 1, specials, step)
    rows = np.add.reduceat(counts, start).astype(np.float64)
    mass = np.concatenate([[0.0], np.cumsum(rows)])
    if grid:
        first = np.arange(len(rows) + 1)
    else:
        n_bins = int(np.clip(mass[-1] // _ROWS_PER_BIN, 2, max_bins))
        slot = np.floor((mass[:-1] + mass[1:]) / 2 / mass[-1] * n_bins)
        first = np.append(np.flatnonzero(np.diff(slot, prepend=-1.0)), len(rows))
    return Support(lowest, highest, mass / mass[-1], first.astype(np.int64), step)


def grid_step(values: Numbers) -> int:
    """Greatest common divisor of the distances of ascending ticks; 1 for floats and for ranges beyond 62 bits."""
    if values.dtype.kind != "i" or len(values) < 2 or float(values[-1]) - float(values[0]) > 2**62:
        return 1
    return int(np.gcd.reduce(np.diff(values)))


def _groups(values: Numbers, counts: Integers, specials: Numbers, heaped: bool) -> Integers:
    """First value of each of at most about MAX_CELLS groups of neighbours of equal mass.

    In heaped columns a third of the cells is kept for the most frequent values, each alone: round amounts stay round.
    No group spans a special value.
    """
    barrier = np.searchsorted(specials, values)
    alone = np.zeros(len(values), dtype=bool)
    budget = MAX_CELLS
    if heaped:
        budget = MAX_CELLS // 3
        order = np.argsort(-counts, kind="stable")[:budget]
        alone[order[counts[order] > 1]] = True
    light = np.where(alone, 0, counts)
    slot = np.floor((np.cumsum(light) - light / 2) / max(int(light.sum()), 1) * budget)
    starts = np.diff(slot, prepend=-1.0) != 0
    starts |= np.diff(barrier, prepend=-1) != 0
    starts |= alone
    starts[1:] |= alone[:-1]
    return np.flatnonzero(starts)


def _fill_gaps(
    lowest: Numbers, highest: Numbers, sizes: Integers, specials: Numbers, step: int
) -> tuple[Numbers, Numbers]:
    """Widen cells to the middle of the gap to their neighbours, so that unseen numbers between seen ones are possible.

    A cell of several values widens by at most their usual distance, since most of its mass is not at its edge.
    """
    if len(lowest) < 2:
        return lowest, highest
    left, right = highest[:-1], lowest[1:]
    spread = highest.astype(np.float64) - lowest.astype(np.float64)
    reach = np.where(sizes > 1, spread / np.maximum(sizes - 1, 1), np.inf)
    integral = lowest.dtype.kind == "i"
    # Half of each gap goes to either side, in whole steps; halves are taken first, or large ticks would overflow.
    half = (right >> 1) - (left >> 1) - ((left & 1) & ~(right & 1)) if integral else right / 2 - left / 2
    if integral:
        half = half // step * step
    below = left + np.minimum(half, _reachable(reach[:-1], half))
    above = right - np.minimum(half, _reachable(reach[1:], half))
    if integral:
        below, above = left + (below - left) // step * step, right - (right - above) // step * step
        touching = above == below
        above[touching] = below[touching] + step
    else:
        above = np.maximum(above, below)
    # Where specials lie in the gap, cells stop before the first and begin after the last of them.
    first, last = np.searchsorted(specials, left), np.searchsorted(specials, right) - 1
    crossed = np.flatnonzero(first <= last)
    if crossed.size and integral:
        before = left[crossed] + (specials[first[crossed]] - 1 - left[crossed]) // step * step
        after = right[crossed] - (right[crossed] - specials[last[crossed]] - 1) // step * step
        below[crossed] = np.minimum(below[crossed], before)
        above[crossed] = np.maximum(above[crossed], after)
    elif crossed.size:
        below[crossed] = np.minimum(below[crossed], np.nextafter(specials[first[crossed]], -np.inf))
        above[crossed] = np.maximum(above[crossed], np.nextafter(specials[last[crossed]], np.inf))
    return np.append(lowest[:1], above), np.append(below, highest[-1:])


def _reachable(reach: NDArray[np.float64], like: Numbers) -> Numbers:
    """Reach as numbers of the scale."""
    return np.minimum(reach, 2.0**62).astype(like.dtype)
