"""Conditions hold exactly: every allowed symbol and position decodes to a value that satisfies them."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from synthkit.errors import ConditionError
from synthkit.schema import Column, Schema
from synthkit.tables.conditions import AllowedSymbols
from synthkit.tables.encoder import TableEncoder

N = 1500
_rng = np.random.default_rng(0)
_days = pd.Timestamp("2020-01-01") + pd.to_timedelta(_rng.integers(0, 900, N), unit="D")
_holes = _rng.random(N) < 0.1
FRAME = pd.DataFrame(
    {
        "float": np.where(_holes, np.nan, _rng.normal(0, 10, N)),
        "cents": np.where(_rng.random(N) < 0.2, 0.0, np.round(_rng.lognormal(3, 1, N), 2)),
        "narrow": np.round(_rng.normal(0, 1, N), 1).astype(np.float32),
        "whole": np.where(_rng.random(N) < 0.1, -1, _rng.integers(0, 5000, N)),
        "heaped": (_rng.integers(0, 300, N) * 10),
        "grid": _rng.integers(0, 30, N),
        "day": pd.Series(_days),
        "date": pd.Series([day.date() for day in _days], dtype=object),
        "zoned": pd.Series(_days).dt.tz_localize("Europe/Paris"),
        "id": _rng.permutation(N),
        "level": pd.Categorical(_rng.choice(["lo", "mid", "hi"], N), categories=["lo", "mid", "hi"], ordered=True),
        "word": pd.Series(_rng.choice(["a", "b"], N), dtype=object).where(~_holes, None),
        "many": [f"v{value}" for value in _rng.zipf(1.3, N) % 900],
        "code": _rng.choice([1, 2, 7], N),
        "flag": _rng.random(N) < 0.5,
        "same": 4,
        "name": [f"A{value:04d}" for value in range(N)],
    }
)
_KINDS: dict[str, dict[str, Any]] = {
    "float": {"type": "continuous", "nullable": True},
    "cents": {"type": "continuous", "decimals": 2, "minimum": 0, "maximum": 1e5},
    "narrow": {"type": "continuous", "decimals": 1, "minimum": -10, "maximum": 10},
    "whole": {"type": "integer", "sentinels": (-1.0,)},
    "heaped": {"type": "integer"},
    "grid": {"type": "integer"},
    "day": {"type": "datetime", "granularity": "D"},
    "date": {"type": "datetime", "granularity": "D", "dtype": "date"},
    "zoned": {"type": "datetime", "granularity": "D", "timezone": "Europe/Paris"},
    "id": {"type": "identifier"},
    "level": {"type": "ordinal", "categories": ("lo", "mid", "hi"), "ordered": True},
    "word": {"type": "categorical", "nullable": True},
    "many": {"type": "categorical"},
    "code": {"type": "categorical"},
    "flag": {"type": "boolean"},
    "same": {"type": "constant"},
    "name": {"type": "identifier", "pattern": r"\A9999999"},
}
ENCODER = TableEncoder(max_categories=20).fit(
    FRAME,
    Schema(
        tuple(
            Column(**{"name": name, "dtype": str(FRAME[name].dtype), **_KINDS[name]})  # type: ignore[arg-type]
            for name in FRAME
        )
    ),
)


def decoded(name: str, allowed: AllowedSymbols, seed: int = 0, per_symbol: int = 25) -> pd.Series[Any]:
    """Cells of every allowed symbol: both ends of the interval, and float32 positions in between."""
    rng = np.random.default_rng(seed)
    symbols = np.repeat(np.flatnonzero(allowed.mask), per_symbol)
    u = rng.random(len(symbols))
    u[::per_symbol], u[1::per_symbol] = 0.0, 1.0
    positions = (allowed.low[symbols] + u * (allowed.high[symbols] - allowed.low[symbols])).astype(np.float32)
    place = ENCODER.names.index(name)
    table = np.tile([[0] * len(ENCODER.names)], (len(symbols), 1))
    table[:, place] = symbols
    inside = np.full(table.shape, 0.5, dtype=np.float32)
    inside[:, place] = positions
    return ENCODER.decode(table, inside, rng=rng, forced={name: allowed})[name]


def free_draw(name: str, n: int) -> pd.Series[Any]:
    rng = np.random.default_rng(3)
    columns = ENCODER.columns
    symbols = np.stack([rng.choice(code.size, n, p=code.shares) for code in columns], axis=1)
    return ENCODER.decode(symbols, rng=rng)[name]


@given(
    st.sampled_from(["float", "cents", "narrow", "whole", "heaped", "grid", "id"]),
    st.floats(-5, 5400) | st.integers(-5, 5400) | st.integers(-300, 3000).map(lambda tenth: tenth / 10),
    st.floats(0, 3000) | st.integers(0, 300) | st.just(0) | st.sampled_from([0.01, 0.1, 0.5]),
    st.sampled_from(["closed", "from", "to"]),
)
@settings(max_examples=120, deadline=None)
def test_ranges_of_numbers_hold_exactly(name: str, low: float, width: float, kind: str) -> None:
    high = low + width
    condition = (low, high) if kind == "closed" else (low, None) if kind == "from" else (None, high)
    start = -np.inf if kind == "to" else low
    end = np.inf if kind == "from" else high
    real = FRAME[name].astype(float)
    holds = real.between(start, end) & ~(real.eq(-1) & (name == "whole"))
    try:
        allowed = ENCODER.condition(name, condition)
    except ConditionError:
        assert not holds.any()
        return
    cells = decoded(name, allowed)
    assert cells.between(start, end).all()
    code = next(code for code in ENCODER.columns if code.name == name)
    mass = float((code.shares * allowed.share).sum())
    assert abs(mass - holds.mean()) < 0.02
    assert (allowed.share[~allowed.mask] == 0).all()


@given(
    st.sampled_from(["day", "date", "zoned"]),
    st.datetimes(datetime.datetime(2019, 12, 1), datetime.datetime(2022, 9, 1)),
    st.timedeltas(datetime.timedelta(0), datetime.timedelta(days=200)),
    st.sampled_from(["text", "timestamp", "datetime", "numpy"]),
)
@settings(max_examples=50, deadline=None)
def test_ranges_of_dates_hold_exactly(name: str, low: datetime.datetime, width: datetime.timedelta, form: str) -> None:
    high = low + width
    forms = {"text": str, "timestamp": pd.Timestamp, "datetime": lambda moment: moment, "numpy": np.datetime64}
    try:
        allowed = ENCODER.condition(name, (forms[form](low), forms[form](high)))
    except ConditionError:
        clock = FRAME["day"]
        assert not clock.between(low, high).any()
        return
    cells = decoded(name, allowed)
    clock = cells.dt.tz_localize(None) if name == "zoned" else pd.to_datetime(cells)
    assert clock.between(low, high).all()


@given(
    st.sampled_from(["float", "cents", "whole", "heaped", "grid", "day"]),
    st.lists(st.integers(0, N - 1), min_size=1, max_size=6),
)
@settings(max_examples=50, deadline=None)
def test_values_and_lists_hold_exactly(name: str, rows: list[int]) -> None:
    values = FRAME[name].iloc[rows].tolist()
    assume(not any(pd.isna(value) for value in values))
    allowed = ENCODER.condition(name, values)
    cells = decoded(name, allowed)
    assert cells.isin(values).all()
    if name in ("grid", "heaped"):
        assert set(cells) == set(values)
    single = decoded(name, ENCODER.condition(name, values[0]))
    assert (single == values[0]).all()


def test_lists_are_drawn_in_proportion() -> None:
    values = [100, 110, 2000]
    allowed = ENCODER.condition("heaped", values)
    code = next(code for code in ENCODER.columns if code.name == "heaped")
    rng = np.random.default_rng(0)
    weights = code.shares * allowed.share
    place = ENCODER.names.index("heaped")
    table = np.zeros((20_000, len(ENCODER.names)), dtype=np.int64)
    table[:, place] = rng.choice(code.size, 20_000, p=weights / weights.sum())
    drawn = ENCODER.decode(table, rng=rng, forced={"heaped": allowed})["heaped"].value_counts(normalize=True)
    real = FRAME["heaped"][FRAME["heaped"].isin(values)].value_counts(normalize=True)
    for value in values:
        assert drawn[value] == pytest.approx(real[value], abs=0.02)


def test_missing_cells_can_be_asked_for() -> None:
    for condition in (None, np.nan, [None]):
        assert decoded("float", ENCODER.condition("float", condition)).isna().all()
        assert decoded("word", ENCODER.condition("word", condition)).isna().all()
    either = decoded("word", ENCODER.condition("word", ["a", None]))
    assert set(either.dropna()) == {"a"}
    assert either.isna().any()
    with pytest.raises(ConditionError, match="'grid' has no value None"):
        ENCODER.condition("grid", None)
    with pytest.raises(ConditionError, match="'code' has no cell that is missing"):
        ENCODER.condition("code", None)


def test_sentinels_are_in_no_range_but_can_be_asked_for() -> None:
    assert (decoded("whole", ENCODER.condition("whole", (None, 100))) >= 0).all()
    assert (decoded("whole", ENCODER.condition("whole", -1)) == -1).all()


@pytest.mark.parametrize(
    ("name", "condition", "expected"),
    [
        ("word", "a", {"a"}),
        ("word", ["a", "b"], {"a", "b"}),
        ("code", 7, {7}),
        ("code", "7", {7}),
        ("code", 7.0, {7}),
        ("code", {1, 2}, {1, 2}),
        ("code", (2, None), {2, 7}),
        ("flag", True, {True}),
        ("flag", "false", {False}),
        ("level", "mid", {"mid"}),
        ("level", ("mid", None), {"mid", "hi"}),
        ("grid", "12", {12}),
        ("grid", (28, 99), {28, 29}),
        ("same", 4, {4}),
        ("same", (0, 10), {4}),
        ("zoned", pd.Timestamp("2020-03-05", tz="Europe/Paris"), {pd.Timestamp("2020-03-05", tz="Europe/Paris")}),
        ("zoned", "2020-03-05", {pd.Timestamp("2020-03-05", tz="Europe/Paris")}),
        ("date", datetime.date(2020, 3, 5), {datetime.date(2020, 3, 5)}),
        ("cents", "0", {0.0}),
    ],
)
def test_conditions_are_understood(name: str, condition: Any, expected: set[Any]) -> None:
    allowed = ENCODER.condition(name, condition)
    if name == "same":
        assert allowed.mask.tolist() == [True]
        return
    assert set(decoded(name, allowed)) == expected


@pytest.mark.parametrize(
    ("name", "condition", "message"),
    [
        ("wrod", "a", "unknown column 'wrod'; did you mean 'word'"),
        ("word", "aa", "unknown value 'aa'; did you mean 'a'"),
        ("word", ("a", "b"), "without an order"),
        ("many", "nowhere", "unknown value 'nowhere'"),
        ("grid", (200, 300), "no value between 200 and 300.*(?i:known range): 0 to 29; nearest value: 29"),
        ("grid", 12.5, "no value 12.5"),
        ("heaped", 15, "no value 15.*nearest value: (10|20)"),
        ("grid", (20, 10), "before it begins"),
        ("grid", (1, 2, 3), "tuple of 3"),
        ("grid", [], "empty list"),
        ("grid", "tall", "holds numbers, got 'tall'"),
        ("level", "top", "unknown category 'top'"),
        ("day", "soon", "holds dates, got 'soon'"),
        ("day", 3, "holds dates, got 3"),
        ("day", ("2031-01-01", None), "no value from 2031-01-01.*(?i:known range): 2020-01-01"),
        ("same", 5, "no value 5"),
        ("name", "A0001", "text identifier and is not modelled"),
    ],
)
def test_impossible_conditions_say_why(name: str, condition: Any, message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        ENCODER.condition(name, condition)


def test_rare_labels_are_forced() -> None:
    code = next(code for code in ENCODER.columns if code.name == "many")
    counts = FRAME["many"].value_counts()
    rare = counts.index[counts == counts.min()][:2].tolist()
    allowed = ENCODER.condition("many", rare)
    assert np.flatnonzero(allowed.mask).tolist() == [code.size - 1]
    assert set(decoded("many", allowed, per_symbol=200)) == set(rare)
    assert (code.shares * allowed.share).sum() == pytest.approx(counts[rare].sum() / N)
    mixed = ENCODER.condition("many", [rare[0], counts.index[0]])
    assert set(decoded("many", mixed)) == {rare[0], counts.index[0]}


def test_mask_and_intervals_agree_with_the_condition() -> None:
    mask, intervals = ENCODER.allowed("cents", (5, 20))
    full = ENCODER.condition("cents", (5, 20))
    np.testing.assert_array_equal(mask, full.mask)
    np.testing.assert_array_equal(intervals, np.stack([full.low, full.high], axis=1))
    assert (intervals.astype(np.float32) == intervals).all()


def test_positions_drawn_by_the_decoder_respect_the_interval() -> None:
    allowed = ENCODER.condition("float", (1.0, 1.5))
    rng = np.random.default_rng(0)
    table = np.zeros((500, len(ENCODER.names)), dtype=np.int64)
    table[:, ENCODER.names.index("float")] = rng.choice(np.flatnonzero(allowed.mask), 500)
    cells = ENCODER.decode(table, rng=rng, forced={"float": allowed})["float"]
    assert cells.between(1.0, 1.5).all()


def test_rare_labels_keep_their_proportions_without_conditions() -> None:
    drawn = free_draw("many", 30_000).value_counts(normalize=True)
    real = FRAME["many"].value_counts(normalize=True)
    assert 0.5 * drawn.sub(real, fill_value=0).abs().sum() < 0.06
