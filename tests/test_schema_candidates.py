from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

from synthkit.schema import Schema
from synthkit.schema_candidates import as_comment, propose_constraints
from synthkit.schema_constraints import Combinations, Inequality, NotApplicable, Total, Unique
from synthkit.schema_sums import sums_among

KEYS_OF_ONE = "unique"  # a key of one column stays one when columns are shuffled


def visits(rows: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """Columns that follow from each other in every way that there is a search for."""
    rng = np.random.default_rng(seed)
    town = rng.choice(["Bern", "Thun", "Lyon", "Nice", "Pisa"], rows, p=[0.4, 0.2, 0.2, 0.15, 0.05])
    country = pd.Series(town).map({"Bern": "CH", "Thun": "CH", "Lyon": "FR", "Nice": "FR", "Pisa": "IT"}).to_numpy()
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D")
    patient = np.repeat(np.arange(rows // 4), 4)
    sex = rng.choice(["F", "M"], rows)
    age = rng.integers(1, 90, rows)
    drugs, stay = np.round(rng.gamma(2, 30, rows), 2), np.round(rng.gamma(3, 50, rows), 2)
    return pd.DataFrame(
        {
            "town": town,
            "country": country,
            "start": start,
            "end": start + pd.to_timedelta(rng.geometric(0.2, rows) - 1, unit="D"),
            "drugs": drugs,
            "stay": stay,
            "bill": np.round(drugs + stay, 2),
            "age": age,
            "sex": sex,
            "births": np.where(sex == "M", np.nan, rng.poisson(1, rows)),
            "licence": np.where(age < 18, None, rng.choice(["A", "B"], rows)),
            "patient": rng.permutation(rows // 4)[patient] % 250 + 1000,
            "visit": np.arange(rows) // 1 % 4,
            "noise": rng.normal(size=rows),
        }
    ).assign(patient=patient + 1000)


def proposed(frame: pd.DataFrame) -> list:
    return [one.constraint for one in propose_constraints(frame, Schema.infer(frame))]


def shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: frame[name].array[rng.permutation(len(frame))] for name in frame})


def test_every_kind_is_found() -> None:
    found = proposed(visits())
    assert Combinations(columns=("town", "country")) in found
    assert Inequality(low="start", high="end") in found
    assert Total(column="bill", parts=("drugs", "stay")) in found
    assert NotApplicable(column="births", when={"sex": ["M"]}, present_otherwise=True) in found
    licence = next(one for one in found if isinstance(one, NotApplicable) and one.column == "licence")
    assert licence == NotApplicable(column="licence", when={"age": {"maximum": 17}}, present_otherwise=True)
    assert Unique(columns=("patient", "visit")) in found
    assert len(found) == 6, [one.describe() for one in found]


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), rows=st.sampled_from([200, 700]))
def test_candidates_hold_and_a_shuffled_table_has_none(seed: int, rows: int) -> None:
    frame = visits(rows, seed)
    schema = Schema.infer(frame)
    for one in propose_constraints(frame, schema):
        bound = schema.with_constraints(one.constraint).constraints[0]
        bound = bound.seen_in(frame) if isinstance(bound, Combinations) else bound
        assert bound.holds(frame).all(), bound.describe()
        assert one.evidence
    left = proposed(shuffled(frame, seed))
    assert all(one.kind == KEYS_OF_ONE and len(one.columns) == 1 for one in left), left


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_columns_that_have_nothing_to_do_with_each_other_propose_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = int(rng.choice([30, 150, 1_000]))
    gaps = rng.random((rows, 3)) < [0.05, 0.5, 0.97]
    frame = pd.DataFrame(
        {
            **{f"n{k}": rng.normal(k * 2, 1, rows) for k in range(4)},
            **{f"i{k}": rng.integers(0, 2 + 3 * k, rows) for k in range(4)},
            **{f"c{k}": rng.choice(list("abcdefgh")[: k + 2], rows) for k in range(4)},
            **{f"b{k}": rng.random(rows) < p for k, p in enumerate([0.01, 0.5])},
            **{f"g{k}": np.where(gaps[:, k], np.nan, rng.normal(size=rows)) for k in range(3)},
            "rare": rng.zipf(1.5, rows).clip(max=500).astype(str),
        }
    )
    assert [one.describe() for one in proposed(frame)] == []


@pytest.mark.parametrize(("load", "most"), [(load_iris, 0), (load_wine, 0), (load_breast_cancer, 10)])
def test_few_are_proposed_for_measurements(load, most: int) -> None:
    found = proposed(load(as_frame=True).frame)
    assert len(found) <= most
    for one in found:  # a part is below its whole, a mean below the worst
        assert isinstance(one, Inequality)
        assert {word for word in one.low.split() if word not in ("mean", "error")} <= set(one.high.split())


def test_what_follows_from_others_is_not_proposed() -> None:
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.integers(0, 4, (500, 6)), axis=1)
    found = proposed(pd.DataFrame(steps, columns=list("abcdef")))
    pairs = [(one.low, one.high) for one in found if isinstance(one, Inequality)]
    assert sorted(pairs) == [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f")]


def test_columns_far_apart_are_not_compared() -> None:
    rng = np.random.default_rng(0)
    assert proposed(pd.DataFrame({"year": rng.integers(1990, 2020, 500), "age": rng.integers(0, 90, 500)})) == []


def test_those_of_the_schema_are_not_proposed_again() -> None:
    frame = visits()
    schema = Schema.infer(frame)
    some = [one.constraint for one in propose_constraints(frame, schema)]
    again = propose_constraints(frame, schema.with_constraints(*some[:4]))
    assert [one.constraint for one in again] == some[4:]


def test_a_comment_becomes_constraints_when_its_marks_are_taken_away() -> None:
    frame = visits()
    schema = Schema.infer(frame)
    candidates = propose_constraints(frame, schema)
    text = schema.to_yaml() + as_comment(candidates)
    assert Schema.from_yaml(text) == schema
    head, tail = text.split("# constraints:\n")
    opened = head + "constraints:\n" + re.sub(r"(?m)^# ?", "", tail)
    assert Schema.from_yaml(opened).constraints == tuple(one.constraint for one in candidates)
    assert as_comment(()) == ""


# ---------------------------------------------------------------------------------------------------- sums


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (lambda x: [x[0], x[1], x[0] + x[1]], [(2, (0, 1))]),
        (lambda x: [x[0] + x[1], x[0], x[1]], [(0, (2, 1))]),
        (lambda x: [x[0], x[1], x[2], x[0] + x[1] + x[2], x[3]], [(3, (0, 1, 2))]),
        (lambda x: [x[0], x[0]], [(1, (0,))]),
        (lambda x: [x[0], 2 * x[0]], []),
        (lambda x: [x[0], x[1], x[0] + x[1] + 1], []),
        (lambda x: [x[0], x[1], x[0] * x[1]], []),
        (lambda x: [x[0], x[1], x[0] + x[1], x[2], x[3], x[2] + x[3]], [(2, (0, 1)), (5, (3, 4))]),
    ],
)
def test_sums_among(columns, expected) -> None:
    rng = np.random.default_rng(1)
    x = [np.round(rng.gamma(2, 10.0 ** (place + 1), 200), 2) for place in range(4)]
    assert sums_among(np.stack(columns(x), axis=1)) == expected


def test_dummies_of_a_label_are_no_sums() -> None:
    rng = np.random.default_rng(0)
    dummies = [np.eye(5)[rng.integers(0, 5, 400)] for _ in range(2)]
    assert sums_among(np.hstack(dummies)) == []
    assert sums_among(np.full((5, 3), np.nan)) == []
