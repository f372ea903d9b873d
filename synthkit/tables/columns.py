"""How one column becomes symbols and positions, and back: the part that all kinds of columns share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import DataError
from synthkit.schema import Column
from synthkit.tables.cells import Bools, Integers, Numbers
from synthkit.tables.conditions import AllowedSymbols
from synthkit.tables.identifiers import TakenIdentifiers

Floats = NDArray[np.float64]
State = tuple[dict[str, Any], dict[str, NDArray[Any]]]


@dataclass(frozen=True, eq=False)
class ColumnCode:
    """What a model needs to know of one column.

    Parameters
    ----------
    name, type : str
        As in the schema.
    n_atoms : int
        Unordered symbols, first: missing, sentinels, spikes; or missing, categories, rare.
    n_bins : int
        Ordered symbols, after the atoms.
    is_numeric : bool
        Whether values lie on a line (numbers, dates, ordered categories).
    missing : bool
        Whether symbol 0 stands for missing cells: exactly when the column is nullable.
    shares : ndarray of float64 [size]
        Share of the training rows of each symbol; sums to one.
    values : ndarray of float64 [size]
        Numeric columns: the median value of each symbol on the column's scale, NaN for missing. Other columns: the
        symbol.
    edges : ndarray of float64 [n_bins, 2]
        Smallest and largest value of each bin on the same scale.
    has_inside : ndarray of bool [size]
        Whether positions inside the symbol mean different values.
    """

    name: str
    type: str
    n_atoms: int
    n_bins: int
    is_numeric: bool
    missing: bool
    shares: Floats
    values: Floats
    edges: Floats
    has_inside: Bools

    @property
    def size(self) -> int:
        """Number of symbols."""
        return self.n_atoms + self.n_bins


class ColumnCodec(Protocol):
    """One column of the encoder. A codec with a single symbol is a constant column and is not modelled."""

    column: Column
    code: ColumnCode

    def encode(self, series: pd.Series[Any], rng: np.random.Generator | None, unknown: bool) -> tuple[Integers, Floats]:
        """Symbol and position of each cell."""
        ...

    def decode(
        self,
        symbols: Integers,
        positions: Floats,
        rng: np.random.Generator,
        allowed: AllowedSymbols | None,
        taken: TakenIdentifiers | None = None,
    ) -> pd.Series[Any]:
        """A cell for each symbol and position; identifiers are new ones, and taken."""
        ...

    def view(self, symbols: Integers, positions: Floats) -> NDArray[np.float32]:
        """A number for each symbol and position that rises with the value."""
        ...

    def condition(self, condition: Any) -> AllowedSymbols:
        """What a condition allows."""
        ...

    def state(self) -> State:
        """JSON-safe dictionary and numeric arrays."""
        ...


def missing_symbols(series: pd.Series[Any], missing: Bools, column: Column, unknown: bool) -> int:
    """Symbol of the missing cells of a column: 0 where nullable, else -1 if unknown cells are accepted.

    Raises
    ------
    DataError
        Missing cells where the schema says there are none.
    """
    if column.nullable:
        return 0
    if not unknown and missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise DataError(
            f"column {column.name!r} has {int(missing.sum())} missing cells (first in row {row}), expected none",
            remedy="set nullable: true for it in the schema",
        )
    return -1


def from_scale(numbers: Numbers) -> Floats:
    """Numbers of a scale as float64."""
    return np.asarray(numbers, dtype=np.float64)
