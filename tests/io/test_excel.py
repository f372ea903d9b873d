"""Workbooks are read, one sheet at a time."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from synthkit.errors import DataError, InputError
from synthkit.io import read_table, write_table

WITHOUT = """
import sys
sys.modules["openpyxl"] = None
from synthkit.cli import run
sys.exit(run(["inspect", sys.argv[1]]))
"""


def book(path: Path, **sheets: list[list[Any]]) -> Path:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def test_kinds_of_cells(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 5, 1)
    rows = [
        ["whole", "part", "gap", "flag", "text", "day", "time", 2024, None],
        [1, 1.5, 7, True, "x", day, datetime.time(9, 30), "a", None],
        [2, 2, None, False, " y", day + datetime.timedelta(days=1, hours=3), None, None, None],
        [3, None, 9, True, "01234", None, datetime.time(10), "#N/A", None],
    ]
    frame = read_table(book(tmp_path / "in.xlsx", Data=rows))
    assert {str(name): str(dtype) for name, dtype in frame.dtypes.items()} == {
        "whole": "int64",
        "part": "float64",
        "gap": "Int64",
        "flag": "bool",
        "text": "object",
        "day": "datetime64[us]",
        "time": "object",
        "2024": "object",
    }
    assert frame["text"].tolist() == ["x", " y", "01234"]
    assert frame["time"].tolist() == ["09:30:00", None, "10:00:00"]
    assert frame["2024"].tolist() == ["a", None, None]
    assert frame["day"].tolist() == [pd.Timestamp(day), pd.Timestamp("2024-05-02 03:00"), pd.NaT]


def test_empty_rows_and_columns_around_a_table_do_not_count(tmp_path: Path) -> None:
    rows = [[None], ["a", None, "b"], [None, None, None], [1, None, "x"], [2, 5, "y"], [None]]
    frame = read_table(book(tmp_path / "in.xlsx", Data=rows))
    assert frame.columns.tolist() == ["a", "Unnamed: 1", "b"]
    assert frame["a"].tolist() == [1, 2]
    assert read_table(tmp_path / "in.xlsx", columns=["b"])["b"].tolist() == ["x", "y"]


def test_sheets(tmp_path: Path) -> None:
    path = book(tmp_path / "in.xlsx", First=[["a"], [1]], Second=[["b"], [2]], **{"1": [["c"], [3]]})
    with pytest.warns(UserWarning, match=r"3 sheets: the first, 'First', was read and not 'Second', '1'.*sheet=Second"):
        assert read_table(path).columns.tolist() == ["a"]
    assert read_table(f"{path}?sheet=Second").columns.tolist() == ["b"]
    assert read_table(path, sheet="2").columns.tolist() == ["b"]
    assert read_table(path, sheet="1").columns.tolist() == ["c"], "a name counts before a position"
    for name, message in (("Secnd", "unknown sheet 'Secnd'; did you mean 'Second'"), ("4", "unknown sheet '4'")):
        with pytest.raises(InputError, match=message):
            read_table(path, sheet=name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"a,b\n1,2\n"), "is not a complete Excel workbook"),
        (lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0" + b"\0" * 500), "old Excel workbook or has a password"),
        (lambda path: path.write_bytes(book(path, S=[["a"], [1]]).read_bytes()[:-200]), "is not a complete Excel"),
        (lambda path: book(path, S=[]), "the sheet 'S' of .* is empty"),
        (lambda path: book(path, S=[["a", "b"]]), "has 2 columns but no rows"),
        (lambda path: book(path, S=[["a", "a"], [1, 2]]), "column name 'a' appears 2 times"),
    ],
)
def test_bad_books(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "in.xlsx")
    with pytest.raises(DataError, match=message) as caught:
        read_table(tmp_path / "in.xlsx")
    assert "\n" not in str(caught.value)


def test_a_zip_that_is_no_book(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "in.xlsx", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(DataError, match="is not a complete Excel workbook"):
        read_table(tmp_path / "in.xlsx")


def test_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a \.xlsx file, which can only be read"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "out.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    path = book(tmp_path / "in.xlsx", S=[["a"], [1]])
    done = subprocess.run([sys.executable, "-c", WITHOUT, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        "needs the package openpyxl, which is not installed. Install it with pip install 'synthkit[excel]'"
        in done.stderr
    )
    assert done.stderr.count("\n") == 1
