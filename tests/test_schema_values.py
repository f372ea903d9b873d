from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthkit.schema_inference import infer_column
from synthkit.schema_values import as_dates, as_numbers, from_dates, from_numbers, is_plain_date, iso

NUMBERS: list[Any] = [
    pd.Series([1, -2, 300]),
    pd.Series([1, 2, 3], dtype="uint8"),
    pd.Series([1.5, np.nan, -2.25]),
    pd.Series([1.0, np.nan, 3.0]),
    pd.Series([0.1, 0.2, 7.7], dtype="float32"),
    pd.Series([1, None, 3], dtype="Int64"),
    pd.Series([1.5, None, 3], dtype="Float64"),
    pd.Series([1, None, 3], dtype="int64[pyarrow]"),
    pd.Series([1.5, None, 3], dtype="double[pyarrow]"),
    pd.Series(["12", None, "-7"], dtype="object"),
    pd.Series(["12.50", None, "-7.25"], dtype="object"),
    pd.Series(["12", None, "7"], dtype="string"),
    pd.Series([decimal.Decimal("1.50"), None, decimal.Decimal("2.25")], dtype="object"),
    pd.Series([1, None, 3], dtype="object"),
    pd.Series([1.5, None, 3.25], dtype="object"),
]


def equal(left: pd.Series[Any], right: pd.Series[Any]) -> None:
    """Equal cells and dtypes; None and NaN are both missing."""
    assert left.dtype == right.dtype
    assert (left.isna() == right.isna()).all()
    assert left.dropna().tolist() == right.dropna().tolist()
    assert [type(cell) for cell in left.dropna()] == [type(cell) for cell in right.dropna()]
    assert left.name == right.name


@pytest.mark.parametrize("series", NUMBERS, ids=lambda series: f"{series.dtype} {series[0]}")
def test_numbers_there_and_back(series: pd.Series[Any]) -> None:
    series = series.rename("x")
    column = infer_column(series)
    values = as_numbers(series, column)
    assert values.dtype == np.float64
    equal(from_numbers(values, column), series)


def test_numbers_are_rounded_to_their_grid() -> None:
    column = infer_column(pd.Series([1.25, 3.5], name="x"))
    assert from_numbers([1.23456, 7.999], column).tolist() == [1.23, 8.0]
    column = infer_column(pd.Series([1, 30], name="x"))
    assert from_numbers([1.6, 2.4], column).tolist() == [2, 2]


DATES: list[Any] = [
    pd.Series(pd.to_datetime(["2020-01-01", None, "2021-12-31"])),
    pd.Series(pd.to_datetime(["2020-01-01", None, "2021-12-31"])).astype("datetime64[s]"),
    pd.Series(pd.to_datetime(["2020-01-01 12:30:00.000", "2021-12-31 01:02:03.456"])).dt.tz_localize("UTC"),
    pd.Series(pd.to_datetime(["2020-06-01 12:30", None])).dt.tz_localize("Europe/Paris"),
    pd.Series([datetime.date(2020, 1, 1), None, datetime.date(1900, 2, 3)], dtype="object"),
    pd.Series(["2020-01-01", None, "2020-12-24"], dtype="object"),
    pd.Series(["1/5/2020 3:04", None, "12/31/2020 13:00"], dtype="object"),
    pd.Series(["2020-01-01T00:00:00Z", None, "2020-01-01T00:00:01Z"], dtype="object"),
    pd.Series(["2020-01-01", None], dtype="string"),
    pd.Series([pd.Timestamp("2020-01-01 05:00"), None, pd.Timestamp("2020-01-02")], dtype="object"),
    pd.Series([datetime.datetime(2020, 1, 1), None], dtype=pd.ArrowDtype(pa.timestamp("us"))),
    pd.Series([datetime.date(2020, 1, 1), None], dtype=pd.ArrowDtype(pa.date32())),
]


@pytest.mark.parametrize("series", DATES, ids=lambda series: f"{series.dtype} {series[0]}")
def test_dates_there_and_back(series: pd.Series[Any]) -> None:
    series = series.rename("x")
    column = infer_column(series)
    assert column.type == "datetime"
    values = as_dates(series, column)
    assert values.dtype == "datetime64[ns]"
    equal(from_dates(values, column), series)


def test_times_that_a_zone_skips_or_repeats() -> None:
    column = infer_column(pd.Series(pd.date_range("2020-01-01", periods=9, tz="Europe/Paris"), name="x"))
    skipped = from_dates(np.array(["2020-03-29T02:30"], dtype="datetime64[ns]"), column)
    assert skipped[0] == pd.Timestamp("2020-03-29 03:00", tz="Europe/Paris")
    repeated = from_dates(np.array(["2020-10-25T02:30"], dtype="datetime64[ns]"), column)
    assert repeated[0].utcoffset() == datetime.timedelta(hours=2)


def test_iso_text() -> None:
    assert iso(np.datetime64("2020-01-01")) == "2020-01-01"
    assert iso(np.datetime64("2020-01-01T05:06")) == "2020-01-01T05:06:00"


def test_plain_dates() -> None:
    assert is_plain_date(datetime.date(2020, 1, 1))
    assert not is_plain_date(datetime.datetime(2020, 1, 1))
