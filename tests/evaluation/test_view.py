from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthkit.errors import DataError
from synthkit.evaluation.view import MOST_INDICATORS, TableView, is_number, is_unscored_text


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "town": ["Bern", None, "Basel", "Bern"],
            "size": [1.0, 2.0, np.nan, 3.0],
            "flag": [0, 1, 0, 1],
            "member": [True, False, True, True],
            "day": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03", None]).tz_localize("Europe/Zurich"),
        }
    )


def test_numbers_are_numeric_or_dates_with_more_than_two_values(frame: pd.DataFrame) -> None:
    view = TableView(frame)
    assert view.numeric == ("size", "day")
    assert view.categorical == ("town", "flag", "member")


def test_labels_are_coded_in_order_and_a_missing_one_is_a_label(frame: pd.DataFrame) -> None:
    view = TableView(frame)
    assert list(view.labels["town"]) == ["Basel", "Bern", "None"]
    assert view.code(frame).codes[:, 0].tolist() == [1, 2, 0, 1]


def test_unknown_labels_get_codes_of_their_own(frame: pd.DataFrame) -> None:
    view = TableView(frame)
    other = frame.assign(town=["Thun", "Chur", "Thun", "Bern"])
    coded = view.code(other)
    assert coded.codes[:, 0].tolist() == [3, 4, 3, 1]
    assert view.tree(coded)[:, 2].tolist() == [-1, -1, -1, 1]
    # No indicator is set for a town that the real table lacks.
    assert view.linear(coded)[:, 2:5].sum(axis=1).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    "changed",
    [
        {"flag": [0.0, 1.0, 0.0, 1.0]},
        {"member": [1, 0, 1, 1]},
        {"member": ["True", "False", "True", "True"]},
        {"flag": pd.array([0, 1, 0, 1], dtype="Int64")},
        {"town": pd.Categorical(["Bern", None, "Basel", "Bern"])},
        {"town": ["Bern", np.nan, "Basel", "Bern"]},
        {"size": pd.array([1, 2, None, 3], dtype="Float64")},
        {"size": ["1", "2.0", "", "3"]},
        {"day": ["2020-01-01T00:00+01:00", "2020-01-02T00:00+01:00", "2020-01-03T00:00+01:00", None]},
    ],
)
def test_the_same_values_in_another_type_are_the_same(frame: pd.DataFrame, changed: dict[str, object]) -> None:
    view = TableView(frame)
    expected, found = view.code(frame), view.code(frame.assign(**changed))
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    np.testing.assert_array_equal(found.codes, expected.codes)


def test_the_linear_view_is_standardised_and_missing_is_the_mean(frame: pd.DataFrame) -> None:
    linear = TableView(frame).linear(TableView(frame).code(frame))
    assert linear[:, 0].tolist() == [-1, 0, 0, 1]
    assert linear[:, 2:].sum(axis=1).tolist() == [3, 3, 3, 3]


def test_the_tree_view_leaves_out_the_target(frame: pd.DataFrame) -> None:
    view = TableView(frame)
    coded = view.code(frame)
    assert view.tree(coded, without="flag").shape == (4, 4)
    np.testing.assert_array_equal(view.tree(coded, without="size")[:, 0], coded.numbers[:, 1])


def test_many_labels_give_a_bounded_number_of_indicators_to_the_most_frequent() -> None:
    labels = [f"label {number}" for number in range(3 * MOST_INDICATORS)]
    frame = pd.DataFrame({"label": labels + labels[-MOST_INDICATORS:]})
    view = TableView(frame)
    linear = view.linear(view.code(frame))
    assert linear.shape[1] == MOST_INDICATORS
    assert linear[-MOST_INDICATORS:].sum() == MOST_INDICATORS
    assert linear[: 2 * MOST_INDICATORS].sum() == 0


def test_an_infinite_number_is_named_with_its_row(frame: pd.DataFrame) -> None:
    view = TableView(frame)
    with pytest.raises(DataError, match=r"'size' has an infinite value in row 2"):
        view.code(frame.assign(size=[1, np.inf, 2, 3]))


def test_names_and_free_text_are_not_scored() -> None:
    assert is_unscored_text(pd.Series([f"person {number}" for number in range(200)]))
    assert not is_unscored_text(pd.Series([f"person {number}" for number in range(50)]))
    assert not is_unscored_text(pd.Series(["a", "b"] * 100))
    assert not is_unscored_text(pd.Series(range(200)))


def test_a_column_that_is_missing_throughout_is_a_category() -> None:
    assert not is_number(pd.Series([np.nan, np.nan, np.nan]))


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float64", "float32", "bool"])
def test_two_numbers_are_the_same_labels_whatever_their_type(dtype: str) -> None:
    real = pd.DataFrame({"flag": [0.0, 1.0, np.nan, 1.0]})
    other = pd.DataFrame({"flag": pd.Series([1, 0, 0, 1]).astype(dtype)})
    view = TableView(real)
    assert view.code(real).codes[:, 0].tolist() == [0, 1, 2, 1]
    assert view.code(other).codes[:, 0].tolist() == [1, 0, 0, 1]
