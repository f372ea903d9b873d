from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthkit.errors import DataError, InputError, SchemaError
from synthkit.schema import Schema


def changed(frame: pd.DataFrame, name: str, row: int, value: Any) -> pd.DataFrame:
    cells = frame[name].astype(object)
    cells.iloc[row] = value
    return frame.assign(**{name: cells})


def test_the_table_that_was_described_conforms(people: pd.DataFrame) -> None:
    schema = Schema.infer(people)
    schema.check(people)
    schema.check(people.iloc[::-1])
    schema.check(people[people.columns[::-1]])
    schema.check(people.convert_dtypes())


def test_columns(people: pd.DataFrame) -> None:
    schema = Schema.infer(people)
    with pytest.raises(SchemaError, match="lacks the column 'age' of the schema"):
        schema.check(people.drop(columns="age"))
    with pytest.raises(SchemaError, match="unknown column 'agee'; did you mean 'age'"):
        schema.check(people.assign(agee=1))
    with pytest.raises(DataError, match="'age' appears twice"):
        schema.check(people[[*people.columns, "age"]])


@pytest.mark.parametrize(
    ("name", "row", "value", "message"),
    [
        ("age", 2, "old", "'age' should hold numbers, but not 'old' in row 3"),
        ("age", 2, 30.5, "'age' should hold whole numbers, but not 30.5 in row 3"),
        ("age", 2, None, r"'age' has 1 missing cells \(row 3\)"),
        ("hours", 4, np.inf, "'hours' should hold finite numbers, but not inf in row 5"),
        ("degree", 6, "phd", r"'degree' holds values that are not among its 3 categories: 'phd' \(first in row 7\)"),
        ("member", 0, "perhaps", "not among its 2 categories: 'perhaps'"),
        ("joined", 0, "yesterday", "'joined' should hold dates, but not 'yesterday' in row 1"),
    ],
)
def test_cells(people: pd.DataFrame, name: str, row: int, value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Schema.infer(people).check(changed(people, name, row, value))


def test_new_categories_may_be_allowed(people: pd.DataFrame) -> None:
    Schema.infer(people).check(changed(people, "degree", 0, "phd"), new_categories=True)


@pytest.mark.parametrize(
    ("name", "values"),
    [("joined", range(300)), ("age", pd.date_range("2020-01-01", periods=300)), ("age", ["a"] * 300)],
)
def test_another_kind_of_column(people: pd.DataFrame, name: str, values: Any) -> None:
    with pytest.raises(InputError, match=f"column '{name}'"):
        Schema.infer(people).check(people.assign(**{name: values}))


def test_dates_in_another_format() -> None:
    schema = Schema.infer(pd.DataFrame({"day": ["2020-01-01", "2020-01-02"]}))
    with pytest.raises(DataError, match=r"dates written as %Y-%m-%d, but not '3\.1\.2020' in row 1"):
        schema.check(pd.DataFrame({"day": ["3.1.2020"]}))


def test_free_text_is_not_looked_at(people: pd.DataFrame) -> None:
    schema = Schema.infer(people, overrides={"town": {"type": "text"}})
    schema.check(people.assign(town=1))


def test_mixed_types_taken_as_categories_conform() -> None:
    frame = pd.DataFrame({"x": [1, "a", 1, None]})
    Schema.infer(frame, overrides={"x": {"type": "categorical"}}).check(frame)
