"""A budget is checked when it is made, and against the public number of records."""

import json
import math
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import PrivacyError
from synthkit.privacy.budget import PrivacyBudget


@given(
    st.floats(1e-6, 1e6),
    st.floats(1e-300, 0.999),
    st.sampled_from(["row", "patient_id"]),
    st.sampled_from(["add-remove", "replace-one"]),
    st.integers(1, 1000),
)
def test_a_budget_survives_json(epsilon, delta, unit, adjacency, rows):
    budget = PrivacyBudget(epsilon, delta, unit=unit, adjacency=adjacency, rows_per_unit=1 if unit == "row" else rows)
    assert PrivacyBudget.from_json(json.loads(json.dumps(budget.to_json()))) == budget


def test_a_budget_cannot_be_changed_and_is_a_key():
    budget = PrivacyBudget(1, 1e-6)
    with pytest.raises(FrozenInstanceError):
        budget.epsilon = 2.0
    assert {budget: 1}[PrivacyBudget(1.0, 1e-6)] == 1


@pytest.mark.parametrize("epsilon", [0, -1, math.inf, math.nan, "1", None, True])
def test_an_epsilon_that_is_none_is_refused(epsilon):
    with pytest.raises(PrivacyError, match=r"epsilon above 0 and finite, got .*\. Give an epsilon"):
        PrivacyBudget(epsilon, 1e-6)


@pytest.mark.parametrize("delta", [0, 1, -1e-6, math.nan, "1e-6", False])
def test_a_delta_that_is_none_is_refused(delta):
    with pytest.raises(PrivacyError, match="delta above 0 and below 1"):
        PrivacyBudget(1, delta)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": ""}, "expected 'row' or the name of a column"),
        ({"unit": None}, "expected 'row' or the name of a column"),
        ({"adjacency": "replace"}, "did you mean 'replace-one'"),
        ({"rows_per_unit": 0, "unit": "patient"}, "whole number of at least 1"),
        ({"rows_per_unit": 2.0, "unit": "patient"}, "whole number of at least 1"),
        ({"rows_per_unit": 3}, "3 rows per unit were asked for"),
    ],
)
def test_other_mistakes_are_refused(change, message):
    with pytest.raises(PrivacyError, match=message) as caught:
        PrivacyBudget(1, 1e-6, **change)
    assert caught.value.exit_code == 2
    assert caught.value.remedy


@given(st.integers(1, 10**9))
def test_a_delta_that_would_allow_a_record_to_be_published_is_refused(n_records):
    just_too_large = PrivacyBudget(1, min(1 / n_records, 0.999_999))
    if n_records > 1:
        with pytest.raises(PrivacyError, match="a tenth of 1/"):
            just_too_large.check_records(n_records)
    replace(just_too_large, delta=1 / (10 * n_records)).check_records(n_records)


def test_the_largest_sensible_delta_is_named():
    with pytest.raises(PrivacyError, match=r"at most 1e-05"):
        PrivacyBudget(1, 1e-3).check_records(10_000)


@pytest.mark.parametrize("n_records", [0, -1, 1.5, "many", True])
def test_an_impossible_number_of_records_is_refused(n_records):
    with pytest.raises(PrivacyError, match="public number of records"):
        PrivacyBudget(1, 1e-6).check_records(n_records)


@pytest.mark.parametrize("value", [None, [], {}, {"epsilon": 1}, PrivacyBudget(1, 1e-6).to_json() | {"more": 1}])
def test_what_is_no_stored_budget_is_refused(value):
    with pytest.raises(PrivacyError, match="a stored privacy budget has"):
        PrivacyBudget.from_json(value)
