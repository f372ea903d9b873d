"""An event is checked when it is made, and is the same after JSON."""

import copy
import json
import math
import pickle
from contextlib import suppress

import dp_accounting
import numpy as np
import pytest
from dp_accounting.dp_event import DiscreteLaplaceDpEvent
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import PrivacyError
from synthkit.privacy.events import Event, gaussian_event, laplace_event, sampled_gaussian_event

positive = st.floats(1e-3, 1e6)
scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9) | st.text()
details = st.dictionaries(st.sampled_from(["columns", "bins", "engine", "split"]), scalars)
gaussians = st.builds(
    lambda noise, count, discrete, sensitivity, more: gaussian_event(
        "counts", "all", noise, count=count, discrete=discrete, sensitivity=sensitivity, **more
    ),
    positive,
    st.integers(1, 10**6),
    st.booleans(),
    st.floats(1, 1e4),
    details,
)
laplaces = st.builds(
    lambda epsilon, count, delta, more: laplace_event("labels", "one", epsilon, count=count, delta=delta, **more),
    positive,
    st.integers(1, 100),
    st.floats(0, 0.9),
    details,
)
sampled = st.builds(
    lambda noise, probability, steps, more: sampled_gaussian_event(
        "critic", "records", noise, probability, steps, **more
    ),
    positive,
    st.floats(1e-9, 1),
    st.integers(1, 10**6),
    details,
)


@given(gaussians | laplaces | sampled)
def test_an_event_survives_json_copies_and_pickles(event):
    again = Event.from_json(json.loads(json.dumps(event.to_json())))
    assert again == event
    assert hash(again) == hash(event)
    assert copy.deepcopy(event) == event
    assert pickle.loads(pickle.dumps(event)) == event


def test_what_an_event_says():
    counts = gaussian_event("pairs", "all pairs", 40.0, count=105, sensitivity=1.5, columns=15)
    assert (counts.kind, counts.noise_multiplier, counts.count, counts.discrete) == ("gaussian", 40.0, 105, True)
    assert counts.sampling_probability is None
    assert counts.epsilon is None
    assert counts.details == {"columns": 15}
    assert counts.to_json()["type"] == "gaussian"
    labels = laplace_event("labels", "job", 0.1, delta=1e-7)
    assert (labels.kind, labels.epsilon, labels.delta, labels.discrete) == ("discrete-laplace", 0.1, 1e-7, True)
    critic = sampled_gaussian_event("critic", "records", 1.1, 0.03, 500)
    assert (critic.kind, critic.noise_multiplier, critic.sampling_probability, critic.count) == (
        "sampled-gaussian",
        1.1,
        0.03,
        500,
    )
    assert not critic.discrete


def test_scalars_of_numpy_become_plain():
    event = gaussian_event("a", "b", np.float32(2.0), count=np.int64(3), rows=np.int32(7), share=np.float64(0.5))
    assert {type(value) for value in event.details.values()} == {int, float}
    assert event == Event.from_json(json.loads(json.dumps(event.to_json())))


def test_the_details_of_the_caller_may_change_afterwards():
    mine = {"bins": 3}
    event = Event("a", "b", dp_accounting.GaussianDpEvent(2.0), details=mine)
    mine["bins"] = 4
    assert event.details == {"bins": 3}


@pytest.mark.parametrize("noise", [0, -1, math.inf, math.nan, "1", None, True])
def test_an_event_without_noise_is_refused(noise):
    with pytest.raises(PrivacyError, match="noise multiplier"):
        gaussian_event("a", "b", noise)
    with pytest.raises(PrivacyError, match="noise multiplier"):
        sampled_gaussian_event("a", "b", noise, 0.1, 10)
    with pytest.raises(PrivacyError, match="epsilon"):
        laplace_event("a", "b", noise)


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", None, True])
def test_a_repetition_that_is_no_number_is_refused(count):
    with pytest.raises(PrivacyError, match="whole number of at least 1"):
        gaussian_event("a", "b", 1.0, count=count)
    with pytest.raises(PrivacyError, match="whole number of at least 1"):
        sampled_gaussian_event("a", "b", 1.0, 0.1, count)


@pytest.mark.parametrize("probability", [0, -0.1, 1.1, math.nan])
def test_an_impossible_sample_is_refused(probability):
    with pytest.raises(PrivacyError, match="above 0 and at most 1"):
        sampled_gaussian_event("a", "b", 1.0, probability, 10)


@pytest.mark.parametrize("delta", [-1e-9, 1, math.nan])
def test_an_impossible_delta_is_refused(delta):
    with pytest.raises(PrivacyError, match="delta"):
        laplace_event("a", "b", 1.0, delta=delta)


def test_a_query_of_whole_numbers_changes_by_one_at_least():
    with pytest.raises(PrivacyError, match="whole numbers of the query"):
        gaussian_event("a", "b", 1.0, sensitivity=0.5)


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), math.inf, math.nan, np.zeros(2)])
def test_a_detail_that_json_does_not_keep_is_refused(value):
    with pytest.raises(PrivacyError, match="detail"):
        gaussian_event("a", "b", 1.0, bins=value)


@pytest.mark.parametrize(("name", "reads"), [("", "b"), ("a", " "), (None, "b"), ("a", 3)])
def test_an_event_says_what_it_is_for(name, reads):
    with pytest.raises(PrivacyError, match="expected some text"):
        gaussian_event(name, reads, 1.0)


@pytest.mark.parametrize(
    "dp_event",
    [
        dp_accounting.NonPrivateDpEvent(),
        dp_accounting.NoOpDpEvent(),
        dp_accounting.LaplaceDpEvent(1.0),
        dp_accounting.PoissonSampledDpEvent(0.1, dp_accounting.LaplaceDpEvent(1.0)),
        dp_accounting.ComposedDpEvent([dp_accounting.GaussianDpEvent(1.0)]),
        DiscreteLaplaceDpEvent(0.1, 2),
        "gaussian",
    ],
)
def test_other_mechanisms_are_refused(dp_event):
    with pytest.raises(PrivacyError, match="expected"):
        Event("a", "b", dp_event)


def test_discrete_noise_on_sampled_gradients_is_refused():
    critic = sampled_gaussian_event("a", "b", 1.0, 0.1, 10)
    with pytest.raises(PrivacyError, match="no accountant"):
        Event("a", "b", critic.dp_event, discrete=True)


@given(st.sampled_from(sorted(gaussian_event("a", "b", 1.0).to_json())), st.sampled_from([None, "x", -1, [], {}, 2.5]))
def test_a_stored_event_that_was_changed_is_an_event_or_refused(field, value):
    stored = gaussian_event("a", "b", 1.0).to_json() | {field: value}
    with suppress(PrivacyError):
        event = Event.from_json(stored)
        assert Event.from_json(event.to_json()) == event


@pytest.mark.parametrize("change", [{"type": "os.system"}, {"type": ["gaussian"]}, {"epsilon": 1.0}, {"discrete": 1}])
def test_a_stored_event_of_an_unknown_type_is_refused(change):
    with pytest.raises(PrivacyError, match="stored"):
        Event.from_json(gaussian_event("a", "b", 1.0).to_json() | change)


@pytest.mark.parametrize("value", [None, 3, [], {}, {"name": "a"}])
def test_what_is_no_stored_event_is_refused(value):
    with pytest.raises(PrivacyError, match="a stored private event has"):
        Event.from_json(value)
