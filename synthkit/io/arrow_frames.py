"""Between Arrow tables and frames, with what Arrow's files do not keep stored beside: categories of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from synthkit.errors import DataError
from synthkit.io.source import Address

if TYPE_CHECKING:
    from synthkit.schema import Column, Schema

_KEY = b"synthkit"


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A frame with the dtypes that pandas had; a named index becomes a column, any other is dropped."""
    frame: pd.DataFrame = table.to_pandas()
    for name, dtype in _whole_with_gaps(table).items():
        frame[name] = table[name].to_pandas(types_mapper={table[name].type: dtype}.get).array
    named = [str(name) for name in frame.index.names if name is not None]
    frame = frame.reset_index(names=None) if named else frame.reset_index(drop=True)
    if named and len(named) < len(frame.columns) - table.num_columns + len(named):
        frame = frame.drop(columns=[name for name in frame.columns if str(name).startswith("level_")])
    stored = (table.schema.metadata or {}).get(_KEY)
    if stored is None:
        return frame
    for name, kept in _stored_categories(stored).items():
        if name in frame.columns:
            categories = pd.Index(kept["categories"], dtype=kept["dtype"])
            frame[name] = frame[name].astype(pd.CategoricalDtype(categories, ordered=kept["ordered"]))
    return frame


def _whole_with_gaps(table: pa.Table) -> dict[str, Any]:
    """Columns of whole numbers with missing cells that pandas did not write: as floats they would lose digits."""
    known = {column["name"] for column in (table.schema.pandas_metadata or {}).get("columns", ())}
    dtypes = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
    }
    return {
        field.name: dtypes[field.type]
        for field, column in zip(table.schema, table.columns, strict=True)
        if field.type in dtypes and column.null_count and field.name not in known
    }


def _stored_categories(stored: bytes) -> dict[str, dict[str, Any]]:
    """The categories of our own files; anything else under our name is left alone."""
    try:
        content = json.loads(stored)
        found = {
            str(name): {
                "categories": list(kept["categories"]),
                "dtype": str(kept["dtype"]),
                "ordered": bool(kept["ordered"]),
            }
            for name, kept in content["categories"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: kept for name, kept in found.items() if kept["dtype"] in ("object", "int64", "float64", "bool")}


class FrameConverter:
    """Frames as Arrow tables that all have the schema of the first one.

    Parameters
    ----------
    path : Path or Address
        Named in errors.
    schema : Schema, optional
        Settles the type of columns that have no value in the first piece.
    """

    def __init__(self, path: Path | Address, schema: Schema | None) -> None:
        self._path = path
        self._schema = schema
        self.arrow_schema: pa.Schema | None = None

    def convert(self, frame: pd.DataFrame) -> pa.Table:
        """One frame as a table; DataError for values that Arrow has no type for."""
        try:
            if self.arrow_schema is None:
                self.arrow_schema = self._first_schema(frame)
            return pa.Table.from_pandas(frame, schema=self.arrow_schema, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"'{self._path}' cannot hold these values: {'; '.join(map(str, error.args))}",
                remedy="Give every column values of one type, or write CSV.",
            ) from error
        except UnicodeEncodeError as error:
            raise DataError(f"a cell holds text that is not valid Unicode: {error.reason}") from error

    def empty(self) -> pa.Table:
        """A table without rows, with the columns of the schema."""
        if self._schema is None:
            return pa.table({})
        return self.convert(pd.DataFrame({column.name: _empty_column(column) for column in self._schema}))

    def _first_schema(self, frame: pd.DataFrame) -> pa.Schema:
        found = pa.Schema.from_pandas(frame, preserve_index=False)
        for position, field in enumerate(found):
            column = self._schema[field.name] if self._schema is not None else None
            if column is not None and (pa.types.is_null(field.type) or pa.types.is_decimal(field.type)):
                found = found.set(position, pa.field(field.name, _arrow_type(column)))
        categories = {
            str(name): {
                "categories": series.cat.categories.tolist(),
                "dtype": str(series.cat.categories.dtype),
                "ordered": bool(series.cat.ordered),
            }
            for name, series in frame.items()
            if isinstance(series.dtype, pd.CategoricalDtype)
            and str(series.cat.categories.dtype) in ("object", "int64", "float64", "bool")
        }
        metadata = dict(found.metadata or {})
        if categories:
            metadata[_KEY] = json.dumps({"categories": categories}).encode()
        return found.with_metadata(metadata)


def _arrow_type(column: Column) -> pa.DataType:
    """The type of a column of Python objects that has no value to tell it."""
    if column.dtype == "date":
        return pa.date32()
    if column.dtype == "decimal":
        return pa.decimal128(38, column.decimals or 0)
    if column.dtype == "number":
        return pa.int64() if column.type == "integer" else pa.float64()
    if column.type == "boolean" and column.categories and isinstance(column.categories[0], bool):
        return pa.bool_()
    return pa.null() if column.type == "constant" and column.categories is None else pa.string()


def _empty_column(column: Column) -> pd.Series[Any]:
    if column.dtype == "category":
        categories = pd.CategoricalDtype(list(column.categories or ()), ordered=column.ordered)
        return pd.Series([], dtype=categories)
    return pd.Series([], dtype="object" if column.dtype in ("date", "decimal", "number") else column.dtype)


class ArrowWriter:
    """Appends frames to a file that Arrow writes table by table (a `FrameWriter`).

    Parameters
    ----------
    path : Path
        The file.
    schema : Schema, optional
        Makes all pieces alike; see `FrameConverter`.
    start : callable
        Gets the open file and the Arrow schema of the first piece; returns a writer of Arrow tables.
    """

    def __init__(self, path: Path, schema: Schema | None, start: Callable[[IO[bytes], pa.Schema], Any]) -> None:
        self._file = open(path, "wb")
        self._converter = FrameConverter(path, schema)
        self._start = start
        self._writer: Any = None

    def write(self, frame: pd.DataFrame) -> None:
        """Append rows; the first call fixes the columns."""
        self._append(self._converter.convert(frame))

    def _append(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer = self._start(self._file, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file."""
        try:
            if self._writer is None:
                self._append(self._converter.empty())
            self._writer.close()
        finally:
            self._file.close()
