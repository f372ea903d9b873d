"""What a table is read from and written to: a path, with options after "?", or an address of a database.

    people.csv
    people.csv?delimiter=semicolon&encoding=cp1252
    book.xlsx?sheet=Answers
    postgresql://user@host/database?table=schema.people
    sqlite:///file.db?table=people

An address holds no password: those come from the environment, so that no log, report or process list can show one.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from synthkit.errors import InputError, unknown_name
from synthkit.visible import one_line

IfExists = Literal["fail", "append", "replace"]

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
# user:password@ up to the last "@" of the word, unless what follows the colon is a port
_USER_AND_PASSWORD = re.compile(r"(://[^/?#\s:@]*):(?!\d+(?:/[^@?\s]*)?(?:\?|\s|$))\S*@")
_SECRET = re.compile(
    r"\b((?:\w*passw(?:or)?d\w*|passphrase|\w*pwd|\w*secret\w*|\w*token\w*)(?:=|%3D))(?!\*\*\*)[^&;\s'\"]+",
    re.IGNORECASE,
)
_OWN = ("table", "schema", "query", "if_exists")
_IF_EXISTS: tuple[IfExists, ...] = ("fail", "append", "replace")
_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_MOST_SHOWN = 60


# ------------------------------------------------------------ passwords


def masked(text: str) -> str:
    """Return a text in which the passwords of addresses are ``***``.

    Parameters
    ----------
    text
        Any text, such as an error message of a driver.
    """
    return _SECRET.sub(r"\1***", _USER_AND_PASSWORD.sub(r"\1:***@", text))


def shown(source: str | os.PathLike[str] | Address) -> str:
    """Return a source as it may stand in messages, reports and stored files: without any password."""
    return masked(str(source))


# ------------------------------------------------------------ addresses


def is_address(source: object) -> bool:
    """Whether a source is a database and not a file: an `Address`, or a text that begins with ``scheme://``."""
    return isinstance(source, Address) or (isinstance(source, str) and _ADDRESS.match(source) is not None)


@dataclass(frozen=True)
class Address:
    """A table of a database, or what a query of it gives.

    Parameters
    ----------
    url : str
        The database as SQLAlchemy writes it, without a password; parameters are passed on to the driver.
    table : str, optional
        Exactly as it is called, upper and lower case included.
    schema : str, optional
        The schema of the table; the first of the search path when None.
    query : str, optional
        An SQL query, instead of a table.
    if_exists : {"fail", "append", "replace"}
        What to do when the table to be written exists.
    """

    url: str
    table: str | None = None
    schema: str | None = None
    query: str | None = None
    if_exists: IfExists = "fail"

    @classmethod
    def parse(cls, text: str, *, query: str | None = None) -> Address:
        """Return what an address says.

        Parameters
        ----------
        text : str
            ``scheme://user@host/database?table=NAME``, where NAME may be ``schema.table`` and, where a name holds a
            dot, quoted as in SQL. ``?query=``, ``&schema=`` and ``&if_exists=`` are understood too; "&", "#" and "%"
            in names are written as in any address (%26, %23, %25).
        query : str, optional
            An SQL query for an address that names no table.

        Raises
        ------
        InputError
            No such form, both a table and a query, or a password.
        """
        where, _, after = text.partition("?")
        _refuse_password(where, after)
        own: dict[str, str] = {}
        others: list[str] = []
        for part in filter(None, after.split("&")):
            key, equals, value = part.partition("=")
            if key in _OWN and equals:
                own[key] = unquote(value)
            elif difflib.get_close_matches(key, _OWN, n=1, cutoff=0.8):
                raise InputError(f"the address '{text}' has an {unknown_name('parameter', key, _OWN)}")
            else:
                others.append(part)
        if query is not None and "query" in own:
            raise InputError(f"the address '{text}' and --query both hold a query", remedy="Give one of them.")
        wanted = own.get("query", query)
        if wanted is not None and ("table" in own or "schema" in own):
            raise InputError(f"the address '{text}' names a table beside a query", remedy="Give one of them.")
        if_exists = own.get("if_exists", "fail")
        if if_exists not in _IF_EXISTS:
            raise InputError(f"the address '{text}' has an {unknown_name('if_exists', if_exists, _IF_EXISTS)}")
        table, schema = own.get("table"), own.get("schema")
        if table is not None and schema is None:
            table, schema = _split_name(text, table)
        if table == "" or schema == "" or (wanted is not None and not wanted.strip()):
            raise InputError(f"the address '{text}' has an empty name or query", remedy="Write ?table=NAME.")
        url = where + ("?" + "&".join(others) if others else "")
        return cls(url, table, schema, wanted, next(one for one in _IF_EXISTS if one == if_exists))

    @property
    def name(self) -> str:
        """A short name, as files have one."""
        return self.table if self.table is not None else "query"

    def same_table(self, other: object) -> bool:
        """Whether both name one table, as far as their text tells."""
        if not isinstance(other, Address) or self.table is None or self.table != other.table:
            return False
        return (self.url, self.schema) == (other.url, other.schema)

    def __str__(self) -> str:
        said = []
        if self.table is not None:
            names = [self.table] if self.schema is None else [self.schema, self.table]
            said.append("table=" + ".".join(map(_quoted, names)))
        if self.query is not None:
            text = one_line(self.query)
            said.append(f"query={text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + '...'}")
        return self.url + ("&" if "?" in self.url else "?") + "&".join(said) if said else self.url


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if "." in name or '"' in name else name


def _refuse_password(where: str, after: str) -> None:
    """Refuse an address that holds a password, or that could: what is before its "@" is not shown then."""
    scheme, _, rest = where.partition("://")
    names, at, _ = rest.rpartition("@")
    # A password with a "?" in it that is not written as %3F ends up among the parameters.
    first, *others = after.split("&")
    torn = "@" in first and "=" not in first.partition("@")[0]
    parameters = [part for part in (first, *others) if part.partition("=")[0] not in _OWN]
    secret = any(_SECRET.search(part) for part in parameters)
    if scheme != "sqlite" and not scheme.startswith("sqlite+"):
        secret = secret or torn or (bool(at) and ":" in names)
    if secret:
        user = re.split(r"[:/@]", rest, maxsplit=1)[0]
        raise InputError(
            f"the address '{scheme}://{user}:***' holds a password, which process lists and shell histories show",
            remedy="Leave it out: set PGPASSWORD or use ~/.pgpass for PostgreSQL, and SYNTHKIT_DATABASE_PASSWORD for "
            "other databases.",
        )


def _split_name(address: str, text: str) -> tuple[str, str | None]:
    """Return table and schema of ``schema.table``, where either may be quoted as in SQL."""
    parts: list[str] = []
    position = 0
    while (match := _PART.match(text, position)) is not None:
        parts.append(match[1].replace('""', '"') if match[1] is not None else match[2])
        position = match.end()
        if position == len(text) or text[position] != ".":
            break
        position += 1
    if position != len(text) or not 1 <= len(parts) <= 2 or text.endswith("."):
        raise InputError(
            f"the address '{address}' names the table {text!r}, expected table or schema.table",
            remedy='Put a name with a dot or a quote in double quotes, as in SQL: ?table="a.b".',
        )
    return parts[-1], parts[0] if len(parts) == 2 else None


# ------------------------------------------------------------ paths with options


@dataclass(frozen=True)
class ReadOptions:
    """How a file shall be read where its name and content do not tell, or tell it wrongly.

    Parameters
    ----------
    delimiter : str, optional
        What stands between two cells of a text file: one character, or its name (comma, semicolon, tab, bar, space).
    encoding : str, optional
        The encoding of a text file, by a name that Python knows.
    decimal : str, optional
        What stands before the decimals of a number: "." or "," (or point, comma).
    sheet : str, optional
        The sheet of a workbook, by its name, or by its position from 1 where no sheet has that name.
    """

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    sheet: str | None = None

    def with_given(self, **given: str | None) -> ReadOptions:
        """Return these options, replaced by those that are not None."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    @property
    def named(self) -> Mapping[str, str]:
        """The options that were given."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}


def split_options(source: str | os.PathLike[str]) -> tuple[Path, ReadOptions]:
    """Return the file of a source and its options: ``book.xlsx?sheet=Answers``.

    Parameters
    ----------
    source
        A path. One that exists as it is written has no options, whatever is in its name.

    Raises
    ------
    InputError
        An unknown option, named with the nearest match.
    """
    text = os.fspath(source)
    before, mark, after = text.partition("?")
    if not mark or os.path.lexists(text) or not before:
        return Path(text), ReadOptions()
    known = [field.name for field in fields(ReadOptions)]
    found: dict[str, str] = {}
    for part in filter(None, after.split("&")):
        key, _, value = part.partition("=")
        if key not in known:
            raise InputError(f"'{text}' has an {unknown_name('option', key, known)}")
        if not value:
            raise InputError(f"'{text}' gives the option {key!r} no value", remedy=f"Write ?{key}=VALUE.")
        found[key] = unquote(value)
    return Path(before), ReadOptions(**found)


def source_path(source: str | os.PathLike[str] | Address) -> Path | None:
    """Return the file or folder behind a source, without options, or None for a database."""
    if isinstance(source, Address) or is_address(source):
        return None
    return split_options(source)[0]
