"""Wilcoxon's rank-sum test of every gene in every type against the rest, all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthkit.evaluation.intervals import Floats

_GENES = 500


@dataclass(frozen=True, eq=False)
class RankSums:
    """What the test needs of some cells.

    Attributes
    ----------
    sums
        Sum of the ranks of the cells of each group and type, ``[groups, types, genes]``.
    counts
        Number of cells of each group and type, ``[groups, types]``.
    ties
        For each gene, one minus the sum of t³ − t over its ties by n³ − n, ``[genes]``.
    """

    sums: Floats
    counts: Floats
    ties: Floats


def rank_sums(
    values: npt.NDArray[np.float32], codes: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], n_types: int
) -> RankSums:
    """Return sums of ranks over the cells of each group and type.

    Parameters
    ----------
    values
        ``[cells, genes]``.
    codes, groups
        Type and group of each cell, ``[cells]``.
    n_types
        Number of types.
    """
    n, n_genes = values.shape
    n_groups = int(groups.max()) + 1
    member = np.zeros((n_groups * n_types, n))
    member[groups * n_types + codes, np.arange(n)] = 1.0
    sums = np.empty((n_groups * n_types, n_genes))
    ties = np.ones(n_genes)
    for start in range(0, n_genes, _GENES):
        # Ranks come in the type of the values, and float32 cannot tell large ranks apart.
        block = values[:, start : start + _GENES].astype(np.float64)
        ranks = stats.rankdata(block, axis=0)
        sums[:, start : start + _GENES] = member @ ranks
        ties[start : start + _GENES] = _tie_factors(block)
    counts = member.sum(axis=1).reshape(n_groups, n_types)
    return RankSums(sums.reshape(n_groups, n_types, n_genes), counts, ties)


def z_scores(
    sums: Floats, counts: Floats, ties: Floats, *, continuity: bool = True, total: float | None = None
) -> Floats:
    """Return the z score of each gene in each type against all other types, ``[types, genes]``; above 0 is higher.

    Parameters
    ----------
    sums, counts
        Sums of ranks ``[types, genes]`` and numbers of cells ``[types]``.
    ties
        From `RankSums`.
    continuity
        Whether half a rank is taken off, as scipy and R do.
    total
        Number of cells that were ranked; that of `counts` when None. With cells left out, the ranks are those among
        all cells, scaled.

    Returns
    -------
    numpy.ndarray
        0 for a gene that is the same everywhere, and for a type without cells or without a rest.

    References
    ----------
    Mann and Whitney (1947); the variance with ties as in Lehmann (1975), Nonparametrics.
    """
    n = float(counts.sum())
    scaled = sums if total is None or total == n else _rescaled(sums, counts, n, total)
    own, rest = counts[:, None], n - counts[:, None]
    u = scaled - own * (own + 1) / 2
    spread = np.sqrt(np.maximum(own * rest * (n + 1) / 12 * ties[None], 0.0))
    gap = u - own * rest / 2
    if continuity:
        gap = np.sign(gap) * np.maximum(np.abs(gap) - 0.5, 0.0)
    found: Floats = np.divide(gap, spread, out=np.zeros_like(gap), where=spread > 1e-9)
    return found


def wilcoxon(values: npt.NDArray[np.float32], codes: npt.NDArray[np.int64], n_types: int) -> tuple[Floats, Floats]:
    """Return z scores and two-sided p-values of each gene in each type against the rest, both ``[types, genes]``.

    The normal approximation with ties and continuity corrected: what ``scipy.stats.mannwhitneyu`` computes with
    ``method="asymptotic"``, one gene and type at a time.

    Parameters
    ----------
    values
        ``[cells, genes]``.
    codes
        Type of each cell, ``[cells]``.
    n_types
        Number of types.
    """
    ranked = rank_sums(values, codes, np.zeros(len(codes), dtype=np.int64), n_types)
    z = z_scores(ranked.sums[0], ranked.counts[0], ranked.ties)
    return z, p_values(z)


def p_values(z: Floats) -> Floats:
    """Return two-sided p-values of z scores, of the same shape."""
    found: Floats = np.minimum(1.0, 2 * stats.norm.sf(np.abs(z)))
    return found


def _rescaled(sums: Floats, counts: Floats, n: float, total: float) -> Floats:
    """Return sums of ranks among `n` cells from ranks among `total` cells: places in the distribution are kept."""
    own = counts[:, None]
    return own / 2 + (sums - own / 2) * n / total


def _tie_factors(block: Floats) -> Floats:
    """Return one minus the sum of t³ − t over the ties of each column by n³ − n, ``[genes]``."""
    n = len(block)
    if n < 2:
        return np.zeros(block.shape[1])
    ordered = np.sort(block, axis=0)
    new = np.ones((n + 1, block.shape[1]), dtype=bool)
    new[1:-1] = ordered[1:] != ordered[:-1]
    # Column by column, runs lie between marks: with a mark at either end no run reaches over two columns.
    places = np.flatnonzero(new.T.ravel())
    lengths, columns = np.diff(places), places[:-1] // (n + 1)
    inside = places[1:] // (n + 1) == columns
    lengths, columns = lengths[inside].astype(np.float64), columns[inside]
    tied = np.bincount(columns, weights=lengths**3 - lengths, minlength=block.shape[1])
    return np.asarray(1.0 - tied / (float(n) ** 3 - n), dtype=np.float64)
