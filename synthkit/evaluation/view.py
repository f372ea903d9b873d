"""One view of a table for every score: numbers as they are, everything else as codes of its text.

The view is fitted on the real training rows and then applied to any table with the same columns, so that real,
held-out and synthetic rows always mean the same thing. Missing values of a category are a category; missing numbers
stay missing for trees and become the mean for distances and linear models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.errors import DataError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

# A text column in which nearly every row differs is a name or a free text: its values are not repeated by any honest
# generator.
_DISTINCT_SHARE = 0.9
_DISTINCT_ROWS = 100
# Columns with more categories than this give an indicator to the most frequent ones only, so that memory stays bounded.
MOST_INDICATORS = 1000
# A numeric target with more distinct held-out values than this is predicted as a number.
_MOST_CLASSES = 20


def is_number(series: pd.Series) -> bool:
    """Tell whether a column is scored as a number: numeric or a date, with more than two distinct values."""
    kind = series.dtype
    ordered = pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind)
    return bool(ordered and series.nunique() > 2)


def is_unscored_text(series: pd.Series) -> bool:
    """Tell whether a column holds names or free text, which have no distribution to compare."""
    if pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_datetime64_any_dtype(series.dtype):
        return False
    present = series.dropna()
    return len(present) >= _DISTINCT_ROWS and present.astype(str).nunique() > _DISTINCT_SHARE * len(present)


@dataclass(frozen=True)
class CodedTable:
    """A table as arrays.

    Attributes
    ----------
    numbers
        Float array [rows, numeric columns], NaN where missing.
    codes
        Integer array [rows, categorical columns]. Codes of labels that the real table lacks follow those that it has.
    """

    numbers: Floats
    codes: Codes

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.numbers)

    def take(self, rows: npt.NDArray[np.int64]) -> CodedTable:
        """Return the given rows."""
        return CodedTable(self.numbers[rows], self.codes[rows])

    def above(self, other: CodedTable) -> CodedTable:
        """Return these rows, then those of another table with the same columns."""
        return CodedTable(np.vstack([self.numbers, other.numbers]), np.vstack([self.codes, other.codes]))


class TableView:
    """How the columns of a table are read, learned from the real training rows.

    Parameters
    ----------
    real
        The real training rows; decides which columns are numbers, the labels of the others, means and standard
        deviations.
    """

    def __init__(self, real: pd.DataFrame) -> None:
        self.numeric = tuple(str(name) for name in real.columns if is_number(real[name]))
        self.categorical = tuple(str(name) for name in real.columns if name not in self.numeric)
        self._dates = frozenset(name for name in self.numeric if pd.api.types.is_datetime64_any_dtype(real[name].dtype))
        self._kinds = {name: real[name].dtype for name in self.categorical}
        self._missing = {name: _missing_label(real[name]) for name in self.categorical}
        self.labels: dict[str, dict[str, int]] = {}
        indicators = []
        for name in self.categorical:
            texts, positions = _texts(real[name], self._kinds[name], self._missing[name])
            found = sorted(set(texts))
            self.labels[name] = {label: code for code, label in enumerate(found)}
            indicators.append(self._frequent(name, texts, positions))
        self._indicators = indicators
        numbers = self._numbers(real)
        self.means = np.array([_mean(column) for column in numbers.T])
        deviations = np.array([_deviation(column) for column in numbers.T])
        self.deviations = np.where(deviations == 0, 1.0, deviations)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, numbers first."""
        return (*self.numeric, *self.categorical)

    @property
    def n_labels(self) -> list[int]:
        """The number of labels of each categorical column in the real table."""
        return [len(self.labels[name]) for name in self.categorical]

    def code(self, frame: pd.DataFrame) -> CodedTable:
        """Read a table with the same columns, in any order.

        Parameters
        ----------
        frame
            The table; values that are no number in a numeric column count as missing.

        Raises
        ------
        DataError
            If a number is infinite.
        """
        codes = np.empty((len(frame), len(self.categorical)), dtype=np.int64)
        for position, name in enumerate(self.categorical):
            texts, rows = _texts(frame[name], self._kinds[name], self._missing[name])
            known = self.labels[name]
            table = dict(known)
            for text in texts:
                table.setdefault(text, len(table))
            codes[:, position] = np.array([table[text] for text in texts], dtype=np.int64)[rows]
        return CodedTable(self._numbers(frame), codes)

    def tree(self, table: CodedTable, *, without: str | None = None) -> Floats:
        """Return the ordinal view for tree models: numbers, then codes with -1 for a label that the real table lacks.

        Parameters
        ----------
        table
            The coded rows.
        without
            A column to leave out, such as the target.
        """
        sizes = np.array(self.n_labels, dtype=np.int64)
        codes = np.where(table.codes < sizes, table.codes, -1)
        kept_numbers = [position for position, name in enumerate(self.numeric) if name != without]
        kept_codes = [position for position, name in enumerate(self.categorical) if name != without]
        return np.hstack([table.numbers[:, kept_numbers], codes[:, kept_codes].astype(np.float64)])

    def linear(self, table: CodedTable) -> npt.NDArray[np.float32]:
        """Return the view for linear models and distances: standardised numbers, then one indicator per label.

        A missing number becomes the mean, that is 0. A label that the real table lacks has no indicator.
        """
        sizes = [int(place.max(initial=-1)) + 1 for place in self._indicators]
        start = len(self.numeric)
        # Filled in place: tables with thousands of labels are large enough once.
        linear = np.zeros((len(table), start + sum(sizes)), dtype=np.float32)
        linear[:, :start] = np.nan_to_num((table.numbers - self.means) / self.deviations, nan=0.0)
        rows = np.arange(len(table))
        for codes, place, size in zip(table.codes.T, self._indicators, sizes, strict=True):
            where = np.where(codes < len(place), place[np.minimum(codes, len(place) - 1)], -1)
            seen = where >= 0
            linear[rows[seen], start + where[seen]] = 1
            start += size
        return linear

    def target(self, frame: pd.DataFrame, name: str) -> npt.NDArray[np.float64] | npt.NDArray[np.object_]:
        """Return the values of a column as a model would learn them: numbers as numbers, anything else as text."""
        if name in self.numeric:
            return _as_numbers(frame[name], name, name in self._dates)
        texts, rows = _texts(frame[name], self._kinds[name], self._missing[name])
        return np.array(texts, dtype=object)[rows]

    def _numbers(self, frame: pd.DataFrame) -> Floats:
        columns = [_as_numbers(frame[name], name, name in self._dates) for name in self.numeric]
        return np.column_stack(columns) if columns else np.empty((len(frame), 0))

    def _frequent(self, name: str, texts: list[str], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the indicator of each label of a column, -1 for labels too rare to have one."""
        known = self.labels[name]
        if len(known) <= MOST_INDICATORS:
            return np.arange(len(known))
        counts = np.bincount(np.array([known[text] for text in texts])[rows], minlength=len(known))
        kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_INDICATORS])
        place = np.full(len(known), -1, dtype=np.int64)
        place[kept] = np.arange(len(kept))
        return place


def is_regression(view: TableView, test: pd.DataFrame, target: str) -> bool:
    """Tell whether the target is predicted as a number rather than as a class."""
    return bool(target in view.numeric and test[target].nunique() > _MOST_CLASSES)


def _as_numbers(series: pd.Series, name: str, date: bool) -> Floats:
    """Return a column as floats, NaN where it holds no number; a date becomes nanoseconds since 1970 in UTC."""
    if date:
        moments = pd.to_datetime(series, errors="coerce", utc=True)
        stamps = moments.dt.tz_localize(None).to_numpy("datetime64[ns]")
        return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64).astype(np.float64))
    values = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(
            f"column {name!r} has an infinite value in row {row + 1}",
            remedy="Replace infinite values by missing ones.",
        )
    return values


def _texts(series: pd.Series, kind: Any, missing: str) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the distinct values of a column as texts, and for each row the position of its text.

    A column that is numeric in the real table is read as that type first, so that 1 and 1.0 are the same label.
    """
    if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_integer_dtype(kind):
        series = _whole(series, boolean=bool(pd.api.types.is_bool_dtype(kind)))
    elif pd.api.types.is_float_dtype(kind) and pd.api.types.is_numeric_dtype(series.dtype):
        series = pd.Series(series.to_numpy(dtype=np.float64, na_value=np.nan), index=series.index)
    positions, found = pd.factorize(series, use_na_sentinel=True)
    texts = [str(value) for value in found]
    rows = np.asarray(positions, dtype=np.int64)
    if (rows < 0).any():
        rows = np.where(rows < 0, len(texts), rows)
        texts.append(missing)
    return texts, rows


def _whole(series: pd.Series, *, boolean: bool) -> pd.Series:
    """Return whole numbers that are stored as floats as integers, so that their text is that of the real column."""
    if not pd.api.types.is_numeric_dtype(series.dtype):
        return series
    if pd.api.types.is_bool_dtype(series.dtype) == boolean and not pd.api.types.is_float_dtype(series.dtype):
        return series
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    present = values[~np.isnan(values)]
    if np.isinf(present).any() or (present != np.round(present)).any():
        return series
    if boolean:
        if not np.isin(present, (0, 1)).all():
            return series
        return pd.Series(values, index=series.index).map({0.0: False, 1.0: True})
    return pd.Series(values, index=series.index).astype("Int64")


def _missing_label(series: pd.Series) -> str:
    """Return the text of a missing value as the column itself would print it."""
    missing = series.isna()
    return str(series[missing].iloc[0]) if missing.any() else "nan"


def _mean(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else 0.0


def _deviation(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return float(present.std(ddof=1)) if len(present) > 1 else 1.0
