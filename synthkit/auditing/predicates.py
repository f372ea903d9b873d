"""Predicates that single out: made from a synthetic table, counted on any table, as in Anonymeter 1.1.

All columns are turned into ranks, so that every condition is a range of ranks. A predicate is counted on a growing part
of a table, and given up once it matches twice: most are given up after a few hundred rows.

References
----------
Article 29 Working Party (2014), Opinion 05/2014 on anonymisation techniques (WP216).
Cohen and Nissim (2020), PNAS 117: predicate singling out.
Giomi, Boenisch, Wehmeyer and Tasnadi (2023), PoPETs 2: Anonymeter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.view import CodedTable, TableView

Ranks = npt.NDArray[np.int32]
_FIRST_ROWS = 64
_CELLS = 200_000  # of one block of predicates and rows, so that it stays in the cache
_MOST_BATCH = 8_192
MISSING = -1


@dataclass(frozen=True)
class RankedTables:
    """Tables as ranks.

    Attributes
    ----------
    tables
        For each table the rank of each value among those of the column in all tables, `MISSING` for a missing number;
        shape [columns, rows]. Missing categories are a category.
    numeric
        Which columns are numbers, shape [columns].
    """

    tables: tuple[Ranks, ...]
    numeric: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, view: TableView, *tables: CodedTable) -> RankedTables:
        """Return the ranks of tables that are coded jointly."""
        columns = []
        for values in zip(*(table.numbers.T for table in tables), strict=True):
            found, ranks = np.unique(np.concatenate(values), return_inverse=True)
            columns.append(np.where(np.isnan(found[ranks]), MISSING, ranks) if len(found) else ranks)
        columns += [np.concatenate(values) for values in zip(*(table.codes.T for table in tables), strict=True)]
        ends = np.cumsum([len(table) for table in tables])[:-1]
        parts = np.split(np.array(columns, dtype=np.int32).reshape(len(columns), -1), ends, axis=1)
        kinds = np.arange(len(columns)) < len(view.numeric)
        return cls(tuple(np.ascontiguousarray(part) for part in parts), kinds)


@dataclass(frozen=True)
class Predicates:
    """Conjunctions of conditions; each condition is that the rank in one column lies in a range, or does not.

    Attributes
    ----------
    columns
        Position of the column of each condition, shape [predicates, conditions].
    low, high
        First and last rank of the range; shape as `columns`.
    outside
        Whether the rank must lie outside, and not be missing; shape as `columns`.
    """

    columns: npt.NDArray[np.int64]
    low: Ranks
    high: Ranks
    outside: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of predicates."""
        return len(self.columns)

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Predicates:
        """Return some of the predicates."""
        return Predicates(self.columns[rows], self.low[rows], self.high[rows], self.outside[rows])

    def above(self, other: Predicates) -> Predicates:
        """Return these predicates, then others with as many conditions."""
        return Predicates(
            np.vstack([self.columns, other.columns]),
            np.vstack([self.low, other.low]),
            np.vstack([self.high, other.high]),
            np.vstack([self.outside, other.outside]),
        )

    def distinct(self) -> npt.NDArray[np.int64]:
        """Return the positions of the first of each kind of predicate, ascending."""
        keys = np.hstack([self.columns, self.low, self.high, self.outside])
        return np.sort(np.unique(keys, axis=0, return_index=True)[1])

    def matches(self, table: Ranks) -> npt.NDArray[np.bool_]:
        """Return which rows fulfil which predicates, shape [predicates, rows]."""
        fulfilled = np.ones((len(self), table.shape[1]), dtype=bool)
        for place in range(self.columns.shape[1]):
            values = table[self.columns[:, place]]
            inside = (values >= self.low[:, place, None]) & (values <= self.high[:, place, None])
            outside = self.outside[:, place]
            if outside.any():
                inside[outside] = ~inside[outside] & (values[outside] != MISSING)
            fulfilled &= inside
        return fulfilled

    def singled_out(self, table: Ranks) -> npt.NDArray[np.int64]:
        """Return the row that each predicate singles out, -1 where it matches none or several; shape [predicates].

        Parameters
        ----------
        table
            Ranks, shape [columns, rows].
        """
        count = np.zeros(len(self), dtype=np.int64)
        row = np.full(len(self), -1, dtype=np.int64)
        open_ = np.arange(len(self))
        start, step = 0, _FIRST_ROWS
        while start < table.shape[1] and len(open_):
            part = np.ascontiguousarray(table[:, start : start + step])
            size = max(1, _CELLS // part.shape[1])
            for first in range(0, len(open_), size):
                some = open_[first : first + size]
                matched = self.take(some).matches(part)
                found = matched.sum(axis=1)
                row[some] = np.where(found > 0, start + matched.argmax(axis=1), row[some])
                count[some] += found
            open_ = open_[count[open_] < 2]
            start += step
            step *= 2
        return np.where(count == 1, row, -1)


def univariate(table: Ranks, numeric: npt.NDArray[np.bool_], most: int, generator: np.random.Generator) -> Predicates:
    """Return predicates on one column that single out in a table: values that occur once, and extremes of numbers.

    Parameters
    ----------
    table
        Ranks, shape [columns, rows].
    numeric
        Which columns are numbers.
    most
        At most this many, drawn at random.
    generator
        Draws them.
    """
    columns, lows, highs = [], [], []
    top = np.iinfo(np.int32).max
    for column, ranks in enumerate(table):
        values, counts = np.unique(ranks, return_counts=True)
        ranges = [(value, value) for value in values[counts == 1]]
        present = values != MISSING
        if numeric[column] and present.any():
            (least, how_many), (most_of_all, how_often) = (
                (values[present][end], counts[present][end]) for end in (0, -1)
            )
            ranges += [(0, least)] * int(how_many == 1) + [(most_of_all, top)] * int(how_often == 1)
        columns += [column] * len(ranges)
        lows += [low for low, _ in ranges]
        highs += [high for _, high in ranges]
    return _predicates(columns, lows, highs).take(generator.permutation(len(columns))[:most])


def multivariate(
    table: Ranks,
    numeric: npt.NDArray[np.bool_],
    most: int,
    generator: np.random.Generator,
    *,
    conditions: int = 3,
    attempts: int = 300,
) -> Predicates:
    """Return conjunctions that single out in a table, each from some columns of a random row.

    A category must be equal. A number must be at least as large where that of the row is above the median of its
    column, else at most as large. A missing number must be missing.

    Parameters
    ----------
    table
        Ranks, shape [columns, rows], at least one row.
    numeric
        Which columns are numbers.
    most
        At most this many.
    generator
        Draws rows and columns.
    conditions
        Number of columns of a predicate; fewer where the table has fewer.
    attempts
        At most this many are tried for each that is wanted.
    """
    conditions = min(conditions, len(table))
    middles = np.array([_middle(ranks) if is_number else 0.0 for ranks, is_number in zip(table, numeric, strict=True)])
    top = np.iinfo(np.int32).max
    found = _no_predicates(conditions)
    left = attempts * most
    while len(found) < most and left > 0:
        batch = min(_MOST_BATCH, left)
        left -= batch
        rows = generator.integers(0, table.shape[1], batch)
        columns = _random_columns(len(table), conditions, batch, generator)
        values = table[columns, rows[:, None]]
        is_number = numeric[columns] & (values != MISSING)
        upper = is_number & (values > middles[columns])
        lower = is_number & ~upper
        some = Predicates(
            columns,
            np.where(lower, 0, values).astype(np.int32),
            np.where(upper, top, values).astype(np.int32),
            np.zeros(columns.shape, dtype=bool),
        )
        more = found.above(some.take(some.singled_out(table) >= 0))
        more = more.take(more.distinct())
        if len(more) == len(found):
            break  # a small table has no more of them
        found = more
    return found.take(generator.permutation(len(found))[:most])


def random_predicates(
    table: Ranks, numeric: npt.NDArray[np.bool_], n: int, conditions: int, generator: np.random.Generator
) -> Predicates:
    """Return what an attacker would try who knows the values of each column only: random comparisons with random ones.

    Parameters
    ----------
    table
        Ranks, shape [columns, rows].
    numeric
        Which columns are numbers: compared by =, !=, <, <=, > or >=; others by = or !=.
    n
        Number of predicates.
    conditions
        Number of columns of each; fewer where the table has fewer.
    generator
        Draws them.
    """
    columns = _random_columns(len(table), min(conditions, len(table)), n, generator)
    values = np.empty(columns.shape, dtype=np.int64)
    for column, ranks in enumerate(table):
        here = columns == column
        values[here] = generator.choice(np.unique(ranks), int(here.sum()))
    operators = generator.integers(0, np.where(numeric[columns] & (values != MISSING), 6, 2))
    top = np.iinfo(np.int32).max
    low = np.select([operators <= 1, operators == 2, operators == 3], [values, values, values + 1], 0)
    high = np.select([operators <= 1, operators == 4, operators == 5], [values, values, values - 1], top)
    return Predicates(columns, low.astype(np.int32), high.astype(np.int32), operators == 1)


def _middle(ranks: Ranks) -> float:
    present = ranks[ranks != MISSING]
    return float(np.median(present)) if len(present) else 0.0


def _random_columns(columns: int, conditions: int, n: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return sets of different columns, ascending, shape [n, conditions]."""
    drawn = np.argpartition(generator.random((n, columns)), conditions - 1, axis=1)[:, :conditions]
    return np.sort(drawn, axis=1).astype(np.int64)


def _no_predicates(conditions: int) -> Predicates:
    shape = (0, conditions)
    none = np.zeros(shape, dtype=np.int32)
    return Predicates(np.zeros(shape, dtype=np.int64), none, none, np.zeros(shape, dtype=bool))


def _predicates(columns: list[int], lows: list[int], highs: list[int]) -> Predicates:
    """Return predicates of one condition each."""
    shape = (len(columns), 1)
    return Predicates(
        np.array(columns, dtype=np.int64).reshape(shape),
        np.array(lows, dtype=np.int32).reshape(shape),
        np.array(highs, dtype=np.int32).reshape(shape),
        np.zeros(shape, dtype=bool),
    )
