"""Fidelity: how far the margins of single columns and the relations of pairs of columns are from the real ones.

Both are small for independent columns or nearly so; neither proves anything alone (see `controls.independent_columns`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.distances import compare_numbers
from synthkit.evaluation.intervals import Floats, groups_of, jackknife_interval
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView

Groups = npt.NDArray[np.int64]
MOST_PAIRS = 10_000
# Numbers are cut at the real deciles where they meet a category.
_N_BINS = 10
# Beyond this many cells per row a contingency table is kept by its occupied cells only.
_DENSE_CELLS_PER_ROW = 2


def shape_errors(view: TableView, real: CodedTable, synthetic: CodedTable) -> dict[str, float]:
    """Return the distance of the margins of each column, in [0, 1].

    The Kolmogorov-Smirnov statistic for numbers (missing ones left out), total variation for categories (missing is
    one of them). One minus this is KSComplement and TVComplement of SDMetrics.
    """
    none = np.zeros(len(real), dtype=np.int64), np.zeros(len(synthetic), dtype=np.int64)
    return {name: float(errors[0]) for name, errors in _shape(view, real, synthetic, none).items()}


def shape_score(view: TableView, real: CodedTable, synthetic: CodedTable, generator: np.random.Generator) -> Score:
    """Return the mean of `shape_errors` over the columns, with a jackknife interval."""
    groups = groups_of(len(real), generator), groups_of(len(synthetic), generator)
    errors = _shape(view, real, synthetic, groups)
    details = {name: float(values[0]) for name, values in sorted(errors.items(), key=lambda item: -item[1][0])}
    return replace(_score(np.mean(list(errors.values()), axis=0), len(synthetic)), details={"columns": details})


def trend_score(
    view: TableView,
    real: CodedTable,
    synthetic: CodedTable,
    generator: np.random.Generator,
    *,
    most_pairs: int = MOST_PAIRS,
) -> Score:
    """Return the mean error of the relations of all pairs of columns, in [0, 1], with a jackknife interval.

    Half the absolute difference of Pearson correlations for two numbers; total variation of the contingency tables for
    all other pairs, with numbers cut at the real deciles. Of more than `most_pairs` such tables as many are drawn.
    """
    groups = groups_of(len(real), generator), groups_of(len(synthetic), generator)
    errors = [*_correlation_errors(real.numbers, synthetic.numbers, groups)]
    edges = [_inner_deciles(column) for column in real.numbers.T]
    # A missing number falls into the last bin: digitize sorts it to the end.
    coded = [
        np.column_stack(
            [*(np.digitize(column, cut) for column, cut in zip(table.numbers.T, edges, strict=True)), table.codes]
        )
        for table in (real, synthetic)
    ]
    n_numbers = real.numbers.shape[1]
    sides = [_Side(codes, group) for codes, group in zip(coded, groups, strict=True)]
    sizes = np.maximum(coded[0].max(axis=0), coded[1].max(axis=0)) + 1
    pairs = [(first, second) for first in range(len(sizes)) for second in range(max(first + 1, n_numbers), len(sizes))]
    note = ""
    if len(pairs) > most_pairs:
        note = f"{most_pairs:,} of {len(pairs):,} pairs with a category were drawn"
        pairs = [pairs[place] for place in np.sort(generator.permutation(len(pairs))[:most_pairs])]
    for first, second in pairs:
        joint = [side.codes[:, first] * sizes[second] + side.codes[:, second] for side in sides]
        errors.append(_total_variation(joint[0], joint[1], int(sizes[first] * sizes[second]), groups))
    if not errors:
        return Score(float("nan"), direction="lower", note="a single column has no pairs")
    return replace(_score(np.mean(errors, axis=0), len(synthetic)), note=note)


@dataclass(frozen=True)
class _Side:
    """The codes of one table, column after column in memory, and the jackknife group of each row."""

    codes: npt.NDArray[np.int64]
    groups: Groups

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", np.asfortranarray(self.codes))


def _score(errors: Floats, n: int) -> Score:
    """Turn [on all rows, without group 0, without group 1, ...] into a score."""
    low, high = jackknife_interval(float(errors[0]), errors[1:])
    return Score(float(errors[0]), max(0.0, low), min(1.0, high), n=n, direction="lower")


def _shape(
    view: TableView, real: CodedTable, synthetic: CodedTable, groups: tuple[Groups, Groups]
) -> dict[str, Floats]:
    """Return for each column the error on all rows, then the error without each group."""
    errors = {}
    for position, name in enumerate(view.numeric):
        errors[name] = _kolmogorov_smirnov(real.numbers[:, position], synthetic.numbers[:, position], groups)
    for position, name in enumerate(view.categorical):
        first, second = real.codes[:, position], synthetic.codes[:, position]
        size = int(max(first.max(), second.max())) + 1
        errors[name] = _total_variation(first, second, size, groups)
    return errors


def _n_groups(groups: tuple[Groups, Groups]) -> int:
    return int(min(groups[0].max(), groups[1].max())) + 1


def _kolmogorov_smirnov(real: Floats, synthetic: Floats, groups: tuple[Groups, Groups]) -> Floats:
    """Return the largest distance of two distribution functions, on all rows and without each group."""
    n_groups = _n_groups(groups)
    members = np.minimum(groups[0], n_groups - 1), np.minimum(groups[1], n_groups - 1)
    compared = compare_numbers(real, synthetic, members, n_groups)
    if compared is None:
        return np.full(n_groups + 1, float(np.isnan(real).all() != np.isnan(synthetic).all()))
    without_groups = np.abs(compared.without_groups).max(axis=1)
    return np.concatenate([[np.abs(compared.difference).max()], without_groups])


def _total_variation(
    real: npt.NDArray[np.int64], synthetic: npt.NDArray[np.int64], size: int, groups: tuple[Groups, Groups]
) -> Floats:
    """Return half the summed distance of two tables of shares, on all rows and without each group."""
    n_groups = _n_groups(groups)
    if size > _DENSE_CELLS_PER_ROW * (len(real) + len(synthetic)):
        occupied, places = np.unique(np.concatenate([real, synthetic]), return_inverse=True)
        real, synthetic, size = places[: len(real)], places[len(real) :], len(occupied)
    difference = _shares(real, groups[0], size, n_groups) - _shares(synthetic, groups[1], size, n_groups)
    distance: Floats = 0.5 * np.abs(difference).sum(axis=1)
    return distance


def _shares(codes: npt.NDArray[np.int64], groups: Groups, size: int, n_groups: int) -> Floats:
    """Return the share of each code on all rows, then without each group, shape [1 + groups, size]."""
    counts = np.bincount(np.minimum(groups, n_groups - 1) * size + codes, minlength=size * n_groups)
    by_group = counts.reshape(n_groups, size)
    total = by_group.sum(axis=0)
    if n_groups == 1:
        # Nothing is left without the only group; the caller wants the first row alone.
        kept: Floats = np.vstack([total, total]).astype(np.float64)
    else:
        kept = np.vstack([total, total - by_group]).astype(np.float64)
    kept /= np.maximum(kept.sum(axis=1, keepdims=True), 1)
    return kept


def _correlation_errors(real: Floats, synthetic: Floats, groups: tuple[Groups, Groups]) -> list[Floats]:
    """Return half the absolute difference of correlations of each pair, on all rows and without each group."""
    n_numbers = real.shape[1]
    if n_numbers < 2:
        return []
    n_groups = _n_groups(groups)
    difference = np.abs(_correlations(real, groups[0], n_groups) - _correlations(synthetic, groups[1], n_groups)) / 2
    rows, columns = np.triu_indices(n_numbers, 1)
    return list(difference[:, rows, columns].T)


def _correlations(values: Floats, groups: Groups, n_groups: int) -> Floats:
    """Return pairwise-complete Pearson correlations [1 + groups, columns, columns]; 0 where one is undefined."""
    present = ~np.isnan(values)
    counts = np.maximum(present.sum(axis=0), 1)
    centre = np.where(present, values, 0).sum(axis=0) / counts
    centred = np.where(present, values - centre, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / counts)
    centred = centred / np.where(spread > 0, spread, 1.0)
    sums = np.empty((n_groups, 4, values.shape[1], values.shape[1]))
    for group in range(n_groups):
        rows = groups == group if group < n_groups - 1 else groups >= group
        x, seen = centred[rows], present[rows].astype(np.float64)
        sums[group] = seen.T @ seen, x.T @ seen, (x**2).T @ seen, x.T @ x
    total = sums.sum(axis=0)
    pairs, first, squares, products = np.moveaxis(np.concatenate([total[None], total[None] - sums]), 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = products / pairs - (first / pairs) * (np.swapaxes(first, 1, 2) / pairs)
        variance = squares / pairs - (first / pairs) ** 2
        correlation = covariance / np.sqrt(variance * np.swapaxes(variance, 1, 2))
    defined = (variance > 1e-12) & (np.swapaxes(variance, 1, 2) > 1e-12)
    return np.where(defined, correlation, 0.0)


def _inner_deciles(column: Floats) -> Floats:
    """Return the distinct inner deciles of the numbers in a column."""
    quantiles = np.quantile(column[~np.isnan(column)], np.linspace(0, 1, _N_BINS + 1))
    inner: Floats = np.unique(quantiles)[1:-1]
    return inner


METRICS = (
    Metric(
        name="shape_err",
        theme="fidelity",
        title="shape error",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.0,
        source="Kolmogorov-Smirnov and total variation distance of the margins",
        meaning="Single columns differ from the real ones by {percent} on average.",
        reading="How far the distribution of one column is from the real one, as a mean over all columns: the largest "
        "gap of the two distribution functions for a number or a date, half the summed difference of shares for "
        "anything else (a missing value is one category).",
        lies="Columns drawn independently have almost none, so it proves nothing about the table as a whole.",
        good="At most twice the ceiling; for some ten thousand rows below 0.01.",
        rows="every row",
        compute=lambda case: shape_score(case.view, case.train.coded, case.synthetic.coded, case.generator()),
    ),
    Metric(
        name="trend_err",
        theme="fidelity",
        title="trend error",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.0,
        source="Pearson correlation and total variation of contingency tables, numbers cut at the real deciles",
        meaning="Relations of pairs of columns differ by {percent} on average.",
        reading="How far the relation of two columns is from the real one, as a mean over all pairs: half the "
        "difference of the correlations of two numbers, half the summed difference of the contingency tables "
        "otherwise.",
        lies="Most pairs of most tables are nearly independent, so independent columns come out well.",
        good="At most twice the ceiling, and far below the floor.",
        rows="every row; at most 10,000 pairs",
        compute=lambda case: trend_score(
            case.view, case.train.coded, case.synthetic.coded, case.generator(), most_pairs=case.limits.pairs
        ),
    ),
)
