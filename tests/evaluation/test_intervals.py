from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from synthkit.evaluation.intervals import auc_interval, groups_of, jackknife_interval, mean_interval

SCORES = st.lists(st.integers(0, 5).map(float), min_size=2, max_size=12)


@given(positive=SCORES, negative=SCORES)
def test_the_area_counts_pairs_and_ties_half(positive: list[float], negative: list[float]) -> None:
    value, low, high = auc_interval(np.array(positive), np.array(negative))
    pairs = [(first > second) + 0.5 * (first == second) for first in positive for second in negative]
    assert value == pytest.approx(np.mean(pairs))
    truth = [1] * len(positive) + [0] * len(negative)
    assert value == pytest.approx(roc_auc_score(truth, positive + negative))
    assert 0 <= low <= value <= high <= 1


@given(values=st.lists(st.booleans(), min_size=1, max_size=40))
def test_the_interval_of_a_share_is_wilsons(values: list[bool]) -> None:
    value, low, high = mean_interval(np.array(values))
    expected = stats.binomtest(sum(values), len(values)).proportion_ci(method="wilson")
    assert (value, low, high) == pytest.approx((np.mean(values), expected.low, expected.high))


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=30)
    without = np.array([np.delete(values, row).mean() for row in range(30)])
    low, high = jackknife_interval(float(values.mean()), without)
    half = stats.t.ppf(0.975, 29) * values.std(ddof=1) / np.sqrt(30)
    assert (high - low) / 2 == pytest.approx(half)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_intervals_cover_the_truth_about_as_often_as_they_say(share: float) -> None:
    random = np.random.default_rng(1)
    distance = stats.norm.ppf(share) * np.sqrt(2)
    covered_area = covered_mean = 0
    for _ in range(300):
        _, low, high = auc_interval(random.normal(distance, size=80), random.normal(size=60))
        covered_area += low <= share <= high
        _, low, high = mean_interval(random.exponential(share, size=80))
        covered_mean += low <= share <= high
    assert 0.90 <= covered_area / 300 <= 0.99
    assert 0.90 <= covered_mean / 300 <= 0.99


def test_groups_are_about_equally_large() -> None:
    groups = groups_of(105, np.random.default_rng(0))
    assert sorted(set(np.bincount(groups))) == [5, 6]
    assert len(set(groups_of(5, np.random.default_rng(0)))) == 2
