"""Who is most exposed: groups mean the same for members and non-members, and rows stay private unless asked for."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from synthkit.auditing.attacks.membership import ATTACKS
from synthkit.auditing.case import AuditCase
from synthkit.auditing.exposure import MOST_GROUPS, exposed_weights, find_exposure
from synthkit.auditing.intervals import adjusted, auc_estimate
from synthkit.auditing.records import Estimate, Risk, not_applicable
from synthkit.errors import InputError
from synthkit.evaluation.case import Rows
from synthkit.evaluation.view import TableView


def people(n, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "wage": rng.lognormal(3, 1, n),
            "born": pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 20000, n), unit="D"),
            "city": rng.choice(["A", "B", "C", "rare"], n, p=[0.5, 0.3, 0.19, 0.01]),
        }
    )


def make_case(**more):
    """Return a case that gives away the training rows of one city, and other people for the rest."""
    table = people(1600, 0)
    train, holdout, other = table[:400], table[400:1200], table[1200:]
    released = pd.concat([train[train["city"] == "C"], other[other["city"] != "C"]])
    view = TableView(train)

    def rows(frame):
        frame = frame.reset_index(drop=True)
        return Rows(frame, view.code(frame))

    parts = (train, holdout, released, train, holdout[:400], holdout[400:])
    options = {"quasi_identifiers": ("age", "city", "born"), "sensitive": ("wage", "city"), **more}
    return AuditCase(view, *(rows(part) for part in parts), **options)


@pytest.fixture(scope="module")
def case():
    return make_case()


@pytest.fixture(scope="module")
def risks(case):
    return {attack.name: attack.run(case)[0] for attack in ATTACKS}


def test_the_group_that_is_given_away_comes_first(case, risks):
    found = find_exposure(case, risks)
    assert (found.groups[0].by, found.groups[0].label) == ("city", "C")
    assert found.groups[0].low > 0.5
    assert found.groups[0].share_exposed > 0.01
    assert [group.low for group in found.groups] == sorted((group.low for group in found.groups), reverse=True)
    assert len(found.groups) <= MOST_GROUPS


def test_groups_are_made_of_targets_alike(case, risks):
    found = find_exposure(case, risks)
    labels = {(group.by, group.label) for group in found.groups}
    assert {by for by, _ in labels} == {"age", "city", "born", "wage", "rarity"}
    assert ("city", "rare") not in labels
    by_city = [group for group in found.groups if group.by == "city"]
    assert len(by_city) == len({group.label for group in by_city})  # asked for twice, told once
    for group in by_city:
        assert group.records == (case.members.frame["city"] == group.label).sum()


def test_the_area_of_a_group_is_that_of_its_targets_at_the_level_of_all_groups_and_attacks(case, risks):
    found = find_exposure(case, risks)
    scores = case.share(f"scores: {found.attack}", lambda: None)
    inside = np.concatenate([case.members.frame["city"], case.nonmembers.frame["city"]]) == "A"
    # 5 of rarity, 4 quartiles of each number and date, 3 cities with enough people; the strongest of all attacks
    level = adjusted(case.confidence, (5 + 3 * 4 + 3) * len(risks))
    expected = auc_estimate(scores[inside & case.is_member], scores[inside & ~case.is_member], level)
    (group,) = [group for group in found.groups if group.label == "A"]
    assert (group.auc, group.low, group.high) == (expected.value, expected.low, expected.high)


def test_the_strongest_attack_ranks_by_lower_end_then_name(case):
    def risk(name, low):
        return Risk(name, estimates={"auc": Estimate(0.6, low, 0.7, 0.5)})

    assert find_exposure(case, {"a": risk("nearest", 0.55), "b": risk("domias", 0.52)}).attack == "nearest"
    assert find_exposure(case, {"a": risk("nearest", 0.55), "b": risk("domias", 0.55)}).attack == "domias"
    # other families and attacks that were not made do not count
    none = {"x": risk("linkability", 0.9), "y": not_applicable("domias", "too few")}
    assert find_exposure(case, none) is None
    assert find_exposure(case, {}) is None
    assert "order of the records is that of chance" in find_exposure(case, {"a": risk("nearest", 0.45)}).note


def test_rows_are_told_only_when_asked_for(case, risks):
    quiet = find_exposure(case, risks)
    assert quiet.records == ()
    told = find_exposure(case, risks, raw_rows=True)
    assert len(told.records) == 20
    assert list(told.records[0]) == ["membership score", *case.members.frame.columns]
    scores = [record["membership score"] for record in told.records]
    assert scores == sorted(scores, reverse=True)
    assert {record["city"] for record in told.records} == {"C"}
    json.dumps(told.records, allow_nan=False)
    # no group names a smallest or largest value
    text = json.dumps([dataclasses.asdict(group) for group in quiet.groups])
    wage = case.members.frame["wage"]
    assert not any(f"{value:g}" in text for value in (wage.max(), wage.min()))


def test_original_rows_replace_those_that_were_read(case, risks):
    original = pd.DataFrame({"person": np.arange(len(case.members)), "none": np.nan})
    records = find_exposure(case, risks, raw_rows=True, original=original).records
    assert all(list(record) == ["membership score", "person", "none"] for record in records)
    assert {case.members.frame["city"][record["person"]] for record in records} == {"C"}
    assert records[0]["none"] is None
    with pytest.raises(InputError, match="expected one for each of 400 members"):
        find_exposure(case, risks, raw_rows=True, original=original[:-1])


def test_columns_with_missing_or_few_values_are_grouped(risks):
    case = make_case()
    frames = []
    for rows in (case.members, case.nonmembers):
        numbers = rows.coded.numbers.copy()
        numbers[:100, 0] = np.nan
        numbers[100:, 0] = np.where(np.arange(300) < 200, 1.0, 2.0)
        frames.append(Rows(rows.frame, dataclasses.replace(rows.coded, numbers=numbers)))
    few = dataclasses.replace(case, members=frames[0], nonmembers=frames[1], sensitive=(), _shared={})
    found = find_exposure(dataclasses.replace(few, quasi_identifiers=("age",)), risks)
    ages = {group.label: group.records for group in found.groups if group.by == "age"}
    assert ages == {"missing": 100, "at most 1": 200, "above 1": 100}


def test_dates_are_told_as_days(case, risks):
    labels = [group.label for group in find_exposure(case, risks).groups if group.by == "born"]
    assert labels
    assert all("19" in label or "20" in label for label in labels)
    assert all(len(label.split()[-1]) == len("1950-01-01") for label in labels)


def test_members_that_tie_share_what_is_left():
    assert exposed_weights(np.arange(200.0)).tolist() == [0.0] * 198 + [1.0] * 2
    tied = exposed_weights(np.array([1.0] * 199 + [2.0]))
    assert tied.sum() == pytest.approx(2)
    assert tied[-1] == 1
    np.testing.assert_allclose(tied[:-1], 1 / 199)
    assert exposed_weights(np.zeros(3)).tolist() == pytest.approx([1 / 3] * 3)
