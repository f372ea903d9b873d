from __future__ import annotations

import numpy as np
import pytest
from exact_chains import CHAINS, at_the_target, counts, exact_law, setting
from hypothesis import given
from hypothesis import strategies as st
from small_tables import distance, likelihood, noise

from synthkit.gan.chains import Chains, ChainSampler, Move, moves, parting, systematic, systematic_subset

PREDICTED = pytest.mark.parametrize("predicted", [False, True], ids=["codes alone", "predicted target"])
EVERY_MOVE = [*moves(3, target=1), *parting(3), Move(share=0.1), Move(share=0.25)]


def test_the_ratio_makes_a_difference():
    table, view, ratio, rows, positions = setting()
    base = np.array([likelihood(table, row) for row in rows])
    assert distance(base, exact_law(table, view, ratio, rows, positions)) > 0.2


@PREDICTED
@pytest.mark.parametrize("recode", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("move", EVERY_MOVE, ids=str)
def test_every_move_leaves_the_exact_law_as_it_is(move, recode, predicted):
    table, view, ratio, rows, positions = setting(predicted=predicted)
    law = exact_law(table, view, ratio, rows, positions)
    rng = np.random.default_rng(5)
    sampler = ChainSampler(table, view, ratio)
    chains = at_the_target(sampler, rows, law, rng)
    before = chains.symbols.copy()
    accepted = [sampler.move(chains, move, rng, recode=recode) for _ in range(4)]
    assert distance(counts(chains, rows), law) < noise(law, CHAINS)
    assert min(accepted) > 0.05
    assert (before != chains.symbols).any()


@PREDICTED
def test_chains_from_anywhere_reach_the_exact_law(predicted):
    table, view, ratio, rows, positions = setting(predicted=predicted)
    law = exact_law(table, view, ratio, rows, positions)
    rng = np.random.default_rng(6)
    sampler = ChainSampler(table, view, ratio)
    chains = sampler.start(CHAINS, rng)
    assert distance(counts(chains, rows), law) > 0.2
    for _ in range(6):
        sampler.settle(chains, moves(3), rng, recode=1.0)
    assert distance(counts(chains, rows), law) < noise(law, CHAINS)


def test_both_stages_of_acceptance_have_something_to_say():
    _, view, ratio, rows, positions = setting()
    seen = view.rows(rows, positions)
    predicted = ratio.predict(seen, np.zeros(len(rows), np.int8))
    early, late = ratio.early(seen, predicted), ratio.late(seen, rows, predicted)
    assert early.std() > 0.1
    assert late.std() > 0.1
    np.testing.assert_allclose(early + late, ratio(seen, rows, predicted), rtol=1e-6)


def test_codes_and_rows_stay_a_pair():
    """Given the row, the code of a chain follows its posterior also without drawing it anew."""
    table, view, ratio, rows, positions = setting()
    law = exact_law(table, view, ratio, rows, positions)
    rng = np.random.default_rng(7)
    sampler = ChainSampler(table, view, ratio)
    chains = at_the_target(sampler, rows, law, rng)
    for _ in range(3):
        sampler.settle(chains, moves(3), rng)
    row = int(np.argmax(law))
    codes = chains.codes[(chains.symbols == rows[row]).all(axis=1)]
    joint = table.joint(rows[row : row + 1])[0].astype(float)
    posterior = np.exp(joint - joint.max())
    assert distance(np.bincount(codes, minlength=3).astype(float), posterior) < noise(posterior, len(codes))


@PREDICTED
def test_stored_energy_and_view_are_those_of_the_row(predicted):
    table, view, ratio, _, _ = setting(predicted=predicted)
    rng = np.random.default_rng(8)
    sampler = ChainSampler(table, view, ratio)
    chains = sampler.start(500, rng)
    sampler.settle(chains, EVERY_MOVE, rng, recode=0.3)
    np.testing.assert_array_equal(chains.view, view.rows(chains.symbols, chains.positions))
    np.testing.assert_allclose(
        chains.energy, ratio(chains.view, chains.symbols, chains.predicted), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(chains.early, ratio.early(chains.view, chains.predicted), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(chains.predicted, ratio.predict(chains.view, chains.folds))


def test_without_a_ratio_everything_is_accepted():
    table, view, ratio, _, _ = setting(trees=False)
    ratio.tilts[:] = 0
    rng = np.random.default_rng(9)
    sampler = ChainSampler(table, view, ratio)
    chains = sampler.start(300, rng)
    assert all(sampler.move(chains, move, rng) == 1.0 for move in EVERY_MOVE)


# --------------------------------------------------------------------------------------------------------- conditions

WHERE = {0: np.array([0.0, 1.0, 1.0]), 2: np.array([0.0, 0.4, 1.0, 0.0])}
INTERVALS = {
    0: (np.zeros(3), np.ones(3)),
    2: (np.array([0.0, 0.6, 0.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0])),
}


CONDITIONS = {
    "others": WHERE,
    "target": {1: np.array([0.0, 1.0])},
    "target, in part": {1: np.array([0.3, 1.0])},
    "target and others": {**WHERE, 1: np.array([1.0, 0.0])},
}


def conditional(where, predicted):
    """A sampler under conditions, all rows, and their exact law under the conditions."""
    table, view, ratio, rows, positions = setting(predicted=predicted)
    intervals = {column: own for column, own in INTERVALS.items() if column in where}
    sampler = ChainSampler(table, view, ratio, where, intervals)
    return sampler, rows, exact_law(table, view, ratio, rows, positions, where)


@PREDICTED
@pytest.mark.parametrize("where", CONDITIONS.values(), ids=CONDITIONS)
def test_conditional_chains_have_the_exact_conditional_law(where, predicted):
    sampler, rows, law = conditional(where, predicted)
    rng = np.random.default_rng(10)
    chains = sampler.start(CHAINS, rng)
    for _ in range(8):
        sampler.settle(chains, moves(3), rng, recode=1.0)
    assert distance(counts(chains, rows), law) < noise(law, CHAINS)


@PREDICTED
@pytest.mark.parametrize("where", CONDITIONS.values(), ids=CONDITIONS)
def test_weighing_new_chains_gives_the_exact_conditional_law(where, predicted):
    sampler, rows, law = conditional(where, predicted)
    rng = np.random.default_rng(14)
    pool = sampler.start(40 * CHAINS, rng)
    weights = sampler.weights(pool)
    chains = pool.take(systematic(np.exp(weights - weights.max()), CHAINS, rng))
    assert distance(counts(chains, rows), law) < noise(law, CHAINS)


@PREDICTED
@pytest.mark.parametrize("where", CONDITIONS.values(), ids=CONDITIONS)
def test_chains_are_resumed_with_the_energy_they_have_under_the_conditions(where, predicted):
    table, view, ratio, _, _ = setting(predicted=predicted)
    rng = np.random.default_rng(15)
    chains = ChainSampler(table, view, ratio).start(400, rng)
    sampler = ChainSampler(table, view, ratio, where)
    resumed = sampler.resume(chains.codes, chains.symbols, chains.positions, chains.energy, chains.folds)
    known = sampler.of(chains.codes, chains.symbols, chains.positions, chains.folds)
    np.testing.assert_allclose(resumed.energy, known.energy, atol=1e-5)
    np.testing.assert_allclose(sampler.unconditional(resumed), chains.energy, atol=1e-5)


@pytest.mark.parametrize("move", EVERY_MOVE, ids=str)
def test_no_move_leaves_the_conditions(move):
    table, view, ratio, _, _ = setting()
    rng = np.random.default_rng(11)
    sampler = ChainSampler(table, view, ratio, WHERE, INTERVALS)
    chains = sampler.start(2_000, rng)
    for _ in range(3):
        sampler.move(chains, move, rng, recode=0.5)
        for column, weights in WHERE.items():
            own = chains.symbols[:, column]
            low, high = INTERVALS[column]
            assert (weights[own] > 0).all()
            assert (chains.positions[:, column] >= low[own].astype(np.float32)).all()
            assert (chains.positions[:, column] <= high[own].astype(np.float32)).all()


def test_moving_one_column_leaves_the_others():
    table, view, ratio, _, _ = setting()
    rng = np.random.default_rng(12)
    sampler = ChainSampler(table, view, ratio)
    chains = sampler.start(500, rng)
    before, places = chains.symbols.copy(), chains.positions.copy()
    sampler.move(chains, Move(column=2), rng)
    np.testing.assert_array_equal(chains.symbols[:, :2], before[:, :2])
    np.testing.assert_array_equal(chains.positions[:, :2], places[:, :2])
    assert (chains.symbols[:, 2] != before[:, 2]).any()


# --------------------------------------------------------------------------------------------------------- resampling

weights_lists = st.lists(st.floats(0, 10), min_size=1, max_size=30).filter(lambda own: sum(own) > 0.1)


@given(weights_lists, st.integers(1, 200), st.integers(0, 9))
def test_systematic_resampling_is_off_by_less_than_one(weights, n, seed):
    """Every row is drawn floor or ceil of its expected number of times."""
    weights = np.array(weights)
    drawn = systematic(weights, n, np.random.default_rng(seed))
    expected = n * weights / weights.sum()
    found = np.bincount(drawn, minlength=len(weights))
    assert len(drawn) == n
    assert (np.abs(found - expected) < 1 + 1e-6).all()
    assert (found[weights == 0] == 0).all()


def test_systematic_resampling_is_unbiased():
    rng = np.random.default_rng(3)
    weights = np.array([0.2, 3.0, 0.05, 1.0, 0.0, 0.75])
    draws = 4_000
    total = sum(np.bincount(systematic(weights, 4, rng), minlength=6) for _ in range(draws))
    np.testing.assert_allclose(total / draws, 4 * weights / weights.sum(), atol=5 * 0.5 / np.sqrt(draws))


@given(weights_lists, st.data(), st.integers(0, 9))
def test_a_subset_has_as_many_different_rows_as_asked_for(weights, data, seed):
    n = data.draw(st.integers(1, len(weights)))
    drawn = systematic_subset(np.array(weights), n, np.random.default_rng(seed))
    assert len(drawn) == n
    assert len(set(drawn.tolist())) == n
    assert set(drawn.tolist()) <= set(range(len(weights)))


def test_a_subset_with_the_smallest_of_all_weights_is_whole():
    for weights in ([1.0, 5e-324], [5e-324, 5e-324], [1e308, 5e-324, 1.0]):
        drawn = systematic_subset(np.array(weights), 2, np.random.default_rng(0))
        assert len(set(drawn.tolist())) == 2


def test_a_subset_of_very_uneven_rows_is_whole():
    weights = np.exp(np.random.default_rng(0).normal(0, 60, 500))
    assert len(np.unique(systematic_subset(weights, 400, np.random.default_rng(1)))) == 400


def test_a_subset_is_unbiased_as_far_as_no_chance_exceeds_one():
    rng = np.random.default_rng(4)
    weights = np.array([0.2, 1.2, 0.6, 1.0, 0.5, 0.5])
    draws = 4_000
    total = sum(np.bincount(systematic_subset(weights, 3, rng), minlength=6) for _ in range(draws))
    np.testing.assert_allclose(total / draws, 3 * weights / weights.sum(), atol=5 * 0.5 / np.sqrt(draws))


def test_chains_can_be_taken_and_put():
    table, view, ratio, _, _ = setting()
    rng = np.random.default_rng(13)
    sampler = ChainSampler(table, view, ratio)
    chains, other = sampler.start(6, rng), sampler.start(6, rng)
    taken = chains.take(np.array([5, 0, 0]))
    np.testing.assert_array_equal(taken.symbols, chains.symbols[[5, 0, 0]])
    taken.symbols[:] = -5
    assert (chains.symbols >= 0).all()
    where = np.array([True, False, True, False, False, True])
    before = chains.energy.copy()
    joined = Chains.joined([chains, other])
    assert len(joined) == 12
    np.testing.assert_array_equal(joined.symbols[6:], other.symbols)
    chains.put(where, other)
    np.testing.assert_array_equal(chains.energy, np.where(where, other.energy, before))
    np.testing.assert_array_equal(chains.codes[where], other.codes[where])
