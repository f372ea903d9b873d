"""Membership attacks: brute-force oracles, both controls, and laws that all of them obey."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from synthkit.auditing.attacks.membership import (
    ATTACKS,
    SCORES,
    calibrated_scores,
    domias_scores,
    membership_scores,
    monte_carlo_radius,
    monte_carlo_scores,
    nearest_scores,
)
from synthkit.auditing.attacks.membership_scores import MEASURES, advantage, columns_of
from synthkit.auditing.case import AuditCase, AuditLimits
from synthkit.errors import InputError
from synthkit.evaluation.case import Rows
from synthkit.evaluation.view import TableView


def people(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n)
    wage = np.round(rng.lognormal(3, 1, n), 2)
    wage[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "age": age,
            "wage": wage,
            "city": rng.choice(["A", "B", "C", "D"], n, p=[0.5, 0.3, 0.15, 0.05]),
            "job": np.where(age > 60, "none", rng.choice(["clerk", "cook"], n)),
        }
    )


def make_case(train, holdout, synthetic, seed=0, **more):
    view = TableView(train)

    def rows(frame):
        frame = frame.reset_index(drop=True)
        return Rows(frame, view.code(frame))

    half = len(holdout) // 2
    return AuditCase(
        view,
        rows(train),
        rows(holdout),
        rows(synthetic),
        rows(train[:half]),
        rows(holdout[:half]),
        rows(holdout[half:]),
        seed=seed,
        **more,
    )


@pytest.fixture(scope="module")
def leaky():
    """Return a case whose release is the training table."""
    table = people(900, 0)
    return make_case(table[:300], table[300:], table[:300])


@pytest.fixture(scope="module")
def honest():
    """Return a case whose release is a table of other people."""
    table = people(1500, 1)
    return make_case(table[:400], table[400:1200], table[1200:])


def brute(points, base):
    return np.sqrt(((points[:, None].astype(float) - base[None].astype(float)) ** 2).sum(2))


def by_name(name):
    return next(attack for attack in ATTACKS if attack.name == name)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_copy_is_caught(attack, leaky):
    (risk,) = attack.run(leaky)
    assert risk.headline.above
    assert risk.attack == attack.name


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_other_people_are_not_a_leak(attack, honest):
    (risk,) = attack.run(dataclasses.replace(honest, confidence=0.999))
    for estimate in risk.estimates.values():
        assert estimate.low <= estimate.baseline <= estimate.high


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_each_attack_has_its_measures_in_order(attack, honest):
    (risk,) = attack.run(honest)
    assert list(risk.estimates) == list(attack.measures) == list(MEASURES) == ["auc", "tpr@fpr1%", "tpr@fpr0.1%"]
    assert risk.n == 800
    assert 0 <= risk.details["advantage"] <= 1
    assert "0.1 %" in risk.note  # fewer than a thousand non-members
    assert (attack.family, attack.needs) == ("membership", ("holdout",))


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_finite_and_repeat(name, leaky):
    first = membership_scores(leaky, name)
    again = membership_scores(dataclasses.replace(leaky, _shared={}), name)
    assert first.shape == (600,)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert leaky.share(f"scores: {name}", lambda: None) is first


@pytest.mark.parametrize("name", [name for name in SCORES if name != "classifier"])
def test_the_order_of_released_and_reference_rows_does_not_matter(name, honest):
    rng = np.random.default_rng(0)
    shuffled = dataclasses.replace(
        honest,
        synthetic=honest.synthetic.take(rng.permutation(len(honest.synthetic))),
        reference=honest.reference.take(rng.permutation(len(honest.reference))),
        _shared={},
    )
    np.testing.assert_allclose(membership_scores(honest, name), membership_scores(shuffled, name), atol=1e-4)


@pytest.mark.parametrize("name", SCORES)
def test_members_and_non_members_are_treated_alike(name, honest):
    # no attack may know who is a member: exchanged targets have exchanged scores
    swapped = dataclasses.replace(honest, members=honest.nonmembers, nonmembers=honest.members, _shared={})
    there, back = membership_scores(honest, name), membership_scores(swapped, name)
    np.testing.assert_allclose(there, np.concatenate([back[400:], back[:400]]), atol=1e-6)


def test_distance_attacks_are_those_of_brute_force(honest):
    near = np.sort(brute(honest.points, honest.synthetic_points), axis=1)
    reference = np.sort(brute(honest.points, honest.reference_points), axis=1)
    expected = np.log(reference[:, :5] + 1e-3).mean(axis=1) - np.log(near[:, 0] + 1e-3)
    np.testing.assert_allclose(nearest_scores(honest), -near[:, 0], atol=1e-5)
    np.testing.assert_allclose(calibrated_scores(honest), reference[:, 0] - near[:, 0], atol=1e-5)
    np.testing.assert_allclose(domias_scores(honest), expected, atol=1e-2)


def test_monte_carlo_counts_all_rows_within_the_radius():
    # more equal rows than neighbours are searched
    table = pd.DataFrame({"x": np.repeat(np.arange(5.0), 60), "y": np.tile(["a", "b", "c"], 100)})
    rng = np.random.default_rng(0)
    train, holdout, other = (table.take(rng.permutation(300)).reset_index(drop=True) for _ in range(3))
    case = make_case(train, holdout, other)
    distances = brute(case.points, case.synthetic_points)
    assert monte_carlo_radius(case) == pytest.approx(np.median(distances.min(axis=1)))
    within = (distances <= monte_carlo_radius(case) + 1e-5).sum(axis=1)
    assert within.max() > 10
    np.testing.assert_allclose(monte_carlo_scores(case), within / len(other))


def test_advantage_by_hand():
    assert advantage(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert advantage(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 0.0
    assert advantage(np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0, 2.5])) == pytest.approx(0.25)


def test_members_have_one_note_for_all_rates():
    table = people(120, 2)
    (risk,) = by_name("nearest").run(make_case(table[:60], table[60:], table[:60]))
    assert risk.note == "With 30 non-members a false-positive rate of 1 % means that none is accused."


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_too_few_rows_are_named(attack):
    table = people(60, 3)
    (risk,) = attack.run(make_case(table[:30], table[30:], table[:5]))
    assert risk.outcome == "not applicable"
    assert "15 members and 15 non-members and 5 synthetic rows" in risk.note
    assert risk.estimates == {}


def test_only_attacks_that_compare_need_reference_rows(honest):
    case = dataclasses.replace(honest, reference=honest.reference.take(np.arange(3)), _shared={})
    without = {attack.name for attack in ATTACKS if attack.run(case)[0].outcome != "not applicable"}
    assert without == {"nearest", "monte-carlo"}


def test_labels_that_no_training_row_has_are_told_apart():
    table = people(400, 4)
    train, holdout = table[:200].copy(), table[200:].reset_index(drop=True)
    holdout.loc[:9, "city"], holdout.loc[100:109, "city"] = "E", "F"
    case = make_case(train, holdout, table[:200])
    columns = columns_of(case)
    city = list(case.view.columns).index("city")
    assert set(columns.targets[city, 100:110]).isdisjoint(columns.reference[city, :10])
    assert np.isfinite(membership_scores(case, "classifier")).all()


def test_numbers_are_snapped_to_the_nearest_real_one():
    train = pd.DataFrame({"x": [0.0, 1.0, 10.0, np.nan] * 10, "y": ["a", "b"] * 20})
    other = train.assign(x=train["x"].map({0.0: -5.0, 1.0: 1.2, 10.0: 5.6}))
    case = make_case(train, train.copy(), other)
    columns = columns_of(case)
    # 5.6 lies nearer to 10 than to 1
    np.testing.assert_array_equal(columns.snapped[0, :4], columns.targets[0, :4])
    assert columns.synthetic[0, 0] < columns.targets[0, 0]


def test_limits_bound_the_rows_looked_at(honest):
    case = dataclasses.replace(honest, limits=AuditLimits(synthetic=50, reference=40), _shared={})
    assert (columns_of(case).synthetic.shape[1], columns_of(case).reference.shape[1]) == (50, 40)
    # the same rows as those in which neighbours are searched
    age = list(case.view.columns).index("age")
    order = np.argsort(columns_of(case).synthetic[age], kind="stable")
    assert (np.diff(case.synthetic_points[order, age]) >= 0).all()


def test_an_unknown_attack_is_named(honest):
    with pytest.raises(InputError, match="did you mean 'domias'"):
        membership_scores(honest, "domas")
