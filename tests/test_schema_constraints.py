from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import SchemaError
from synthkit.schema import Schema
from synthkit.schema_cells import stable_hashes
from synthkit.schema_constraints import (
    KINDS,
    CellTest,
    Combinations,
    Constraint,
    Inequality,
    NotApplicable,
    Range,
    Regex,
    Total,
    Unique,
)

OLD = """\
format_version: 2
domain: inferred
columns:
  - name: a
    type: integer
    dtype: int64
    minimum: 1
    maximum: 9
  - name: b
    type: categorical
    dtype: object
    nullable: true
    categories: [x, y]
"""


def small_table() -> pd.DataFrame:
    days = pd.to_datetime(["2020-01-01", "2020-03-01", None, "2021-01-01"] * 3)
    return pd.DataFrame(
        {
            "a": [1, 2, 3, 4] * 3,
            "b": [2.0, 2.0, math.nan, 3.5] * 3,
            "c": ["x", "y", None, "x"] * 3,
            "start": days,
            "end": days + pd.Timedelta(days=3),
            "total": [3.0, 4.0, 3.0, 7.5] * 3,
            "key": [f"K{row:03d}" for row in range(12)],
        }
    )


EVERY = (
    Inequality(low="a", high="total"),
    Inequality(low="start", high="end", strict=True),
    Combinations(columns=("a", "c"), allowed=((1, "x"), (2, "y"), (3, None), (4, "x"))),
    Combinations(columns=("c", "b")),
    Range(column="start", minimum="2020-01-01", maximum="2022-01-01"),
    Range(column="c", values=("x", "y")),
    Total(column="total", parts=("a", "b")),
    Unique(columns=("key",)),
    Regex(column="key", pattern=r"K\d{3}", checked=False),
    NotApplicable(column="c", when={"a": {"minimum": 3, "maximum": 3}}),
    NotApplicable(column="b", when={"c": None, "a": [3]}, present_otherwise=True),
)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.infer(small_table(), overrides={"key": {"type": "identifier"}, "c": {"type": "categorical"}})


# ---------------------------------------------------------------------------------------------------- in and out


def test_every_kind_comes_back_from_yaml(schema: Schema) -> None:
    full = schema.with_constraints(*EVERY)
    assert Schema.from_yaml(full.to_yaml()) == full
    assert Schema.from_dict(full.to_dict()) == full
    assert {one.kind for one in full.constraints} == set(KINDS)
    assert "format_version: 3" in full.to_yaml()
    assert all(len(one.describe().splitlines()) == 1 for one in full.constraints)


def test_schemas_without_constraints_are_written_and_read_as_before() -> None:
    old = Schema.from_yaml(OLD)
    assert old.constraints == ()
    assert old.to_yaml().endswith(OLD)
    assert "constraints" not in old.to_dict()
    added = Schema.from_yaml(OLD + "constraints:\n  - {kind: range, column: a, minimum: 2}\n")
    assert added.constraints == (Range(column="a", minimum=2),)
    with pytest.raises(SchemaError, match="format_version 4, this synthkit reads up to 3"):
        Schema.from_yaml(OLD.replace("format_version: 2", "format_version: 4"))


def test_changing_columns_keeps_the_constraints(schema: Schema) -> None:
    full = schema.with_constraints(*EVERY)
    assert full.replace("a", reason="by hand").constraints == EVERY
    assert full.with_roles(target="c").constraints == EVERY
    part = full.only(["a", "total", "c"])
    assert part.names == ["a", "c", "total"]
    assert {one.kind for one in part.constraints} == {"inequality", "combinations", "range", "not-applicable"}


@pytest.mark.parametrize(
    ("entry", "line", "text"),
    [
        ("- kind: range\n    column: aa\n    minimum: 1", 16, "did you mean 'a'"),
        ("- kind: rnge\n    column: a", 15, "did you mean 'range'"),
        ("- kind: range\n    column: a\n    minimun: 1", 17, "did you mean 'minimum'"),
        ("- kind: range", 15, "the key 'column' is missing"),
        ("- column: a", 15, "has no 'kind'"),
        ("- range", 15, "expected keys such as"),
        ("- kind: range\n    column: b\n    values: [x, z]", 15, "unknown value 'z'"),
        ("- kind: range\n    column: b\n    minimum: 3", 15, "takes no minimum or maximum"),
        ("- kind: range\n    column: a\n    minimum: abc", 15, "is not a finite number"),
        ("- kind: range\n    column: a\n    minimum: 5\n    maximum: 3", 15, "ends (3) before it begins (5)"),
        ("- kind: range\n    column: a\n    minimum: 10", 15, "have nothing in common"),
        ("- kind: range\n    column: a", 15, "neither bounds nor values"),
        ("- kind: unique\n    columns: a", 16, "must be a list of column names"),
        ("- kind: unique\n    columns: [a, a]", 16, "named twice"),
        ("- kind: combinations\n    columns: [a]", 15, "fewer than two columns"),
        ("- kind: combinations\n    columns: [a, b]\n    allowed: some", 17, "'seen' or a list of lists"),
        ("- kind: combinations\n    columns: [a, b]\n    allowed: [[1]]", 15, "1 values for 2 columns"),
        ("- kind: combinations\n    columns: [a, b]\n    allowed: []", 15, "allows no combination"),
        ("- kind: inequality\n    low: a\n    high: b", 15, "expected numbers or dates"),
        ("- kind: inequality\n    low: a\n    high: a", 16, "named twice"),
        ("- kind: regex\n    column: b\n    pattern: '['", 15, "is not a regular expression"),
        ("- kind: total\n    column: a\n    parts: []", 15, "has no parts"),
        ("- kind: total\n    column: a\n    parts: [b]", 15, "expected numbers"),
        ("- kind: total\n    column: a\n    parts: [b]\n    tolerance: -1", 18, "a number from 0"),
        ("- kind: not-applicable\n    column: a\n    when: {b: x}", 15, "has no missing cells"),
        ("- kind: not-applicable\n    column: b\n    when: {a: {min: 3}}", 17, "minimum and maximum"),
        ("- kind: not-applicable\n    column: b\n    when:\n      aa: 3", 17, "did you mean 'a'"),
    ],
)
def test_a_wrong_entry_is_one_sentence_with_its_line(entry: str, line: int, text: str) -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.from_yaml(f"{OLD}constraints:\n  {entry}\n", source="people.yaml")
    message = str(caught.value)
    assert text in message
    assert "\n" not in message
    if "nothing in common" not in text:  # that is about several entries
        assert f"line {line} of 'people.yaml'" in message


@pytest.mark.parametrize(
    "pair",
    [
        (Inequality(low="a", high="b"), Inequality(low="b", high="a", strict=True)),
        (
            Inequality(low="a", high="b", strict=True),
            Inequality(low="b", high="total"),
            Inequality(low="total", high="a"),
        ),
        (Total(column="total", parts=("a", "b")), Total(column="a", parts=("total",))),
        (Range(column="a", maximum=2), Range(column="a", minimum=3)),
        (Range(column="c", values=("x",)), Range(column="c", values=("y",))),
    ],
    ids=["order", "order of three", "sums", "ranges", "values"],
)
def test_constraints_that_contradict_each_other_are_refused(schema: Schema, pair: tuple[Constraint, ...]) -> None:
    with pytest.raises(SchemaError, match=r"contradicts|itself a sum|in common"):
        schema.with_constraints(*pair)
    assert Inequality(low="a", high="b").holds(small_table()).sum() == 9


def test_equal_columns_are_no_contradiction(schema: Schema) -> None:
    both = schema.with_constraints(Inequality(low="a", high="b"), Inequality(low="b", high="a"))
    assert len(both.constraints) == 2


def test_free_text_and_identifiers_are_refused(schema: Schema) -> None:
    with pytest.raises(SchemaError, match="is an identifier"):
        schema.with_constraints(Combinations(columns=("key", "c")))
    with pytest.raises(SchemaError, match="is free text"):
        schema.replace("key", type="text").with_constraints(Unique(columns=("key",)))


# ---------------------------------------------------------------------------------------------------- what holds


def test_holds_on_cases_worked_out_by_hand(schema: Schema) -> None:
    frame = small_table().head(4)
    expected = {
        Inequality(low="b", high="a"): [False, True, True, True],
        Inequality(low="b", high="a", strict=True): [False, False, True, True],
        Inequality(low="end", high="start"): [False, False, True, False],
        Combinations(columns=("a", "c"), allowed=((1, "x"), (3, None), (4, "y"))): [True, False, True, False],
        Range(column="b", minimum=2.5): [False, False, True, True],
        Range(column="start", maximum="2020-03-01"): [True, True, True, False],
        Range(column="c", values=("y",)): [False, True, True, False],
        Total(column="total", parts=("a", "b")): [True, True, True, True],
        Total(column="total", parts=("a",)): [False, False, True, False],
        Total(column="total", parts=("a",), tolerance=2.0): [True, True, True, False],
        Unique(columns=("b",)): [True, False, True, True],
        Unique(columns=("a", "b")): [True, True, True, True],
        Regex(column="key", pattern="K00[01]"): [True, True, False, False],
        Regex(column="c", pattern="x"): [True, False, True, True],
        NotApplicable(column="c", when={"a": [1, 3]}): [False, True, True, True],
        NotApplicable(column="c", when={"a": [1, 3]}, present_otherwise=True): [False, True, True, True],
        NotApplicable(column="c", when={"a": 9}, present_otherwise=True): [True, True, False, True],
        NotApplicable(column="a", when={"b": None}): [True, True, False, True],
    }
    for one, holds in expected.items():
        assert one.holds(frame).tolist() == holds, one.describe()
        if not isinstance(one, NotApplicable) or one.column != "a":
            assert schema.with_constraints(one).constraints[0].holds(frame).tolist() == holds


def test_sentinels_are_no_values() -> None:
    frame = pd.DataFrame({"low": [1, 5, -999, 3] * 30, "high": [2, -999, 0, 4] * 30})
    schema = Schema.infer(frame, overrides={"low": {"sentinels": [-999]}, "high": {"sentinels": [-999]}})
    one, two = schema.with_constraints(Inequality(low="low", high="high"), Range(column="low", minimum=0)).constraints
    assert one.holds(frame).all()
    assert two.holds(frame).all()
    assert not Inequality(low="low", high="high").holds(frame).all()


def test_dates_are_read_as_the_schema_says() -> None:
    frame = pd.DataFrame({"from": ["31/12/2020", "05/01/2021", "06/02/2021"], "to": ["31/01/2021", "04/01/2021", None]})
    schema = Schema.infer(frame).with_constraints(Inequality(low="from", high="to"))
    assert schema.constraints[0].holds(frame).tolist() == [True, False, True]
    moved = schema.with_constraints(Range(column="from", minimum="2021-01-01")).constraints[1]
    assert moved.holds(frame).tolist() == [False, True, True]
    with pytest.raises(SchemaError, match="is not a date"):
        schema.with_constraints(Range(column="from", minimum=3))


def test_the_tolerance_of_a_total_follows_from_the_decimals() -> None:
    frame = pd.DataFrame({"whole": [3, 4, 6], "x": [1.25, 2.5, 2.25], "y": [1.5, 1.5, 2.5]})
    one = Schema.infer(frame).with_constraints(Total(column="whole", parts=("x", "y"))).constraints[0]
    assert one.holds(frame).tolist() == [True, True, False]
    cents = pd.DataFrame({"sum": [0.3, 0.31], "x": [0.1, 0.1], "y": [0.2, 0.2]})
    assert Total(column="sum", parts=("x", "y")).holds(cents).tolist() == [True, False]


def test_combinations_are_seen_in_the_order_of_the_rows(schema: Schema) -> None:
    open_one = Combinations(columns=("a", "c"))
    with pytest.raises(SchemaError, match="'seen' in training"):
        open_one.holds(small_table())
    seen = open_one.seen_in(small_table())
    assert seen.allowed == ((1, "x"), (2, "y"), (3, None), (4, "x"))
    other = small_table().astype({"a": "float64", "c": "category"})
    assert seen.holds(other).all()
    assert not seen.holds(other.assign(c="y")).all()


# ---------------------------------------------------------------------------------------------------- an oracle

labels = st.sampled_from(["x", "y", None])
numbers = st.one_of(st.integers(0, 3), st.none())
tables = st.lists(st.tuples(numbers, numbers, numbers, labels, labels), min_size=1, max_size=12).map(
    lambda rows: pd.DataFrame(rows, columns=["a", "b", "s", "c", "d"]).astype({"a": float, "b": float, "s": float})
)
constraints = st.one_of(
    st.builds(Inequality, low=st.just("a"), high=st.just("b"), strict=st.booleans()),
    st.builds(
        Combinations,
        columns=st.just(("a", "c", "d")),
        allowed=st.lists(st.tuples(numbers, labels, labels), min_size=1, max_size=8).map(tuple),
    ),
    st.builds(Range, column=st.just("a"), minimum=st.integers(0, 2), maximum=st.one_of(st.none(), st.integers(2, 3))),
    st.builds(Range, column=st.just("c"), values=st.just(("x",))),
    st.builds(Total, column=st.just("s"), parts=st.just(("a", "b")), tolerance=st.sampled_from([None, 1.0])),
    st.builds(Unique, columns=st.sampled_from([("a",), ("a", "c"), ("c", "d", "b")])),
    st.builds(Regex, column=st.just("c"), pattern=st.sampled_from(["x", "x|y", ""])),
    st.builds(
        NotApplicable,
        column=st.just("d"),
        when=st.sampled_from([{"c": "x"}, {"c": None}, {"a": {"minimum": 2}}, {"a": [0, 1], "c": ["x", "y"]}]),
        present_otherwise=st.booleans(),
    ),
)


def absent(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def passes(test: CellTest, cell: object) -> bool:
    if test.values is not None:
        return any(absent(cell) if value is None else cell == value for value in test.values)
    if absent(cell):
        return False
    return (test.minimum is None or cell >= test.minimum) and (test.maximum is None or cell <= test.maximum)


def row_by_row(one: Constraint, rows: list[dict[str, object]]) -> list[bool]:
    """The same in plain Python, cell by cell."""
    out: list[bool] = []
    for place, row in enumerate(rows):
        match one:
            case Inequality():
                low, high = row[one.low], row[one.high]
                good = absent(low) or absent(high) or (low < high if one.strict else low <= high)
            case Combinations():
                cells = tuple(None if absent(row[name]) else row[name] for name in one.columns)
                good = any(cells == allowed for allowed in one.allowed)
            case Range():
                good = absent(row[one.column]) or passes(one.test, row[one.column])
            case Total():
                cells = [row[name] for name in one.names]
                good = any(map(absent, cells)) or abs(cells[0] - sum(cells[1:])) <= (one.tolerance or 0) + 1e-8
            case Unique():
                key = [row[name] for name in one.columns]
                same = [other for other in rows[:place] if [other[name] for name in one.columns] == key]
                good = any(map(absent, key)) or not same
            case Regex():
                good = absent(row[one.column]) or re.fullmatch(one.pattern, row[one.column]) is not None
            case NotApplicable():
                applies = all(passes(test, row[test.column]) for test in one.when)
                missing = absent(row[one.column])
                good = missing == applies if one.present_otherwise else missing or not applies
        out.append(good)
    return out


@given(frame=tables, one=constraints)
def test_holds_says_what_reading_row_by_row_says(frame: pd.DataFrame, one: Constraint) -> None:
    holds = one.holds(frame)
    assert holds.dtype == bool
    assert holds.tolist() == row_by_row(one, frame.to_dict("records"))


@given(one=constraints)
def test_any_constraint_comes_back_from_yaml(one: Constraint) -> None:
    frame = pd.DataFrame({"a": [0.0, 3.0, None], "b": [0.0, 3.0, None], "s": [0.0, 6.0, None]})
    schema = Schema.infer(frame.assign(c=["x", "y", None], d=["x", "y", None])).with_constraints(one)
    assert Schema.from_yaml(schema.to_yaml()) == schema


@given(values=st.lists(st.one_of(st.integers(-(2**61), 2**61), st.none()), min_size=1, max_size=9))
def test_hashes_do_not_depend_on_the_dtype(values: list[int | None]) -> None:
    plain = pd.Series(values, dtype="Int64")
    expected = stable_hashes(plain.dropna())
    assert len(set(expected.tolist())) == plain.nunique()
    assert stable_hashes(plain)[plain.notna().to_numpy()].tolist() == expected.tolist()
    if not plain.isna().any():
        assert stable_hashes(plain.astype("int64")).tolist() == expected.tolist()
    small = [value for value in values if value is not None and abs(value) < 2**53]
    hashes = [stable_hashes(pd.Series(small, dtype=dtype)).tolist() for dtype in ("float64", "int64", "object")]
    assert hashes[0] == hashes[1] == hashes[2]
    assert np.array_equal(stable_hashes(pd.Series([0.5, 2.0]))[1:], stable_hashes(pd.Series([2])))
