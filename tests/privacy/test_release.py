"""The ledger of one release: planned once, spent as planned, the same after JSON."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.errors import PrivacyError
from synthkit.privacy.accounting import epsilon_spent, gaussian_precision
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import gaussian_event, laplace_event
from synthkit.privacy.release import Ledger
from synthkit.privacy.release_record import Release

BUDGET = PrivacyBudget(1, 1e-6)


def counts(share, name="counts", budget=BUDGET):
    """An event of continuous noise that spends this share of a budget's precision."""
    precision = gaussian_precision(budget.epsilon, budget.delta)
    return gaussian_event(name, "all pairs", (precision * share) ** -0.5, discrete=False)


def ticking(start=datetime(2026, 11, 22, 12, tzinfo=UTC)):
    """A clock that goes on by a minute whenever it is asked."""
    times = iter(start + timedelta(minutes=minute) for minute in range(1000))
    return lambda: next(times)


def finished(*events):
    return Release("earlier", BUDGET, events, events, "finished", key="1")


def test_all_of_a_budget_can_be_planned_and_spent():
    ledger = Ledger(BUDGET)
    events = [counts(0.3, "one"), counts(0.7, "two")]
    ledger.plan(events)
    assert ledger.planned == tuple(events)
    assert ledger.events == ()
    assert ledger.epsilon() == 0
    for event in events:
        ledger.spend(event)
    assert ledger.events == tuple(events)
    assert ledger.epsilon() == pytest.approx(1, rel=1e-8)
    assert ledger.epsilon(1e-3) < 0.9
    for epsilon in ledger.epsilon, ledger.epsilon_planned, ledger.epsilon_total:
        with pytest.raises(PrivacyError, match="delta is 0"):
            epsilon(0.0)


@settings(max_examples=30)
@given(st.lists(st.floats(0.05, 0.6), min_size=1, max_size=5))
def test_a_plan_is_accepted_exactly_if_it_keeps_the_budget(shares):
    events = [counts(share, str(index)) for index, share in enumerate(shares)]
    ledger = Ledger(BUDGET)
    if sum(shares) <= 1:
        ledger.plan(events)
        assert ledger.epsilon_planned() <= 1 + 1e-9
    elif sum(shares) > 1 + 1e-6:
        with pytest.raises(PrivacyError, match="asks for epsilon"):
            ledger.plan(events)
        assert ledger.planned == ()


def test_an_overspent_plan_names_what_is_asked_spent_and_left():
    with pytest.raises(
        PrivacyError, match=r"'adult' asks for epsilon 1\.0\d+, but of epsilon 1 .* epsilon 0 .* most 1 "
    ):
        Ledger(BUDGET, release="adult").plan([counts(1.1)])
    with pytest.raises(
        PrivacyError, match=r"epsilon 0\.8\d+, but of epsilon 1 .* epsilon 0\.6\d+ is spent .* 0\.6\d+ is"
    ):
        Ledger(BUDGET, before=[finished(counts(0.5))]).plan([counts(0.7)])
    with pytest.raises(PrivacyError, match=r"most 0 is left\. Nothing more can be released"):
        Ledger(BUDGET, before=[finished(counts(1.0))]).plan([counts(0.1)])


def test_failure_probabilities_that_use_up_delta_are_told():
    labels = laplace_event("labels", "job", 0.01, delta=2e-6)
    with pytest.raises(
        PrivacyError, match=r"epsilon inf, since the failure probabilities of events alone come to 2e-06"
    ):
        Ledger(BUDGET).plan([labels])


def test_releases_add_up_to_the_total_and_each_keeps_its_own():
    total = replace(BUDGET, epsilon=2.0)
    ledger = Ledger(BUDGET, before=[finished(counts(1.0))], total=total)
    ledger.plan([counts(0.9)])
    ledger.spend(counts(0.9))
    assert ledger.epsilon() < 1 < ledger.epsilon_total() < 2
    assert ledger.epsilon_total() == pytest.approx(epsilon_spent([counts(1.0), counts(0.9)], 1e-6))
    with pytest.raises(PrivacyError, match="of epsilon 1 at"):
        Ledger(BUDGET, total=total).plan([counts(1.01)])


def test_a_release_that_has_not_finished_counts_as_planned():
    running = Release("running", BUDGET, (counts(0.5, "a"), counts(0.2, "b")), (counts(0.5, "a"),))
    assert running.events == running.planned
    assert replace(running, status="finished").events == running.spent


@pytest.mark.parametrize("change", [{"unit": "patient"}, {"adjacency": "replace-one"}])
def test_guarantees_of_different_kinds_are_not_added_up(change):
    with pytest.raises(PrivacyError, match="do not add up"):
        Ledger(BUDGET, total=replace(BUDGET, epsilon=2.0, **change))


def test_only_what_was_planned_is_spent_and_once():
    ledger = Ledger(BUDGET)
    with pytest.raises(PrivacyError, match="'counts' was not planned; nothing is planned"):
        ledger.spend(counts(0.1))
    ledger.plan([counts(0.1)])
    with pytest.raises(PrivacyError, match="'more' was not planned; planned: 'counts'"):
        ledger.spend(counts(0.1, "more"))
    with pytest.raises(PrivacyError, match="differs from the one that was planned in noise_multiplier"):
        ledger.spend(counts(0.2))
    with pytest.raises(PrivacyError, match="differs from the one that was planned in reads"):
        ledger.spend(replace(counts(0.1), reads="everything"))
    ledger.spend(counts(0.1))
    with pytest.raises(PrivacyError, match="spent already"):
        ledger.spend(counts(0.1))
    assert ledger.events == (counts(0.1),)
    ledger.close()
    with pytest.raises(PrivacyError, match="is closed"):
        ledger.spend(counts(0.1))


def test_a_release_is_planned_once():
    ledger = Ledger(BUDGET, release="adult")
    ledger.plan([counts(0.1)])
    with pytest.raises(PrivacyError, match="'adult' is planned already"):
        ledger.plan([])


def test_events_have_names_of_their_own():
    with pytest.raises(PrivacyError, match="stand for several of them: counts"):
        Ledger(BUDGET).plan([counts(0.1), counts(0.2)])


def test_json_has_everything_and_comes_back():
    before = Release("earlier", BUDGET, (counts(0.2),), (), "started", "2026-01-01T00:00:00+00:00", None, "a1")
    ledger = Ledger(BUDGET, data="adult", release="second", before=[before], clock=ticking())
    ledger.plan([counts(0.3, "a"), gaussian_event("b", "margins", 60.0, count=15, sensitivity=1.0, columns=15)])
    ledger.spend(counts(0.3, "a"))
    stored = json.loads(json.dumps(ledger.to_json()))
    assert stored["times"] == {
        "created": "2026-11-22T12:00:00+00:00",
        "planned": "2026-11-22T12:01:00+00:00",
        "spent": ["2026-11-22T12:02:00+00:00"],
    }
    assert [event["name"] for event in stored["planned"]] == ["a", "b"]
    assert [event["name"] for event in stored["events"]] == ["a"]
    assert stored["planned"][1]["details"] == {"columns": 15}
    spent, planned = stored["epsilon"]["spent"], stored["epsilon"]["planned"]
    assert 0 < spent["pld"] < planned["pld"]
    assert spent["rdp"] > spent["pld"]
    assert spent["opacus_prv"] is None
    assert stored["epsilon"]["with_earlier"] == pytest.approx(epsilon_spent([counts(0.2), counts(0.3)], 1e-6))
    assert stored["versions"]["dp-accounting"].count(".") == 2
    again = Ledger.from_json(stored)
    assert again.to_json() == stored
    assert (again.events, again.planned, again.before) == (ledger.events, ledger.planned, ledger.before)
    with pytest.raises(PrivacyError, match="closed"):
        again.spend(again.planned[1])
    with pytest.raises(PrivacyError, match="planned already"):
        again.plan([])


def test_a_ledger_without_a_plan_comes_back():
    stored = Ledger(BUDGET, clock=ticking()).to_json()
    assert stored["planned"] is None
    assert stored["epsilon"]["spent"]["pld"] == 0
    assert Ledger.from_json(stored).to_json() == stored


def changed(path, value):
    ledger = Ledger(BUDGET, before=[finished(counts(0.2))])
    ledger.plan([counts(0.3)])
    ledger.spend(counts(0.3))
    stored = json.loads(json.dumps(ledger.to_json()))
    inner = stored
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return stored


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["format_version"], 2, "reads versions up to 1. Upgrade"),
        (["format_version"], "1", "expected a whole number"),
        (["more"], 1, "a stored ledger has"),
        (["budget"], {}, "a stored privacy budget has"),
        (["budget", "epsilon"], -1, "epsilon above 0"),
        (["total", "unit"], "patient", "do not add up"),
        (["events"], [counts(0.4).to_json()], "spent what was not planned"),
        (["events"], [counts(0.3).to_json()] * 2, "spent what was not planned, or twice"),
        (["events", 0, "type"], "eval", "of type 'eval'"),
        (["planned"], "all", "'planned' of a stored ledger is of type str"),
        (["before", 0, "status"], "running", "status 'running'"),
        (["before", 0, "spent"], [counts(0.9).to_json()], "spent what was not planned"),
        (["times"], {}, "a stored list of times has"),
    ],
)
def test_a_stored_ledger_that_was_changed_is_refused(path, value, message):
    with pytest.raises(PrivacyError, match=message):
        Ledger.from_json(changed(path, value))


@pytest.mark.parametrize("value", [None, [], "ledger", {}])
def test_what_is_no_stored_ledger_is_refused(value):
    with pytest.raises(PrivacyError):
        Ledger.from_json(value)
    with pytest.raises(PrivacyError):
        Release.from_json(value)
