"""Risk by type of cell: how near the release comes to training cells of each type, the rarest first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from synthkit.auditing.clusters import few_persons_estimate
from synthkit.auditing.expression.case import ExpressionCase
from synthkit.auditing.expression.scores import scores_of
from synthkit.auditing.intervals import FAMILY, adjusted
from synthkit.auditing.records import Estimate

FEWEST_OF_A_TYPE = 8
"""Accused cells of a type, of either kind, from which its area under the curve is told."""


@dataclass(frozen=True)
class TypeRisk:
    """How near the release comes to the cells of one type.

    Attributes
    ----------
    label
        The type.
    training, holdout
        Its accused cells.
    nearest_training, nearest_holdout
        Median correlation of these cells with the most similar synthetic cell; NaN where there are none.
    auc
        Probability that a training cell of the type scores higher than a held-out one of it, by calibrated GAN-leaks;
        all intervals of the types hold together. Without a value where there are too few cells.
    """

    label: str
    training: int
    holdout: int
    nearest_training: float
    nearest_holdout: float
    auc: Estimate

    @property
    def exposed(self) -> bool:
        """Whether training cells of the type are told from held-out ones beyond chance."""
        return self.auc.applies and self.auc.above


def types_at_risk(case: ExpressionCase) -> tuple[TypeRisk, ...]:
    """Return the risk of each type that the training cells have, those with the fewest training cells first.

    Parameters
    ----------
    case
        The release. Without types, or too small for an attack, there are none.
    """
    members, nonmembers = case.member_labels, case.nonmember_labels
    if members is None or nonmembers is None:
        return ()
    scores = case.split(scores_of(case, "cell-gan-leaks-calibrated"))
    # points have length 1: the squared distance is twice one less the correlation
    alike = case.split(1 - case.nearest("profiles", "synthetic").distances[:, 0] ** 2 / 2)
    labels, counts = np.unique(members, return_counts=True)
    level = adjusted(FAMILY, len(labels))
    found = []
    for label in labels[np.argsort(counts, kind="stable")]:
        own, others = members == label, nonmembers == label
        enough = min(own.sum(), others.sum()) >= FEWEST_OF_A_TYPE
        auc = few_persons_estimate(scores[0][own], scores[1][others], level) if enough else Estimate(math.nan)
        nearest = [float(np.median(part[these])) if these.any() else math.nan for part, these in zip(
            alike, (own, others), strict=True)]  # fmt: skip
        found.append(TypeRisk(str(label), int(own.sum()), int(others.sum()), nearest[0], nearest[1], auc))
    return tuple(found)
