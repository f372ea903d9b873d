"""Labels: few, very many, of any kind, and the dtypes they come in."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.schema import Column, Schema
from synthkit.tables.encoder import TableEncoder


def one_column(series: pd.Series[Any], **fields: Any) -> tuple[pd.DataFrame, Schema]:
    frame = pd.DataFrame({"x": series})
    described = {"type": "categorical", "dtype": str(series.dtype), "nullable": bool(series.isna().any()), **fields}
    return frame, Schema((Column(name="x", **described),))


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=2, max_size=60),
    st.integers(1, 6),
)
@settings(deadline=None)
def test_text_comes_back_when_it_is_not_rare(values: list[str | None], most: int) -> None:
    series = pd.Series(values, dtype=object)
    frame, schema = one_column(series)
    encoder = TableEncoder(max_categories=most).fit(frame, schema)
    if not encoder.columns:
        return
    encoded = encoder.encode(frame)
    back = encoder.decode(encoded.symbols, rng=np.random.default_rng(0))["x"]
    code = encoder.columns[0]
    np.testing.assert_array_equal(back.isna(), series.isna())
    assert set(back.dropna()) <= set(series.dropna())
    distinct = series.nunique()
    assert code.size == code.missing + (distinct if distinct <= most + 1 else most + 1)
    if distinct <= most + 1:
        assert back.tolist() == series.tolist()


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([1, 2, 2, 3] * 5),
        pd.Series([1.0, 2.0, np.nan, 2.5] * 5),
        pd.Series([True, False, False] * 5),
        pd.Series([1, None, 2] * 5, dtype="Int64"),
        pd.Series([True, None, False] * 5, dtype="boolean"),
        pd.Series(["a", None, "b"] * 5, dtype="string"),
        pd.Series(["a", None, "b"] * 5, dtype=pd.ArrowDtype(pa.string())),
        pd.Series([True, None, False] * 5, dtype="bool[pyarrow]"),
        pd.Series([True, None, False] * 5, dtype=object),
        pd.Series(["a", np.nan, "b"] * 5, dtype=object),
        pd.Series([3, 1, 2] * 5, dtype=np.int8),
        pd.Series(pd.Categorical(["a", None, "b"] * 5, categories=["z", "b", "a"])),
        pd.Series(pd.Categorical([3, 1, 3] * 5, categories=[1, 2, 3], ordered=True)),
        pd.Series(pd.Categorical([True, False] * 5)),
    ],
    ids=lambda series: f"{series.dtype}-{series.iloc[0]}",
)
def test_every_dtype_comes_back(series: pd.Series[Any]) -> None:
    frame, schema = one_column(series, ordered=bool(getattr(series.dtype, "ordered", False)))
    encoder = TableEncoder().fit(frame, schema)
    encoded = encoder.encode(frame)
    back = encoder.decode(encoded.symbols, encoded.positions, rng=np.random.default_rng(0))
    pd.testing.assert_frame_equal(back, frame)
    fields, arrays = encoder.state()
    again = TableEncoder.from_state(json.loads(json.dumps(fields)), arrays)
    pd.testing.assert_frame_equal(again.decode(encoded.symbols, rng=np.random.default_rng(0)), frame)
    complete = encoder.decode(encoded.symbols[:0], rng=np.random.default_rng(0))["x"]
    assert complete.dtype == series.dtype


def test_a_column_of_mixed_kinds_becomes_text() -> None:
    frame, schema = one_column(pd.Series([1, "1", "x", 2.5] * 5, dtype=object))
    encoder = TableEncoder().fit(frame, schema)
    back = encoder.decode(encoder.encode(frame).symbols, rng=np.random.default_rng(0))["x"]
    assert back.tolist() == ["1", "1", "x", "2.5"] * 5


def test_three_hundred_thousand_categories() -> None:
    rng = np.random.default_rng(0)
    names = np.array([f"user-{value}" for value in range(300_000)], dtype=object)
    popular = names[rng.zipf(1.4, 100_000) % 300_000]
    frame, schema = one_column(pd.Series(np.concatenate([names, popular]), dtype=object))
    encoder = TableEncoder().fit(frame, schema)
    code = encoder.columns[0]
    assert (code.n_atoms, code.n_bins) == (257, 0)
    symbols = encoder.encode(frame).symbols
    np.testing.assert_allclose(np.bincount(symbols[:, 0]) / len(frame), code.shares)
    drawn = encoder.decode(symbols, rng=rng)["x"]
    assert drawn.isin(frame["x"].unique()).all()
    assert drawn.nunique() > 150_000
    fields, arrays = encoder.state()
    assert sum(array.nbytes for array in arrays.values()) < 5_000_000
    allowed = encoder.condition("x", "user-299999")
    forced = encoder.decode(np.full((50, 1), code.size - 1), rng=rng, forced={"x": allowed})["x"]
    assert set(forced) == {"user-299999"}
    assert len(fields["columns"][0]["labels"]) == 300_000


def test_a_label_never_seen_is_rare_where_there_are_rare_ones() -> None:
    frame, schema = one_column(pd.Series([f"v{value}" for value in range(40)] * 2, dtype=object))
    encoder = TableEncoder(max_categories=10).fit(frame, schema)
    symbols = encoder.encode(pd.DataFrame({"x": ["v0", "new"]})).symbols[:, 0]
    assert symbols[1] == encoder.columns[0].size - 1


def test_constant_columns_are_restored_without_a_symbol() -> None:
    frame = pd.DataFrame(
        {
            "text": ["k"] * 6,
            "void": pd.Series([None] * 6, dtype=object),
            "stamp": pd.Timestamp("2024-05-06 07:08:09"),
            "bucket": pd.Categorical(["m"] * 6, categories=["l", "m"]),
            "half": [2.0, np.nan] * 3,
        }
    )
    columns = [
        Column(name=str(name), type="constant", dtype=str(frame[name].dtype), nullable=bool(frame[name].isna().any()))
        for name in frame
    ]
    encoder = TableEncoder().fit(frame, Schema(tuple(columns)))
    assert encoder.names == ["half"]
    encoded = encoder.encode(frame)
    back = encoder.decode(encoded.symbols, encoded.positions, rng=np.random.default_rng(0))
    pd.testing.assert_frame_equal(back, frame)
