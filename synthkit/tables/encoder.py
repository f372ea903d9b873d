"""The only way from a table to symbols and positions, and back.

Each modelled column becomes one symbol per row (an atom: missing, sentinel, spike, category, "rare"; or an ordered bin)
plus a continuous position inside the symbol. Decoding restores columns, order, dtypes, categories and decimals of the
training table.

What is stored, for whoever must decide whether a model may leave the building: per numeric column the borders and
masses of at most about 4,096 cells, which are observed values (smallest and largest among them), and the point masses
with their shares; per column of labels every label with its number of rows; per text identifier its template. Records,
and which values occur together, are not stored here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import ConditionError, DataError, ModelFileError, SchemaError, unknown_name
from synthkit.random import RandomSource
from synthkit.schema import Column, Schema
from synthkit.schema_constraints import Unique
from synthkit.schema_regex import Writer
from synthkit.tables.columns import ColumnCode, ColumnCodec
from synthkit.tables.conditions import AllowedSymbols
from synthkit.tables.identifiers import TakenIdentifiers, TextIdentifier
from synthkit.tables.label_codec import LabelCodec
from synthkit.tables.number_codec import NumberCodec
from synthkit.tables.packing import pack, unpack
from synthkit.tables.statistics import (
    ColumnStatistics,
    IdentifierStatistics,
    LabelStatistics,
    TableStatistics,
    table_statistics,
)

Symbols = NDArray[np.int32]
Positions = NDArray[np.float32]
_SMALLEST, _LARGEST = np.float32(2.0**-24), np.float32(1 - 2.0**-24)


@dataclass(frozen=True, eq=False)
class Encoded:
    """A table as numbers.

    Parameters
    ----------
    symbols : ndarray of int32 [n_rows, n_columns]
        Symbol of each cell; -1 where unknown (only with `encode(..., unknown=True)`).
    positions : ndarray of float32 [n_rows, n_columns]
        Position inside the symbol, in (0, 1); 0.5 where the symbol has no inside.
    """

    symbols: Symbols
    positions: Positions

    def __len__(self) -> int:
        return len(self.symbols)


class TableEncoder:
    """Symbols and positions for tables.

    Parameters
    ----------
    max_bins : int
        Most ordered bins of a numeric column; tables with fewer than eight rows per bin get fewer.
    max_grid : int
        Numeric columns with at most so many distinct values get one ordered bin for each, if each has enough rows.
    spike_share : float
        Values with at least this share of a column's rows, and well above their neighbours, are point masses.
    max_categories : int
        Most labels of a column with a symbol of their own; the others share the symbol "rare".

    Attributes
    ----------
    schema : Schema
        Of the training table.
    columns : list of ColumnCode
        The modelled columns in order. Constant columns and text identifiers are restored without being modelled, text
        columns are left out.
    """

    def __init__(
        self, max_bins: int = 50, max_grid: int = 100, spike_share: float = 0.01, max_categories: int = 256
    ) -> None:
        self.max_bins = max_bins
        self.max_grid = max_grid
        self.spike_share = spike_share
        self.max_categories = max_categories
        self._schema: Schema | None = None
        self._modelled: dict[str, ColumnCodec] = {}
        self._constant: dict[str, ColumnCodec] = {}
        self._generated: dict[str, TextIdentifier] = {}

    # ------------------------------------------------------------------ fitting
    def fit(self, frame: pd.DataFrame, schema: Schema) -> TableEncoder:
        """Learn the symbols of a table.

        Parameters
        ----------
        frame : DataFrame [n_rows, n_columns]
            The training table.
        schema : Schema
            Its description.

        Raises
        ------
        SchemaError
            A column of the schema is not in the frame.
        DataError
            Cells that do not fit the schema, or no rows.
        """
        return self.fit_statistics(table_statistics(frame, schema), schema)

    @staticmethod
    def statistics(frame: pd.DataFrame, schema: Schema) -> TableStatistics:
        """Statistics of a table or a chunk of one; merge those of all chunks and give them to `fit_statistics`."""
        return table_statistics(frame, schema)

    @classmethod
    def from_statistics(
        cls, parts: TableStatistics | Iterable[TableStatistics], schema: Schema, **settings: Any
    ) -> TableEncoder:
        """Encoder fitted to the statistics of one or more chunks."""
        statistics = parts if isinstance(parts, TableStatistics) else TableStatistics.merged(parts)
        return cls(**settings).fit_statistics(statistics, schema)

    def fit_statistics(self, statistics: TableStatistics, schema: Schema) -> TableEncoder:
        """Learn the symbols of a table from its statistics alone."""
        if not statistics.rows:
            raise DataError("the table has no rows, expected at least one")
        self._schema = schema
        self._modelled, self._constant, self._generated = {}, {}, {}
        for name, counted in statistics.columns.items():
            column = schema[name]
            if isinstance(counted, IdentifierStatistics):
                self._generated[name] = TextIdentifier(column, counted.missing / counted.rows)
            else:
                self._add(self._fit_column(column, counted))
        return self

    @classmethod
    def from_codecs(
        cls, schema: Schema, codecs: Mapping[str, ColumnCodec], generated: Mapping[str, TextIdentifier]
    ) -> TableEncoder:
        """Encoder of columns that were described elsewhere, such as by a declared schema."""
        encoder = cls()
        encoder._schema = schema
        for name in schema.names:
            if name in codecs:
                encoder._add(codecs[name])
        encoder._generated = dict(generated)
        return encoder

    def _fit_column(self, column: Column, counted: ColumnStatistics) -> ColumnCodec:
        missing = counted.missing if not isinstance(counted, IdentifierStatistics) else 0
        if missing and not column.nullable:
            raise DataError(
                f"column {column.name!r} has {missing} missing cells, expected none",
                remedy="set nullable: true for it in the schema",
            )
        if isinstance(counted, LabelStatistics):
            return LabelCodec.fit(column, counted, max_categories=self.max_categories)
        if isinstance(counted, IdentifierStatistics):
            raise SchemaError(f"column {column.name!r} is a text identifier, which is not modelled")
        return NumberCodec.fit(
            column, counted, max_bins=self.max_bins, max_grid=self.max_grid, spike_share=self.spike_share
        )

    def _add(self, codec: ColumnCodec) -> None:
        kept = self._constant if codec.code.size == 1 else self._modelled
        kept[codec.column.name] = codec

    # ------------------------------------------------------------------ description
    @property
    def schema(self) -> Schema:
        """Schema of the training table."""
        if self._schema is None:
            raise DataError("the encoder has not seen a table yet", remedy="call fit first")
        return self._schema

    @property
    def columns(self) -> list[ColumnCode]:
        """The modelled columns, in the order of the symbols."""
        return [codec.code for codec in self._modelled.values()]

    @property
    def names(self) -> list[str]:
        """Names of the modelled columns."""
        return list(self._modelled)

    @property
    def constants(self) -> Mapping[str, ColumnCodec]:
        """Codecs of the columns that were constant, by name."""
        return self._constant

    def codec(self, name: str) -> ColumnCodec:
        """The codec of a modelled column."""
        return self._modelled[name]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of symbols of each modelled column [n_columns]."""
        return np.array([code.size for code in self.columns], dtype=np.int64)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """First place of each column when all symbols stand in one row, and the total [n_columns + 1]."""
        return np.append(0, np.cumsum(self.sizes)).astype(np.int64)

    # ------------------------------------------------------------------ rows
    def encode(self, frame: pd.DataFrame, *, rng: np.random.Generator | None = None, unknown: bool = False) -> Encoded:
        """Symbols and positions of a table.

        Parameters
        ----------
        frame : DataFrame [n_rows, ...]
            Has the modelled columns, in any order.
        rng : Generator, optional
            Spreads equal values over the positions of their ranks; without it they get the middle.
        unknown : bool
            Encode missing cells of columns that are not nullable, and labels never seen, as symbol -1 instead of
            raising.

        Raises
        ------
        DataError
            Cells that do not fit the schema.
        SchemaError
            A modelled column is not in the frame.
        """
        symbols = np.empty((len(self._modelled), len(frame)), dtype=np.int32)
        positions = np.empty((len(self._modelled), len(frame)), dtype=np.float32)
        for place, (name, codec) in enumerate(self._modelled.items()):
            if name not in frame:
                raise SchemaError(unknown_name("column", name, [str(known) for known in frame.columns]))
            found, inside = codec.encode(frame[name], rng, unknown)
            symbols[place] = found
            positions[place] = np.clip(inside.astype(np.float32), _SMALLEST, _LARGEST)
        return Encoded(np.ascontiguousarray(symbols.T), np.ascontiguousarray(positions.T))

    def decode(
        self,
        symbols: NDArray[Any],
        positions: NDArray[Any] | None = None,
        *,
        rng: np.random.Generator,
        forced: Mapping[str, AllowedSymbols] | None = None,
        taken: TakenIdentifiers | None = None,
    ) -> pd.DataFrame:
        """A table from symbols and positions.

        Parameters
        ----------
        symbols : integer ndarray [n_rows, n_columns]
            Symbols of the modelled columns.
        positions : ndarray [n_rows, n_columns], optional
            Positions in [0, 1]; drawn uniformly when absent.
        rng : Generator
            Draws positions, rare labels and identifiers.
        forced : mapping of name to AllowedSymbols, optional
            Conditions from `condition`. Rare labels and single values are drawn among the allowed ones, positions
            (where they are drawn here) from the allowed interval. Whole-number identifiers under a condition are not
            made unique.
        taken : TakenIdentifiers, optional
            Identifiers that must not come back; those of this call are added.

        Returns
        -------
        DataFrame [n_rows, ...]
            Columns, order, dtypes, categories and decimals of the training table. Identifiers that were unique in
            training are unique, and none that is taken: duplicates of whole numbers move to nearby unused ones
            between smallest and largest training value, and above when that range has no room.
        """
        n = len(symbols)
        if symbols.ndim != 2 or symbols.shape[1] != len(self._modelled):
            raise DataError(f"expected symbols of shape [n_rows, {len(self._modelled)}], got {list(symbols.shape)}")
        drawn: dict[str, pd.Series[Any]] = {}
        for place, (name, codec) in enumerate(self._modelled.items()):
            own = symbols[:, place].astype(np.int64)
            if n and (own.min() < 0 or own.max() >= codec.code.size):
                raise DataError(f"column {name!r} has symbols outside 0 to {codec.code.size - 1}")
            allowed = forced.get(name) if forced else None
            if positions is not None:
                inside = positions[:, place].astype(np.float64)
            else:
                inside = rng.random(n)
                if allowed is not None:
                    inside = allowed.low[own] + inside * (allowed.high[own] - allowed.low[own])
            drawn[name] = codec.decode(own, inside, rng, allowed, taken)
        for name, codec in self._constant.items():
            drawn[name] = codec.decode(np.zeros(n, dtype=np.int64), np.full(n, 0.5), rng, None)
        for name, generated in self._generated.items():
            drawn[name] = generated.cells(n, rng, taken)
        kept = [name for name in self.schema.names if name in drawn]
        return pd.DataFrame({name: drawn[name] for name in kept}, index=pd.RangeIndex(n))

    def take(self, frame: pd.DataFrame) -> TakenIdentifiers:
        """Identifiers of the rows of a table, which `decode` shall not give to new rows."""
        taken = TakenIdentifiers()
        for name, codec in self._modelled.items():
            if name in frame and isinstance(codec, NumberCodec):
                codec.take(frame[name], taken)
        for name in self._generated:
            if name in frame:
                taken.texts(name).update(frame[name].dropna().astype(str))
        for one in self.schema.constraints:
            if isinstance(one, Unique) and all(name in frame for name in one.columns):
                taken.take_keys(one, frame)
        return taken

    def decode_column(
        self,
        name: str,
        symbols: NDArray[Any],
        positions: NDArray[Any],
        rng: np.random.Generator,
        taken: TakenIdentifiers | None = None,
    ) -> pd.Series[Any]:
        """Cells of one modelled column; see `decode`."""
        return self._modelled[name].decode(symbols.astype(np.int64), positions.astype(np.float64), rng, None, taken)

    def identifiers(
        self,
        symbols: Symbols,
        positions: Positions,
        rng: np.random.Generator,
        taken: TakenIdentifiers,
        forced: Mapping[str, AllowedSymbols],
    ) -> dict[str, pd.Series[Any]]:
        """Identifiers of rows that were decoded without `taken`, anew: those of rows that were left out stay free."""
        found = {}
        for place, (name, codec) in enumerate(self._modelled.items()):
            if codec.column.type == "identifier" and name not in forced:
                found[name] = self.decode_column(name, symbols[:, place], positions[:, place], rng, taken)
        return found | {name: generated.cells(len(symbols), rng, taken) for name, generated in self._generated.items()}

    def made_up(
        self, name: str, n: int, rng: np.random.Generator, taken: TakenIdentifiers, source: Writer | None = None
    ) -> pd.Series[Any] | None:
        """New identifiers of a column of text, written by ``source`` if given; None for a column that is modelled."""
        return self._generated[name].present(n, rng, taken, source) if name in self._generated else None

    def cell(self, name: str, value: Any, rng: np.random.Generator) -> pd.Series[Any]:
        """One cell of a modelled column, that holds this value (None for missing); ConditionError where none can."""
        allowed = self.condition(name, value)
        symbol = np.flatnonzero(allowed.mask)[:1]
        return self._modelled[name].decode(symbol, allowed.low[symbol], rng, allowed)

    def blank(self, name: str) -> Any:
        """What a missing cell of a column is."""
        codec = self._modelled.get(name) or self._constant.get(name)
        if codec is None or not codec.column.nullable:
            return None
        missing, inside = np.zeros(1, dtype=np.int64), np.full(1, 0.5)
        return codec.decode(missing, inside, RandomSource(0).numpy("blank"), None).iloc[0]

    def numeric_view(self, symbols: NDArray[Any], positions: NDArray[Any]) -> NDArray[np.float32]:
        """Numbers that rise with the value, for trees and critics.

        Parameters
        ----------
        symbols : integer ndarray [n_rows, n_columns]
        positions : ndarray [n_rows, n_columns]

        Returns
        -------
        ndarray of float32 [n_rows, n_columns]
            Numeric columns: rank of the decoded value among the training values, from 0 to 1, point masses in their
            place in the order, NaN where missing. Columns of labels: the symbol.
        """
        out = np.empty((len(self._modelled), len(symbols)), dtype=np.float32)
        for place, codec in enumerate(self._modelled.values()):
            out[place] = codec.view(symbols[:, place].astype(np.int64), positions[:, place].astype(np.float64))
        return np.ascontiguousarray(out.T)

    # ------------------------------------------------------------------ conditions
    def condition(self, name: str, condition: Any) -> AllowedSymbols:
        """Symbols and positions of a column that satisfy a condition.

        Parameters
        ----------
        name : str
            A column of the table.
        condition
            A value, None for missing cells, a list of values, or a closed range (low, high) in which None leaves an end
            open.

        Returns
        -------
        AllowedSymbols
            For a constant column one symbol, if the constant satisfies the condition.

        Raises
        ------
        ConditionError
            Unknown column or value, an empty range, nothing in the training data that satisfies it, or a column that is
            not modelled.
        """
        codec = self._modelled.get(name) or self._constant.get(name)
        if codec is not None:
            return codec.condition(condition)
        if name in self.schema:
            kind = "a text identifier" if name in self._generated else "free text"
            raise ConditionError(
                f"column {name!r} is {kind} and is not modelled, so it takes no condition",
                remedy="set its type to categorical in the schema",
            )
        raise ConditionError(unknown_name("column", name, [*self._modelled, *self._constant]))

    def allowed(self, name: str, condition: Any) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Mask over symbols [size] and interval of positions [size, 2] that satisfy a condition; see `condition`."""
        found = self.condition(name, condition)
        return found.mask, np.stack([found.low, found.high], axis=1)

    # ------------------------------------------------------------------ storage
    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Everything learned, as a JSON-safe dictionary and numeric arrays."""
        codecs = [*self._modelled.values(), *self._constant.values()]
        states = [codec.state() for codec in codecs]
        fields = [{"name": codec.column.name, **own} for codec, (own, _) in zip(codecs, states, strict=True)]
        layout, arrays = pack([numbers for _, numbers in states])
        settings = {
            "max_bins": self.max_bins,
            "max_grid": self.max_grid,
            "spike_share": self.spike_share,
            "max_categories": self.max_categories,
        }
        generated = [{"name": name, "missing_share": one.missing_share} for name, one in self._generated.items()]
        return {
            "settings": settings,
            "schema": self.schema.to_dict(),
            "columns": fields,
            "layout": layout,
            "generated": generated,
        }, arrays

    @classmethod
    def from_state(cls, fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> TableEncoder:
        """Inverse of `state`.

        Raises
        ------
        ModelFileError
            Something is missing or of another kind than `state` writes.
        """
        codecs: dict[str, type[NumberCodec] | type[LabelCodec]] = {"number": NumberCodec, "label": LabelCodec}
        try:
            encoder = cls(**fields["settings"])
            encoder._schema = Schema.from_dict(fields["schema"])
            for own, numbers in zip(fields["columns"], unpack(fields["layout"], arrays), strict=True):
                encoder._add(codecs[own["codec"]].from_state(encoder._schema[own["name"]], own, numbers))
            for own in fields["generated"]:
                column = encoder._schema[own["name"]]
                encoder._generated[column.name] = TextIdentifier(column, float(own["missing_share"]))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ModelFileError(
                f"the encoder in the model file is damaged ({type(error).__name__}: {error})",
                remedy="fit the model again",
            ) from error
        return encoder
