from __future__ import annotations

import datetime
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.schema_dates import detect, parse, write

MOMENTS = st.lists(
    st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2068, 12, 31)), min_size=1, max_size=20, unique=True
)
FORMATS = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%-d.%-m.%Y",
    "%m/%d/%Y",
    "%-m/%-d/%Y %-H:%M",
    "%Y%m%d",
    "%d-%b-%Y",
    "%B %d, %Y",
    "%b %Y",
    "%Y-%m",
    "%m/%d/%y",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S+02:00",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S.%3f",
    "%m/%d/%Y %I:%M %p",
    "%-m/%-d/%Y %-I:%M:%S %p",
]


@pytest.mark.parametrize("text_format", FORMATS)
@given(MOMENTS)
def test_what_is_written_is_read(text_format: str, moments: list[datetime.datetime]) -> None:
    """Texts survive; moments do as far as the format tells them."""
    texts = write(np.array(moments, dtype="datetime64[ns]"), text_format)
    values = parse(texts, text_format)
    assert not np.isnat(values).any()
    assert (write(values, text_format) == texts).all()


@pytest.mark.parametrize("text_format", FORMATS)
@given(MOMENTS)
def test_the_format_is_found(text_format: str, moments: list[datetime.datetime]) -> None:
    """Perhaps another one of the same look, but always one that writes every text back."""
    texts = list(dict.fromkeys(write(np.array(moments, dtype="datetime64[ns]"), text_format)))
    found = detect(texts)
    assert found is not None
    assert write(found.values, found.text_format).tolist() == texts or found.text_format.endswith("%z")


@pytest.mark.parametrize("text_format", FORMATS)
def test_the_format_is_found_exactly_where_the_data_tell(text_format: str) -> None:
    moments = pd.date_range("2019-01-01 00:01:02.345678", periods=500, freq="31h")
    texts = list(dict.fromkeys(write(moments.to_numpy(), text_format)))
    found = detect(texts)
    assert found is not None
    assert found.text_format == text_format
    assert (found.values == parse(texts, text_format)).all()


class TestDayOrMonthFirst:
    def test_a_day_above_twelve_decides(self) -> None:
        found = detect(["01/02/2020", "13/02/2020"])
        assert found is not None
        assert found.text_format == "%d/%m/%Y"
        assert found.note == ""

    def test_order_decides(self) -> None:
        found = detect(["01/05/2020", "02/04/2020", "03/03/2020", "04/02/2020"])
        assert found is not None
        assert found.text_format == "%m/%d/%Y"
        assert "month first because the dates are then in order" in found.note

    @pytest.mark.parametrize(
        ("texts", "order"), [(["05/06/2020", "03/04/2019"], "month"), (["05.06.2020", "03.04.2019"], "day")]
    )
    def test_habit_decides_and_says_so(self, texts: list[str], order: str) -> None:
        found = detect(texts)
        assert found is not None
        assert f"read {order} first" in found.note


class TestZones:
    def test_one_offset_is_part_of_the_format(self) -> None:
        found = detect(["2020-01-01T00:00:00+01:00", "2020-06-01T12:30:00+01:00"])
        assert found is not None
        assert found.timezone == "+01:00"
        assert found.values[1] == np.datetime64("2020-06-01T12:30:00")

    def test_utc(self) -> None:
        found = detect(["2020-01-01T00:00:00Z"])
        assert found is not None
        assert found.timezone == "UTC"

    def test_mixed_offsets_become_utc(self) -> None:
        texts = ["2020-01-01T00:00:00+01:00", "2020-06-01T12:30:00+02:00"]
        found = detect(texts)
        assert found is not None
        assert found.timezone == "UTC"
        assert found.values[1] == np.datetime64("2020-06-01T10:30:00")
        assert (parse(texts, found.text_format) == found.values).all()
        assert write(found.values, found.text_format).tolist() == [
            "2019-12-31T23:00:00+00:00",
            "2020-06-01T10:30:00+00:00",
        ]


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["red", "green"],
        ["2020-01-01", "unknown"],
        ["2020-01-01", "2020-02-30"],
        ["2020-01-01", "2020-1-2"],
        ["2020-01-01", "01.02.2020"],
        ["12:30", "13:45"],
        ["250.83", "428.00"],
        ["1.2.3", "1.2.4"],
        ["555-1234", "555-9876"],
        ["20201301"],
        ["2020-01-01T00:00:00+01:00", "2020-01-01T00:00:00"],
    ],
)
def test_what_is_no_date(texts: list[str]) -> None:
    assert detect(texts) is None


def test_missing_and_odd_cells_become_missing() -> None:
    values = parse(["2020-01-01", None, np.nan, "soon"], "%Y-%m-%d")
    assert np.isnat(values).tolist() == [False, True, True, True]
    assert write(values, "%Y-%m-%d").tolist() == ["2020-01-01", None, None, None]


def test_every_hour_has_its_twelve_hour_name() -> None:
    hours = pd.date_range("2020-01-01", periods=24, freq="h")
    texts = write(hours.to_numpy(), "%-I %p")
    assert texts[:2].tolist() == ["12 AM", "1 AM"]
    assert texts[12:14].tolist() == ["12 PM", "1 PM"]
    assert all(before != after for before, after in pairwise(texts))
