"""Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synthkit.errors import DataError
from synthkit.io.arrow_frames import ArrowWriter, to_frame
from synthkit.io.formats import TableFormat
from synthkit.io.tables import pick_columns

if TYPE_CHECKING:
    from synthkit.schema import Schema


def read(path: Path, kind: TableFormat, columns: Sequence[str] | None) -> pd.DataFrame:
    """Read a Parquet file; see `synthkit.io.read_table`."""
    try:
        with pq.ParquetFile(path) as file:
            wanted = pick_columns(path, file.schema_arrow.names, columns)
            frame = to_frame(file.read(columns=None if columns is None else wanted))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(
            f"'{path}' is not a complete Parquet file: {_first_line(error)}", remedy="Write or download it again."
        ) from error
    return frame if columns is None else frame[wanted]


def open_writer(path: Path, kind: TableFormat, schema: Schema | None) -> ArrowWriter:
    """Start a Parquet file; see `synthkit.io.TableWriter`."""
    return ArrowWriter(path, schema, pq.ParquetWriter)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
