"""What is calibrated keeps the budget, and uses nearly all of it."""

import math

import pytest
from dp_accounting import get_epsilon_gaussian
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.errors import PrivacyError
from synthkit.privacy.accounting import (
    calibrate_noise,
    calibrate_sampled_gaussian,
    epsilon_left,
    epsilon_spent,
    gaussian_precision,
    noise_scale,
    remaining_precision,
)
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import gaussian_event, laplace_event, sampled_gaussian_event

budgets = st.builds(
    lambda epsilon, delta, adjacency: PrivacyBudget(epsilon, delta, adjacency=adjacency),
    st.floats(0.1, 12),
    st.floats(1e-9, 1e-4),
    st.sampled_from(["add-remove", "replace-one"]),
)


def spent(budget, *events):
    return epsilon_spent(events, budget.delta, budget.adjacency)


def continuous(precision):
    return gaussian_event("more", "-", 1 / math.sqrt(precision), discrete=False)


def labels(epsilon):
    """Cheap Laplace events that leave something."""
    return laplace_event("labels", "-", 0.02 * epsilon, count=2, delta=1e-12)


@pytest.mark.parametrize(("epsilon", "sigma"), [(0.5, 7.03183), (1, 3.73063), (3, 1.39059), (10, 0.49989)])
def test_the_sigma_of_one_gaussian_is_that_of_the_study(epsilon, sigma):
    assert gaussian_precision(epsilon, 1e-5) ** -0.5 == pytest.approx(sigma, abs=1e-5)


@given(st.floats(0.01, 100), st.floats(1e-12, 0.1))
def test_the_precision_is_the_largest_that_keeps_the_budget(epsilon, delta):
    precision = gaussian_precision(epsilon, delta)
    assert get_epsilon_gaussian(precision**-0.5, delta) <= epsilon
    assert get_epsilon_gaussian((precision * 1.001) ** -0.5, delta) > epsilon


@settings(max_examples=40, deadline=None)
@given(
    budgets, st.lists(st.floats(0.01, 1), min_size=1, max_size=5), st.just(1.0) | st.floats(1.01, 1e4), st.booleans()
)
def test_any_split_of_the_precision_keeps_the_budget(budget, shares, sensitivity, discrete):
    precision = remaining_precision(budget, ())
    events = []
    for index, share in enumerate(shares):
        sigma = noise_scale(precision * share / sum(shares), sensitivity, discrete=discrete)
        events.append(gaussian_event(f"e{index}", "-", sigma / sensitivity, discrete=discrete, sensitivity=sensitivity))
    # A sensitivity of 1 with little noise is accounted exactly, and then the price of whole numbers is not charged.
    used = spent(budget, *events) / budget.epsilon
    assert used <= 1
    if not discrete or sensitivity > 1:
        assert used >= 0.995


@settings(max_examples=6, deadline=None)
@given(budgets, st.integers(1, 150))
def test_the_precision_that_is_left_beside_other_events_keeps_the_budget(budget, blocks):
    if budget.adjacency == "add-remove":
        planned = [labels(budget.epsilon), gaussian_event("a", "-", 200.0)]
    else:
        planned = [gaussian_event("a", "-", 6.0 / budget.epsilon + 6)]
    precision = remaining_precision(budget, planned)
    assert 0.995 <= spent(budget, *planned, continuous(precision)) / budget.epsilon <= 1
    sigma = noise_scale(precision / blocks)
    assert spent(budget, *planned, gaussian_event("more", "-", sigma, count=blocks)) <= budget.epsilon


@settings(max_examples=5, deadline=None)
@given(budgets, st.floats(0.003, 0.2), st.integers(20, 2000))
def test_dp_sgd_is_calibrated_to_the_budget(budget, probability, steps):
    planned = [gaussian_event("a", "-", 20.0 / min(budget.epsilon, 1))]
    noise = calibrate_sampled_gaussian(budget, planned, probability, steps)
    used = spent(budget, *planned, sampled_gaussian_event("critic", "-", noise, probability, steps))
    assert used <= budget.epsilon
    assert used >= 0.995 * budget.epsilon or noise == pytest.approx(0.25)


@settings(max_examples=6, deadline=None)
@given(budgets, st.sampled_from([1, 15, 105]))
def test_discrete_noise_is_calibrated_to_the_budget(budget, count):
    def make(scale):
        return [gaussian_event("one", "-", scale, count=count), gaussian_event("two", "-", 2 * scale, sensitivity=2.0)]

    scale = calibrate_noise(budget, [], make, math.sqrt(count) * 4 / budget.epsilon)
    assert 0.99 <= spent(budget, *make(scale)) / budget.epsilon <= 1


def test_a_sample_so_small_that_it_needs_no_noise_gets_the_least():
    budget = PrivacyBudget(1, 1e-4)
    assert calibrate_sampled_gaussian(budget, [], 1e-6, 2) == pytest.approx(0.25)


@settings(max_examples=30)
@given(budgets, st.floats(1.1, 50))
def test_what_is_left_is_what_still_fits(budget, factor):
    events = [
        gaussian_event("a", "-", factor / math.sqrt(gaussian_precision(budget.epsilon, budget.delta)), discrete=False)
    ]
    left = epsilon_left(budget, events)
    assert 0 < left < budget.epsilon
    more = continuous(gaussian_precision(left, budget.delta))
    assert spent(budget, *events, more) <= budget.epsilon * (1 + 1e-9)
    assert spent(budget, *events, continuous(gaussian_precision(left * 1.01, budget.delta))) > budget.epsilon


def test_all_is_left_before_anything_and_nothing_after_all():
    budget = PrivacyBudget(1, 1e-6)
    assert epsilon_left(budget, []) == pytest.approx(1, rel=1e-4)
    assert epsilon_left(budget, [continuous(gaussian_precision(1, 1e-6))]) == 0
    assert epsilon_left(budget, [laplace_event("a", "b", 0.5, delta=1e-6)]) == 0


def test_a_budget_that_is_gone_buys_no_noise():
    budget = PrivacyBudget(1, 1e-6)
    with pytest.raises(PrivacyError, match=r"spend epsilon 2\.\d+ of 1 at delta 1e-06, which leaves nothing"):
        remaining_precision(budget, [gaussian_event("a", "b", 50.0), gaussian_event("c", "d", 2.0, discrete=False)])
    with pytest.raises(PrivacyError, match="leaves nothing"):
        calibrate_sampled_gaussian(budget, [laplace_event("a", "b", 1.5)], 0.1, 10)
    with pytest.raises(PrivacyError, match="leaves nothing"):
        calibrate_sampled_gaussian(budget, [laplace_event("a", "b", 0.1, delta=1e-6)], 0.1, 10)


def test_less_is_left_for_dp_sgd_where_units_are_replaced():
    noise = [
        calibrate_sampled_gaussian(PrivacyBudget(1, 1e-6, adjacency=adjacency), [], 0.02, 500)
        for adjacency in ("add-remove", "replace-one")
    ]
    assert 1.5 * noise[0] < noise[1] < 2.5 * noise[0]
