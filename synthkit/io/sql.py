"""Tables of databases, through SQLAlchemy: the only file that imports it; needs the extra "sql".

PostgreSQL (psycopg 3) and SQLite are read and written, other databases that SQLAlchemy knows are read. Reading streams
in a transaction that may not write. Writing is one transaction: the table appears when all rows are in it, or not at
all. Names are quoted as the database does it, and rows and passwords stand in no message.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pandas as pd

from synthkit.archive import atomic_path, check_output
from synthkit.errors import DataError, InputError, OutputError, unknown_name
from synthkit.io.collect import Collector
from synthkit.io.source import Address, masked
from synthkit.io.sql_rows import Rows, is_sqlite, sqlite_types
from synthkit.io.tables import pick_columns
from synthkit.visible import one_line

try:
    import sqlalchemy as sa
    from sqlalchemy.pool import NullPool
    from sqlalchemy.schema import CreateTable, DropTable
except ImportError as error:
    raise InputError(
        "reading and writing databases needs the package sqlalchemy, which is not installed",
        remedy="Install it with pip install 'synthkit[sql]'.",
    ) from error

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from synthkit.io.tables import FrameWriter
    from synthkit.schema import Schema

_CHUNK = 5_000
_SECONDS_TO_CONNECT = "15"
_MOST_SAID = 300
_PASSWORD = "SYNTHKIT_DATABASE_PASSWORD"
_KNOWN = ("postgresql", "sqlite", "mysql", "mariadb", "oracle", "mssql")
_WRITTEN = ("postgresql", "sqlite")


# ------------------------------------------------------------ reading


def read(address: Address, columns: Sequence[str] | None) -> pd.DataFrame:
    """Read a table or what a query gives, chunk by chunk; see `synthkit.io.read_table`.

    The rows of a table with a primary key come in its order, so that they come the same way every time.
    """
    if address.table is None and address.query is None:
        raise InputError(f"the address '{address}' names no table", remedy="Add ?table=NAME, or pass --query SQL.")
    collector = Collector(str(address))
    with _connected(address) as connection:
        if connection.dialect.name == "postgresql":
            _leave_json(connection)
        declared: Mapping[str, str] = {}
        streaming = connection.execution_options(yield_per=_CHUNK)
        if address.query is not None:
            doubled = connection.dialect.paramstyle in ("format", "pyformat")  # where "%" begins a parameter
            query = address.query.replace("%", "%%") if doubled else address.query
            result = streaming.exec_driver_sql(query)
            if not result.returns_rows:
                raise InputError(f"the query of '{address}' gives no rows", remedy="Write a SELECT.")
        else:
            declared = _declared(connection, address)
            result = streaming.execute(_select(connection, address, pick_columns(str(address), [*declared], columns)))
        with closing(result):
            names = [str(name) for name in result.keys()]
            wanted = pick_columns(str(address), names, columns)
            for rows in result.partitions():
                cells = dict(zip(names, zip(*rows, strict=True), strict=True))
                collector.add({name: cells[name] for name in wanted}, len(rows))
    if not collector.n_rows:
        return pd.DataFrame(columns=wanted)
    return collector.frame(sqlite_types(declared) if is_sqlite(address) else None)


def _leave_json(connection: Connection) -> None:
    """Take JSON as the text that it is: as Python values, one cell would be a number and the next a list."""
    from psycopg.types.string import TextLoader

    driver: Any = connection.connection.driver_connection
    for kind in ("json", "jsonb"):
        driver.adapters.register_loader(kind, TextLoader)


def _declared(connection: Connection, address: Address) -> dict[str, str]:
    """The columns of a table with their types as the database calls them."""
    inspector = sa.inspect(connection)
    name, schema = _named(address)
    try:
        found = inspector.get_columns(name, schema=schema)
    except sa.exc.NoSuchTableError:
        if schema is not None and schema not in inspector.get_schema_names():
            what = unknown_name("schema", schema, inspector.get_schema_names())
        else:
            known = [*inspector.get_table_names(schema=schema), *inspector.get_view_names(schema=schema)]
            what = unknown_name("table", str(name), known)
        raise InputError(f"the address '{address}' names an {what}", remedy="Check the name, also its case.") from None
    return {str(column["name"]): str(column["type"]) for column in found}


def _select(connection: Connection, address: Address, names: Sequence[str]) -> sa.Select[Any]:
    name, schema = _named(address)
    columns: list[sa.ColumnClause[Any]] = [sa.column(_exact(column)) for column in names]
    order: list[sa.ColumnClause[Any]] = []
    with suppress(sa.exc.NoSuchTableError):  # SQLite knows a table in any case, but not its key
        key = sa.inspect(connection).get_pk_constraint(name, schema=schema)
        order = [sa.column(_exact(column)) for column in key["constrained_columns"]]
    return sa.select(*columns).select_from(sa.table(name, schema=schema)).order_by(*order)


def _exact(name: str) -> sa.quoted_name:
    """A name as it is, always in quotes, so that its case and what it holds do not matter."""
    return sa.quoted_name(name, True)


def _quoted(named: sa.Table | sa.Column[Any]) -> str:
    """A table or a column as SQL writes it in PostgreSQL and SQLite; SQLAlchemy stumbles over "%(x)s" in a name."""
    parts = [named.schema, named.name] if isinstance(named, sa.Table) else [named.name]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts if part is not None)


def _named(address: Address) -> tuple[sa.quoted_name, sa.quoted_name | None]:
    """The table and its schema."""
    return _exact(address.table or ""), None if address.schema is None else _exact(address.schema)


# ------------------------------------------------------------ writing


def check(address: Address, inputs: Iterable[object]) -> None:
    """Refuse a table that cannot be written; see `synthkit.io.check_target`."""
    _check_form(address)
    for source in inputs:
        given = Address.parse(source) if isinstance(source, str) and "://" in source else source
        if address.same_table(given):
            raise OutputError(f"the output '{address}' is also an input", remedy="Choose another table.")
    new = _new_sqlite_file(address)
    if new is not None:
        check_output(new)
        return
    with _connected(address, writing=True) as connection:
        _check_table(connection, address)
        if address.if_exists == "append":
            return
        # Permissions alone do not tell: try it, under a name that is free, and take it back.
        _create(connection, address, [sa.Column("a", sa.Integer)], temporary=True)
        connection.rollback()


@contextmanager
def opened_writer(address: Address, schema: Schema | None) -> Iterator[FrameWriter]:
    """Append frames to a table that appears when the block ends well, and not at all when it does not."""
    _check_form(address)
    new = _new_sqlite_file(address)
    if new is not None:
        # A database file that did not exist is written as any file is: beside its place, and renamed.
        with atomic_path(new) as temporary, _connected(address, writing=True, file=temporary) as connection:
            writer = _Writer(connection, address, Rows(address, schema))
            yield writer
            writer.close()
            connection.commit()
        return
    with _connected(address, writing=True) as connection:
        _check_table(connection, address)
        writer = _Writer(connection, address, Rows(address, schema))
        yield writer
        writer.close()
        connection.commit()


class _Writer:
    """Appends frames to a table in the transaction of a connection (a `FrameWriter`)."""

    def __init__(self, connection: Connection, address: Address, rows: Rows) -> None:
        self._connection = connection
        self._address = address
        self._rows = rows
        self._table: sa.Table | None = None

    def write(self, frame: pd.DataFrame) -> None:
        """Append rows; the first call makes the table."""
        kinds, cells = self._rows.convert(frame)
        if self._table is None:
            self._table = self._start(kinds)
        rows = zip(*cells, strict=True)
        where = f"{_quoted(self._table)} ({', '.join(_quoted(column) for column in self._table.columns)})"
        if self._connection.dialect.name == "postgresql":
            driver: Any = self._connection.connection.driver_connection
            with driver.cursor() as cursor, cursor.copy(f"COPY {where} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        elif len(frame):
            marks = ", ".join("?" * len(kinds))
            self._connection.exec_driver_sql(f"INSERT INTO {where} VALUES ({marks})", list(rows))

    def close(self) -> None:
        """Finish the table; one that replaces another takes its place only now."""
        if self._table is None:
            self.write(self._rows.empty())
        if self._address.if_exists == "replace" and self._table is not None:
            _replace(self._connection, self._address, self._table)

    def _start(self, kinds: Mapping[str, str]) -> sa.Table:
        columns = [
            sa.Column(_exact(name), _type(kind), key=f"c{position}")
            for position, (name, kind) in enumerate(kinds.items())
        ]
        if self._address.if_exists == "append" and _exists(self._connection, self._address):
            known = _declared(self._connection, self._address)
            for name in kinds:
                if name not in known:
                    raise DataError(f"the table '{self._address}' has an {unknown_name('column', name, known)}")
            return _table(self._address, columns)
        self._rows.check_names(kinds)
        return _create(self._connection, self._address, columns, temporary=self._address.if_exists == "replace")


# What `sql_rows` calls a column -> the type that it is declared with.
_TYPES: Mapping[str, Any] = {
    "boolean": sa.Boolean(),
    "integer": sa.BigInteger(),
    "float": sa.Double(),
    "text": sa.Text(),
    "date": sa.Date(),
    "time": sa.Time(),
    "moment": sa.DateTime(),
    "zoned": sa.DateTime(timezone=True),
    "duration": sa.Interval(),
}


def _type(kind: str) -> Any:
    if kind.startswith("decimal"):
        _, digits, scale = kind.split()
        return sa.Numeric(int(digits), int(scale))
    return _TYPES[kind]


def _table(address: Address, columns: Sequence[sa.Column[Any]], name: str | None = None) -> sa.Table:
    exact, schema = _named(address)
    return sa.Table(exact if name is None else _exact(name), sa.MetaData(), *columns, schema=schema)


def _create(
    connection: Connection, address: Address, columns: Sequence[sa.Column[Any]], *, temporary: bool
) -> sa.Table:
    name = f"synthkit_{os.getpid()}_{os.urandom(4).hex()}" if temporary else None
    table = _table(address, columns, name)
    connection.execute(CreateTable(table))
    return table


def _replace(connection: Connection, address: Address, table: sa.Table) -> None:
    if _exists(connection, address):
        connection.execute(DropTable(_table(address, [])))
    statement = f"ALTER TABLE {_quoted(table)} RENAME TO {_quoted(sa.Column(address.table or '', sa.Text))}"
    doubled = connection.dialect.paramstyle in ("format", "pyformat")
    connection.exec_driver_sql(statement.replace("%", "%%") if doubled else statement)


def _check_form(address: Address) -> None:
    if address.table is None:
        raise InputError(f"the address '{address}' names no table to write to", remedy="Add ?table=NAME.")


def _check_table(connection: Connection, address: Address) -> None:
    if address.if_exists == "fail" and _exists(connection, address):
        raise OutputError(
            f"the table '{address}' exists already",
            remedy="Choose another name, or add &if_exists=append or &if_exists=replace.",
        )


def _exists(connection: Connection, address: Address) -> bool:
    name, schema = _named(address)
    return sa.inspect(connection).has_table(name, schema=schema)


# ------------------------------------------------------------ connections


@contextmanager
def _connected(address: Address, *, writing: bool = False, file: Path | None = None) -> Iterator[Connection]:
    """A connection in a transaction that is rolled back unless it was committed; every failure is one sentence."""
    engine = _engine(address, writing=writing, file=file)
    said: tuple[type[Exception], ...] = (sa.exc.SQLAlchemyError, OverflowError)
    if engine.dialect.loaded_dbapi is not None:
        said = (*said, engine.dialect.loaded_dbapi.Error)
    connection: Connection | None = None
    try:
        connection = engine.connect()
        if engine.dialect.name == "postgresql" and not writing:
            connection = connection.execution_options(postgresql_readonly=True)
        yield connection
    except said as error:
        raise _told(error, address, writing=writing, connected=connection is not None) from error
    finally:
        if connection is not None:
            with suppress(*said):  # the first error is the one to tell
                connection.close()
        engine.dispose()


def _engine(address: Address, *, writing: bool, file: Path | None) -> Engine:
    try:
        url = sa.make_url(address.url)
        backend = "postgresql" if url.drivername == "postgres" else url.get_backend_name()
        if writing and backend not in _WRITTEN:
            raise InputError(
                f"'{address}' cannot be written to: only {' and '.join(_WRITTEN)} take a table back as a whole when "
                "writing fails half way",
                remedy="Write a file, and load that.",
            )
        if backend == "sqlite":
            return _sqlite(address, writing=writing, file=file)
        arguments: dict[str, Any] = {}
        if backend == "postgresql":
            if url.drivername in ("postgres", "postgresql"):
                url = url.set(drivername="postgresql+psycopg")
            if "connect_timeout" not in url.query and "PGCONNECT_TIMEOUT" not in os.environ:
                arguments["connect_timeout"] = _SECONDS_TO_CONNECT
        elif os.environ.get(_PASSWORD):
            url = url.set(password=os.environ[_PASSWORD])
        return sa.create_engine(url, hide_parameters=True, poolclass=NullPool, connect_args=arguments)
    except sa.exc.NoSuchModuleError as error:
        kind = sa.make_url(address.url).drivername
        raise InputError(f"the address '{address}' has an {unknown_name('kind of database', kind, _KNOWN)}") from error
    except (sa.exc.ArgumentError, ValueError) as error:
        raise InputError(
            f"the address '{address}' is not one of a database",
            remedy="Write it as in postgresql://user@host:5432/database?table=people.",
        ) from error
    except ModuleNotFoundError as error:
        raise InputError(
            f"'{address}' needs the package {error.name}, which is not installed",
            remedy="Install it with pip install 'synthkit[sql]'."
            if error.name == "psycopg"
            else "Install that driver.",
        ) from error


def _sqlite(address: Address, *, writing: bool, file: Path | None) -> Engine:
    place = file or _sqlite_file(address)
    if not writing and not place.is_file():
        raise InputError(f"there is no file '{place}'", remedy="Check the path: sqlite:////home/me/file.db has four /.")

    def connect() -> sqlite3.Connection:
        # No transactions of its own: Python's module would commit before it creates a table.
        opened = sqlite3.connect(f"file:{quote(str(place.absolute()))}?mode=rw", uri=True, isolation_level=None)
        if not writing:
            # Not mode=ro: what a writer that was killed has left must be taken back before anything is read.
            opened.execute("PRAGMA query_only = ON")
        return opened

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
    sa.event.listen(engine, "begin", lambda started: started.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN"))
    return engine


def _sqlite_file(address: Address) -> Path:
    """The file of an SQLite database; other versions of SQLAlchemy read the same address in other ways."""
    where, _, _ = address.url.partition("?")
    _, slashes, name = where.partition(":///")
    if not slashes or not name or name == ":memory:" or name.startswith("file:"):
        raise InputError(
            f"the address '{address}' names no file", remedy="Write sqlite:///file.db, or sqlite:////home/me/file.db."
        )
    return Path(unquote(name))


def _new_sqlite_file(address: Address) -> Path | None:
    """The file of an SQLite database that is to be written and does not exist yet."""
    if not is_sqlite(address):
        return None
    place = _sqlite_file(address)
    return None if place.exists() else place


def _told(error: Exception, address: Address, *, writing: bool, connected: bool) -> InputError:
    """What a database says, as one sentence: its first line, without the statement, rows or passwords."""
    cause: Any = getattr(error, "orig", None) or error
    diagnosis = getattr(cause, "diag", None)
    primary = None if diagnosis is None else diagnosis.message_primary
    text = primary or one_line(str(cause).split("\nDETAIL")[0])
    for name in ("PGPASSWORD", _PASSWORD):  # drivers do not repeat it; should one do so, it ends here
        text = text.replace(os.environ.get(name) or "\0", "***")
    text = masked(text if len(text) <= _MOST_SAID else text[: _MOST_SAID - 3] + "...")
    if not connected:
        return InputError(
            f"the database of '{address}' cannot be reached: {text}",
            remedy="Check host, port and name, and that PGUSER and PGPASSWORD or ~/.pgpass hold what it asks for.",
        )
    if writing:
        return OutputError(f"'{address}' was not written: {text}", remedy="The database is as it was before.")
    return InputError(f"'{address}' cannot be read: {text}", remedy="Check names, SQL and permissions.")
