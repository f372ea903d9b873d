"""CSV and TSV files, also compressed."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from synthkit import schema_dates
from synthkit.errors import DataError
from synthkit.io.formats import TableFormat
from synthkit.io.layout import TextLayout, named, text_layout, warn_of_layout, with_guessed_encoding
from synthkit.io.source import ReadOptions
from synthkit.io.streams import CompressedFile
from synthkit.io.tables import pick_columns

if TYPE_CHECKING:
    from synthkit.schema import Schema

_BLOCK = 16 * 1024 * 1024
_DECIMAL_COMMA = r"^\s*[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?([eE][+-]?\d+)?\s*$"
_DATE_TEXT = {
    "D": "%Y-%m-%d",
    "h": "%Y-%m-%d %H:%M:%S",
    "min": "%Y-%m-%d %H:%M:%S",
    "s": "%Y-%m-%d %H:%M:%S",
    "ms": "%Y-%m-%d %H:%M:%S.%3f",
    "us": "%Y-%m-%d %H:%M:%S.%f",
    "ns": "%Y-%m-%d %H:%M:%S.%9f",
}


def read(path: Path, kind: TableFormat, columns: Sequence[str] | None, options: ReadOptions) -> pd.DataFrame:
    """Read a text file; see `synthkit.io.read_table`."""
    layout = text_layout(path, kind, options)
    try:
        try:
            frame, layout = _read(path, layout, columns, guess_decimal=options.decimal is None)
        except UnicodeDecodeError as error:
            if options.encoding is not None:
                raise _not_utf8(path, layout) from error
            layout = with_guessed_encoding(path, layout)
            frame, layout = _read(path, layout, columns, guess_decimal=options.decimal is None)
    except pd.errors.ParserError as error:
        detail = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(
            f"'{path}' cannot be read as a table: {detail}", remedy="Check quotes and separators."
        ) from error
    except csv.Error as error:
        raise DataError(
            f"'{path}' cannot be read as a table: {error}", remedy="Check quotes and separators."
        ) from error
    warn_of_layout(path, layout)
    return frame


def _read(
    path: Path, layout: TextLayout, columns: Sequence[str] | None, *, guess_decimal: bool
) -> tuple[pd.DataFrame, TextLayout]:
    names = _header(path, layout)
    wanted = pick_columns(path, names, columns)
    _check_shape(path, layout, names)
    frame = _plain_dtypes(_parse(path, layout, names, wanted))
    if guess_decimal and layout.separator != ",":
        # Where a comma separates cells, one inside a number must be in quotes, and is left to who wrote them.
        found = [name for name in wanted if _has_decimal_commas(frame[name])]
        if found:
            layout = replace(layout, decimal=",").with_found(f"decimal commas in {named(found)}", "decimal=comma")
            frame = _plain_dtypes(_parse(path, layout, names, wanted))
            frame = frame.assign(**{name: _without_thousands(frame[name]) for name in found})
    kept = _written_otherwise(path, layout, names, frame)
    if kept:
        frame = frame.assign(**_parse_text(path, layout, names, kept))
    return frame[wanted], layout


# ---------------------------------------------------------------------- header and shape
def _rows(stream: IO[bytes], layout: TextLayout) -> Generator[tuple[int, list[str]], None, None]:
    """Rows that are not blank, with the line that they end on."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=layout.separator, skipinitialspace=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    finally:
        text.detach()


def _header(path: Path, layout: TextLayout) -> list[str]:
    with layout.reading(path) as stream, closing(_rows(stream, layout)) as rows:
        first = next((row for _, row in rows), None)
    if first is None:
        raise DataError(f"the file '{path}' holds blank lines only", remedy="Check that it was written completely.")
    # Columns without a name are called as pandas calls them.
    return [name if name.strip() else f"Unnamed: {position}" for position, name in enumerate(first)]


def _check_shape(path: Path, layout: TextLayout, names: list[str]) -> None:
    """Raise DataError unless every row has as many cells as the header.

    Arrow's parser is fast and strict but knows no blank after a comma, so what it refuses is looked at again.
    """
    try:
        for _ in _arrow_batches(path, layout, names, [0]):
            pass
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        with layout.reading(path) as stream:
            with closing(_rows(stream, layout)) as rows:
                found = next(((line, len(row)) for line, row in rows if len(row) != len(names)), None)
        if found is not None:
            raise DataError(
                f"line {found[0]:,} of '{path}' has {found[1]} cells, expected {len(names)} as in the header",
                remedy="Put cells that contain the separator in quotes, and complete short lines.",
            ) from None


def _arrow_batches(path: Path, layout: TextLayout, names: list[str], positions: list[int]) -> Iterator[pa.RecordBatch]:
    """Some columns as bytes, as they are written in the file."""
    labels = [str(position) for position in range(len(names))]
    chosen = [labels[position] for position in positions]
    with layout.reading(path) as stream:
        reader = pyarrow.csv.open_csv(
            stream,
            read_options=pyarrow.csv.ReadOptions(column_names=labels, block_size=_BLOCK, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(delimiter=layout.separator, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={label: pa.binary() for label in chosen}, include_columns=chosen, strings_can_be_null=False
            ),
        )
        with reader:
            yield from reader


def _not_utf8(path: Path, layout: TextLayout) -> DataError:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with layout.reading(path) as stream:
        for data in stream:
            try:
                decoder.decode(data)
            except UnicodeDecodeError as error:
                return DataError(
                    f"'{path}' is not UTF-8 text: line {line:,} holds the byte 0x{error.object[error.start]:02x}",
                    remedy="Name its encoding as in people.csv?encoding=cp1252, or save it in the encoding UTF-8.",
                )
            line += 1
    return DataError(f"'{path}' is not UTF-8 text", remedy="Save it in the encoding UTF-8.")


# ---------------------------------------------------------------------- cells
def _parse(path: Path, layout: TextLayout, names: list[str], wanted: list[str], **options: Any) -> pd.DataFrame:
    with layout.reading(path) as stream:
        frame: pd.DataFrame = pd.read_csv(
            stream,
            sep=layout.separator,
            decimal=layout.decimal,
            header=0,
            names=names,
            usecols=wanted,
            index_col=False,
            skipinitialspace=True,
            low_memory=False,
            **options or {"dtype_backend": "numpy_nullable", "float_precision": "round_trip"},
        )
    return frame


def _parse_text(path: Path, layout: TextLayout, names: list[str], wanted: list[str]) -> dict[str, pd.Series[Any]]:
    frame = _parse(path, layout, names, wanted, dtype=str)
    return {name: frame[name] for name in wanted}


def _has_decimal_commas(series: pd.Series[Any]) -> bool:
    """Whether all cells are numbers, some of them with a comma before the decimals."""
    if series.dtype != object:
        return False
    cells = pa.array(series, type=pa.large_string(), from_pandas=True).drop_null()
    if not len(cells) or not pc.any(pc.match_substring(cells, ",")).as_py():
        return False
    return bool(pc.all(pc.match_substring_regex(cells, _DECIMAL_COMMA)).as_py())


def _without_thousands(series: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers as 1.234,5, which were left as text because a point may mean something else in another file."""
    if series.dtype != object:
        return series
    plain = series.str.strip().str.replace(".", "").str.replace(",", ".")
    return pd.Series([np.nan if pd.isna(cell) else float(cell) for cell in plain], index=series.index, dtype="float64")


def _plain_dtypes(frame: pd.DataFrame) -> pd.DataFrame:
    """The dtypes that pandas gives by default, except for whole numbers and truth values with missing cells."""
    columns: dict[str, Any] = {}
    for name, series in frame.items():
        values: Any = series
        if series.isna().all():
            values = np.full(len(series), np.nan)
        elif pd.api.types.is_float_dtype(series.dtype):
            values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        elif isinstance(series.dtype, pd.StringDtype):
            values = series.to_numpy(dtype=object, na_value=np.nan)
        elif isinstance(series.dtype, pd.BooleanDtype) and not series.hasnans:
            values = series.to_numpy(dtype=bool)
        elif pd.api.types.is_integer_dtype(series.dtype) and not series.hasnans:
            values = series.to_numpy(dtype=str(series.dtype).lower())
        columns[str(name)] = values
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def _written_otherwise(path: Path, layout: TextLayout, names: list[str], frame: pd.DataFrame) -> list[str]:
    """Columns that would not be written back as they came: numbers with leading zeros or plus signs, true and FALSE."""
    suspects = [
        position
        for position, name in enumerate(names)
        if name in frame and (frame[name].dtype.kind in "iub" or isinstance(frame[name].dtype, pd.BooleanDtype))
    ]
    if not suspects:
        return []
    found: set[int] = set()
    first = True
    try:
        for batch in _arrow_batches(path, layout, names, suspects):
            for position, column in zip(suspects, batch.columns, strict=True):
                if position in found:
                    continue
                cells = column[1:] if first else column
                if frame[names[position]].dtype.kind == "b":
                    # An empty cell and the words for missing are neither.
                    odd = pc.match_substring_regex(cells, r"^\s*(true|false|TRUE|FALSE)$")
                else:
                    odd = pc.match_substring_regex(cells, r"^\s*([+]|[-]?0[0-9])")
                if pc.any(odd).as_py():
                    found.add(position)
            first = False
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        # Only files with quotes behind blanks come here; they are read as pandas reads them.
        return []
    return [names[position] for position in sorted(found)]


# ---------------------------------------------------------------------- writing
class _Writer:
    def __init__(self, path: Path, kind: TableFormat, schema: Schema | None) -> None:
        self._file = CompressedFile(path, kind.compression)
        self._kind = kind
        self._schema = schema
        self._first = True

    def write(self, frame: pd.DataFrame) -> None:
        text = io.StringIO()
        dates = {} if self._schema is None else date_texts(frame, self._schema)
        frame.assign(**dates).to_csv(
            text,
            sep=self._kind.separator or ",",
            index=False,
            header=self._first,
            lineterminator="\n",
            # The csv module quotes line feeds but not carriage returns, which readers take for the end of a row.
            quoting=csv.QUOTE_NONNUMERIC if _has_carriage_return(frame) else csv.QUOTE_MINIMAL,
        )
        self._first = False
        try:
            self._file.write(text.getvalue().encode("utf-8"))
        except UnicodeEncodeError as error:
            raise DataError(f"a cell holds text that is not valid Unicode: {error.reason}") from error

    def close(self) -> None:
        if self._first and self._schema is not None:
            self.write(pd.DataFrame({name: pd.Series([], dtype="object") for name in self._schema.names}))
        self._file.close()


def open_writer(path: Path, kind: TableFormat, schema: Schema | None) -> _Writer:
    """Start a text file; see `synthkit.io.TableWriter`."""
    return _Writer(path, kind, schema)


def date_texts(frame: pd.DataFrame, schema: Schema) -> dict[str, Any]:
    """Dates as text in the grid of the schema: pandas leaves out the time of day where one piece has none."""
    texts: dict[str, Any] = {}
    for name, series in frame.items():
        granularity = schema[str(name)].granularity
        if granularity is not None and isinstance(series.dtype, np.dtype) and series.dtype.kind == "M":
            texts[str(name)] = schema_dates.write(series.to_numpy(), _DATE_TEXT[granularity])
    return texts


def _has_carriage_return(frame: pd.DataFrame) -> bool:
    for _, series in frame.items():
        if isinstance(series.dtype, pd.CategoricalDtype):
            values: Any = series.cat.categories
        elif series.dtype == object or isinstance(series.dtype, pd.StringDtype):
            values = series.unique()
        else:
            continue
        if any(isinstance(value, str) and "\r" in value for value in values):
            return True
    return False
