"""Distances of single columns: 1-Wasserstein for numbers, Jensen-Shannon for every column.

Beside the Kolmogorov-Smirnov and total variation distances of `fidelity`, which see that a share of rows has moved but
not how far: the Wasserstein distance grows with how far.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from synthkit.evaluation.intervals import Floats, groups_of, jackknife_interval
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, Codes, TableView

# Numbers are cut at this many real quantiles where shares are compared.
_N_BINS = 20
# At most so many values make the grid on which distribution functions are compared without a group of rows.
_GRID = 5000
_MOST_LISTED = 3


def inner_quantiles(column: Floats, bins: int) -> Floats:
    """Return where the numbers of a column are cut into bins of about equally many.

    Parameters
    ----------
    column
        The numbers, NaN where missing, shape [rows].
    bins
        Number of bins; fewer come out where numbers are repeated.

    Returns
    -------
    numpy.ndarray
        Distinct inner quantiles in ascending order; empty when every number is missing.
    """
    present = column[~np.isnan(column)]
    if len(present) == 0:
        return np.empty(0)
    edges: Floats = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1)[1:-1]))
    return edges


def cut(column: Floats, edges: Floats) -> Codes:
    """Return the bin of each number: bin k holds numbers up to edge k, the last but one those above all, the last gaps.

    Parameters
    ----------
    column
        The numbers, NaN where missing, shape [rows].
    edges
        Ascending, shape [edges].

    Returns
    -------
    numpy.ndarray
        Integers from 0 to `len(edges)` + 1, which is the bin of missing numbers, shape [rows].
    """
    bins = np.searchsorted(edges, column)
    bins[np.isnan(column)] = len(edges) + 1
    return bins


def groups_of_both(n_real: int, n_synthetic: int, generator: np.random.Generator) -> tuple[Codes, Codes, int]:
    """Return the jackknife group of each row of two tables, and the number of groups, the same for both."""
    groups = groups_of(n_real, generator), groups_of(n_synthetic, generator)
    n_groups = int(min(groups[0].max(), groups[1].max())) + 1
    return groups[0] % n_groups, groups[1] % n_groups, n_groups


def shares_without_groups(codes: Codes, groups: Codes, size: int, n_groups: int) -> Iterator[Floats]:
    """Yield the share of each code on all rows, then without each group.

    One table of shares is in memory at a time, so that columns with a million distinct values can be compared.

    Parameters
    ----------
    codes
        Integers from 0 to `size` - 1, shape [rows].
    groups
        Integers from 0 to `n_groups` - 1, shape [rows].
    size, n_groups
        Number of codes and groups; a group may be empty.

    Yields
    ------
    numpy.ndarray
        Shares, shape [size]; zeros when no row is left.
    """
    total = np.bincount(codes, minlength=size)
    yield total / max(len(codes), 1)
    by_group = codes[np.argsort(groups.astype(np.int16), kind="stable")]
    ends = np.cumsum(np.bincount(groups, minlength=n_groups))
    for group in range(n_groups):
        start, end = int(ends[group - 1]) if group else 0, int(ends[group])
        yield (total - np.bincount(by_group[start:end], minlength=size)) / max(len(codes) - (end - start), 1)


@dataclass(frozen=True)
class Compared:
    """The distribution functions of two columns of numbers.

    Attributes
    ----------
    values
        The distinct numbers of both columns in ascending order, shape [values].
    difference
        Real minus synthetic distribution function at each of them, shape [values].
    grid
        Some thousand of the values.
    without_groups
        Differences on the grid without each jackknife group, shape [groups, grid].
    """

    values: Floats
    difference: Floats
    grid: Floats
    without_groups: Floats


def compare_numbers(real: Floats, synthetic: Floats, groups: tuple[Codes, Codes], n_groups: int) -> Compared | None:
    """Return the distribution functions of two columns of numbers, or None where either has no number.

    Without a group they are known on a grid, which is as good for an interval: memory and time then grow with the
    rows, not with rows times groups. For columns with up to 5,000 distinct values the grid is all of them.

    Parameters
    ----------
    real, synthetic
        The numbers, NaN where missing, shapes [real rows] and [synthetic rows].
    groups, n_groups
        Jackknife group of each row of either column, and their number; groups may be empty.
    """
    present = ~np.isnan(real), ~np.isnan(synthetic)
    n = int(present[0].sum()), int(present[1].sum())
    if not n[0] or not n[1]:
        return None
    values, codes = np.unique(np.concatenate([real[present[0]], synthetic[present[1]]]), return_inverse=True)
    places = codes[: n[0]], codes[n[0] :]
    shares = [np.bincount(place, minlength=len(values)) / len(place) for place in places]
    step = -(-len(values) // _GRID)
    size = -(-len(values) // step)
    thinned = (
        shares_without_groups(place // step, group[keep], size, n_groups)
        for place, group, keep in zip(places, groups, present, strict=True)
    )
    differences = [np.cumsum(first - second) for first, second in zip(*thinned, strict=True)]
    ends = np.minimum(np.arange(1, size + 1) * step, len(values)) - 1
    return Compared(values, np.cumsum(shares[0] - shares[1]), values[ends], np.array(differences[1:]))


def wasserstein_distance(real: Floats, synthetic: Floats, groups: tuple[Codes, Codes], n_groups: int) -> Floats:
    """Return the 1-Wasserstein distance of two columns in real standard deviations.

    Parameters
    ----------
    real, synthetic
        The numbers, NaN where missing, shapes [real rows] and [synthetic rows].
    groups, n_groups
        Jackknife group of each row of either column, and their number; groups may be empty.

    Returns
    -------
    numpy.ndarray
        The distance on all rows, then about that without each group, shape [1 + groups]: 0 where all numbers are
        equal; NaN where either side has no number, or the real numbers have no spread and the synthetic ones differ.

    Notes
    -----
    The distance is the area between the two distribution functions (Vallender 1974).
    """
    compared = compare_numbers(real, synthetic, groups, n_groups)
    if compared is None:
        return np.full(n_groups + 1, math.nan)
    if len(compared.values) == 1:
        return np.zeros(n_groups + 1)
    deviations = _deviations(real, groups[0], n_groups)
    if deviations[0] == 0:
        return np.full(n_groups + 1, math.nan)
    areas = [np.abs(compared.difference[:-1]) @ np.diff(compared.values)]
    areas.extend(np.abs(compared.without_groups[:, :-1]) @ np.diff(compared.grid))
    distances: Floats = np.array(areas) / deviations
    return distances


def _deviations(column: Floats, groups: Codes, n_groups: int) -> Floats:
    """Return the standard deviation of the numbers of a column on all rows, then without each group."""
    present = ~np.isnan(column)
    numbers, members = column[present], groups[present]
    spread = float(np.ptp(numbers))
    if spread == 0:
        return np.zeros(n_groups + 1)
    # In units of the range, so that no square overflows or vanishes.
    centred = numbers / spread - np.mean(numbers / spread)
    sums = np.array(
        [np.bincount(members, weights=weights, minlength=n_groups) for weights in (centred**0, centred, centred**2)]
    )
    total = sums.sum(axis=1, keepdims=True)
    count, first, second = np.hstack([total, total - sums])
    variance = (second - first**2 / np.maximum(count, 1)) / np.maximum(count - 1, 1)
    # Where a group holds all that is spread, the distance without it has no unit of its own.
    kept = np.where(variance > 1e-12 * variance[0], variance, variance[0])
    deviations: Floats = spread * np.sqrt(kept)
    return deviations


def wasserstein_score(
    view: TableView, real: CodedTable, synthetic: CodedTable, generator: np.random.Generator
) -> Score:
    """Return the mean of `wasserstein_distance` over numbers and dates, with a jackknife interval."""
    n = len(synthetic)
    if not view.numeric:
        return Score(math.nan, n=n, note="there is no column of numbers or dates")
    first, second, n_groups = groups_of_both(len(real), n, generator)
    found = {
        name: wasserstein_distance(real.numbers[:, position], synthetic.numbers[:, position], (first, second), n_groups)
        for position, name in enumerate(view.numeric)
    }
    known = {name: distances for name, distances in found.items() if not math.isnan(distances[0])}
    if not known:
        return Score(math.nan, n=n, note="no column has numbers in both tables and real spread")
    note = ""
    left_out = [name for name in found if name not in known]
    if left_out:
        shown = ", ".join(left_out[:_MOST_LISTED])
        more = f" and {len(left_out) - _MOST_LISTED} more" if len(left_out) > _MOST_LISTED else ""
        note = f"left out for want of numbers in both tables or of real spread: {shown}{more}"
    return replace(_mean_score(known, n, math.inf), note=note)


def jensen_shannon_distance(real: Floats, synthetic: Floats) -> float:
    """Return the Jensen-Shannon distance of two distributions: the square root of the divergence in bits, in [0, 1].

    Parameters
    ----------
    real, synthetic
        Shares that sum to one, shape [categories].
    """
    middle = (real + synthetic) / 2
    divergence = 0.0
    for shares in (real, synthetic):
        some = shares > 0
        divergence += float(shares[some] @ np.log2(shares[some] / middle[some])) / 2
    return math.sqrt(min(1.0, max(0.0, divergence)))


def jensen_shannon_score(
    view: TableView, real: CodedTable, synthetic: CodedTable, generator: np.random.Generator
) -> Score:
    """Return the mean Jensen-Shannon distance over all columns, with a jackknife interval.

    Categories are compared as they are, missing being one of them; numbers are cut into 20 bins at the real quantiles,
    missing ones have a bin of their own.
    """
    first, second, n_groups = groups_of_both(len(real), len(synthetic), generator)
    errors: dict[str, Floats] = {}
    for name, codes in _coded_columns(view, real, synthetic):
        size = int(max(codes[0].max(), codes[1].max())) + 1
        shares = (
            shares_without_groups(code, groups, size, n_groups)
            for code, groups in zip(codes, (first, second), strict=True)
        )
        errors[name] = np.array([jensen_shannon_distance(*pair) for pair in zip(*shares, strict=True)])
    return _mean_score(errors, len(synthetic), 1.0)


def _mean_score(errors: dict[str, Floats], n: int, largest: float) -> Score:
    """Turn the errors of each column [on all rows, without group 0, without group 1, ...] into a score."""
    mean = np.mean(list(errors.values()), axis=0)
    low, high = jackknife_interval(float(mean[0]), mean[1:])
    columns = {name: float(values[0]) for name, values in sorted(errors.items(), key=lambda item: -item[1][0])}
    return Score(float(mean[0]), max(0.0, low), min(largest, high), n=n, details={"columns": columns})


def _coded_columns(
    view: TableView, real: CodedTable, synthetic: CodedTable
) -> Iterator[tuple[str, tuple[Codes, Codes]]]:
    """Yield the name and the codes of each column."""
    for position, name in enumerate(view.numeric):
        edges = inner_quantiles(real.numbers[:, position], _N_BINS)
        yield name, (cut(real.numbers[:, position], edges), cut(synthetic.numbers[:, position], edges))
    for position, name in enumerate(view.categorical):
        yield name, (real.codes[:, position], synthetic.codes[:, position])


METRICS = (
    Metric(
        name="wasserstein",
        theme="fidelity",
        title="Wasserstein distance",
        direction="lower",
        bounds=(0.0, math.inf),
        ideal=0.0,
        source="1-Wasserstein distance of the margins (Vallender 1974), in real standard deviations",
        meaning="Numbers would have to move by {value} real standard deviations on average to have the real margins.",
        reading="How far, on average, the numbers of a column would have to be moved to become distributed as the real "
        "ones, in real standard deviations; the mean over numbers and dates. Missing values are left out.",
        lies="It compares one column at a time, so independent columns have almost none. In columns with heavy tails "
        "the standard deviation is large, and mistakes in the bulk of the rows look small.",
        good="At most twice the ceiling; for some ten thousand rows below 0.02.",
        rows="every row",
        compute=lambda case: wasserstein_score(case.view, case.train.coded, case.synthetic.coded, case.generator()),
    ),
    Metric(
        name="jensen_shannon",
        theme="fidelity",
        title="Jensen-Shannon distance",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.0,
        source="Endres and Schindelin 2003, A new metric for probability distributions; base 2",
        meaning="The shares of values of single columns are {value} apart in Jensen-Shannon distance on average.",
        reading="Distance of the shares of the values of a column, 0 when they are equal and 1 when no value is in "
        "both tables; the mean over all columns. Numbers are cut into 20 bins at the real quantiles; a missing value "
        "is a value like any other.",
        lies="It compares one column at a time, so independent columns have almost none. A column of many rare "
        "categories is far from itself in another sample: look at the ceiling.",
        good="At most twice the ceiling; for some ten thousand rows below 0.03.",
        rows="every row",
        compute=lambda case: jensen_shannon_score(case.view, case.train.coded, case.synthetic.coded, case.generator()),
    ),
)
