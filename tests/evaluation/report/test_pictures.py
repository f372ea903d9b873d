"""Pictures against counts made with pandas, and what holds for every table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.evaluation import Evaluation
from synthkit.evaluation.case import Case
from synthkit.evaluation.pictures import ColumnPicture, Pictures, bins, draw_pictures
from synthkit.evaluation.reading import Options, read_case

VALUES = st.lists(
    st.one_of(
        st.integers(-1000, 1000).map(float),
        st.floats(-1e300, 1e300, allow_nan=False),
        st.floats(-1, 1).map(lambda value: round(value, 2)),
        st.just(0.0),
    ),
    min_size=1,
    max_size=60,
)


def case_of(real: pd.DataFrame, synthetic: pd.DataFrame, seed: int = 0) -> Case:
    return read_case(real, synthetic, real, Options(seed=seed))[0]


def picture_of(pictures: Pictures, name: str) -> ColumnPicture:
    return next(picture for picture in pictures.columns if picture.name == name)


@given(real=VALUES, synthetic=VALUES, date=st.booleans())
def test_every_value_lies_in_its_bin(real: list[float], synthetic: list[float], date: bool) -> None:
    if date:
        real, synthetic = ([float(round(value % 1e9) * 1_000_000_000) for value in part] for part in (real, synthetic))
    values = np.array(real), np.array(synthetic)
    labels, edges, places = bins(*values, date=date)
    for column, found in zip(values, places, strict=True):
        assert ((0 <= found) & (found < len(labels))).all()
        if edges:
            # Edges are computed, so a value on one may be on either side of it by rounding.
            slack = 1e-9 * np.abs(column).max(initial=0.0)
            ends = np.array(edges)
            assert (ends[found] <= column + slack).all()
            assert (column <= ends[found + 1] + slack).all()
    if edges:
        assert len(edges) == len(labels) + 1
        assert (np.diff(edges) > 0).all()
        assert len(labels) <= 65
    else:
        assert len(labels) == len({*real, *synthetic}) <= 20


@given(values=VALUES)
def test_a_table_has_the_same_picture_as_itself(values: list[float]) -> None:
    column = np.array(values)
    _, _, places = bins(column, column[::-1], date=False)
    assert sorted(places[0]) == sorted(places[1])


def test_whole_numbers_get_a_bar_each_and_long_tails_one_bar() -> None:
    ages = np.arange(20.0, 50.0).repeat(20)
    labels, edges, _ = bins(ages, ages, date=False)
    assert labels == tuple(str(age) for age in range(20, 50))
    assert edges[:2] == (19.5, 20.5)
    pay = np.concatenate([np.linspace(0, 100, 1000), [5_000.0]])
    labels, edges, places = bins(pay, np.array([-900.0, 100.0]), date=False)
    assert labels[0].startswith("below")
    assert labels[-1].endswith("or more")
    assert (edges[0], edges[-1]) == (-np.inf, np.inf)
    assert places[0][-1] == len(labels) - 1
    assert places[1][0] == 0


def test_labels_say_what_the_bins_hold() -> None:
    labels, edges, _ = bins(np.arange(300.0), np.array([5.0, 700.0]), date=False)
    assert (labels[0], edges[:2]) == ("0 to 9", (-0.5, 9.5))
    assert (labels[-1], edges[-2:]) == ("300 or more", (299.5, np.inf))
    assert bins(np.array([-1.5, 12_345.0]), np.array([0.1 + 0.2]), date=False)[0] == ("−1.5", "0.3", "12,345")
    days = pd.date_range("2024-01-01", periods=90, freq="D").astype(np.int64).to_numpy(dtype=np.float64)
    assert bins(days, days, date=True)[0][0].startswith("2024-01-01 to 2024-01-0")


def test_categories_are_counted_as_pandas_counts_them() -> None:
    random = np.random.default_rng(0)
    towns = [f"town {number}" for number in range(40)]
    weights = np.arange(40.0, 0.0, -1) / np.arange(41).sum()
    real = pd.DataFrame({"town": random.choice(towns, 900, p=weights), "x": random.normal(size=900)})
    real.loc[:89, "town"] = None
    synthetic = pd.DataFrame({"town": random.choice([*towns, "Atlantis"], 500), "x": random.normal(size=500)})
    picture = picture_of(draw_pictures(case_of(real, synthetic), {}), "town")
    expected = real["town"].value_counts(normalize=True)
    assert picture.missing == (0.1, 0.0)
    assert len(picture.labels) == 22
    assert picture.labels[20:] == ("all 20 others", "not in the real table")
    assert picture.real[:20] == pytest.approx([expected[label] for label in picture.labels[:20]])
    assert picture.real[:20] == pytest.approx(expected.to_numpy()[:20])
    assert picture.real[20:] == pytest.approx([expected.to_numpy()[20:].sum(), 0])
    drawn = synthetic["town"].value_counts(normalize=True)
    assert picture.synthetic[:20] == pytest.approx([drawn.get(label, 0.0) for label in picture.labels[:20]])
    assert picture.synthetic[21] == pytest.approx(drawn["Atlantis"])


def test_margins_are_shares_worst_first(evaluation: Evaluation) -> None:
    pictures = evaluation.pictures
    assert pictures is not None
    assert [picture.name for picture in pictures.columns] == list(evaluation.columns)
    assert [picture.error for picture in pictures.columns] == list(evaluation.columns.values())
    for picture in pictures.columns:
        assert len(picture.labels) == len(picture.real) == len(picture.synthetic)
        for shares in (picture.real, picture.synthetic):
            assert sum(shares) == pytest.approx(1.0 if picture.name != "empty" else 0.0)
    assert picture_of(pictures, "empty").missing == (1.0, 1.0)
    assert picture_of(pictures, "moment").kind == "date"


def test_the_roc_curve_encloses_the_area_that_is_scored(evaluation: Evaluation) -> None:
    pictures = evaluation.pictures
    assert pictures is not None
    false, true = pictures.roc
    assert np.trapezoid(true, false) == pytest.approx(evaluation["c2st_tree"].value, abs=0.01)


def test_associations_are_symmetric_shares_of_at_most_sixty_columns(wide: Evaluation) -> None:
    pictures = wide.pictures
    assert pictures is not None
    assert set(pictures.associated) == set(list(wide.columns)[:60])
    for matrix in (np.array(pictures.real_association), np.array(pictures.synthetic_association)):
        assert matrix.shape == (60, 60)
        assert (matrix == matrix.T).all()
        assert ((matrix >= 0) & (matrix <= 1)).all()


def test_the_projection_is_fitted_on_both_and_repeats_with_the_seed() -> None:
    random = np.random.default_rng(0)
    real, synthetic = (pd.DataFrame(random.normal(size=(rows, 3)), columns=list("abc")) for rows in (60, 40))
    first, again = (draw_pictures(case_of(real, synthetic), {}) for _ in range(2))
    assert first == again
    assert first.projection is not None
    points = np.vstack([first.projection["real"], first.projection["synthetic"]])
    assert points.shape == (80, 2)
    assert points.mean(axis=0) == pytest.approx([0, 0], abs=1e-5)
    assert 1 > first.explained[0] > first.explained[1] > 0
    assert first.roc == ((), ())


@pytest.mark.parametrize("column", [[1.5] * 30, [None] * 30, ["x", "y"] * 15, list(range(30))])
def test_a_single_column_is_drawn_without_what_needs_two(column: list[object]) -> None:
    frame = pd.DataFrame({"only": column})
    pictures = draw_pictures(case_of(frame, frame), {})
    assert pictures.associated == ()
    assert len(pictures.columns) == 1
    assert pictures.columns[0].error == 0
