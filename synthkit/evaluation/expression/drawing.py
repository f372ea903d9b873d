"""What the report of gene expression shows, computed while the cells are at hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import leaves_list, linkage

from synthkit.evaluation.expression import biology, joint, margins
from synthkit.evaluation.expression.case import ExpressionCase, Kind, in_one_group
from synthkit.evaluation.expression.distribution import Pooled
from synthkit.evaluation.expression.records import ExpressionPictures
from synthkit.evaluation.intervals import Floats

MOST_POINTS = 1500
_GENES_DRAWN = 2000
_CORRELATED = 80
_MARKERS = 3
_TYPES = 12
_SHOWN: tuple[Kind, ...] = ("held-out", "synthetic")


def draw_pictures(case: ExpressionCase, pooled: Pooled) -> ExpressionPictures:
    """Return what the report of a case shows.

    Parameters
    ----------
    case
        The cells.
    pooled
        Held-out and synthetic cells in the components of both.
    """
    kept = np.sort(case.random.numpy("shown").permutation(len(case.sides["real"]))[:MOST_POINTS])
    names, correlations = _correlations(case)
    markers, means, shares = _markers(case)
    return ExpressionPictures(
        points={kind: points[kept][:, :2] for kind, points in zip(_SHOWN, pooled.points, strict=True)},
        explained=pooled.explained[:2],
        point_classes={kind: case.sides[kind].classes[kept] for kind in _SHOWN} if case.classes else {},
        classes=case.classes,
        moments=_moments(case),
        logarithmic=case.sides["real"].data.measure in ("counts", "rates"),
        correlated=names,
        correlations=correlations,
        markers=markers,
        marker_means=means,
        marker_shares=shares,
    )


def _moments(case: ExpressionCase) -> dict[str, tuple[Floats, Floats, Floats]]:
    n_genes = len(case.sides["real"].data.genes)
    drawn = np.sort(case.random.numpy("genes shown").permutation(n_genes)[:_GENES_DRAWN])
    found: dict[str, tuple[Floats, Floats, Floats]] = {}
    for kind in _SHOWN:
        mean, variance, zeros = margins.gene_moments(margins.gene_sums(in_one_group(case.sides[kind])).without(None))
        found[kind] = (mean[drawn], variance[drawn], zeros[drawn])
    return found


def _correlations(case: ExpressionCase) -> tuple[tuple[str, ...], dict[str, Floats]]:
    """Return correlations of the genes with the largest variance, in the order in which real cells cluster them."""
    side = case.sides["held-out"]
    spread = case.sides["real"].logs.var(axis=0, dtype=np.float64)
    genes = np.sort(np.argsort(-spread, kind="stable")[:_CORRELATED]).astype(np.int64)
    if len(genes) < 3:
        return (), {}
    found = {
        kind: joint.correlations(joint.product_sums(in_one_group(case.sides[kind]), genes, 0).without(None))
        for kind in _SHOWN
    }
    tree = linkage(np.clip(1.0 - joint.pairs(found["held-out"]), 0.0, 2.0), method="average")
    order = leaves_list(tree)
    ids = [str(side.data.genes.index[side.variable[gene]]) for gene in genes[order]]
    return tuple(ids), {kind: matrix[np.ix_(order, order)] for kind, matrix in found.items()}


def _markers(case: ExpressionCase) -> tuple[tuple[str, ...], dict[str, Floats], dict[str, Floats]]:
    """Return the first markers of each type of held-out cells, with mean and share above 0 by type and kind."""
    n_types = len(case.classes)
    if not n_types:
        return (), {}, {}
    side = in_one_group(case.sides["held-out"])
    z = biology.tested(biology.type_sums(side, side.classes, n_types).without(None))
    # The commonest types: a picture of thirty types says nothing.
    common = np.argsort(-np.bincount(side.classes, minlength=n_types), kind="stable")[:_TYPES]
    chosen: list[int] = []
    for place in sorted(common.tolist()):
        order = [gene for gene in np.argsort(-z[place], kind="stable").tolist() if z[place][gene] > 0]
        chosen += [gene for gene in order if gene not in chosen][:_MARKERS]
    genes = np.array(chosen, dtype=np.int64)
    means: dict[str, Floats] = {}
    shares: dict[str, Floats] = {}
    for kind in _SHOWN:
        own = case.sides[kind]
        means[kind] = _by_type(own.logs[:, genes], own.classes, n_types)
        shares[kind] = _by_type((own.logs[:, genes] > 0).astype(np.float32), own.classes, n_types)
    return tuple(str(side.data.genes.index[side.variable[gene]]) for gene in genes), means, shares


def _by_type(values: npt.NDArray[np.float32], codes: npt.NDArray[np.int64], n_types: int) -> Floats:
    """Return the mean of each gene in each type, ``[types, genes]``; NaN for a type without cells."""
    found = np.full((n_types, values.shape[1]), np.nan)
    for code in np.unique(codes):
        found[code] = values[codes == code].mean(axis=0, dtype=np.float64)
    return found
