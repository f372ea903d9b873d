"""How a table's columns lie in symbol space, and where each symbol sits on its column's scale.

A row is one symbol and one position inside that symbol per column. The symbols of a column are ``n_atoms`` unordered
atoms (categories, point masses, missing) followed by ``n_bins`` ordered bins. All symbols of all columns side by side
make a vector of length D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Layout:
    """Columns in symbol space with what the engine needs to know about the marginals.

    Attributes
    ----------
    sizes, n_atoms
        Symbols and unordered symbols per column, ``[C]``.
    share
        Share of the training rows that have each symbol, ``[D]``.
    inside
        Whether positions inside a symbol mean anything, ``[D]``.
    left, right
        Ends of each bin in the dequantised rank of its column's bins, in [0, 1], ``[D]``; 0 for atoms.
    rank_left, rank_right
        Ends of each symbol in the rank of the whole column, point masses included, in [0, 1], ``[D]``.
    ranked
        Whether a symbol has a place on a scale, ``[D]``: not so for categories and for missing.
    """

    sizes: Array
    n_atoms: Array
    share: Array
    inside: Array
    left: Array
    right: Array
    rank_left: Array
    rank_right: Array
    ranked: Array

    @classmethod
    def from_data(
        cls,
        sizes: Sequence[int] | Array,
        n_atoms: Sequence[int] | Array,
        symbols: Array,
        positions: Array,
        keys: Sequence[Array | None] | None = None,
    ) -> Self:
        """Measure the layout of encoded rows.

        Parameters
        ----------
        sizes, n_atoms
            Symbols and unordered symbols per column, ``[C]``.
        symbols, positions
            Encoded rows, ``[N, C]``: symbol within the column, and position in (0, 1), 0.5 where there is no inside.
        keys
            Per column None or the value of each symbol ``[size]`` (for a bin any value inside it), NaN for symbols
            without a place on the scale. Without keys only bins are ranked, in their own order.
        """
        counts, inside = [], []
        for c, size in enumerate(sizes):
            counts.append(np.bincount(symbols[:, c], minlength=int(size)).astype(np.float64))
            inside.append(np.bincount(symbols[positions[:, c] != 0.5, c], minlength=int(size)) > 0)
        return cls.from_counts(sizes, n_atoms, counts, inside, keys, rows=len(symbols))

    @classmethod
    def from_counts(
        cls,
        sizes: Sequence[int] | Array,
        n_atoms: Sequence[int] | Array,
        counts: Sequence[Array],
        inside: Sequence[Array],
        keys: Sequence[Array | None] | None = None,
        *,
        rows: float,
    ) -> Self:
        """Make a layout of counts, such as noisy ones.

        Parameters
        ----------
        sizes, n_atoms, keys
            As in `from_data`.
        counts
            Per column the rows of each symbol ``[size]``, not negative.
        inside
            Per column whether positions inside each symbol mean anything ``[size]``.
        rows
            Number of rows.
        """
        columns = [
            _measure(int(atoms), counts[c], inside[c], None if keys is None else keys[c], max(rows, 1))
            for c, atoms in enumerate(n_atoms)
        ]
        joined = {
            name: np.concatenate([column[name] for column in columns]) if columns else np.zeros(0)
            for name in (field.name for field in fields(cls)[2:])
        }
        return cls(np.asarray(sizes, np.int64), np.asarray(n_atoms, np.int64), **joined)

    @property
    def offsets(self) -> Array:
        """First symbol of each column and D at the end, ``[C + 1]``."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    @property
    def n_bins(self) -> Array:
        """Ordered symbols per column, ``[C]``."""
        counts: Array = self.sizes - self.n_atoms
        return counts

    @property
    def width(self) -> int:
        """D, the number of symbols of all columns."""
        return int(self.sizes.sum())

    @property
    def owner(self) -> Array:
        """Column of each symbol, ``[D]``."""
        columns: Array = np.arange(len(self.sizes)).repeat(self.sizes)
        return columns

    def state(self) -> dict[str, Array]:
        """Return all arrays by name, for the model file."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, Array]) -> Self:
        """Rebuild from what `state` returned."""
        return cls(**{field.name: np.asarray(arrays[field.name]) for field in fields(cls)})


def _measure(atoms: int, count: Array, inside: Array, keys: Array | None, rows: float) -> dict[str, Array]:
    """Marginals and scale of one column, by the names of `Layout`."""
    size = len(count)
    left, right = np.zeros(size), np.zeros(size)
    if size > atoms:
        # half a row more per bin keeps every bin wider than nothing, so that u can be inverted everywhere
        ends = np.cumsum(count[atoms:] + 0.5)
        right[atoms:] = ends / ends[-1]
        left[atoms + 1 :] = right[atoms:-1]
    if keys is None:
        keys = np.where(np.arange(size) >= atoms, np.arange(size, dtype=np.float64), np.nan)
    ranked = np.isfinite(keys)
    order = np.flatnonzero(ranked)[np.argsort(keys[ranked], kind="stable")]
    ends = np.cumsum(count[order])
    total = max(ends[-1], 1.0) if len(ends) else 1.0
    rank_left, rank_right = np.full(size, 0.5), np.full(size, 0.5)
    rank_left[order], rank_right[order] = (ends - count[order]) / total, ends / total
    middle = (rank_left + rank_right) / 2
    return {
        "share": count / rows,
        "inside": inside,
        "left": left,
        "right": right,
        "rank_left": np.where(inside, rank_left, middle),
        "rank_right": np.where(inside, rank_right, middle),
        "ranked": ranked,
    }
