"""Linkability in the sense of WP216: whether the release tells that two sets of columns belong to one person."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synthkit.auditing.attack import Attack
from synthkit.auditing.case import AuditCase
from synthkit.auditing.coding import jointly_coded
from synthkit.auditing.gower import GowerSpace, in_canonical_order
from synthkit.auditing.records import Risk, not_applicable
from synthkit.auditing.residual import Comparison

NEIGHBOURS = (1, 5)
"""Nearest synthetic rows by either set of columns that are compared; the first decides."""
FEWEST_COLUMNS = 2


def _run(case: AuditCase) -> tuple[Risk, ...]:
    known = case.quasi_identifiers
    rest = tuple(name for name in case.view.columns if name not in known)
    if len(known) < FEWEST_COLUMNS or not rest:
        note = "It needs two quasi-identifiers or more, and another column."
        return (not_applicable("linkability", note),)
    rng = case.generator("linkability")
    members, nonmembers = (
        rows.take(np.sort(rng.permutation(len(rows))[: case.limits.linked])) for rows in (case.members, case.nonmembers)
    )
    coded = jointly_coded(case.view, members, nonmembers, case.synthetic)
    base = coded[2].take(in_canonical_order(coded[2], rng)[: case.limits.synthetic])
    space = GowerSpace.of(case.view, coded[0].above(coded[1]), base)
    most = max(NEIGHBOURS)
    one, other = (space.nearest(columns, most) for columns in (known, rest))
    comparisons = {}
    for k in NEIGHBOURS:
        linked = linked_by(one[:, :k], other[:, :k])
        comparisons[k] = Comparison.of(linked[: len(members)], linked[len(members) :])
    first = comparisons[NEIGHBOURS[0]]
    naive = {str(k): _chance(k, len(base)) for k in NEIGHBOURS}
    note = ""
    if not first.risk(case.confidence).applies:
        note = "Every non-member is linked too: nothing is left to gain."
    elif first.attack(case.confidence).low <= naive[str(NEIGHBOURS[0])]:
        note = "Linking at random does as well: the attack is weak here."
    details = {
        "known": list(known),
        "linked to": list(rest),
        "naive": naive,
        "by neighbours": [
            {"neighbours": k, **comparison.plain(), "risk": comparison.risk(case.confidence).value}
            for k, comparison in comparisons.items()
        ],
    }
    return (Risk("linkability", "", first.estimates(case.confidence), len(members), note=note, details=details),)


def linked_by(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which targets have a synthetic row among the nearest by either set of columns, shape [targets].

    Parameters
    ----------
    one, other
        Positions of the nearest synthetic rows by either set, shape [targets, k].
    """
    found: npt.NDArray[np.bool_] = (one[:, :, None] == other[:, None, :]).any(axis=(1, 2))
    return found


def _chance(k: int, rows: int) -> float:
    """Return how probably two random sets of k rows have one in common."""
    k = min(k, rows)
    missed = np.prod([max(0, rows - k - i) / (rows - i) for i in range(k)])
    return float(1 - missed)


ATTACKS = (
    Attack(
        name="linkability",
        family="linkability",
        title="linkability",
        source="Giomi et al. 2023 (Anonymeter 1.1), in the sense of WP216",
        threat="Somebody with two tables, one of quasi-identifiers and one of the other columns, uses the release to "
        "find out which rows belong to the same person.",
        reading="How much more often the release links both halves of a member than those of a non-member, as a share "
        "of what was left to gain.",
        lies="With few distinct quasi-identifiers many synthetic rows are equally near, and a copy is found by chance "
        "only: more columns make a stronger attacker.",
        measures={
            "risk": "(attack - control) / (1 - control); 0 without a leak.",
            "attack": "Share of members for which the synthetic row nearest by the quasi-identifiers is also the "
            "nearest by the other columns.",
            "control": "The same share of non-members.",
        },
        needs=("holdout", "quasi-identifiers"),
        run=_run,
    ),
)
