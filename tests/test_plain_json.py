"""Anything becomes JSON, and what JSON can hold stays what it is."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthkit.plain_json import plain_json


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.text(st.characters(codec=None, categories=["Cs", "Lu"]))
        | st.just(np.float32(1))
        | st.just(np.arange(3)),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.tuples(inner)
            | st.dictionaries(st.integers() | st.text(st.characters(categories=["Cs", "Lu"])), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_anything_becomes_json(value: object) -> None:
    plain = plain_json(value)
    written = json.dumps(plain, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert json.loads(written) == plain
    assert plain_json(plain) == plain


def test_json_keeps_what_it_can() -> None:
    value = {"a": (1, 2.5, float("nan")), 3: np.int64(4), "path": Path("x"), "flag": True}
    assert plain_json(value) == {"a": [1, 2.5, None], "3": 4, "path": "x", "flag": True}


def test_what_json_cannot_hold() -> None:
    assert plain_json([math.inf, -math.inf, np.float32("nan")]) == [None, None, None]
    assert plain_json(np.array([[1.0, np.inf]])) == [[1, None]]
    assert plain_json({"caf\udce9": "\udce9"}) == {"caf\\udce9": "\\udce9"}
    assert plain_json({np.str_("name"): {np.int8(3)}}) == {"name": [3]}
