"""What goes into a file comes out of it."""

from __future__ import annotations

import datetime
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthkit.errors import DataError
from synthkit.io import TableWriter, read_table, write_table
from synthkit.io.formats import COMPRESSIONS
from synthkit.schema import Schema

BINARY = [".parquet", ".feather", ".arrow"]
TEXT = [".csv", ".tsv", *(f".csv{suffix}" for suffix in COMPRESSIONS), ".tsv.gz"]
PRINTABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10)
# In text, some words mean "missing", numbers are numbers, and blanks at the front are dropped.
WORDS = st.from_regex(r"[b-mo-z#',;\"\t|][b-mo-z,;'\" \t\n\r|é]{0,8}[b-mo-z]x", fullmatch=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(st.sampled_from("abcxyzABC ._-'\",é0123456789"), min_size=1, max_size=8).filter(
    lambda name: name == name.strip() and name.strip("'\",")
)
MOMENTS = st.datetimes(datetime.datetime(1800, 1, 1), datetime.datetime(2200, 1, 1))


def column(values: st.SearchStrategy[Any], dtype: Any, n: int, gaps: bool = True) -> st.SearchStrategy[pd.Series[Any]]:
    cells = st.none() | values if gaps else values
    return st.lists(cells, min_size=n, max_size=n).map(lambda found: pd.Series(found, dtype=dtype))


def categories(values: st.SearchStrategy[Any], n: int) -> st.SearchStrategy[pd.Series[Any]]:
    return st.tuples(st.lists(values, min_size=1, max_size=4, unique=True), st.booleans()).flatmap(
        lambda found: column(st.sampled_from(found[0]), pd.CategoricalDtype(found[0], ordered=found[1]), n)
    )


def kinds_of_columns(n: int) -> list[st.SearchStrategy[pd.Series[Any]]]:
    """Columns of n cells of every dtype that the binary formats keep."""
    return [
        column(st.integers(-(2**63), 2**63 - 1), "int64", n, gaps=False),
        column(st.integers(0, 255), "uint8", n, gaps=False),
        column(st.integers(-(2**53), 2**53), "Int64", n),
        column(FINITE, "float64", n),
        column(st.floats(width=32, allow_nan=False, allow_infinity=False), "float32", n),
        column(st.booleans(), "bool", n, gaps=False),
        column(st.booleans(), "boolean", n),
        column(PRINTABLE, "object", n),
        column(PRINTABLE, "string", n),
        column(MOMENTS, "datetime64[ns]", n),
        column(MOMENTS, "datetime64[us]", n),
        column(MOMENTS, "datetime64[ns]", n).map(
            lambda series: series.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
        ),
        column(st.dates(datetime.date(1800, 1, 1)), "object", n),
        column(st.decimals(-1000, 1000, places=2), "object", n),
        categories(PRINTABLE, n),
        categories(st.integers(-1000, 1000), n),
        categories(FINITE, n),
    ]


def frames(kinds: Any) -> st.SearchStrategy[pd.DataFrame]:
    def build(n: int) -> st.SearchStrategy[pd.DataFrame]:
        return st.dictionaries(NAMES, st.one_of(*kinds(n)), min_size=1, max_size=4).map(pd.DataFrame)

    return st.integers(1, 8).flatmap(build)


def text_columns(n: int) -> list[st.SearchStrategy[pd.Series[Any]]]:
    """Columns that text can keep: what pandas would read again the same way."""
    return [
        # The smallest of all is what pandas keeps for missing cells while it reads.
        column(st.integers(1 - 2**63, 2**63 - 1), "int64", n, gaps=False),
        column(FINITE.map(lambda value: value + 0.0), "float64", n, gaps=False),
        column(st.booleans(), "bool", n, gaps=False),
        column(WORDS, "object", n),
    ]


def assert_same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    """Equal in everything but the kind of missing cell in object columns."""
    assert list(left.columns) == list(right.columns)
    pd.testing.assert_frame_equal(left.map(none_for_missing), right.map(none_for_missing), check_dtype=False)
    for name in left:
        if left[name].notna().any():
            assert left[name].dtype == right[name].dtype, name


def write_pieces(path: Path, *frames: pd.DataFrame) -> None:
    with TableWriter(path) as writer:
        for frame in frames:
            writer.write(frame)


def none_for_missing(cell: Any) -> Any:
    return None if cell is None or cell is pd.NA or cell is pd.NaT or cell != cell else cell


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.mark.parametrize("suffix", BINARY)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(frame=frames(kinds_of_columns))
def test_binary_formats_keep_everything(folder: Path, suffix: str, frame: pd.DataFrame) -> None:
    path = folder / f"table{suffix}"
    write_table(frame, path)
    assert_same(read_table(path), frame)


@pytest.mark.parametrize("suffix", TEXT)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(frame=frames(text_columns))
def test_text_keeps_what_it_can(folder: Path, suffix: str, frame: pd.DataFrame) -> None:
    path = folder / f"table{suffix}"
    write_table(frame, path)
    found = read_table(path)
    assert_same(found, frame)
    again = folder / f"again{suffix}"
    write_table(found, again)
    assert again.read_bytes() == path.read_bytes()


CSV = """id,count,price,member,spelled,zip,word,date,gap
1,3,2.5,True,true,01234,"a, b",2020-01-01,
2,,0.1,False,false,00310,c,2020-01-02,
3,7,100.0,True,true,99999,,,
"""


class TestText:
    def test_comes_out_as_it_went_in(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.csv", tmp_path / "out.csv"
        source.write_text(CSV)
        frame = read_table(source)
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
            "id": "int64",
            "count": "Int64",
            "price": "float64",
            "member": "bool",
            "spelled": "object",
            "zip": "object",
            "word": "object",
            "date": "object",
            "gap": "float64",
        }
        write_table(frame, target)
        assert target.read_text() == CSV

    def test_is_read_as_pandas_reads_it_otherwise(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text(CSV)
        ours, theirs = read_table(path), pd.read_csv(path, dtype={"spelled": str, "zip": str, "count": "Int64"})
        pd.testing.assert_frame_equal(ours, theirs)

    @pytest.mark.parametrize(
        ("text", "cells"),
        [
            ("a,b\n1, x\n2,  y\n", [[1, "x"], [2, "y"]]),
            ('a,b\n1, "x, y"\n2, z\n', [[1, "x, y"], [2, "z"]]),
            ("\ufeffa,b\n1,x\n2,y\n", [[1, "x"], [2, "y"]]),
            ("a,b\r\n1,x\r\n2,y\r\n", [[1, "x"], [2, "y"]]),
            ("\n\na,b\n1,x\n\n2,y\n", [[1, "x"], [2, "y"]]),
            ('a,b\n1,"x\ny"\n2,z', [[1, "x\ny"], [2, "z"]]),
            ('"a","b"\n"1","x"\n"2","y"\n', [[1, "x"], [2, "y"]]),
            ('a,b\n1,"x ""y"""\n2,z\n', [[1, 'x "y"'], [2, "z"]]),
        ],
        ids=[
            "blanks",
            "quotes behind blanks",
            "byte order mark",
            "CRLF",
            "blank lines",
            "line feeds",
            "quoted",
            "quotes",
        ],
    )
    def test_dialects(self, tmp_path: Path, text: str, cells: list[list[Any]]) -> None:
        path = tmp_path / "in.csv"
        path.write_text(text, encoding="utf-8", newline="")
        frame = read_table(path)
        assert frame.columns.tolist() == ["a", "b"]
        assert frame.to_numpy().tolist() == cells

    def test_columns_without_a_name_are_called_as_pandas_calls_them(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text(",a\n0,5\n1,6\n")
        assert read_table(path).columns.tolist() == ["Unnamed: 0", "a"]

    def test_one_column_with_gaps_keeps_its_rows(self, tmp_path: Path) -> None:
        path = tmp_path / "out.csv"
        frame = pd.DataFrame({"a": ["x", None, "y"]})
        write_table(frame, path)
        assert_same(read_table(path), frame)

    def test_compressed_files_hold_no_time(self, people: pd.DataFrame, tmp_path: Path) -> None:
        for name in ("one.csv.gz", "two.csv.gz"):
            write_table(people, tmp_path / name)
        assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
        assert gzip.decompress((tmp_path / "one.csv.gz").read_bytes()).startswith(b"age,hours,")


class TestColumns:
    @pytest.mark.parametrize("suffix", [".csv", *BINARY])
    def test_are_picked_in_the_order_asked_for(self, people: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"people{suffix}"
        write_table(people, path)
        assert read_table(path, columns=["town", "age"]).columns.tolist() == ["town", "age"]

    @pytest.mark.parametrize("suffix", [".csv", *BINARY])
    def test_unknown_ones_are_refused(self, people: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"people{suffix}"
        write_table(people, path)
        with pytest.raises(DataError, match="did you mean 'town'"):
            read_table(path, columns=["twn"])


class TestIndex:
    @pytest.mark.parametrize("suffix", [".parquet", ".feather"])
    def test_a_named_one_is_a_column(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"in{suffix}"
        table = pa.Table.from_pandas(pd.DataFrame({"key": [7, 9], "a": [1, 2]}).set_index("key"))
        pq.write_table(table, path) if suffix == ".parquet" else pyarrow.feather.write_feather(table, str(path))
        assert read_table(path).to_dict("list") == {"key": [7, 9], "a": [1, 2]}

    def test_any_other_is_dropped(self, tmp_path: Path) -> None:
        pd.DataFrame({"a": [1, 2, 3]}).iloc[[2, 0]].to_parquet(tmp_path / "in.parquet")
        frame = read_table(tmp_path / "in.parquet")
        assert frame.to_dict("list") == {"a": [3, 1]}
        assert frame.index.equals(pd.RangeIndex(2))


class TestOtherWriters:
    def test_arrow_streams_are_read(self, tmp_path: Path) -> None:
        table = pa.table({"a": [1, 2]})
        with pa.OSFile(str(tmp_path / "in.arrow"), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        assert read_table(tmp_path / "in.arrow")["a"].tolist() == [1, 2]

    def test_pandas_files_are_read(self, people: pd.DataFrame, tmp_path: Path) -> None:
        people.to_parquet(tmp_path / "in.parquet")
        people.to_feather(tmp_path / "in.feather")
        assert_same(read_table(tmp_path / "in.parquet"), people)
        assert_same(read_table(tmp_path / "in.feather"), people)

    def test_foreign_notes_under_our_name_are_ignored(self, tmp_path: Path) -> None:
        table = pa.table({"a": [1, 2]}).replace_schema_metadata({"synthkit": "[1, 2"})
        pq.write_table(table, tmp_path / "in.parquet")
        assert read_table(tmp_path / "in.parquet")["a"].tolist() == [1, 2]


class TestWriter:
    @pytest.mark.parametrize("suffix", [".csv", ".csv.gz", *BINARY])
    def test_pieces_make_the_whole(self, people: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
        whole, pieces = tmp_path / f"whole{suffix}", tmp_path / f"pieces{suffix}"
        schema = Schema.infer(people)
        with TableWriter(whole, schema) as writer:
            writer.write(people)
        with TableWriter(pieces, schema) as writer:
            for start in range(0, len(people), 70):
                writer.write(people.iloc[start : start + 70])
        assert writer.n_rows == len(people)
        assert_same(read_table(pieces), read_table(whole))
        if suffix.startswith(".csv"):
            assert pieces.read_bytes() == whole.read_bytes()

    @pytest.mark.parametrize("suffix", [".csv", *BINARY])
    def test_record_batches_are_written_like_frames(self, people: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
        path, other = tmp_path / f"batches{suffix}", tmp_path / f"frame{suffix}"
        table = pa.Table.from_pandas(people, preserve_index=False)
        with TableWriter(path, Schema.infer(people)) as writer:
            for batch in table.to_batches(max_chunksize=100):
                writer.write(batch)
        with TableWriter(other, Schema.infer(people)) as writer:
            writer.write(people)
        assert_same(read_table(path), read_table(other))

    @pytest.mark.parametrize("suffix", BINARY)
    def test_a_piece_without_values_does_not_settle_the_type(self, tmp_path: Path, suffix: str) -> None:
        frame = pd.DataFrame(
            {
                "word": [None, None, "a", "b"],
                "day": [None, None, datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
                "flag": pd.Series([None, None, True, False], dtype="object"),
                "gone": pd.Series([None] * 4, dtype="object"),
            }
        )
        path = tmp_path / f"out{suffix}"
        with TableWriter(path, Schema.infer(frame)) as writer:
            writer.write(frame.iloc[:2])
            writer.write(frame.iloc[2:])
        assert_same(read_table(path), frame)

    def test_dates_look_alike_in_every_piece(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"at": pd.to_datetime(["2020-01-01 00:00", "2020-01-02 00:00", "2020-01-02 05:30"])})
        with TableWriter(tmp_path / "out.csv", Schema.infer(frame)) as writer:
            writer.write(frame.iloc[:1])
            writer.write(frame.iloc[1:])
        lines = (tmp_path / "out.csv").read_text().splitlines()
        assert lines == ["at", "2020-01-01 00:00:00", "2020-01-02 00:00:00", "2020-01-02 05:30:00"]

    @pytest.mark.parametrize("suffix", [".csv", *BINARY])
    def test_no_piece_gives_a_table_without_rows(self, people: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"out{suffix}"
        with TableWriter(path, Schema.infer(people)):
            pass
        with pytest.raises(DataError, match="7 columns but no rows"):
            read_table(path)

    def test_other_columns_are_refused_and_nothing_is_left(self, people: pd.DataFrame, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"extra \['agee'\], missing \['age'\]"):
            write_pieces(tmp_path / "out.csv", people, people.rename(columns={"age": "agee"}))
        with pytest.raises(DataError, match="the same ones in another order"):
            write_pieces(tmp_path / "out.csv", people, people[people.columns[::-1]])
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("suffix", [".csv", ".csv.xz", *BINARY])
    def test_an_error_in_the_block_leaves_nothing(self, people: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
        with pytest.raises(DataError, match="missing"):
            write_pieces(tmp_path / f"out{suffix}", people, people[["age"]])
        assert not list(tmp_path.iterdir())

    def test_is_used_in_a_with_block(self, people: pd.DataFrame, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="'with' block"):
            TableWriter(tmp_path / "out.csv").write(people)

    @pytest.mark.parametrize("suffix", BINARY)
    def test_mixed_values_are_refused_by_formats_with_types(self, tmp_path: Path, suffix: str) -> None:
        with pytest.raises(DataError, match="cannot hold these values"):
            write_table(pd.DataFrame({"a": [1, "x"]}), tmp_path / f"out{suffix}")
        assert not list(tmp_path.iterdir())


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0, 1, 2000) * 10.0 ** np.arange(-20, 20).repeat(50)
    write_table(pd.DataFrame({"x": values}), tmp_path / "x.csv")
    assert (read_table(tmp_path / "x.csv")["x"].to_numpy() == values).all()
