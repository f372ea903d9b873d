"""Intervals: hand-computed cases, laws, and coverage by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synthkit.auditing.intervals import adjusted, auc_estimate, share_estimate, true_positive_estimate

levels = st.sampled_from([0.9, 0.95, 0.99])
scores = st.lists(st.integers(0, 6).map(float), min_size=2, max_size=30).map(np.array)


def covered(draw, truth, repetitions=300):
    """Return the share of intervals of repeated draws that hold the truth."""
    found = [draw(np.random.default_rng(seed)) for seed in range(repetitions)]
    return np.mean([estimate.low <= truth <= estimate.high for estimate in found])


def test_errors_of_several_intervals_add_up():
    assert adjusted(0.95, 1) == pytest.approx(0.95)
    assert adjusted(0.95, 5) == pytest.approx(0.99)
    assert adjusted(0.95, 0) == pytest.approx(0.95)


def test_wilson_by_hand():
    found = share_estimate(5, 10, 0.95, 0.2)
    z = stats.norm.ppf(0.975)
    half = z / (1 + z**2 / 10) * np.sqrt(0.25 / 10 + z**2 / 400)
    assert (found.value, found.baseline) == (0.5, 0.2)
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert not share_estimate(0, 0, 0.95).applies


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), levels)
def test_a_share_lies_in_its_interval_and_mirrors(hits_n, level):
    hits, n = hits_n
    found, mirrored = share_estimate(hits, n, level), share_estimate(n - hits, n, level)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)
    assert found.high - found.low > 0


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_shares_are_covered(share):
    assert covered(lambda rng: share_estimate(rng.binomial(200, share), 200, 0.95), share) > 0.91


@given(scores, scores, levels)
@settings(deadline=None)
def test_the_area_is_the_share_of_pairs_in_order(members, nonmembers, level):
    pairs = np.sign(members[:, None] - nonmembers[None])
    found = auc_estimate(members, nonmembers, level)
    assert found.value == pytest.approx((pairs.mean() + 1) / 2)
    assert 0 <= found.low < found.high <= 1
    assert found.low <= found.value <= found.high
    assert found.baseline == 0.5
    mirrored = auc_estimate(nonmembers, members, level)
    assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))


def test_areas_are_covered():
    truth = float(stats.norm.cdf(0.5 / np.sqrt(2)))

    def draw(rng):
        return auc_estimate(rng.normal(0.5, 1, 80), rng.normal(0, 1, 80), 0.95)

    assert covered(draw, truth) > 0.91


def test_true_positives_by_hand():
    nonmembers = np.arange(100.0)
    # one of a hundred non-members may be accused: the threshold is the second highest, 98
    members = np.array([98.0, 98.5, 99.0, 100.0])
    assert true_positive_estimate(members, nonmembers, 0.01, 0.95).value == 0.75
    # with too few non-members none may be accused
    assert true_positive_estimate(members, nonmembers[:50], 0.01, 0.95).value == 1.0
    assert true_positive_estimate(members, np.full(50, 99.0), 0.01, 0.95).value == 0.25


@given(scores, scores, st.sampled_from([0.01, 0.1, 0.4]), levels)
@settings(deadline=None)
def test_at_the_threshold_no_more_non_members_than_allowed_are_accused(members, nonmembers, rate, level):
    found = true_positive_estimate(members, nonmembers, rate, level)
    thresholds = [-np.inf, *np.unique(nonmembers)]
    allowed = [t for t in thresholds if (nonmembers > t).mean() <= rate + 1e-12]
    assert found.value == pytest.approx((members > min(allowed)).mean())
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.baseline == rate
    wider = true_positive_estimate(members, nonmembers, rate, 0.999)
    assert wider.low <= found.low
    assert wider.high >= found.high


def test_where_no_non_member_may_be_accused_nothing_is_certain():
    found = true_positive_estimate(np.full(500, 2.0), np.zeros(500), 0.001, 0.95)
    assert (found.value, found.low) == (1.0, 0.0)


@pytest.mark.parametrize("n", [100, 400, 2000])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_true_positives_at_one_per_cent_are_covered(n, shift):
    truth = float(stats.norm.sf(stats.norm.isf(0.01) - shift))

    def draw(rng):
        return true_positive_estimate(rng.normal(shift, 1, n), rng.normal(0, 1, n), 0.01, 0.95)

    assert covered(draw, truth) > 0.93


def test_true_positives_are_covered_where_scores_tie():
    # non-members: 3 % at 2, 40 % at 1; the threshold of 1 % is 2, which no score exceeds but 0.3 % at 3
    values, member, nonmember = np.arange(4.0), [0.4, 0.4, 0.15, 0.05], [0.567, 0.4, 0.03, 0.003]

    def draw(rng):
        return true_positive_estimate(
            rng.choice(values, 400, p=member), rng.choice(values, 400, p=nonmember), 0.01, 0.95
        )

    assert covered(draw, 0.05) > 0.93
