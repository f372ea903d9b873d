from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.cli.balance import parse_counts
from synthkit.errors import InputError


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("a=100,b=200", ["a", "b"], {"a": 100, "b": 200}),
        (" a = 100 , b = 200 ", ["a", "b"], {"a": 100, "b": 200}),
        ("<=50K=30,>50K=20", ["<=50K", ">50K"], {"<=50K": 30, ">50K": 20}),
        ("0=5,1=7", [0, 1], {0: 5, 1: 7}),
        ("True=5", [False, True], {True: 5}),
        ("x,y=5,z=6", ["x,y", "z"], {"x,y": 5, "z": 6}),
        ("a=0", ["a"], {"a": 0}),
    ],
)
def test_counts(text: str, labels: list[object], expected: dict[object, int]) -> None:
    assert parse_counts(text, labels) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a list of classes and rows"),
        ("a", "is not a list of classes and rows"),
        ("a=", "is not a list of classes and rows"),
        ("a=-5", "is not a list of classes and rows"),
        ("a=1.5", "is not a list of classes and rows"),
        ("a=1;b=2", "unknown class 'a=1;b'"),
        ("aa=1", "did you mean 'a'"),
        ("a=1,a=2", "names the class 'a' twice"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_counts(text, ["a", "b"])
    assert message in str(error.value)


LABELS = st.text(st.characters(codec="ascii", exclude_characters=",="), min_size=1, max_size=5).filter(
    lambda text: text == text.strip()
)


@given(counts=st.dictionaries(LABELS, st.integers(0, 10**9), min_size=1, max_size=4))
def test_what_is_written_is_read(counts: dict[str, int]) -> None:
    assert parse_counts(",".join(f"{label}={count}" for label, count in counts.items()), counts) == counts
