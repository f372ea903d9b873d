"""Statistics of chunks add up to the statistics of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.errors import DataError, SchemaError
from synthkit.schema import Column, Schema
from synthkit.tables import statistics as module
from synthkit.tables.statistics import (
    LabelStatistics,
    NumberStatistics,
    TableStatistics,
    column_statistics,
    compress,
    label_statistics,
    number_statistics,
    table_statistics,
)

FLOAT = Column(name="x", type="continuous", dtype="float64", nullable=True)
CENTS = Column(name="x", type="continuous", dtype="float64", nullable=True, decimals=2, minimum=-1e6, maximum=1e6)
WHOLE = Column(name="x", type="integer", dtype="float64", nullable=True)
LABEL = Column(name="x", type="categorical", dtype="object", nullable=True)
LEVEL = Column(name="x", type="ordinal", dtype="object", nullable=True, categories=("lo", "mid", "hi"))
NAME = Column(name="x", type="identifier", dtype="object", nullable=True, pattern="A999")

numbers = st.one_of(st.just(np.nan), st.integers(-20, 20).map(float), st.floats(-1e6, 1e6))
labels = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "ç"]), st.text(max_size=3))


def series(values: list[Any], dtype: str) -> pd.Series[Any]:
    return pd.Series(values, dtype=dtype)


@given(st.lists(numbers), st.lists(numbers), st.lists(numbers), st.sampled_from([FLOAT, CENTS, WHOLE]))
def test_numbers_merge_to_the_whole(a: list[float], b: list[float], c: list[float], column: Column) -> None:
    parts = [number_statistics(series(part, "float64"), column) for part in (a, b, c)]
    whole = number_statistics(series(a + b + c, "float64"), column)
    assert parts[0].merge(parts[1]).merge(parts[2]) == whole
    assert parts[2].merge(parts[0].merge(parts[1])) == whole
    assert whole.rows == len(a + b + c)


@given(st.lists(labels), st.lists(labels), st.lists(labels))
def test_labels_merge_to_the_whole(a: list[str | None], b: list[str | None], c: list[str | None]) -> None:
    parts = [label_statistics(series(part, "object"), LABEL) for part in (a, b, c)]
    whole = label_statistics(series(a + b + c, "object"), LABEL)
    assert parts[0].merge(parts[1]).merge(parts[2]) == whole
    assert parts[2].merge(parts[0].merge(parts[1])) == whole


@given(st.lists(st.sampled_from(["lo", "mid", "hi", None])), st.lists(st.sampled_from(["lo", "mid", "hi", None])))
def test_ordered_categories_and_identifiers_merge(a: list[Any], b: list[Any]) -> None:
    for column in (LEVEL, NAME):
        whole = column_statistics(series(a + b, "object"), column)
        left, right = (column_statistics(series(part, "object"), column) for part in (a, b))
        assert left.merge(right) == whole  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(1, 50)), min_size=1, max_size=300), st.integers(8, 40))
@settings(max_examples=60)
def test_compression_keeps_ends_rows_and_ranks(points: list[tuple[float, int]], cap: int) -> None:
    values, places = np.unique([point[0] for point in points], return_index=True)
    counts = np.array([point[1] for point in points], dtype=np.int64)[places]
    exact = NumberStatistics(values, counts, 3, len(values))
    small = compress(exact, cap)
    assert len(small.values) <= cap + 2
    assert small.counts.sum() == counts.sum()
    assert small.rows == exact.rows
    assert (small.values[0], small.values[-1]) == (values[0], values[-1])
    assert np.isin(small.values, values).all()
    if len(values) > cap:
        # No rank is off by more than the mass of one group, or of one heavy value.
        at = np.searchsorted(values, small.values)
        error = np.abs(np.cumsum(counts)[at] - np.cumsum(small.counts))
        assert error.max() <= 2 * counts.sum() / (cap // 2) + counts.max()


def test_beyond_the_cap_merging_still_works() -> None:
    rng = np.random.default_rng(0)
    chunks = [pd.Series(rng.normal(size=2000)) for _ in range(5)]
    merged = number_statistics(chunks[0], FLOAT, cap=500)
    for chunk in chunks[1:]:
        merged = merged.merge(number_statistics(chunk, FLOAT, cap=500), cap=500)
    everything = np.sort(np.concatenate(chunks))
    assert merged.rows == 10_000
    assert len(merged.values) <= 502
    ranks = np.searchsorted(everything, merged.values, side="right") / 10_000
    assert np.abs(ranks - np.cumsum(merged.counts) / 10_000).max() < 0.02


def test_numbers_and_text_in_different_chunks_become_text() -> None:
    left = label_statistics(pd.Series([1, 2, 2], dtype=object), LABEL)
    right = label_statistics(pd.Series(["2", "x"], dtype=object), LABEL)
    whole = label_statistics(pd.Series([1, 2, 2, "2", "x"], dtype=object), LABEL)
    assert left.merge(right) == whole
    assert whole.labels == ["2", "1", "x"]


def test_declared_categories_are_kept_and_united() -> None:
    left = label_statistics(pd.Series(pd.Categorical(["a"], categories=["b", "a"])), LABEL)
    right = label_statistics(pd.Series(pd.Categorical(["c"], categories=["b", "c"])), LABEL)
    assert (left.labels, left.declared) == (["a"], ["b", "a"])
    assert left.merge(right).declared == ["b", "a", "c"]


def test_labels_are_counted_exactly() -> None:
    values = ["b", "a", "c", "a", None, "b"]
    counted = label_statistics(pd.Series(values, dtype=object), LABEL)
    assert counted == LabelStatistics(["a", "b", "c"], np.array([2, 2, 1]), 1, blank_is_none=True)


def test_too_many_labels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DISTINCT_LABELS", 5)
    with pytest.raises(DataError, match=r"'x' has 6 distinct values, expected at most 5.*identifier or text"):
        label_statistics(pd.Series(list("abcdef"), dtype=object), LABEL)
    left, right = (label_statistics(pd.Series(list(text), dtype=object), LABEL) for text in ("abc", "def"))
    with pytest.raises(DataError, match="6 distinct values"):
        left.merge(right)


@pytest.mark.parametrize(
    ("values", "column", "message"),
    [
        ([1.0, np.inf], FLOAT, "finite numbers, got inf in row 1"),
        (["1", "x"], FLOAT, "expected numbers, got 'x' in row 1"),
        (["lo", "top"], LEVEL, "categories of the schema, got 'top' in row 1"),
        ([0, 2**63], Column(name="x", type="integer", dtype="uint64"), "below 2"),
    ],
)
def test_cells_that_do_not_fit_are_named(values: list[Any], column: Column, message: str) -> None:
    with pytest.raises(DataError, match=message):
        column_statistics(pd.Series(values), column)


def test_tables_merge_by_column() -> None:
    schema = Schema(
        (FLOAT, Column(name="y", type="categorical", dtype="object"), Column(name="z", type="text", dtype="object"))
    )
    frame = pd.DataFrame({"x": [1.0, np.nan, 2.0], "y": ["u", "v", "u"], "z": ["t", "t", "t"]})
    whole = table_statistics(frame, schema)
    assert list(whole.columns) == ["x", "y"]
    assert TableStatistics.merged([table_statistics(frame[:1], schema), table_statistics(frame[1:], schema)]) == whole
    with pytest.raises(SchemaError, match="unknown column 'y'"):
        table_statistics(frame[["x", "z"]], schema)
    with pytest.raises(SchemaError, match="different columns"):
        whole.merge(table_statistics(frame, Schema((FLOAT,))))
    with pytest.raises(DataError, match="no statistics"):
        TableStatistics.merged([])
