from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.balance.groups import ResampleError, check_quantiles, class_groups, range_groups
from synthkit.errors import DataError, InputError

LABELS = pd.Series(["a"] * 10 + ["b"] * 4 + ["c"] * 7 + [None] * 3)


def wanted(groups: list) -> dict[str, int]:
    return {group.name: group.wanted for group in groups}


def test_classes_are_brought_to_the_largest() -> None:
    groups = class_groups(LABELS, "y")
    assert wanted(groups) == {"a": 0, "b": 6, "c": 3}
    assert [group.condition for group in groups] == ["a", "b", "c"]
    np.testing.assert_array_equal(groups[1].rows, np.arange(10, 14))


def test_rows_without_a_class_belong_to_none() -> None:
    rows = np.concatenate([group.rows for group in class_groups(LABELS, "y")])
    assert sorted(rows) == list(range(21))


def test_counts_are_of_the_classes_that_they_name() -> None:
    assert wanted(class_groups(LABELS, "y", counts={"b": 9})) == {"a": 0, "b": 5, "c": 0}


def test_classes_that_are_numbers_or_truths_are_conditions_of_their_own_type() -> None:
    assert [type(group.condition) for group in class_groups(pd.Series([True, False, True]), "y", counts={})] == [
        bool,
        bool,
    ]
    assert [group.condition for group in class_groups(pd.Series([1, 0, 1, 0]), "y")] == [1, 0]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (LABELS, {"ratio": 0.1}, "0.4 times"),
        (LABELS, {"ratio": 0.0}, "ratio"),
        (LABELS, {"ratio": 1.5}, "ratio"),
        (LABELS, {"counts": {"b": 3}}, "more than the 3 asked for"),
        (LABELS, {"counts": {"d": 3}}, "unknown class 'd'"),
        (pd.Series(["a"] * 5), {}, "a single class"),
        (pd.Series([None, None], dtype=object), {}, "no class"),
        (pd.Series(["a", "a", "b"]), {}, "class 'b' of column 'y' has one row"),
        (pd.Series(np.arange(50) / 10), {}, "50 distinct numbers.*give quantiles"),
    ],
)
def test_what_cannot_be_balanced_is_told(labels: pd.Series, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"(?i){message}"):
        class_groups(labels, "y", **options)


def test_a_class_of_one_row_may_stay_as_it_is() -> None:
    labels = pd.Series(["a"] * 5 + ["b"] * 2 + ["c"])
    assert wanted(class_groups(labels, "y", counts={"b": 5})) == {"a": 0, "b": 3, "c": 0}


def test_errors_of_the_target_are_value_errors_too() -> None:
    with pytest.raises(ValueError, match="single class") as caught:
        class_groups(pd.Series(["a"] * 5), "y")
    assert isinstance(caught.value, ResampleError)
    assert isinstance(caught.value, DataError)


@given(
    sizes=st.lists(st.integers(2, 30), min_size=2, max_size=5),
    ratio=st.one_of(st.none(), st.floats(0.01, 1)),
)
def test_no_class_shrinks_and_the_ratio_is_reached(sizes: list[int], ratio: float | None) -> None:
    labels = pd.Series(np.repeat([f"c{place}" for place in range(len(sizes))], sizes))
    asked = 1.0 if ratio is None else ratio
    if int(np.ceil(asked * max(sizes))) < min(sizes):
        with pytest.raises(InputError, match="never removed"):
            class_groups(labels, "y", ratio=ratio)
        return
    for group, size in zip(class_groups(labels, "y", ratio=ratio), sizes, strict=True):
        assert len(group.rows) == size
        assert group.wanted >= 0
        assert size + group.wanted == max(size, int(np.ceil(asked * max(sizes))))


# ---------- ranges of a number


def test_ranges_by_hand() -> None:
    numbers = pd.Series([5, 1, 2, 3, 4, 6, 7, 8, 9, 10, None], dtype="Float64")
    low, middle, high = range_groups(numbers, "y", (0.2, 0.8))
    assert [group.name for group in (low, middle, high)] == ["1 to 2", "3 to 8", "9 to 10"]
    assert [group.condition for group in (low, middle, high)] == [(1, 2), (3, 8), (9, 10)]
    assert sorted(low.rows) == [1, 2]
    assert [group.wanted for group in (low, middle, high)] == [4, 0, 4]


def test_a_range_of_one_row_cannot_grow() -> None:
    with pytest.raises(ResampleError, match="'10 to 10' of column 'y' has one row"):
        range_groups(pd.Series(np.arange(1, 11)), "y", (0.9,))


@given(
    values=st.lists(st.integers(-5, 5), min_size=8, max_size=60),
    cuts=st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9]), min_size=1, max_size=4, unique=True).map(sorted),
)
def test_every_number_lies_in_one_range(values: list[int], cuts: list[float]) -> None:
    numbers = pd.Series(values)
    try:
        groups = range_groups(numbers, "y", cuts)
    except ResampleError:
        # a range of one row, or no cut inside the values
        return
    assert sorted(np.concatenate([group.rows for group in groups])) == list(range(len(values)))
    largest = max(len(group.rows) for group in groups)
    ends: list[int] = []
    for group in groups:
        low, high = group.condition
        assert numbers.iloc[group.rows].between(low, high).all()
        assert len(group.rows) + group.wanted == largest
        ends += [low, high]
    assert ends == sorted(ends)


@pytest.mark.parametrize("cuts", [(), (0.5, 0.5), (0.9, 0.1), (0.0,), (1.0,), (float("nan"),), (-1.0, 0.5)])
def test_bad_quantiles_are_refused(cuts: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="quantiles"):
        check_quantiles(cuts)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (pd.Series(["a", "b"]), "expected numbers"),
        (pd.Series([3.0] * 9), "is not cut into ranges"),
        (pd.Series([None] * 4, dtype="float64"), "has no numbers"),
    ],
)
def test_what_cannot_be_cut_is_told(numbers: pd.Series, message: str) -> None:
    with pytest.raises(ResampleError, match=message):
        range_groups(numbers, "y", (0.5,))
