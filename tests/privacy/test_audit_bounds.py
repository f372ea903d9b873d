from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from dp_accounting import get_epsilon_gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import binomtest

from synthkit.errors import PrivacyError
from synthkit.privacy.accounting import epsilon_spent
from synthkit.privacy.audit_bounds import (
    best_guesses,
    best_threshold,
    one_run_bound,
    one_run_epsilon,
    threshold_bound,
    upper_rate,
)
from synthkit.privacy.audit_curves import (
    AnyMechanism,
    GaussianCurve,
    SampledGaussianCurve,
    gaussian_mu,
    separation,
)
from synthkit.privacy.events import sampled_gaussian_event

DELTA = 1e-5
AUDITS = 200
rates = st.floats(1e-4, 0.6)


def ideal_scores(mu, runs, seed):
    """Likelihood ratios of a Gaussian, without and with."""
    without, into = np.random.default_rng(seed).standard_normal((2, runs // 2)) * mu
    return without - mu**2 / 2, into + mu**2 / 2


def too_often(wrong, confidence):
    """Whether more audits were wrong than chance explains."""
    return binomtest(wrong, AUDITS, 1 - confidence, alternative="greater").pvalue < 1e-3


# -------------------- what is expected, against the table of research/privacy.md, section 4


@pytest.mark.parametrize(
    ("epsilon", "runs", "expected"), [(1, 1000, 0.14), (2, 5000, 1.50), (4, 1000, 2.87), (4, 5000, 3.47)]
)
def test_expected_bound_of_many_runs_on_a_gaussian_at_its_claim(epsilon, runs, expected):
    without, into = ideal_scores(gaussian_mu(epsilon, DELTA), 1_000_000, 0)
    # the scores of the audit themselves do not matter here
    few = np.arange(runs // 2) % 2 - 0.5
    found = threshold_bound(
        few, few, delta=DELTA, confidence=0.95, threshold=0.0, curve=GaussianCurve(), ideal=(without, into)
    )
    assert found.expected == pytest.approx(expected, rel=0.06, abs=0.02)
    assert found.runs == runs


@pytest.mark.parametrize(
    ("epsilon", "canaries", "expected"), [(1, 5000, 0.38), (2, 1000, 0.66), (4, 1000, 1.38), (8, 1000, 2.82)]
)
def test_expected_bound_of_one_run_on_a_gaussian_at_its_claim(epsilon, canaries, expected):
    guesses, found = best_guesses(canaries, epsilon, DELTA, 0.95)
    assert found == pytest.approx(expected, abs=0.12)
    assert 2 <= guesses <= canaries


@pytest.mark.parametrize(("canaries", "ceiling"), [(100, 3.5), (1000, 5.8), (10_000, 7.8)])
def test_ceiling_of_one_run(canaries, ceiling):
    assert one_run_epsilon(canaries, canaries, canaries, DELTA, 0.95) == pytest.approx(ceiling, abs=0.1)


# -------------------- bounds hold at least as often as they say


@pytest.mark.parametrize("epsilon", [0.5, 4.0])
@pytest.mark.parametrize("curve", [None, GaussianCurve()], ids=["any mechanism", "Gaussian"])
@pytest.mark.parametrize("threshold", [0.0, None], ids=["known threshold", "chosen threshold"])
def test_many_runs_of_an_ideal_gaussian_rarely_show_more_than_its_epsilon(epsilon, curve, threshold):
    mu = gaussian_mu(epsilon, DELTA)
    found = [
        threshold_bound(
            *ideal_scores(mu, 1000, seed), delta=DELTA, confidence=0.8, threshold=threshold, curve=curve
        ).bound
        for seed in range(AUDITS)
    ]
    assert not too_often(sum(bound > epsilon for bound in found), 0.8)
    if epsilon > 1 and curve is not None:
        assert np.median(found) > 0.6 * epsilon


@pytest.mark.parametrize("epsilon", [0.5, 4.0])
def test_one_run_of_an_ideal_gaussian_rarely_shows_more_than_its_epsilon(epsilon):
    mu, m = gaussian_mu(epsilon, DELTA), 150
    guesses, _ = best_guesses(m, epsilon, DELTA, 0.8)
    found = []
    for seed in range(AUDITS):
        random = np.random.default_rng(seed)
        included = random.random(m) < 0.5
        scores = included * mu + random.standard_normal(m)
        found.append(one_run_bound(scores, included, delta=DELTA, confidence=0.8, guesses=guesses).bound)
    assert not too_often(sum(bound > epsilon for bound in found), 0.8)
    if epsilon > 1:
        assert np.median(found) > 0.25 * epsilon


def test_one_run_of_randomised_response_shows_nearly_all_of_its_epsilon():
    # coins themselves are published, each turned around with the chance that epsilon allows: the worst case
    epsilon, m, found = 2.0, 250, []
    for seed in range(AUDITS):
        random = np.random.default_rng(seed)
        included = random.random(m) < 0.5
        said = included ^ (random.random(m) >= 1 / (1 + math.exp(-epsilon)))
        found.append(one_run_bound(said + 1e-6 * random.random(m), included, delta=0.0, confidence=0.8).bound)
    assert not too_often(sum(bound > epsilon for bound in found), 0.8)
    assert np.median(found) > 0.8 * epsilon


def test_a_mechanism_that_leaks_more_than_it_claims_is_shown_up():
    scores = ideal_scores(gaussian_mu(8.0, DELTA), 2000, 1)
    assert threshold_bound(*scores, delta=DELTA, threshold=0.0, curve=GaussianCurve()).bound > 4.0


# -------------------- curves


@given(rates, rates)
def test_nothing_assumed_proves_no_more_than_a_curve(false_positive, false_negative):
    anything = AnyMechanism().epsilon(false_positive, false_negative, DELTA)
    assert anything <= GaussianCurve().epsilon(false_positive, false_negative, DELTA) + 1e-6


@given(rates, rates, st.floats(1.0, 2.0))
def test_more_errors_need_less_epsilon(false_positive, false_negative, worse):
    for curve in (AnyMechanism(), GaussianCurve()):
        before = curve.epsilon(false_positive, false_negative, DELTA)
        assert curve.epsilon(worse * false_positive, false_negative, DELTA) <= before + 1e-9
        assert curve.epsilon(false_positive, worse * false_negative, DELTA) <= before + 1e-9


@given(st.floats(0.1, 6.0), st.floats(-1.0, 1.0))
def test_gaussian_curve_finds_the_gaussian_of_any_likelihood_ratio_test(mu, threshold):
    false_positive, false_negative = ndtr(-mu / 2 - threshold), ndtr(-mu / 2 + threshold)
    assert separation(false_positive, false_negative) == pytest.approx(mu)
    found = GaussianCurve().epsilon(false_positive, false_negative, DELTA)
    assert found == pytest.approx(get_epsilon_gaussian(1 / mu, DELTA), rel=1e-6)


@pytest.mark.parametrize(("errors", "steps"), [((0.3, 0.4), 1), ((0.1, 0.2), 4)])
def test_steps_without_sampling_are_one_gaussian(errors, steps):
    plain = GaussianCurve().epsilon(*errors, DELTA)
    found = SampledGaussianCurve(1.0, steps).epsilon(*errors, DELTA)
    assert found == pytest.approx(plain, rel=0.01)
    assert found <= plain * 1.001


@pytest.mark.parametrize("adjacency", ["add-remove", "replace-one"])
def test_sampled_curve_gives_back_the_epsilon_of_the_best_test(adjacency):
    multiplier, probability, steps, runs = 1.4, 0.5, 4, 400_000
    random = np.random.default_rng(0)
    signs = (-1.0 if adjacency == "replace-one" else 0.0, 1.0)

    def log_mixture(sums, sign):
        return np.log1p(probability * np.expm1((sign * sums - sign**2 / 2) / multiplier**2))

    scores = []
    for sign in signs:
        sums = sign * (random.random((runs, steps)) < probability) + multiplier * random.standard_normal((runs, steps))
        scores.append((log_mixture(sums, signs[1]) - log_mixture(sums, signs[0])).sum(1))
    errors = float((scores[0] > 0).mean()), float((scores[1] <= 0).mean())
    claimed = epsilon_spent([sampled_gaussian_event("x", "x", multiplier, probability, steps)], DELTA, adjacency)
    found = SampledGaussianCurve(probability, steps, adjacency).epsilon(*errors, DELTA)
    assert found == pytest.approx(claimed, rel=0.02)
    assert AnyMechanism().epsilon(*errors, DELTA) < found


def test_rates_that_no_noise_explains_prove_the_most_that_is_looked_at():
    # a unit that is left out of all steps with chance 1/4 cannot be found in 99 of 100 runs
    assert SampledGaussianCurve(0.5, 2).epsilon(0.01, 0.01, DELTA) > 20
    assert SampledGaussianCurve(0.5, 2).epsilon(0.5, 0.5, DELTA) == 0.0


def test_any_mechanism_without_errors_or_without_power():
    assert AnyMechanism().epsilon(0.0, 0.1, DELTA) == math.inf
    assert AnyMechanism().epsilon(0.0, 1.0, DELTA) == 0.0
    assert AnyMechanism().epsilon(0.5, 0.5, DELTA) == 0.0


# -------------------- parts


@given(st.integers(0, 50), st.integers(1, 50), st.floats(0.5, 0.999))
def test_upper_rate_is_scipys_exact_interval(count, more, confidence):
    runs = count + more
    interval = binomtest(count, runs, alternative="less").proportion_ci(confidence, "exact")
    assert upper_rate(count, runs, confidence) == pytest.approx(interval.high, rel=1e-6)
    assert upper_rate(runs, runs, confidence) == 1.0


@given(st.integers(1, 200), st.integers(0, 200), st.sampled_from([0.8, 0.95, 0.99]))
@settings(deadline=None)
def test_one_run_without_delta_is_the_interval_of_a_binomial(right, wrong, confidence):
    guesses = right + wrong
    low = binomtest(right, guesses, alternative="greater").proportion_ci(confidence, "exact").low
    expected = max(0.0, math.log(low / (1 - low))) if low < 1 else math.inf
    assert one_run_epsilon(guesses, guesses, right, 0.0, confidence) == pytest.approx(expected, abs=1e-6)


def test_delta_can_only_take_off_a_bound_of_one_run():
    found = [one_run_epsilon(1000, 300, 280, delta, 0.95) for delta in (0.0, 1e-6, 1e-5, 1e-4, 1e-3)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < found[0]


def test_best_threshold_is_where_scores_part():
    without, into = np.arange(100.0), np.arange(100.0) + 80
    assert 79 <= best_threshold(without, into, delta=DELTA, confidence=0.9, curve=GaussianCurve()) <= 99
    assert best_threshold(np.zeros(9), np.ones(9), delta=DELTA, confidence=0.9) == 0.0


def test_bounds_never_pass_what_is_detectable_and_grow_with_runs():
    previous = 0.0
    for runs in (20, 200, 2000):
        found = threshold_bound(np.zeros(runs), np.ones(runs), delta=DELTA, threshold=0.5)
        assert previous < found.bound == found.detectable
        previous = found.bound
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.bound = 0.0


@pytest.mark.parametrize(
    ("scores", "options", "match"),
    [
        ([[1.0], [1.0, 2.0]], {}, "at least two numbers"),
        ([[1.0, math.nan], [1.0, 2.0]], {}, "no numbers"),
        ([[1.0, 2.0]] * 2, {"delta": 1.0}, "delta"),
        ([[1.0, 2.0]] * 2, {"confidence": 1.0}, "confidence"),
    ],
)
def test_scores_and_options_that_prove_nothing_are_refused(scores, options, match):
    with pytest.raises(PrivacyError, match=match):
        threshold_bound(*map(np.array, scores), **{"delta": DELTA, "threshold": 0.0} | options)


@pytest.mark.parametrize(("coins", "guesses"), [(3, None), (4, 1), (4, 5)])
def test_coins_and_guesses_that_do_not_fit_are_refused(coins, guesses):
    with pytest.raises(PrivacyError):
        one_run_bound(np.arange(4.0), np.ones(coins, bool), delta=DELTA, guesses=guesses)
