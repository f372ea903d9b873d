"""Singling out in the sense of WP216: predicates made from the synthetic table that match exactly one real record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from synthkit.auditing.attack import Attack
from synthkit.auditing.case import AuditCase
from synthkit.auditing.coding import jointly_coded, key_numbers
from synthkit.auditing.predicates import Predicates, RankedTables, Ranks, multivariate, random_predicates, univariate
from synthkit.auditing.records import Risk, not_applicable
from synthkit.auditing.residual import Comparison

CONDITIONS = 3
"""Columns of a multivariate predicate, as in Anonymeter."""
SUBJECTS = ("univariate", "multivariate")


def _run(case: AuditCase) -> tuple[Risk, ...]:
    tables = jointly_coded(case.view, case.members, case.nonmembers, case.synthetic)
    synthetic = case.generator("singling out: rows").permutation(len(case.synthetic))[: case.limits.synthetic]
    tables = (*tables[:2], tables[2].take(np.sort(synthetic)))
    ranked = RankedTables.of(case.view, *tables)
    members, nonmembers, rows = ranked.tables
    # a row that the release holds twice is singled out by what singles out its first copy
    distinct = np.unique(key_numbers(case.view, case.view.columns, tables[2])[0], return_index=True)[1]
    rows = rows[:, distinct]
    # by what they hold, so that the order of the table does not matter, and mixed, so that few rows show much
    mixed = case.generator("singling out: order").permutation(rows.shape[1])
    rows = rows[:, np.lexsort(rows)[mixed]]
    return tuple(_attack(case, subject, members, nonmembers, rows, ranked.numeric) for subject in SUBJECTS)


def _attack(
    case: AuditCase,
    subject: str,
    members: Ranks,
    nonmembers: Ranks,
    rows: Ranks,
    numeric: npt.NDArray[np.bool_],
) -> Risk:
    most, generator = case.limits.predicates, case.generator(f"singling out: {subject}")
    if subject == "univariate":
        predicates, conditions = univariate(rows, numeric, most, generator), 1
    else:
        conditions = min(CONDITIONS, len(rows))
        predicates = multivariate(rows, numeric, most, generator, conditions=conditions)
    if not len(predicates):
        note = "No predicate matches exactly one synthetic row, so that an attacker has nothing to try."
        return not_applicable("singling-out", note, subject)
    found, control = predicates.singled_out(members), predicates.singled_out(nonmembers)
    comparison = _comparison(found, control)
    estimates = comparison.estimates(case.confidence)
    naive = random_predicates(rows, numeric, len(predicates), conditions, generator)
    naive_share = float((naive.singled_out(members) >= 0).mean())
    notes = []
    if naive_share >= estimates["attack"].value:
        notes.append("Random predicates single out as many members: the attack is weak here.")
    if len(predicates) < most:
        notes.append(f"Only {len(predicates):,} distinct predicates match exactly one synthetic row.")
    details = {
        "predicates": len(predicates),
        "conditions": conditions,
        "members singled out": len(np.unique(found[found >= 0])),
        "non-members singled out": len(np.unique(control[control >= 0])),
        "naive": naive_share,
        "by columns": _by_columns(case, predicates, found, control) if conditions == 1 else [],
    }
    return Risk("singling-out", subject, estimates, len(predicates), note=" ".join(notes), details=details)


def _comparison(found: npt.NDArray[np.int64], control: npt.NDArray[np.int64]) -> Comparison:
    """Return the success rates with as many attempts as would be independent.

    Predicates that single out the same record succeed together. Their number is that of records, so to speak: the
    variance of a sum over records is the sum of their squared counts.
    """
    effects = []
    for owner in (found, control):
        counts = np.unique(owner[owner >= 0], return_counts=True)[1].astype(np.float64)
        effects.append(float((counts**2).sum() / counts.sum()) if len(counts) else 1.0)
    plain = Comparison.of(found >= 0, control >= 0)
    return replace(
        plain,
        hits=plain.hits / effects[0],
        tried=plain.tried / effects[0],
        control_hits=plain.control_hits / effects[1],
        control_tried=plain.control_tried / effects[1],
    )


def _by_columns(
    case: AuditCase, predicates: Predicates, found: npt.NDArray[np.int64], control: npt.NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Return how often predicates on each column succeeded, the most successful column first."""
    names, told = case.view.columns, []
    for column in np.unique(predicates.columns):
        here = predicates.columns[:, 0] == column
        told.append({"column": names[column], **Comparison.of(found[here] >= 0, control[here] >= 0).plain()})
    return sorted(told, key=lambda entry: float(entry["control"]) - float(entry["attack"]))


ATTACKS = (
    Attack(
        name="singling-out",
        family="singling out",
        title="singling out",
        source="Giomi et al. 2023 (Anonymeter 1.1), in the sense of WP216",
        threat="Somebody who sees only the release makes up conditions that exactly one person of the real data "
        "fulfils.",
        reading="How much more often conditions that single out a synthetic row also single out one member than one "
        "of equally many non-members, as a share of what was left to gain.",
        lies="Conditions also single out somebody by chance, the more of them the rarer what they ask for: only what "
        "exceeds the non-members counts. Numbers that were moved a little escape conditions of equality: its positive "
        "control has exact copies.",
        measures={
            "risk": "(attack - control) / (1 - control); 0 without a leak.",
            "attack": "Share of the predicates that match exactly one member.",
            "control": "Share of the same predicates that match exactly one non-member.",
        },
        control_noise=0.0,
        subjects=lambda case: SUBJECTS,
        run=_run,
    ),
)
