"""Feather and Arrow files (the Arrow IPC file format); streams and the first version of Feather are read too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc

from synthkit.errors import DataError
from synthkit.io.arrow_frames import ArrowWriter, to_frame
from synthkit.io.formats import TableFormat
from synthkit.io.source import ReadOptions
from synthkit.io.tables import pick_columns

if TYPE_CHECKING:
    from synthkit.schema import Schema


def read(path: Path, kind: TableFormat, columns: Sequence[str] | None, options: ReadOptions) -> pd.DataFrame:
    """Read a Feather or Arrow file; see `synthkit.io.read_table`."""
    try:
        table = _read_any(path)
        wanted = pick_columns(path, table.column_names, columns)
        frame = to_frame(table if columns is None else table.select(wanted))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"'{path}' is not a complete Arrow file: {detail}", remedy="Write or download it again."
        ) from error
    return frame if columns is None else frame[wanted]


def _read_any(path: Path) -> pa.Table:
    with open(path, "rb") as file:
        start = file.read(6)
    if start in (b"ARROW1",) or start.startswith(b"FEA1"):
        return pyarrow.feather.read_table(str(path), memory_map=False)
    with pa.OSFile(str(path), "rb") as source, pyarrow.ipc.open_stream(source) as reader:
        return reader.read_all()


def _start(file: IO[bytes], schema: pa.Schema) -> Any:
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4", unify_dictionaries=False)
    return pyarrow.ipc.new_file(file, schema, options=options)


def open_writer(path: Path, kind: TableFormat, schema: Schema | None) -> ArrowWriter:
    """Start an Arrow file; see `synthkit.io.TableWriter`."""
    return ArrowWriter(path, schema, _start)
