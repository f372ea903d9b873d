"""How surprising a cell is, in nats: minus the logarithm of the chance of a cell at least as unusual.

A number is unusual if few values lie further out on its side, a label if few rows have one that is at most as likely,
and so is "missing", or not to be missing, where that is rare. Under the law itself a surprise is about exponential with
mean 1, whatever the column, so that surprises of columns can be added up and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.gan.layout import Layout
from synthkit.tables.columns import ColumnCode, ColumnCodec
from synthkit.tables.label_codec import LabelCodec
from synthkit.tables.number_codec import NumberCodec

Floats = NDArray[np.float64]
Symbols = NDArray[np.int32]
Positions = NDArray[np.float32]
Bools = NDArray[np.bool_]
_LEAST = 1e-12
_TAIL = 0.05  # share of the values on each side that tell how far the column reaches
_HEAVY = 0.5  # shape of the tail beyond the training values


@dataclass(frozen=True, eq=False)
class ColumnTails:
    """What the surprise of the cells of one column needs to know.

    Attributes
    ----------
    order
        Symbols with a place on the scale, ascending; empty for labels.
    place
        Place of each symbol in ``order``, -1 for none, ``[size]``.
    inside
        Whether positions inside each symbol mean anything, ``[size]``.
    half_a_row
        Share of each symbol that half a training row is: no tail inside it is known to be smaller, ``[size]``.
    """

    order: NDArray[np.int64]
    place: NDArray[np.int64]
    inside: Bools
    half_a_row: Floats

    @classmethod
    def of(cls, layout: Layout, column: int, code: ColumnCode, rows: int) -> ColumnTails:
        """Tails of a column of a layout, of whose table ``rows`` rows were seen."""
        own = slice(layout.offsets[column], layout.offsets[column + 1])
        ranked = layout.ranked[own]
        order = np.flatnonzero(ranked)[np.argsort(layout.rank_left[own][ranked], kind="stable")]
        if len(order) <= 2:
            order = order[:0]  # two values have no middle and no tails
        place = np.full(code.size, -1, dtype=np.int64)
        place[order] = np.arange(len(order))
        in_symbol = np.maximum(layout.share[own] * rows, 1.0)
        return cls(order, place, np.asarray(layout.inside[own], dtype=bool), np.minimum(0.5 / in_symbol, 0.5))

    def surprise(self, law: Floats, symbols: Symbols, positions: Positions) -> Floats:
        """Surprise of cells in nats.

        Parameters
        ----------
        law
            Probability of every symbol, ``[n, size]`` or ``[1, size]``.
        symbols, positions
            The cells, ``[n]``; no symbol is negative.

        Returns
        -------
        ndarray of float64 [n]
        """
        law = np.broadcast_to(law, (len(symbols), law.shape[1]))
        rows = np.arange(len(symbols))
        own = law[rows, symbols]
        if not len(self.order):
            chance = np.where(law <= own[:, None] * (1 + 1e-9), law, 0.0).sum(axis=1)
            return _nats(chance)
        running = np.cumsum(law[:, self.order], axis=1)
        present = running[:, -1]
        place = self.place[symbols]
        there = place >= 0
        up_to = running[rows, np.maximum(place, 0)]
        share = np.clip(positions, self.half_a_row[symbols], 1 - self.half_a_row[symbols])
        within = self.inside[symbols]
        low = np.where(within, up_to - own + share * own, up_to)
        high = np.where(within, present - low, present - up_to + own)
        tail = 2 * np.minimum(low, high) / np.maximum(present, _LEAST)
        chance = np.minimum(tail, 1.0) * np.where(present < 0.5, present, 1.0)
        absent = 1.0 - present
        chance = np.where(there, chance, np.where(absent < 0.5, absent, 1.0))
        return _nats(chance)


def _nats(chance: Floats) -> Floats:
    return np.asarray(-np.log(np.clip(chance, _LEAST, 1.0)), dtype=np.float64)


def beyond(codec: ColumnCodec, series: pd.Series[Any]) -> Floats:
    """Further surprise of numbers outside the training values, ``[n]``; 0 for all others.

    The tail beyond the edge is taken for a generalised Pareto tail of shape 1/2, whose scale is the mean excess of the
    outer twentieth of the training values (Pickands 1975): the surprise goes on rising without end, ever more slowly.

    References
    ----------
    Pickands (1975), Statistical inference using extreme order statistics, Annals of Statistics 3.
    """
    found = np.zeros(len(series))
    if not isinstance(codec, NumberCodec) or codec.scale.kind == "rank" or not codec.support.n_bins:
        return found
    numbers, missing = codec.scale.numbers(series)
    values = numbers.astype(np.float64)
    lowest, highest = codec.extent
    symbols, _ = codec.encode_numbers(numbers, missing, None)
    outside = ~missing & (symbols >= codec.code.n_atoms) & ((values < lowest) | (values > highest))
    if not outside.any():
        return found
    support = codec.support
    middle = (support.lowest.astype(np.float64) + support.highest.astype(np.float64)) / 2
    mass = np.diff(support.mass)
    for edge, sign in ((lowest, -1.0), (highest, 1.0)):
        rows = outside & (sign * (values - edge) > 0)
        far = support.mass[1:] <= _TAIL if sign < 0 else support.mass[:-1] >= 1 - _TAIL
        far = far if far.any() else sign * middle >= (sign * middle).max()
        start = (middle[far] * sign).min()
        scale = float(np.average(middle[far] * sign - start, weights=mass[far]))
        # a tail without width: the step of the grid, or a share of the range
        scale = max(scale, float(support.step) if support.integral else 0.0, (highest - lowest) / len(mass), 1e-300)
        found[rows] = np.log1p(_HEAVY * sign * (values[rows] - edge) / scale) / _HEAVY
    return found


def never_seen(codec: ColumnCodec, series: pd.Series[Any]) -> Bools:
    """Which cells the training rows had nothing like: a new label, or missing where none was, ``[n]``."""
    found: Bools = np.zeros(len(series), dtype=bool)
    if not codec.column.nullable:
        found |= series.isna().to_numpy(dtype=bool)
    if isinstance(codec, LabelCodec):
        found |= codec.unseen(series)
    return found


def differs(codec: ColumnCodec, series: pd.Series[Any]) -> Bools:
    """Which cells are not what all training rows had, in a column that was constant, ``[n]``."""
    if not isinstance(codec, NumberCodec):
        return never_seen(codec, series)
    numbers, missing = codec.scale.numbers(series)
    lowest, highest = codec.extent
    # a column that was empty has no extent: any number differs
    same = (numbers >= lowest) & (numbers <= highest)
    return np.asarray(np.where(missing, not codec.column.nullable, ~same), dtype=bool)
