from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.errors import PrivacyError
from synthkit.privacy.edge_choice import _nearest_with_sum, chosen_edges, consistent_leaves
from synthkit.privacy.edges import _grid, _noisy_tree, node_counts, private_edges, tree_levels
from synthkit.privacy.noise import NoiseSource

TINY = 1e-6  # a sigma at which the discrete Gaussian is 0


def a_source(seed=0):
    return NoiseSource(reproducible_seed=seed)


def bins_of(values, low, high, integral=True, sigma=5.0, **more):
    return private_edges(np.asarray(values), low, high, integral, sigma, a_source(), **more)


def rows_in(bins, values):
    """True counts of the bins."""
    place = np.clip(np.searchsorted(bins.edges, values, side="right") - 1, 0, bins.counts.size - 1)
    return np.bincount(place, minlength=bins.counts.size)


# -- which levels --


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9))
def test_levels_of_whole_numbers_end_at_single_ticks(low, span) -> None:
    levels = tree_levels(low, low + span, True)
    assert list(levels) == sorted(set(levels))
    assert levels[-1] == min(span.bit_length(), 24)
    assert levels[0] <= 8
    assert np.diff(levels).max(initial=0) <= 5


@given(st.floats(-1e300, 1e300), st.floats(1e-3, 1e3))
def test_levels_of_other_numbers_do_not_depend_on_the_range(low, span) -> None:
    high = low + max(span, abs(low) * 1e-3)
    assert tree_levels(low, high, False) == (8, 12)


def test_levels_of_adult() -> None:
    ranges = [(17, 90), (0, 1_500_000), (1, 16), (0, 99_999), (0, 5000), (1, 99)]
    levels = [tree_levels(*bounds, True) for bounds in ranges]
    assert levels == [(7,), (8, 12, 17, 21), (4,), (8, 12, 17), (8, 13), (7,)]


# -- what bins are, whatever the data --


@st.composite
def number_columns(draw):
    integral = draw(st.booleans())
    low = draw(st.integers(-50, 50))
    high = low + draw(st.integers(0 if integral else 1, 3000))
    if integral:
        values = np.array(draw(st.lists(st.integers(-(2**60), 2**60) | st.integers(low, high), max_size=40)), np.int64)
    else:
        values = np.array(draw(st.lists(st.floats(allow_nan=True) | st.floats(low, high), max_size=40)), float)
    return np.repeat(values, draw(st.sampled_from([1, 30]))), low, high, integral


@settings(max_examples=150)
@given(number_columns(), st.sampled_from([TINY, 1.0, 40.0]), st.integers(1, 40), st.integers(0, 3), st.booleans())
def test_bins_cover_the_range_whatever_the_data(column, sigma, most, seed, with_total) -> None:
    values, low, high, integral = column
    total = float(values.size) if with_total else None
    bins = private_edges(values, low, high, integral, sigma, a_source(seed), most, total=total)
    assert bins.edges[0] == low
    assert bins.edges[-1] == (high + 1 if integral else high)
    assert np.all(np.diff(bins.edges) > 0)
    assert bins.edges.dtype == (np.int64 if integral else np.float64)
    assert bins.counts.shape == bins.points.shape == (bins.edges.size - 1,)
    assert 1 <= bins.counts.size <= most
    assert np.all(bins.counts >= 0)
    assert np.array_equal(bins.points, (np.diff(bins.edges) == 1) & integral)


@given(number_columns(), st.integers(1, 40))
def test_without_noise_counts_are_exact(column, most) -> None:
    values, low, high, integral = column
    bins = private_edges(values, low, high, integral, TINY, a_source(), most)
    present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if not integral:
        # Rounding may put a value on an edge into the bin below: compare away from edges.
        inside = np.clip(present, low, high)
        if np.isin(inside, bins.edges).any() or (np.abs(inside[:, None] - bins.edges[None]).min(initial=1) < 1e-9):
            return
    np.testing.assert_allclose(bins.counts, rows_in(bins, np.clip(present, low, high)), atol=1e-6)
    assert bins.missing_count == values.size - present.size


@given(number_columns())
def test_the_noisy_tree_without_noise_is_the_exact_one(column) -> None:
    values, low, high, integral = column
    bins = private_edges(values, low, high, integral, TINY, a_source())
    exact = node_counts(values, low, high, integral)
    for node, count in bins.visited.items():
        assert count == exact.get(node, 0)
    # Nodes below one with rows in it have been looked at, so that no row is lost on the way down.
    assert sum(count for (level, _), count in bins.visited.items() if level == 0) + bins.missing_count == values.size


def test_each_row_is_in_one_node_of_each_level() -> None:
    values = np.r_[np.arange(-5, 400), np.nan, -1.0, -1.0]
    exact = node_counts(values, 0, 300, False, spikes=(-1.0,))
    by_level = {level: sum(count for (own, _), count in exact.items() if own == level) for level in (-1, 0, 1)}
    tree = values.size - 4  # one is missing, three are at the spike
    assert by_level == {-1: 4, 0: tree, 1: tree}


# -- quality --


def test_values_that_many_rows_share_become_bins_of_their_own() -> None:
    random = np.random.default_rng(0)
    values = np.r_[
        np.zeros(30_000, int), random.integers(1, 100_000, 3000), np.full(1500, 15_024), np.full(1000, 99_999)
    ]
    bins = bins_of(values, 0, 99_999, sigma=50.0)
    assert {0, 15_024, 99_999} <= set(bins.edges[:-1][bins.points].tolist())
    heavy = np.flatnonzero(np.isin(bins.edges[:-1], [0, 15_024, 99_999]))
    np.testing.assert_allclose(bins.counts[heavy], [30_000, 1500, 1000], atol=300)


def test_hours_of_work_have_their_round_numbers() -> None:
    random = np.random.default_rng(0)
    values = np.r_[random.integers(1, 100, 15_000), np.full(18_000, 40), np.full(3000, 50), np.full(2000, 45)]
    bins = bins_of(values, 1, 99, sigma=50.0)
    assert {40, 45, 50} <= set(bins.edges[:-1][bins.points].tolist())


def test_an_even_column_has_bins_of_even_size() -> None:
    values = np.random.default_rng(0).random(40_000)
    bins = bins_of(values, 0.0, 1.0, integral=False, sigma=20.0)
    assert bins.counts.size == 32
    assert rows_in(bins, values).max() < 4 * values.size / 32


def test_a_narrow_range_has_a_bin_for_each_tick() -> None:
    values = np.repeat(np.arange(1, 17), 2000)
    bins = bins_of(values, 1, 16, sigma=50.0)
    assert bins.edges.tolist() == list(range(1, 18))
    assert bins.points.all()


def test_noise_alone_has_hardly_any_bins() -> None:
    bins = [
        private_edges(np.zeros(0, int), 0, 10**6, True, 50.0, a_source(seed), total=0.0).counts.size
        for seed in range(5)
    ]
    assert bins == [1] * 5


@pytest.mark.parametrize("integral", [True, False])
def test_bins_fit_better_than_even_ones(integral) -> None:
    random = np.random.default_rng(0)
    values = np.minimum(random.lognormal(8, 1.5, 40_000), 500_000)
    values = values.astype(int) if integral else values
    bins = bins_of(values, 0, 500_000, integral, sigma=50.0)
    ordered = np.sort(values)
    below = np.arange(1, values.size + 1) / values.size

    def error(edges):
        counts = np.diff(np.searchsorted(ordered, edges))
        return np.abs(np.interp(ordered, edges, np.r_[0, np.cumsum(counts)] / values.size) - below).max()

    assert error(bins.edges.astype(float)) < 0.015 < error(np.linspace(0, 500_001, bins.edges.size))


def test_missing_cells_and_spikes_take_no_part_in_the_bins() -> None:
    values = np.r_[np.full(5000, -9), np.arange(0, 3000) % 100, np.full(2000, 7)]
    missing = np.r_[np.zeros(8000, bool), np.ones(2000, bool)]
    bins = bins_of(values, 0, 99, sigma=5.0, missing=missing, spikes=(-9, 55), total=10_000)
    assert bins.spikes == (-9, 55)
    np.testing.assert_allclose(bins.spike_counts, [5000, 30], atol=30)
    assert abs(bins.missing_count - 2000) < 30
    assert abs(bins.counts.sum() - 2970) < 60


def test_narrow_integers_may_have_a_wide_range() -> None:
    bins = private_edges(np.array([1, 100, -100], np.int8), -(10**6), 10**6, True, TINY, a_source())
    assert bins.counts.sum() == pytest.approx(3)


@pytest.mark.parametrize(("low", "high"), [(-(2**60), 2**60), (2**59, 2**60)])
def test_a_range_may_be_very_wide(low, high) -> None:
    bins = private_edges(np.array([low, high, high, 5]), low, high, True, 5.0, a_source())
    assert (bins.edges[0], bins.edges[-1]) == (low, high + 1)


def test_one_tick_is_one_bin() -> None:
    bins = bins_of([3, 3, 3], 3, 3)
    assert bins.edges.tolist() == [3, 4]
    assert bins.points.tolist() == [True]


# -- what follows the noise --


@given(
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(0.5, 1e3)), min_size=1, max_size=8),
    st.floats(0, 1e4),
    st.integers(0, 100),
)
def test_the_nearest_counts_with_a_sum_are_the_nearest(cells, total, seed) -> None:
    means, variances = np.array(cells).T
    found = _nearest_with_sum(means, variances, total)
    assert np.all(found >= 0)
    assert found.sum() == pytest.approx(total, abs=1e-6 * max(1, np.abs(means).max(), total))
    # Any other counts that are allowed are further away.
    other = np.random.default_rng(seed).dirichlet(np.ones(means.size)) * total
    assert ((found - means) ** 2 / variances).sum() <= ((other - means) ** 2 / variances).sum() + 1e-3


def test_counts_of_a_tree_agree_and_are_better_than_the_leaves_alone() -> None:
    random = np.random.default_rng(0)
    values = random.choice([5, 6, 7, 40, 900], 20_000, p=[0.3, 0.3, 0.2, 0.1, 0.1])
    grid, sigma = _grid(0, 1023, True, 0), 60.0
    truth = np.bincount(values, minlength=1024)
    consistent, alone = [], []
    for seed in range(10):
        tree = _noisy_tree(np.sort(values), grid, (4, 7, 10), sigma, a_source(seed), 32, 20_000.0)
        starts, counts = consistent_leaves(tree, sigma, 20_000.0, grid.bits)
        assert starts[0] == 0
        assert np.all(np.diff(starts) > 0)
        assert counts.sum() == pytest.approx(20_000)
        leaves = np.flatnonzero(np.diff(np.r_[starts, 1024]) == 1)
        consistent.append(np.square(counts[leaves] - truth[starts[leaves]]).mean())
        last = tree[-1]
        alone.append(np.square(last.noisy - truth[last.nodes]).mean())
    assert np.mean(consistent) < 0.5 * np.mean(alone)


def test_edges_are_set_around_a_leaf_that_stands_out() -> None:
    counts = np.r_[np.full(50, 100.0), 5000.0, np.full(49, 100.0)]
    cuts, kept = chosen_edges(np.arange(100), counts, 100, 10.0, 3)
    assert cuts.tolist() == [0, 50, 51, 100]
    assert kept.tolist() == [5000.0, 5000.0, 4900.0]


def test_bins_do_not_follow_noise() -> None:
    # 1,000 even leaves whose noise is as large as they are: cut for size alone, so into pieces of many leaves each.
    noisy = np.maximum(40 + a_source().discrete_gaussian(40.0, 1000), 0).astype(float)
    cuts, _ = chosen_edges(np.arange(1000), noisy, 1000, 40.0, 20)
    assert np.diff(cuts).min() > 10


# -- bad input --


@pytest.mark.parametrize(
    ("low", "high", "integral"),
    [(1, 0, True), (0, math.inf, True), (math.nan, 1, False), (0.5, 2, True), (1.0, 1.0, False), (0, 2**61, True)],
)
def test_a_range_that_makes_no_sense_is_refused(low, high, integral) -> None:
    with pytest.raises(PrivacyError, match="bounds"):
        private_edges(np.zeros(3), low, high, integral, 1.0, a_source())


@pytest.mark.parametrize("levels", [(), (3, 2), (2, 2), (-1, 3), (4, 9)])
def test_levels_that_make_no_sense_are_refused(levels) -> None:
    with pytest.raises(PrivacyError, match="levels must ascend"):
        private_edges(np.zeros(3), 0, 255, True, 1.0, a_source(), levels=levels)


def test_no_bins_are_refused() -> None:
    with pytest.raises(PrivacyError, match="at least one bin"):
        private_edges(np.zeros(3), 0, 255, True, 1.0, a_source(), 0)
