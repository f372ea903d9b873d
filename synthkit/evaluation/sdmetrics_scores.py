"""The scores of SDMetrics' quality report, computed on whole columns at once (`validity` has the diagnostic one).

They equal those of SDMetrics 0.32 to 1e-9; only from tables with more than 50,000 rows does SDMetrics draw rows at
random for its contingency tables, while here every row counts. Columns are read as everywhere in synthkit: a number or
date with more than two distinct values is "numerical" or "datetime", anything else is "categorical".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.case import Case, Marks, Rows
from synthkit.evaluation.intervals import Floats, groups_of, jackknife_interval
from synthkit.evaluation.learned import selection_half_width
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import TableView

Codes = npt.NDArray[np.int64]

# Pairs with a weaker relation in the real table do not count in SDMetrics' report since 2026.
CORRELATION_THRESHOLD = 0.5
ASSOCIATION_THRESHOLD = 0.3
# SDMetrics counts a label that the real table lacks as this many real rows.
_UNSEEN_COUNT = 1e-6
_N_BINS = 10
_DECIMALS = 14
# At most so many cells of contingency tables are held at once, and beyond this many per row only occupied ones.
_MOST_CELLS = 1_000_000
_CELLS_PER_ROW = 2
# Below this share of the variance of a column, that of the rows where the other column is present is computed anew.
_CANCELLED = 1e-4
_MOST_LISTED = 20


class Side:
    """One table for scores with a jackknife interval: its columns, with the rows of a group next to each other.

    Parameters
    ----------
    view
        How columns are read.
    rows
        The table.
    groups
        Jackknife group of each row, shape [rows].
    n_groups
        Number of groups, to which any others are added; 1 for no interval.
    """

    def __init__(self, view: TableView, rows: Rows, groups: Codes, n_groups: int) -> None:
        self._order = np.argsort(groups, kind="stable") if n_groups > 1 else slice(None)
        self._rows, self.n_groups = rows, n_groups
        self.groups = np.minimum(groups, n_groups - 1)[self._order]
        self.bounds = np.searchsorted(self.groups, np.arange(n_groups + 1))
        self.numeric = {name: position for position, name in enumerate(view.numeric)}
        self.categorical = {name: position for position, name in enumerate(view.categorical)}
        self._categories: dict[tuple[str, int], npt.NDArray[np.int32]] = {}

    def numbers(self, name: str) -> Floats:
        """Return a column of numbers or dates, NaN where missing."""
        column: Floats = self._rows.coded.numbers[self._order, self.numeric[name]]
        return column

    def labels(self, name: str) -> Codes:
        """Return a column of labels: 0 where missing, so that this is told apart from a label that is spelt like it."""
        codes = self._rows.coded.codes[:, self.categorical[name]] + 1
        return np.where(self._rows.frame[name].isna(), 0, codes)[self._order]

    def categories(self, name: str, without: int = -1) -> npt.NDArray[np.int32]:
        """Return a column as categories: labels, or bins of equal width between the extremes outside of a group."""
        key = name, -1 if name in self.categorical else without
        if key not in self._categories:
            codes = self.labels(name) if name in self.categorical else self._binned(name, without)
            self._categories[key] = codes.astype(np.int32)
        return self._categories[key]

    def _binned(self, name: str, without: int) -> Codes:
        values = self.numbers(name)
        edges = np.histogram_bin_edges(values[~np.isnan(values) & (self.groups != without)])
        # As in SDMetrics a missing number is sorted beyond the last edge, where the largest number lies too.
        return np.digitize(values, edges)

    def can_be_cut(self, name: str, without: int = -1) -> bool:
        """Tell whether ten bins fit between the extremes; floats as large as dates leave no room about a constant."""
        values = self.numbers(name)
        present = values[~np.isnan(values) & (self.groups != without)]
        if len(present) == 0:
            return True
        low, high = float(present.min()), float(present.max())
        low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
        return bool((np.diff(np.linspace(low, high, _N_BINS + 1)) > 0).all())

    def groups_at_the_ends(self, name: str) -> set[int]:
        """Return the groups that hold the smallest and the largest number: the bins are others without them."""
        values = self.numbers(name)
        if self.n_groups == 1 or np.isnan(values).all():
            return set()
        return {int(self.groups[np.nanargmin(values)]), int(self.groups[np.nanargmax(values)])}

    def rounded(self, name: str) -> Floats:
        """Return a column of numbers as SDMetrics rounds it before it compares distributions."""
        values = self.numbers(name)
        with np.errstate(over="ignore"):
            rounded = np.round(values, _DECIMALS)
        whole = not pd.api.types.is_float_dtype(self._rows.frame[name].dtype)
        return np.where(np.isinf(rounded) | whole, values, rounded)

    def counts(self, codes: Codes, size: int) -> Iterator[Floats]:
        """Yield the counts of codes on all rows, shape [1, size], then without each group, in pieces of [k, size]."""
        total = np.bincount(codes, minlength=size).astype(np.float64)
        yield total[None]
        step = max(1, _MOST_CELLS // size)
        for start in range(0, self.n_groups if self.n_groups > 1 else 0, step):
            stop = min(start + step, self.n_groups)
            rows = slice(self.bounds[start], self.bounds[stop])
            counts = np.bincount((self.groups[rows] - start) * size + codes[rows], minlength=(stop - start) * size)
            yield total - counts.reshape(stop - start, size)


def sides_of(case: Case) -> tuple[Side, Side]:
    """Return the training and the synthetic table of a case; only the synthetic case has groups for an interval."""
    generator = case.generator()
    tables = case.train, case.synthetic
    groups = [groups_of(len(rows), generator) * (case.role == "synthetic") for rows in tables]
    n_groups = min(int(group.max()) for group in groups) + 1
    sides = [Side(case.view, *side, n_groups) for side in zip(tables, groups, strict=True)]
    return sides[0], sides[1]


def column_shapes(real: Side, synthetic: Side) -> dict[str, Floats]:
    """Return KSComplement of each number or date and TVComplement of each other column, missing values left out.

    Returns
    -------
    dict
        By column, the score on all rows, then without each group; NaN where it is not computable.
    """
    scores = {name: _ks_complement(real, synthetic, name) for name in real.numeric}
    return scores | {name: _tv_complement(real, synthetic, name) for name in real.categorical}


def _ks_complement(real: Side, synthetic: Side, name: str) -> Floats:
    """Return 1 minus the largest distance of two distribution functions, on all rows and without each group."""
    columns = [side.rounded(name) for side in (real, synthetic)]
    present = [~np.isnan(column) for column in columns]
    values = np.concatenate([column[kept] for column, kept in zip(columns, present, strict=True)])
    order = np.argsort(values)
    is_real = order < int(present[0].sum())
    group = np.concatenate([real.groups[present[0]], synthetic.groups[present[1]]])[order]
    last = np.flatnonzero(np.diff(values[order], append=np.inf) != 0)
    scores = []
    for left_out in range(-1, real.n_groups if real.n_groups > 1 else 0):
        keep = group != left_out
        below = np.cumsum(keep, dtype=np.int64)[last]
        below_real = np.cumsum(keep & is_real, dtype=np.int64)[last]
        n_real = int(below_real[-1]) if len(last) else 0
        n_synthetic = int(below[-1]) - n_real if len(last) else 0
        gaps = np.abs(below_real / max(n_real, 1) - (below - below_real) / max(n_synthetic, 1))
        scores.append(1 - gaps.max() if n_real and n_synthetic else np.nan)
    return np.array(scores)


def _tv_complement(real: Side, synthetic: Side, name: str) -> Floats:
    """Return 1 minus the total variation distance of the labels, on all rows and without each group."""
    scores = []
    for first, second in label_counts(real, synthetic, name):
        seen, drawn = first[:, 1:], second[:, 1:]
        computable = (seen.sum(axis=1) > 0) & (drawn.sum(axis=1) > 0)
        seen = np.where((seen == 0) & (drawn > 0), _UNSEEN_COUNT, seen)
        distance = np.abs(_shares(seen) - _shares(drawn)).sum(axis=1) / 2
        scores.append(np.where(computable, 1 - distance, np.nan))
    return np.concatenate(scores)


def label_counts(real: Side, synthetic: Side, name: str) -> Iterator[tuple[Floats, Floats]]:
    """Yield the counts of each label in both tables, on all rows, then without each group (see `Side.counts`)."""
    labels = real.labels(name), synthetic.labels(name)
    size = int(max(labels[0].max(), labels[1].max())) + 1
    return zip(real.counts(labels[0], size), synthetic.counts(labels[1], size), strict=True)


def _shares(counts: Floats) -> Floats:
    """Return counts as shares of their row; a row of nothing stays so."""
    shares: Floats = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def pair_trends(real: Side, synthetic: Side, pairs: list[tuple[str, str]]) -> tuple[Floats, Floats]:
    """Return CorrelationSimilarity of two numbers or dates and ContingencySimilarity of other pairs.

    Numbers that meet a category are cut into ten bins between the extremes of their own table; a missing number and
    the largest one share a bin.

    Returns
    -------
    tuple of array
        Similarity on all rows, then without each group, NaN where not computable, shape [1 + groups, pairs]; and in
        the same shape how strong the relation is in the real table, as a multiple of SDMetrics' threshold.
    """
    scores, strengths = np.full((2, real.n_groups + 1 if real.n_groups > 1 else 1, len(pairs)), np.nan)
    numeric = [place for place, pair in enumerate(pairs) if pair[0] in real.numeric and pair[1] in real.numeric]
    if numeric:
        chosen = [pairs[place] for place in numeric]
        correlations = _correlations(real, chosen), _correlations(synthetic, chosen)
        scores[:, numeric] = 1 - np.abs(correlations[0] - correlations[1]) / 2
        strengths[:, numeric] = np.abs(correlations[0]) / CORRELATION_THRESHOLD
    others = np.setdiff1d(np.arange(len(pairs)), numeric)
    ends = {name: real.groups_at_the_ends(name) | synthetic.groups_at_the_ends(name) for name in real.numeric}
    uncut = {name for name in real.numeric if not (real.can_be_cut(name) and synthetic.can_be_cut(name))}
    for place in others:
        first, second = pairs[place]
        if uncut & {first, second}:
            continue
        scores[:, place], association = _contingency(real, synthetic, first, second)
        strengths[:, place] = association / ASSOCIATION_THRESHOLD
        for group in ends.get(first, set()) | ends.get(second, set()):
            cut = [name for name in (first, second) if name in real.numeric]
            if not all(side.can_be_cut(name, group) for side in (real, synthetic) for name in cut):
                continue
            scores[group + 1, place] = _without_group(real, synthetic, first, second, group)
    return scores, strengths


def _contingency(real: Side, synthetic: Side, first: str, second: str) -> tuple[Floats, Floats]:
    """Return 1 minus the total variation of two contingency tables, and Cramer's V of the real one: [1 + groups]."""
    cells, width = _cells(real, synthetic, first, second)
    size = int(max(cells[0].max(), cells[1].max())) + 1
    occupied = np.arange(size)
    if size > _CELLS_PER_ROW * (len(real.groups) + len(synthetic.groups)):
        occupied, places = np.unique(np.concatenate(cells), return_inverse=True)
        cells, size = np.split(places, [len(real.groups)]), len(occupied)
    scores, associations = [], []
    for seen, drawn in zip(real.counts(cells[0], size), synthetic.counts(cells[1], size), strict=True):
        scores.append(1 - np.abs(_shares(seen) - _shares(drawn)).sum(axis=1) / 2)
        associations.append(cramers_v(seen, occupied // width, occupied % width))
    return np.concatenate(scores), np.concatenate(associations)


def _cells(real: Side, synthetic: Side, first: str, second: str, without: int = -1) -> tuple[list[Codes], int]:
    """Return the cell of each row in the contingency table of two columns, and the width of that table."""
    codes = [[side.categories(name, without) for name in (first, second)] for side in (real, synthetic)]
    width = int(max(side[1].max() for side in codes)) + 1
    return [side[0].astype(np.int64) * width + side[1] for side in codes], width


def _without_group(real: Side, synthetic: Side, first: str, second: str, group: int) -> float:
    """Return 1 minus the total variation of two contingency tables without a group, with the bins of the others."""
    cells, _ = _cells(real, synthetic, first, second, group)
    kept = [codes[side.groups != group] for codes, side in zip(cells, (real, synthetic), strict=True)]
    size = int(max(codes.max() for codes in kept)) + 1
    shares = [np.bincount(codes, minlength=size) / len(codes) for codes in kept]
    return 1 - float(np.abs(shares[0] - shares[1]).sum()) / 2


def cramers_v(counts: Floats, first: Codes, second: Codes) -> Floats:
    """Return Cramer's V of counts [tables, cells] with the categories of each cell; NaN where a side has only one."""
    fewest, expected = np.full(len(counts), np.inf), np.ones_like(counts)
    for codes in (first, second):
        size = int(codes.max()) + 1
        places = np.arange(len(counts))[:, None] * size + codes
        margins = np.bincount(places.ravel(), counts.ravel(), len(counts) * size).reshape(-1, size)
        fewest = np.minimum(fewest, (margins > 0).sum(axis=1))
        expected *= margins[:, codes]
    squares = (counts**2 / np.where(counts > 0, expected, 1)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(fewest < 2, np.nan, np.sqrt(np.maximum(squares - 1, 0) / (fewest - 1)))


def _correlations(side: Side, pairs: list[tuple[str, str]]) -> Floats:
    """Return Pearson correlations of the rows in which both are present, on all rows and without each group.

    Shape [1 + groups, pairs]; NaN where SDMetrics has none: fewer than two rows, or one of the two constant.
    """
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    values = np.column_stack([side.numbers(name) for name in names])
    rows = np.array([[names.index(first), names.index(second)] for first, second in pairs])
    correlations, weak = _standard_correlations(values, side, rows)
    for place in np.flatnonzero(weak):
        both = values[:, rows[place]]
        # Rows without either are blanked, so that both are centred on the rows that count.
        both = np.where(np.isnan(both).any(axis=1, keepdims=True), np.nan, both)
        correlations[:, place] = _standard_correlations(both, side, np.array([[0, 1]]))[0][:, 0]
    return correlations


def _standard_correlations(values: Floats, side: Side, pairs: Codes) -> tuple[Floats, Marks]:
    """Return correlations [1 + groups, pairs], and for which pairs too few digits are left for them."""
    present = ~np.isnan(values)
    counts = np.maximum(present.sum(axis=0), 1)
    # From the smallest number on, in units of the range, a constant column is exactly 0 and no square overflows.
    scaled = np.where(present, values - np.where(present, values, np.inf).min(axis=0), 0.0)
    scaled /= np.maximum(scaled.max(axis=0), np.finfo(np.float64).tiny)
    scaled = np.where(present, scaled - scaled.sum(axis=0) / counts, 0.0)
    spread = np.sqrt((scaled**2).sum(axis=0) / counts)
    scaled /= np.where(spread > 0, spread, 1.0)
    first, second = pairs.T
    sums = np.empty((side.n_groups, 6, len(pairs)))
    for group, (start, stop) in enumerate(pairwise(side.bounds)):
        x, seen = scaled[start:stop], present[start:stop].astype(np.float64)
        totals, squares = x.T @ seen, (x**2).T @ seen
        sums[group, 0], sums[group, 5] = (seen.T @ seen)[first, second], (x.T @ x)[first, second]
        sums[group, 1:3] = totals[first, second], totals[second, first]
        sums[group, 3:5] = squares[first, second], squares[second, first]
    all_rows = sums.sum(axis=0)
    every = np.concatenate([all_rows[None], all_rows - sums]) if side.n_groups > 1 else all_rows[None]
    n, total_1, total_2, squares_1, squares_2, products = np.moveaxis(every, 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variances = squares_1 / n - (total_1 / n) ** 2, squares_2 / n - (total_2 / n) ** 2
        correlations = (products / n - total_1 / n * (total_2 / n)) / np.sqrt(variances[0] * variances[1])
    weak: Marks = ~((variances[0][0] > _CANCELLED) & (variances[1][0] > _CANCELLED))
    return np.where(np.isfinite(correlations), np.clip(correlations, -1, 1), np.nan), weak


def by_column(columns: dict[str, Floats], case: Case) -> Score:
    """Return the mean over the columns with a score, and the score of each, worst first."""
    scores = np.column_stack(list(columns.values()))
    score = _mean_score(scores, len(case.synthetic), "no column has values in both tables")
    found = {name: float(values[0]) for name, values in columns.items() if not np.isnan(values[0])}
    left_out = [name for name in columns if name not in found]
    worst = dict(sorted(found.items(), key=lambda item: item[1]))
    return replace(score, details={"columns": worst, "left out": left_out})


def _pair_score(case: Case, *, related: bool) -> Score:
    """Return the mean over pairs of columns: those related in the real table, or all."""
    pairs, n_pairs = _drawn_pairs(case)
    if not pairs:
        return Score(float("nan"), direction="higher", note="a single column has no pairs")
    scores, strengths = case.share("pair trends of SDMetrics", lambda: pair_trends(*sides_of(case), pairs))
    kept = strengths[0] > 1 if related else np.ones(len(pairs), dtype=bool)
    none = "no two columns are related strongly enough in the real table" if related else "no pair has values in both"
    more = selection_half_width(scores[0], strengths, case.generator()) if related else 0.0
    score = _mean_score(scores[:, kept], len(case.synthetic), none, more)
    if score.applies and len(pairs) < n_pairs:
        score = replace(score, note=f"{len(pairs):,} of {n_pairs:,} pairs were drawn")
    counted = np.flatnonzero(kept & ~np.isnan(scores[0]))
    found = {", ".join(pairs[place]): float(scores[0, place]) for place in counted}
    worst = dict(sorted(found.items(), key=lambda item: item[1])[:_MOST_LISTED])
    return replace(score, details={"pairs": worst, "number of pairs": len(found)})


def _drawn_pairs(case: Case) -> tuple[list[tuple[str, str]], int]:
    """Return all pairs of columns, or as many as the limits allow, and how many there are."""
    pairs = list(combinations(case.view.columns, 2))
    order = np.sort(case.generator().permutation(len(pairs))[: case.limits.pairs])
    return [pairs[place] for place in order], len(pairs)


def _mean_score(scores: Floats, n: int, none: str, more: float = 0.0) -> Score:
    """Turn [on all rows, without group 0, ...] x [items] into a score; items without a value are left out."""
    scores = scores[:, ~np.isnan(scores[0])]
    if not scores.size:
        return Score(float("nan"), n=n, direction="higher", note=none)
    # An item that one group alone makes computable says nothing about the spread.
    means = np.where(np.isnan(scores), scores[0], scores).mean(axis=1)
    value = float(means[0])
    half = float(np.hypot(jackknife_interval(value, means[1:])[1] - value, more)) if len(means) > 1 else np.nan
    low, high = np.clip([value - half, value + half], 0, 1).tolist()
    return Score(value, low, high, n=n, direction="higher")


_SOURCE = "SDMetrics 0.32"
_PAIRS = "every row; at most 10,000 pairs"
_standard = partial(Metric, theme="fidelity", direction="higher", bounds=(0.0, 1.0), ideal=1.0)
METRICS = (
    _standard(
        name="column_shapes",
        title="Column Shapes",
        source=f"{_SOURCE}, QualityReport",
        meaning="Single columns agree with the real ones to {percent}, as SDMetrics counts.",
        reading="SDMetrics' Column Shapes: 1 minus the largest gap of the two distribution functions for a number or a "
        "date, 1 minus half the summed difference of shares for anything else, as a mean over the columns. Missing "
        "values are left out, and so is a column that is empty in one of the tables.",
        lies="Columns drawn independently score above 0.99. A column that has lost all of its missing values, or all "
        "of its values, loses nothing.",
        good="As the ceiling; for some ten thousand rows above 0.98.",
        rows="every row",
        compute=lambda case: by_column(column_shapes(*sides_of(case)), case),
    ),
    _standard(
        name="column_pair_trends",
        title="Column Pair Trends",
        source=f"{_SOURCE}, QualityReport",
        meaning="Related pairs of columns agree with the real ones to {percent}, as SDMetrics counts.",
        reading="SDMetrics' Column Pair Trends as its present report prints it: 1 minus half the difference of the "
        "correlations of two numbers, 1 minus half the summed difference of the contingency tables otherwise, as a "
        "mean over the pairs that are related in the real table (correlation beyond 0.5, Cramer's V above 0.3).",
        lies="Numbers that meet a category are cut into ten bins between the extremes of each table's own, so one "
        "outlier on either side moves every bin (`trend_err` cuts both tables at the real deciles). Relations weaker "
        "than the thresholds and relations that the generator invents do not count. SDMetrics draws 50,000 rows of "
        "larger tables for contingency tables; here every row counts.",
        good="As the ceiling, and far above the floor.",
        rows=_PAIRS,
        compute=lambda case: _pair_score(case, related=True),
    ),
    _standard(
        name="column_pair_trends_all",
        title="Column Pair Trends of all pairs",
        source=f"{_SOURCE} with both thresholds at 0, which is QualityReport up to the end of 2025",
        meaning="All pairs of columns agree with the real ones to {percent}, as SDMetrics counted until 2025.",
        reading="Column Pair Trends over all pairs of columns, related or not, for comparison with published tables: "
        "nearly all of them come from versions of SDMetrics without thresholds.",
        lies="Most pairs of most tables are nearly independent, so independent columns score above 0.9.",
        good="As the ceiling, and clearly above the floor.",
        rows=_PAIRS,
        compute=lambda case: _pair_score(case, related=False),
    ),
)
