from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.cli.where import parse_conditions
from synthkit.errors import ConditionError
from synthkit.schema import Column, Schema

SCHEMA = Schema(
    (
        Column(name="age", type="integer", dtype="int64", minimum=17, maximum=90),
        Column(name="hours", type="continuous", dtype="float64", minimum=-5.0, maximum=99.5),
        Column(name="joined", type="datetime", dtype="datetime64[ns]", granularity="D"),
        Column(name="income", type="categorical", dtype="object", categories=("<=50K", ">50K"), nullable=True),
        Column(name="sex", type="categorical", dtype="object", categories=("Female", "Male", "a|b", "x..y")),
        Column(name="grade", type="ordinal", dtype="int64", categories=(1, 2, 3)),
        Column(name="member", type="boolean", dtype="bool", categories=(False, True)),
        Column(name="town", type="categorical", dtype="object"),
        Column(name="a=b", type="integer", dtype="int64", minimum=0, maximum=9),
        Column(name="a", type="categorical", dtype="object", categories=("b=5", "x")),
        Column(name="capital gain", type="integer", dtype="int64", minimum=0, maximum=9),
    )
)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], {}),
        (["income=>50K"], {"income": ">50K"}),
        (["income=<=50K"], {"income": "<=50K"}),
        (["income="], {"income": None}),
        (["sex=Female|Male"], {"sex": ["Female", "Male"]}),
        (["sex = Female | Male"], {"sex": ["Female", "Male"]}),
        (["sex=a|b"], {"sex": "a|b"}),
        (["sex=x..y"], {"sex": "x..y"}),
        (["age=30"], {"age": 30}),
        (["age=30|31"], {"age": [30, 31]}),
        (["age=30..40"], {"age": (30, 40)}),
        (["age=30.."], {"age": (30, None)}),
        (["age=..40"], {"age": (None, 40)}),
        (["age>=30"], {"age": (30, None)}),
        (["age <= 40"], {"age": (None, 40)}),
        (["age>=30", "age<=40"], {"age": (30, 40)}),
        (["age<=40", "age>=30"], {"age": (30, 40)}),
        (["hours=-5..-1.5"], {"hours": (-5, -1.5)}),
        (["hours=1e2"], {"hours": 100.0}),
        (["joined=2020-01-01..2020-12-31"], {"joined": ("2020-01-01", "2020-12-31")}),
        (["joined>=2020-01-01"], {"joined": ("2020-01-01", None)}),
        (["grade=2"], {"grade": 2}),
        (["grade=2.0"], {"grade": 2}),
        (["grade=1|3"], {"grade": [1, 3]}),
        (["member=True"], {"member": True}),
        (["member=no"], {"member": False}),
        (["town=Bern"], {"town": "Bern"}),
        (["a=b=5"], {"a=b": 5}),
        (["a=x"], {"a": "x"}),
        (["capital gain>=5"], {"capital gain": (5, None)}),
        (["age=30", "sex=Male", "income=>50K"], {"age": 30, "sex": "Male", "income": ">50K"}),
    ],
    ids=repr,
)
def test_conditions(texts: list[str], expected: dict[str, Any]) -> None:
    found = parse_conditions(texts, SCHEMA)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["agee=3"], "unknown column 'agee'; did you mean 'age'"),
        (["AGE>=3"], "unknown column 'AGE'; did you mean 'age'"),
        (["sex=female"], "unknown value 'female'; did you mean 'Female'"),
        (["sex=Female|Nobody"], "unknown value 'Nobody'"),
        (["member=maybe"], "unknown value 'maybe'"),
        (["grade=7"], "unknown value '7'"),
        (["age=old"], "holds numbers, but the condition 'age=old' names 'old'"),
        (["age>=old"], "holds numbers"),
        (["age=1..x"], "holds numbers"),
        (["age=.."], "has no end"),
        (["age>30"], "uses '>'"),
        (["age"], "'age' is not a condition"),
        ([""], "is not a condition"),
        (["=3"], "is not a condition"),
        (["sex>=Male"], "compares, but the column 'sex' is categorical"),
        (["age=3", "age=4"], "two conditions that cannot be joined"),
        (["age>=3", "age>=4"], "two conditions that cannot be joined"),
        (["age=nan"], "holds numbers"),
        (["age=inf"], "holds numbers"),
    ],
    ids=repr,
)
def test_what_is_wrong_is_said(texts: list[str], message: str) -> None:
    with pytest.raises(ConditionError) as error:
        parse_conditions(texts, SCHEMA)
    assert message in str(error.value)
    assert error.value.remedy


@given(low=st.integers(-(10**6), 10**6), high=st.integers(-(10**6), 10**6))
def test_ranges_of_any_numbers(low: int, high: int) -> None:
    assert parse_conditions([f"age={low}..{high}"], SCHEMA) == {"age": (low, high)}
    assert parse_conditions([f"age>={low}", f"age<={high}"], SCHEMA) == {"age": (low, high)}


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_as_it_is_written(value: float) -> None:
    assert parse_conditions([f"hours={value!r}"], SCHEMA) == {"hours": value}


@given(text=st.text(max_size=12))
def test_any_text_is_a_condition_or_a_clear_error(text: str) -> None:
    try:
        where = parse_conditions([text], SCHEMA)
    except ConditionError as error:
        where = {}
        message = str(error)
    else:
        message = ""
    assert set(where) <= set(SCHEMA.names)
    assert len(message.splitlines()) == (0 if where else 1)


@given(label=st.text(min_size=1, max_size=6).filter(lambda text: text == text.strip()))
def test_every_label_can_be_asked_for(label: str) -> None:
    schema = Schema((Column(name="c", type="categorical", dtype="object", categories=(label, label + "!")),))
    assert parse_conditions([f"c={label}"], schema) == {"c": label}
