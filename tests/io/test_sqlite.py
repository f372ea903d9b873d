"""What SQLite alone has: types that hold anything, and files that may not be there."""

from __future__ import annotations

import datetime
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from synthkit.errors import DataError, InputError, OutputError
from synthkit.io import read_table, write_table


def made(path: Path, *statements: str) -> str:
    """An address of a database that others wrote."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return f"sqlite:///{path}?table=t"


@pytest.mark.parametrize(
    ("declared", "cells", "expected"),
    [
        ("integer", ["1", "2"], [1, 2]),
        ("integer", ["1", "null"], [1, pd.NA]),
        ("boolean", ["1", "0"], [True, False]),
        ("boolean", ["1", "null"], [True, pd.NA]),
        ("boolean", ["1", "2"], [1, 2]),
        ("date", ["'2024-02-29'", "null"], [datetime.date(2024, 2, 29), None]),
        ("date", ["'2024-02-30'", "'2024-01-01'"], ["2024-02-30", "2024-01-01"]),
        ("date", ["20240229", "20240301"], [20240229, 20240301]),
        ("datetime", ["'2024-02-29 10:30'", "null"], [pd.Timestamp("2024-02-29 10:30"), pd.NaT]),
        ("timestamp", ["'2024-02-29T10:30:00.5'"], [pd.Timestamp("2024-02-29 10:30:00.5")]),
        ("datetime", ["'yesterday'", "'2024-01-01 00:00'"], ["yesterday", "2024-01-01 00:00"]),
        ("decimal(10, 2)", ["1.5", "2", "null"], [Decimal("1.50"), Decimal("2.00"), None]),
        ("numeric(10,2)", ["0.125"], [0.125]),
        ("numeric(10,0)", ["7"], [7]),
        ("decimal(10, 2)", ["'x'"], ["x"]),
        ("real", ["1", "2.5"], [1.0, 2.5]),
        ("text", ["'01234'", "''"], ["01234", ""]),
        ("", ["1", "2.5"], [1.0, 2.5]),
    ],
)
def test_columns_are_what_was_declared_where_all_cells_are(
    tmp_path: Path, declared: str, cells: list[str], expected: list[Any]
) -> None:
    rows = ", ".join(f"({cell})" for cell in cells)
    address = made(tmp_path / "in.db", f"create table t (a {declared})", f"insert into t values {rows}")
    found = read_table(address)["a"].tolist()
    assert found == expected or list(map(str, found)) == list(map(str, expected))
    assert list(map(type, found)) == list(map(type, expected))


def test_a_column_of_several_kinds_is_text_with_a_word(tmp_path: Path) -> None:
    address = made(tmp_path / "in.db", "create table t (a)", "insert into t values (1), ('x'), (2.5), (null)")
    with pytest.warns(UserWarning, match=r"several kinds in 'a' \(numbers and texts and whole numbers\)"):
        assert read_table(address)["a"].tolist() == ["1", "x", "2.5", None]


def test_bytes_are_refused(tmp_path: Path) -> None:
    address = made(tmp_path / "in.db", "create table t (a)", "insert into t values (x'00ff')")
    with pytest.raises(DataError, match="holds bytes"):
        read_table(address)


def test_views_and_keys(tmp_path: Path) -> None:
    address = made(
        tmp_path / "in.db",
        "create table t (id integer, part text, primary key (part, id))",
        "insert into t values (2, 'a'), (1, 'b'), (1, 'a')",
        "create view v as select id from t where part = 'a'",
    )
    assert read_table(address).to_numpy().tolist() == [[1, "a"], [2, "a"], [1, "b"]]
    assert sorted(read_table(address.replace("table=t", "table=v"))["id"]) == [1, 2]


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for source, message in (
        ("sqlite:///none.db?table=t", r"there is no file 'none\.db'.*has four /"),
        ("sqlite://?table=t", "names no file"),
        ("sqlite:///:memory:?table=t", "names no file"),
        ("sqlite:///.?table=t", "there is no file"),
    ):
        with pytest.raises(InputError, match=message):
            read_table(source)
    Path("text.db").write_text("a,b\n" * 500)
    with pytest.raises(InputError, match=r"cannot be (read|reached): file is not a database"):
        read_table("sqlite:///text.db?table=t")
    with pytest.raises(InputError, match="file is not a database"):
        write_table(pd.DataFrame({"a": [1]}), "sqlite:///text.db?table=t")
    assert [path.name for path in Path().iterdir()] == ["text.db"]


@pytest.mark.parametrize("name", ["with space.db", "ünï#x%41.db", "a'b\"c&d.db"])
def test_odd_names_of_files(tmp_path: Path, name: str) -> None:
    address = f"sqlite:///{str(tmp_path / name).replace('%', '%25')}?table=t"
    write_table(pd.DataFrame({"a": [1]}), address)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read_table(address)["a"].tolist() == [1]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import resource, signal, sys\nimport pandas as pd\nfrom synthkit.errors import OutputError\n"
        "from synthkit.io import write_table\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))\n"
        "try:\n    write_table(pd.DataFrame({'x': range(100_000)}), sys.argv[1])\nexcept OutputError as error:\n"
        "    print(error)\n"
    )
    old = made(tmp_path / "old.db", "create table other (a)")
    for address in (old, f"sqlite:///{tmp_path / 'new.db'}?table=t"):
        done = subprocess.run([sys.executable, "-c", code, address], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "was not written" in done.stdout
        assert done.stdout.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["old.db"]
    with pytest.raises(InputError, match=r"unknown table 't'.*known: 'other'"):
        read_table(old)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"a": [1], "A": [2]}, "duplicate column name"),
        ({"a": [Decimal("1234567890123456.78")]}, "decimals of more than 15 digits"),
        ({"a": pd.Series([2**63], dtype="uint64")}, "too large"),
        ({"": [1]}, "has no name"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, frame: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, OutputError), match=message) as caught:
        write_table(pd.DataFrame(frame), f"sqlite:///{tmp_path / 'out.db'}?table=t")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
