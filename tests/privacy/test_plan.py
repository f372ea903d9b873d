"""What a budget is split into keeps the budget, uses nearly all of it, and is decided from public numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.errors import PrivacyError
from synthkit.privacy.accounting import LATTICE_VARIANCE, epsilon_spent
from synthkit.privacy.anchor import event_sigma, most_bins, sensitivity_of
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.plan import ReleasePlan, plan_release

LEVELS = (1, 3, 2)


def spent(plan: ReleasePlan) -> float:
    return epsilon_spent(tuple(plan.events.values()), plan.budget.delta, plan.budget.adjacency)


@settings(max_examples=25)
@given(
    epsilon=st.floats(0.1, 12),
    columns=st.integers(1, 60),
    bins=st.booleans(),
    adjacency=st.sampled_from(["add-remove", "replace-one"]),
    rows_per_unit=st.sampled_from([1, 3]),
    bought=st.booleans(),
)
def test_a_plan_keeps_its_budget_and_uses_it(
    epsilon: float, columns: int, bins: bool, adjacency: str, rows_per_unit: int, bought: bool
) -> None:
    unit = "person" if rows_per_unit > 1 else "row"
    budget = PrivacyBudget(epsilon, 1e-6, unit=unit, adjacency=adjacency, rows_per_unit=rows_per_unit)  # type: ignore[arg-type]
    plan = plan_release(budget, columns=columns, levels=LEVELS if bins else (), records=None if bought else 10_000)
    assert spent(plan) <= epsilon
    if (
        columns > 5
    ):  # fewer histograms of whole numbers are planned with more noise than their exact accounting asks for
        assert spent(plan) >= 0.98 * epsilon


def test_bought_categories_are_part_of_the_budget() -> None:
    budget = PrivacyBudget(2.0, 1e-6)
    plan = plan_release(budget, columns=5, levels=LEVELS, records=10_000, bought=("town", "job"))
    assert {"categories of town", "categories of job"} <= set(plan.events)
    assert sum(event.delta for event in plan.events.values()) < budget.delta
    assert 0.98 * 2.0 <= spent(plan) <= 2.0


@pytest.mark.parametrize("engine", ["hybrid", "dp-sgd"])
def test_a_critic_gets_its_share(engine: str) -> None:
    plan = plan_release(PrivacyBudget(3.0, 1e-6), columns=15, levels=LEVELS, records=30_000, engine=engine)
    assert plan.events["critic"].sampling_probability == pytest.approx(1_000 / 30_000)
    assert ("pairs" in plan.events) == (engine == "hybrid")
    assert 0.98 * 3.0 <= spent(plan) <= 3.0


def test_wide_tables_select_their_pairs() -> None:
    budget = PrivacyBudget(1.0, 1e-6)
    assert "scores" not in plan_release(budget, columns=15, levels=LEVELS, records=10_000).events
    assert "scores" in plan_release(budget, columns=40, levels=LEVELS, records=10_000).events


def test_fewer_pairs_than_planned_get_less_noise_and_more_are_refused() -> None:
    budget = PrivacyBudget(10.0, 1e-6)
    plan = plan_release(budget, columns=40, levels=LEVELS, records=10_000)
    event, pairs = plan.events["pairs"], plan.pairs
    sigma = [event_sigma(event, budget, n) for n in (1, pairs // 2, pairs)]
    assert sigma == sorted(sigma)
    assert sigma[-1] == pytest.approx((event.noise_multiplier or 0) * sensitivity_of(budget, pairs))
    # what the accountant takes off for whole numbers is there for every number of pairs
    costs = [n / (one**2 - LATTICE_VARIANCE) for n, one in zip((1, pairs // 2, pairs), sigma, strict=True)]
    assert costs == pytest.approx([costs[-1]] * 3)
    with pytest.raises(PrivacyError, match="planned for a sensitivity"):
        event_sigma(event, budget, pairs + 1)


def test_neighbours_that_replace_a_row_cost_more_noise() -> None:
    noise = [
        plan_release(PrivacyBudget(1.0, 1e-6, adjacency=adjacency), columns=10, levels=LEVELS, records=10_000).sigma(
            "pairs"
        )
        for adjacency in ("add-remove", "replace-one")
    ]
    assert noise[1] == pytest.approx(math.sqrt(2) * noise[0], rel=0.01)


def test_more_budget_means_more_bins_within_limits() -> None:
    bins = [most_bins(signal) for signal in (1.0, 400.0, 1_000.0, 6_000.0, 1e9)]
    assert bins == sorted(bins)
    assert bins[0] == 16
    assert bins[-1] == 128


def test_impossible_plans_are_refused_before_anything_is_read() -> None:
    budget = PrivacyBudget(1.0, 1e-3)
    with pytest.raises(PrivacyError, match="delta"):
        plan_release(budget, columns=5, levels=LEVELS, records=5_000)
    with pytest.raises(PrivacyError, match="did you mean 'anchor'"):
        plan_release(budget, columns=5, levels=LEVELS, records=1_000, engine="ancor")
    with pytest.raises(PrivacyError, match="--records"):
        plan_release(budget, columns=5, levels=LEVELS, records=None, engine="hybrid")
