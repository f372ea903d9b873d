from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from synthkit import pool_estimates
from synthkit.errors import InputError


def test_rubins_rules_by_hand():
    """Estimates 1, 2, 3 with standard error 1: within 1, between 1, total 1 + 4/3, degrees 2 (1 + 3/4)^2."""
    pooled = pool_estimates([1, 2, 3], [1, 1, 1])
    assert pooled.estimate == 2
    assert pooled.within == 1
    assert pooled.between == pytest.approx(1)
    assert pooled.total == pytest.approx(7 / 3)
    assert pooled.degrees_of_freedom == pytest.approx(2 * (1 + 0.75) ** 2)
    half = stats.t.ppf(0.975, pooled.degrees_of_freedom) * math.sqrt(7 / 3)
    assert (pooled.low, pooled.high) == pytest.approx((2 - half, 2 + half))
    ratio, degrees = 4 / 3, pooled.degrees_of_freedom
    assert pooled.missing_information == pytest.approx((ratio + 2 / (degrees + 3)) / (ratio + 1))
    assert pooled.to_dict()["imputations"] == 3


def test_estimates_that_agree_give_the_interval_of_one_table():
    pooled = pool_estimates([5, 5, 5], [2, 2, 2], confidence=0.9)
    assert pooled.degrees_of_freedom == math.inf
    assert pooled.missing_information == 0
    assert pooled.high - pooled.estimate == pytest.approx(2 * stats.norm.ppf(0.95))


def test_few_rows_cost_degrees_of_freedom():
    """Barnard and Rubin: never more than those of the complete analysis."""
    many = pool_estimates([1, 2, 3], [1, 1, 1])
    few = pool_estimates([1, 2, 3], [1, 1, 1], complete_degrees_of_freedom=20)
    assert few.degrees_of_freedom < min(many.degrees_of_freedom, 20)
    assert few.high > many.high


NUMBERS = st.floats(-1e3, 1e3)


@given(st.lists(st.tuples(NUMBERS, st.floats(0.01, 100)), min_size=2, max_size=9), NUMBERS)
def test_moving_all_estimates_moves_the_interval(pairs, shift):
    values, errors = zip(*pairs, strict=True)
    one = pool_estimates(values, errors)
    other = pool_estimates([value + shift for value in values], errors)
    assert other.low == pytest.approx(one.low + shift, abs=1e-3, rel=1e-3)
    assert one.low <= one.estimate <= one.high
    assert one.total >= one.within
    assert 0 <= one.missing_information <= 1


@pytest.mark.parametrize(
    ("values", "errors", "options"),
    [
        ([1], [1], {}),
        ([1, 2], [1], {}),
        ([1, np.nan], [1, 1], {}),
        ([1, 2], [1, -1], {}),
        ([1, 2], [1, 1], {"confidence": 1.0}),
    ],
)
def test_what_cannot_be_pooled_is_told(values, errors, options):
    with pytest.raises(InputError):
        pool_estimates(values, errors, **options)
