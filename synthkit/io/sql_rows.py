"""Frames as rows that databases take, and columns of SQLite, which has few types of its own, as they were declared."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from synthkit.errors import DataError
from synthkit.io.arrow_frames import FrameConverter
from synthkit.io.source import Address

if TYPE_CHECKING:
    from synthkit.schema import Schema

_MOST_BYTES_OF_A_NAME = 63  # PostgreSQL cuts what is longer, and tells nobody
_MOST_DIGITS_OF_A_FLOAT = 15
_SCALED = re.compile(r"(?:NUMERIC|DECIMAL)\s*\(\s*\d+\s*,\s*(\d+)\s*\)", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?")

Cells = list[Any]


def is_sqlite(address: Address) -> bool:
    """Whether an address is one of SQLite."""
    return address.url.startswith(("sqlite:", "sqlite+"))


class Rows:
    """Turns frames into columns of Python values that all have the kinds of the first frame.

    Parameters
    ----------
    address : Address
        Where they go to.
    schema : Schema, optional
        Settles the kind of columns that have no value in the first frame.
    """

    def __init__(self, address: Address, schema: Schema | None) -> None:
        self._address = address
        self._sqlite = is_sqlite(address)
        self._converter = FrameConverter(address, schema)

    def convert(self, frame: pd.DataFrame) -> tuple[dict[str, str], list[Cells]]:
        """Return the kind of each column and its cells.

        Raises
        ------
        DataError
            Values that databases have no type for, or that would not come back as they were.
        """
        return self._split(self._converter.convert(frame))

    def empty(self) -> pd.DataFrame:
        """Return a frame without rows, with the columns of the schema."""
        frame: pd.DataFrame = self._converter.empty().to_pandas()
        return frame

    def check_names(self, names: Iterable[str]) -> None:
        """Raise DataError for names that the database would change or refuse."""
        for name in (self._address.table or "", *names):
            if not name:
                raise DataError(f"a column for '{self._address}' has no name", remedy="Give it one.")
            if not self._sqlite and len(name.encode()) > _MOST_BYTES_OF_A_NAME:
                raise DataError(
                    f"the name {name!r} has {len(name.encode())} bytes, and PostgreSQL keeps {_MOST_BYTES_OF_A_NAME}",
                    remedy="Rename it, or write a file.",
                )

    def _split(self, table: pa.Table) -> tuple[dict[str, str], list[Cells]]:
        kinds: dict[str, str] = {}
        cells: list[Cells] = []
        for field, column in zip(table.schema, table.columns, strict=True):
            kind = self._kind(field.name, field.type)
            if kind in ("moment", "zoned", "duration"):
                column = self._in_microseconds(field, column)
            found = column.to_pylist()
            if self._sqlite:
                kind, found = self._for_sqlite(field.name, kind, found)
            kinds[field.name] = kind
            cells.append(found)
        return kinds, cells

    def _kind(self, name: str, kind: pa.DataType) -> str:
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_decimal(kind):
            # as many digits as the type of Arrow has, so that later rows fit too
            return f"decimal {76 if kind.precision > 38 else 38} {max(0, kind.scale)}"
        if pa.types.is_uint64(kind):
            return "decimal 20 0"
        known: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
            (pa.types.is_boolean, "boolean"),
            (pa.types.is_integer, "integer"),
            (pa.types.is_floating, "float"),
            (pa.types.is_string, "text"),
            (pa.types.is_large_string, "text"),
            (pa.types.is_null, "text"),
            (pa.types.is_date, "date"),
            (pa.types.is_time, "time"),
            (pa.types.is_duration, "duration"),
            (pa.types.is_timestamp, "moment" if getattr(kind, "tz", None) is None else "zoned"),
        )
        for holds, found in known:
            if holds(kind):
                return found
        raise DataError(
            f"column {name!r} holds values of the type {kind}, which '{self._address}' has no type for",
            remedy="Convert it to text, or write Parquet.",
        )

    def _in_microseconds(self, field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
        zone = getattr(field.type, "tz", None)
        kind = pa.duration("us") if pa.types.is_duration(field.type) else pa.timestamp("us", tz=zone)
        try:
            return column.cast(kind)
        except pa.ArrowInvalid as error:
            raise DataError(
                f"column {field.name!r} holds nanoseconds, and '{self._address}' keeps microseconds",
                remedy="Round it, or write Parquet.",
            ) from error

    def _for_sqlite(self, name: str, kind: str, cells: Cells) -> tuple[str, Cells]:
        """Values that SQLite keeps: numbers and text; zones and lengths of time are text for good."""
        if kind in ("date", "time", "moment"):
            return kind, [None if cell is None else _iso(cell) for cell in cells]
        if kind in ("zoned", "duration"):
            texts = [None if cell is None else str(cell) if kind == "duration" else _iso(cell) for cell in cells]
            return "text", texts
        if kind.startswith("decimal") and cells:
            for cell in cells:
                if isinstance(cell, Decimal) and len(cell.normalize().as_tuple().digits) > _MOST_DIGITS_OF_A_FLOAT:
                    raise DataError(
                        f"column {name!r} holds decimals of more than {_MOST_DIGITS_OF_A_FLOAT} digits, which SQLite "
                        "would round",
                        remedy="Convert it to text, or write Parquet.",
                    )
            return kind, [float(cell) if isinstance(cell, Decimal) else cell for cell in cells]
        return kind, cells


def _iso(cell: datetime.date | datetime.time) -> str:
    return cell.isoformat(" ") if isinstance(cell, datetime.datetime) else cell.isoformat()


# ------------------------------------------------------------ columns of SQLite as they were declared


def sqlite_types(declared: Mapping[str, str]) -> dict[str, Callable[[pd.Series[Any]], pd.Series[Any]]]:
    """How columns of SQLite become what their table declares; cells that do not fit stay as they are, all of them.

    Parameters
    ----------
    declared
        The declared type of each column.
    """
    found: dict[str, Callable[[pd.Series[Any]], pd.Series[Any]]] = {}
    for name, kind in declared.items():
        scaled = _SCALED.match(kind)
        upper = kind.upper()
        if upper.startswith("BOOL"):
            found[name] = _truth_values
        elif upper == "DATE":
            found[name] = _dates
        elif upper.startswith(("DATETIME", "TIMESTAMP")):
            found[name] = _moments
        elif scaled and int(scaled[1]):
            found[name] = _Decimals(int(scaled[1]))
    return found


def _truth_values(series: pd.Series[Any]) -> pd.Series[Any]:
    if not pd.api.types.is_integer_dtype(series.dtype) or not series.dropna().isin((0, 1)).all():
        return series
    return series.astype("boolean" if series.hasnans else "bool")


def _dates(series: pd.Series[Any]) -> pd.Series[Any]:
    return _parsed(series, _DAY, datetime.date.fromisoformat, object)


def _moments(series: pd.Series[Any]) -> pd.Series[Any]:
    return _parsed(series, _MOMENT, datetime.datetime.fromisoformat, "datetime64[us]")


def _parsed(
    series: pd.Series[Any], pattern: re.Pattern[str], parse: Callable[[str], object], dtype: Any
) -> pd.Series[Any]:
    """Cells as what they say, or all of them as they are where one says something else."""
    if not _all_match(series, pattern):
        return series
    try:
        cells = [parse(cell) if isinstance(cell, str) else None for cell in series]
    except ValueError:
        return series
    return pd.Series(cells, index=series.index, dtype=dtype)


def _all_match(series: pd.Series[Any], pattern: re.Pattern[str]) -> bool:
    known = series.dropna()
    return series.dtype == object and all(isinstance(cell, str) and pattern.fullmatch(cell) for cell in known)


class _Decimals:
    """Numbers with so many decimals, where all have no more."""

    def __init__(self, scale: int) -> None:
        self._unit = Decimal(1).scaleb(-scale)

    def __call__(self, series: pd.Series[Any]) -> pd.Series[Any]:
        if not pd.api.types.is_numeric_dtype(series.dtype) or not series.notna().any():
            return series
        cells = [None if pd.isna(cell) else Decimal(str(cell)) for cell in series.tolist()]
        try:
            exact = [None if cell is None else cell.quantize(self._unit) for cell in cells]
        except InvalidOperation:  # infinite, or too many digits
            return series
        return pd.Series(exact, index=series.index, dtype=object) if exact == cells else series
