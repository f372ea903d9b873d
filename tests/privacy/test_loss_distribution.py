"""The privacy loss distribution against closed forms, other implementations and brute force."""

import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_ndtr, logsumexp

from synthkit.errors import PrivacyError
from synthkit.privacy.events import gaussian_event, laplace_event, sampled_gaussian_event
from synthkit.privacy.loss_distribution import LATTICE_VARIANCE, pld_epsilon

SLACK = 1 + 2e-3  # what the discretisation may cost, twice

adjacencies = st.sampled_from(["add-remove", "replace-one"])


def continuous(noise, count=1):
    return gaussian_event("continuous", "-", noise, count=count, discrete=False)


def gaussian_delta(epsilon, noise):
    """The curve of Balle and Wang (2018)."""
    first = log_ndtr(0.5 / noise - epsilon * noise)
    return math.exp(first) - math.exp(epsilon + log_ndtr(-0.5 / noise - epsilon * noise))


def lattice_delta(epsilon, sigma, moves):
    """The delta of discrete Gaussians, each moved by its own whole step, by brute force over all outcomes."""
    reach = math.ceil(12 * sigma) + max(moves)
    values = np.arange(-reach, reach + 1)
    mass, loss = np.zeros(1), np.zeros(1)
    for move in moves:
        log_at, log_moved = -(values**2) / (2 * sigma**2), -((values - move) ** 2) / (2 * sigma**2)
        own = np.exp(log_at - logsumexp(log_at))
        mass = np.multiply.outer(mass if mass.any() else np.ones(1), own).ravel()
        loss = np.add.outer(loss, log_at - log_moved).ravel()
    return float(mass @ np.maximum(-np.expm1(epsilon - loss), 0))


@given(
    st.lists(st.tuples(st.floats(0.3, 200), st.integers(1, 300)), min_size=1, max_size=4),
    st.floats(1e-9, 1e-2),
    adjacencies,
)
def test_gaussian_events_are_one_gaussian_curve_under_either_adjacency(mechanisms, delta, adjacency):
    events = [continuous(noise, count) for noise, count in mechanisms]
    together = 1 / math.sqrt(sum(count / noise**2 for noise, count in mechanisms))
    epsilon = pld_epsilon(events, delta, adjacency)
    if epsilon == 0:
        assert gaussian_delta(0, together) <= delta * (1 + 1e-9)
    else:
        assert gaussian_delta(epsilon, together) == pytest.approx(delta, rel=1e-6)


@pytest.mark.parametrize(("noise", "count"), [(7.0, 1), (3.7, 1), (15.0, 120), (1.0, 2)])
def test_the_curve_agrees_with_dp_accounting(noise, count):
    accountant = dp_accounting.pld.PLDAccountant()
    accountant.compose(dp_accounting.GaussianDpEvent(noise), count)
    assert pld_epsilon([continuous(noise, count)], 1e-6, "add-remove") == pytest.approx(
        accountant.get_epsilon(1e-6), rel=1e-3
    )


@pytest.mark.parametrize(
    ("noise", "probability", "steps"), [(1.1, 0.02, 1000), (4.0, 0.3, 300), (0.8, 0.003, 1000), (9.0, 0.03, 5000)]
)
def test_dp_sgd_agrees_with_a_finer_discretisation_and_is_never_below(noise, probability, steps):
    fine = (
        privacy_loss_distribution.from_gaussian_mechanism(
            noise, sampling_prob=probability, value_discretization_interval=1e-4
        )
        .self_compose(steps)
        .get_epsilon_for_delta(1e-6)
    )
    ours = pld_epsilon([sampled_gaussian_event("a", "b", noise, probability, steps)], 1e-6, "add-remove")
    assert fine * (1 - 1e-4) <= ours <= fine * SLACK


def test_events_are_added_up_together_and_not_one_by_one():
    counts, labels = continuous(4.0), laplace_event("labels", "-", 0.2)
    critic = sampled_gaussian_event("critic", "-", 1.5, 0.02, 500)
    alone = [pld_epsilon([event], 1e-6, "add-remove") for event in (counts, labels, critic)]
    together = pld_epsilon([counts, labels, critic], 1e-6, "add-remove")
    assert max(alone) < together < sum(alone)
    accountant = dp_accounting.pld.PLDAccountant()
    for event in (counts, labels, critic):
        accountant.compose(event.dp_event)
    assert together == pytest.approx(accountant.get_epsilon(1e-6), rel=3e-3)


def test_laplace_alone_is_its_epsilon():
    assert pld_epsilon([laplace_event("a", "b", 0.3)], 1e-12, "add-remove") == pytest.approx(0.3, rel=1e-3)
    assert pld_epsilon([laplace_event("a", "b", 0.3, count=5)], 1e-12, "add-remove") == pytest.approx(1.5, rel=2e-3)


def test_failure_probabilities_are_taken_off_delta():
    labels = laplace_event("labels", "-", 0.1, delta=4e-7)
    assert pld_epsilon([continuous(3.0), labels], 1e-6, "add-remove") == pytest.approx(
        pld_epsilon([continuous(3.0), laplace_event("labels", "-", 0.1)], 6e-7, "add-remove")
    )
    assert pld_epsilon([labels, labels, labels], 1e-6, "add-remove") == math.inf


def test_nothing_spends_nothing():
    assert pld_epsilon([], 1e-6, "add-remove") == 0


def test_laplace_is_refused_where_units_are_replaced():
    with pytest.raises(PrivacyError, match="not for 'replace-one'"):
        pld_epsilon([laplace_event("a", "b", 0.1)], 1e-6, "replace-one")


# -------------------- discrete Gaussian noise


@pytest.mark.parametrize("sigma", [0.5, 0.9, 1.4, 3.7, 12.0])
def test_discrete_noise_of_sensitivity_one_is_exact(sigma):
    epsilon = pld_epsilon([gaussian_event("a", "b", sigma)], 1e-6, "add-remove")
    assert lattice_delta(epsilon, sigma, [1]) <= 1e-6 * (1 + 1e-9)
    assert lattice_delta(epsilon / SLACK, sigma, [1]) > 1e-6


@pytest.mark.parametrize("sigma", [1.5, 2.5, 6.0])
@pytest.mark.parametrize("moves", [(1,), (2,), (3,), (1, 1), (2, 1)])
def test_discrete_noise_of_any_whole_move_is_bounded(sigma, moves):
    length = math.sqrt(sum(move**2 for move in moves))
    event = gaussian_event("a", "b", sigma / length, sensitivity=length)
    for adjacency in ("add-remove", "replace-one"):
        epsilon = pld_epsilon([event], 1e-6, adjacency)
        assert lattice_delta(epsilon, sigma, list(moves)) <= 1e-6 * (1 + 1e-9)


@pytest.mark.parametrize(("sigma", "count"), [(2.0, 3), (5.5, 120), (15.0, 120), (40.0, 120)])
def test_the_two_bounds_for_discrete_noise_agree_where_there_is_much_noise(sigma, count):
    exact = (
        privacy_loss_distribution.from_discrete_gaussian_mechanism(sigma, use_connect_dots=True)
        .self_compose(count)
        .get_epsilon_for_delta(1e-6)
    )
    ours = pld_epsilon([gaussian_event("a", "b", sigma, count=count)], 1e-6, "add-remove")
    assert exact * (1 - 1e-4) <= ours <= exact * SLACK
    # As if nothing were known of the moves: never below, and the price is LATTICE_VARIANCE.
    bound = pld_epsilon([gaussian_event("a", "b", sigma / 2, count=count, sensitivity=2.0)], 1e-6, "add-remove")
    same = pld_epsilon([continuous(math.sqrt(sigma**2 - LATTICE_VARIANCE) / 2, count)], 1e-6, "add-remove")
    assert bound == pytest.approx(same, rel=1e-6)
    assert bound >= pld_epsilon([continuous(sigma / 2, count)], 1e-6, "add-remove")


def test_the_rounding_of_the_proof_gives_the_discrete_gaussian():
    # x from N(0, s^2), then y around it with exp(-(y - x)^2 / 2 r^2): the law of y is the discrete Gaussian.
    sigma, r = 2.0, math.sqrt(LATTICE_VARIANCE)
    x = np.linspace(-25, 25, 20_001)
    density = np.exp(-(x**2) / (2 * (sigma**2 - r**2)))
    y = np.arange(-60, 61)
    weights = np.exp(-((y - x[:, None]) ** 2) / (2 * r**2))
    law = (density[:, None] * (weights / weights.sum(1, keepdims=True))).sum(0)
    discrete = np.exp(-(y**2) / (2 * sigma**2))
    near = np.abs(y) <= 10
    ratio = (law / law.sum())[near] / (discrete / discrete.sum())[near]
    np.testing.assert_allclose(ratio, 1, atol=1e-11)


def test_discrete_noise_that_is_too_small_for_the_bound_is_not_taken_for_any():
    assert pld_epsilon([gaussian_event("a", "b", 0.3, sensitivity=3.0)], 1e-6, "add-remove") == math.inf
    assert math.isfinite(pld_epsilon([gaussian_event("a", "b", 0.5)], 1e-6, "add-remove"))


# -------------------- adjacency


def test_replacing_a_unit_that_always_takes_part_doubles_its_contribution():
    critic = sampled_gaussian_event("a", "b", 5.0, 1.0, 10)
    assert pld_epsilon([critic], 1e-6, "replace-one") == pytest.approx(
        pld_epsilon([continuous(2.5, 10)], 1e-6, "add-remove"), rel=2e-3
    )
    assert pld_epsilon([critic], 1e-6, "add-remove") == pytest.approx(
        pld_epsilon([continuous(5.0, 10)], 1e-6, "add-remove"), rel=2e-3
    )


def hockey_stick(epsilon, noise, probability, one, other):
    """Divergence of two sampled Gaussians in the plane, by quadrature; any two contributions span at most a plane."""
    grid = np.linspace(-9 * noise - 1, 9 * noise + 1, 201)
    x, y = np.meshgrid(grid, grid)

    def density(mean):
        return np.exp(-((x - mean[0]) ** 2 + (y - mean[1]) ** 2) / (2 * noise**2)) / (2 * np.pi * noise**2)

    first = (1 - probability) * density((0, 0)) + probability * density(one)
    second = (1 - probability) * density((0, 0)) + probability * density(other)
    return np.maximum(first - math.exp(epsilon) * second, 0).sum() * (grid[1] - grid[0]) ** 2


@pytest.mark.parametrize(("noise", "probability"), [(0.6, 0.1), (1.0, 0.5), (3.0, 0.02)])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0])
def test_no_replacement_is_worse_than_turning_a_contribution_around(noise, probability, epsilon):
    worst = hockey_stick(epsilon, noise, probability, (1, 0), (-1, 0))
    accounted = privacy_loss_distribution.from_gaussian_mechanism(
        noise,
        sampling_prob=probability,
        neighboring_relation=dp_accounting.NeighboringRelation.REPLACE_ONE,
        value_discretization_interval=1e-3,
    ).get_delta_for_epsilon(epsilon)
    assert accounted == pytest.approx(worst, rel=2e-3, abs=1e-9)
    for one, other, angle in [(1, 1, 0.5), (1, 1, 0.9), (1, 0, 0), (1, 0.5, 1), (0.5, 1, 1), (0, 1, 0)]:
        turned = (other * math.cos(angle * math.pi), other * math.sin(angle * math.pi))
        assert hockey_stick(epsilon, noise, probability, (one, 0), turned) <= worst * (1 + 1e-6) + 1e-12


# -------------------- laws

cheap = (
    st.builds(continuous, st.floats(1, 50), st.integers(1, 20))
    | st.builds(lambda noise, count: gaussian_event("a", "b", noise, count=count), st.floats(1, 50), st.integers(1, 20))
    | st.builds(lambda epsilon, count: laplace_event("a", "b", epsilon, count=count), st.floats(0.01, 0.5), st.just(2))
    | st.builds(
        lambda noise, steps: sampled_gaussian_event("a", "b", noise, 0.02, steps),
        st.floats(0.8, 5),
        st.integers(1, 300),
    )
)


@settings(max_examples=12, deadline=None)
@given(st.lists(cheap, min_size=1, max_size=3), cheap)
def test_another_event_never_costs_less(events, another):
    before = pld_epsilon(events, 1e-6, "add-remove")
    after = pld_epsilon([*events, another], 1e-6, "add-remove")
    assert after * SLACK >= before


@settings(max_examples=12, deadline=None)
@given(st.floats(0.8, 10), st.floats(1.3, 4), st.integers(1, 300), st.floats(0.001, 0.2), st.booleans(), adjacencies)
def test_more_noise_never_costs_more(noise, factor, count, probability, is_sampled, adjacency):
    def event(multiplier):
        if is_sampled:
            return sampled_gaussian_event("a", "b", multiplier, probability, count)
        return gaussian_event("a", "b", multiplier, count=count)

    less = pld_epsilon([event(noise * factor)], 1e-6, adjacency)
    assert less <= pld_epsilon([event(noise)], 1e-6, adjacency) * SLACK


@settings(max_examples=12, deadline=None)
@given(st.floats(0.8, 10), st.integers(1, 300), st.floats(0.001, 0.2))
def test_replacing_a_unit_never_costs_less_than_removing_it(noise, steps, probability):
    event = sampled_gaussian_event("a", "b", noise, probability, steps)
    assert pld_epsilon([event], 1e-6, "replace-one") * SLACK >= pld_epsilon([event], 1e-6, "add-remove")


@settings(max_examples=10, deadline=None)
@given(st.lists(cheap, min_size=1, max_size=3), st.floats(1e-9, 1e-3), st.floats(1.5, 100))
def test_a_larger_delta_never_costs_more(events, delta, factor):
    smaller = pld_epsilon(events, delta, "add-remove")
    assert pld_epsilon(events, min(delta * factor, 0.1), "add-remove") <= smaller * SLACK


def test_hardly_any_noise_is_a_number_and_takes_little_memory():
    critic = sampled_gaussian_event("a", "b", 0.05, 0.9, 5000)
    assert pld_epsilon([critic], 1e-6, "add-remove") > 1e4
    assert pld_epsilon([gaussian_event("a", "b", 0.05)], 1e-6, "add-remove") > 100
