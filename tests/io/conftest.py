"""Databases for the tests: a PostgreSQL server of their own, and SQLite files."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from postgres_server import Server, postgres_server, programs

Place = Callable[..., str]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running PostgreSQL server."""
    if programs() is None:
        pytest.skip("there is no PostgreSQL server here; install the package 'postgresql'")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not below pytest's folder: the name of a socket must be short
    try:
        with postgres_server(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, with what libpq needs to reach it in the environment."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(params=["postgresql", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give the address of a table in an empty database: ``place("people", if_exists="append")``."""
    if request.param == "sqlite":
        yield _maker(f"sqlite:///{tmp_path / 'tables.db'}", "")
        return
    running: Server = request.getfixturevalue("postgres")
    schema = f"test_{secrets.token_hex(4)}"
    running.sql(f"create schema {schema}")
    yield _maker(running.address(), f"{schema}.")
    running.sql(f"drop schema {schema} cascade")


def _maker(database: str, schema: str) -> Place:
    def address(table: str | None = None, **parameters: str) -> str:
        found = dict(parameters)
        if table is not None:
            found["table"] = schema + '"' + table.replace('"', '""') + '"'
        return database + "?" * bool(found) + "&".join(f"{name}={quote(value)}" for name, value in found.items())

    return address
