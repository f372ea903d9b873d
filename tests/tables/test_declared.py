"""Under a budget every cell is mapped by itself, and by what the schema declares alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import PrivacyError, SchemaError
from synthkit.schema import Column, Schema
from synthkit.tables.declared import (
    bought_levels,
    bounds_of,
    check_declared,
    constant_codec,
    label_codec,
    number_codec,
    own_edges,
    plain_column,
    symbols_of_labels,
    unit_numbers,
    with_public_domains,
)

AGE = Column(name="age", type="integer", dtype="int64", minimum=17, maximum=90)
PRICE = Column(name="price", type="continuous", dtype="float64", decimals=2, minimum=0.0, maximum=100.0, nullable=True)
TOWN = Column(name="town", type="categorical", dtype="object", categories=("Bern", "Basel"), nullable=True)
JOINED = Column(
    name="joined", type="datetime", dtype="datetime64[ns]", granularity="D", minimum="2020-01-01", maximum="2020-12-31"
)
GRADE = Column(name="grade", type="ordinal", dtype="object", categories=("low", "middle", "high"))


def declared(*columns: Column) -> Schema:
    return Schema(columns, domain="declared", records=1000)


cells = st.one_of(
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=5),
    st.none(),
    st.booleans(),
    st.binary(max_size=3),
    st.decimals(allow_nan=False),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
    st.sampled_from(["Bern", "30", "1e400", "1e9999999999", "2020-05-05", pd.Timestamp("2020-05-05"), pd.NaT]),
)


@pytest.mark.parametrize("column", [AGE, PRICE, TOWN, JOINED, GRADE], ids=lambda column: column.name)
@given(first=st.lists(cells, min_size=1, max_size=6), poison=cells)
def test_no_cell_changes_another_or_raises(column: Column, first: list[object], poison: object) -> None:
    without = plain_column(pd.Series(first, dtype=object), column)
    with_it = plain_column(pd.Series([*first, poison], dtype=object), column)
    np.testing.assert_array_equal(without.values, with_it.values[:-1])
    np.testing.assert_array_equal(without.missing, with_it.missing[:-1])


@given(rows=st.lists(cells, min_size=1, max_size=8))
def test_units_are_told_apart_whatever_names_them(rows: list[object]) -> None:
    series = pd.Series(rows, dtype=object)
    numbers = unit_numbers(series)
    np.testing.assert_array_equal(numbers < 0, series.isna())
    known = series[numbers >= 0]
    assert len(set(numbers[numbers >= 0])) <= len(known)
    for text in ("a", "b"):
        assert len(set(unit_numbers(pd.Series([*rows, text, text], dtype=object))[-2:])) == 1


def test_true_and_false_need_no_declaration() -> None:
    flag = Column(name="flag", type="boolean", dtype="bool")
    assert with_public_domains(declared(flag, AGE))["flag"].categories == (False, True)
    words = Column(name="flag", type="boolean", dtype="object")
    assert with_public_domains(declared(words))["flag"].categories is None


def test_numbers_stay_within_their_bounds() -> None:
    plain = plain_column(pd.Series([3, 17, 40, 90, 1000, "x", None]), AGE)
    assert plain.values[:5].tolist() == [17, 17, 40, 90, 90]
    assert plain.missing.tolist() == [False] * 5 + [True] * 2


def test_a_column_comes_out_alike_whatever_the_reader_made_of_it() -> None:
    as_numbers = plain_column(pd.Series([20, 30, 40]), AGE)
    for other in (pd.Series([20.0, 30.0, 40.0]), pd.Series(["20", "30", "40"]), pd.Series([20, 30, 40], dtype="Int64")):
        np.testing.assert_array_equal(plain_column(other, AGE).values, as_numbers.values)


def test_sentinels_are_kept_though_they_lie_outside_the_bounds() -> None:
    column = Column(name="age", type="integer", dtype="int64", minimum=17, maximum=90, sentinels=(-999,))
    assert plain_column(pd.Series([-999, -998]), column).values.tolist() == [-999, 17]


def test_unknown_labels_count_as_missing() -> None:
    plain = plain_column(pd.Series(["Basel", "Geneva", None, "Bern"]), TOWN)
    codec = label_codec(TOWN, 2, np.ones(2, np.int64), 0, np.arange(2))
    assert symbols_of_labels(codec, TOWN, plain, np.arange(2)).tolist() == [2, 0, 0, 1]


def test_labels_of_a_column_that_is_not_nullable_count_nowhere_when_unknown() -> None:
    column = Column(name="town", type="categorical", dtype="object", categories=("Bern", "Basel"))
    codec = label_codec(column, 2, np.ones(2, np.int64), 0, np.arange(2))
    plain = plain_column(pd.Series(["Geneva", None, "Bern"]), column)
    assert symbols_of_labels(codec, column, plain, np.arange(2)).tolist() == [-1, -1, 0]


def test_bins_cover_the_declared_range_and_decode_inside_it() -> None:
    codec = number_codec(AGE, np.array([17, 18, 40, 91]))
    symbols, _ = codec.encode_numbers(np.array([17, 18, 39, 40, 90]), np.zeros(5, bool), None)
    assert symbols.tolist() == [0, 1, 1, 2, 2]
    drawn = codec.decode(np.array([0, 1, 1, 2, 2]), np.array([0.5, 0.0, 1.0, 0.0, 1.0]), np.random.default_rng(0), None)
    assert drawn.tolist() == [17, 18, 39, 40, 90]


def test_short_columns_have_a_bin_for_each_value_at_no_cost() -> None:
    assert bought_levels(GRADE) == ()
    assert own_edges(GRADE).tolist() == [0, 1, 2, 3]
    assert len(bought_levels(AGE)) == 1
    assert bounds_of(JOINED) == (18262, 18627)


def test_constant_columns_come_from_the_schema_alone() -> None:
    for value, dtype in ((1.5, "float64"), ("same", "object"), (7, "int64")):
        column = Column(name="c", type="constant", dtype=dtype, categories=(value,))
        codec = constant_codec(column)
        assert codec.code.size == 1
        assert (
            codec.decode(np.zeros(2, np.int64), np.full(2, 0.5), np.random.default_rng(0), None).tolist() == [value] * 2
        )


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (Schema((AGE,)), "domain: declared"),
        (declared(Column(name="age", type="integer", dtype="int64", minimum=3)), "declared maximum"),
        (declared(Column(name="town", type="categorical", dtype="object")), "--buy categories"),
    ],
)
def test_what_is_not_declared_is_refused_with_the_line_to_add(schema: Schema, said: str) -> None:
    with pytest.raises(PrivacyError, match=said):
        check_declared(schema, unit="row")


def test_bought_categories_need_no_declaration() -> None:
    check_declared(declared(Column(name="town", type="categorical", dtype="object")), unit="row", buy=("categories",))


def test_the_unit_must_be_a_column_and_needs_no_domain() -> None:
    key = Column(name="patient", type="integer", dtype="int64")
    check_declared(declared(AGE, key), unit="patient")
    with pytest.raises(SchemaError, match="did you mean 'age'"):
        check_declared(declared(AGE), unit="agee")


def test_bounds_the_wrong_way_round_are_refused() -> None:
    column = Column(name="d", type="datetime", dtype="datetime64[ns]", minimum="2021-01-01", maximum="2020-01-01")
    with pytest.raises(SchemaError, match="smaller and a larger"):
        bounds_of(column)
