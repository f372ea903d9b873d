from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.random import RandomSource
from synthkit.schema_regex import writer

atoms = st.sampled_from([r"\d", r"\w", "[A-Z]", "[^0-9]", "[a\\-z]", "[]x]", "[x-]", "K", r"\.", "-", ".", r"\S"])
quantifiers = st.sampled_from(["", "", "?", "*", "+", "{3}", "{1,4}", "{2,}"])
expressions = st.recursive(
    st.tuples(atoms, quantifiers).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(st.lists(inner, min_size=1, max_size=3).map("|".join), quantifiers).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
        inner.map(lambda one: f"(?:{one})"),
    ),
    max_leaves=6,
)


@given(pattern=expressions, seed=st.integers(0, 99))
def test_what_is_written_matches(pattern: str, seed: int) -> None:
    found = writer(pattern)
    assert found is not None
    texts = found.write(20, RandomSource(seed).numpy("texts"))
    assert len(texts) == 20
    assert all(re.fullmatch(pattern, text) for text in texts)


@pytest.mark.parametrize(
    "pattern", [r"(?i)abc", r"(a)\1", r"a(?=b)", r"\bx", "a{2}?", "a**", "x$y", "a{1000}", r"\x41"]
)
def test_what_is_not_understood_is_left_to_others(pattern: str) -> None:
    assert writer(pattern) is None


def test_texts_differ_and_are_spread_over_all_that_match() -> None:
    rng = RandomSource(0).numpy("texts")
    assert len(set(writer(r"^[AB]\d{3}$").write(1_500, rng))) == 1_500
    assert set(writer("[ab]{2}").write(3, rng, taken={"aa"})) == {"ab", "ba", "bb"}
    texts = writer(r"X|Y\d{2}").write(90, rng)
    assert sum(text == "X" for text in texts) <= 1
    assert writer("[ab]").write(5, rng).tolist().count("a") >= 1  # no room: some repeat
