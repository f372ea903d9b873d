"""What holds for every database: tables come back as they were, appear whole or not at all, errors are sentences."""

from __future__ import annotations

import datetime
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthkit.errors import DataError, InputError, OutputError
from synthkit.io import TableWriter, check_target, read_table, write_table
from synthkit.schema import Schema

Place = Callable[..., str]
QUICK = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12).filter(
    lambda name: len(name.encode()) <= 63
)
MOMENTS = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
ODD = [
    "with space",
    'qu"ote',
    "per%cent",
    "Upper",
    "colon:x",
    "semi;colon",
    "ünïcode 名",
    "select",
    "a.b",
    "--",
    "%(c0)s",
    "{x}",
]


def column(values: st.SearchStrategy[Any], dtype: str, n: int) -> st.SearchStrategy[pd.Series[Any]]:
    return st.lists(values, min_size=n, max_size=n).map(lambda found: pd.Series(found, dtype=dtype))


def gappy(values: st.SearchStrategy[Any], dtype: str, n: int) -> st.SearchStrategy[pd.Series[Any]]:
    """A column with at least one missing cell and one that is not."""
    return st.tuples(values, st.lists(st.none() | values, min_size=n - 2, max_size=n - 2)).map(
        lambda found: pd.Series([found[0], *found[1], None], dtype=dtype)
    )


def frames() -> st.SearchStrategy[pd.DataFrame]:
    """Tables of every kind that a database keeps, with the dtypes that `read_table` gives."""

    def build(n: int) -> st.SearchStrategy[pd.DataFrame]:
        whole = st.integers(-(2**63), 2**63 - 1)
        kinds = st.one_of(
            column(whole, "int64", n),
            gappy(whole, "Int64", n),
            column(st.floats(allow_nan=False), "float64", n),
            gappy(st.floats(allow_nan=False), "float64", n),
            column(st.booleans(), "bool", n),
            gappy(st.booleans(), "boolean", n),
            gappy(TEXT, "object", n),
            gappy(st.dates(datetime.date(1700, 1, 1)), "object", n),
            gappy(st.decimals(-1000, 1000, places=2), "object", n),
            gappy(MOMENTS, "datetime64[us]", n),
        )
        columns = st.dictionaries(NAMES, kinds, min_size=1, max_size=4)
        return columns.filter(lambda found: len({name.casefold() for name in found}) == len(found)).map(pd.DataFrame)

    return st.integers(2, 5).flatmap(build)


@given(frame=frames(), table=NAMES)
@QUICK
def test_what_goes_in_comes_out(place: Place, frame: pd.DataFrame, table: str) -> None:
    address = place(table, if_exists="replace")
    write_table(frame, address)
    found = read_table(address)
    pd.testing.assert_frame_equal(found, frame, check_exact=True)
    assert read_table(address, columns=list(frame.columns[:1])).columns.tolist() == list(frame.columns[:1])


@pytest.mark.parametrize("name", ODD)
def test_odd_names(place: Place, name: str) -> None:
    frame = pd.DataFrame({name: [1, 2], f"{name} too": ["x", "100%"]})
    write_table(frame, place(name))
    pd.testing.assert_frame_equal(read_table(place(name)), frame)
    with pytest.raises(OutputError, match="exists already"):
        write_table(frame, place(name))
    quoted = '"' + name.replace('"', '""') + '"'
    if not place(name).startswith("sqlite"):
        quoted = place(name).split("table=")[1].split(".")[0] + "." + quoted
    query = (
        f"select {quoted.split('.', 1)[-1] if '.' not in name else '*'} from {quoted} where 1 % 2 = 1 and ':a' <> '%s'"
    )
    assert read_table(place(), query=query)[name].tolist() == [1, 2]


def test_rows_come_in_the_order_of_the_key_or_as_they_went_in(place: Place) -> None:
    frame = pd.DataFrame({"id": [3, 1, 2], "x": ["c", "a", "b"]})
    write_table(frame, place("plain"))
    assert read_table(place("plain"))["id"].tolist() == [3, 1, 2]
    assert read_table(place(), query=f"select * from {sql_name(place, 'plain')} order by x desc")["id"].tolist() == [
        3,
        2,
        1,
    ]


def sql_name(place: Place, table: str) -> str:
    """How a table is called in SQL."""
    from synthkit.io import Address

    found = Address.parse(place(table))
    return f'"{found.schema}"."{table}"' if found.schema else f'"{table}"'


def test_kinds_that_databases_lack_become_text_or_numbers(place: Place) -> None:
    frame = pd.DataFrame(
        {
            "label": pd.Categorical(["b", None], categories=["a", "b"]),
            "code": pd.Categorical([2, 1], categories=[1, 2]),
            "small": pd.Series([1, 2], dtype="uint8"),
            "time": [datetime.time(9, 30), None],
            "gone": [None, None],
            "float32": pd.Series([1.5, None], dtype="float32"),
            "string": pd.Series(["a", None], dtype="string"),
        }
    )
    write_table(frame, place("t"))
    found = read_table(place("t"))
    assert found["label"].tolist() == ["b", None]
    assert found["code"].tolist() == [2, 1]
    assert found["small"].tolist() == [1, 2]
    assert found["time"].tolist() == ["09:30:00", None]
    assert found["gone"].isna().all()
    assert found["float32"].tolist()[0] == 1.5
    assert math.isnan(found["float32"][1])
    assert found["string"].tolist() == ["a", None]


def test_an_instant_keeps_its_zone_or_stays_readable(place: Place) -> None:
    at = pd.Series(pd.to_datetime(["2024-05-01 12:00:00.25+02:00", None]).tz_convert("Europe/Zurich"))
    write_table(pd.DataFrame({"at": at, "n": [1, 2]}), place("t"))
    found = read_table(place("t"))["at"]
    if place("t").startswith("sqlite"):
        assert found.tolist() == ["2024-05-01 12:00:00.250000+02:00", None]
    else:
        assert str(found.dtype) == "datetime64[us, UTC]"
        assert found[0] == pd.Timestamp("2024-05-01 10:00:00.25", tz="UTC")
        assert pd.isna(found[1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "x"], "cannot hold these values"),
        ([b"x"], "which .* has no type for"),
        ([[1]], "which .* has no type for"),
        (["\ud800"], "not valid Unicode"),
        (pd.to_datetime(["2024-01-01 00:00:00.000000001"]), "holds nanoseconds"),
    ],
)
def test_values_without_a_type_are_refused(place: Place, values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        write_table(pd.DataFrame({"a": values}), place("t"))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"unknown table .t.|there is no file"):
        read_table(place("t"))


class TestExisting:
    @pytest.fixture(autouse=True)
    def table(self, place: Place) -> None:
        write_table(pd.DataFrame({"id": [1], "name": ["old"], "weight": [0.5]}), place("t"))

    def test_is_refused(self, place: Place) -> None:
        for refuse in (lambda: check_target(place("t")), lambda: write_table(pd.DataFrame({"id": [2]}), place("t"))):
            with pytest.raises(OutputError, match=r"exists already.*if_exists=append or &if_exists=replace"):
                refuse()
        assert read_table(place("t"))["id"].tolist() == [1]

    def test_is_appended_to(self, place: Place) -> None:
        target = place("t", if_exists="append")
        check_target(target)
        write_table(pd.DataFrame({"name": ["new", None], "id": [2, 3]}), target)
        found = read_table(place("t"))
        assert found["id"].tolist() == [1, 2, 3]
        assert found["name"].tolist() == ["old", "new", None]
        assert found["weight"].isna().tolist() == [False, True, True]
        with pytest.raises(DataError, match="unknown column 'nam'; did you mean 'name'"):
            write_table(pd.DataFrame({"nam": ["x"]}), target)
        assert len(read_table(place("t"))) == 3

    def test_is_replaced(self, place: Place) -> None:
        target = place("t", if_exists="replace")
        check_target(target)
        assert read_table(place("t"))["id"].tolist() == [1], "looking changes nothing"
        write_table(pd.DataFrame({"other": ["x", "y"]}), target)
        assert read_table(place("t")).to_dict("list") == {"other": ["x", "y"]}

    @pytest.mark.parametrize("if_exists", ["append", "replace"])
    def test_stays_when_writing_fails(self, place: Place, if_exists: str) -> None:
        def write() -> None:
            with TableWriter(place("t", if_exists=if_exists)) as writer:
                writer.write(pd.DataFrame({"id": [2]}))
                writer.write(pd.DataFrame({"id": ["x"]}))

        with pytest.raises(DataError):
            write()
        assert read_table(place("t"))["id"].tolist() == [1]

    def test_a_new_name_is_made_when_there_is_nothing_to_append_to_or_replace(self, place: Place) -> None:
        for if_exists in ("append", "replace"):
            write_table(pd.DataFrame({"a": [1]}), place(f"new {if_exists}", if_exists=if_exists))
            assert read_table(place(f"new {if_exists}"))["a"].tolist() == [1]

    def test_nothing_but_the_table_is_left(self, place: Place) -> None:
        write_table(pd.DataFrame({"a": [1]}), place("t", if_exists="replace"))
        with pytest.raises(InputError, match=r"known: 't'\."):
            read_table(place("none"))


class TestPieces:
    def test_make_the_whole(self, place: Place, people: pd.DataFrame) -> None:
        schema = Schema.infer(people)
        with TableWriter(place("pieces"), schema) as writer:
            for start in range(0, len(people), 70):
                writer.write(people.iloc[start : start + 70])
        write_table(people, place("whole"))
        whole = read_table(place("whole"))
        pd.testing.assert_frame_equal(read_table(place("pieces")), whole)
        assert whole["age"].tolist() == people["age"].tolist()
        assert whole["joined"].tolist() == people["joined"].tolist()
        assert whole["hours"].tolist() == people["hours"].tolist()

    def test_a_piece_without_values_does_not_settle_the_type(self, place: Place) -> None:
        frame = pd.DataFrame(
            {
                "word": [None, None, "a", "b"],
                "day": [None, None, datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
                "flag": pd.Series([None, None, True, False], dtype="object"),
                "price": [None, None, Decimal("1.50"), Decimal("2.25")],
            }
        )
        with TableWriter(place("t"), Schema.infer(frame)) as writer:
            writer.write(frame.iloc[:2])
            writer.write(frame.iloc[2:])
        found = read_table(place("t"))
        for name in ("word", "day", "price"):
            assert found[name].tolist() == frame[name].tolist()
        assert found["flag"].tolist() == [pd.NA, pd.NA, True, False]

    def test_no_piece_gives_a_table_without_rows(self, place: Place, people: pd.DataFrame) -> None:
        with TableWriter(place("t"), Schema.infer(people)):
            pass
        with pytest.raises(DataError, match="has 7 columns but no rows"):
            read_table(place("t"))

    def test_many_chunks(self, place: Place) -> None:
        rng = np.random.default_rng(0)
        n = 45_000
        frame = pd.DataFrame({"n": np.arange(n), "x": rng.normal(size=n), "w": rng.choice(["a", "b"], n)})
        frame["late"] = pd.Series([None] * (n - 1) + [7], dtype="Int64")
        write_table(frame, place("t"))
        pd.testing.assert_frame_equal(read_table(place("t")), frame, check_exact=True)


KILLED = """
import sys, time
import pandas as pd
from synthkit.io import TableWriter
with TableWriter(sys.argv[1]) as writer:
    for piece in range(1000):
        writer.write(pd.DataFrame({"id": range(100_000)}))
        if piece == 3:
            print("writing", flush=True)
            time.sleep(60)
"""


@pytest.mark.parametrize(
    ("stop", "if_exists"),
    [(signal.SIGKILL, "fail"), (signal.SIGKILL, "replace"), (signal.SIGKILL, "append"), (signal.SIGINT, "replace")],
)
def test_a_writer_that_is_stopped_leaves_nothing(place: Place, tmp_path: Path, stop: int, if_exists: str) -> None:
    if if_exists != "fail":
        write_table(pd.DataFrame({"id": [7]}), place("t"))
    write_table(pd.DataFrame({"id": [8]}), place("other"))
    before = sorted(path.name for path in tmp_path.iterdir())
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, place("t", if_exists=if_exists)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        os.kill(process.pid, stop)
        process.wait()
    until_gone(lambda: names_left(place) == "'other'" if if_exists == "fail" else ids(place) == [7])
    assert ids(place, "other") == [8]
    # the note by which SQLite takes back what was written stays until somebody writes again
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith("-journal")) == before


def until_gone(holds: Callable[[], bool]) -> None:
    """A server needs a moment to notice that its client is gone."""
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("something was left")


def ids(place: Place, table: str = "t") -> list[int]:
    return [int(one) for one in read_table(place(table))["id"]]


def names_left(place: Place) -> str:
    """The tables of a database, as the message about an unknown one lists them."""
    with pytest.raises(InputError) as caught:
        read_table(place("zzzzzz"))
    return str(caught.value).partition("known: ")[2].partition(". Check")[0]


class TestBadInput:
    @pytest.fixture(autouse=True)
    def table(self, place: Place) -> None:
        write_table(pd.DataFrame({"id": [1], "name": ["x"]}), place("people"))

    def refused(self, message: str, source: str, **options: Any) -> None:
        with pytest.raises(InputError, match=message) as caught:
            read_table(source, **options)
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)

    def test_names(self, place: Place) -> None:
        self.refused("unknown table 'poeple'; did you mean 'people'", place("poeple"))
        if not place().startswith("sqlite"):  # where case does not matter
            self.refused("unknown table 'People'; did you mean 'people'", place("People"))
        self.refused("unknown column 'nam'; did you mean 'name'", place("people"), columns=["nam"])
        self.refused("names no table", place())

    def test_queries(self, place: Place) -> None:
        people = sql_name(place, "people")
        self.refused("cannot be read: .*syntax error", place(), query="selec 1")
        self.refused("cannot be read", place(), query="select nothing_like_it from " + people)
        self.refused("column name 'id' appears 2 times", place(), query=f"select id, id from {people}")
        self.refused("has 2 columns but no rows", place(), query=f"select * from {people} where id > 5")
        self.refused("is a database: options of files", place("people"), delimiter=";")
        self.refused("is no database", "x.csv", query="select 1")

    def test_a_query_cannot_write(self, place: Place) -> None:
        people = sql_name(place, "people")
        for query in (
            f"delete from {people}",
            f"drop table {people}",
            f"insert into {people} values (2, 'y') returning id",
        ):
            self.refused("cannot be read|gives no rows", place(), query=query)
        self.refused("cannot be read|gives no rows", place(), query=f"select 1; drop table {people}")
        assert read_table(place("people"))["id"].tolist() == [1]

    def test_what_a_database_cannot_name(self, place: Place) -> None:
        with pytest.raises(InputError):
            write_table(pd.DataFrame({"": [1]}), place("t"))
        with pytest.raises(InputError, match="appears 2 times"):
            write_table(pd.DataFrame([[1, 2]], columns=["a", "a"]), place("t"))
        assert names_left(place) == "'people'"


MEMORY = """
import sys
from pathlib import Path
from synthkit.io import read_table
def peak():
    status = Path("/proc/self/status").read_text()  # getrusage counts what the parent had too
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
read_table(sys.argv[1], columns=["id"])
before = peak()
frame = read_table(sys.argv[1])
print(len(frame), frame.memory_usage(deep=False).sum() / 2**20, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of a process")
def test_reading_takes_memory_for_two_tables_at_most_and_a_chunk(place: Place) -> None:
    n = 100_000
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(n)})
    for number in range(6):
        frame[f"n{number}"] = rng.integers(10**6, 10**9, n)
        frame[f"x{number}"] = rng.normal(size=n)
    write_table(frame, place("t"))
    done = subprocess.run([sys.executable, "-c", MEMORY, place("t")], capture_output=True, text=True, check=True)
    rows, size, more = map(float, done.stdout.split())
    assert rows == n
    # packed chunks, the columns made of them, and one chunk of Python objects, of which all together would take 60 MB
    assert more < 2.5 * size + 20, f"{more:.0f} MB for a table of {size:.0f} MB"
