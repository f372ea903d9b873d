"""Nearest rows by the distance of Gower: numbers scaled by their range, categories 0 or 1, summed over columns.

Anonymeter uses this distance, and an attacker who knows only some columns can use it on them. Two deviations: of two
missing numbers the distance is 0 (there 1), and of a missing and a present one it is 1 (there not a number).

References
----------
Gower (1971), Biometrics 27, 857.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.view import CodedTable, TableView

Floats = npt.NDArray[np.float64]
_CELLS = 1_000_000  # of one block of distances, so that it stays in the cache
# Distances that differ by less are equal up to rounding; the row that comes first is then the nearer one.
_TIE = 1e-9


@dataclass(frozen=True)
class GowerSpace:
    """Targets and the rows that are searched, ready for distances.

    Attributes
    ----------
    numbers
        For each numeric column: scaled values of the targets, and of the base; NaN where missing.
    codes
        For each categorical column: codes of the targets, and of the base.
    n_targets, n_base
        Numbers of rows.
    """

    numbers: dict[str, tuple[Floats, Floats]]
    codes: dict[str, tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]
    n_targets: int
    n_base: int

    @classmethod
    def of(cls, view: TableView, targets: CodedTable, base: CodedTable) -> GowerSpace:
        """Return the space of two tables; a number is divided by its range in both together.

        Parameters
        ----------
        view
            How columns are read.
        targets
            What is looked for.
        base
            Where it is looked for. Of equally near rows the first is the nearest.
        """
        numbers = {}
        for position, name in enumerate(view.numeric):
            mine, other = targets.numbers[:, position], base.numbers[:, position]
            present = np.concatenate([mine, other])
            present = present[~np.isnan(present)]
            least = present.min() if len(present) else 0.0
            width = (present.max() - least if len(present) else 0.0) or 1.0
            numbers[name] = ((mine - least) / width, (other - least) / width)
        codes = {
            name: (targets.codes[:, position].astype(np.int32), base.codes[:, position].astype(np.int32))
            for position, name in enumerate(view.categorical)
        }
        return cls(numbers, codes, len(targets), len(base))

    def blocks(self) -> Iterator[slice]:
        """Yield the targets in parts, each so small that its distances to the base fit in the cache."""
        size = max(1, _CELLS // max(self.n_base, 1))
        for start in range(0, self.n_targets, size):
            yield slice(start, min(start + size, self.n_targets))

    def distances(self, columns: Sequence[str], rows: slice) -> Floats:
        """Return the distance of some targets to all rows of the base, ties broken by order, shape [targets, base].

        Parameters
        ----------
        columns
            Over which columns.
        rows
            Which targets.
        """
        # a part of the tie width for each place in the order: equal distances become unequal, others keep their order
        order = np.arange(self.n_base) * (_TIE / max(self.n_base, 1))
        differing = np.zeros((rows.stop - rows.start, self.n_base), dtype=np.uint16)
        for name in columns:
            if name in self.codes:
                mine, other = self.codes[name]
                differing += mine[rows, None] != other
        total: Floats = differing + order
        for name in columns:
            if name in self.numbers:
                total += self._apart(name, rows)
        return total

    def part(self, name: str, rows: slice) -> Floats:
        """Return what one column adds to the distances, shape [targets, base]."""
        if name in self.numbers:
            return self._apart(name, rows)
        mine, other = self.codes[name]
        return np.asarray(mine[rows, None] != other, dtype=np.float64)

    def nearest(self, columns: Sequence[str], k: int = 1) -> npt.NDArray[np.int64]:
        """Return the positions of the nearest rows of the base for each target, nearest first, shape [targets, k].

        Parameters
        ----------
        columns
            Over which columns.
        k
            Number of neighbours; fewer where there are fewer rows.
        """
        k = min(k, self.n_base)
        found = np.empty((self.n_targets, k), dtype=np.int64)
        for rows in self.blocks():
            distances = self.distances(columns, rows)
            if k == 1:
                found[rows, 0] = distances.argmin(axis=1)
                continue
            some = np.argpartition(distances, k - 1, axis=1)[:, :k]
            order = np.take_along_axis(distances, some, axis=1).argsort(axis=1)
            found[rows] = np.take_along_axis(some, order, axis=1)
        return found

    def _apart(self, name: str, rows: slice) -> Floats:
        """Return the absolute differences of a number: 0 between two missing ones, 1 between missing and present."""
        mine, other = self.numbers[name]
        mine = mine[rows]
        apart = np.subtract.outer(mine, other)
        np.abs(apart, out=apart)
        mine_missing, other_missing = np.isnan(mine), np.isnan(other)
        if mine_missing.any() or other_missing.any():
            apart[mine_missing] = np.where(other_missing, 0.0, 1.0)
            apart[np.ix_(~mine_missing, other_missing)] = 1.0
        return apart


def in_canonical_order(table: CodedTable, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return an order of rows that depends on what they hold and on the seed, not on how they were given.

    Ties between neighbours are broken by order. In this one they are broken at random, and a table in another order
    gives the same answer.

    Parameters
    ----------
    table
        The rows.
    generator
        Shuffles them.
    """
    keys = [*table.codes.T, *table.numbers.T]
    order = np.lexsort(keys) if keys else np.arange(len(table))
    return order[generator.permutation(len(table))].astype(np.int64)
