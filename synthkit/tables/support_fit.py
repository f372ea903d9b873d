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
    start = np.arange(len(values)) if len(values) <= MAX_CELLS or grid else _groups(values, counts, specials, heaped)
    end = np.append(start[1:], len(values)) - 1
    lowest, highest = values[start], values[end]
    if not heaped and not grid:
        lowest, highest = _fill_gaps(lowest, highest, end - start + 1, specials)
    rows = np.add.reduceat(counts, start).astype(np.float64)
    mass = np.concatenate([[0.0], np.cumsum(rows)])
    if grid:
        first = np.arange(len(rows) + 1)
    else:
        n_bins = int(np.clip(mass[-1] // _ROWS_PER_BIN, 2, max_bins))
        slot = np.floor((mass[:-1] + mass[1:]) / 2 / mass[-1] * n_bins)
        first = np.append(np.flatnonzero(np.diff(slot, prepend=-1.0)), len(rows))
    return Support(lowest, highest, mass / mass[-1], first.astype(np.int64))


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


def _fill_gaps(lowest: Numbers, highest: Numbers, sizes: Integers, specials: Numbers) -> tuple[Numbers, Numbers]:
    """Widen cells to the middle of the gap to their neighbours, so that unseen numbers between seen ones are possible.

    A cell of several values widens by at most their usual distance, since most of its mass is not at its edge.
    """
    if len(lowest) < 2:
        return lowest, highest
    integral = lowest.dtype.kind == "i"
    left, right = highest[:-1], lowest[1:]
    if integral:
        middle = (left >> 1) + (right >> 1) + (left & right & 1)
        below, above = middle, np.minimum(middle + 1, right)
    else:
        middle = left / 2 + right / 2
        below, above = middle, middle
    spread = highest.astype(np.float64) - lowest.astype(np.float64)
    reach = np.where(sizes > 1, spread / np.maximum(sizes - 1, 1), np.inf)
    below = _no_further(left, below, reach[:-1], integral)
    above = _no_further(right, above, -reach[1:], integral)
    # Where specials lie in the gap, cells stop before the first and begin after the last of them.
    first, last = np.searchsorted(specials, left), np.searchsorted(specials, right) - 1
    crossed = np.flatnonzero(first <= last)
    if crossed.size:
        if integral:
            under, over = specials[first[crossed]] - 1, specials[last[crossed]] + 1
        else:
            under = np.nextafter(specials[first[crossed]], -np.inf)
            over = np.nextafter(specials[last[crossed]], np.inf)
        below[crossed] = np.minimum(below[crossed], under)
        above[crossed] = np.maximum(above[crossed], over)
    return np.append(lowest[:1], above), np.append(below, highest[-1:])


def _no_further(origin: Numbers, target: Numbers, reach: NDArray[np.float64], integral: bool) -> Numbers:
    """Move from origin towards target by at most `reach` (signed)."""
    distance = target.astype(np.float64) - origin.astype(np.float64)
    limited = np.abs(reach) < np.abs(distance)
    step = np.where(limited, reach, 0.0)
    stepped = origin + (np.rint(step).astype(np.int64) if integral else step)
    return np.where(limited, stepped, target)
