"""Whether genes, one at a time, and cells, by their totals, look real: means, variances, zeros, library sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats

from synthkit.evaluation.expression.case import Side
from synthkit.evaluation.expression.leave_out import Interval, Sums, Values, two_sided
from synthkit.evaluation.intervals import Floats

GENE_NAMES = (
    "gene_mean_r",
    "gene_mean_error",
    "gene_variance_r",
    "gene_variance_error",
    "zero_share_error",
    "mean_variance_gap",
)
_CURVE_BINS = 20
_FEWEST_IN_BIN = 3


def gene_sums(side: Side) -> Sums:
    """Return, for each group of cells, sums, sums of squares and numbers of zeros of every gene, in one pass."""
    n_groups = int(side.groups.max()) + 1
    member = np.zeros((n_groups, len(side)))
    member[side.groups, np.arange(len(side))] = 1.0
    values = side.data.values
    if sparse.issparse(values):
        matrix = sparse.csr_matrix(values, dtype=np.float64)
        square, other = matrix.multiply(matrix).tocsr(), (matrix != 0).astype(np.float64)
        members = sparse.csr_matrix(member)
        sums, squares, positive = (np.asarray((members @ part).todense()) for part in (matrix, square, other))
    else:
        dense = np.asarray(values, dtype=np.float64)
        sums, squares, positive = member @ dense, member @ dense**2, member @ (dense != 0)
    counts = member.sum(axis=1)
    return Sums({"cells": counts, "sum": sums, "square": squares, "zeros": counts[:, None] - positive})


def gene_moments(sums: Mapping[str, Floats]) -> tuple[Floats, Floats, Floats]:
    """Return mean, variance and share of zeros of each gene, each ``[genes]``, from the sums of some cells."""
    n = float(sums["cells"])
    mean = sums["sum"] / n
    variance = np.maximum(sums["square"] / n - mean**2, 0.0) * n / max(1.0, n - 1)
    return mean, variance, sums["zeros"] / n


def gene_scores(reference: Side, other: Side) -> dict[str, Interval]:
    """Return how well mean, variance and share of zeros of each gene agree.

    Parameters
    ----------
    reference
        Held-out real cells.
    other
        The cells that are scored.

    Returns
    -------
    dict
        Pearson's r and mean absolute error, in doublings, of means and of variances; the mean absolute error of shares
        of zeros; the mean absolute gap of the curves of variance by mean, in doublings.

    Notes
    -----
    Counts and rates are compared as logarithms to the base 2, to which half the smallest real value above 0 is added.
    Means of logarithms and of intensities are compared as they are, their variances as logarithms.
    """
    first, second = gene_sums(reference), gene_sums(other)
    mean, variance, _ = gene_moments(first.without(None))
    logarithm = reference.data.measure in ("counts", "rates")
    added = (_half_smallest(mean) if logarithm else 0.0, _half_smallest(variance))

    def scores(real: Mapping[str, Floats], made: Mapping[str, Floats]) -> dict[str, float]:
        (means, variances, zeros), (own_means, own_variances, own_zeros) = gene_moments(real), gene_moments(made)
        if logarithm:
            means, own_means = np.log2(means + added[0]), np.log2(own_means + added[0])
        # Sums of squares of floats leave rounding where a variance is 0.
        variances, own_variances = np.log2(variances + added[1]), np.log2(own_variances + added[1])
        return {
            "gene_mean_r": pearson(means, own_means),
            "gene_mean_error": float(np.abs(means - own_means).mean()),
            "gene_variance_r": pearson(variances, own_variances),
            "gene_variance_error": float(np.abs(variances - own_variances).mean()),
            "zero_share_error": float(np.abs(zeros - own_zeros).mean()),
            "mean_variance_gap": curve_gap(means, variances, own_means, own_variances),
        }

    return two_sided(scores, first, second)


def curve_gap(means: Floats, variances: Floats, own_means: Floats, own_variances: Floats) -> float:
    """Return the mean absolute gap of two curves of variance by mean, both ``[genes]`` and in logarithms.

    The curve of either set is the median variance of genes in bins of the mean; bins hold equally many real genes.
    """
    edges = np.quantile(means, np.linspace(0, 1, _CURVE_BINS + 1)[1:-1])
    bins, own_bins = np.searchsorted(edges, means, side="right"), np.searchsorted(edges, own_means, side="right")
    gaps = []
    for place in range(_CURVE_BINS):
        here, there = variances[bins == place], own_variances[own_bins == place]
        if min(len(here), len(there)) >= _FEWEST_IN_BIN:
            gaps.append(abs(float(np.median(here)) - float(np.median(there))))
    return float(np.mean(gaps)) if gaps else math.nan


def total_scores(reference: Side, other: Side) -> dict[str, Interval]:
    """Return the largest gap of the distributions of library sizes and of numbers of detected genes.

    Parameters
    ----------
    reference, other
        As in `gene_scores`.
    """
    found: dict[str, Interval] = {}
    for name, of in (("library_size_ks", library_sizes), ("detected_genes_ks", detected_genes)):
        first, second = Values(of(reference), reference.groups), Values(of(other), other.groups)
        found |= two_sided(lambda real, made, name=name: {name: kolmogorov_smirnov(real, made)}, first, second)  # type: ignore[misc]
    return found


def library_sizes(side: Side) -> Floats:
    """Return the sum of all values of each cell, ``[cells]``."""
    return side.data.totals()


def detected_genes(side: Side) -> Floats:
    """Return the number of genes above 0 in each cell, ``[cells]``."""
    return np.asarray((side.data.values > 0).sum(axis=1), dtype=np.float64).ravel()


def quality(side: Side) -> npt.NDArray[np.float32]:
    """Return what quality control looks at, ``[cells, 3]``: library size, detected genes and the largest value."""
    largest = side.data.values.max(axis=1)
    largest = largest.toarray() if sparse.issparse(largest) else np.asarray(largest)
    return np.column_stack([library_sizes(side), detected_genes(side), largest.ravel()]).astype(np.float32)


def kolmogorov_smirnov(first: Floats, second: Floats) -> float:
    """Return the largest gap of two empirical distribution functions."""
    both = np.sort(np.concatenate([first, second]))
    places = (np.searchsorted(np.sort(one), both, side="right") / len(one) for one in (first, second))
    return float(np.abs(next(places) - next(places)).max())


def share_distance(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], n: int) -> float:
    """Return the total variation distance of the shares of `n` types in two sets of cells, from 0 to 1."""
    shares = [np.bincount(codes, minlength=n) / len(codes) for codes in (first, second)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def share_scores(reference: Side, other: Side, n_classes: int, n_batches: int) -> dict[str, Interval]:
    """Return the distance of the shares of types and of batches, where there are any."""
    found: dict[str, Interval] = {}
    for name, n, first, second in (
        ("type_share_error", n_classes, reference.classes, other.classes),
        ("batch_share_error", n_batches, reference.batches, other.batches),
    ):
        if n:
            found |= two_sided(
                lambda real, made, name=name, n=n: {name: share_distance(real, made, n)},  # type: ignore[misc]
                Values(first, reference.groups),  # type: ignore[arg-type]
                Values(second, other.groups),  # type: ignore[arg-type]
            )
    return found


def pearson(first: Floats, second: Floats) -> float:
    """Return Pearson's r; NaN where either is constant."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(stats.pearsonr(first, second).statistic)


def _half_smallest(values: Floats) -> float:
    # Below this a variance is what rounding leaves of sums of squares.
    positive = values[values > 1e-12]
    return float(positive.min()) / 2 if len(positive) else 1.0
