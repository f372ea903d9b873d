"""What the encoder needs to know of each column, as sums over records: mergeable across chunks and machines.

Numbers are summarised by their distinct values with counts, labels by their counts. While a column stays under the cap
the summary is exact, and merging the summaries of two chunks gives the summary of both together, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from synthkit.errors import DataError, SchemaError, unknown_name
from synthkit.schema import Column, Schema
from synthkit.tables.cells import Bools, Integers, Numbers, codes_of
from synthkit.tables.scale import NumberScale

MAX_DISTINCT_NUMBERS = 131_072
MAX_DISTINCT_LABELS = 2_000_000


@dataclass(frozen=True, eq=False)
class NumberStatistics:
    """Distinct numbers of a column with their counts.

    Parameters
    ----------
    values : ndarray [n_values]
        Ascending, on the scale of the column (`NumberScale`).
    counts : ndarray of int64 [n_values]
        Rows of each value. Beyond the cap, rows of the value and of those merged into it.
    missing : int
        Rows without a value.
    distinct : int
        Number of distinct values seen; an upper bound once values have been merged.
    blank_is_none : bool
        Whether missing cells are None rather than NaN (dtype "object").
    """

    values: Numbers
    counts: Integers
    missing: int
    distinct: int
    blank_is_none: bool = False

    @property
    def rows(self) -> int:
        """Number of rows counted."""
        return int(self.counts.sum()) + self.missing

    def merge(self, other: NumberStatistics, *, cap: int = MAX_DISTINCT_NUMBERS) -> NumberStatistics:
        """Statistics of the rows of both."""
        values, inverse = np.unique(np.concatenate([self.values, other.values]), return_inverse=True)
        counts = np.zeros(len(values), dtype=np.int64)
        np.add.at(counts, inverse, np.concatenate([self.counts, other.counts]))
        shared = len(self.values) + len(other.values) - len(values)
        distinct = self.distinct + other.distinct - shared
        none = self.blank_is_none or other.blank_is_none
        return compress(NumberStatistics(values, counts, self.missing + other.missing, distinct, none), cap)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, NumberStatistics)
            and np.array_equal(self.values, other.values)
            and np.array_equal(self.counts, other.counts)
            and (self.missing, self.distinct, self.blank_is_none)
            == (other.missing, other.distinct, other.blank_is_none)
        )


@dataclass(frozen=True, eq=False)
class LabelStatistics:
    """Labels of a column with their counts.

    Parameters
    ----------
    labels : list
        Most frequent first, equal counts in ascending order.
    counts : ndarray of int64 [n_labels]
        Rows of each label.
    missing : int
        Rows without a value.
    declared : list, optional
        All categories of dtype "category", in order.
    declared_dtype : str, optional
        The dtype of those categories.
    blank_is_none : bool
        Whether missing cells are None rather than NaN (dtype "object").
    """

    labels: list[Any]
    counts: Integers
    missing: int
    declared: list[Any] | None = None
    declared_dtype: str | None = None
    blank_is_none: bool = False

    @property
    def rows(self) -> int:
        """Number of rows counted."""
        return int(self.counts.sum()) + self.missing

    def merge(self, other: LabelStatistics) -> LabelStatistics:
        """Statistics of the rows of both."""
        left, right = _same_kind(self.labels, other.labels)
        declared, declared_dtype = self.declared, self.declared_dtype or other.declared_dtype
        if other.declared is not None and other.declared != declared:
            declared = list(dict.fromkeys([*(declared or []), *other.declared]))
        if not right or not left:
            labels, counts = left or right, np.concatenate([self.counts, other.counts])
        else:
            together = np.empty(len(left) + len(right), dtype=object)
            together[:] = [*left, *right]
            codes, uniques = pd.factorize(together)
            counts = np.zeros(len(uniques), dtype=np.int64)
            np.add.at(counts, codes, np.concatenate([self.counts, other.counts]))
            labels = list(uniques)
        none = self.blank_is_none or other.blank_is_none
        missing = self.missing + other.missing
        return _by_frequency(LabelStatistics(labels, counts, missing, declared, declared_dtype, none))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LabelStatistics)
            and self.labels == other.labels
            and [type(label) for label in self.labels] == [type(label) for label in other.labels]
            and np.array_equal(self.counts, other.counts)
            and (self.missing, self.declared, self.declared_dtype, self.blank_is_none)
            == (other.missing, other.declared, other.declared_dtype, other.blank_is_none)
        )


@dataclass(frozen=True)
class IdentifierStatistics:
    """Number of rows with and without a value; the values themselves are not kept."""

    present: int
    missing: int

    @property
    def rows(self) -> int:
        """Number of rows counted."""
        return self.present + self.missing

    def merge(self, other: IdentifierStatistics) -> IdentifierStatistics:
        """Statistics of the rows of both."""
        return IdentifierStatistics(self.present + other.present, self.missing + other.missing)


ColumnStatistics = NumberStatistics | LabelStatistics | IdentifierStatistics


@dataclass(frozen=True)
class TableStatistics:
    """Statistics of all columns of a table that are kept, by name.

    Parameters
    ----------
    columns : dict of str to ColumnStatistics
        In the order of the schema; columns of type text are left out.
    rows : int
        Number of rows counted.
    """

    columns: dict[str, ColumnStatistics]
    rows: int

    def merge(self, other: TableStatistics) -> TableStatistics:
        """Statistics of the rows of both.

        Raises
        ------
        SchemaError
            The two describe different columns.
        """
        if list(self.columns) != list(other.columns):
            raise SchemaError("statistics of tables with different columns cannot be merged")
        merged: dict[str, ColumnStatistics] = {}
        for name, mine in self.columns.items():
            theirs = other.columns[name]
            if isinstance(mine, NumberStatistics) and isinstance(theirs, NumberStatistics):
                merged[name] = mine.merge(theirs)
            elif isinstance(mine, LabelStatistics) and isinstance(theirs, LabelStatistics):
                merged[name] = mine.merge(theirs)
            elif isinstance(mine, IdentifierStatistics) and isinstance(theirs, IdentifierStatistics):
                merged[name] = mine.merge(theirs)
            else:
                raise SchemaError(f"column {name!r} has statistics of two different kinds, expected one")
        return TableStatistics(merged, self.rows + other.rows)

    @staticmethod
    def merged(parts: Iterable[TableStatistics]) -> TableStatistics:
        """Statistics of all parts together.

        Raises
        ------
        DataError
            There is no part.
        """
        listed = list(parts)
        if not listed:
            raise DataError("there are no statistics to merge, expected those of at least one chunk")
        return reduce(TableStatistics.merge, listed)


def table_statistics(frame: pd.DataFrame, schema: Schema) -> TableStatistics:
    """Count a table, or a chunk of one.

    Parameters
    ----------
    frame
        Rows of the table; columns that the schema does not name are ignored.
    schema
        What the columns are.

    Raises
    ------
    SchemaError
        A column of the schema is not in the frame.
    DataError
        Cells that do not fit the column, or more than two million distinct labels.
    """
    known = [str(name) for name in frame.columns]
    columns: dict[str, ColumnStatistics] = {}
    for column in schema.columns:
        if column.name not in frame:
            raise SchemaError(unknown_name("column", column.name, known), remedy="give the table of this schema")
        if column.type != "text":
            columns[column.name] = column_statistics(frame[column.name], column)
    return TableStatistics(columns, len(frame))


def column_statistics(series: pd.Series[Any], column: Column) -> ColumnStatistics:
    """Count one column; the kind of statistics follows from its type (`is_number`, `is_generated`)."""
    if is_generated(column):
        missing = int(series.isna().sum())
        return IdentifierStatistics(len(series) - missing, missing)
    if is_number(column):
        return number_statistics(series, column)
    return label_statistics(series, column)


def is_number(column: Column) -> bool:
    """Whether the values of a column lie on a line: numbers, dates, ordered categories."""
    if column.type == "constant":
        return column.dtype == "date" or column.dtype.lower().startswith(("int", "uint", "float", "datetime64"))
    return column.type in ("continuous", "integer", "ordinal", "datetime", "identifier")


def is_generated(column: Column) -> bool:
    """Whether the column is an identifier that is text: new ones are generated from a template."""
    is_number = column.dtype.lower().startswith(("int", "uint", "float", "double", "halffloat"))
    return column.type == "identifier" and not is_number


def number_statistics(series: pd.Series[Any], column: Column, *, cap: int = MAX_DISTINCT_NUMBERS) -> NumberStatistics:
    """Distinct numbers of a column and their counts."""
    numbers, missing = NumberScale(column).numbers(series)
    values, counts = np.unique(numbers[~missing], return_counts=True)
    rows = int(missing.sum())
    none = blank_is_none(series, missing)
    return compress(NumberStatistics(values, counts.astype(np.int64), rows, len(values), none), cap)


def blank_is_none(series: pd.Series[Any], missing: Bools) -> bool:
    """Whether the first missing cell of a column of objects is None."""
    return bool(series.dtype == object and missing.any()) and series.iloc[int(missing.argmax())] is None


def label_statistics(series: pd.Series[Any], column: Column) -> LabelStatistics:
    """Labels of a column and their counts."""
    codes, uniques = codes_of(series)
    tally = np.bincount(codes + 1, minlength=len(uniques) + 1).astype(np.int64)
    declared: list[Any] | None = None
    declared_dtype: str | None = None
    labels, counts = uniques, tally[1:]
    if isinstance(series.dtype, pd.CategoricalDtype):
        declared, declared_dtype = list(uniques), str(series.cat.categories.dtype)
        seen = np.flatnonzero(counts)
        labels, counts = [uniques[position] for position in seen], counts[seen]
    none = blank_is_none(series, codes < 0)
    counted = LabelStatistics(labels, counts, int(tally[0]), declared, declared_dtype, none)
    return _by_frequency(counted, f"column {column.name!r}")


def _by_frequency(statistics: LabelStatistics, where: str = "a column") -> LabelStatistics:
    """Put labels in their order: the same whatever the order of the rows."""
    labels, counts = statistics.labels, statistics.counts
    if len(labels) > MAX_DISTINCT_LABELS:
        raise DataError(
            f"{where} has {len(labels):,} distinct values, expected at most {MAX_DISTINCT_LABELS:,}",
            remedy="override its type to identifier or text",
        )
    order = np.array(sorted(range(len(labels)), key=labels.__getitem__), dtype=np.int64)
    order = order[np.argsort(-counts[order], kind="stable")]
    return replace(statistics, labels=[labels[place] for place in order.tolist()], counts=counts[order])


def _same_kind(left: list[Any], right: list[Any]) -> tuple[list[Any], list[Any]]:
    """Turn both into text when one chunk held text and the other something else."""
    kinds = {type(value) for value in (*left[:1], *right[:1])}
    if len(kinds) > 1 and not kinds <= {int, float}:
        return [str(value) for value in left], [str(value) for value in right]
    return left, right


def compress(statistics: NumberStatistics, cap: int) -> NumberStatistics:
    """At most `cap` weighted values: runs of neighbours of equal mass become their weighted median.

    Smallest and largest value stay, heavy values stay alone or nearly so. The same input always gives the same output.
    """
    values, counts = statistics.values, statistics.counts
    if len(values) <= cap:
        return statistics
    middle = np.cumsum(counts) - counts / 2
    group = np.floor(middle / counts.sum() * (cap // 2)).astype(np.int64)
    group[0], group[-1] = -1, cap
    first = np.flatnonzero(np.diff(group, prepend=-2))
    last = np.append(first[1:], len(values)) - 1
    cumulated = np.cumsum(counts)
    mass = np.add.reduceat(counts, first)
    kept = np.searchsorted(cumulated, cumulated[last] - mass / 2)
    kept = np.clip(kept, first, last)
    return replace(statistics, values=values[kept], counts=mass.astype(np.int64))
