"""The distribution of a column's numbers inside its ordered bins, as a bounded list of cells.

A cell is a closed range of numbers and the mass that falls into it: one observed number for heaped columns (money with
round amounts, counts), a small neighbourhood of one or a few observed numbers otherwise. Cells are ascending and do not
overlap, so the running mass of the cells is a distribution function that can be read both ways, and bins are slices of
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthkit.tables.cells import Integers, Numbers

Floats = NDArray[np.float64]
LATTICE = 2**24
"""Positions are multiples of 1 / LATTICE away from 0 and 1 at least: exact in float32."""


@dataclass(frozen=True, eq=False)
class Support:
    """Cells and bins of one column.

    Parameters
    ----------
    lowest, highest : ndarray [n_cells]
        Smallest and largest number of each cell, `int64` ticks or `float64`.
    mass : ndarray of float64 [n_cells + 1]
        Share of the mass below each cell, from 0 to 1.
    first : ndarray of int64 [n_bins + 1]
        First cell of each bin, and the number of cells.
    step : int
        Distance of neighbouring numbers on the grid that all observed ticks lie on (100 where all amounts are in
        hundreds).
    """

    lowest: Numbers
    highest: Numbers
    mass: Floats
    first: Integers
    step: int = 1

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return len(self.first) - 1

    @property
    def integral(self) -> bool:
        """Whether numbers are int64 ticks."""
        return self.lowest.dtype.kind == "i"

    @property
    def bin_mass(self) -> Floats:
        """Share of the mass in each bin [n_bins]."""
        return np.asarray(np.diff(self.mass[self.first]), dtype=np.float64)

    @property
    def has_inside(self) -> NDArray[np.bool_]:
        """Whether a bin holds more than one number [n_bins]."""
        return self.lowest[self.first[:-1]] < self.highest[self.first[1:] - 1]

    def bin_edges(self) -> Numbers:
        """Smallest and largest number of each bin [n_bins, 2]."""
        return np.stack([self.lowest[self.first[:-1]], self.highest[self.first[1:] - 1]], axis=1)

    # ------------------------------------------------------------------ numbers to positions
    def locate(self, numbers: Numbers) -> Integers:
        """Cell of each number; one between two cells, or beyond the last, belongs to the nearest."""
        cell = np.minimum(np.searchsorted(self.highest, numbers), len(self.highest) - 1)
        left = np.maximum(cell - 1, 0)
        below = numbers < self.lowest[cell]
        gap = self.lowest[cell].astype(np.float64) - numbers
        nearer = below & (cell > 0) & (numbers - self.highest[left].astype(np.float64) < gap)
        return np.where(nearer, left, cell)

    def inside(self, numbers: Numbers, cells: Integers, noise: Floats | float) -> Floats:
        """Where in its cell a number lies, from 0 to 1; ties are spread by noise in (0, 1), .5 being their middle."""
        width, low = self.widths[cells], self.lowest[cells]
        clipped = np.clip(numbers, low, self.highest[cells])
        if self.integral:
            offset = np.floor(_distance(clipped, low) / self.step)
            return np.asarray((offset + noise) / (width + 1.0), dtype=np.float64)
        safe = np.where(width > 0, width, 1.0)
        return np.where(width > 0, np.clip((clipped - low) / safe, 0.0, 1.0), noise)

    @property
    def widths(self) -> Floats:
        """Largest minus smallest number of each cell [n_cells]; ticks in steps."""
        if self.integral:
            return _distance(self.highest, self.lowest) / self.step
        return np.asarray(self.highest - self.lowest, dtype=np.float64)

    def encode(self, numbers: Numbers, noise: Floats | float = 0.5) -> tuple[Integers, Floats]:
        """Bin of each number and its rank in the mass of that bin, strictly between 0 and 1."""
        cells = self.locate(numbers)
        bins = np.repeat(np.arange(self.n_bins), np.diff(self.first))[cells]
        rank = self.mass[cells] + self.inside(numbers, cells, noise) * (self.mass[cells + 1] - self.mass[cells])
        start, end = self.mass[self.first[bins]], self.mass[self.first[bins + 1]]
        positions = np.clip((rank - start) / (end - start), 1 / LATTICE, 1 - 1 / LATTICE)
        return bins, np.where(self.has_inside[bins], positions, 0.5)

    # ------------------------------------------------------------------ positions to numbers
    def split(self, bins: Integers, positions: Floats) -> tuple[Integers, Floats]:
        """Cell of each position in a bin, and where in the cell it lies; both rise with the position."""
        begin, end = self.first[bins], self.first[bins + 1]
        start = self.mass[begin]
        rank = start + positions * (self.mass[end] - start)
        cells = np.clip(np.searchsorted(self.mass, rank, side="right") - 1, begin, end - 1)
        height = self.mass[cells + 1] - self.mass[cells]
        return cells, np.clip((rank - self.mass[cells]) / height, 0.0, 1.0)

    def number(self, cells: Integers, inside: Floats) -> Numbers:
        """The number at a place in a cell."""
        width = self.widths[cells]
        low = self.lowest[cells]
        if self.integral:
            steps = np.minimum(np.floor(inside * (width + 1.0)), width).astype(np.uint64)
            return np.minimum(
                (low.astype(np.uint64) + steps * np.uint64(self.step)).astype(np.int64), self.highest[cells]
            )
        return np.minimum(low + inside * width, self.highest[cells])

    def decode(self, bins: Integers, positions: Floats) -> Numbers:
        """The number at each position of a bin; rises with bin and position."""
        cells, inside = self.split(bins, positions)
        return self.number(cells, inside)

    # ------------------------------------------------------------------ ranges
    def interval(self, bin_index: int, low: Numbers | float, high: Numbers | float) -> tuple[float, float] | None:
        """Positions of one bin whose numbers lie in [low, high]; None where no position does.

        Found by bisection over multiples of 2^-24: decoding rises with the position, so all positions between the two
        ends give numbers in the range, exactly.
        """
        lower = self._first_position(bin_index, low, inclusive=True)
        upper = self._first_position(bin_index, high, inclusive=False) - 1
        if lower > upper:
            return None
        return (0.0 if lower <= 1 else lower / LATTICE), (1.0 if upper >= LATTICE - 1 else upper / LATTICE)

    def first_within(self, bin_index: int, low: Any, high: Any) -> Any | None:
        """Smallest possible number of a bin within [low, high], however small its mass; None if there is none."""
        cells = slice(int(self.first[bin_index]), int(self.first[bin_index + 1]))
        for lowest, highest in zip(self.lowest[cells].tolist(), self.highest[cells].tolist(), strict=True):
            number = max(low, lowest)
            if self.integral and number > lowest:
                number = lowest - (lowest - number) // self.step * self.step
            if number <= min(high, highest):
                return number
        return None

    def _first_position(self, bin_index: int, bound: Numbers | float, *, inclusive: bool) -> int:
        """Smallest multiple k in [1, LATTICE] whose number is >= bound (> bound unless inclusive); LATTICE if none."""
        left, right = 1, LATTICE
        bins = np.array([bin_index], dtype=np.int64)
        while left < right:
            middle = (left + right) // 2
            number = self.decode(bins, np.array([middle / LATTICE]))[0]
            if number >= bound if inclusive else number > bound:
                right = middle
            else:
                left = middle + 1
        return left


def _distance(upper: Numbers, lower: Numbers) -> Floats:
    """Difference of int64 ticks; unsigned, because the range of large identifiers may not fit into 63 bits."""
    return np.asarray(upper.astype(np.uint64) - lower.astype(np.uint64), dtype=np.float64)
