"""The laws of every registered mechanism, and that breaking one is noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError
from synthkit.privacy.mechanisms import MECHANISMS
from synthkit.privacy.noise import NoiseSource
from synthkit.testing.mechanisms import (
    change,
    check_mechanism,
    check_row_wise,
    example_rows,
    mechanism_checks,
    poisoned_row,
)

CHECKS = [
    (mechanism.name, name, check) for mechanism in MECHANISMS.values() for name, check in mechanism_checks(mechanism)
]


@pytest.mark.parametrize("check", [check for *_, check in CHECKS], ids=[f"{name}: {law}" for name, law, _ in CHECKS])
def test_a_mechanism_keeps_its_contract(check) -> None:
    check()


@pytest.mark.parametrize("name", MECHANISMS)
def test_its_record_is_registered_by_its_name(name) -> None:
    assert MECHANISMS[name].name == name


@pytest.mark.parametrize("name", MECHANISMS)
@given(data=st.data())
def test_neighbours_differ_by_at_most_the_sensitivity(name, data) -> None:
    mechanism = MECHANISMS[name]
    rows = _rows(mechanism, data.draw(st.lists(_row(mechanism), max_size=12)))
    one, other = (_rows(mechanism, [data.draw(_row(mechanism))]) for _ in range(2))
    with_one, with_other = np.concatenate([rows, one]), np.concatenate([rows, other])
    assert change(mechanism, rows, with_one) <= mechanism.sensitivity("add-remove", **mechanism.example) + 1e-9
    assert change(mechanism, with_one, with_other) <= mechanism.sensitivity("replace-one", **mechanism.example) + 1e-9


def _row(mechanism):
    """Strategy of one row, absurd ones included."""
    odd = st.integers(0, 3).map(lambda kind: poisoned_row(mechanism, kind)[0])
    if mechanism.data == "table":
        plain = st.tuples(*(st.integers(0, size) for size in mechanism.example["sizes"])).map(np.array)
    elif mechanism.data == "labels":
        plain = st.text(max_size=2)
    else:
        plain = st.integers(-25, 700)
    return st.one_of(plain, odd)


def _rows(mechanism, rows):
    if mechanism.data == "labels":
        return np.array(rows, dtype=object)
    width = len(mechanism.example["sizes"]) if mechanism.data == "table" else None
    return np.array(rows, dtype=np.int64).reshape(-1, width) if width else np.array(rows, dtype=np.int64)


def without_noise(mechanism):
    def run(data, *, noise, **parameters):
        del noise
        quiet = {"epsilon": 1e3} if "epsilon" in parameters else {"sigma": 1e-6}
        return mechanism.run(data, noise=NoiseSource(reproducible_seed=0), **{**parameters, **quiet})

    return replace(mechanism, run=run)


def with_half_the_noise(mechanism):
    def run(data, *, noise, **parameters):
        half = {"epsilon": parameters["epsilon"] * 2} if "epsilon" in parameters else {"sigma": parameters["sigma"] / 2}
        return mechanism.run(data, noise=noise, **{**parameters, **half})

    return replace(mechanism, run=run)


def with_its_own_noise(mechanism):
    return replace(mechanism, run=lambda data, noise, **given: mechanism.run(data, noise=NoiseSource(), **given))


def with_half_the_sensitivity(mechanism):
    return replace(mechanism, sensitivity=lambda *given, **more: mechanism.sensitivity(*given, **more) / 2)


def forgetting_that_a_unit_has_many_rows(mechanism):
    def sensitivity(adjacency, *, rows_per_unit=1, **more):
        del rows_per_unit
        return mechanism.sensitivity(adjacency, **more)

    return replace(mechanism, sensitivity=sensitivity)


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize(
    "mutate",
    [
        without_noise,
        with_half_the_noise,
        with_its_own_noise,
        with_half_the_sensitivity,
        forgetting_that_a_unit_has_many_rows,
    ],
)
def test_a_broken_mechanism_is_noticed(mutate, name) -> None:
    with pytest.raises(AssertionError, match=f"^{name}: "):
        check_mechanism(mutate(MECHANISMS[name]))


def a_domain_from_the_data(codes, size, sigma, noise):
    largest = int((codes % 1000).max(initial=0))
    return np.bincount(codes % 1000, minlength=largest + 1) + noise.discrete_gaussian(sigma, largest + 1)


def a_refusal_of_bad_codes(codes, size, sigma, noise):
    if len(codes) and codes.max() >= size:
        raise AssertionError("bad code")
    return MECHANISMS["histogram"].run(codes, size, sigma, noise)


def the_same_noise_twice(codes, size, sigma, noise):
    counts = np.bincount(codes[(codes >= 0) & (codes < size)], minlength=size)
    return counts + noise.discrete_gaussian(sigma, 1)


def noise_where_something_is(codes, size, sigma, noise):
    counts = np.bincount(codes[(codes >= 0) & (codes < size)], minlength=size)
    return counts + np.where(counts > 0, 1, 0) * np.abs(noise.discrete_gaussian(sigma, size))


@pytest.mark.parametrize(
    "run", [a_domain_from_the_data, a_refusal_of_bad_codes, the_same_noise_twice, noise_where_something_is]
)
def test_a_leaky_histogram_is_noticed(run) -> None:
    with pytest.raises(AssertionError, match=r"^histogram: (a poisoned row|survives|the noise)"):
        check_mechanism(replace(MECHANISMS["histogram"], run=run))


def test_other_errors_say_in_which_check_they_were_raised() -> None:
    def run(data, *, noise, **parameters):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full") as raised:
        check_mechanism(replace(MECHANISMS["histogram"], run=run))
    assert raised.value.__notes__ == ["in the contract check 'histogram: the noise has the stated scale'"]


def test_labels_without_a_threshold_are_noticed() -> None:
    mechanism = MECHANISMS["categories"]

    def run(data, *, noise, delta, **parameters):
        del delta
        return mechanism.run(data, noise=noise, delta=0.49, **parameters)

    with pytest.raises(AssertionError, match=r"^categories: "):
        check_mechanism(replace(mechanism, run=run))


def test_a_row_wise_function_passes() -> None:
    rows = {"a": np.arange(5.0), "b": np.array(["x", None, "y", "z", "x"], dtype=object)}
    check_row_wise(lambda data: {"c": np.where(data["b"] == "x", data["a"], -1.0)}, rows)


@pytest.mark.parametrize(
    "column",
    [
        np.array(["x", np.nan, "y", None], dtype=object),
        np.array(["x", pd.NA, "y", pd.NaT], dtype=object),
        np.array(["2024-02-29", "NaT", "2024-03-01", "1970-01-01"], "datetime64[D]"),
        np.array([1, "NaT", 3, 4], "timedelta64[s]"),
        np.array([1.0, np.nan, 3.0, 4.0]),
    ],
    ids=["objects", "missing objects", "dates", "durations", "numbers"],
)
def test_missing_cells_are_the_same_as_themselves(column) -> None:
    check_row_wise(dict, {"a": column})


@pytest.mark.parametrize("rows", [{}, {"a": np.arange(2.0)}], ids=["no column", "two rows"])
def test_a_row_wise_check_needs_rows(rows) -> None:
    with pytest.raises(InputError, match="at least three rows"):
        check_row_wise(dict, rows)


@pytest.mark.parametrize(
    "function",
    [
        lambda data: {"a": data["a"] - data["a"].mean()},
        lambda data: {"a": np.argsort(np.argsort(data["a"]))},
        lambda data: {"a": np.arange(len(data["a"]))},
        lambda data: {"a": np.full(len(data["a"]), len(data["a"]))},
        lambda data: {"a": np.array([str(value) for value in data["a"]])},
        lambda data: {f"{data['a'].max()}": data["a"]},
        lambda data: {"a": data["a"], **({"few": data["a"]} if len(data["a"]) < 3 else {})},
        lambda data: {"a": np.r_[data["a"][1:], data["a"][:1]]},
    ],
)
def test_a_function_of_other_rows_is_noticed(function) -> None:
    with pytest.raises(AssertionError):
        check_row_wise(function, {"a": np.array([3.0, 1.0, 2.0, 100.0])})


@pytest.mark.parametrize("name", MECHANISMS)
def test_the_sensitivity_is_attained(name) -> None:
    # A claim far above the truth would waste the budget: the worst row found attains at least 95 % of it.
    mechanism = MECHANISMS[name]
    random = np.random.default_rng(0)
    rows = example_rows(mechanism, 200, random)
    if mechanism.data == "table":
        rows = np.zeros_like(rows)
        worst = [np.ones((1, rows.shape[1]), np.int64)]
    else:
        worst = [example_rows(mechanism, 1, random) for _ in range(20)]
    claimed = mechanism.sensitivity("add-remove", **mechanism.example)
    assert max(change(mechanism, rows, np.concatenate([rows, row])) for row in worst) >= 0.95 * claimed
