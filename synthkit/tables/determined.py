"""Cells that constraints determine: totals, values that follow from another column, cells that do not apply.

A determined cell is computed after decoding and costs no rejection. The law of all other cells stays what the model
says: leaving out rows instead would shift the margins of the columns wherever the model breaks the rule more often.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import ConditionError
from synthkit.random import RandomSource
from synthkit.schema import Label, Schema
from synthkit.schema_cells import key_positions, label_key
from synthkit.schema_constraints import Combinations, Total
from synthkit.schema_values import from_numbers
from synthkit.tables.cells import Bools
from synthkit.tables.encoder import TableEncoder

_MOST_VALUES = 2_000  # combinations up to which the values that follow are looked up


class Following:
    """Columns whose values follow from that of another one, as a list of combinations says.

    Parameters
    ----------
    one
        The combinations; explicit.
    encoder
        Makes cells of their values.
    leading
        The column from which the others follow.
    """

    def __init__(self, one: Combinations, encoder: TableEncoder, leading: str) -> None:
        self.constraint, self.leading = one, leading
        rows = [] if isinstance(one.allowed, str) else list(one.allowed)
        place = one.columns.index(leading)
        self._position = {label_key(row[place]): number for number, row in enumerate(rows)}
        self._cells: dict[str, pd.Series[Any]] = {}
        possible = np.ones(len(rows), dtype=bool)
        for other, name in enumerate(one.columns):
            if name != leading:
                self._cells[name] = _cells_of(encoder, name, [row[other] for row in rows], possible)
        self._possible = np.append(possible, False)

    def compute(self, frame: pd.DataFrame, rows: Bools) -> Bools:
        """Set the columns that follow in these rows, in place; the rows in which that was possible, ``[n]``."""
        found = key_positions(frame[self.leading], self._position)
        rows = rows & self._possible[found]
        places = np.flatnonzero(rows)
        if len(places):
            for name, cells in self._cells.items():
                frame[name] = put(frame[name], places, cells.iloc[found[places]])
        return np.asarray(rows, dtype=bool)


def following(one: Combinations, encoder: TableEncoder, fixed: Collection[str]) -> Following | None:
    """How to compute columns of a list of combinations; None where none of them determines the others.

    Parameters
    ----------
    one
        The combinations.
    encoder
        Of the model.
    fixed
        Columns under a condition, which rather lead than follow.
    """
    if isinstance(one.allowed, str) or len(one.allowed) > _MOST_VALUES:
        return None
    leading = [
        name
        for place, name in enumerate(one.columns)
        if len({label_key(row[place]) for row in one.allowed}) == len(one.allowed)
    ]
    if not leading:
        return None
    return Following(one, encoder, max(leading, key=lambda name: name in fixed))


def _cells_of(
    encoder: TableEncoder, name: str, values: Sequence[Label | None], possible: NDArray[np.bool_]
) -> pd.Series[Any]:
    """A cell for each value; ``possible`` becomes false where the model has no such value."""
    rng = RandomSource(0).numpy("cells of values")
    distinct: dict[Label | None, Any] = dict.fromkeys(values)
    for value in distinct:
        try:
            distinct[value] = encoder.cell(name, value, rng)
        except ConditionError:
            possible &= np.array([other != value for other in values])
    parts = [cell for cell in distinct.values() if cell is not None]
    if not parts:
        return pd.Series([None] * len(values), dtype="object")
    cells = pd.concat(parts, ignore_index=True)
    place = {value: number for number, value in enumerate(v for v, cell in distinct.items() if cell is not None)}
    found: pd.Series[Any] = cells.iloc[[place.get(value, 0) for value in values]].reset_index(drop=True)
    return found


# ---------------------------------------------------------------------- totals
def in_order(totals: Sequence[Total]) -> list[Total]:
    """Totals so that one that is a part of another comes before it."""
    ordered: list[Total] = []
    waiting = list(totals)
    while waiting:
        open_names = {one.column for one in waiting}
        ready = [one for one in waiting if not open_names.intersection(one.parts)] or waiting
        ordered += ready
        waiting = [one for one in waiting if one not in ready]
    return ordered


def computed_total(one: Total, frame: pd.DataFrame, schema: Schema, only: Bools | None = None) -> Bools:
    """Set the total of rows that violate it to the sum of its parts, in place, in the decimals of the column.

    Parameters
    ----------
    only
        Rows that may be changed, ``[n]``; all when absent.

    Returns
    -------
    ndarray of bool [n]
        Rows that were changed. A total that its column cannot hold is left as it is.
    """
    column = schema[one.column]
    rows = ~one.holds(frame)
    if only is not None:
        rows &= only
    sums = one.sums(frame)
    dtype = column.dtype.lower().removesuffix("[pyarrow]")
    if dtype.startswith(("int", "uint")):
        limits = np.iinfo(dtype)
        with np.errstate(invalid="ignore"):
            rows &= (np.rint(sums) >= limits.min) & (np.rint(sums) <= min(limits.max, 2**53))
    if rows.any():
        frame[one.column] = put(frame[one.column], np.flatnonzero(rows), from_numbers(sums[rows], column))
    return np.asarray(rows, dtype=bool)


# ---------------------------------------------------------------------- cells
def put(series: pd.Series[Any], places: NDArray[np.int64], cells: pd.Series[Any]) -> pd.Series[Any]:
    """The column with other cells in these places; in the dtype of the cells where its own has no room for them."""
    if series.dtype != cells.dtype and series.dtype.kind in "iub" and cells.isna().any():
        series = series.astype(cells.dtype)
    out = series.copy()
    out.iloc[places] = cells.to_numpy() if out.dtype == object else cells.astype(out.dtype).array
    return out


def emptied(series: pd.Series[Any], rows: Bools, blank: Any) -> pd.Series[Any]:
    """The column with these cells missing."""
    if series.dtype == object:
        series = series.copy()
        series[rows] = blank
        return series
    return series.mask(rows)
