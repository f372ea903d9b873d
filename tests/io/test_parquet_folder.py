"""A folder of Parquet files is one table."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthkit.errors import DataError, InputError
from synthkit.io import read_table, write_table


def put(folder: Path, place: str, frame: pd.DataFrame) -> None:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path)


@pytest.mark.parametrize("name", ["table", "table.parquet"])
def test_files_come_in_the_order_of_their_paths(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    put(folder, "part-1.parquet", pd.DataFrame({"a": [3]}))
    put(folder, "part-0.parquet", pd.DataFrame({"a": [1, 2]}))
    put(folder, "_notes.parquet", pd.DataFrame({"a": [9]}))
    put(folder, ".half.parquet", pd.DataFrame({"a": [9]}))
    put(folder, "_temporary/part.parquet", pd.DataFrame({"a": [9]}))
    (folder / "_SUCCESS").write_text("")
    assert read_table(folder).to_dict("list") == {"a": [1, 2, 3]}


def test_partitions_are_columns(tmp_path: Path) -> None:
    put(tmp_path, "year=2023/code=01/x.parquet", pd.DataFrame({"a": [1, 2]}))
    put(tmp_path, "year=2024/code=7/x.parquet", pd.DataFrame({"a": [3]}))
    put(tmp_path, "year=2024/code=a%2Fb%20c/x.parquet", pd.DataFrame({"a": [4]}))
    put(tmp_path, "year=__HIVE_DEFAULT_PARTITION__/code=8/x.parquet", pd.DataFrame({"a": [5]}))
    frame = read_table(tmp_path)
    assert frame["a"].tolist() == [1, 2, 3, 4, 5]
    assert str(frame["year"].dtype) == "Int64"
    assert frame["year"].tolist() == [2023, 2023, 2024, 2024, pd.NA]
    assert frame["code"].tolist() == ["01", "01", "7", "a/b c", "8"]
    assert read_table(tmp_path, columns=["code", "a"]).columns.tolist() == ["code", "a"]
    assert read_table(tmp_path, columns=["code"])["code"].tolist() == ["01", "01", "7", "a/b c", "8"]


def test_what_arrow_writes_is_read(tmp_path: Path, people: pd.DataFrame) -> None:
    pq.write_to_dataset(pa.Table.from_pandas(people), tmp_path / "out", partition_cols=["degree"])
    frame = read_table(tmp_path / "out")
    key = ["age", "hours", "income", "joined"]
    found = frame[people.columns].sort_values(key, ignore_index=True).fillna({"town": "?"})
    pd.testing.assert_frame_equal(found, people.sort_values(key, ignore_index=True).fillna({"town": "?"}))


def test_files_with_other_widths_and_columns_make_one_table(tmp_path: Path) -> None:
    put(tmp_path, "0.parquet", pd.DataFrame({"a": pd.Series([1], dtype="int32"), "d": [Decimal("1.5")]}))
    put(
        tmp_path,
        "1.parquet",
        pd.DataFrame({"a": pd.Series([2**40], dtype="int64"), "d": [Decimal("100.25")], "b": ["x"]}),
    )
    frame = read_table(tmp_path)
    assert frame["a"].tolist() == [1, 2**40]
    assert frame["d"].tolist() == [Decimal("1.50"), Decimal("100.25")]
    assert frame["b"].tolist() == [None, "x"]


def test_categories_keep_their_order(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.Categorical(["b", "a"], categories=["c", "b", "a"], ordered=True)})
    for number in range(2):
        write_table(frame, tmp_path / f"{number}.parquet")
    read = read_table(tmp_path)["a"]
    assert read.tolist() == ["b", "a", "b", "a"]
    assert read.dtype == frame["a"].dtype


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"0.parquet": {"a": [1]}, "1.parquet": {"a": ["x"]}}, "1.parquet' has columns of other types"),
        ({"a=1/0.parquet": {"a": [1]}}, "the column 'a' of .* is a partition"),
        (
            {"a=1/0.parquet": {"x": [1]}, "b=1/0.parquet": {"x": [1]}},
            r"lies in the partitions \['b'\], expected \['a'\]",
        ),
        ({"0.parquet": {"a": []}}, "has 1 columns but no rows"),
    ],
)
def test_folders_that_are_no_table(tmp_path: Path, files: dict[str, dict[str, list[object]]], message: str) -> None:
    for place, columns in files.items():
        put(tmp_path, place, pd.DataFrame(columns))
    with pytest.raises(DataError, match=message) as caught:
        read_table(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_and_a_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.parquet files"):
        read_table(tmp_path)
    put(tmp_path, "0.parquet", pd.DataFrame({"a": [1]}))
    whole = (tmp_path / "0.parquet").read_bytes()
    (tmp_path / "1.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"1\.parquet' is not a complete Parquet file"):
        read_table(tmp_path)
