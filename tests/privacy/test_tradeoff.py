from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from synthkit.errors import PrivacyError
from synthkit.privacy.accounting import epsilon_spent
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import gaussian_event, laplace_event, sampled_gaussian_event
from synthkit.privacy.tradeoff import (
    accuracy_bound,
    gaussian_true_positive,
    meaning,
    posterior_bound,
    true_positive_bound,
)

SHARES = st.floats(0.0, 1.0)
EPSILONS = st.floats(0.0, 30.0)
DELTAS = st.floats(0.0, 0.5)


# -------------------- laws of the guarantee


@given(SHARES, EPSILONS, DELTAS)
def test_a_bound_is_a_rate_and_never_below_guessing(fpr: float, epsilon: float, delta: float) -> None:
    bound = true_positive_bound(fpr, epsilon, delta)
    assert fpr - 1e-12 <= bound <= 1.0


@given(SHARES, EPSILONS, DELTAS, st.floats(0.0, 3.0), st.floats(0.0, 0.2))
def test_more_budget_and_more_accusing_find_more(
    fpr: float, epsilon: float, delta: float, more: float, other: float
) -> None:
    bound = true_positive_bound(fpr, epsilon, delta)
    assert true_positive_bound(fpr, epsilon + more, delta) >= bound - 1e-12
    assert true_positive_bound(fpr, epsilon, delta + other) >= bound - 1e-12
    assert true_positive_bound(min(1.0, fpr + other), epsilon, delta) >= bound - 1e-12


@given(SHARES, st.floats(0.0, 8.0), DELTAS)
def test_the_bound_is_its_own_mirror_image(fpr: float, epsilon: float, delta: float) -> None:
    """Neighbours can be swapped: a test with rates (a, b) turned around has the rates (1 - b, 1 - a)."""
    bound = true_positive_bound(fpr, epsilon, delta)
    assert true_positive_bound(1.0 - bound, epsilon, delta) >= 1.0 - fpr - 1e-9


@given(st.floats(0.001, 0.999), st.floats(0.0, 10.0))
def test_posterior_odds_grow_by_exp_epsilon(prior: float, epsilon: float) -> None:
    after = posterior_bound(prior, epsilon)
    assert after / (1 - after) == pytest.approx(math.exp(epsilon) * prior / (1 - prior), rel=1e-6)


def test_beliefs_that_are_certain_stay_so() -> None:
    assert posterior_bound(0.0, 5.0) == 0.0
    assert posterior_bound(1.0, 5.0) == 1.0


def test_without_a_budget_an_attacker_guesses() -> None:
    assert true_positive_bound(0.01, 0.0, 0.0) == pytest.approx(0.01)
    assert accuracy_bound(0.0, 0.0) == 0.5


@given(EPSILONS, DELTAS)
def test_accuracy_is_the_best_test_at_even_odds(epsilon: float, delta: float) -> None:
    rates = [step / 2000 for step in range(2001)]
    best = max((1 + true_positive_bound(rate, epsilon, delta) - rate) / 2 for rate in rates)
    assert best - 1e-9 <= accuracy_bound(epsilon, delta) <= best + 1e-3


@pytest.mark.parametrize(("share", "epsilon", "delta"), [(-0.1, 1, 0), (1.1, 1, 0), (0.1, -1, 0), (0.1, 1, 1.5)])
def test_nonsense_is_refused(share: float, epsilon: float, delta: float) -> None:
    with pytest.raises(PrivacyError):
        true_positive_bound(share, epsilon, delta)


# -------------------- against the exact trade-off function of Gaussian noise


@given(st.floats(0.01, 6.0), st.floats(1e-4, 0.5))
def test_gaussian_guarantees_hold_the_exact_curve(mu: float, fpr: float) -> None:
    """Every (epsilon, delta) of a Gaussian mechanism bounds its exact true-positive rate."""
    exact = gaussian_true_positive(fpr, mu)
    for epsilon in (0.0, mu / 2, mu**2 / 2, 2 * mu**2):
        delta = float(ndtr(mu / 2 - epsilon / mu) - math.exp(epsilon) * ndtr(-mu / 2 - epsilon / mu))
        assert true_positive_bound(fpr, epsilon, max(delta, 0.0)) >= exact - 1e-9


@pytest.mark.parametrize("mu", [0.05, 0.2, 1.0, 2.0, 4.0, 8.0])
def test_bounds_from_events_are_the_exact_curve_of_gaussian_noise(mu: float) -> None:
    events = [
        gaussian_event("a", "-", math.sqrt(2) / mu, discrete=False),
        gaussian_event("b", "-", 2 / mu, count=2, discrete=False),
    ]
    budget = PrivacyBudget(epsilon_spent(events, 1e-6), 1e-6)
    found = meaning(events, budget, (0.1, 0.01, 0.001))
    for attack in found.attacks:
        exact = gaussian_true_positive(attack.fpr, mu)
        assert exact <= attack.by_events <= exact * (1 + 1e-6)
        assert attack.by_events <= attack.by_guarantee
    assert float(ndtr(mu / 2)) <= found.accuracy_by_events <= float(ndtr(mu / 2)) * (1 + 1e-4)
    assert found.odds == pytest.approx(math.exp(budget.epsilon))


def test_pure_epsilon_is_its_own_curve() -> None:
    """Laplace events have the trade-off of their epsilon, to which a whole composition adds nothing better."""
    events = [laplace_event("labels", "-", 1.0)]
    found = meaning(events, PrivacyBudget(1.0, 1e-9), (0.01,))
    assert found.attacks[0].by_events == pytest.approx(math.e * 0.01, rel=1e-3)
    assert found.accuracy_by_events == pytest.approx(accuracy_bound(1.0, 0.0), rel=1e-3)


@pytest.mark.parametrize("adjacency", ["add-remove", "replace-one"])
def test_bounds_of_sampled_gradients_lie_between_guessing_and_the_guarantee(adjacency: str) -> None:
    events = [
        sampled_gaussian_event("critic", "-", 2.0, 0.02, 200),
        gaussian_event("pairs", "-", 5.0, sensitivity=10.0),
    ]
    budget = PrivacyBudget(epsilon_spent(events, 1e-5, adjacency), 1e-5, adjacency=adjacency)  # type: ignore[arg-type]
    (attack,) = meaning(events, budget, (0.01,)).attacks
    alone = gaussian_true_positive(0.01, 1 / 5.0)
    assert alone < attack.by_events < attack.by_guarantee


def test_failures_of_events_count() -> None:
    budget = PrivacyBudget(1.0, 0.3)
    sure = meaning([laplace_event("labels", "-", 0.5)], budget, (0.01,))
    failing = meaning([laplace_event("labels", "-", 0.5, delta=0.2)], budget, (0.01,))
    assert failing.attacks[0].by_events >= sure.attacks[0].by_events + 0.19


def test_without_events_there_is_nothing_to_find() -> None:
    found = meaning([], PrivacyBudget(1.0, 1e-6))
    assert [attack.by_events for attack in found.attacks] == [0.01, 0.001]
    assert found.accuracy_by_events == 0.5
