"""Tables of text or Parquet as they lie there: names, the first rows as text, and all rows in pieces."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from synthkit.errors import DataError, InputError
from synthkit.io.formats import table_format
from synthkit.io.layout import TextLayout, text_layout, with_guessed_encoding
from synthkit.io.source import ReadOptions, split_options

_SAMPLE = 60  # rows that tell what columns hold
_PIECE = 2_000_000  # cells that are parsed at once
_MISSING = frozenset(("", "na", "nan", "n/a", "null", "none", "#n/a", "<na>"))


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell of text is a number, or missing."""
    text = cell.strip()
    if text.lower() in _MISSING:
        return True
    try:
        float(text.replace(decimal, ".") if decimal != "." else text)
    except ValueError:
        return False
    return "_" not in text


class RawTable(ABC):
    """A table before it is known what its columns are.

    Attributes
    ----------
    path
        Where it lies.
    names
        Of the columns; empty text where a column has none.
    sample
        The first rows, each cell as text.
    decimal
        What stands before decimals.
    notes
        What was found of the layout of a text file and not said by its name or options.
    """

    path: Path
    names: list[str]
    sample: list[list[str]]
    decimal: str = "."
    notes: tuple[str, ...] = ()

    def is_numeric(self, column: int, without: Sequence[int] = ()) -> bool:
        """Whether the first cells of a column are numbers, leaving some rows out."""
        skipped = set(without)
        return all(
            is_number(row[column], self.decimal) for place, row in enumerate(self.sample) if place not in skipped
        )

    @abstractmethod
    def pieces(self, text: Sequence[int], skipped: Sequence[int]) -> Iterator[pd.DataFrame]:
        """Yield all rows, some columns as text and all others as float64, columns called by their position.

        Parameters
        ----------
        text
            Positions of the columns of text.
        skipped
            Positions of rows of the sample that are left out.

        Raises
        ------
        DataError
            A cell among the numbers is none, or a row has another length.
        """


def raw_table(source: Path) -> RawTable:
    """Open a table: .csv or .tsv (also .gz and the like, with options after "?"), or .parquet.

    Raises
    ------
    InputError
        No such file, or another suffix.
    DataError
        It is empty, damaged, or ragged.
    """
    path, options = split_options(source)
    if path.suffix.lower() != ".parquet" and table_format(path).separator is None:
        raise InputError(
            f"gene expression is not read from '{path.suffix}' files, got '{path}'", remedy="Convert it to .csv."
        )
    if not path.exists():
        raise InputError(f"there is no file '{path}'", remedy="Check the path.")
    if path.is_dir():
        raise InputError(f"'{path}' is a folder, expected a file", remedy="Name one file in it.")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"the file '{path}' is empty", remedy="Check that it was written completely.")
        table = _Parquet(path) if path.suffix.lower() == ".parquet" else _Delimited(path, options)
    except OSError as error:
        raise InputError(
            f"cannot read '{path}': {error.strerror or error}", remedy="Check that it is readable and not damaged."
        ) from error
    if not table.sample:
        raise DataError(f"'{path}' has {len(table.names)} columns but no rows", remedy="Check that it is complete.")
    if len(table.names) < 2:
        raise DataError(
            f"'{path}' has a single column", remedy="Name its separator, as in x.csv?delimiter=tab, if it has another."
        )
    return table


class _Delimited(RawTable):
    """A text file."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path = path
        self._layout: TextLayout = text_layout(path, table_format(path), options)
        try:
            rows = self._first()
        except UnicodeDecodeError:
            self._layout = with_guessed_encoding(path, self._layout)
            rows = self._first()
        except csv.Error as error:
            raise DataError(f"'{path}' cannot be read as a table ({error})", remedy="Check quotes.") from error
        if not rows:
            raise DataError(f"the file '{path}' holds blank lines only", remedy="Check that it was written completely.")
        self.decimal = self._layout.decimal
        self.names, self.sample = rows[0], rows[1:]
        if self.sample and len(self.names) == len(self.sample[0]) - 1:
            self.names = ["", *self.names]  # as R writes it: nothing above the names of rows
        for place, row in enumerate(self.sample):
            self._check(row, place)
        if options.decimal is None and self._layout.separator != "," and self._has_decimal_commas():
            self.decimal = ","
            self._layout = self._layout.with_found("decimal commas", "decimal=comma")
        if self._layout.found:
            said = "; ".join(words for words, _ in self._layout.found)
            settled = "&".join(option for _, option in self._layout.found if option)
            note = f"'{path}' was read with {said}, as its content suggests"
            self.notes = (note + (f" ('{path.name}?{settled}' settles it)" if settled else ""),)

    def _has_decimal_commas(self) -> bool:
        """Whether cells are numbers with a comma before the decimals, and none has a point."""
        cells = [cell for row in self.sample for cell in row[1:] if not is_number(cell) and is_number(cell, ",")]
        points = any("." in cell and is_number(cell) for row in self.sample for cell in row[1:])
        return bool(cells) and not points

    def _check(self, row: list[str], place: int) -> None:
        if len(row) != len(self.names):
            raise DataError(
                f"row {place + 1:,} of '{self.path}' has {len(row)} cells, expected {len(self.names)} as in the header",
                remedy="Put cells that contain the separator in quotes, and complete short lines.",
            )

    def _first(self) -> list[list[str]]:
        with self._layout.reading(self.path) as stream, closing(self._rows(stream)) as rows:
            return list(islice(rows, _SAMPLE + 1))

    def _rows(self, stream: IO[bytes]) -> Generator[list[str], None, None]:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        try:
            yield from (row for row in csv.reader(text, delimiter=self._layout.separator, skipinitialspace=True) if row)
        finally:
            text.detach()

    def pieces(self, text: Sequence[int], skipped: Sequence[int]) -> Iterator[pd.DataFrame]:
        """Yield all rows."""
        as_text = set(text)
        types: Any = {place: str if place in as_text else np.float64 for place in range(len(self.names))}
        gone = {0, *(place + 1 for place in skipped)}
        options: dict[str, Any] = {
            "sep": self._layout.separator,
            "decimal": self.decimal,
            "header": None,
            "names": range(len(self.names)),
            "skiprows": sorted(gone),
            "dtype": types,
            "index_col": False,
            "skipinitialspace": True,
            "float_precision": "round_trip",
            "chunksize": max(1, _PIECE // len(self.names)),
            # a gene may be called NA: only numbers may be missing
            "na_values": {place: _MISSING for place in range(len(self.names)) if place not in as_text},
            "keep_default_na": False,
        }
        try:
            with self._layout.reading(self.path) as stream, pd.read_csv(stream, **options) as reader:
                yield from reader
        except (ValueError, OverflowError) as error:
            raise self._wrong(as_text, gone, error) from error

    def _wrong(self, as_text: set[int], gone: set[int], error: Exception) -> DataError:
        """Find what is wrong: a row of another length, or a cell that is no number."""
        with self._layout.reading(self.path) as stream, closing(self._rows(stream)) as rows:
            for place, row in enumerate(rows):
                if place in gone:
                    continue
                self._check(row, place - 1)
                for column, cell in enumerate(row):
                    if column not in as_text and not is_number(cell, self.decimal):
                        return DataError(
                            f"'{self.path}' holds {cell[:40]!r} among numbers, in row {place:,} ({row[0][:40]!r}) and "
                            f"column {self.names[column] or column + 1!r}",
                            remedy="Write a number there, or leave the row or column out.",
                        )
        first = str(error).strip().splitlines()[0]
        return DataError(f"'{self.path}' cannot be read as a table ({first})", remedy="Check quotes and separators.")


class _Parquet(RawTable):
    """A Parquet file; what pandas stored as the index comes first."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        try:
            self._file = pq.ParquetFile(path)
            first = next(self._file.iter_batches(batch_size=_SAMPLE), None)
        except pa.ArrowInvalid as error:
            raise DataError(f"'{path}' is not a complete Parquet file", remedy="Write or download it again.") from error
        fields = self._file.schema_arrow.names
        stored = set(self._stored_index())
        index = [name for name in fields if name.startswith("__index_level_") or name in stored]
        self._fields = [*index[:1], *(name for name in fields if name not in index[:1])]
        self.names = ["" if name.startswith("__index_level_") else name for name in self._fields]
        frame = pd.DataFrame() if first is None else first.to_pandas(ignore_metadata=True)[self._fields]
        # Python's own text of a float is exact; that of a missing cell is "nan" or "None".
        self.sample = [[str(cell) for cell in row] for row in frame.itertuples(index=False, name=None)]

    def _stored_index(self) -> list[str]:
        stored: dict[str, Any] | None = self._file.schema_arrow.pandas_metadata
        return [name for name in (stored or {}).get("index_columns", []) if isinstance(name, str)]

    def pieces(self, text: Sequence[int], skipped: Sequence[int]) -> Iterator[pd.DataFrame]:
        """Yield all rows."""
        as_text = set(text)
        start = 0
        for batch in self._file.iter_batches(batch_size=max(1, _PIECE // len(self.names))):
            frame = batch.to_pandas(ignore_metadata=True)[self._fields].set_axis(range(len(self._fields)), axis=1)
            gone = [place - start for place in skipped if start <= place < start + len(frame)]
            start += len(frame)
            frame = frame.drop(index=frame.index[gone])
            try:
                numbers = frame[[place for place in frame if place not in as_text]].astype(np.float64)
            except (ValueError, TypeError) as error:
                raise DataError(
                    f"'{self.path}' holds text among numbers ({error})", remedy="Write a number there."
                ) from error
            texts = {place: frame[place].astype(str).where(frame[place].notna()) for place in sorted(as_text)}
            yield pd.concat([pd.DataFrame(texts, index=frame.index), numbers], axis=1)[list(range(len(self._fields)))]
