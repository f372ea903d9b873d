from __future__ import annotations

import numpy as np
import pytest
from exact_chains import CHAINS, at_the_target, counts, exact_law, setting, tiny_layout
from hypothesis import given
from hypothesis import strategies as st
from small_tables import distance, noise

from synthkit.gan.boosting import BoostedRatio
from synthkit.gan.chains import ChainSampler
from synthkit.gan.population import Particles, Population, moves_apart, spare


def particles(chains):
    own = chains.take(np.arange(len(chains)))
    return Particles(own.codes, own.symbols, own.positions, own.energy, own.folds)


class Numbered(ChainSampler):
    """Remembers which chains were resumed, by their codes, and how often they were moved."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.resumed, self.settled = [], []

    def resume(self, codes, *rest):
        self.resumed.append(codes.copy())
        self.settled.append(0)
        return super().resume(np.zeros_like(codes), *rest)

    def settle(self, chains, *rest, **others):
        self.settled[-1] += 1
        return super().settle(chains, *rest, **others)


def numbered(count, seed=0):
    table, view, ratio, _, _ = setting()
    sampler, rng = Numbered(table, view, ratio), np.random.default_rng(seed)
    stored = particles(sampler.start(count, rng))
    stored.codes[:] = np.arange(count)
    sampler.resumed.clear()
    sampler.settled.clear()
    return sampler, Population(stored, sampler, rng), rng


@given(sizes=st.lists(st.integers(0, 12), min_size=1, max_size=8), count=st.integers(1, 9))
def test_every_chain_is_handed_out_before_any_is_again(sizes, count):
    sampler, population, _ = numbered(count)
    sampler.move = lambda *_, **__: 0.0  # the numbers of the chains must last
    sampler.resume = lambda codes, *rest: sampler.resumed.append(codes) or ChainSampler.resume(sampler, codes, *rest)
    sampler.settle = lambda *_: 0.0
    for size in sizes:
        assert len(population.moved(size)) == size
    drawn = np.concatenate(sampler.resumed)
    for start in range(0, len(drawn), count):
        once = drawn[start : start + count]
        assert len(set(once.tolist())) == len(once)


def test_chains_that_come_again_go_on_from_where_they_were():
    table, view, ratio, _, _ = setting()
    rng = np.random.default_rng(0)
    sampler = ChainSampler(table, view, ratio)
    population = Population(particles(sampler.start(1, rng)), sampler, rng)
    for _ in range(5):
        left = population.moved(1)
        sampler.settle = lambda chains, *_, left=left: np.testing.assert_array_equal(chains.symbols, left.symbols)
        again = population.moved(1)
        np.testing.assert_allclose(again.energy, left.energy, atol=1e-5)
        del sampler.settle


def test_the_chains_that_were_given_are_the_only_ones_written_to():
    table, view, ratio, _, _ = setting()
    rng = np.random.default_rng(0)
    sampler = ChainSampler(table, view, ratio)
    stored = particles(sampler.start(50, rng))
    before = stored.symbols.copy()
    drawn = Population(stored.take(np.arange(50)), sampler, rng).moved(50)
    np.testing.assert_array_equal(stored.symbols, before)
    assert (drawn.symbols != before).any()


@pytest.mark.parametrize("predicted", [False, True], ids=["codes alone", "predicted target"])
@pytest.mark.parametrize("where", [{}, {1: np.array([0.0, 1.0])}], ids=["no condition", "a condition"])
def test_rows_have_the_exact_law_in_every_pass(where, predicted):
    table, view, ratio, rows, positions = setting(predicted=predicted)
    law = exact_law(table, view, ratio, rows, positions, where)
    rng = np.random.default_rng(3)
    sampler = ChainSampler(table, view, ratio, where)
    chains = at_the_target(sampler, rows, law, rng)
    chains.energy = sampler.unconditional(chains)
    population = Population(particles(chains), sampler, rng, conditional=bool(where))
    for _ in range(3):
        drawn = population.moved(CHAINS)
        assert distance(counts(drawn, rows), law) < noise(law, CHAINS)


def test_chains_that_hardly_move_are_moved_more_often_when_they_come_again():
    sampler, population, _ = numbered(40)
    population.moved(30)
    population.moved(10)
    population._same, population._chance = 0.9 * population._particles.symbols.size, 0.0
    population.moved(5)
    assert sampler.settled == [1, 1, 7]


def test_chains_that_move_freely_are_moved_once():
    table, view, _, _, _ = setting()
    rng = np.random.default_rng(0)
    sampler = ChainSampler(table, view, BoostedRatio(tiny_layout(), threads=1))
    population = Population(particles(sampler.start(200, rng)), sampler, rng)
    population.moved(450)
    assert population._repeats == 1


@given(st.floats(0.0, 1.0), st.floats(0.0, 0.99))
def test_moves_are_repeated_until_half_is_kept(kept, chance):
    often = moves_apart(chance + kept * (1 - chance), chance)
    assert 1 <= often <= 16
    assert kept**often <= 0.5 + 1e-6 or often == 16
    assert often == 1 or kept ** (often - 1) > 0.5 - 1e-6


def test_rows_that_are_all_the_same_cannot_be_moved_apart():
    assert moves_apart(1.0, 1.0) == 1


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_as_many_chains_are_spare_as_there_are_more_than_rows_within_limits(chains, rows):
    assert 1.1 <= spare(chains, rows) <= 2
    assert spare(5 * rows, 4 * rows) == 1.25
    assert spare(chains, None) == 1.1
