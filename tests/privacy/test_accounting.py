"""Independent accountants agree, in the order in which they must."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.errors import PrivacyError
from synthkit.privacy.accounting import ACCOUNTANTS, cross_check, epsilon_spent, gaussian_precision
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import gaussian_event, laplace_event, sampled_gaussian_event

events = (
    st.builds(
        lambda noise, count, discrete: gaussian_event("a", "b", noise, count=count, discrete=discrete),
        st.floats(1, 100),
        st.integers(1, 200),
        st.booleans(),
    )
    | st.builds(lambda epsilon, count: laplace_event("a", "b", epsilon, count=count), st.floats(0.01, 2), st.just(3))
    | st.builds(
        lambda noise, probability, steps: sampled_gaussian_event("a", "b", noise, probability, steps),
        st.floats(0.8, 10),
        st.floats(0.002, 0.2),
        st.integers(1, 300),
    )
)


@settings(max_examples=12, deadline=None)
@given(st.lists(events, min_size=1, max_size=3), st.floats(1e-9, 1e-4))
def test_renyi_is_never_below(planned, delta):
    pld = epsilon_spent(planned, delta)
    assert epsilon_spent(planned, delta, accountant="rdp") >= pld * (1 - 1e-3)


@settings(max_examples=30, deadline=None)
@given(st.floats(1, 100), st.integers(1, 100))
def test_renyi_is_never_below_where_units_are_replaced(noise, count):
    planned = [gaussian_event("a", "b", noise, count=count, discrete=False)]
    pld = epsilon_spent(planned, 1e-6, "replace-one")
    assert epsilon_spent(planned, 1e-6, "replace-one", accountant="rdp") >= pld
    assert pld == epsilon_spent(planned, 1e-6, "add-remove")


@pytest.mark.parametrize(
    ("noise", "probability", "steps"),
    [
        (17.3, 0.03145, 5000),  # epsilon 0.45
        (3.4, 0.03145, 5000),
        (1.36, 0.03145, 5000),  # 9.4
        (0.8, 0.01, 1000),
        (2.0, 0.1, 200),
        (0.8, 0.003, 1000),
        (4.0, 0.3, 500),  # 8.3
    ],
)
def test_opacus_agrees_on_dp_sgd(noise, probability, steps):
    planned = [sampled_gaussian_event("critic", "records", noise, probability, steps)]
    checked = cross_check(planned, PrivacyBudget(1, 1e-5))
    assert checked.pld == pytest.approx(checked.opacus_prv, rel=0.01)
    assert checked.opacus_rdp >= checked.pld
    assert checked.rdp == pytest.approx(checked.opacus_rdp, rel=0.01)
    assert checked.notes == ()


@pytest.mark.parametrize(("noise", "count"), [(7.03183, 1), (40.87, 120), (1.39059, 1)])
def test_opacus_agrees_on_gaussian_noise(noise, count):
    planned = [gaussian_event("counts", "pairs", noise, count=count, discrete=False)]
    checked = cross_check(planned, PrivacyBudget(1, 1e-5))
    assert checked.pld == pytest.approx(checked.opacus_prv, rel=0.01)
    assert gaussian_precision(checked.pld, 1e-5) == pytest.approx(count / noise**2, rel=1e-6)


def test_opacus_agrees_on_both_together():
    planned = [
        gaussian_event("counts", "pairs", 50.0, count=60),
        sampled_gaussian_event("critic", "-", 3.4, 0.03, 2000),
    ]
    checked = cross_check(planned, PrivacyBudget(1, 1e-5))
    assert checked.pld == pytest.approx(checked.opacus_prv, rel=0.01)


def test_the_record_says_what_does_not_apply():
    planned = [gaussian_event("counts", "pairs", 5.0), laplace_event("labels", "job", 0.1, delta=1e-8)]
    checked = cross_check(planned, PrivacyBudget(1, 1e-6))
    assert checked.opacus_prv is None
    assert checked.opacus_rdp is None
    assert [note.split(":")[0] for note in checked.notes] == ["opacus-prv", "opacus-rdp"]
    critic = [sampled_gaussian_event("critic", "records", 2.0, 0.1, 10)]
    replaced = cross_check(critic, PrivacyBudget(1, 1e-6, adjacency="replace-one"))
    assert (replaced.rdp, replaced.opacus_prv, replaced.opacus_rdp) == (None, None, None)
    assert replaced.pld > 0
    assert json.loads(json.dumps(replaced.to_json()))["notes"] == list(replaced.notes)


def test_opacus_may_be_absent_or_left_out(monkeypatch):
    planned = [gaussian_event("counts", "pairs", 5.0)]
    unasked = cross_check(planned, PrivacyBudget(1, 1e-6), opacus=False)
    assert unasked.opacus_prv is None
    assert "not asked" in unasked.notes[0]
    monkeypatch.setitem(sys.modules, "opacus", None)
    absent = cross_check(planned, PrivacyBudget(1, 1e-6))
    assert (absent.opacus_prv, absent.opacus_rdp) == (None, None)
    assert "not installed" in absent.notes[0]
    assert absent.pld == unasked.pld
    with pytest.raises(PrivacyError, match="not installed"):
        epsilon_spent(planned, 1e-6, accountant="opacus-prv")


def test_laplace_where_units_are_replaced_is_refused_by_all():
    planned = [laplace_event("labels", "job", 0.1)]
    for accountant in ACCOUNTANTS:
        with pytest.raises(PrivacyError, match="replace-one"):
            epsilon_spent(planned, 1e-6, "replace-one", accountant=accountant)
    with pytest.raises(PrivacyError, match="replace-one"):
        cross_check(planned, PrivacyBudget(1, 1e-6, adjacency="replace-one"))


@pytest.mark.parametrize("accountant", list(ACCOUNTANTS))
def test_no_events_spend_nothing(accountant):
    assert epsilon_spent([], 1e-6, accountant=accountant) == 0


def test_unknown_names_and_numbers_are_refused():
    planned = [gaussian_event("counts", "pairs", 5.0)]
    with pytest.raises(PrivacyError, match="did you mean 'rdp'"):
        epsilon_spent(planned, 1e-6, accountant="rpd")
    with pytest.raises(PrivacyError, match="unknown adjacency"):
        epsilon_spent(planned, 1e-6, "swap")
    for delta in (0, 1, -1):
        with pytest.raises(PrivacyError, match="delta is"):
            epsilon_spent(planned, delta)


@pytest.mark.parametrize("multiplier", [1e-320, 1e-200, 1e200, 1e300])
@pytest.mark.parametrize("accountant", ["pld", "rdp"])
def test_noise_beyond_the_range_of_floats_has_a_bound_all_the_same(multiplier, accountant):
    for event in (
        gaussian_event("counts", "-", multiplier),
        gaussian_event("counts", "-", multiplier, discrete=False),
        sampled_gaussian_event("critic", "-", multiplier, 0.01, 10),
        gaussian_event("counts", "-", 1.0, count=10**400),
    ):
        assert epsilon_spent([event], 1e-6, accountant=accountant) > 1e3
