"""The attacks on a release of cells: copies beyond those of held-out cells, membership of cells and of donors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from synthkit.auditing.attack import AttackText
from synthkit.auditing.clusters import (
    auc_estimate_by_person,
    few_persons_estimate,
    true_positive_estimate_by_person,
)
from synthkit.auditing.copy_rates import FEWEST_OF_A_CLASS, SHARES, effective_number, near
from synthkit.auditing.expression.case import ExpressionCase, Floats, Numbers
from synthkit.auditing.expression.duplicates import cell_hashes
from synthkit.auditing.expression.scores import SCORES, donor_means, scores_of, surrounding_scores
from synthkit.auditing.intervals import auc_estimate, true_positive_estimate
from synthkit.auditing.records import Risk, not_applicable
from synthkit.auditing.residual import Comparison

FEWEST = 30
"""Synthetic cells, reference cells and accused cells of either kind without which no attack is made."""
ENOUGH = 200
"""Synthetic cells, and accused cells of either kind, from which finding nothing says something."""
FEWEST_DONORS = 6
"""Accused donors of either kind without which nothing can be told about donors."""
ENOUGH_DONORS = 20
"""Accused donors of either kind from which finding nothing about donors says something."""
RATE = 0.01
FEW_DONORS = (
    f"Fewer than {FEWEST_DONORS} accused donors of either kind: the difference may be that between donors, whatever was"
    " released."
)
"""What is said where an attack on cells succeeds and the donors are known and few; such a risk is inconclusive."""


@dataclass(frozen=True, kw_only=True)
class ExpressionAttack(AttackText):
    """An attack on cells.

    Attributes
    ----------
    run
        Returns its risk, not yet judged by controls; None where it is found otherwise.
    """

    run: Callable[[ExpressionCase], Risk] | None = None


def copies_risk(case: ExpressionCase) -> Risk:
    """Return how many training cells have a synthetic cell nearer than held-out cells have.

    Distances are correlations of log-normalised profiles. Training and held-out cells are held against the same
    release, so that a generator that copies nothing comes to the same share of both, however smooth its cells are.

    Parameters
    ----------
    case
        What is attacked.
    """
    name = "cell-copies"
    lack = _lack(case)
    if lack:
        return not_applicable(name, lack)
    members, nonmembers = case.split(case.nearest("profiles", "synthetic").distances[:, 0])
    classes = _classes(case)
    none = np.zeros(len(members), dtype=np.int64), np.zeros(len(nonmembers), dtype=np.int64)
    donors = case.donors if _by_donor(case) else None
    rates = {}
    for measure, share in SHARES.items():
        # at strict thresholds each type would bring one near held-out cell of its own, and they would hide a few copies
        found = near(members, nonmembers, share, classes if share >= 0.05 else none)
        tried = [
            float(len(marks)) if donors is None else effective_number(marks, own, case.generator(f"{measure} {part}"))
            for part, (marks, own) in enumerate(zip((found.synthetic, found.holdout), donors or none, strict=True))
        ]
        shares = [float(marks.mean()) for marks in (found.synthetic, found.holdout)]
        rates[measure] = Comparison(shares[0] * tried[0], tried[0], shares[1] * tried[1], tried[1])
    estimates = {measure: rate.excess(case.confidence) for measure, rate in rates.items()}
    released = cell_hashes(case.synthetic.values)
    equal = [_known(cells.values, released) for cells in (case.members, case.nonmembers)]
    estimates["exact"] = Comparison.of(*equal).excess(case.confidence)
    first = rates["excess"]
    estimates["attack"], estimates["control"] = first.attack(case.confidence), first.control(case.confidence)
    details = {"held-out cells": len(nonmembers), "equal training cells": int(equal[0].sum())}
    return Risk(name, "", estimates, len(members), details=details)


def membership_risk(case: ExpressionCase, name: str) -> Risk:
    """Return how well a score tells training cells from held-out ones.

    Parameters
    ----------
    case
        What is attacked.
    name
        Of the attack, one of `SCORES`.
    """
    lack = _lack(case)
    if lack:
        return not_applicable(name, lack)
    members, nonmembers = case.split(scores_of(case, name))
    donors, level = case.donors, case.confidence
    if donors is not None and _by_donor(case):
        random = case.generator(f"{name} by donor")
        estimates = {
            "auc": auc_estimate_by_person(members, nonmembers, donors, level),
            "tpr@fpr1%": true_positive_estimate_by_person(members, nonmembers, RATE, donors, level, random),
        }
    else:
        estimates = {
            "auc": auc_estimate(members, nonmembers, level),
            "tpr@fpr1%": true_positive_estimate(members, nonmembers, RATE, level),
        }
    return Risk(name, "", estimates, len(members), details={"non-members": len(nonmembers)})


def donor_risk(case: ExpressionCase) -> Risk:
    """Return how well the mean scores of their cells tell training donors from held-out ones.

    Parameters
    ----------
    case
        What is attacked.
    """
    name = "donor-membership"
    lack = _lack(case)
    if lack:
        return not_applicable(name, lack)
    donors = case.donors
    if donors is None:
        return not_applicable(
            name,
            "No column names the donor (--donor): cells are the unit here, and where many cells are of one person,"
            " that says little about this person.",
        )
    counts = [len(np.unique(own)) for own in donors]
    if min(counts) < FEWEST_DONORS:
        return not_applicable(
            name,
            f"Cannot be told: {counts[0]} training donors and {counts[1]} held-out donors outside the reference (at"
            f" least {FEWEST_DONORS} of each are needed, and as many for the reference).",
        )
    members, nonmembers = _means(case, surrounding_scores(case), donors)
    means = {attack: _means(case, scores_of(case, attack), donors) for attack in SCORES}
    estimates = {"auc": few_persons_estimate(members, nonmembers, case.confidence)}
    kept = {attack: float(auc_estimate(*both, case.confidence).value) for attack, both in means.items()}
    details = {"held-out donors": counts[1], "area under the curve by score": kept}
    return Risk(name, "", estimates, counts[0], details=details)


def too_few(case: ExpressionCase, name: str) -> str:
    """Return why finding nothing would say nothing, or an empty text.

    Parameters
    ----------
    case
        The release.
    name
        Of the attack.
    """
    if name == "donor-membership":
        counts = [len(np.unique(own)) for own in case.donors or ()]
        if counts and min(counts) < ENOUGH_DONORS:
            return f"Not enough evidence: {min(counts)} donors of one kind (at least {ENOUGH_DONORS} are needed)."
        return ""
    wanted = {
        "synthetic cells": len(case.synthetic),
        "accused training cells": len(case.members),
        "accused held-out cells": len(case.nonmembers),
    }
    few = [f"{count:,} {kind} (at least {ENOUGH} are needed)" for kind, count in wanted.items() if count < ENOUGH]
    return f"Not enough evidence: {'; '.join(few)}." if few else ""


def few_donors(case: ExpressionCase) -> bool:
    """Return whether donors are known and too few for intervals over donors."""
    return case.donors is not None and not _by_donor(case)


def _by_donor(case: ExpressionCase) -> bool:
    return case.donors is not None and min(len(np.unique(own)) for own in case.donors) >= FEWEST_DONORS


def _means(case: ExpressionCase, scores: Floats, donors: tuple[Numbers, Numbers]) -> tuple[Floats, Floats]:
    members, nonmembers = case.split(scores)
    return donor_means(members, donors[0]), donor_means(nonmembers, donors[1])


def _classes(case: ExpressionCase) -> tuple[Numbers, Numbers]:
    """Return the type of each target as a number, rare types as one; all 0 where types are unknown."""
    members, nonmembers = case.member_labels, case.nonmember_labels
    if members is None or nonmembers is None:
        return np.zeros(len(case.members), dtype=np.int64), np.zeros(len(case.nonmembers), dtype=np.int64)
    labels, numbers = np.unique(np.concatenate([members, nonmembers]), return_inverse=True)
    held = np.bincount(numbers[len(members) :], minlength=len(labels))
    # types with too few held-out cells for a threshold of their own share one, with the next larger type if need be
    rare = held < FEWEST_OF_A_CLASS
    for one in np.argsort(held, kind="stable"):
        if rare.any() and held[rare].sum() < FEWEST_OF_A_CLASS:
            rare[one] = True
    pooled = np.where(rare[numbers], len(labels), numbers).astype(np.int64)
    return pooled[: len(members)], pooled[len(members) :]


def _known(values: object, released: np.ndarray) -> np.ndarray:
    return np.isin(cell_hashes(values), released)


def _lack(case: ExpressionCase) -> str:
    counts = {
        "synthetic": len(case.synthetic),
        "reference": len(case.reference),
        "training": len(case.members),
        "held-out": len(case.nonmembers),
    }
    few = [f"{count:,} {kind} cells" for kind, count in counts.items() if count < FEWEST]
    return f"Not enough evidence: {'; '.join(few)} (at least {FEWEST} are needed)." if few else ""


_KNOWS = "Somebody who has the profile of a cell, and other cells of the same kind, "
_AREA = "Probability that a training cell scores higher than a held-out one, equal scores one half; 0.5 is guessing."
_FOUND = "Share of training cells found when one held-out cell in a hundred is accused wrongly; 1 % is guessing."
_MEASURES = {"auc": _AREA, "tpr@fpr1%": _FOUND}
_MISLEADS = (
    "An average over all training cells: a few copies hardly move it, and a few types that are learned by heart move it"
    " little. Read it with the copies and with the types."
)


def _membership(name: str, title: str, source: str, threat: str, lies: str = _MISLEADS) -> ExpressionAttack:
    return ExpressionAttack(
        name=name,
        family="membership",
        title=title,
        source=source,
        threat=_KNOWS + threat,
        reading=_AREA,
        lies=lies,
        measures=_MEASURES,
        run=partial(membership_risk, name=name),
    )


EXPRESSION_ATTACKS: Mapping[str, ExpressionAttack] = MappingProxyType(
    {
        attack.name: attack
        for attack in (
            ExpressionAttack(
                name="cell-copies",
                family="duplicates",
                title="copied cells",
                source="copy rate against held-out cells, by correlation of log-normalised profiles",
                threat="Somebody who has the profile of a cell finds it in the release, exactly or sequenced again.",
                reading="Share of training cells that have a synthetic cell too near, less the share of held-out cells"
                " that have. 0 is what a generator comes to that copies nothing.",
                lies="One cell that is copied many times counts once. A copy of part of a cell, or a mean of a few"
                " cells, is seen by the attacks on membership only. Cells of few counts look alike.",
                measures={
                    "excess": "Share of training cells whose nearest synthetic cell is nearer than that of the 5 % of"
                    " held-out cells that have one nearest, by type, less the share of held-out cells.",
                    "excess@0.5%": "The same for the 0.5 % of held-out cells, over all types.",
                    "excess@nearest": "The same for the one held-out cell that has the nearest: training cells nearer"
                    " to the release than any held-out cell.",
                    "exact": "Share of training cells that equal a synthetic cell in every gene, less that of held-out"
                    " cells.",
                    "attack": "Copy rate: share of training cells whose nearest synthetic cell is nearer than that of"
                    " the 5 % of held-out cells that have one nearest.",
                    "control": "The same share of held-out cells.",
                },
                run=copies_risk,
            ),
            _membership(
                "cell-gan-leaks",
                "nearest synthetic cell (GAN-leaks)",
                "full black-box attack of Chen, Yu, Zhang and Fritz (2020), GAN-Leaks, CCS",
                "looks how near the nearest synthetic cell lies.",
            ),
            _membership(
                "cell-gan-leaks-calibrated",
                "nearest synthetic cell, calibrated (GAN-leaks)",
                "calibrated attack of Chen, Yu, Zhang and Fritz (2020), GAN-Leaks, CCS, section 4.5",
                "looks whether a synthetic cell lies nearer than a real cell that the generator never saw.",
            ),
            _membership(
                "cell-monte-carlo",
                "synthetic cells around a cell (Monte Carlo)",
                "Hilprecht, Haerterich and Bernau (2019), PoPETs 2019 (4)",
                "counts the synthetic cells around it.",
            ),
            _membership(
                "cell-domias",
                "ratio of densities (DOMIAS)",
                "van Breugel, Sun, Qian and van der Schaar (2023), AISTATS, with kernel densities in principal"
                " components",
                "looks whether synthetic cells are denser around it than real ones that the generator never saw.",
            ),
            ExpressionAttack(
                name="donor-membership",
                family="membership",
                title="donors, by the mean over their cells",
                source="calibrated distances to the ten nearest profiles, averaged over the cells of a donor; scores of"
                " cells are averaged by donor in the second track of the CAMDA Health Privacy Challenge too",
                threat="Somebody who has many cells of one person wants to know whether this person was among the"
                " training donors.",
                reading="Probability that a training donor scores higher than a held-out one; 0.5 is guessing.",
                lies="Few donors: an interval over ten of either kind is wide. Donors who differ in more than chance"
                " (hospital, chemistry, batch) are told apart by that; the negative control shows it.",
                measures={"auc": "Probability that a training donor scores higher than a held-out one."},
                run=donor_risk,
            ),
            ExpressionAttack(
                name="cell-metadata",
                family="linkability",
                title="what the file says besides the values",
                source="slots of AnnData: names of cells and genes, obs, var, uns, obsm, obsp, layers, raw",
                threat="Somebody reads the annotations of the released file instead of its values.",
                reading="1 where the file holds something of real cells, 0 where nothing was found.",
                lies="Known are identifiers, columns and embeddings of the training cells that were handed in. What was"
                " renamed, rounded or hashed is missed.",
                measures={
                    "named": "Whether the file has names, identifiers, columns or embeddings of training cells.",
                    "unmarked": "Whether the file does not say that it is synthetic.",
                },
            ),
        )
    }
)
"""Attack by name."""
