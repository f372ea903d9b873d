"""Cells as constraints compare them: places on a line (numbers, dates), or labels spelled in one way."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.errors import SchemaError
from synthkit.schema import Column, Label
from synthkit.schema_values import as_dates, as_numbers, iso

LineKind = Literal["number", "date"]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]
Bound = int | float | str
_MOST_SHOWN = 4
_NUMBER_DTYPE = re.compile(r"(u?int|float|double|halffloat)", re.IGNORECASE)


def line_kind(column: Column) -> LineKind | None:
    """Whether a column's cells are places on a line of numbers or dates; None for labels, identifiers and text."""
    if column.type in ("text", "identifier"):
        return None
    if column.type == "datetime" or column.dtype == "date" or column.dtype.startswith(("datetime64", "timestamp")):
        return "date"
    if column.is_numeric or _NUMBER_DTYPE.match(column.dtype):
        return "number"
    return None


def line_values(series: pd.Series[Any], column: Column | None = None) -> npt.NDArray[Any]:
    """Cells as places on a line.

    Parameters
    ----------
    series : pandas.Series of shape (n,)
        Numbers or dates, in any form that the column may have.
    column : Column, optional
        Its description, which knows sentinels, date formats and zones; inferred when absent.

    Returns
    -------
    ndarray of float64 or datetime64[ns], shape (n,)
        NaN or NaT where missing, and where a sentinel stands for something else. Dates are the time on the clock of the
        column's zone.
    """
    if column is None:
        column = described(series)
    if line_kind(column) == "date":
        return as_dates(series, column)
    values = as_numbers(series, column)
    if column.sentinels:
        values = np.where(np.isin(values, column.sentinels), np.nan, values)
    return values


def described(series: pd.Series[Any]) -> Column:
    """The description that inference would give a column by its cells alone, as numbers or dates where it can."""
    from synthkit.schema_inference import infer_column

    if series.dtype.kind in "iufb" or series.isna().all():
        return Column(name=str(series.name), type="continuous", dtype=str(series.dtype), nullable=True)
    return infer_column(series)


def place_on_line(value: Any, column: Column) -> Any:
    """A bound of a constraint as a value of `line_values`; ValueError where it is none."""
    if line_kind(column) == "date":
        if not isinstance(value, str | datetime.date | np.datetime64):
            raise ValueError(f"{value!r} is not a date")
        if isinstance(value, str) and column.text_format is not None:
            written = as_dates(pd.Series([value], dtype="object"), column)[0]
            if not np.isnat(written):
                return written
        stamp: Any = pd.Timestamp(value)
        if stamp is pd.NaT:
            raise ValueError(f"{value!r} is not a date")
        if stamp.tzinfo is not None:
            stamp = stamp.tz_convert(column.timezone or "UTC").tz_localize(None)
        return stamp.to_datetime64().astype("datetime64[ns]")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)


def missing_places(values: npt.NDArray[Any]) -> Bools:
    """Where `line_values` has no place."""
    return np.asarray(np.isnat(values) if values.dtype.kind == "M" else np.isnan(values), dtype=bool)


# ---------------------------------------------------------------------- labels
def plain_label(value: Any) -> Label:
    """A cell as YAML and JSON hold it: whole numbers without a point, dates as ISO text."""
    if isinstance(value, np.datetime64 | datetime.date):
        return iso(value)
    if isinstance(value, np.float32 | np.float16):
        value = float(str(value))  # 0.1, not 0.10000000149011612
    elif isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, decimal.Decimal):
        value = float(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, str | int | float | bool) else str(value)


def label_key(value: Any) -> str | None:
    """One spelling of a label: 1, 1.0 and "1" are the same; None for a missing cell."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NaT or value is pd.NA:
        return None
    return str(plain_label(value))


def labels_of(series: pd.Series[Any]) -> tuple[Codes, list[Label]]:
    """Code of each cell, -1 where missing, and the label of each code."""
    codes, found = pd.factorize(series, use_na_sentinel=True)
    return np.asarray(codes, dtype=np.int64), [plain_label(value) for value in found]


def key_positions(series: pd.Series[Any], position: dict[str | None, int]) -> Codes:
    """Position of each cell's spelling in a table of spellings (None for missing), -1 for cells that it lacks."""
    codes, labels = labels_of(series)
    table = [position.get(str(label), -1) for label in labels]
    return np.array([*table, position.get(None, -1)], dtype=np.int64)[codes]


def stable_hashes(series: pd.Series[Any]) -> npt.NDArray[np.uint64]:
    """64 bits for each cell that depend on its value alone, not on the dtype or the rest of the column.

    A batch of whole numbers in which a cell is missing has another dtype than one without.
    """
    if series.dtype.kind in "iuf" and isinstance(series.dtype, np.dtype):
        values = series.to_numpy()
        if values.dtype.kind == "f":
            wide = values.astype(np.float64)
            whole = (wide == np.rint(wide)) & (np.abs(wide) < 2.0**62)
            bits = np.where(whole, np.where(whole, wide, 0).astype(np.int64).view(np.uint64), wide.view(np.uint64))
        else:
            bits = values.astype(np.int64).view(np.uint64)
        return np.asarray(pd.util.hash_array(bits.astype(np.uint64)), dtype=np.uint64)
    codes, labels = labels_of(series)
    texts = np.array([str(label) for label in labels] + [""], dtype=object)
    hashes = np.asarray(pd.util.hash_array(texts, categorize=False), dtype=np.uint64)
    numbers = [place for place, label in enumerate(labels) if type(label) is int and abs(label) < 2**62]
    if numbers:
        whole = np.array([labels[place] for place in numbers], dtype=np.int64).view(np.uint64)
        hashes[numbers] = pd.util.hash_array(whole)
    return hashes[codes]


# ---------------------------------------------------------------------- tests of one cell
@dataclass(frozen=True, kw_only=True)
class CellTest:
    """What one cell has to be: between two bounds, or one of some values.

    Parameters
    ----------
    column : str
        The column.
    minimum, maximum : int, float or ISO text, optional
        A closed range of numbers or dates; a missing cell is in none.
    values : tuple of labels, optional
        Instead: the values allowed; None stands for a missing cell.
    """

    column: str
    minimum: Bound | None = None
    maximum: Bound | None = None
    values: tuple[Label | None, ...] | None = None

    def marks(self, series: pd.Series[Any], column: Column | None) -> Bools:
        """Whether each cell passes."""
        if self.values is not None:
            position: dict[str | None, int] = {label_key(value): 0 for value in self.values}
            return np.asarray(key_positions(series, position) == 0, dtype=bool)
        values = line_values(series, column)
        own = column or described(series)
        passed = ~missing_places(values)
        with np.errstate(invalid="ignore"):
            if self.minimum is not None:
                passed &= values >= place_on_line(self.minimum, own)
            if self.maximum is not None:
                passed &= values <= place_on_line(self.maximum, own)
        return np.asarray(passed, dtype=bool)

    def describe(self) -> str:
        """One line for people."""
        if self.values is not None:
            shown = ["missing" if value is None else str(value) for value in self.values]
            return f"{self.column} is {listed(shown, ' or ')}"
        if self.minimum is not None and self.maximum is not None:
            return f"{self.column} is between {self.minimum} and {self.maximum}"
        return f"{self.column} >= {self.minimum}" if self.minimum is not None else f"{self.column} <= {self.maximum}"

    def to_plain(self) -> Any:
        """The test as it stands in a schema, without its column."""
        if self.values is not None:
            return list(self.values)
        ends = {"minimum": self.minimum, "maximum": self.maximum}
        return {name: end for name, end in ends.items() if end is not None}


def cell_test(name: str, plain: Any) -> CellTest:
    """A test as it stands in a schema: a value, a list of values, or a mapping of minimum and maximum.

    Raises
    ------
    SchemaError
        It is none of these.
    """
    if isinstance(plain, Mapping):
        if not plain or not set(plain) <= {"minimum", "maximum"}:
            raise SchemaError(
                f"the condition on {name!r} is {dict(plain)!r}, expected a value, a list of values, or minimum "
                "and maximum"
            )
        return CellTest(column=name, **plain)
    values = tuple(plain) if isinstance(plain, list | tuple) else (plain,)
    if not values or not all(value is None or isinstance(value, str | int | float | bool) for value in values):
        raise SchemaError(f"the condition on {name!r} is {plain!r}, expected a value or a list of values")
    return CellTest(column=name, values=values)


def listed(names: Sequence[str], word: str) -> str:
    """Names in a sentence; of many only the first."""
    shown = list(names[:_MOST_SHOWN]) if len(names) > _MOST_SHOWN + 1 else list(names)
    if len(shown) < len(names):
        return f"{', '.join(shown)} and {len(names) - len(shown)} more"
    return word.join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
