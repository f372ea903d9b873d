"""JSON lines: what goes in comes out, and every bad line is named."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthkit.errors import DataError
from synthkit.io import TableWriter, read_table, write_table
from synthkit.schema import Schema

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


def column(values: st.SearchStrategy[Any], dtype: str, n: int, *, gaps: bool) -> st.SearchStrategy[pd.Series]:
    cells = st.none() | values if gaps else values
    known = st.lists(cells, min_size=n, max_size=n).filter(lambda found: any(cell is not None for cell in found))
    return known.map(lambda found: pd.Series(found, dtype=dtype))


def frames() -> st.SearchStrategy[pd.DataFrame]:
    def build(n: int) -> st.SearchStrategy[pd.DataFrame]:
        kinds = st.one_of(
            column(st.integers(-(2**63), 2**63 - 1), "int64", n, gaps=False),
            column(st.integers(-(2**63), 2**63 - 1), "Int64", n, gaps=True).filter(lambda s: bool(s.isna().any())),
            column(st.integers(2**63, 2**64 - 1), "uint64", n, gaps=False),
            column(st.floats(allow_nan=False, allow_infinity=False), "float64", n, gaps=True),
            column(st.booleans(), "bool", n, gaps=False),
            column(st.booleans(), "boolean", n, gaps=True).filter(lambda s: bool(s.isna().any())),
            column(TEXT, "object", n, gaps=True),
        )
        return st.dictionaries(NAMES, kinds, min_size=1, max_size=4).map(pd.DataFrame)

    return st.integers(1, 6).flatmap(build)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines")


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson.gz", ".jsonl.zst"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(frame=frames())
def test_what_goes_in_comes_out(folder: Path, suffix: str, frame: pd.DataFrame) -> None:
    path = folder / f"table{suffix}"
    write_table(frame, path)
    found = read_table(path)
    # names are texts, and missing texts are None
    pd.testing.assert_frame_equal(found, frame, check_exact=True)
    again = folder / f"again{suffix}"
    write_table(found, again)
    assert again.read_bytes() == path.read_bytes()


def test_every_line_is_json_that_others_read(people: pd.DataFrame, tmp_path: Path) -> None:
    write_table(people, tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == len(people)
    assert list(rows[0]) == people.columns.tolist()
    assert [row["age"] for row in rows] == people["age"].tolist()
    assert [row["joined"] for row in rows] == people["joined"].dt.strftime("%Y-%m-%d").tolist()
    assert [row["town"] for row in rows] == [None if pd.isna(town) else town for town in people["town"]]


def test_kinds_that_json_lacks_are_text_or_exact_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "day": [datetime.date(2020, 1, 2), None],
            "at": pd.to_datetime(["2020-01-02 03:04:05", None]),
            "zoned": pd.to_datetime(["2020-01-02 03:04:05+00:00", None]),
            "price": [Decimal("1.10"), None],
            "label": pd.Categorical(["b", None], categories=["a", "b"]),
            "code": pd.Categorical([2, None], categories=[1, 2]),
        }
    )
    write_table(frame, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == (
        '{"day":"2020-01-02","at":"2020-01-02 03:04:05","zoned":"2020-01-02 03:04:05+00:00","price":1.10,"label":"b",'
        '"code":2}\n{"day":null,"at":null,"zoned":null,"price":null,"label":null,"code":null}\n'
    )


def test_pieces_make_the_whole(people: pd.DataFrame, tmp_path: Path) -> None:
    schema = Schema.infer(people)
    whole, pieces = tmp_path / "whole.jsonl", tmp_path / "pieces.jsonl"
    with TableWriter(whole, schema) as writer:
        writer.write(people)
    with TableWriter(pieces, schema) as writer:
        for start in range(0, len(people), 70):
            writer.write(people.iloc[start : start + 70])
    assert whole.read_bytes() == pieces.read_bytes()


def test_columns_come_in_the_order_in_which_they_appear(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"a": 1}\n\n{"b": "x", "a": null}\n{"c": true}\n')
    frame = read_table(path)
    assert frame.columns.tolist() == ["a", "b", "c"]
    assert [str(dtype) for dtype in frame.dtypes] == ["Int64", "object", "boolean"]
    assert frame["c"].tolist() == [pd.NA, pd.NA, True]
    assert read_table(path, columns=["c", "a"]).columns.tolist() == ["c", "a"]
    with pytest.raises(DataError, match="unknown column 'd'"):
        read_table(path, columns=["d"])


def test_what_json_may_hold(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        '{"n": NaN, "i": 1, "big": 123456789012345678901234, "deep": {"a": [1, null]}, "zip": "01234", "na": "NA"}\n'
        '{"n": 1.5, "i": 2.5, "big": 1, "deep": [2], "zip": "00001", "na": ""}\n'
    )
    with pytest.warns(UserWarning, match="several kinds in 'big'"):
        frame = read_table(path)
    assert math.isnan(frame["n"][0])
    assert frame["i"].tolist() == [1.0, 2.5]
    assert frame["big"].tolist() == ["123456789012345678901234", "1"]
    assert frame["deep"].tolist() == ['{"a": [1, null]}', "[2]"]
    assert frame["zip"].tolist() == ["01234", "00001"]
    assert frame["na"].tolist() == ["NA", ""]


def test_mixed_kinds_become_text_with_a_word(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"a": 1}\n' * 20_000 + '{"a": "x"}\n{"a": true}\n{"a": null}\n')
    with pytest.warns(UserWarning, match=r"several kinds in 'a' \(texts and truth values and whole numbers\)"):
        found = read_table(path)["a"].tolist()
    assert found[0] == "1"
    assert found[-3:] == ["x", "True", None]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_other_encodings_are_found(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes('{"a": "Zürich"}\n{"a": "Genève"}\n'.encode(encoding))
    if encoding == "utf-8-sig":
        assert read_table(path)["a"].tolist() == ["Zürich", "Genève"]
        return
    with pytest.warns(UserWarning, match=f"encoding {encoding}"):
        assert read_table(path)["a"].tolist() == ["Zürich", "Genève"]
    assert read_table(path, encoding=encoding)["a"].tolist() == ["Zürich", "Genève"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "blank lines only"),
        (b'{"a": 1}\n{"a": \n', r"line 2 of .* is not JSON"),
        (b'[{"a": 1},\n{"a": 2}]\n', r"line 1 of .* is not JSON"),
        (b'[{"a": 1}]\n', "line 1 of .* holds a list, expected an object"),
        (b'{"a": 1}\n\n3\n', "line 3 of .* holds a number, expected an object"),
        (b"null\n", "holds null"),
        (b"[" * 100_000 + b"\n", "is not JSON"),
        (b"{}\n{}\n", "are all empty"),
        (b'{"a": 1' + b"2" * 5000 + b"}\n", "is not JSON"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_bad_content(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [math.inf, "\ud800"])
def test_what_json_cannot_hold_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(DataError, match=r"infinite|not valid Unicode"):
        write_table(pd.DataFrame({"a": [value]}), tmp_path / "out.jsonl")
    assert not list(tmp_path.iterdir())
