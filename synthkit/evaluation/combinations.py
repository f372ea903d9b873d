"""Rules between two columns that every training row keeps: values that never meet, and numbers that keep an order.

A rule is learned only where independent columns would break it in `FEWEST_EXPECTED` training rows or more, so that it
is no accident of a small table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.case import Case, Rows
from synthkit.evaluation.intervals import NORMAL, Floats
from synthkit.evaluation.learned import LEAST_KEPT, MOST_EXCEPTIONS, Attribution, most_kept, rules_interval
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import TableView

Codes = npt.NDArray[np.int64]

FEWEST_EXPECTED = 10.0
# Columns with more labels than this are left out, and numbers with more values are no categories.
MOST_LABELS = 1000
MOST_VALUES = 50
# An order needs so many rows with both numbers, and so large a share of them in the wrong order if independent.
FEWEST_ROWS = 100
FEWEST_DISORDERED = 0.01
_N_QUANTILES = 1000
_SAMPLE_ROWS = 2000
# Below this number of expected rows no other table as large has a cell with `FEWEST_EXPECTED` (see `_most_expected`).
_LEAST_EXPECTED = 4.0
_MOST_PAIRS_LISTED = 20
_MOST_EXAMPLES = 3


@dataclass(frozen=True)
class Impossible:
    """The values of two columns that never meet in the training rows.

    Attributes
    ----------
    first, second
        Names of the columns.
    cells
        Cells of their table without a training row, though many are expected: code of the first times the number of
        codes of the second plus code of the second, ascending.
    doubtful
        Cells that might well be such in another table, ascending: those with a few training rows, or with somewhat too
        few expected.
    exceptions
        Number of training rows in each doubtful cell.
    """

    first: str
    second: str
    cells: Codes
    doubtful: Codes
    exceptions: Codes


@dataclass(frozen=True)
class Order:
    """Two columns of which one is never, or in few training rows, above the other.

    Attributes
    ----------
    lower, upper
        Positions of the columns among the numbers of the view.
    exceptions
        Number of training rows that break it; 0 for an order, any more for a doubtful one.
    """

    lower: int
    upper: int
    exceptions: int


class Categories:
    """The columns of a table that can be taken as categories, learned from the training rows.

    Parameters
    ----------
    view
        How columns are read.
    real
        The training rows.
    """

    def __init__(self, view: TableView, real: Rows) -> None:
        self._view, self._dates = view, _dates(view, real)
        self._values: dict[str, Floats] = {}
        self._missing: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        for position, name in enumerate(view.numeric):
            numbers = real.coded.numbers[:, position]
            # Most columns of many numbers show it in their first rows.
            if len(_distinct(numbers[:_SAMPLE_ROWS])) <= MOST_VALUES and len(_distinct(numbers)) <= MOST_VALUES:
                self._values[name] = _distinct(numbers)
                self.sizes[name] = len(self._values[name]) + 2
                self._missing[name] = len(self._values[name])
        for position, (name, n_labels) in enumerate(zip(view.categorical, view.n_labels, strict=True)):
            if n_labels <= MOST_LABELS:
                self.sizes[name] = n_labels + 1
                for row in np.flatnonzero(real.frame[name].isna())[:1]:
                    self._missing[name] = int(real.coded.codes[row, position])

    def codes(self, rows: Rows, name: str) -> Codes:
        """Return the code of each row, shape [rows]; the last one stands for what the training rows lack."""
        unknown = self.sizes[name] - 1
        if name not in self._values:
            return np.minimum(rows.coded.codes[:, self._view.categorical.index(name)], unknown)
        known, numbers = self._values[name], rows.coded.numbers[:, self._view.numeric.index(name)]
        places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        codes = np.where(known[places] == numbers, places, unknown)
        return np.where(np.isnan(numbers), len(known), codes).astype(np.int64)

    def label(self, name: str, code: int) -> str:
        """Return a code as a reader knows it."""
        if code == self._missing.get(name):
            return "missing"
        if name not in self._values:
            return list(self._view.labels[name])[code]
        number = float(self._values[name][code])
        return str(pd.Timestamp(int(number))) if name in self._dates else f"{number:g}"


def learn_impossible(categories: Categories, real: Rows, pairs: list[tuple[str, str]]) -> Iterator[Impossible]:
    """Yield the pairs of columns with values that never meet, though `FEWEST_EXPECTED` rows are expected.

    Parameters
    ----------
    categories
        The columns taken as categories.
    real
        The training rows.
    pairs
        The pairs of columns to look at.
    """
    n = len(real)
    codes = {name: categories.codes(real, name) for name in dict.fromkeys(name for pair in pairs for name in pair)}
    margins = {name: np.bincount(column, minlength=categories.sizes[name]) for name, column in codes.items()}
    for first, second in pairs:
        if margins[first].max() * margins[second].max() < _LEAST_EXPECTED * n:
            continue
        width = categories.sizes[second]
        joint = codes[first] * width + codes[second]
        counts = np.bincount(joint, minlength=categories.sizes[first] * width)
        products = np.multiply.outer(margins[first], margins[second]).ravel()
        cells = np.flatnonzero((products >= _LEAST_EXPECTED * n) & (counts <= MOST_EXCEPTIONS))
        impossible = (products[cells] >= FEWEST_EXPECTED * n) & (counts[cells] == 0)
        most = _most_expected(margins[first][cells // width], margins[second][cells % width], n)
        doubtful = cells[~impossible & (most >= FEWEST_EXPECTED)]
        if impossible.any() or len(doubtful):
            yield Impossible(first, second, cells[impossible], doubtful, counts[doubtful])


def _most_expected(first: Codes, second: Codes, n: int) -> Floats:
    """Return how many rows other tables of `n` rows may expect in a cell with these margins: upper end for 95 %."""
    most: Floats = first * second / n * (1 + NORMAL * np.sqrt(1 / first + 1 / second))
    return most


def impossible_combinations(
    categories: Categories, rules: list[Impossible], synthetic: Rows
) -> tuple[float, float, float, dict[str, Any]]:
    """Return the share of synthetic rows with values that never meet in training rows, its interval and its parts.

    Parameters
    ----------
    categories
        The columns taken as categories.
    rules
        What never meets.
    synthetic
        The rows to judge.
    """
    marks = np.zeros(len(synthetic), dtype=bool)
    kept, doubtful, start = Attribution(len(synthetic)), Attribution(len(synthetic)), 0
    columns: dict[str, Codes] = {}
    found = []
    for rule in rules:
        for name in (rule.first, rule.second):
            if name not in columns:
                columns[name] = categories.codes(synthetic, name)
        width = categories.sizes[rule.second]
        joint = columns[rule.first] * width + columns[rule.second]
        size = categories.sizes[rule.first] * width
        chances = np.zeros(size)
        chances[rule.doubtful] = most_kept(rule.exceptions)
        rows = np.flatnonzero(chances[joint])
        doubtful.add(rows, start + joint[rows], chances[joint[rows]])
        forbidden = np.zeros(size, dtype=bool)
        forbidden[rule.cells] = True
        rows = np.flatnonzero(forbidden[joint])
        if len(rows):
            marks[rows] = True
            kept.add(rows, start + joint[rows], np.full(len(rows), 1 - LEAST_KEPT))
            found.append((len(rows), rule, joint[rows]))
        start += size
    pairs = {}
    for count, rule, joint in sorted(found, key=lambda item: -item[0])[:_MOST_PAIRS_LISTED]:
        cells, counts = np.unique(joint, return_counts=True)
        width = categories.sizes[rule.second]
        examples = {}
        for place in np.argsort(-counts, kind="stable")[:_MOST_EXAMPLES]:
            first, second = divmod(int(cells[place]), width)
            text = f"{categories.label(rule.first, first)}, {categories.label(rule.second, second)}"
            examples[text] = int(counts[place])
        pairs[f"{rule.first}, {rule.second}"] = {"rows": count, "examples": examples}
    details = {"rows": int(marks.sum()), "impossible": sum(len(rule.cells) for rule in rules), "pairs": pairs}
    return *rules_interval(marks, kept, doubtful), details


def learn_orders(numbers: Floats, pairs: list[tuple[int, int]]) -> Iterator[Order]:
    """Yield the orders that the training rows keep, and those that they keep but for a few rows.

    An order counts where at least `FEWEST_ROWS` rows have both numbers, both vary, their difference does too, and if
    the columns were independent a share of `FEWEST_DISORDERED` and `FEWEST_EXPECTED` rows would break it.

    Parameters
    ----------
    numbers
        The training rows, NaN where missing, shape [rows, columns].
    pairs
        Pairs of positions of columns in the same unit.
    """
    columns = np.asfortranarray(numbers)
    ordered = [np.sort(column[~np.isnan(column)]) for column in columns.T]
    quantiles = [column[np.linspace(0, len(column) - 1, _N_QUANTILES).astype(int)] for column in ordered]
    for lower, upper in ((a, b) for pair in pairs for a, b in (pair, pair[::-1])):
        if ordered[lower][-1] <= ordered[upper][0]:
            continue
        # Most pairs break both orders in the first few rows.
        for rows in (slice(_SAMPLE_ROWS), slice(None)):
            exceptions = int((columns[rows, lower] > columns[rows, upper]).sum())
            if exceptions > MOST_EXCEPTIONS:
                break
        if exceptions > MOST_EXCEPTIONS:
            continue
        below = np.searchsorted(ordered[upper], quantiles[lower], side="left") / len(ordered[upper])
        difference = columns[:, upper] - columns[:, lower]
        both = ~np.isnan(difference)
        n, disordered = int(both.sum()), float(below.mean())
        if n < FEWEST_ROWS or disordered < FEWEST_DISORDERED or disordered * n < FEWEST_EXPECTED:
            continue
        if all(np.ptp(column[both]) > 0 for column in (difference, columns[:, lower], columns[:, upper])):
            yield Order(lower, upper, exceptions)


def broken_orders(
    names: tuple[str, ...], orders: list[Order], numbers: Floats
) -> tuple[float, float, float, dict[str, Any]]:
    """Return the share of rows that break an order of the training rows, its interval and its parts.

    Parameters
    ----------
    names
        Names of the columns of numbers.
    orders
        The orders, with the doubtful ones.
    numbers
        The rows to judge, NaN where missing, shape [rows, columns].
    """
    marks = np.zeros(len(numbers), dtype=bool)
    kept, doubtful = Attribution(len(numbers)), Attribution(len(numbers))
    counts = {}
    for place, order in enumerate(orders):
        broken = np.flatnonzero(numbers[:, order.lower] > numbers[:, order.upper])
        rule = np.full(len(broken), place)
        if order.exceptions:
            doubtful.add(broken, rule, most_kept(np.full(len(broken), order.exceptions)))
            continue
        kept.add(broken, rule, np.full(len(broken), 1 - LEAST_KEPT))
        marks[broken] = True
        counts[f"{names[order.lower]} <= {names[order.upper]}"] = len(broken)
    worst = dict(sorted(counts.items(), key=lambda item: -item[1]))
    return *rules_interval(marks, kept, doubtful), {"rows": int(marks.sum()), "orders": worst}


def _distinct(numbers: Floats) -> Floats:
    return np.unique(numbers[~np.isnan(numbers)])


def _dates(view: TableView, rows: Rows) -> set[str]:
    return {name for name in view.numeric if pd.api.types.is_datetime64_any_dtype(rows.frame[name].dtype)}


def _drawn(case: Case, pairs: list[Any]) -> tuple[list[Any], str]:
    """Return as many pairs as the limits allow, the same ones for every case, and a note if they are not all."""
    if len(pairs) <= case.limits.pairs:
        return pairs, ""
    order = np.sort(case.generator().permutation(len(pairs))[: case.limits.pairs])
    return [pairs[place] for place in order], f"{len(order):,} of {len(pairs):,} pairs of columns were drawn"


def _combination_score(case: Case) -> Score:
    n = len(case.synthetic)
    real = case.root.train

    def learn() -> tuple[Categories, list[Impossible], str]:
        categories = Categories(case.view, real)
        pairs, note = _drawn(case, list(combinations(categories.sizes, 2)))
        return categories, list(learn_impossible(categories, real, pairs)), note

    categories, rules, note = case.root.share("impossible combinations", learn)
    if len(categories.sizes) < 2:
        return Score(float("nan"), n=n, note="fewer than two columns hold few enough values to be taken as categories")
    if not any(len(rule.cells) for rule in rules):
        return Score(float("nan"), n=n, note="all common values of two columns occur together in the real table")
    value, low, high, details = impossible_combinations(categories, rules, case.synthetic)
    return Score(value, low, high, n=n, note=note, details=details)


def _order_score(case: Case) -> Score:
    n = len(case.synthetic)
    real, names = case.root.train, case.view.numeric
    dates = _dates(case.view, real)
    same_kind = [
        pair for pair in combinations(range(len(names)), 2) if len({names[place] in dates for place in pair}) == 1
    ]
    pairs, note = _drawn(case, same_kind)
    orders = case.root.share("orders", lambda: list(learn_orders(real.coded.numbers, pairs)))
    if not any(order.exceptions == 0 for order in orders):
        return Score(float("nan"), n=n, note="no two columns of numbers or of dates keep an order in the real table")
    value, low, high, details = broken_orders(names, orders, case.synthetic.coded.numbers)
    return Score(value, low, high, n=n, note=note, details=details)


METRICS = (
    Metric(
        name="impossible_combinations",
        theme="validity",
        title="impossible combinations",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.0,
        source="synthkit",
        meaning="{percent} of synthetic rows combine values that never meet in real rows.",
        reading="Share of synthetic rows with two values that no training row has together, though ten or more rows "
        "would if the two columns were independent: a husband who is female. Categories count, and numbers with at "
        "most 50 values; missing is a value too.",
        lies="Values are compared in twos, so what three columns together rule out is not seen, nor is what rare "
        "values rule out. What never happened in the training rows is not always impossible: see the ceiling. "
        "The interval reaches far down where one combination makes up the score: one real row can make it possible.",
        good="As the ceiling, which is near 0.",
        rows="every row; at most 10,000 pairs of columns, without those with more than 1,000 labels",
        compute=_combination_score,
    ),
    Metric(
        name="broken_orders",
        theme="validity",
        title="broken orders",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.0,
        source="synthkit",
        meaning="{percent} of synthetic rows break an order that all real rows keep.",
        reading="Share of synthetic rows in which a number is larger, or a date later, than another one that it never "
        "exceeds in training rows: an end before its start. An order counts where 100 training rows or more have both "
        "values, and where independent columns would break it in at least 1 % of the rows and in at least ten.",
        lies="Two columns that have nothing to do with each other can keep an order for reasons of scale. Orders that "
        "a single training row breaks do not count, so the interval reaches far down where one order makes up the "
        "score.",
        good="As the ceiling, which is near 0.",
        rows="every row; at most 10,000 pairs of columns",
        compute=_order_score,
    ),
)
