from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.balance import balance_by_interpolation, interpolate_table
from synthkit.errors import InputError


def table(rows: int = 80) -> pd.DataFrame:
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "age": random.integers(18, 90, rows),
            "hours": np.round(random.normal(40, 5, rows), 2),
            "score": pd.array(random.integers(0, 9, rows), dtype="Int64"),
            "gap": np.where(random.random(rows) < 0.2, np.nan, np.round(random.normal(size=rows), 1)),
            "town": random.choice(["Bern", "Basel", "Thun"], rows),
            "member": random.random(rows) < 0.5,
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 400, rows), unit="D"),
            "class": np.where(np.arange(rows) < 10, "rare", "common"),
        }
    )


def test_real_rows_come_first_and_classes_are_equal() -> None:
    frame = table()
    balanced = balance_by_interpolation(frame, "class", random_state=0)
    pd.testing.assert_frame_equal(balanced.head(len(frame)), frame)
    assert balanced["class"].value_counts().to_dict() == {"rare": 70, "common": 70}


@given(ratio=st.floats(0.01, 1))
def test_a_ratio_is_kept(ratio: float) -> None:
    counts = balance_by_interpolation(table(), "class", ratio=ratio, random_state=0)["class"].value_counts()
    assert counts["common"] == 70
    assert counts["rare"] == max(10, int(np.ceil(ratio * 70)))


def test_new_rows_have_the_types_and_lie_between_real_ones_of_their_class() -> None:
    frame = table()
    balanced = balance_by_interpolation(frame, "class", random_state=0)
    assert balanced.dtypes.to_dict() == frame.dtypes.to_dict()
    rare, new = frame[frame["class"] == "rare"], balanced.tail(60)
    for name in ("age", "hours", "score", "gap", "day"):
        assert new[name].dropna().between(rare[name].min(), rare[name].max()).all()
    for name in ("town", "member"):
        assert set(new[name]) <= set(rare[name])
    np.testing.assert_array_equal(new["hours"], new["hours"].round(2))
    np.testing.assert_array_equal(new["gap"].dropna(), new["gap"].dropna().round(1))


def test_a_row_between_two_lies_on_the_line() -> None:
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 5.0], "y": [0.0, 2.0, 4.0, 10.0], "class": ["a", "a", "a", "b"]})
    drawn = interpolate_table(frame, 200, target="class", n_neighbours=2, random_state=0)
    np.testing.assert_allclose(drawn["y"], 2 * drawn["x"], atol=1)
    assert drawn.loc[drawn["class"] == "b", "x"].unique().tolist() == [5.0]


def test_the_same_seed_gives_the_same_rows() -> None:
    first, second, other = (interpolate_table(table(), 50, target="class", random_state=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(other)


def test_a_whole_table_keeps_the_shares_of_the_classes() -> None:
    drawn = interpolate_table(table(), 2000, target="class", random_state=0)
    assert len(drawn) == 2000
    assert (drawn["class"] == "rare").mean() == pytest.approx(0.125, abs=0.03)


def test_without_a_target_all_rows_are_neighbours() -> None:
    assert len(interpolate_table(table(), 30, random_state=0)) == 30


def test_a_class_of_one_row_is_repeated() -> None:
    frame = pd.concat([table(), table().head(1).assign(**{"class": "single"})], ignore_index=True)
    balanced = balance_by_interpolation(frame, "class", ratio=0.5, random_state=0)
    single = balanced[balanced["class"] == "single"]
    assert len(single) == 35
    assert single["hours"].nunique() == 1


def test_balanced_classes_are_left_alone() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "class": ["a", "b", "a", "b"]})
    pd.testing.assert_frame_equal(balance_by_interpolation(frame, "class", random_state=0), frame)


@pytest.mark.parametrize(
    ("target", "ratio", "message"),
    [("clas", 1.0, "did you mean 'class'"), ("class", 0.0, "ratio"), ("class", 1.5, "ratio")],
)
def test_bad_wishes_are_told(target: str, ratio: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        balance_by_interpolation(table(), target, ratio=ratio)
