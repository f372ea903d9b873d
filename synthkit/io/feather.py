"""Feather and Arrow files (the Arrow IPC file format); streams and the first version of Feather are read too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc

from synthkit.errors import DataError
from synthkit.io.arrow_frames import FrameConverter, to_frame
from synthkit.io.formats import TableFormat
from synthkit.io.tables import pick_columns

if TYPE_CHECKING:
    from synthkit.schema import Schema


def read(path: Path, kind: TableFormat, columns: Sequence[str] | None) -> pd.DataFrame:
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


class _Writer:
    def __init__(self, path: Path, schema: Schema | None) -> None:
        self._file = open(path, "wb")
        self._converter = FrameConverter(path, schema)
        self._writer: Any = None

    def write(self, frame: pd.DataFrame) -> None:
        self._append(self._converter.convert(frame))

    def _append(self, table: pa.Table) -> None:
        if self._writer is None:
            options = pyarrow.ipc.IpcWriteOptions(compression="lz4", unify_dictionaries=False)
            self._writer = pyarrow.ipc.new_file(self._file, table.schema, options=options)
        self._writer.write_table(table)

    def close(self) -> None:
        try:
            if self._writer is None:
                self._append(self._converter.empty())
            self._writer.close()
        finally:
            self._file.close()


def open_writer(path: Path, kind: TableFormat, schema: Schema | None) -> _Writer:
    """Start an Arrow file; see `synthkit.io.TableWriter`."""
    return _Writer(path, schema)
