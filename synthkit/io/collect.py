"""Frames from rows of Python values (databases, JSON lines, workbooks), chunk by chunk.

Each chunk is packed into Arrow arrays at once, so that of the Python objects only those of one chunk exist. The dtypes
are those of the other readers: whole numbers and truth values with missing cells are nullable, dates without a time of
day and decimals are objects, and what no table of numbers has a type for (times of day, UUIDs, JSON) is text.
"""

from __future__ import annotations

import datetime
import json
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from synthkit.errors import DataError

_ZONED = "moment with a zone"
_BIG = "whole number beyond 64 bits"
# Python type -> what it is called here. Types that are not in it become text.
_KINDS: Mapping[type, str] = {
    bool: "truth value",
    int: "whole number",
    float: "number",
    Decimal: "decimal",
    str: "text",
    datetime.datetime: "moment",
    datetime.date: "date",
}
_ARROW: Mapping[str, pa.DataType] = {
    "truth value": pa.bool_(),
    "whole number": pa.int64(),
    "number": pa.float64(),
    "text": pa.large_string(),
    "moment": pa.timestamp("us"),
    _ZONED: pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
}
# Kinds that stand in one column together, and what they are then.
_TOGETHER: Mapping[frozenset[str], str] = {
    frozenset({"whole number", "number"}): "number",
    frozenset({"whole number", "decimal"}): "decimal",
    frozenset({"date", "moment"}): "moment",
}


class Collector:
    """Columns that grow chunk by chunk.

    Parameters
    ----------
    where
        The table, as it is named in messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._columns: dict[str, _Column] = {}
        self.n_rows = 0

    def add(self, columns: Mapping[str, Sequence[Any]], n_rows: int) -> None:
        """Append a chunk; columns that it lacks are missing in it, and new ones were missing before.

        Parameters
        ----------
        columns
            Cells by column, n_rows each; None is a missing cell.
        n_rows
            Rows of the chunk.

        Raises
        ------
        DataError
            A cell holds bytes.
        """
        for name, cells in columns.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = _Column(self._where, name)
                column.skip(self.n_rows)
            column.add(cells)
        for name in self._columns.keys() - columns.keys():
            self._columns[name].skip(n_rows)
        self.n_rows += n_rows

    def frame(self, adapt: Mapping[str, Callable[[pd.Series[Any]], pd.Series[Any]]] | None = None) -> pd.DataFrame:
        """Return the table and forget it.

        Parameters
        ----------
        adapt
            What is done to a column before it becomes part of the table.
        """
        found: dict[str, pd.Series[Any]] = {}
        mixed = []
        for name in list(self._columns):
            column = self._columns.pop(name)
            series = column.series()
            if column.mixed:
                mixed.append(f"{name!r} ({' and '.join(column.mixed)})")
            found[name] = adapt[name](series) if adapt and name in adapt else series
        if mixed:
            warnings.warn(
                f"'{self._where}' holds values of several kinds in {', '.join(mixed)}: they were all read as text",
                stacklevel=5,
            )
        return pd.DataFrame(found, index=pd.RangeIndex(self.n_rows), copy=False)


class _Column:
    def __init__(self, where: str, name: str) -> None:
        self._where = where
        self._name = name
        self._parts: list[tuple[str | None, Any]] = []  # kind and an Arrow array or a list; None and a length
        self.mixed: list[str] = []

    def skip(self, n_rows: int) -> None:
        if n_rows:
            self._parts.append((None, n_rows))

    def add(self, cells: Sequence[Any]) -> None:
        kinds = {self._kind(kind, cells) for kind in set(map(type, cells)) - {type(None)}}
        if not kinds:
            self.skip(len(cells))
            return
        if "as text" in kinds:
            cells = [_text(cell) for cell in cells]
            kinds = {"text" if kind == "as text" else kind for kind in kinds}
        if kinds == {"moment"}:
            zones = {cell.tzinfo is not None for cell in cells if cell is not None}
            kinds = {_ZONED if zone else "moment" for zone in zones}
        kind = _common(kinds)
        if kind is None or kind not in _ARROW or (len(kinds) > 1 and kind != "number"):
            self._note(kinds, kind)
            self._parts.append((kind or " and ".join(sorted(kinds)), list(cells)))
            return
        try:
            if len(kinds) > 1:
                cells = [None if cell is None else float(cell) for cell in cells]
            self._parts.append((kind, pa.array(cells, type=_ARROW[kind])))
        except OverflowError:
            self._parts.append((_BIG, list(cells)))

    def _note(self, kinds: set[str], kind: str | None) -> None:
        if kind is None:
            self.mixed = sorted({*self.mixed, *(f"{one}s" for one in kinds)})

    def _kind(self, kind: type, cells: Sequence[Any]) -> str:
        found = _KINDS.get(kind)
        if found is not None:
            return found
        if issubclass(kind, bytes | bytearray | memoryview):
            raise DataError(
                f"column {self._name!r} of '{self._where}' holds bytes, expected numbers, dates, true/false or text",
                remedy="Leave it out, with a query of the other columns.",
            )
        return next((name for known, name in _KINDS.items() if issubclass(kind, known)), "as text")

    def series(self) -> pd.Series[Any]:
        """The column, with the dtype of its kind; it is empty afterwards."""
        parts, self._parts = self._parts, []
        kinds = {kind for kind, _ in parts if kind is not None}
        if not kinds:
            return pd.Series(np.full(sum(part for _, part in parts), np.nan))
        if kinds == {_BIG}:
            cells = _cells(parts)
            if all(cell is None or 0 <= cell < 2**64 for cell in cells):
                missing = any(cell is None for cell in cells)
                return pd.Series(pd.array(cells, dtype="UInt64") if missing else np.array(cells, dtype="uint64"))
        kind = _common(kinds)
        if kind is None or kind == _BIG:
            split = {one for found in kinds for one in found.split(" and ")}
            self._note(split, None)
            return pd.Series([_text(cell) for cell in _cells(parts)], dtype=object)
        if kind == "decimal":
            cells = [None if cell is None else Decimal(cell) for cell in _cells(parts)]
            # NaN is a missing cell, as in every other column
            return pd.Series([None if cell is not None and cell.is_nan() else cell for cell in cells], dtype=object)
        if kind == "moment" and "date" in kinds:
            return pd.Series(np.array([np.datetime64("NaT") if c is None else c for c in _cells(parts)], "M8[us]"))
        return _series(parts, _ARROW[kind])


def _series(parts: list[tuple[str | None, Any]], kind: pa.DataType) -> pd.Series[Any]:
    arrays = [pa.nulls(part, kind) if found is None else part.cast(kind) for found, part in parts]
    parts.clear()
    column = pa.chunked_array(arrays, type=kind)
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()} if column.null_count else {}
    found: pd.Series[Any] = column.to_pandas(date_as_object=True, types_mapper=nullable.get)
    return found


def _cells(parts: list[tuple[str | None, Any]]) -> list[Any]:
    """All cells as Python values."""
    cells: list[Any] = []
    for kind, part in parts:
        cells.extend([None] * part if kind is None else part if isinstance(part, list) else part.to_pylist())
    return cells


def _common(kinds: set[str]) -> str | None:
    """What cells of several kinds are together; None for mixed ones, which become text."""
    if len(kinds) == 1:
        (only,) = kinds
        return only if only in _ARROW or only in ("decimal", _BIG) else None
    return _TOGETHER.get(frozenset(kinds))


def _text(cell: Any) -> str | None:
    match cell:
        case None | str():
            return cell
        case dict() | list():
            return json.dumps(cell, ensure_ascii=False, default=str)
        case datetime.datetime() | datetime.date() | datetime.time():
            return cell.isoformat(" ") if isinstance(cell, datetime.datetime) else cell.isoformat()
        case uuid.UUID():
            return str(cell)
    return str(cell)
