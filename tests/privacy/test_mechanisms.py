from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import PrivacyError
from synthkit.privacy.categories import label_counts
from synthkit.privacy.histograms import by_adjacency, counts_of, dependence_steps
from synthkit.privacy.mechanisms import (
    bound_contributions,
    dependence_scores,
    label_threshold,
    noisy_histogram,
    noisy_pair_counts,
    noisy_total,
    pair_counts,
    private_categories,
)
from synthkit.privacy.noise import NoiseSource

TINY = 1e-6  # a sigma at which the discrete Gaussian is 0
SIZES = (3, 4, 2)
ALL_PAIRS = [(0, 1), (0, 2), (1, 2)]


@st.composite
def tables(draw, most=30):
    """Codes [n, 3], some out of their domain."""
    row = st.tuples(*(st.integers(-1, size) for size in SIZES))
    return np.array(draw(st.lists(row, max_size=most)), dtype=np.int64).reshape(-1, 3)


def a_source(seed=0):
    return NoiseSource(reproducible_seed=seed)


# -- counts --


@given(tables())
def test_counts_are_those_of_a_loop(codes) -> None:
    for column, size in enumerate(SIZES):
        counted = Counter(codes[:, column].tolist())
        assert counts_of(codes[:, column], size).tolist() == [counted[code] for code in range(size)]


@given(tables())
def test_pair_counts_are_those_of_a_loop(codes) -> None:
    for (i, j), table in zip(ALL_PAIRS, pair_counts(codes, SIZES, ALL_PAIRS), strict=True):
        counted = Counter(zip(codes[:, i].tolist(), codes[:, j].tolist(), strict=True))
        expected = [[counted[a, b] for b in range(SIZES[j])] for a in range(SIZES[i])]
        assert table.tolist() == expected
        assert table.dtype == np.int64


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8])
def test_narrow_codes_do_not_overflow(dtype) -> None:
    codes = np.full((300, 2), 100, dtype)
    [table] = pair_counts(codes, (101, 101), [(0, 1)])
    assert table[100, 100] == table.sum() == 300


def test_without_noise_everything_is_exact() -> None:
    codes = np.random.default_rng(0).integers(0, 2, (50, 3))
    source = a_source()
    assert noisy_histogram(codes[:, 0], 3, TINY, source).tolist() == counts_of(codes[:, 0], 3).tolist()
    assert noisy_total(codes, TINY, source) == 50
    for noisy, exact in zip(
        noisy_pair_counts(codes, SIZES, ALL_PAIRS, TINY, source), pair_counts(codes, SIZES, ALL_PAIRS), strict=True
    ):
        assert np.array_equal(noisy, exact)


def test_each_table_gets_its_own_noise() -> None:
    codes = np.zeros((0, 3), np.int64)
    tables = noisy_pair_counts(codes, (60, 60, 60), ALL_PAIRS, [2.0, 50.0, 2.0], a_source())
    for table, sigma in zip(tables, (2.0, 50.0, 2.0), strict=True):
        assert abs(table.std() / sigma - 1) < 0.1
    assert abs(np.corrcoef(tables[0].ravel(), tables[2].ravel())[0, 1]) < 0.1


def test_a_sigma_for_each_table_means_each_table() -> None:
    with pytest.raises(PrivacyError, match="3 tables needs as many sigmas, got 2"):
        noisy_pair_counts(np.zeros((0, 3), int), SIZES, ALL_PAIRS, [1.0, 2.0], a_source())


@pytest.mark.parametrize("shape", [(4321, 2), (4321,)])
def test_codes_that_are_refused_do_not_say_how_many_rows_there_are(shape) -> None:
    with pytest.raises(PrivacyError, match="one column for each of the 3 sizes, got") as caught:
        noisy_pair_counts(np.zeros(shape, int), SIZES, ALL_PAIRS, 1.0, a_source())
    assert "4321" not in str(caught.value)


def test_codes_without_a_column_for_each_size_are_refused() -> None:
    with pytest.raises(PrivacyError, match="one column for each of the 3 sizes"):
        pair_counts(np.zeros((5, 2), int), SIZES, ALL_PAIRS)


@pytest.mark.parametrize("size", [0, -1])
def test_a_column_without_symbols_is_refused(size) -> None:
    with pytest.raises(PrivacyError, match="at least one symbol"):
        counts_of(np.zeros(3, int), size)


def test_an_unknown_adjacency_is_refused() -> None:
    with pytest.raises(PrivacyError, match="'add-remove' or 'replace-one', got 'swap'"):
        by_adjacency("swap", 1, 2)


# -- dependence --


@given(tables())
def test_dependence_is_its_formula_rounded_down(codes) -> None:
    for steps, table in zip(
        dependence_steps(codes, SIZES, ALL_PAIRS), pair_counts(codes, SIZES, ALL_PAIRS), strict=True
    ):
        n = max(int(table.sum()), 1)
        score = sum(
            abs(Fraction(int(table[a, b])) - Fraction(int(table[a].sum()) * int(table[:, b].sum()), n))
            for a in range(table.shape[0])
            for b in range(table.shape[1])
        )
        assert steps == math.floor(16 * score)


@given(tables(most=12), st.tuples(st.integers(0, 2), st.integers(0, 3)))
def test_one_row_changes_dependence_by_what_the_proof_says(codes, row) -> None:
    # The identity of the docstring, in fractions.
    [table] = pair_counts(codes, SIZES, [(0, 1)])
    n = int(table.sum())

    def off(counts):
        total = max(int(counts.sum()), 1)
        rows, columns = counts.sum(1), counts.sum(0)
        return [int(counts[a, b]) - Fraction(int(rows[a]) * int(columns[b]), total) for a in range(3) for b in range(4)]

    after = table.copy()
    after[row] += 1
    moved = sum(abs(one - other) for one, other in zip(off(table), off(after), strict=True))
    left = Fraction((n - int(table[row[0]].sum())) * (n - int(table[:, row[1]].sum())), max(n * (n + 1), 1))
    assert moved == 4 * left < 4
    change = sum(abs(value) for value in off(after)) - sum(abs(value) for value in off(table))
    assert abs(change) <= moved


def test_dependence_is_large_for_a_function_and_small_for_independent_columns() -> None:
    random = np.random.default_rng(0)
    first, other = random.integers(0, 3, 9000), random.integers(0, 3, 9000)
    codes = np.stack([first, first, other], axis=1)
    same, none, _ = dependence_scores(codes, (3, 3, 3), ALL_PAIRS, 5.0, a_source())
    assert same > 11_000
    assert none < 500


# -- labels --


def tail(epsilon, least, terms=4000):
    """P(noise >= least) of the discrete Laplace noise of scale 1 / epsilon, by adding up."""
    ratio = math.exp(-epsilon)
    return sum((1 - ratio) / (1 + ratio) * ratio**size for size in range(least, least + terms))


@given(st.floats(0.02, 5), st.floats(1e-9, 0.4), st.integers(1, 5))
def test_a_label_of_one_unit_is_published_with_probability_delta_at_most(epsilon, delta, rows) -> None:
    threshold = label_threshold(epsilon, delta, rows)
    rate = epsilon / rows
    worst = max(
        count * tail(rate, threshold - rows // count) if threshold > rows // count else 1.0
        for count in range(1, rows + 1)
    )
    assert worst <= delta * (1 + 1e-6)
    # And it is the smallest that the docstring promises.
    assert threshold == rows + 1 or tail(rate, threshold - 1 - rows) > delta / rows * (1 - 1e-6)


@given(st.floats(0.02, 5), st.floats(1e-9, 0.4))
def test_the_threshold_is_near_that_of_continuous_noise(epsilon, delta) -> None:
    continuous = 1 + math.log(1 / (2 * delta)) / epsilon
    assert -1 <= label_threshold(epsilon, delta) - continuous <= 2 + math.log(2) / epsilon


@pytest.mark.parametrize(
    ("epsilon", "delta", "rows"),
    [
        (0, 0.1, 1),
        (-1, 0.1, 1),
        (math.nan, 0.1, 1),
        (math.inf, 0.1, 1),
        (1, 0, 1),
        (1, 1, 1),
        (1, math.nan, 1),
        (1, 0.1, 0),
    ],
)
def test_an_impossible_price_is_refused(epsilon, delta, rows) -> None:
    with pytest.raises(PrivacyError, match="buying labels needs"):
        label_threshold(epsilon, delta, rows)


def test_labels_come_in_an_order_that_says_nothing() -> None:
    labels = np.array(["b"] * 900 + ["ä"] * 500 + ["a"] * 500 + ["rare"] + [None, np.nan], dtype=object)
    found = private_categories(labels, 1.0, 1e-6, a_source())
    assert found.labels == ("a", "b", "ä")
    assert found.labels == private_categories(labels[::-1], 1.0, 1e-6, a_source()).labels
    assert np.abs(found.counts - [500, 900, 500]).max() < 30
    assert found.counts.min() >= found.threshold


def test_missing_cells_are_no_labels() -> None:
    labels = np.array(["a", "a", "", None, float("nan")], dtype=object)
    assert label_counts(labels) == {"a": 2, "": 1}
    assert label_counts(labels, np.array([True, False, True, False, False])) == {"a": 1}


def test_labels_of_a_unit_with_many_rows_need_more() -> None:
    labels = np.array(["a"] * 40, dtype=object)
    assert private_categories(labels, 1.0, 1e-5, a_source()).labels == ("a",)
    assert private_categories(labels, 1.0, 1e-5, a_source(), rows_per_unit=10).labels == ()


def test_no_rows_have_no_labels() -> None:
    found = private_categories(np.array([], dtype=object), 1.0, 1e-5, a_source())
    assert found.labels == ()
    assert found.counts.shape == (0,)


# -- rows of a unit --


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=30), st.integers(1, 4), st.integers(0, 5))
def test_a_unit_keeps_as_many_rows_as_it_may(units, most, seed) -> None:
    kept = bound_contributions(np.array(units, dtype=object), most, a_source(seed))
    before, after = Counter(units), Counter(unit for unit, keep in zip(units, kept, strict=True) if keep)
    assert after == {unit: min(count, most) for unit, count in before.items() if unit is not None}


@pytest.mark.parametrize("units", [np.array([1.0, np.nan, 1.0]), np.array([1, None, 1], dtype=object)])
def test_a_row_without_a_unit_is_not_kept(units) -> None:
    assert bound_contributions(units, 5, a_source()).tolist() == [True, False, True]


def test_every_row_of_a_unit_is_as_likely_to_be_kept() -> None:
    source = a_source()
    units = np.array([7] * 5 + [8] * 3)
    kept = np.mean([bound_contributions(units, 2, source) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(kept, [0.4] * 5 + [2 / 3] * 3, atol=0.04)


def test_a_unit_must_keep_a_row() -> None:
    with pytest.raises(PrivacyError, match="at least one row, got 0"):
        bound_contributions(np.array([1]), 0, a_source())
