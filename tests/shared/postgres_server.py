"""A PostgreSQL server of its own for the tests: in a temporary folder, reached through a socket in it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "hunter2-säkr3t"  # no secret: the server lives as long as the tests


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes
    ----------
    folder
        Where its socket lies; its databases are reached through it alone.
    """

    folder: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """What libpq needs to reach it: everything but the address comes from the environment."""
        return {"PGHOST": str(self.folder), "PGUSER": "tester", "PGPASSWORD": PASSWORD}

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the owner of the server, and return its rows."""
        import psycopg

        where = {"host": str(self.folder), "user": "tester", "password": PASSWORD, "dbname": "postgres"}
        with psycopg.connect(**where, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def address(self, after: str = "", *, database: str = "postgres") -> str:
        """Return an address of it without credentials."""
        return f"postgresql:///{database}{after}"


def programs() -> Path | None:
    """Return the folder with initdb and postgres; Debian keeps it off the PATH."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def ordinary_user() -> str | None:
    """Return whom to run as, because PostgreSQL refuses the super-user; None when nobody else is needed."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def postgres_server(folder: Path) -> Iterator[Server]:
    """Run a server in an empty folder with a short path, and stop it at the end.

    It asks everyone for a password, listens to no network, and does without fsync: nothing in it has to last.
    """
    binaries = programs()
    if binaries is None:
        raise FileNotFoundError("initdb")
    user = ordinary_user()
    data, secret = folder / "data", folder / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    if user is not None:
        for path in (folder, secret):
            shutil.chown(path, user)
        os.chmod(folder, 0o711)

    def call(program: str, arguments: Sequence[str]) -> None:
        done = subprocess.run(
            [str(binaries / program), *arguments],
            user=user,
            extra_groups=None if user is None else [],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}\n{done.stderr}")

    initial = ["--username=tester", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
    call("initdb", [*initial, f"--pgdata={data}"])
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off -c max_connections=20"
    control = [f"--pgdata={data}", "--wait", "--timeout=60"]
    call("pg_ctl", ["start", *control, f"--log={folder / 'log'}", f"--options={options}"])
    try:
        yield Server(folder)
    finally:
        call("pg_ctl", ["stop", *control, "--mode=immediate"])
