"""Reading and writing whole tables, and writing long ones piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from synthkit.archive import atomic_path, check_output
from synthkit.errors import DataError, InputError, unknown_name
from synthkit.io.formats import OPTIONS, REGISTRY, TableFormat, table_format
from synthkit.io.source import Address, ReadOptions, is_address, shown, split_options

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


def read_table(
    source: str | Path | Address,
    *,
    columns: Sequence[str] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
    query: str | None = None,
) -> pd.DataFrame:
    """Read a table.

    Text files are read as pandas reads them: whitespace after a comma is dropped, and an empty cell and the words that
    pandas takes for one ("NA", "NaN", "N/A", "null", "None" and the like) are missing. Three things differ, so that a
    table that is written again looks as it did: whole numbers with missing cells are "Int64" (pandas makes 3 into 3.0),
    numbers with leading zeros stay text, and so do true and false when they are not spelled True and False. Trailing
    zeros (2.50) are not kept. Formats with types keep theirs; dates in text stay text.

    Where the content of a text file differs from what its name says (semicolons, another encoding, decimal commas,
    compression), a UserWarning says what was found and how to overrule it.

    Parameters
    ----------
    source : str, Path or Address
        .csv, .tsv, .jsonl or .ndjson (also with .gz, .bz2, .xz, .zst), .parquet (or a folder of such files, with
        partitions as ``year=2024/``), .feather, .arrow, .xlsx, or the address of a database
        (``postgresql://user@host/database?table=people``). The options below may follow a path:
        ``people.csv?delimiter=semicolon&encoding=cp1252``.
    columns : sequence of str, optional
        Read these columns only, in this order.
    delimiter : str, optional
        What stands between two cells: one character, or comma, semicolon, tab, bar, space.
    encoding : str, optional
        The encoding of a text file.
    decimal : str, optional
        What stands before the decimals of numbers in a text file: point or comma.
    sheet : str, optional
        The sheet of a workbook, by name or position from 1.
    query : str, optional
        What to read from a database, in SQL, instead of a table.

    Returns
    -------
    pandas.DataFrame of shape (n_rows, n_columns)
        At least one row; an index that was stored with a name is a column, any other is dropped.

    Raises
    ------
    InputError
        No such file, no permission, an unknown suffix or option, a database that cannot be reached.
    DataError
        Empty, damaged, ragged or undecodable content, a repeated or unknown column name.
    """
    if isinstance(source, Address) or is_address(source):
        address = source if isinstance(source, Address) else Address.parse(str(source), query=query)
        if ReadOptions(delimiter, encoding, decimal, sheet).named:
            raise InputError(
                f"'{address}' is a database: options of files mean nothing to it", remedy="Leave them out."
            )
        frame: pd.DataFrame = import_module("synthkit.io.sql").read(address, columns)
    else:
        if query is not None:
            raise InputError(f"'{source}' is no database, and only those take a query", remedy="Leave the query out.")
        path, options = split_options(source)
        given = options.with_given(delimiter=delimiter, encoding=encoding, decimal=decimal, sheet=sheet)
        frame = _read_file(path, given, columns)
    if len(frame) == 0:
        raise DataError(
            f"the table '{shown(source)}' has {frame.shape[1]} columns but no rows", remedy="Check that it is complete."
        )
    return frame


def _read_file(path: Path, options: ReadOptions, columns: Sequence[str] | None) -> pd.DataFrame:
    if path.is_dir() and path.suffix.lower() in ("", ".parquet"):
        kind = TableFormat(".parquet", REGISTRY[".parquet"])
    else:
        kind = table_format(path)
    for name in options.named:
        if name not in OPTIONS.get(kind.module, ()):
            able = [suffix for suffix, module in REGISTRY.items() if name in OPTIONS.get(module, ())]
            raise InputError(
                f"the option {name!r} is for {', '.join(able)} and means nothing for '{path}'", remedy="Leave it out."
            )
    if path.is_dir() and kind.suffix != ".parquet":
        raise InputError(f"'{path}' is a folder, expected a file", remedy="Name one file in it.")
    if not path.exists():
        raise InputError(f"there is no file '{path}'{_nearest(path)}", remedy="Check the path.")
    try:
        if not path.is_dir():
            with open(path, "rb") as file:
                if not file.read(1):
                    raise DataError(f"the file '{path}' is empty", remedy="Check that it was written completely.")
        frame: pd.DataFrame = import_module(kind.module).read(path, kind, columns, options)
    except OSError as error:
        raise InputError(
            f"cannot read '{path}': {error.strerror or error}",
            remedy="Check that the file is readable and not damaged.",
        ) from error
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


def check_target(target: str | Path | Address, *, inputs: Iterable[str | Path | Address] = ()) -> None:
    """Refuse a target that cannot be written to, before any work is done.

    Parameters
    ----------
    target : str, Path or Address
        Where `write_table` or `TableWriter` will write to.
    inputs : iterable of str, Path or Address
        What is read and must not be replaced.

    Raises
    ------
    InputError
        An unknown suffix, or an input.
    OutputError
        The place cannot be written to, the database cannot be reached, or the table exists already.
    """
    place = as_target(target)
    if isinstance(place, Address):
        import_module("synthkit.io.sql").check(place, inputs)
        return
    check_output(place, inputs=inputs)
    table_format(place, writing=True)


def as_target(target: str | Path | Address) -> Path | Address:
    """Return a target as a path or an address; a path to write has no options."""
    if isinstance(target, Address):
        return target
    return Address.parse(target) if isinstance(target, str) and is_address(target) else Path(target)


def write_table(frame: pd.DataFrame, target: str | Path | Address) -> None:
    """Write a table, whole or not at all; the index is not written.

    Parameters
    ----------
    frame : pandas.DataFrame
    target : str, Path or Address
        A path, whose suffix decides the format as in `read_table`, or the address of a table in a PostgreSQL or SQLite
        database. Without ``if_exists=append`` or ``if_exists=replace`` that table must not exist.

    Raises
    ------
    InputError
        Unknown suffix.
    OutputError
        The place cannot be written to, the table exists, or the disk is full; nothing is left behind.
    DataError
        Values that the format cannot hold.
    """
    with TableWriter(target) as writer:
        writer.write(frame)


class TableWriter:
    """Write a table piece by piece with flat memory; it appears when the block ends well, or not at all.

    Parameters
    ----------
    target : str, Path or Address
        As in `write_table`.
    schema : Schema, optional
        Makes all pieces alike where one piece alone would not tell: dates without a time of day, columns without a
        value. Needed where it may come to no piece at all.

    Examples
    --------
    >>> with TableWriter("out.csv", schema) as writer:  # doctest: +SKIP
    ...     for batch in gan.iter_sample(1_000_000):
    ...         writer.write(batch)
    """

    def __init__(self, target: str | Path | Address, schema: Schema | None = None) -> None:
        self.target = as_target(target)
        self.schema = schema
        self.n_rows = 0
        self._kind = None if isinstance(self.target, Address) else table_format(self.target, writing=True)
        self._writer: FrameWriter | None = None
        self._columns: list[str] | None = None if schema is None else schema.names
        self._context: AbstractContextManager[FrameWriter] | None = None

    def __enter__(self) -> TableWriter:
        if isinstance(self.target, Address):
            context: AbstractContextManager[FrameWriter] = import_module("synthkit.io.sql").opened_writer(
                self.target, self.schema
            )
        else:
            context = _opened(self.target, self._kind or table_format(self.target), self.schema)
        self._context = context
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
            raise DataError(f"'{self.target}' is not open for writing", remedy="Use the writer in a 'with' block.")
        frame = rows if isinstance(rows, pd.DataFrame) else rows.to_pandas()
        names = [str(name) for name in frame.columns]
        if self._columns is None:
            self._columns = pick_columns(str(self.target), names, None)
        if names != self._columns:
            extra = [name for name in names if name not in self._columns]
            missing = [name for name in self._columns if name not in names]
            what = f"extra {extra}, missing {missing}" if extra or missing else "the same ones in another order"
            raise DataError(f"the rows for '{self.target}' have other columns than before: {what}")
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
