"""Annotations as JSON: columns, dtypes and categories come back as they were."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import DataError
from synthkit.expression.frames import frame_from_json, frame_to_json

INTEGERS = st.integers(-100, 100)
TEXTS = st.text(max_size=5)
DTYPES = {
    "int64": INTEGERS,
    "int8": INTEGERS,
    "uint16": st.integers(0, 1000),
    "float64": st.floats(allow_infinity=False),
    "float32": st.floats(width=32, allow_infinity=False),
    "bool": st.booleans(),
    "object": st.one_of(TEXTS, st.none()),
    "string": st.one_of(TEXTS, st.none()),
    "Int64": st.one_of(INTEGERS, st.none()),
    "Float64": st.one_of(st.floats(-5, 5), st.none()),
    "boolean": st.one_of(st.booleans(), st.none()),
}
CATEGORIES = {"object": TEXTS, "int64": INTEGERS, "bool": st.booleans(), "float64": st.floats(-5, 5)}


@st.composite
def columns(draw: st.DrawFn, n: int) -> pd.Series:
    if draw(st.booleans()):
        kind = draw(st.sampled_from(sorted(CATEGORIES)))
        found = draw(st.lists(CATEGORIES[kind], min_size=1, max_size=4, unique=True))
        codes = draw(st.lists(st.integers(-1, len(found) - 1), min_size=n, max_size=n))
        known = pd.Index(np.array(found, dtype=kind))
        return pd.Series(pd.Categorical.from_codes(codes, categories=known, ordered=draw(st.booleans())))
    dtype = draw(st.sampled_from(sorted(DTYPES)))
    return pd.Series(draw(st.lists(DTYPES[dtype], min_size=n, max_size=n)), dtype=dtype)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    n = draw(st.integers(0, 5))
    names = draw(st.lists(TEXTS, max_size=4, unique=True))
    index = pd.Index([f"g{k}" for k in range(n)], dtype=object, name=draw(st.sampled_from([None, "gene", "cell"])))
    made = {name: draw(columns(n)).array for name in names}
    return pd.DataFrame(made, index=index, columns=pd.Index(names, dtype=object))


@given(frames())
def test_every_column_comes_back(frame: pd.DataFrame) -> None:
    stored = json.loads(json.dumps(frame_to_json(frame), allow_nan=False))
    pd.testing.assert_frame_equal(frame_from_json(stored), frame)


def test_missing_text_is_missing_again() -> None:
    frame = pd.DataFrame({"a": ["x", None, float("nan")]}, index=["1", "2", "3"])
    again = frame_from_json(frame_to_json(frame))
    assert again["a"].isna().tolist() == [False, True, True]
    assert again["a"].dtype == object


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "timedelta64[s]"])
def test_dates_are_refused_by_name(dtype: str) -> None:
    frame = pd.DataFrame({"drawn_on": pd.Series([1, 2]).astype(dtype)})
    with pytest.raises(DataError, match="'drawn_on' holds dates"):
        frame_to_json(frame)
