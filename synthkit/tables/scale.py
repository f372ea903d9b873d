"""Cells of a column as numbers on a line, and numbers as cells again.

Whole numbers, decimals, dates and ordered categories all have a grid of their own. On it a value is an `int64` tick
(cents, days, rank of the category), so comparing, counting and rounding are exact. Only numbers of full precision stay
`float64`.
"""

from __future__ import annotations

import datetime
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from synthkit.errors import ConditionError, DataError, SchemaError, unknown_name
from synthkit.schema import Column
from synthkit.schema_values import as_dates, as_numbers, from_dates, from_numbers
from synthkit.tables.cells import Bools, Integers, Numbers, cells_from, codes_of

_EXACT = 2**53
_LARGEST_TICK = 2**62
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
    "D": 86400 * 10**9,
}


class NumberScale:
    """The line on which the values of one column lie.

    Parameters
    ----------
    column
        Description of the column; its type, dtype, decimals, granularity, time zone and categories are used.

    Attributes
    ----------
    kind : str
        "rank" (ordered categories), "date", "tick" (whole numbers and decimals) or "float".
    integral : bool
        Whether numbers are `int64` ticks (else `float64` values).
    """

    def __init__(self, column: Column) -> None:
        self.column = column
        self.kind = _kind(column)
        self.integral = self.kind != "float"
        self._labels: list[Any] = list(column.categories or ()) if self.kind == "rank" else []
        self.decimals = 0
        if self.kind == "tick" and column.type not in ("integer", "identifier"):
            self.decimals = column.decimals or 0
        granularity = column.granularity or ("D" if column.dtype == "date" else "ns")
        self.granule = _NANOSECONDS[granularity]

    @property
    def dtype(self) -> Any:
        """Numpy dtype of the numbers."""
        return np.dtype(np.int64) if self.integral else np.dtype(np.float64)

    # ------------------------------------------------------------------ whole columns
    def numbers(self, series: pd.Series[Any]) -> tuple[Numbers, Bools]:
        """Numbers of a column and where its cells are missing (there the number is 0).

        Raises
        ------
        DataError
            A cell is not a number, not a date, infinite or not a declared category.
        """
        missing = np.asarray(series.isna(), dtype=bool)
        if self.kind == "rank":
            return self._ranks(series, missing), missing
        if self.kind == "date":
            dates = as_dates(series, self.column)
            self._reject(series, np.isnat(dates) & ~missing, "dates", "override its type to categorical")
            return np.where(missing, 0, dates.astype(np.int64) // self.granule), missing
        if self.kind == "tick" and self.decimals == 0 and pd.api.types.is_integer_dtype(series.dtype):
            if str(series.dtype).lower().startswith("uint64"):
                too_large = series.fillna(0).to_numpy(dtype=np.uint64) > np.uint64(2**63 - 1)
                self._reject(series, too_large, "whole numbers below 2^63", "override its type to categorical")
            if isinstance(series.dtype, np.dtype):
                return series.to_numpy().astype(np.int64), missing
            return series.fillna(0).to_numpy(dtype=np.int64), missing
        values = np.where(missing, 0.0, as_numbers(series, self.column))
        self._reject(series, np.isnan(values), "numbers", "override its type to categorical")
        self._reject(series, np.isinf(values), "finite numbers", "make these cells missing")
        if self.kind == "float":
            return values + 0.0, missing  # adding zero turns -0.0 into 0.0: one value, one spelling
        scaled = np.rint(values * 10.0**self.decimals)
        self._reject(series, np.abs(scaled) > _LARGEST_TICK, "numbers within 64 bits", "override its decimals to null")
        return scaled.astype(np.int64), missing

    def _reject(self, series: pd.Series[Any], wrong: Bools, expected: str, remedy: str) -> None:
        rows = np.flatnonzero(wrong)
        if rows.size:
            cells = [(row, series.iloc[row]) for row in rows[:3].tolist()]
            plain = [(row, cell.item() if isinstance(cell, np.generic) else cell) for row, cell in cells]
            found = ", ".join(f"{cell!r} in row {row}" for row, cell in plain)
            raise DataError(f"column {self.column.name!r}: expected {expected}, got {found}", remedy=remedy)

    def _ranks(self, series: pd.Series[Any], missing: Bools) -> Integers:
        codes, uniques = codes_of(series)
        rank = {label: position for position, label in enumerate(self._labels)}
        by_text = {str(label): position for position, label in enumerate(self._labels)}
        table = np.array([rank.get(value, by_text.get(str(value), -1)) for value in uniques] + [0], dtype=np.int64)
        ranks = np.asarray(table[codes], dtype=np.int64)
        self._reject(
            series, (ranks < 0) & ~missing, "one of the categories of the schema", "add it to the categories in order"
        )
        return ranks

    def cells(self, numbers: Numbers, missing: Bools) -> pd.Series[Any]:
        """Inverse of `numbers`, in the dtype of the column."""
        column = self.column
        if self.kind == "rank":
            codes = np.where(missing, -1, numbers)
            return cells_from(self._labels, codes, column.dtype, self._labels, column.ordered)
        if self.kind == "date":
            dates = (numbers * self.granule).astype("datetime64[ns]")
            dates[missing] = np.datetime64("NaT")
            return from_dates(dates, column)
        if column.dtype.startswith(("int", "uint")) and "[" not in column.dtype and not missing.any():
            return pd.Series(numbers.astype(column.dtype), name=column.name)
        if column.dtype in ("Int64", "UInt64"):
            # Through float64 whole numbers beyond 2^53 would change.
            return pd.Series(pd.arrays.IntegerArray(numbers.astype(column.dtype.lower()), missing.copy()))
        values = np.where(missing, np.nan, numbers / 10.0**self.decimals if self.decimals else numbers)
        if missing.any() and column.dtype.startswith(("int", "uint", "bool")) and "[" not in column.dtype:
            return pd.Series(values, name=column.name)
        return from_numbers(values, column)

    # ------------------------------------------------------------------ one value of a condition
    def bounds(self, low: Any, high: Any) -> tuple[Any, Any]:
        """Smallest and largest number on the grid within the closed range [low, high]; None leaves an end open.

        Raises
        ------
        ConditionError
            An end is not a value of this kind of column.
        """
        return self._bound(low, up=True), self._bound(high, up=False)

    def _bound(self, value: Any, *, up: bool) -> Any:
        if value is None:
            return None
        if self.kind == "rank":
            return self._rank_of(value)
        if self.kind == "date":
            return self._date_bound(value, up=up)
        name = self.column.name
        if isinstance(value, np.generic):
            value = value.item()
        try:
            number = value if isinstance(value, int) and not isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            raise ConditionError(
                f"column {name!r} holds numbers, got {value!r} in its condition",
                remedy="give a number, or a range of two numbers",
            ) from None
        if isinstance(number, float) and math.isnan(number):
            raise ConditionError(f"the condition on column {name!r} has an end that is not a number")
        if isinstance(number, float) and math.isinf(number):
            return None if (number < 0) == up else (_LARGEST_TICK if up else -_LARGEST_TICK)
        if self.kind == "float":
            return float(number)
        exact = Fraction(number) * 10**self.decimals
        tick = max(-_LARGEST_TICK, min(_LARGEST_TICK, math.ceil(exact) if up else math.floor(exact)))
        # The cell is the float nearest to the decimal: 0.1 as a cell is not below the condition 0.1, whatever the exact
        # values.
        step = 1 if up else -1
        if self.decimals and step * self._value(tick - step) >= step * number:
            return tick - step
        return tick + step if self.decimals and step * self._value(tick) < step * number else tick

    def _value(self, tick: int) -> float:
        """The cell of a tick as a number, as it leaves the toolkit."""
        value = tick / 10.0**self.decimals
        return float(np.float32(value)) if self.column.dtype.lower() == "float32" else value

    def _rank_of(self, value: Any) -> int:
        for position, label in enumerate(self._labels):
            if label == value or str(label) == str(value):
                return position
        known = [str(label) for label in self._labels]
        raise ConditionError(f"column {self.column.name!r}: {unknown_name('category', str(value), known)}")

    def _date_bound(self, value: Any, *, up: bool) -> int:
        name, zone = self.column.name, self.column.timezone
        try:
            if isinstance(value, bool) or not isinstance(value, str | datetime.date | np.datetime64):
                raise TypeError("not a date")
            moment = self._moment(value)
        except (TypeError, ValueError):
            raise ConditionError(
                f"column {name!r} holds dates, got {value!r} in its condition",
                remedy="write dates as YYYY-MM-DD or YYYY-MM-DD HH:MM",
            ) from None
        if moment is pd.NaT:
            raise ConditionError(f"the condition on column {name!r} has an end that is not a date")
        if moment.tzinfo is not None:
            moment = moment.tz_convert(zone if zone is not None else "UTC").tz_localize(None)
        stamp = moment.to_datetime64()
        unit = np.datetime_data(stamp.dtype)[0]
        nanoseconds = int(stamp.astype(np.int64)) * _NANOSECONDS[unit]
        return -(-nanoseconds // self.granule) if up else nanoseconds // self.granule

    def _moment(self, value: Any) -> Any:
        if isinstance(value, str) and self.column.text_format is not None:
            parsed = as_dates(pd.Series([value], dtype="object"), self.column)[0]
            if not np.isnat(parsed):
                return pd.Timestamp(parsed)
        return pd.Timestamp(value)

    def describe(self, number: Any) -> str:
        """One number as text for a message."""
        cell = self.cells(np.array([number], dtype=self.dtype), np.zeros(1, dtype=bool)).iloc[0]
        return str(cell)


def _kind(column: Column) -> str:
    if column.type == "ordinal":
        if not column.categories:
            raise SchemaError(f"column {column.name!r} is ordinal but lists no categories", remedy="list them in order")
        return "rank"
    if column.type == "datetime" or column.dtype == "date" or column.dtype.startswith("datetime64"):
        return "date"
    if column.type in ("integer", "identifier") or column.dtype.lower().startswith(("int", "uint", "bool")):
        return "tick"
    return "tick" if _ticks_are_exact(column) else "float"


def _ticks_are_exact(column: Column) -> bool:
    """Whether numbers with this many decimals, as whole numbers of the last one, are exact in float64."""
    if column.decimals is None or column.decimals > 15:
        return False
    bounds = [column.minimum, column.maximum, *column.sentinels]
    largest = max((abs(float(bound)) for bound in bounds if isinstance(bound, int | float)), default=0.0)
    return largest * 10.0**column.decimals < _EXACT
