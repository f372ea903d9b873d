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
from synthkit.evaluation.intervals import Floats, groups_of
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.validity import bits_of, learned_share, only_group
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
        Cells in which all training rows are of one group.
    groups
        That group, by doubtful cell.
    """

    first: str
    second: str
    cells: Codes
    doubtful: Codes
    groups: Codes


@dataclass(frozen=True)
class Order:
    """Two columns of which one is never above the other in the training rows.

    Attributes
    ----------
    lower, upper
        Positions of the columns among the numbers of the view.
    group
        The only group of training rows in which it is broken; -1 when it is never broken.
    """

    lower: int
    upper: int
    group: int


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


def learn_impossible(
    categories: Categories, real: Rows, pairs: list[tuple[str, str]], groups: Codes
) -> Iterator[Impossible]:
    """Yield the pairs of columns with values that never meet, though `FEWEST_EXPECTED` rows are expected.

    Parameters
    ----------
    categories
        The columns taken as categories.
    real
        The training rows.
    pairs
        The pairs of columns to look at.
    groups
        Jackknife group of each training row.
    """
    n = len(real)
    codes = {name: categories.codes(real, name) for name in dict.fromkeys(name for pair in pairs for name in pair)}
    margins = {name: np.bincount(column, minlength=categories.sizes[name]) for name, column in codes.items()}
    for first, second in pairs:
        if margins[first].max() * margins[second].max() < FEWEST_EXPECTED * n:
            continue
        width = categories.sizes[second]
        joint = codes[first] * width + codes[second]
        counts = np.bincount(joint, minlength=categories.sizes[first] * width)
        often = (np.multiply.outer(margins[first], margins[second]) >= FEWEST_EXPECTED * n).ravel()
        only = only_group(joint, groups, len(counts))
        doubtful = np.flatnonzero(often & (only >= 0))
        cells = np.flatnonzero(often & (counts == 0))
        if len(cells) or len(doubtful):
            yield Impossible(first, second, cells, doubtful, only[doubtful])


def impossible_combinations(
    categories: Categories, rules: list[Impossible], synthetic: Rows, n_groups: int
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
    n_groups
        Number of jackknife groups of training rows.
    """
    marks, doubts = np.zeros(len(synthetic), dtype=bool), np.zeros(len(synthetic), dtype=np.uint32)
    columns: dict[str, Codes] = {}
    found = []
    for rule in rules:
        for name in (rule.first, rule.second):
            if name not in columns:
                columns[name] = categories.codes(synthetic, name)
        width = categories.sizes[rule.second]
        joint = columns[rule.first] * width + columns[rule.second]
        size = categories.sizes[rule.first] * width
        if len(rule.doubtful):
            bits = np.zeros(size, dtype=np.uint32)
            bits[rule.doubtful] = bits_of(rule.groups)
            doubts |= bits[joint]
        forbidden = np.zeros(size, dtype=bool)
        forbidden[rule.cells] = True
        broken = forbidden[joint]
        if broken.any():
            marks |= broken
            found.append((int(broken.sum()), rule, joint[broken]))
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
    return *learned_share(marks, doubts, n_groups), details


def learn_orders(numbers: Floats, pairs: list[tuple[int, int]], groups: Codes) -> Iterator[Order]:
    """Yield the orders that the training rows keep, and those that they keep but for one group.

    An order counts where at least `FEWEST_ROWS` rows have both numbers, both vary, their difference does too, and if
    the columns were independent a share of `FEWEST_DISORDERED` and `FEWEST_EXPECTED` rows would break it.

    Parameters
    ----------
    numbers
        The training rows, NaN where missing, shape [rows, columns].
    pairs
        Pairs of positions of columns in the same unit.
    groups
        Jackknife group of each row.
    """
    columns = np.asfortranarray(numbers)
    ordered = [np.sort(column[~np.isnan(column)]) for column in columns.T]
    quantiles = [column[np.linspace(0, len(column) - 1, _N_QUANTILES).astype(int)] for column in ordered]
    for lower, upper in ((a, b) for pair in pairs for a, b in (pair, pair[::-1])):
        if ordered[lower][-1] <= ordered[upper][0]:
            continue
        # Most pairs break both orders in the first few rows.
        for rows in (slice(_SAMPLE_ROWS), slice(None)):
            broken = np.unique(groups[rows][columns[rows, lower] > columns[rows, upper]])
            if len(broken) > 1:
                break
        if len(broken) > 1:
            continue
        below = np.searchsorted(ordered[upper], quantiles[lower], side="left") / len(ordered[upper])
        difference = columns[:, upper] - columns[:, lower]
        both = ~np.isnan(difference)
        n, disordered = int(both.sum()), float(below.mean())
        if n < FEWEST_ROWS or disordered < FEWEST_DISORDERED or disordered * n < FEWEST_EXPECTED:
            continue
        if all(np.ptp(column[both]) > 0 for column in (difference, columns[:, lower], columns[:, upper])):
            yield Order(lower, upper, int(broken[0]) if len(broken) else -1)


def broken_orders(
    names: tuple[str, ...], orders: list[Order], numbers: Floats, n_groups: int
) -> tuple[float, float, float, dict[str, Any]]:
    """Return the share of rows that break an order of the training rows, its interval and its parts.

    Parameters
    ----------
    names
        Names of the columns of numbers.
    orders
        The orders, with those that one group of training rows breaks.
    numbers
        The rows to judge, NaN where missing, shape [rows, columns].
    n_groups
        Number of jackknife groups of training rows.
    """
    marks, doubts = np.zeros(len(numbers), dtype=bool), np.zeros(len(numbers), dtype=np.uint32)
    counts = {}
    for order in orders:
        broken = numbers[:, order.lower] > numbers[:, order.upper]
        if order.group >= 0:
            doubts[broken] |= np.uint32(1 << order.group)
            continue
        marks |= broken
        counts[f"{names[order.lower]} <= {names[order.upper]}"] = int(broken.sum())
    worst = dict(sorted(counts.items(), key=lambda item: -item[1]))
    return *learned_share(marks, doubts, n_groups), {"rows": int(marks.sum()), "orders": worst}


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


def _groups(case: Case) -> Codes:
    return groups_of(len(case.train), case.generator())


def _combination_score(case: Case) -> Score:
    n = len(case.synthetic)
    real = case.root.train

    def learn() -> tuple[Categories, list[Impossible], str]:
        categories = Categories(case.view, real)
        pairs, note = _drawn(case, list(combinations(categories.sizes, 2)))
        return categories, list(learn_impossible(categories, real, pairs, _groups(case))), note

    categories, rules, note = case.root.share("impossible combinations", learn)
    if len(categories.sizes) < 2:
        return Score(float("nan"), n=n, note="fewer than two columns hold few enough values to be taken as categories")
    if not any(len(rule.cells) for rule in rules):
        return Score(float("nan"), n=n, note="all common values of two columns occur together in the real table")
    n_groups = int(_groups(case).max()) + 1
    value, low, high, details = impossible_combinations(categories, rules, case.synthetic, n_groups)
    return Score(value, low, high, n=n, note=note, details=details)


def _order_score(case: Case) -> Score:
    n = len(case.synthetic)
    real, names = case.root.train, case.view.numeric
    dates = _dates(case.view, real)
    same_kind = [
        pair for pair in combinations(range(len(names)), 2) if len({names[place] in dates for place in pair}) == 1
    ]
    pairs, note = _drawn(case, same_kind)
    orders = case.root.share("orders", lambda: list(learn_orders(real.coded.numbers, pairs, _groups(case))))
    if not any(order.group < 0 for order in orders):
        return Score(float("nan"), n=n, note="no two columns of numbers or of dates keep an order in the real table")
    n_groups = int(_groups(case).max()) + 1
    value, low, high, details = broken_orders(names, orders, case.synthetic.coded.numbers, n_groups)
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
        "values rule out. What never happened in the training rows is not always impossible: see the ceiling.",
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
        "a single training row breaks do not count.",
        good="As the ceiling, which is near 0.",
        rows="every row; at most 10,000 pairs of columns",
        compute=_order_score,
    ),
)
