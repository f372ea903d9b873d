"""Whether types of cells differ from each other as real ones do: markers, log-fold changes, tests."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthkit.evaluation.expression.case import Side
from synthkit.evaluation.expression.joint import slope
from synthkit.evaluation.expression.leave_out import Interval, Sums, two_sided
from synthkit.evaluation.expression.margins import pearson
from synthkit.evaluation.expression.ranks import p_values, rank_sums, z_scores
from synthkit.evaluation.intervals import Floats

MARKERS = 50
FEWEST_OF_A_TYPE = 10
"""A type with fewer cells in any set has no markers and no log-fold changes of its own."""
SIGNIFICANT = 0.05
LARGE_CHANGE = 0.5
_LOG_2 = math.log(2.0)


def type_sums(side: Side, codes: npt.NDArray[np.int64], n_types: int, *, ranked: bool = True) -> Sums:
    """Return, for each group of cells, what log-fold changes and tests of types against the rest are made of.

    Parameters
    ----------
    side
        The cells.
    codes
        Type (or batch) of each, ``[cells]``.
    n_types
        Number of types.
    ranked
        Whether sums of ranks are needed.
    """
    n_groups = int(side.groups.max()) + 1
    member = np.zeros((n_groups * n_types, len(side)), dtype=np.float32)
    member[side.groups * n_types + codes, np.arange(len(side))] = 1.0
    shape = (n_groups, n_types, side.logs.shape[1])
    sums = (member.astype(np.float64) @ side.logs).reshape(shape)
    counts = member.sum(axis=1, dtype=np.float64).reshape(n_groups, n_types)
    content = {"sums": sums, "counts": counts}
    if ranked:
        found = rank_sums(side.logs, codes, side.groups, n_types)
        # The same for every group: after one is left out, the ranks and ties are still those of all cells.
        share = np.full((n_groups, 1), 1.0 / n_groups)
        content |= {"ranks": found.sums, "ties": share * found.ties, "total": share[:, 0] * len(side)}
        content["groups"] = share[:, 0]
    return Sums(content)


def scored_types(*counts: Floats) -> npt.NDArray[np.int64]:
    """Return the types with enough cells in every set (and enough others), as positions."""
    enough = np.ones(len(counts[0]), dtype=bool)
    for own in counts:
        enough &= (own >= FEWEST_OF_A_TYPE) & (own.sum() - own >= FEWEST_OF_A_TYPE)
    return np.flatnonzero(enough)


def fold_changes(sums: Mapping[str, Floats]) -> Floats:
    """Return the log2-fold change of each gene in each type against the rest, ``[types, genes]``.

    The difference of the means of normalised logarithms, in doublings.
    """
    counts = np.maximum(sums["counts"], 1.0)[:, None]
    rest = np.maximum(sums["counts"].sum() - sums["counts"], 1.0)[:, None]
    found: Floats = (sums["sums"] / counts - (sums["sums"].sum(axis=0) - sums["sums"]) / rest) / _LOG_2
    return found


def tested(sums: Mapping[str, Floats]) -> Floats:
    """Return the z scores of each gene in each type against the rest, ``[types, genes]``."""
    # Where a group is left out, its share of what belongs to all cells is put back.
    whole = float(sums["groups"])
    return z_scores(sums["ranks"], sums["counts"], sums["ties"] / whole, total=float(sums["total"]) / whole)


def changed(sums: Mapping[str, Floats]) -> Floats:
    """Return 1 or −1 for genes that are higher or lower in a type, 0 for others, ``[types, genes]``.

    Two-sided Wilcoxon tests, p-values adjusted by Benjamini and Hochberg over the genes of a type, and a log2-fold
    change of at least one half.
    """
    z, change = tested(sums), fold_changes(sums)
    adjusted = stats.false_discovery_control(p_values(z), axis=1)
    found: Floats = np.where((adjusted < SIGNIFICANT) & (np.abs(change) >= LARGE_CHANGE), np.sign(change), 0.0)
    return found


def markers(z: Floats, most: int = MARKERS) -> list[set[int]]:
    """Return for each type the genes that are highest in it by the test, at most `most` of those above the rest."""
    found = []
    for own in z:
        order = np.argsort(-own, kind="stable")[:most]
        found.append({int(gene) for gene in order if own[gene] > 0})
    return found


def biology_scores(reference: Sums, other: Sums) -> tuple[dict[str, Interval], dict[int, dict[str, float]]]:
    """Return how alike the differences between types are in two sets of cells, and the same type by type.

    Parameters
    ----------
    reference
        Sums of held-out real cells, which are the truth.
    other
        Sums of the cells that are scored.

    Returns
    -------
    tuple
        Scores by name, means over types or over pairs of type and gene; then scores by name for each type.
    """
    types = scored_types(reference.without(None)["counts"], other.without(None)["counts"])
    if not len(types):
        return {}, {}
    kept: dict[int, tuple[list[set[int]], Floats, Floats]] = {}

    def read(sums: Mapping[str, Floats]) -> tuple[list[set[int]], Floats, Floats]:
        return markers(tested(sums)[types]), changed(sums)[types], fold_changes(sums)[types]

    first, second = reference.without(None), other.without(None)
    kept = {id(first): read(first), id(second): read(second)}

    def scores(real: Mapping[str, Floats], made: Mapping[str, Floats]) -> dict[str, float]:
        (known, truth, change), (own, found, own_change) = (
            kept[id(sums)] if id(sums) in kept else read(sums) for sums in (real, made)
        )
        overlaps = [overlap(a, b) for a, b in zip(known, own, strict=True)]
        recall, false = rates(truth, found)
        steep = slope(change.ravel(), own_change.ravel())
        return {
            "marker_overlap": float(np.mean(overlaps)),
            "fold_change_r": pearson(change.ravel(), own_change.ravel()),
            "fold_change_slope_error": abs(1.0 - steep),
            "slope": steep,
            "changed_recall": recall,
            "changed_false_rate": false,
        }

    by_type = {}
    (known, truth, change), (own, found, own_change) = kept[id(first)], kept[id(second)]
    for row, place in enumerate(types):
        recall, _ = rates(truth[row], found[row])
        by_type[int(place)] = {
            "marker overlap": overlap(known[row], own[row]),
            "fold change r": pearson(change[row], own_change[row]),
            "fold change slope": slope(change[row], own_change[row]),
            "changed genes found": recall,
        }
    return two_sided(scores, _Held(reference, first), _Held(other, second)), by_type


def overlap(first: set[int], second: set[int]) -> float:
    """Return F1 of two sets of genes: twice the number of common ones by the sum of their sizes."""
    size = len(first) + len(second)
    return 2 * len(first & second) / size if size else math.nan


def rates(truth: Floats, found: Floats) -> tuple[float, float]:
    """Return which share of changed genes is found with its sign, and which share of the others is found."""
    positives, negatives = float((truth != 0).sum()), float((truth == 0).sum())
    right = float(((truth == found) & (truth != 0)).sum())
    wrong = float(((found != 0) & (truth == 0)).sum())
    return right / positives if positives else math.nan, wrong / negatives if negatives else math.nan


def batch_scores(reference: Sums, other: Sums) -> dict[str, Interval]:
    """Return how alike the changes from batch to batch are in two sets of cells."""
    batches = scored_types(reference.without(None)["counts"], other.without(None)["counts"])
    if not len(batches):
        return {}

    def scores(real: Mapping[str, Floats], made: Mapping[str, Floats]) -> dict[str, float]:
        first, second = (fold_changes(sums)[batches].ravel() for sums in (real, made))
        return {"batch_change_r": pearson(first, second)}

    return two_sided(scores, reference, other)


class _Held:
    """Sums whose whole is computed once and stays the same object."""

    def __init__(self, sums: Sums, whole: dict[str, Floats]) -> None:
        self._sums, self._whole = sums, whole

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return self._sums.n_groups

    def without(self, group: int | None) -> dict[str, Floats]:
        """Return the sums without a group."""
        return self._whole if group is None else self._sums.without(group)
