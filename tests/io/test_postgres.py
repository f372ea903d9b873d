"""What PostgreSQL alone has: types, roles, passwords, connections that break."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from postgres_server import PASSWORD, Server

from synthkit.cli import run
from synthkit.errors import DataError, InputError, OutputError
from synthkit.io import TableWriter, check_target, read_table, write_table

TYPES = """
create type mood as enum ('sad', 'ok');
create table kinds (
    id integer primary key, big bigint, small smallint, flag boolean, price numeric(10, 2), ratio double precision,
    day date, at timestamp, instant timestamptz, clock time, uid uuid, doc jsonb, tags text[], feeling mood,
    net inet, gap interval, word varchar(10), fixed char(3), nothing text, whole numeric
);
insert into kinds values
    (2, 9007199254740993, 1, true, 12.50, 0.1, '2024-02-29', '2024-02-29 12:30:00.000001',
     '2024-02-29 12:30:00+02', '09:30', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1, null], "é": "x"}',
     '{"p", null, "q"}', 'ok', '10.0.0.1', '1 day 2 hours', 'x', 'a', null, 123456789012345678901234567890),
    (1, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
     null),
    (3, -1, 2, false, -0.01, 'NaN', '1900-01-01', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.5Z', '00:00',
     'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', '3', '{}', 'sad', '::1', '-1 hour', '', 'abc', null, 'NaN')
"""


@pytest.fixture(scope="module")
def kinds(server: Server) -> None:
    server.sql(TYPES)


@pytest.mark.usefixtures("kinds")
class TestTypes:
    def test_are_those_of_the_other_readers(self, postgres: Server) -> None:
        frame = read_table(postgres.address("?table=kinds"))
        assert frame["id"].tolist() == [1, 2, 3], "in the order of the key"
        row: dict[str, Any] = frame.iloc[1].to_dict()
        expected = {
            "big": 9007199254740993,
            "small": 1,
            "flag": True,
            "price": Decimal("12.50"),
            "ratio": 0.1,
            "day": datetime.date(2024, 2, 29),
            "at": pd.Timestamp("2024-02-29 12:30:00.000001"),
            "instant": pd.Timestamp("2024-02-29 10:30:00", tz="UTC"),
            "clock": "09:30:00",
            "uid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "tags": '["p", null, "q"]',
            "feeling": "ok",
            "net": "10.0.0.1",
            "gap": "1 day, 2:00:00",
            "word": "x",
            "fixed": "a  ",
            "whole": Decimal("123456789012345678901234567890"),
        }
        assert {name: row[name] for name in expected} == expected
        assert json.loads(row["doc"]) == {"a": [1, None], "é": "x"}
        assert {name: str(dtype) for name, dtype in frame.dtypes.items() if str(dtype) != "object"} == {
            "id": "int64",
            "big": "Int64",
            "small": "Int64",
            "flag": "boolean",
            "ratio": "float64",
            "at": "datetime64[us]",
            "instant": "datetime64[us, UTC]",
            "nothing": "float64",
        }
        assert frame.iloc[0].drop("id").isna().all()
        assert frame["whole"].tolist()[2] is None, "NaN is missing, as everywhere"

    def test_a_table_goes_through_a_schema(self, postgres: Server) -> None:
        from synthkit.schema import Schema

        schema = Schema.infer(read_table(postgres.address("?table=kinds")))
        assert len(schema) == 20

    def test_bytes_are_refused(self, postgres: Server) -> None:
        postgres.sql("create table photos as select 1 as id, '\\x00ff'::bytea as photo")
        with pytest.raises(DataError, match=r"column 'photo' of .* holds bytes.*a query of the other columns"):
            read_table(postgres.address("?table=photos"))
        assert read_table(postgres.address("?table=photos"), columns=["id"])["id"].tolist() == [1]

    def test_what_python_has_no_date_for(self, postgres: Server) -> None:
        with pytest.raises(InputError, match=r"cannot be read: .*(too large|infinity)"):
            read_table(postgres.address(), query="select 'infinity'::timestamp as at")

    def test_views_and_the_search_path(self, postgres: Server) -> None:
        postgres.sql("create view seen as select id, word from kinds")
        assert sorted(read_table(postgres.address("?table=seen"))["id"]) == [1, 2, 3]
        assert sorted(read_table(postgres.address("?table=public.seen"))["id"]) == [1, 2, 3]
        with pytest.raises(OutputError, match="exists already"):
            check_target(postgres.address("?table=seen"))
        with pytest.raises(OutputError, match=r"was not written: .*is not a table"):
            write_table(pd.DataFrame({"a": [1]}), postgres.address("?table=seen&if_exists=replace"))

    def test_a_query_with_percent_signs_and_colons(self, postgres: Server) -> None:
        query = "select word, '10%' as p, ':x' as c, id % 2 as odd, at::date as d from kinds where word like 'x%'"
        found = read_table(postgres.address(), query=query)
        assert found.drop(columns="d").to_dict("list") == {"word": ["x"], "p": ["10%"], "c": [":x"], "odd": [0]}

    def test_a_query_cannot_write_in_disguise(self, postgres: Server) -> None:
        for query in (
            "with gone as (delete from kinds returning id) select * from gone",
            "select nextval('counter')",
            "select set_config('transaction_read_only', 'off', false), lo_create(0)",
        ):
            postgres.sql("create sequence if not exists counter")
            with pytest.raises(InputError, match="cannot be read: "):
                read_table(postgres.address(), query=query)
        assert len(read_table(postgres.address("?table=kinds"))) == 3


class TestWriting:
    def test_types_are_those_of_the_frame(self, postgres: Server) -> None:
        frame = pd.DataFrame(
            {
                "n": [1],
                "x": [0.5],
                "flag": [True],
                "word": ["a"],
                "day": [datetime.date(2024, 1, 1)],
                "at": pd.to_datetime(["2024-01-01 10:00"]),
                "instant": pd.to_datetime(["2024-01-01 10:00"], utc=True),
                "price": [Decimal("1.50")],
                "clock": [datetime.time(9)],
                "gap": pd.to_timedelta(["1h"]),
                "huge": pd.Series([2**64 - 1], dtype="uint64"),
            }
        )
        write_table(frame, postgres.address("?table=typed"))
        found = dict(
            postgres.sql("select column_name, data_type from information_schema.columns where table_name = 'typed'")
        )
        assert found == {
            "n": "bigint",
            "x": "double precision",
            "flag": "boolean",
            "word": "text",
            "day": "date",
            "at": "timestamp without time zone",
            "instant": "timestamp with time zone",
            "price": "numeric",
            "clock": "time without time zone",
            "gap": "interval",
            "huge": "numeric",
        }

    def test_rows_are_appended_to_a_table_with_types_of_its_own(self, postgres: Server) -> None:
        postgres.sql(
            "create table own (id serial primary key, uid uuid, doc jsonb, day date, x real, n int, w varchar(3))"
        )
        frame = pd.DataFrame(
            {
                "uid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", None],
                "doc": ['{"a": 1}', None],
                "day": ["2024-01-01", None],
                "x": [1, 2],
                "n": pd.Series([5, None], dtype="Int64"),
                "w": ["abc", ""],
            }
        )
        target = postgres.address("?table=own&if_exists=append")
        write_table(frame, target)
        assert postgres.sql("select id, doc, day, n, w from own") == [
            (1, {"a": 1}, datetime.date(2024, 1, 1), 5, "abc"),
            (2, None, None, None, ""),
        ]
        for column, cell, message in (
            ("w", "abcd", "too long"),
            ("n", "x", "invalid input syntax"),
            ("n", 2**40, "range"),
        ):
            with pytest.raises(OutputError, match=f"was not written: .*{message}.*The database is as it was before"):
                write_table(pd.DataFrame({column: [cell]}), target)
        assert postgres.sql("select count(*) from own") == [(2,)]

    @pytest.mark.parametrize(
        ("frame", "message"),
        [
            ({"x" * 64: [1]}, "has 64 bytes, and PostgreSQL keeps 63"),
            ({"é" * 32: [1]}, "has 64 bytes"),
            ({"a": ["x\0y"]}, "NUL"),
            ({"": [1]}, "has no name"),
            ({f"c{n}": [1] for n in range(1700)}, "at most 1600 columns"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, postgres: Server, frame: dict[str, list[Any]], message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            write_table(pd.DataFrame(frame), postgres.address("?table=unfit"))
        assert "\n" not in str(caught.value)
        assert postgres.sql("select to_regclass('unfit')") == [(None,)]

    def test_a_connection_that_breaks_leaves_nothing(self, postgres: Server) -> None:
        def write() -> None:
            with TableWriter(postgres.address("?table=broken")) as writer:
                writer.write(pd.DataFrame({"a": [1]}))
                others = "pid <> pg_backend_pid() and state like 'idle in%'"
                postgres.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}")
                writer.write(pd.DataFrame({"a": [2]}))

        with pytest.raises(OutputError, match="was not written: ") as caught:
            write()
        assert "\n" not in str(caught.value)
        assert postgres.sql("select to_regclass('broken')") == [(None,)]

    def test_a_role_that_may_not_write_is_told_before_any_work(
        self, postgres: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        postgres.sql(f"create role reader login password '{PASSWORD}'")
        monkeypatch.setenv("PGUSER", "reader")
        with pytest.raises(OutputError, match="was not written: permission denied"):
            check_target(postgres.address("?table=mine"))
        postgres.sql("create table theirs as select 1 as a")
        with pytest.raises(InputError, match="cannot be read: permission denied"):
            read_table(postgres.address("?table=theirs"))

    def test_unknown_schema(self, postgres: Server) -> None:
        with pytest.raises(OutputError, match='schema "nowhere" does not exist'):
            check_target(postgres.address("?table=nowhere.t"))

    def test_looking_leaves_nothing(self, postgres: Server) -> None:
        before = postgres.sql("select count(*) from pg_class")
        check_target(postgres.address("?table=looked"))
        assert postgres.sql("select count(*) from pg_class") == before


class TestConnections:
    def refused(self, source: str, message: str) -> str:
        with pytest.raises(InputError, match=message) as caught:
            read_table(source)
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_the_driver_is_psycopg_3(self, postgres: Server) -> None:
        query = "select application_name from pg_stat_activity where pid = pg_backend_pid()"
        for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
            address = postgres.address().replace("postgresql:", f"{scheme}:")
            assert len(read_table(address, query=query)) == 1
        self.refused(
            postgres.address("?table=t").replace("postgresql:", "postgresql+psycopg2:"), "needs the package psycopg2"
        )

    def test_unreachable(self, postgres: Server, tmp_path: Path) -> None:
        self.refused(f"postgresql:///db?host={tmp_path}&table=t", "cannot be reached: ")
        self.refused("postgresql://127.0.0.1:9/db?table=t", "cannot be reached: .*refused")
        self.refused("postgresql://no-such-host.invalid/db?table=t", "cannot be reached: ")
        self.refused(postgres.address("?table=t", database="nowhere"), 'cannot be reached: .*"nowhere" does not exist')

    def test_addresses_that_make_no_sense(self) -> None:
        self.refused("postgresql://host:port/db?table=t", "is not one of a database")
        self.refused("postgrsql://host/db?table=t", "unknown kind of database 'postgrsql'; did you mean 'postgresql'")
        self.refused("postgresql:///db?table=t&nosuchoption=1", "cannot be reached: .*nosuchoption")

    def test_a_wrong_password_is_not_shown(self, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGPASSWORD", "wr0ng-passw0rd")
        said = self.refused(postgres.address("?table=kinds"), "cannot be reached: .*authentication failed.*PGPASSWORD")
        assert "wr0ng" not in said
        monkeypatch.delenv("PGPASSWORD")
        self.refused(postgres.address("?table=kinds"), "cannot be reached: .*no password supplied")

    def test_a_password_file_works(self, postgres: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("PGPASSWORD")
        path = tmp_path / "pgpass"
        path.write_text(f"*:*:*:tester:{PASSWORD}\n")
        path.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(path))
        assert read_table(postgres.address(), query="select 1 as a")["a"].tolist() == [1]

    @pytest.mark.parametrize("package", ["sqlalchemy", "psycopg"])
    def test_a_missing_package_is_named(self, package: str) -> None:
        code = f"import sys; sys.modules[{package!r}] = None\nfrom synthkit.cli import run\nsys.exit(run(sys.argv[1:]))"
        words = [sys.executable, "-c", code, "inspect", "postgresql:///db?table=t"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert f"needs the package {package}, which is not installed" in done.stderr
        assert "pip install 'synthkit[sql]'" in done.stderr
        assert done.stderr.count("\n") == 1


class TestNoPassword:
    """Nothing that a run leaves behind, on the terminal or in files, holds a password."""

    def test_wherever_a_run_leaves_something(
        self, postgres: Server, people: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        write_table(people, postgres.address("?table=people"))
        real, made = postgres.address("?table=people"), postgres.address("?table=made")
        quick = ["--time-budget", "5s", "--adversary", "off", "--no-refine", "--seed", "1"]
        assert run(["inspect", real, "-o", "people.yaml"]) == 0
        assert run(["fit", real, "-o", "people.synth", "--log", "fit.log", *quick]) == 0
        assert run(["sample", "people.synth", "-n", "200", "--to", made, "--seed", "1"]) == 0
        assert run(["--debug", "sample", "people.synth", "-n", "200", "--to", made]) == 2
        report = ["--suite", "scores-only", "--report", "r.html", "--report", "r.json", "--quiet"]
        assert run(["evaluate", postgres.address(), made, "--query", "select * from people", *report]) == 0
        assert run(["--debug", "evaluate", real, postgres.address("?table=nothing"), *report]) == 2
        audit = ["--policy", "none", "--report", "audit.md", "--quiet"]
        assert run(["audit", real, made, *audit]) == 0
        assert postgres.sql("select count(*) from made") == [(200,)]
        out, err = capfd.readouterr()
        left = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert {"people.yaml", "people.synth", "fit.log", "r.html", "r.json", "audit.md"} <= set(left)
        assert b"table=made" in left["r.json"]
        for place, content in {"stdout": out.encode(), "stderr": err.encode(), **left}.items():
            assert PASSWORD.encode() not in content, place
            assert PASSWORD.encode("ascii", "backslashreplace") not in content, place

    @pytest.mark.parametrize(
        "words",
        [
            ["inspect", "postgresql://me:{}@host/db?table=t"],
            ["inspect", "postgresql://me@host/db?table=t&password={}"],
            ["inspect", "a.csv", "postgresql://me:{}@host/db?table=t"],
            ["inspect", "a.csv", "--postgresql://me:{}@host/db"],
            ["sample", "m.synth", "-n", "5", "--to", "postgresql://me:{}@host/db?table=t"],
            ["fit", "postgresql://me:{}@host/db?table=t", "-o", "m.synth"],
            ["postgresql://me:{}@host/db?table=t"],
            ["--debug", "inspect", "postgresql://me:{}@host/db?table=t"],
        ],
    )
    def test_not_even_one_that_was_typed(
        self, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert run([word.format("s3cr3t") for word in words]) == 2
        out, err = capfd.readouterr()
        assert "s3cr3t" not in out + err
        assert "***" in err or "Traceback" in err
        assert not os.listdir()
