from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError
from synthkit.gan.budget import Budget


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2m", 120), ("1h30m", 5400), (" 1H 2m 3.5s ", 3723.5), ("45", 45), (12, 12), (0.5, 0.5)],
)
def test_durations_read_as_people_write_them(text, seconds):
    assert Budget.parse(text).seconds == seconds


def test_no_budget_is_no_limit():
    assert math.isinf(Budget.parse(None).seconds)
    assert str(Budget()) == "no limit"


@pytest.mark.parametrize("text", ["", "soon", "2 minutes", "m", "-3s", "1m1h", "0s", 0, -1, math.nan])
def test_anything_else_is_refused_with_a_remedy(text):
    with pytest.raises(InputError, match=r"time budget .*\. \w"):
        Budget.parse(text)


@given(st.integers(1, 10**6))
def test_writing_and_reading_agree(seconds):
    assert Budget.parse(str(Budget(seconds))).seconds == seconds
