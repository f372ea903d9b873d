"""Between a column as the table has it and the plain numbers, dates or labels that it stands for, both ways.

`as_numbers` and `from_numbers` are inverse up to the precision of a float, `as_dates` and `from_dates` up to the
nanosecond; the dtype of the way back is that of the schema.
"""

from __future__ import annotations

import datetime
import decimal
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit import schema_dates
from synthkit.schema import Column

Floats = npt.NDArray[np.float64]
_ENDLESS_EXPONENT = re.compile(r"[eE][+-]?\d{7}")
Dates = npt.NDArray[np.datetime64]


def as_numbers(series: pd.Series[Any], column: Column) -> Floats:
    """The values of a numeric column.

    Parameters
    ----------
    series : pandas.Series of shape (n,)
        Any dtype that holds numbers: numpy, nullable, Arrow, or objects (Decimal, text such as "12.5").
    column : Column

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where missing.
    """
    if series.dtype == object or isinstance(series.dtype, pd.CategoricalDtype | pd.StringDtype):
        return parse_numbers(series.astype(object))
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def parse_numbers(cells: pd.Series[Any]) -> Floats:
    """Numbers of cells that may be text; NaN where a cell is not a number or is missing.

    Text such as "1e3000000000", which a column of hexadecimal codes may well hold, is kept from `pandas.to_numeric`: an
    exponent beyond 32 bits ends the whole process there.
    """
    endless = cells.map(lambda cell: isinstance(cell, str) and _ENDLESS_EXPONENT.search(cell) is not None).astype(bool)
    numbers = pd.to_numeric(cells.mask(endless) if endless.any() else cells, errors="coerce")
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def from_numbers(values: npt.ArrayLike, column: Column) -> pd.Series[Any]:
    """Numbers in the dtype of the schema's column; the inverse of `as_numbers`.

    Parameters
    ----------
    values : array-like of float, shape (n,)
        NaN where missing. Values of integer columns are rounded, those of continuous columns to their decimals.
    column : Column

    Returns
    -------
    pandas.Series of shape (n,), named like the column
    """
    numbers = np.asarray(values, dtype=np.float64)
    if column.type == "integer":
        numbers = np.rint(numbers)
    elif column.decimals is not None:
        numbers = np.round(numbers, column.decimals)
    missing = np.isnan(numbers)
    out: pd.Series[Any]
    if column.dtype == "number":
        plain: list[Any] = [
            int(value) if column.type == "integer" else value for value in np.nan_to_num(numbers).tolist()
        ]
        out = pd.Series(plain, dtype="object").mask(missing, None)
    elif column.dtype in ("object", "string", "decimal"):
        out = pd.Series([None if gap else text for text, gap in zip(_texts(numbers, column), missing, strict=True)])
        if column.dtype == "decimal":
            out = out.map(decimal.Decimal, na_action="ignore")
        out = out.astype("string" if column.dtype == "string" else "object")
    else:
        dtype = _dtype(column)
        if isinstance(dtype, np.dtype):
            out = pd.Series(numbers).astype(dtype)
        else:
            out = pd.Series(pd.array(numbers, dtype="Float64")).astype(dtype)
    return out.rename(column.name)


def _texts(numbers: Floats, column: Column) -> list[str]:
    """Numbers as text: whole ones without a point, others with the column's decimals."""
    if column.type == "integer":
        return [str(int(value)) for value in np.nan_to_num(numbers)]
    if column.decimals is None:
        return [repr(value) for value in numbers.tolist()]
    return [f"{value:.{column.decimals}f}" for value in numbers.tolist()]


def as_dates(series: pd.Series[Any], column: Column) -> Dates:
    """The values of a date or time column, as the time on the clock of the column's zone.

    Parameters
    ----------
    series : pandas.Series of shape (n,)
        datetime64 with or without zone, objects (date, datetime), or text in the column's `text_format`.
    column : Column

    Returns
    -------
    ndarray of datetime64[ns], shape (n,)
        NaT where missing, or where text does not fit the format.
    """
    if column.text_format is not None:
        return schema_dates.parse(series.astype(object), column.text_format)
    dates = series
    if series.dtype == object or isinstance(series.dtype, pd.ArrowDtype):
        # Objects are dates already; the format is for text among them, which would otherwise be guessed at.
        zoned = column.timezone is not None
        dates = pd.to_datetime(series.astype(object), errors="coerce", utc=zoned, format="ISO8601")
        if column.timezone is not None:
            dates = dates.dt.tz_convert(column.timezone)
    if isinstance(dates.dtype, pd.DatetimeTZDtype):
        dates = dates.dt.tz_localize(None)
    return dates.to_numpy(dtype="datetime64[ns]")


def from_dates(values: npt.ArrayLike, column: Column) -> pd.Series[Any]:
    """Dates in the dtype, zone or text format of the schema's column; the inverse of `as_dates`.

    Parameters
    ----------
    values : array-like of datetime64, shape (n,)
        NaT where missing. A time that the clocks of the zone skip is moved forward; one they repeat is the first of
        the two.
    column : Column

    Returns
    -------
    pandas.Series of shape (n,), named like the column
    """
    dates = pd.Series(np.asarray(values, dtype="datetime64[ns]"))
    if column.text_format is not None:
        texts = pd.Series(schema_dates.write(dates.to_numpy(), column.text_format), dtype="object")
        out = texts if column.dtype == "object" else texts.astype(_dtype(column))
    elif column.dtype == "date":
        out = dates.dt.date.astype(object).where(dates.notna(), None)
    elif column.timezone is not None:
        first = np.ones(len(dates), dtype=bool)
        zoned = dates.dt.tz_localize(column.timezone, ambiguous=first, nonexistent="shift_forward")
        out = zoned.astype(_dtype(column))
    else:
        out = dates.astype(_dtype(column))
    return out.rename(column.name)


def _dtype(column: Column) -> Any:
    """The column's dtype; Any, because the stubs of pandas know dtypes only by literal names."""
    return pd.api.types.pandas_dtype(column.dtype)


def iso(value: Any) -> str:
    """ISO text of a date or time, as in `Column.minimum`; midnight is left out."""
    stamp = pd.Timestamp(value)
    return stamp.date().isoformat() if stamp == stamp.normalize() else stamp.isoformat()


def is_plain_date(value: object) -> bool:
    """Whether a value is a date without a time of day."""
    return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
