from __future__ import annotations

import re

import pytest

from synthkit.errors import PrivacyError
from synthkit.privacy.accounting import epsilon_spent
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.describe import noise_in_rows, unit_in_words
from synthkit.privacy.events import EMBEDDING
from synthkit.privacy.plain_words import explain, not_covered
from synthkit.privacy.scan_plan import CRITIC, STEPS_PER_SCAN, CriticPlan, plan_scan_release
from synthkit.privacy.tradeoff import meaning
from synthkit.privacy.wording import SCANS, TABLE

BUDGET = PrivacyBudget(3.0, 1e-5, unit="patient", rows_per_unit=4)
SMALL = CriticPlan(steps=50, batch=64)


@pytest.mark.parametrize("engine", ["embedding", "critic", "hybrid"])
@pytest.mark.parametrize("adjacency", ["add-remove", "replace-one"])
def test_a_plan_keeps_the_budget_and_uses_it(engine, adjacency):
    budget = PrivacyBudget(3.0, 1e-5, unit="patient", adjacency=adjacency)
    plan = plan_scan_release(budget, records=5_000, engine=engine, critic=SMALL)
    spent = epsilon_spent(tuple(plan.events.values()), budget.delta, adjacency)
    assert 0.99 * budget.epsilon < spent <= budget.epsilon
    assert set(plan.events) == {"embedding": {EMBEDDING}, "critic": {CRITIC}}.get(engine, {EMBEDDING, CRITIC})


def test_a_replaced_patient_changes_the_sums_twice_as_much():
    found = [
        plan_scan_release(PrivacyBudget(1.0, 1e-6, unit="scan", adjacency=own), records=900, engine="embedding")
        for own in ("add-remove", "replace-one")
    ]
    assert [plan.events[EMBEDDING].sensitivity for plan in found] == [STEPS_PER_SCAN, 2 * STEPS_PER_SCAN]


def test_expected_errors_are_those_of_the_noise():
    plan = plan_scan_release(BUDGET, records=2_000, engine="embedding")
    sigma = plan.events[EMBEDDING].noise_multiplier
    # the count has a share of 1/50 of the squared length
    assert plan.count_error == pytest.approx(sigma * 50**0.5)
    # 4 classes of 500 patients, 10,000 features
    assert plan.feature_error(4, 10_000) == pytest.approx(sigma * 100 / 500)
    assert plan_scan_release(BUDGET, records=2_000, engine="critic", critic=SMALL).count_error is None


def test_small_data_are_sampled_at_most_at_the_largest_rate():
    assert CriticPlan(batch=128).probability(200) == 0.25
    assert CriticPlan(batch=128).probability(12_800) == 0.01


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch": 0}, {"largest": 0.0}, {"largest": 1.5}])
def test_impossible_sizes_of_the_critic(wrong):
    with pytest.raises(PrivacyError, match="private critic"):
        CriticPlan(**wrong)


def test_unknown_engines_and_a_delta_that_is_too_large():
    with pytest.raises(PrivacyError, match=r"'embeding'.*'embedding'"):
        plan_scan_release(BUDGET, records=100, engine="embeding")
    with pytest.raises(PrivacyError, match="whole record"):
        plan_scan_release(PrivacyBudget(1.0, 0.01, unit="patient"), records=100, engine="embedding")


# -- words ------------------------------------------------------------------------------------------------------------


def test_a_guarantee_for_patients_is_told_as_one():
    plan = plan_scan_release(BUDGET, records=5_000, engine="embedding")
    told = " ".join(explain(BUDGET, meaning(tuple(plan.events.values()), BUDGET), private=True, words=SCANS))
    assert told.startswith("Add one patient with all scans to the data, or take it out:")
    assert "whether one patient was in the data" in told
    assert not re.search(r"\brows?\b", told)
    covered = " ".join(not_covered(BUDGET, True, SCANS))
    assert covered.startswith("What is declared. Size, range of intensities")
    assert "Who is in the data as several patients counts as several" in covered
    assert not re.search(r"\brows?\b", covered)
    assert "schema" not in covered


def test_a_guarantee_for_scans_warns_of_people_with_several():
    budget = PrivacyBudget(1.0, 1e-6, unit="scan")
    assert "somebody with k scans is protected with k times this epsilon" in " ".join(not_covered(budget, False, SCANS))
    assert unit_in_words(budget, SCANS) == "scan"
    assert unit_in_words(BUDGET, SCANS) == "patient with up to 4 scans"
    assert unit_in_words(PrivacyBudget(1.0, 1e-6, unit="who", rows_per_unit=2)) == "'who' with up to 2 rows"


def test_the_words_for_tables_are_as_they_were():
    assert TABLE.value("row") == "one row"
    assert TABLE.value("who") == "one value of 'who'"
    assert SCANS.value("patient") == "one patient"


def test_features_are_no_counts():
    plan = plan_scan_release(BUDGET, records=5_000, engine="embedding")
    assert noise_in_rows(plan.events[EMBEDDING], BUDGET) is None
