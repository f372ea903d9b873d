from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tables import all_rows, distance, likelihood, noise, probability, random_table

from synthkit.errors import ConditionError
from synthkit.gan.table import CodeTable

DRAWS = 20_000
shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@st.composite
def tables(draw):
    return random_table(
        draw(shapes), draw(st.integers(1, 4)), draw(st.integers(0, 99)), draw(st.sampled_from([0.3, 2]))
    )


@st.composite
def conditioned_tables(draw):
    """A table and weights of the symbols of some of its columns, at least one positive in each."""
    table = draw(tables())
    columns = draw(st.sets(st.integers(0, len(table.sizes) - 1), min_size=1))
    weights = {}
    for column in columns:
        size = int(table.sizes[column])
        own = np.array(draw(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=size, max_size=size)))
        own[draw(st.integers(0, size - 1))] = draw(st.sampled_from([0.5, 1.0]))
        weights[column] = own
    return table, weights


def law(table, rows):
    return np.array([likelihood(table, row) for row in rows])


def counted(rows, drawn, sizes):
    places = np.ravel_multi_index(drawn.T, sizes)
    return np.bincount(places, minlength=len(rows)).astype(float)


@settings(max_examples=15)
@given(tables())
def test_draws_follow_the_mixture(table):
    rows = all_rows(table.sizes)
    expected = law(table, rows)
    assert expected.sum() == pytest.approx(1, abs=1e-5)
    codes, drawn = table.draw(DRAWS, np.random.default_rng(0))
    assert drawn.dtype == np.int32
    assert distance(counted(rows, drawn, table.sizes), expected) < noise(expected, DRAWS)
    assert distance(np.bincount(codes, minlength=len(table.log_weights)), np.exp(table.log_weights)) < noise(
        np.exp(table.log_weights), DRAWS
    )


@settings(max_examples=15)
@given(tables())
def test_even_draws_follow_the_mixture_with_less_noise(table):
    rows = all_rows(table.sizes)
    expected = law(table, rows)
    codes, drawn = table.draw_evenly(DRAWS, np.random.default_rng(0))
    assert drawn.dtype == np.int32
    assert distance(counted(rows, drawn, table.sizes), expected) < noise(expected, DRAWS)
    weights = np.exp(table.log_weights)
    by_code = np.bincount(codes, minlength=len(weights))
    assert np.abs(by_code - DRAWS * weights).max() <= 1 + 1e-6
    for code, count in enumerate(by_code):
        for column, size in enumerate(table.sizes):
            part = slice(table.offsets[column], table.offsets[column + 1])
            found = np.bincount(drawn[codes == code, column], minlength=size)
            assert np.abs(found - count * np.exp(table.log_theta[code, part])).max() <= 1 + 1e-3


@given(tables(), st.integers(0, 5), st.integers(0, 99))
def test_few_even_draws_are_as_good_as_any(table, n, seed):
    codes, drawn = table.draw_evenly(n, np.random.default_rng(seed))
    assert codes.shape == (n,)
    assert drawn.shape == (n, len(table.sizes))
    assert ((drawn >= 0) & (drawn < table.sizes)).all()


def test_every_row_of_an_even_draw_has_the_law_of_the_mixture():
    """The first row over many seeds, and two columns given the only code: they are not paired by their order."""
    table = random_table([3, 4], 3, 1, 1.0)
    rows = all_rows(table.sizes)
    firsts = np.array([table.draw_evenly(7, np.random.default_rng(seed))[1][0] for seed in range(4_000)])
    expected = law(table, rows)
    assert distance(counted(rows, firsts, table.sizes), expected) < noise(expected, 4_000)
    single = random_table([3, 4], 1, 2, 1.0)
    _, drawn = single.draw_evenly(DRAWS, np.random.default_rng(0))
    pairs = np.histogram2d(drawn[:, 0], drawn[:, 1], bins=(3, 4))[0]
    product = np.outer(pairs.sum(1), pairs.sum(0)) / DRAWS
    assert (np.abs(pairs - product) < 5 * np.sqrt(product)).all()


@given(tables())
def test_log_likelihood_is_what_the_definition_says(table):
    rows = all_rows(table.sizes)[:50]
    np.testing.assert_allclose(table.log_likelihood(rows), np.log(law(table, rows)), rtol=1e-4, atol=1e-4)


@given(tables(), st.data())
def test_unknown_cells_are_integrated_out(table, data):
    row = np.array([[data.draw(st.integers(-1, int(size) - 1)) for size in table.sizes]], np.int32)
    fits = [full for full in all_rows(table.sizes) if all(r in (-1, f) for r, f in zip(row[0], full, strict=True))]
    np.testing.assert_allclose(np.exp(table.log_likelihood(row)[0]), law(table, fits).sum(), rtol=1e-3, atol=1e-6)


@settings(max_examples=15)
@given(tables(), st.data())
def test_posterior_is_that_of_bayes(table, data):
    row = [data.draw(st.integers(-1, int(size) - 1)) for size in table.sizes]
    expected = np.array([probability(table, row, code) for code in range(len(table.log_weights))])
    codes = table.posterior(np.tile(np.array(row, np.int32), (DRAWS, 1)), np.random.default_rng(1))
    assert distance(np.bincount(codes, minlength=len(expected)), expected) < noise(expected, DRAWS)


@settings(max_examples=20)
@given(conditioned_tables())
def test_restriction_is_conditioning(case):
    """The restricted law is the law times the weights, normalised: brute force over every row."""
    table, weights = case
    rows = all_rows(table.sizes)
    kept = np.prod([own[rows[:, column]] for column, own in weights.items()], axis=0)
    expected = law(table, rows) * kept
    given_weights = table.restricted(weights)
    np.testing.assert_allclose(law(given_weights, rows), expected / expected.sum(), rtol=1e-3, atol=1e-6)
    _, drawn = given_weights.draw(DRAWS, np.random.default_rng(2))
    for column, own in weights.items():
        assert (own[drawn[:, column]] > 0).all()
    assert distance(counted(rows, drawn, table.sizes), expected) < noise(expected, DRAWS)
    np.testing.assert_allclose(np.exp(given_weights.log_weights).sum(), 1, rtol=1e-6)


@given(conditioned_tables())
def test_restriction_leaves_the_table_as_it_was(case):
    table, weights = case
    theta, own = table.log_theta.copy(), table.log_weights.copy()
    table.restricted(weights)
    np.testing.assert_array_equal(table.log_theta, theta)
    np.testing.assert_array_equal(table.log_weights, own)


def test_conditions_on_columns_one_after_the_other_are_conditions_on_both():
    table = random_table([4, 3, 5], codes=4)
    first, second = {0: np.array([0, 1, 0.5, 0])}, {2: np.array([1.0, 0, 0, 0, 1.0])}
    rows = all_rows(table.sizes)
    both = law(table.restricted(first | second), rows)
    np.testing.assert_allclose(law(table.restricted(first).restricted(second), rows), both, atol=1e-6)


def test_very_rare_conditions_do_not_underflow():
    """Forty conditions of probability e^-20 each: their product is far below the smallest double."""
    columns, codes = 40, 3
    theta = np.tile(np.log1p(-np.exp(-20.0)), (codes, 2 * columns))
    theta[:, 1::2] = -20.0
    theta[1, 1::2] = -20.5  # the second code makes them less likely by e^-20 in total
    theta[:, 0::2] = np.log1p(-np.exp(theta[:, 1::2]))
    table = CodeTable(theta.astype(np.float32), np.log(np.array([0.5, 0.3, 0.2])), [2] * columns)
    restricted = table.restricted({column: np.array([0.0, 1.0]) for column in range(columns)})
    assert np.isfinite(restricted.log_weights[[0, 2]]).all()
    np.testing.assert_allclose(np.exp(restricted.log_weights), [5 / 7, 0, 2 / 7], atol=1e-6)
    _, drawn = restricted.draw(1_000, np.random.default_rng(0))
    assert (drawn == 1).all()
    codes_found = table.posterior(np.ones((DRAWS, columns), np.int32), np.random.default_rng(1))
    assert distance(np.bincount(codes_found, minlength=3), np.array([5, 1e-9, 2])) < 0.02


def test_a_code_that_cannot_hold_the_condition_is_never_drawn():
    theta = np.log(np.array([[0.5, 0.5, 1e-30, 1.0], [0.5, 0.5, 1.0, 1e-30]])).astype(np.float32)
    table = CodeTable(theta, np.log([0.5, 0.5]), [2, 2])
    restricted = table.restricted({1: np.array([1.0, 0.0])})
    codes, drawn = restricted.draw(5_000, np.random.default_rng(0))
    assert (codes == 1).all()
    assert (drawn[:, 1] == 0).all()


def test_conditions_that_nothing_satisfies_are_refused():
    with pytest.raises(ConditionError, match=r"every symbol of columns \[0\]"):
        random_table([3, 2]).restricted({0: np.zeros(3), 1: np.ones(2)})


@given(tables(), st.integers(0, 3))
def test_the_same_seed_draws_the_same_rows(table, seed):
    one, two = (table.draw(50, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


def test_no_rows_are_no_rows():
    table = random_table([3, 2])
    codes, drawn = table.draw(0, np.random.default_rng(0))
    assert codes.shape == (0,)
    assert drawn.shape == (0, 2)
    assert table.log_likelihood(drawn).shape == (0,)
    assert table.posterior(drawn, np.random.default_rng(0)).shape == (0,)
