"""Attribute inference: what counts as right, both attackers, the interval of the risk, and both controls."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synthkit.auditing.attacks import attribute
from synthkit.auditing.attacks.guessing import TOLERANCE, Secret, boosted_guesses, constant_guess
from synthkit.auditing.case import AuditCase
from synthkit.auditing.coding import jointly_coded
from synthkit.auditing.gower import GowerSpace
from synthkit.auditing.residual import Comparison
from synthkit.evaluation.case import Rows
from synthkit.evaluation.controls import noisy_copies
from synthkit.evaluation.view import TableView

(ATTACK,) = attribute.ATTACKS


def people(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n)
    return pd.DataFrame(
        {
            "age": age,
            "weight": rng.normal(70, 12, n),
            "income": rng.lognormal(9, 1, n).round(),
            "town": rng.choice([f"town {i}" for i in range(8)], n),
            "job": np.where(age > 65, "retired", rng.choice(["nurse", "clerk", "baker"], n, p=[0.6, 0.3, 0.1])),
            "born": pd.Timestamp("2024-01-01") - pd.to_timedelta(age * 365 + rng.integers(0, 365, n), unit="D"),
        }
    )


def a_case(synthetic="none", n=300, sensitive=("job",), known=(), seed=0):
    tables = [people(n, start) for start in (1, 2, 3)]
    copies = noisy_copies(tables[0], n, np.random.default_rng(5))
    released = {"copies": copies, "none": people(n, 9)}[synthetic] if isinstance(synthetic, str) else synthetic
    view = TableView(tables[0])
    rows = [Rows(table, view.code(table)) for table in (*tables, released)]
    holdout = pd.concat(tables[1:], ignore_index=True)
    held = Rows(holdout, view.code(holdout))
    return AuditCase(view, rows[0], held, rows[3], *rows[:3], known, sensitive, seed)


def run(case):
    return {risk.subject: risk for risk in ATTACK.run(case)}


def secret_of(truth, base=(0.0,), reference=(0.0,), labels=(), width=0.0):
    return Secret("x", *(np.asarray(part, dtype=float) for part in (truth, base, reference)), labels, width)


def test_a_number_is_guessed_within_a_share_of_the_guess():
    truth = np.array([100.0, 94.9, 95.1, -100.0, 0.0, np.nan, np.nan, 5.0])
    guess = np.array([105.0, 100.0, 100.0, -104.0, 0.0, np.nan, 1.0, np.nan])
    expected = [True, False, True, True, True, True, False, False]
    assert secret_of(truth).hits(guess).tolist() == expected
    assert TOLERANCE == 0.05


def test_a_date_is_guessed_within_a_share_of_the_range():
    truth = np.array([0.0, 10.0, 100.0])
    assert secret_of(truth, width=5.0).hits(np.array([5.0, 4.0, 95.0])).tolist() == [True, False, True]
    case = a_case(sensitive=("born",))
    coded = jointly_coded(case.view, case.members, case.synthetic, case.reference)
    secret = Secret.of(case.view, "born", case.train.frame, *coded)
    assert secret.width == pytest.approx(TOLERANCE * np.ptp(coded[2].numbers[:, case.view.numeric.index("born")]))
    assert "range" in secret.tolerance_text
    labels = [label for label, _, _ in secret.groups(20)]
    assert len(labels) == 4
    assert all(pd.Timestamp(label.split()[-1]).year in range(1930, 2025) for label in labels)


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_constant_guess_is_the_best_one(values):
    base = np.array(values, dtype=float)
    secret = secret_of(base, base)
    best = max(secret.hits(np.full(len(base), guess)).sum() for guess in base)
    assert secret.hits(np.full(len(base), constant_guess(secret))).sum() == best


def test_the_constant_guess_of_a_category_is_the_most_frequent_and_may_be_missing():
    assert constant_guess(secret_of([0], [2, 1, 2, 0], labels=("a", "b", "c"))) == 2.0
    assert np.isnan(constant_guess(secret_of([0], [np.nan, np.nan, 1.0])))
    assert np.isnan(constant_guess(secret_of([0], [np.nan])))


def test_nearest_rows_are_found_without_the_sensitive_column():
    case = a_case("copies", n=60)
    targets, base = jointly_coded(case.view, case.members, case.synthetic)
    space = GowerSpace.of(case.view, targets, base)
    known = {name: attribute.known_columns(case, name) for name in ("job", "income")}
    found = attribute.nearest_without(space, known)
    for name, columns in known.items():
        assert name not in columns
        np.testing.assert_array_equal(found[name], space.nearest(columns)[:, 0])


def test_the_nearest_neighbour_attacker_is_right_where_its_value_is():
    case = a_case("copies", n=120, sensitive=("income",))
    risk = run(case)["income"]
    coded = jointly_coded(case.view, case.members, case.nonmembers, case.synthetic)
    space = GowerSpace.of(case.view, coded[0].above(coded[1]), coded[2])
    place = case.view.numeric.index("income")
    known = attribute.known_columns(case, "income")
    guesses = coded[2].numbers[space.nearest(known)[:, 0], place]
    truth = coded[0].above(coded[1]).numbers[:, place]
    hits = np.abs(guesses - truth) <= TOLERANCE * np.abs(guesses)
    found = risk.details["attackers"]["nearest neighbour"]
    assert found["attack"] == pytest.approx(hits[:120].mean())
    assert found["control"] == pytest.approx(hits[120:].mean())


def test_boosted_trees_learn_what_can_be_learned():
    case = a_case(people(600, 9), sensitive=("job",))
    targets, base, reference = jointly_coded(case.view, case.members, case.synthetic, case.reference)
    secret = Secret.of(case.view, "job", case.train.frame, targets, base, reference)
    guesses = boosted_guesses(case.view, secret, ("age",), targets, base)
    retired = case.members.frame["age"].to_numpy() > 65
    assert secret.hits(guesses)[retired].mean() > 0.95
    unknowing = boosted_guesses(case.view, secret, ("town",), targets, base)
    assert secret.hits(unknowing)[retired].mean() < 0.5


@pytest.mark.parametrize("name", ["income", "age", "born", "town"])
def test_boosted_trees_guess_values_that_the_release_holds(name):
    case = a_case(sensitive=(name,))
    targets, base, reference = jointly_coded(case.view, case.members, case.synthetic, case.reference)
    secret = Secret.of(case.view, name, case.train.frame, targets, base, reference)
    guesses = boosted_guesses(case.view, secret, attribute.known_columns(case, name), targets, base)
    assert guesses.shape == (300,)
    assert np.isin(guesses, secret.base).all()


def test_a_release_with_one_value_or_none_is_guessed_as_it_is():
    case = a_case()
    targets, base, _ = jointly_coded(case.view, case.members, case.synthetic, case.reference)
    for value in (7.0, np.nan):
        secret = secret_of(np.full(len(targets), 7.0), np.full(len(base), value))
        guesses = boosted_guesses(case.view, secret, ("age",), targets, base)
        np.testing.assert_array_equal(guesses, np.full(len(targets), value))


def test_copies_disclose_and_other_rows_do_not():
    names = ("job", "income", "town", "born")
    copied, clean = run(a_case("copies", sensitive=names)), run(a_case(sensitive=names))
    for name in names:
        assert copied[name].headline.above, name
        assert clean[name].headline.low <= 0.0 <= clean[name].headline.high, name
        assert tuple(copied[name].estimates) == tuple(ATTACK.measures)


def test_what_holds_for_everybody_is_no_disclosure():
    # the job of the old can be told from the age, of members and of others alike
    risk = run(a_case(people(3000, 9)))["job"]
    assert risk.estimates["control"].value > risk.details["naive"]["control"]
    assert not risk.headline.above


def test_the_risk_is_that_of_the_better_attacker_with_the_ends_of_both():
    details = run(a_case("copies"))["job"].details["attackers"]
    risk = run(a_case("copies"))["job"].headline
    for part in ("risk", "low", "high"):
        assert {"risk": risk.value, "low": risk.low, "high": risk.high}[part] == max(
            attacker[part] for attacker in details.values()
        )


def test_only_quasi_identifiers_are_known_where_they_are_named():
    case = a_case("copies", sensitive=("job", "age"), known=("age", "town"))
    assert attribute.known_columns(case, "job") == ("age", "town")
    risks = run(case)
    assert risks["age"].details["known"] == ["town"]
    alone = run(a_case("copies", sensitive=("age",), known=("age",)))["age"]
    assert alone.outcome == "not applicable"


def test_success_is_told_by_value_and_rare_values_first():
    by_value = run(a_case("copies"))["job"].details["by value"]
    assert [entry["share"] for entry in by_value] == sorted(entry["share"] for entry in by_value)
    assert sum(entry["members"] for entry in by_value) == 300
    assert {entry["value"] for entry in by_value} == {"nurse", "clerk", "baker", "retired"}
    quarters = run(a_case("copies", sensitive=("weight",)))["weight"].details["by value"]
    assert len(quarters) == 4
    assert sum(entry["members"] for entry in quarters) == 300


def test_an_attack_that_is_right_about_every_nonmember_has_no_risk():
    frames = [people(100, seed).assign(job="nurse") for seed in (1, 2, 3, 4)]
    view = TableView(frames[0])
    rows = [Rows(frame, view.code(frame)) for frame in frames]
    case = AuditCase(view, rows[0], rows[1], rows[3], *rows[:3], (), ("job",))
    risk = run(case)["job"]
    assert not risk.headline.applies
    assert risk.judged(risk.headline, risk.headline).outcome == "not applicable"
    assert "nothing can be gained" in risk.note


def test_without_sensitive_columns_it_does_not_run():
    (risk,) = ATTACK.run(a_case(sensitive=()))
    assert risk.outcome == "not applicable"
    assert "sensitive" in ATTACK.needs


def test_the_order_of_rows_does_not_matter_and_seeds_repeat():
    released = noisy_copies(people(300, 1), 300, np.random.default_rng(5))
    shuffled = released.sample(frac=1, random_state=3).reset_index(drop=True)
    names = ("job", "income")
    first = run(a_case(released, sensitive=names))
    assert first == run(a_case(released, sensitive=names))
    second = run(a_case(shuffled, sensitive=names))
    assert [risk.estimates for risk in first.values()] == [risk.estimates for risk in second.values()]


def test_controls_decide():
    case = a_case("copies")
    positive, negative = run(case.positive_control())["job"].headline, run(case.negative_control())["job"].headline
    assert run(case)["job"].judged(positive, negative).outcome == "disclosure"
    assert run(a_case())["job"].judged(positive, negative).outcome == "no disclosure found"


def test_few_targets_are_tried_where_a_limit_says_so():
    case = a_case("copies")
    case = replace(case, limits=replace(case.limits, linked=70))
    assert run(case)["job"].n == 70


@given(st.integers(1, 60), st.integers(1, 60), st.data())
@settings(max_examples=150, deadline=None)
def test_intervals_hold_the_value_and_change_sides_with_the_tables(n, m, data):
    hits, control = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    one, other = Comparison(hits, n, control, m), Comparison(control, m, hits, n)
    excess, mirrored = one.excess(0.95), other.excess(0.95)
    assert -1.0 <= excess.low <= excess.value <= excess.high <= 1.0
    assert (excess.low, excess.high) == pytest.approx((-mirrored.high, -mirrored.low))
    risk = one.risk(0.95)
    assert risk.applies == (control < m)
    if risk.applies:
        assert risk.low <= risk.value <= risk.high <= 1.0
        assert risk.value == pytest.approx(max(-1.0, (hits / n - control / m) / (1 - control / m)))
        wider = one.risk(0.999)
        assert wider.low <= risk.low
        assert wider.high >= risk.high


def test_the_interval_of_anonymeter_is_close_where_there_are_many_targets():
    hits, control, n = 900, 600, 2000
    z = float(stats.norm.ppf(0.975))
    # stats/confidence.py of Anonymeter 1.1: rates shrunk by Wilson, errors propagated
    shrunk = [(count + z**2 / 2) / (n + z**2) for count in (hits, control)]
    errors = [z / (n + z**2) * np.sqrt(count * (n - count) / n + z**2 / 4) for count in (hits, control)]
    residual = (shrunk[0] - shrunk[1]) / (1 - shrunk[1])
    error = np.hypot(errors[0] / (1 - shrunk[1]), errors[1] * (shrunk[0] - 1) / (1 - shrunk[1]) ** 2)
    risk = Comparison(hits, n, control, n).risk(0.95)
    assert risk.value == pytest.approx(0.15 / 0.7)
    assert (risk.low, risk.high) == pytest.approx((residual - error, residual + error), abs=0.002)


def test_few_successes_are_no_disclosure_where_the_exact_test_says_so():
    for hits in range(1, 6):
        assert not Comparison(hits, 10_000, 0, 10_000).risk(0.95).above
        assert not Comparison(hits, 10_000, 0, 10_000).excess(0.95).above
    assert Comparison(6, 10_000, 0, 10_000).excess(0.95).above


@pytest.mark.parametrize("measure", ["excess", "risk"])
@pytest.mark.parametrize(("rate", "n"), [(0.002, 2000), (0.3, 300), (0.95, 200)])
def test_intervals_cover(measure, rate, n):
    rng = np.random.default_rng(0)
    draws = rng.binomial(n, rate, (400, 2))
    covered = [
        estimate.low <= 0.0 <= estimate.high
        for hits, control in draws
        if (estimate := getattr(Comparison(float(hits), n, float(control), n), measure)(0.95)).applies
    ]
    assert np.mean(covered) >= 0.92


def test_the_interval_covers_a_risk_that_is_not_zero():
    rng = np.random.default_rng(1)
    attack, control, n = 0.4, 0.25, 500
    truth = (attack - control) / (1 - control)
    covered = []
    for hits, others in zip(rng.binomial(n, attack, 500), rng.binomial(n, control, 500), strict=True):
        risk = Comparison(float(hits), n, float(others), n).risk(0.95)
        covered.append(risk.low <= truth <= risk.high)
    assert 0.92 <= np.mean(covered) <= 0.985


def test_without_attempts_there_is_no_estimate():
    nothing = Comparison(0, 0, 1, 5)
    assert not nothing.possible
    assert not nothing.risk(0.95).applies
    assert not nothing.excess(0.95).applies
