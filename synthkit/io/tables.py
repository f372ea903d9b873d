"""Reading and writing whole tables, and writing long ones piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from synthkit.archive import atomic_path
from synthkit.errors import DataError, InputError, unknown_name
from synthkit.io.formats import TableFormat, table_format

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from synthkit.schema import Schema


class FrameWriter(Protocol):
    """What a format's `open_writer` gives back."""

    def write(self, frame: pd.DataFrame) -> None:
        """Append rows; the first call fixes the columns."""

    def close(self) -> None:
        """Finish the file."""


def read_table(path: str | Path, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table.

    Text files are read as pandas reads them: whitespace after a comma is dropped, and an empty cell and the words that
    pandas takes for one ("NA", "NaN", "N/A", "null", "None" and the like) are missing. Three things differ, so that a
    table that is written again looks as it did: whole numbers with missing cells are "Int64" (pandas makes 3 into 3.0),
    numbers with leading zeros stay text, and so do true and false when they are not spelled True and False. Trailing
    zeros (2.50) are not kept.

    Parameters
    ----------
    path : str or Path
        .csv or .tsv (also with .gz, .bz2, .xz, .zst), .parquet, .feather or .arrow.
    columns : sequence of str, optional
        Read these columns only, in this order.

    Returns
    -------
    pandas.DataFrame of shape (n_rows, n_columns)
        At least one row; an index that was stored with a name is a column, any other is dropped.

    Raises
    ------
    InputError
        No such file, a folder, no permission, or an unknown suffix.
    DataError
        Empty, damaged, ragged or undecodable content, a repeated or unknown column name.
    """
    kind = table_format(path)
    source = Path(path)
    if source.is_dir():
        raise InputError(f"'{path}' is a folder, expected a file", remedy="Name one file in it.")
    if not source.exists():
        raise InputError(f"there is no file '{path}'{_nearest(source)}", remedy="Check the path.")
    try:
        with open(source, "rb") as file:
            if not file.read(1):
                raise DataError(f"the file '{path}' is empty", remedy="Check that it was written completely.")
        frame: pd.DataFrame = import_module(kind.module).read(source, kind, columns)
    except OSError as error:
        raise InputError(
            f"cannot read '{path}': {error.strerror or error}",
            remedy="Check that the file is readable and not damaged.",
        ) from error
    if len(frame) == 0:
        raise DataError(
            f"the table '{path}' has {frame.shape[1]} columns but no rows", remedy="Check that it is complete."
        )
    return frame


def pick_columns(path: str | Path, names: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """The columns to read; DataError for names that appear twice or not at all."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(
                f"the column name {name!r} appears {list(names).count(name)} times in '{path}'",
                remedy="Give every column its own name.",
            )
        seen.add(name)
    for name in wanted or ():
        if name not in seen:
            raise DataError(f"'{path}' has an {unknown_name('column', name, names)}")
    return list(names if wanted is None else wanted)


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table, whole or not at all; the index is not written.

    Parameters
    ----------
    frame : pandas.DataFrame
    path : str or Path
        The suffix decides the format, as in `read_table`.

    Raises
    ------
    InputError
        Unknown suffix.
    OutputError
        The place cannot be written to, or the disk is full; nothing is left behind.
    DataError
        Values that the format cannot hold.
    """
    with TableWriter(path) as writer:
        writer.write(frame)


class TableWriter:
    """Write a table piece by piece with flat memory; the file appears when the block ends well, or not at all.

    Parameters
    ----------
    path : str or Path
        The suffix decides the format, as in `read_table`.
    schema : Schema, optional
        Makes all pieces alike where one piece alone would not tell: dates without a time of day, columns without a
        value. Needed where it may come to no piece at all.

    Examples
    --------
    >>> with TableWriter("out.csv", schema) as writer:  # doctest: +SKIP
    ...     for batch in gan.iter_sample(1_000_000):
    ...         writer.write(batch)
    """

    def __init__(self, path: str | Path, schema: Schema | None = None) -> None:
        self.path = Path(path)
        self.schema = schema
        self.n_rows = 0
        self._kind = table_format(path)
        self._writer: FrameWriter | None = None
        self._columns: list[str] | None = None if schema is None else schema.names
        self._context: AbstractContextManager[FrameWriter] | None = None

    def __enter__(self) -> TableWriter:
        self._context = _opened(self.path, self._kind, self.schema)
        self._writer = self._context.__enter__()
        return self

    def write(self, rows: pd.DataFrame | pa.RecordBatch | pa.Table) -> None:
        """Append rows.

        Parameters
        ----------
        rows : pandas.DataFrame, pyarrow.RecordBatch or pyarrow.Table
            With the columns of the schema, or of the first piece, in the same order.

        Raises
        ------
        DataError
            Other columns, or values that the format cannot hold.
        """
        import pandas as pd

        if self._writer is None:
            raise DataError(f"'{self.path}' is not open for writing", remedy="Use the writer in a 'with' block.")
        frame = rows if isinstance(rows, pd.DataFrame) else rows.to_pandas()
        names = [str(name) for name in frame.columns]
        if self._columns is None:
            self._columns = pick_columns(self.path, names, None)
        if names != self._columns:
            extra = [name for name in names if name not in self._columns]
            missing = [name for name in self._columns if name not in names]
            what = f"extra {extra}, missing {missing}" if extra or missing else "the same ones in another order"
            raise DataError(f"the rows for '{self.path}' have other columns than before: {what}")
        self._writer.write(frame)
        self.n_rows += len(frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        context, self._context, self._writer = self._context, None, None
        return context.__exit__(kind, error, trace) if context is not None else None


@contextmanager
def _opened(path: Path, kind: TableFormat, schema: Schema | None) -> Iterator[FrameWriter]:
    module: Any = import_module(kind.module)
    with atomic_path(path) as temporary:
        writer: FrameWriter = module.open_writer(temporary, kind, schema)
        finished = False
        try:
            yield writer
            finished = True
        finally:
            if not finished:
                # The file is thrown away: only the handle matters, and the first error is the one to tell.
                with suppress(OSError, ValueError, DataError):
                    writer.close()
        writer.close()


def _nearest(path: Path) -> str:
    import difflib

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.7)
    return f"; did you mean '{path.with_name(close[0])}'?" if close else ""
