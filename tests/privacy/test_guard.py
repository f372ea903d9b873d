from __future__ import annotations

import copy
import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import PrivacyError
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import gaussian_event, sampled_gaussian_event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.ledger import Ledger

SECRET = "the-secret-cell-4711"
BUDGET = PrivacyBudget(1.0, 1e-6)


def an_event(name="counts"):
    return gaussian_event(name, "counts of a column", 40.0)


def some_steps(steps=3):
    return sampled_gaussian_event("critic", "records", 50.0, 0.01, steps)


def a_ledger(*events):
    ledger = Ledger(BUDGET)
    ledger.plan(events)
    return ledger


def secret_columns():
    return {"name": np.array([SECRET, "x", "y"], dtype=object), "age": np.array([4711, 2, 3])}


def guarded(*events, columns=None, units=None):
    return PrivateRows(secret_columns() if columns is None else columns, a_ledger(*events), units)


# -- reading --


def test_rows_are_read_inside_a_planned_event() -> None:
    event = an_event()
    rows = guarded(event)
    with rows.reading(event) as data:
        assert list(data) == ["name", "age"]
        assert data["age"].tolist() == [4711, 2, 3]


def test_an_event_is_recorded_before_anything_is_read() -> None:
    event, seen = an_event(), []
    ledger = a_ledger(event)

    def look(data):
        seen.append(ledger.events)
        return data

    with PrivateRows(secret_columns(), ledger).map(look).reading(event):
        pass
    assert seen == [(event,)]


def test_an_event_that_was_not_planned_reads_nothing() -> None:
    touched = []
    rows = guarded(an_event()).map(lambda data: touched.append(1) or data)
    with pytest.raises(PrivacyError), rows.reading(an_event("something else")):
        touched.append(2)
    assert not touched


def test_an_event_reads_once() -> None:
    event, touched = an_event(), []
    rows = guarded(event)
    with rows.reading(event):
        pass
    with pytest.raises(PrivacyError), rows.reading(event):
        touched.append(1)
    assert not touched


def test_an_event_is_spent_even_if_what_follows_fails() -> None:
    event = an_event()
    ledger = a_ledger(event)
    with pytest.raises(ZeroDivisionError), PrivateRows(secret_columns(), ledger).reading(event):
        raise ZeroDivisionError
    assert ledger.events == (event,)


def test_what_is_read_cannot_be_changed() -> None:
    columns, event = secret_columns(), an_event()
    with guarded(event, columns=columns).reading(event) as data:
        with pytest.raises(ValueError, match="read-only"):
            data["age"][0] = 5
        with pytest.raises(TypeError):
            data["age"] = np.zeros(3)
    assert columns["age"].tolist() == [4711, 2, 3]


def test_columns_are_taken_away_after_the_block() -> None:
    event = an_event()
    with guarded(event).reading(event) as data:
        assert data
    assert not data


def test_a_matrix_is_read_by_the_name_rows() -> None:
    event = an_event()
    with guarded(event, columns=np.arange(6).reshape(3, 2)).reading(event) as data:
        assert data["rows"].tolist() == [[0, 1], [2, 3], [4, 5]]


# -- everything else --

LOOKS = {
    "len": len,
    "iter": iter,
    "list": list,
    "bool": bool,
    "int": int,
    "float": float,
    "index": lambda rows: [0][rows],
    "reversed": reversed,
    "item": lambda rows: rows["age"],
    "slice": lambda rows: rows[:1],
    "in": lambda rows: 4711 in rows,
    "array": np.asarray,
    "numpy sum": np.sum,
    "attribute": lambda rows: rows.age,
    "columns": lambda rows: rows.columns,
    "shape": lambda rows: rows.shape,
    "values": lambda rows: rows.values,
    "dict": dict,
    "getattr": lambda rows: getattr(rows, "data"),  # noqa: B009
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "old pickle": lambda rows: pickle.dumps(rows, protocol=0),
    "vars": vars,
    "dataframe": pd.DataFrame,
    "json": json.dumps,
    "unpack": lambda rows: [*rows],
    "add": lambda rows: rows + 1,
    "less": lambda rows: rows < 1,
    "call": lambda rows: rows(),
    "with": lambda rows: rows.__enter__(),
    "set": lambda rows: setattr(rows, "more", 1),
    "memory": memoryview,
    "bytes": bytes,
}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_no_other_look_shows_anything(look, mapped) -> None:
    ledger = a_ledger(an_event())
    rows = PrivateRows(secret_columns(), ledger)
    rows = rows.map(lambda data: data) if mapped else rows
    with pytest.raises((PrivacyError, TypeError, AttributeError, ValueError)) as caught:
        look(rows)
    text = str(caught.value)
    assert SECRET not in text
    assert "4711" not in text
    assert ledger.events == ()


@pytest.mark.parametrize(
    "name",
    [
        "len",
        "iter",
        "bool",
        "int",
        "float",
        "item",
        "in",
        "array",
        "attribute",
        "copy",
        "deepcopy",
        "pickle",
        "dataframe",
    ],
)
def test_protocols_say_that_an_event_is_needed(name) -> None:
    with pytest.raises(PrivacyError, match=r"outside a recorded event.* Read them in a block 'with rows\.reading"):
        LOOKS[name](guarded())


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{0!r}".format, lambda rows: f"{rows}", lambda rows: [rows]])
def test_printing_shows_nothing(show) -> None:
    assert str(show(guarded())).strip("[]") == "PrivateRows(hidden)"


def test_it_has_no_attributes_by_the_names_of_columns() -> None:
    rows = guarded()
    assert not hasattr(rows, "age")
    assert not hasattr(rows, "__dict__")
    assert {name for name in dir(rows) if not name.startswith("_")} == {"map", "reading", "session"}


def test_two_guards_are_not_compared_by_content() -> None:
    columns = secret_columns()
    assert guarded(columns=columns) != guarded(columns=columns)


@given(st.integers(0, 5), st.integers(0, 5))
def test_columns_of_different_lengths_are_refused_without_numbers(first, second) -> None:
    columns = {"a": np.zeros(first), "b": np.zeros(second)}
    if first == second:
        guarded(columns=columns)
        return
    with pytest.raises(PrivacyError, match="the same number of rows") as caught:
        guarded(columns=columns)
    assert not any(character.isdigit() for character in str(caught.value))


def test_units_need_one_entry_for_each_row() -> None:
    with pytest.raises(PrivacyError, match="the same number of rows"):
        guarded(units=np.zeros(2))


# -- transformations --


def test_a_transformation_runs_when_it_is_first_read_and_once() -> None:
    events, runs = [an_event(str(number)) for number in range(2)], []
    rows = guarded(*events).map(lambda data: runs.append(1) or {"double": data["age"] * 2})
    assert not runs
    for event in events:
        with rows.reading(event) as data:
            assert data["double"].tolist() == [9422, 4, 6]
    assert runs == [1]


def test_transformations_chain_and_leave_the_source_alone() -> None:
    first, second = an_event("1"), an_event("2")
    rows = guarded(first, second)
    more = rows.map(lambda data: {"age": data["age"] + 1}).map(lambda data: {"older": data["age"] + 1})
    with more.reading(first) as data:
        assert {name: column.tolist() for name, column in data.items()} == {"older": [4713, 4, 5]}
    with rows.reading(second) as data:
        assert sorted(data) == ["age", "name"]


def test_a_transformation_cannot_change_its_source() -> None:
    event = an_event()

    def spoil(data):
        data["age"][0] = 0
        return data

    with pytest.raises(PrivacyError, match="failed with ValueError"), guarded(event).map(spoil).reading(event):
        pass


def test_what_a_failing_transformation_quotes_is_not_in_the_message() -> None:
    event = an_event()
    rows = guarded(event).map(lambda data: {"number": data["name"].astype(float)})
    with pytest.raises(PrivacyError, match="failed with ValueError") as caught, rows.reading(event):
        pass
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("kind", [RuntimeError, NotImplementedError, AssertionError, OSError, re.error])
def test_no_kind_of_error_quotes_a_cell(kind) -> None:
    def convert(data):
        raise kind(f"cannot convert {data['name'][0]}")

    event = an_event()
    with (
        pytest.raises(PrivacyError, match=f"failed with {kind.__name__}") as caught,
        guarded(event).map(convert).reading(event),
    ):
        pass
    assert SECRET not in str(caught.value)


def test_a_transformation_keeps_the_number_of_rows() -> None:
    event = an_event()
    rows = guarded(event).map(lambda data: {"few": data["age"][:2]})
    with pytest.raises(PrivacyError, match="the same number of rows"), rows.reading(event):
        pass


# -- steps --


def test_a_session_has_the_steps_of_its_event() -> None:
    event = some_steps(3)
    ledger = a_ledger(event)
    session = PrivateRows(secret_columns(), ledger).session(event)
    assert ledger.events == (event,)
    for left in (2, 1, 0):
        with session.step() as data:
            assert data["age"].tolist() == [4711, 2, 3]
        assert session.steps_left == left
        assert not data
    with pytest.raises(PrivacyError, match="all planned steps"), session.step():
        pass


def test_a_session_is_not_opened_for_an_event_that_was_not_planned_or_is_spent() -> None:
    event = some_steps()
    rows = guarded(event)
    with pytest.raises(PrivacyError):
        rows.session(some_steps(4))
    rows.session(event)
    with pytest.raises(PrivacyError):
        rows.session(event)


def test_units_are_read_inside_a_step() -> None:
    event, units = some_steps(), np.array(["a", "b", "a"])
    session = guarded(event, units=units).session(event)
    with pytest.raises(PrivacyError, match="outside a step"):
        _ = session.units
    with session.step():
        assert session.units.tolist() == ["a", "b", "a"]
        with pytest.raises(ValueError, match="read-only"):
            session.units[0] = "c"
    with pytest.raises(PrivacyError, match="outside a step"):
        _ = session.units


def test_rows_that_are_units_have_none() -> None:
    session = guarded(some_steps()).session(some_steps())
    with session.step():
        assert session.units is None


def test_transformed_rows_keep_their_units() -> None:
    event = some_steps()
    session = guarded(event, units=np.array([7, 8, 7])).map(lambda data: {"age": data["age"]}).session(event)
    with session.step():
        assert session.units.tolist() == [7, 8, 7]


def test_steps_of_an_earlier_process_count() -> None:
    session = guarded(some_steps(5)).session(some_steps(5))
    session.skip(4)
    assert session.steps_left == 1
    for wrong in (2, -1):
        with pytest.raises(PrivacyError, match="cannot skip"):
            session.skip(wrong)


def test_a_step_counts_even_if_it_fails_and_the_next_one_can_be_taken() -> None:
    session = guarded(some_steps()).session(some_steps())
    with pytest.raises(ZeroDivisionError), session.step():
        raise ZeroDivisionError
    assert session.steps_left == 2
    with session.step() as data:
        assert data


def test_steps_are_taken_one_at_a_time() -> None:
    session = guarded(some_steps()).session(some_steps())
    with session.step(), pytest.raises(PrivacyError, match="before the last one ended"), session.step():
        pass
    assert session.steps_left == 2


@pytest.mark.parametrize("name", ["len", "iter", "bool", "array", "attribute", "pickle", "copy", "vars"])
def test_a_session_shows_nothing_else(name) -> None:
    session = guarded(some_steps()).session(some_steps())
    assert repr(session) == "ReadingSession(hidden)"
    with pytest.raises((PrivacyError, TypeError)):
        LOOKS[name](session)
