"""JSON lines: one object per line, also compressed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthkit.errors import DataError
from synthkit.io.collect import Collector
from synthkit.io.delimited import date_texts
from synthkit.io.formats import TableFormat
from synthkit.io.layout import text_layout, warn_of_layout, with_guessed_encoding
from synthkit.io.source import ReadOptions
from synthkit.io.streams import CompressedFile
from synthkit.io.tables import pick_columns

if TYPE_CHECKING:
    from synthkit.schema import Schema

_CHUNK = 20_000


def read(path: Path, kind: TableFormat, columns: Sequence[str] | None, options: ReadOptions) -> pd.DataFrame:
    """Read a file of JSON lines; see `synthkit.io.read_table`."""
    layout = text_layout(path, kind, options)
    try:
        with layout.reading(path) as stream:
            frame = _frame(path, stream)
    except UnicodeDecodeError as error:
        if options.encoding is not None:
            raise DataError(
                f"'{path}' is not {options.encoding} text", remedy="Save it in the encoding UTF-8."
            ) from error
        layout = with_guessed_encoding(path, layout)
        with layout.reading(path) as stream:
            frame = _frame(path, stream)
    wanted = pick_columns(path, [str(name) for name in frame.columns], columns)
    warn_of_layout(path, layout)
    return frame if columns is None else frame[wanted]


def _frame(path: Path, stream: IO[bytes]) -> pd.DataFrame:
    collector = Collector(str(path))
    rows = _rows(path, stream)
    while chunk := list(islice(rows, _CHUNK)):
        names = dict.fromkeys(name for row in chunk for name in row)
        collector.add({name: [row.get(name) for row in chunk] for name in names}, len(chunk))
    if not collector.n_rows:
        raise DataError(f"the file '{path}' holds blank lines only", remedy="Check that it was written completely.")
    frame = collector.frame()
    if not len(frame.columns):
        raise DataError(f"the objects in '{path}' are all empty", remedy="Check that it was written completely.")
    return frame


def _rows(path: Path, stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    for number, data in enumerate(stream, start=1):
        text = data.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        if not text:
            continue
        try:
            row = json.loads(text, parse_constant=_constant)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError(
                f"line {number:,} of '{path}' is not JSON: {reason}", remedy="Write one object per line."
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"line {number:,} of '{path}' holds {_kind(row)}, expected an object such as {{\"age\": 41}}",
                remedy="Write one object per line.",
            )
        yield row


def _constant(name: str) -> float | None:
    """NaN and the infinities, which Python writes though JSON knows none of them."""
    return None if name == "NaN" else float(name)


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


# ---------------------------------------------------------------------- writing
class _Writer:
    def __init__(self, path: Path, kind: TableFormat, schema: Schema | None) -> None:
        self._file = CompressedFile(path, kind.compression)
        self._schema = schema

    def write(self, frame: pd.DataFrame) -> None:
        dates = {} if self._schema is None else date_texts(frame, self._schema)
        cells = []
        for name, series in frame.items():
            key = _json(str(name))
            cells.append([f"{key}:{cell}" for cell in _written(str(name), dates.get(str(name), series))])
        lines = "".join("{" + ",".join(row) + "}\n" for row in zip(*cells, strict=True))
        try:
            self._file.write(lines.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise DataError(f"a cell holds text that is not valid Unicode: {error.reason}") from error

    def close(self) -> None:
        self._file.close()


def open_writer(path: Path, kind: TableFormat, schema: Schema | None) -> _Writer:
    """Start a file of JSON lines; see `synthkit.io.TableWriter`."""
    return _Writer(path, kind, schema)


def _written(name: str, series: Any) -> list[str]:
    """The cells of a column as JSON."""
    if isinstance(series, pd.Series) and isinstance(series.dtype, pd.CategoricalDtype):
        labels = _written(name, pd.Series(series.cat.categories))
        return ["null" if code < 0 else labels[code] for code in series.cat.codes]
    if isinstance(series, pd.Series) and series.dtype.kind == "M":
        midnight = bool((series.dropna() == series.dropna().dt.normalize()).all())
        zoned = isinstance(series.dtype, pd.DatetimeTZDtype)
        texts = series.dt.strftime("%Y-%m-%d") if midnight and not zoned else series.map(str, na_action="ignore")
        return ["null" if pd.isna(cell) else _json(cell) for cell in texts]
    values = np.asarray(series, dtype=object)
    known: dict[str, str] = {}
    return [_cell(name, value, known) for value in values]


def _cell(name: str, value: Any, known: dict[str, str]) -> str:
    match value:
        case str():
            found = known.get(value)
            if found is None:
                found = known[value] = _json(value)
            return found
        case bool() | np.bool_():
            return "true" if value else "false"
        case int() | np.integer():
            return str(int(value))
        case float() | np.floating():
            number = float(value)
            if math.isinf(number):
                raise DataError(
                    f"column {name!r} holds infinite values, which JSON cannot", remedy="Write CSV or Parquet."
                )
            return "null" if math.isnan(number) else repr(number)
        case Decimal():
            return "null" if value.is_nan() else format(value, "f")
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
    return "null" if pd.isna(value) else _json(str(value))


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
