"""Distances of single columns against SciPy, and their intervals against leaving rows out and drawing again."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from synthkit.evaluation.distances import (
    METRICS,
    cut,
    groups_of_both,
    inner_quantiles,
    jensen_shannon_distance,
    jensen_shannon_score,
    shares_without_groups,
    wasserstein_distance,
    wasserstein_score,
)
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.view import TableView
from synthkit.random import scoring_generator


def make(seed: int, rows: int) -> pd.DataFrame:
    """A table of numbers with ties and gaps, dates, and labels with gaps."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": np.round(random.normal(size=rows), 1),
            "income": np.exp(random.normal(size=rows)),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 1000, rows), unit="D"),
            "town": random.choice(["Bern", "Basel", "Thun", "Chur"], rows, p=[0.5, 0.3, 0.15, 0.05]),
            "flag": random.random(rows) < 0.3,
        }
    )
    gaps = random.random((rows, 2)) < 0.1
    return frame.assign(size=frame["size"].mask(gaps[:, 0]), town=frame["town"].mask(gaps[:, 1]))


def wasserstein(real: np.ndarray, synthetic: np.ndarray) -> float:
    """The distance on all rows."""
    none = np.zeros(len(real), dtype=np.int64), np.zeros(len(synthetic), dtype=np.int64)
    return float(wasserstein_distance(real, synthetic, none, 1)[0])


@given(seed=st.integers(0, 1000), real=st.integers(3, 60), synthetic=st.integers(1, 60))
def test_wasserstein_is_that_of_scipy_in_real_standard_deviations(seed: int, real: int, synthetic: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.normal(size=real).round(1), 1 + 2 * random.normal(size=synthetic).round(1)
    first[:3] = 0.0, 0.5, 1.0
    expected = stats.wasserstein_distance(first, second) / first.std(ddof=1)
    gaps = np.full(2, np.nan)
    assert wasserstein(np.append(first, gaps), np.append(gaps, second)) == pytest.approx(expected)


@given(seed=st.integers(0, 1000), factor=st.sampled_from([1e-150, 0.1, 7.0, 1e150]))
def test_wasserstein_does_not_depend_on_the_unit(seed: int, factor: float) -> None:
    random = np.random.default_rng(seed)
    first, second = random.normal(size=40), random.normal(0.3, 1.5, size=30)
    assert wasserstein(factor * first, factor * second) == pytest.approx(wasserstein(first, second))


@given(shift=st.floats(-5, 5))
def test_a_column_that_is_shifted_is_as_far_as_it_is_shifted(shift: float) -> None:
    column = np.random.default_rng(0).normal(size=50)
    assert wasserstein(column, column + shift) == pytest.approx(abs(shift) / column.std(ddof=1))


@pytest.mark.parametrize(("rows", "tolerance"), [(300, 1e-12), (20_000, 1e-3)])
def test_without_a_group_the_distance_is_that_of_the_other_rows(rows: int, tolerance: float) -> None:
    random = np.random.default_rng(0)
    tables = random.normal(size=rows), random.normal(0.2, 1.2, size=rows - 100)
    tables[0][::9] = np.nan
    groups = np.arange(rows) % 4, np.arange(rows - 100) % 4
    # The last group is empty.
    found = wasserstein_distance(*tables, groups, 5)
    assert found[0] == pytest.approx(wasserstein(*tables))
    assert found[5] == pytest.approx(found[0], abs=tolerance)
    for group in range(4):
        left = [table[rows != group] for table, rows in zip(tables, groups, strict=True)]
        assert found[1 + group] == pytest.approx(wasserstein(*left), abs=tolerance)


def test_a_group_that_holds_all_the_spread_leaves_a_distance() -> None:
    column = np.array([1.0, 1, 1, 1, 2, 3])
    groups = np.array([0, 0, 1, 1, 2, 2])
    assert np.isfinite(wasserstein_distance(column, column + 1, (groups, groups), 3)).all()


def test_columns_without_numbers_or_spread_have_no_wasserstein_distance() -> None:
    none, same = np.full(5, np.nan), np.full(5, 2.0)
    assert wasserstein(same, same) == 0
    assert math.isnan(wasserstein(same, same + 1))
    assert math.isnan(wasserstein(same, none))
    assert math.isnan(wasserstein(none, same))


def test_the_score_is_the_mean_of_its_columns_and_names_what_is_left_out() -> None:
    real, synthetic = make(0, 200), make(1, 150)
    view = TableView(real)
    score = wasserstein_score(view, view.code(real), view.code(synthetic), scoring_generator(0))
    columns = score.details["columns"]
    assert set(columns) == {"size", "income", "since"}
    assert list(columns.values()) == sorted(columns.values(), reverse=True)
    assert score.value == pytest.approx(np.mean(list(columns.values())))
    assert score.low < score.value < score.high
    days = [(frame["since"] - pd.Timestamp("2020-01-01")).dt.days for frame in (real, synthetic)]
    assert columns["since"] == pytest.approx(stats.wasserstein_distance(*days) / days[0].std())

    emptied = wasserstein_score(view, view.code(real), view.code(synthetic.assign(size=np.nan)), scoring_generator(0))
    assert "size" in emptied.note
    assert set(emptied.details["columns"]) == {"income", "since"}


def test_a_table_without_numbers_has_no_wasserstein_distance() -> None:
    real = make(0, 50)[["town", "flag"]]
    view = TableView(real)
    score = wasserstein_score(view, view.code(real), view.code(real), scoring_generator(0))
    assert not score.applies
    assert score.note


def test_intervals_cover_the_mean_over_tables_from_the_same_sources() -> None:
    generator = scoring_generator(0)
    scores = []
    for seed in range(100):
        real, synthetic = make(seed, 150), make(1000 + seed, 200).assign(flag=True)
        synthetic["size"] += 0.2
        view = TableView(real)
        coded = view.code(real), view.code(synthetic)
        scores.append((wasserstein_score(view, *coded, generator), jensen_shannon_score(view, *coded, generator)))
    for found in zip(*scores, strict=True):
        mean = np.mean([score.value for score in found])
        assert np.mean([score.low <= mean <= score.high for score in found]) >= 0.92


@given(seed=st.integers(0, 1000), size=st.integers(1, 30))
def test_jensen_shannon_is_that_of_scipy(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    first, second = (random.multinomial(20, random.dirichlet(np.ones(size))) / 20 for _ in range(2))
    found = jensen_shannon_distance(first, second)
    with np.errstate(invalid="ignore"):
        expected = distance.jensenshannon(first, second, base=2)
    # SciPy takes the root of a rounding error below zero for equal shares.
    assert found == pytest.approx(0 if np.isnan(expected) else expected, abs=1e-7)
    assert found == pytest.approx(jensen_shannon_distance(second, first))
    assert 0 <= found <= 1


def test_the_jensen_shannon_score_compares_bins_and_labels_with_missing_ones() -> None:
    real, synthetic = make(0, 200), make(1, 150)
    view = TableView(real)
    score = jensen_shannon_score(view, view.code(real), view.code(synthetic), scoring_generator(0))
    edges = np.unique(np.nanquantile(real["income"], np.arange(1, 20) / 20))
    for name, read in (
        ("town", lambda frame: frame["town"].fillna("none")),
        ("income", lambda frame: pd.cut(frame["income"], [-np.inf, *edges, np.inf]).astype(str)),
    ):
        shares = pd.concat([read(frame).value_counts(normalize=True) for frame in (real, synthetic)], axis=1).fillna(0)
        assert score.details["columns"][name] == pytest.approx(distance.jensenshannon(*shares.to_numpy().T, base=2))
    assert score.value == pytest.approx(np.mean(list(score.details["columns"].values())))
    assert score.low <= score.value <= score.high


def test_a_column_without_a_common_value_is_at_distance_one() -> None:
    real = make(0, 60)
    view = TableView(real)
    other = real.assign(size=np.nan, income=1e9, town="Zug", flag=True)
    score = jensen_shannon_score(view, view.code(real.assign(size=1.0)), view.code(other), scoring_generator(0))
    columns = score.details["columns"]
    assert columns["size"] == columns["town"] == 1
    assert columns["since"] == 0


@given(seed=st.integers(0, 1000), rows=st.integers(2, 40))
def test_shares_without_a_group_are_those_of_the_other_rows(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    codes, groups = random.integers(0, 5, rows), random.integers(0, 3, rows)
    every, *without = shares_without_groups(codes, groups, 5, 3)
    assert every == pytest.approx(np.bincount(codes, minlength=5) / rows)
    assert len(without) == 3
    for group, shares in enumerate(without):
        left = codes[groups != group]
        assert shares == pytest.approx(np.bincount(left, minlength=5) / max(len(left), 1))


@given(real=st.integers(10, 100), synthetic=st.integers(10, 100), seed=st.integers(0, 5))
def test_both_tables_have_the_same_groups_of_about_equal_size(real: int, synthetic: int, seed: int) -> None:
    first, second, n_groups = groups_of_both(real, synthetic, scoring_generator(seed))
    for groups, rows in ((first, real), (second, synthetic)):
        counts = np.bincount(groups, minlength=n_groups)
        assert len(counts) == n_groups
        assert counts.sum() == rows
        assert counts.min() >= 1


@given(seed=st.integers(0, 1000), bins=st.integers(2, 20))
def test_numbers_are_cut_at_their_quantiles_and_missing_ones_have_a_bin(seed: int, bins: int) -> None:
    column = np.random.default_rng(seed).normal(size=200)
    column[::7] = np.nan
    edges = inner_quantiles(column, bins)
    found = cut(column, edges)
    assert (found[np.isnan(column)] == len(edges) + 1).all()
    counts = np.bincount(found[~np.isnan(column)], minlength=bins)
    assert counts.max() - counts.min() <= 2


def test_a_value_of_most_rows_has_a_bin_of_its_own() -> None:
    column = np.append(np.zeros(90), np.arange(1.0, 11.0))
    edges = inner_quantiles(column, 20)
    assert (cut(column, edges)[:90] == 0).all()
    assert (cut(column, edges)[90:] > 0).all()
    assert len(inner_quantiles(np.full(4, np.nan), 20)) == 0


def test_registered_distances_score_a_case_with_its_controls() -> None:
    case, _ = read_case(make(0, 100), make(1, 80), make(2, 50), Options())
    for metric in METRICS:
        score = metric.score(case)
        assert 0 <= score.low <= score.value <= score.high
        assert score.ceiling > 0
        assert score.floor > 0
        assert score.n == 80
