from __future__ import annotations

import numpy as np
import pytest

from synthkit.errors import PrivacyError
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.sampling import PoissonSampler


def draws(sampler, probability, times, seed=0):
    noise = NoiseSource(reproducible_seed=seed)
    return [sampler.draw(probability, noise) for _ in range(times)]


def test_every_row_tosses_its_own_coin():
    rows, times, probability = 60, 2_000, 0.3
    taken = np.zeros((times, rows))
    for i, sample in enumerate(draws(PoissonSampler(rows), probability, times)):
        assert len(np.unique(sample)) == len(sample)
        taken[i, sample] = 1
    deviation = np.sqrt(probability * (1 - probability) / times)
    assert np.abs(taken.mean(0) - probability).max() < 5 * deviation
    # batches of a fixed size have no variance, shuffled ones never repeat a row within an epoch
    sizes = taken.sum(1)
    assert sizes.var() == pytest.approx(rows * probability * (1 - probability), rel=0.2)
    again = np.corrcoef(taken[:-1].ravel(), taken[1:].ravel())[0, 1]
    pairs = np.cov(taken.T)[np.triu_indices(rows, 1)]
    assert abs(again) < 5 / np.sqrt(times * rows)
    assert np.abs(pairs).max() < 6 * probability * (1 - probability) / np.sqrt(times)


def test_units_come_whole_up_to_the_bound():
    units = np.array(["b", "a", "c", "b", "a", "b", "b"])
    sampler = PoissonSampler(7, units, rows_per_unit=2)
    seen = np.zeros(7)
    for sample in draws(sampler, 0.5, 3_000):
        names, counts = np.unique(units[sample], return_counts=True)
        found = dict(zip(names.tolist(), counts.tolist(), strict=True))
        assert set(found.items()) <= {("a", 2), ("b", 2), ("c", 1)}
        seen[sample] += 1
    # each of the four rows of b is one of the two as often as the others
    expected = np.where(units == "b", 0.25, 0.5) * 3_000
    assert np.abs(seen - expected).max() < 5 * np.sqrt(3_000 * 0.25)


def test_all_none_and_nobody():
    noise = NoiseSource(reproducible_seed=0)
    assert sorted(PoissonSampler(5).draw(1.0, noise)) == [0, 1, 2, 3, 4]
    assert len(PoissonSampler(5).draw(0.0, noise)) == 0
    assert len(PoissonSampler(0).draw(0.5, noise)) == 0
    assert len(PoissonSampler(0, np.zeros(0, str)).draw(0.5, noise)) == 0


def test_another_unit_changes_nothing_about_the_others():
    units = np.repeat(np.arange(30), 3)
    less = PoissonSampler(90, units, rows_per_unit=3)
    more = PoissonSampler(93, np.append(units, [30, 30, 30]), rows_per_unit=3)
    for before, after in zip(draws(less, 0.4, 20), draws(more, 0.4, 1) * 20, strict=True):
        assert set(np.unique(units[before])) <= set(range(30))
        assert len(after) % 3 == 0
    # with the same bits the coins of the first units fall alike
    first = less.draw(0.4, NoiseSource(reproducible_seed=5))
    second = more.draw(0.4, NoiseSource(reproducible_seed=5))
    assert set(first) == set(second) - {90, 91, 92}


def test_wrong_units():
    with pytest.raises(PrivacyError, match="one for each row"):
        PoissonSampler(3, np.arange(4))
    with pytest.raises(PrivacyError, match="at least one row"):
        PoissonSampler(3, rows_per_unit=0)


def test_what_is_wrong_with_units_does_not_say_how_many_rows_there_are():
    with pytest.raises(PrivacyError, match="one for each row") as caught:
        PoissonSampler(4321, np.zeros((4321, 2)))
    assert "4321" not in str(caught.value)
