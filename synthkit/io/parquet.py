"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synthkit.errors import DataError
from synthkit.io.arrow_frames import ArrowWriter, to_frame
from synthkit.io.formats import TableFormat
from synthkit.io.source import ReadOptions
from synthkit.io.tables import pick_columns

if TYPE_CHECKING:
    from synthkit.schema import Schema


def read(path: Path, kind: TableFormat, columns: Sequence[str] | None, options: ReadOptions) -> pd.DataFrame:
    """Read a Parquet file, or a folder of them; see `synthkit.io.read_table`."""
    if path.is_dir():
        from synthkit.io.parquet_folder import read_folder

        return read_folder(path, columns)
    with opened(path) as file:
        wanted = pick_columns(path, file.schema_arrow.names, columns)
        frame = to_frame(file.read(columns=None if columns is None else wanted))
    return frame if columns is None else frame[wanted]


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file that is open; DataError when it turns out to be damaged."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(
            f"'{path}' is not a complete Parquet file: {first_line(error)}", remedy="Write or download it again."
        ) from error


def open_writer(path: Path, kind: TableFormat, schema: Schema | None) -> ArrowWriter:
    """Start a Parquet file; see `synthkit.io.TableWriter`."""
    return ArrowWriter(path, schema, pq.ParquetWriter)


def first_line(error: BaseException) -> str:
    """The first line of what a library says."""
    return (str(error).splitlines() or [type(error).__name__])[0]
