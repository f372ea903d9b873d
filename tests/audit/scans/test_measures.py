from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.auditing.copy_rates import SHARES, compared, effective_number, near, preference
from synthkit.auditing.scans.measures import authenticity_score, nearer_score


def one_class(synthetic: int, holdout: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(synthetic, dtype=np.int64), np.zeros(holdout, dtype=np.int64)


def test_the_threshold_is_the_distance_of_a_held_out_scan() -> None:
    found = near(np.array([0.5, 4.9, 5.0, 7.0]), np.arange(1.0, 101.0), 0.05, one_class(4, 100))
    assert found.thresholds.tolist() == [5.0] * 4
    assert found.synthetic.tolist() == [True, True, False, False]
    assert found.holdout.sum() == 5


def test_the_nearest_held_out_scan_counts_as_near_itself() -> None:
    found = near(np.array([0.5, 1.0]), np.arange(1.0, 101.0), 0.0, one_class(2, 100))
    assert found.synthetic.tolist() == [True, False]
    assert found.holdout.sum() == 1


def test_a_class_with_enough_held_out_scans_has_its_own_threshold() -> None:
    holdout = np.concatenate([np.arange(1.0, 101.0), np.arange(101.0, 201.0)])
    classes = np.array([0, 1, 2]), np.repeat([0, 1], 100)
    found = near(np.array([50.0, 50.0, 50.0]), holdout, 0.05, classes)
    assert found.synthetic.tolist() == [False, True, False]  # an unknown class is held against all
    assert found.thresholds.tolist() == [5.0, 105.0, 10.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(sorted(SHARES.values())))
def test_held_out_scans_have_at_least_their_share(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, 50), rng.integers(0, 3, 150)
    found = near(rng.random(50), rng.random(150), share, classes)
    assert max(1, np.ceil(share * 150)) <= found.holdout.sum() <= np.ceil(share * 150) + 3


@pytest.mark.parametrize("share", sorted(SHARES.values()))
def test_a_generator_that_copies_nothing_is_seldom_accused(share: float) -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        found = near(rng.random(400), rng.random(400), share, one_class(400, 400))
        alarms += compared(found, np.arange(400), rng).excess(0.95).above
    assert alarms / 300 <= 0.04  # one side of an interval of 95 %, and chance


@pytest.mark.parametrize("copies", [12, 40])
def test_copies_are_found_among_many_others(copies: int) -> None:
    rng = np.random.default_rng(1)
    found = near(
        np.concatenate([rng.random(1000 - copies) + 0.01, np.zeros(copies)]),
        rng.random(1000) + 0.01,
        0.0,
        one_class(1000, 1000),
    )
    assert compared(found, np.arange(1000), rng).excess(0.95).above


def test_scans_of_one_patient_count_as_fewer() -> None:
    rng = np.random.default_rng(2)
    patients = np.arange(100).repeat(10)
    together = rng.random(100).repeat(10) < 0.2
    alone = rng.random(1000) < 0.2
    assert 60 < effective_number(together, patients, rng) < 160
    assert effective_number(alone, patients, rng) > 600
    assert effective_number(alone, np.arange(1000), rng) == 1000


def test_preference_counts_near_scans_only() -> None:
    found = preference(np.array([0.1, 0.2, 5.0, 0.9]), np.array([0.5, 0.1, 1.0, 0.2]), np.full(4, 0.6), (300, 100))
    assert (found.near, found.training) == (3, 1)
    assert found.expected == 0.75
    assert found.p_value == pytest.approx(1 - 0.25**3)
    assert found.none(0.2)
    assert not preference(np.zeros(20), np.ones(20), np.full(20, 0.5), (300, 100)).none(0.2)


def test_no_near_scan_shows_no_preference() -> None:
    assert preference(np.ones(3), np.ones(3), np.zeros(3), (3, 1)).p_value == 1


def test_nearer_is_a_half_for_one_source_and_one_for_copies() -> None:
    rng = np.random.default_rng(3)
    same = nearer_score(rng.random(500), rng.random(500))
    copies = nearer_score(np.zeros(500), rng.random(500) + 0.1)
    assert same.low < 0.5 < same.high
    assert copies.value == 1
    assert copies.details["p-value of nearer (Mann-Whitney)"] < 1e-6


def test_authenticity_is_the_share_that_is_not_nearer_than_another_patient() -> None:
    found = authenticity_score((np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])), (np.ones(4), np.zeros(4)))
    assert found.value == pytest.approx(2 / 3)
    assert found.ceiling == 1
