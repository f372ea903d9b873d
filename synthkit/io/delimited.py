"""CSV and TSV files, also compressed."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
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
from synthkit.io.streams import CompressedFile, reading
from synthkit.io.tables import pick_columns

if TYPE_CHECKING:
    from synthkit.schema import Schema

_BLOCK = 16 * 1024 * 1024
_DATE_TEXT = {
    "D": "%Y-%m-%d",
    "h": "%Y-%m-%d %H:%M:%S",
    "min": "%Y-%m-%d %H:%M:%S",
    "s": "%Y-%m-%d %H:%M:%S",
    "ms": "%Y-%m-%d %H:%M:%S.%3f",
    "us": "%Y-%m-%d %H:%M:%S.%f",
    "ns": "%Y-%m-%d %H:%M:%S.%9f",
}


def read(path: Path, kind: TableFormat, columns: Sequence[str] | None) -> pd.DataFrame:
    """Read a text file; see `synthkit.io.read_table`."""
    try:
        names = _header(path, kind)
        wanted = pick_columns(path, names, columns)
        _check_shape(path, kind, names)
        frame = _plain_dtypes(_parse(path, kind, names, wanted))
        kept = _written_otherwise(path, kind, names, frame)
        if kept:
            frame = frame.assign(**_parse_text(path, kind, names, kept))
    except UnicodeDecodeError as error:
        raise _not_utf8(path, kind) from error
    except pd.errors.ParserError as error:
        detail = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(
            f"'{path}' cannot be read as a table: {detail}", remedy="Check quotes and separators."
        ) from error
    except csv.Error as error:
        raise DataError(
            f"'{path}' cannot be read as a table: {error}", remedy="Check quotes and separators."
        ) from error
    return frame[wanted]


# ---------------------------------------------------------------------- header and shape
def _rows(stream: IO[bytes], kind: TableFormat) -> Generator[tuple[int, list[str]], None, None]:
    """Rows that are not blank, with the line that they end on."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=kind.separator, skipinitialspace=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    finally:
        text.detach()


def _header(path: Path, kind: TableFormat) -> list[str]:
    with reading(path, kind.compression) as stream, closing(_rows(stream, kind)) as rows:
        first = [row for _, row in islice(rows, 2)]
    if not first:
        raise DataError(f"the file '{path}' holds blank lines only", remedy="Check that it was written completely.")
    for separator, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"), (",", "commas")):
        if separator == kind.separator:
            continue  # a single column whose quoted cells hold the separator
        counts = {row[0].count(separator) for row in first if len(row) == 1}
        if len(first) == 2 and len(first[0]) == len(first[1]) == 1 and len(counts) == 1 and counts != {0}:
            expected = "tabs" if kind.separator == "\t" else "commas"
            remedy = {"tabs": "Name it .tsv.", "commas": "Name it .csv."}.get(word, f"Save it with {expected}.")
            raise DataError(f"the columns of '{path}' are separated by {word}, expected {expected}", remedy=remedy)
    # Columns without a name are called as pandas calls them.
    names = [name if name.strip() else f"Unnamed: {position}" for position, name in enumerate(first[0])]
    return names


def _check_shape(path: Path, kind: TableFormat, names: list[str]) -> None:
    """Raise DataError unless every row has as many cells as the header.

    Arrow's parser is fast and strict but knows no blank after a comma, so what it refuses is looked at again.
    """
    try:
        for _ in _arrow_batches(path, kind, names, [0]):
            pass
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        with reading(path, kind.compression) as stream:
            with closing(_rows(stream, kind)) as rows:
                found = next(((line, len(row)) for line, row in rows if len(row) != len(names)), None)
        if found is not None:
            raise DataError(
                f"line {found[0]:,} of '{path}' has {found[1]} cells, expected {len(names)} as in the header",
                remedy="Put cells that contain the separator in quotes, and complete short lines.",
            ) from None


def _arrow_batches(path: Path, kind: TableFormat, names: list[str], positions: list[int]) -> Iterator[pa.RecordBatch]:
    """Some columns as bytes, as they are written in the file."""
    labels = [str(position) for position in range(len(names))]
    chosen = [labels[position] for position in positions]
    with reading(path, kind.compression) as stream:
        reader = pyarrow.csv.open_csv(
            stream,
            read_options=pyarrow.csv.ReadOptions(column_names=labels, block_size=_BLOCK, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(delimiter=kind.separator, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={label: pa.binary() for label in chosen}, include_columns=chosen, strings_can_be_null=False
            ),
        )
        with reader:
            yield from reader


def _not_utf8(path: Path, kind: TableFormat) -> DataError:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with reading(path, kind.compression) as stream:
        for data in stream:
            try:
                decoder.decode(data)
            except UnicodeDecodeError as error:
                return DataError(
                    f"'{path}' is not UTF-8 text: line {line:,} holds the byte 0x{error.object[error.start]:02x}",
                    remedy="Save it in the encoding UTF-8.",
                )
            line += 1
    return DataError(f"'{path}' is not UTF-8 text", remedy="Save it in the encoding UTF-8.")


# ---------------------------------------------------------------------- cells
def _parse(path: Path, kind: TableFormat, names: list[str], wanted: list[str], **options: Any) -> pd.DataFrame:
    with reading(path, kind.compression) as stream:
        frame: pd.DataFrame = pd.read_csv(
            stream,
            sep=kind.separator,
            header=0,
            names=names,
            usecols=wanted,
            index_col=False,
            skipinitialspace=True,
            low_memory=False,
            **options or {"dtype_backend": "numpy_nullable", "float_precision": "round_trip"},
        )
    return frame


def _parse_text(path: Path, kind: TableFormat, names: list[str], wanted: list[str]) -> dict[str, pd.Series[Any]]:
    frame = _parse(path, kind, names, wanted, dtype=str)
    return {name: frame[name] for name in wanted}


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


def _written_otherwise(path: Path, kind: TableFormat, names: list[str], frame: pd.DataFrame) -> list[str]:
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
        for batch in _arrow_batches(path, kind, names, suspects):
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
        dates = {} if self._schema is None else _date_texts(frame, self._schema)
        frame.assign(**dates).to_csv(
            text,
            sep=self._kind.separator,
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


def _date_texts(frame: pd.DataFrame, schema: Schema) -> dict[str, Any]:
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
