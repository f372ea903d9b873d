"""Whether genes go together as in real cells: correlations, their edges, and the tree that they make."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import cophenet, linkage

from synthkit.evaluation.expression.case import Side
from synthkit.evaluation.expression.leave_out import Interval, Sums, two_sided
from synthkit.evaluation.expression.margins import pearson
from synthkit.evaluation.intervals import Floats

MOST_CORRELATED = 500
"""At most this many genes, the most variable of the training cells, are correlated."""
EDGE = 0.3


def product_sums(side: Side, genes: npt.NDArray[np.int64], n_classes: int) -> Sums:
    """Return, for each group of cells, the sums that correlations are made of: pooled, and within types.

    Parameters
    ----------
    side
        The cells.
    genes
        Which of its variable genes, as positions in `Side.logs`.
    n_classes
        Number of types; 0 where there are none.
    """
    logs = side.logs[:, genes].astype(np.float64)
    n_groups, n_types = int(side.groups.max()) + 1, max(1, n_classes)
    # Centred first: sums of squares of values far from 0 would lose their digits.
    logs -= logs.mean(axis=0)
    codes = side.classes if n_classes else np.zeros(len(side), dtype=np.int64)
    products = np.empty((n_groups, len(genes), len(genes)))
    sums, counts = np.zeros((n_groups, n_types, len(genes))), np.zeros((n_groups, n_types))
    for group in range(n_groups):
        own = side.groups == group
        products[group] = logs[own].T @ logs[own]
        np.add.at(sums[group], codes[own], logs[own])
        counts[group] = np.bincount(codes[own], minlength=n_types)
    return Sums({"products": products, "sums": sums, "counts": counts})


def correlations(sums: Mapping[str, Floats], *, within: bool = False) -> Floats:
    """Return the correlation of each pair of genes, ``[genes, genes]``; 0 with a gene that does not vary.

    Parameters
    ----------
    sums
        From `product_sums`.
    within
        Whether the mean of each type is taken off before.
    """
    sums_by_type, counts = sums["sums"], sums["counts"]
    if not within:
        sums_by_type, counts = sums_by_type.sum(axis=0, keepdims=True), counts.sum(keepdims=True)
    means = sums_by_type / np.maximum(counts, 1.0)[:, None]
    covariance = sums["products"] - sums_by_type.T @ means
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    # What rounding leaves of a gene that is the same everywhere counts as none.
    varies = spread > 1e-6 * max(float(spread.max()), 1e-300)
    scale = np.where(varies, 1.0 / np.where(varies, spread, 1.0), 0.0)
    found: Floats = np.clip(covariance * scale[:, None] * scale[None, :], -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return found


def pairs(matrix: Floats) -> Floats:
    """Return the entries above the diagonal, ``[pairs]``."""
    above: Floats = matrix[np.triu_indices(len(matrix), 1)]
    return above


def slope(real: Floats, own: Floats) -> float:
    """Return the slope of the least-squares line of own values by real ones; NaN where the real ones are constant."""
    centred = real - real.mean()
    spread = float((centred**2).sum())
    return float((centred * (own - own.mean())).sum() / spread) if spread > 0 else math.nan


def edge_agreement(real: Floats, own: Floats, threshold: float = EDGE) -> tuple[float, float]:
    """Return which share of the real edges is there (recall), and which share of its own edges is real (precision).

    An edge is a pair of genes with a correlation beyond the threshold; an edge of the other sign is not the same.
    """
    edges, own_edges = (np.where(np.abs(values) > threshold, np.sign(values), 0.0) for values in (real, own))
    both = float(((edges == own_edges) & (edges != 0)).sum())
    n, m = float((edges != 0).sum()), float((own_edges != 0).sum())
    return both / n if n else math.nan, both / m if m else math.nan


def tree_distances(matrix: Floats) -> Floats:
    """Return the cophenetic distance of each pair of genes ``[pairs]``: the height at which clusters of them join.

    Genes are clustered by one minus their correlation, by average linkage.
    """
    distances = np.clip(1.0 - pairs(matrix), 0.0, 2.0)
    found: Floats = cophenet(linkage(distances, method="average"))
    return found


def correlation_scores(reference: Sums, other: Sums, *, by_class: bool) -> dict[str, Interval]:
    """Return how alike the correlations of genes are in two sets of cells.

    Parameters
    ----------
    reference, other
        Sums of held-out real cells, and of the cells that are scored.
    by_class
        Whether correlations within types are scored too.

    Returns
    -------
    dict
        Pearson's r over pairs of genes, which is also the distance part of Viñas' gamma (it does not change when one
        minus r takes the place of r); the distance of the slope from 1, and the slope; the same within types; gamma of
        the trees.

    References
    ----------
    Viñas et al. (2022), Adversarial generation of gene expression data, Bioinformatics 38.
    """
    # Cluster the reference once where it is whole: most evaluations of the statistic leave groups of one side out.
    trees: dict[int, Floats] = {}

    def scores(real: Mapping[str, Floats], made: Mapping[str, Floats]) -> dict[str, float]:
        found = {}
        for name in ("correlation", "within") if by_class else ("correlation",):
            first, second = (correlations(sums, within=name == "within") for sums in (real, made))
            ending = "" if name == "correlation" else "_within"
            steep = slope(pairs(first), pairs(second))
            found[f"correlation_r{ending}"] = pearson(pairs(first), pairs(second))
            found[f"correlation_slope_error{ending}"] = abs(1.0 - steep)
            found[f"slope{ending}"] = steep
            if name == "correlation":
                for key, matrix in ((id(real), first), (id(made), second)):
                    if key not in trees:
                        trees[key] = tree_distances(matrix)
                found["gamma_tree"] = pearson(trees[id(real)], trees[id(made)])
        return found

    return two_sided(scores, _Kept(reference), _Kept(other))


def edge_scores(training: Sums, other: Sums) -> dict[str, Interval]:
    """Return recall and precision of the edges of the training cells.

    Parameters
    ----------
    training
        Sums of the training cells, whose edges are the truth, as in the CAMDA health privacy challenge.
    other
        Sums of the cells that are scored.
    """

    def scores(real: Mapping[str, Floats], made: Mapping[str, Floats]) -> dict[str, float]:
        recall, precision = edge_agreement(pairs(correlations(real)), pairs(correlations(made)))
        return {"edge_recall": recall, "edge_precision": precision}

    return two_sided(scores, training, other)


class _Kept:
    """Sums that keep what they return, so that a cache by identity is right as long as they live."""

    def __init__(self, sums: Sums) -> None:
        self._sums = sums
        self._found: dict[int | None, dict[str, Floats]] = {}

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return self._sums.n_groups

    def without(self, group: int | None) -> dict[str, Floats]:
        """Return the sums without a group."""
        if group not in self._found:
            self._found[group] = self._sums.without(group)
        return self._found[group]
