"""Duplicates: whether members reappear in the synthetic table, exactly or nearly, more often than non-members do.

Both shares are counted among targets, not among synthetic rows. Given the synthetic table the targets are independent,
so that binomial intervals hold; synthetic rows that are all copies of one record share their fate and are not. The
shares of synthetic rows are given beside, in the details.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from synthkit.auditing.attack import Attack
from synthkit.auditing.case import AuditCase
from synthkit.auditing.coding import jointly_coded, key_numbers
from synthkit.auditing.records import Risk, not_applicable
from synthkit.auditing.residual import Comparison

Marks = npt.NDArray[np.bool_]
NEAR = 0.01
"""Share of the reference rows that are near to a target by definition."""
# Distances of standardised float32 features that differ by less are equal up to rounding.
_SAME = 1e-6
_QUARTILES = ("commonest quarter", "second quarter", "third quarter", "rarest quarter")


def near_radius(case: AuditCase) -> float:
    """Return the distance below which a synthetic row is near to a target.

    About one target in a hundred, members and non-members alike, would have a row of the same source as near as that
    in a table as long as the synthetic one. It is measured on reference rows, which are copied from nobody.
    """
    distances = case.to_reference().distances[:, 0]
    # fewer rows lie further apart: scaled to as many reference rows as there are synthetic ones by taking the share
    expected = NEAR * min(1.0, len(case.reference_points) / max(1, len(case.synthetic_points)))
    return float(np.quantile(distances, expected, method="lower"))


def _run_rows(case: AuditCase) -> tuple[Risk, ...]:
    members, nonmembers, synthetic, train, holdout = jointly_coded(
        case.view, case.members, case.nonmembers, case.synthetic, case.train, case.holdout
    )
    keys = key_numbers(case.view, case.view.columns, members, nonmembers, synthetic, train, holdout)
    exact = np.isin(np.concatenate(keys[:2]), keys[2])
    radius = near_radius(case)
    near = exact | (case.to_synthetic().distances[:, 0] <= radius + _SAME)
    comparison = _compared(near, case.is_member)
    estimates = {
        "near": comparison.excess(case.confidence),
        "exact": _compared(exact, case.is_member).excess(case.confidence),
        "attack": comparison.attack(case.confidence),
        "control": comparison.control(case.confidence),
    }
    from_train, from_holdout = np.isin(keys[2], keys[3]), np.isin(keys[2], keys[4])
    details = {
        "radius": radius,
        "synthetic rows": len(keys[2]),
        "synthetic rows that equal a training row": int(from_train.sum()),
        "synthetic rows that equal a held-out row": int(from_holdout.sum()),
        "training rows": len(keys[3]),
        "held-out rows": len(keys[4]),
        "distinct synthetic rows": len(np.unique(keys[2])),
        "distinct synthetic rows that equal a training row": len(np.unique(keys[2][from_train])),
        "distinct synthetic rows that equal a held-out row": len(np.unique(keys[2][from_holdout])),
        "members with an equal synthetic row": int(exact[case.is_member].sum()),
        "non-members with an equal synthetic row": int(exact[~case.is_member].sum()),
        "by rarity": _by_rarity(case, {"near": near, "exact": exact}),
    }
    notes = []
    if from_train.any():
        # no interval covers this: a row that is released a hundred times is one member
        notes.append(
            f"{from_train.sum():,} of {len(keys[2]):,} synthetic rows equal one of {len(keys[3]):,} training rows, "
            f"{from_holdout.sum():,} equal one of {len(keys[4]):,} held-out rows."
        )
    if radius <= _SAME:
        notes.append("A hundredth of real rows or more equal another real row, so that only equal rows count as near.")
    return (Risk("duplicates", "", estimates, len(case.members), note=" ".join(notes), details=details),)


def _run_keys(case: AuditCase) -> tuple[Risk, ...]:
    if not case.quasi_identifiers:
        return (not_applicable("duplicate-keys", "No quasi-identifiers were named."),)
    tables = jointly_coded(case.view, case.members, case.nonmembers, case.synthetic, case.train, case.holdout)
    keys = key_numbers(case.view, case.quasi_identifiers, *tables)
    real = np.bincount(np.concatenate(keys[3:]), minlength=max(int(part.max(initial=0)) for part in keys) + 1)
    targets = np.concatenate(keys[:2])
    # once in the training and held-out rows together: the same condition for members and for non-members
    unique = real[targets] <= 1
    found = np.isin(targets, keys[2])
    comparison = _compared(found[unique], case.is_member[unique])
    if not comparison.possible:
        return (
            not_applicable(
                "duplicate-keys", "No combination of the quasi-identifiers is held by one person only.", _KEYS_SUBJECT
            ),
        )
    estimates = {
        "excess": comparison.excess(case.confidence),
        "attack": comparison.attack(case.confidence),
        "control": comparison.control(case.confidence),
    }
    details = {
        "columns": list(case.quasi_identifiers),
        "members with a key of their own": int(unique[case.is_member].sum()),
        "non-members with a key of their own": int(unique[~case.is_member].sum()),
        "all keys": _compared(found, case.is_member).plain(),
        "synthetic rows with a key of one training row": int(
            (np.bincount(keys[3], minlength=len(real))[keys[2]] == 1).sum()
        ),
        "by rarity": _by_rarity(case, {"excess": found}, unique),
    }
    return (Risk("duplicate-keys", _KEYS_SUBJECT, estimates, int(comparison.tried), details=details),)


def _compared(hits: Marks, is_member: Marks) -> Comparison:
    return Comparison.of(hits[is_member], hits[~is_member])


def _by_rarity(case: AuditCase, hits: dict[str, Marks], among: Marks | None = None) -> list[dict[str, Any]]:
    """Return the shares of members and non-members by quartile of the distance to the nearest reference row."""
    distances = case.to_reference().distances[:, 0]
    quarter = np.searchsorted(np.quantile(distances, (0.25, 0.5, 0.75)), distances, side="left")
    found = []
    for number, label in enumerate(_QUARTILES):
        inside = (quarter == number) if among is None else (quarter == number) & among
        entry: dict[str, Any] = {"label": label}
        for name, marks in hits.items():
            comparison = _compared(marks[inside], case.is_member[inside])
            excess = comparison.excess(case.confidence)
            entry[name] = {**comparison.plain(), "excess": excess.value, "low": excess.low, "high": excess.high}
        found.append(entry)
    return found


_KEYS_SUBJECT = "quasi-identifiers"
_TOLD = {
    "attack": "Share of members for which it holds.",
    "control": "Share of non-members for which it holds.",
}
ATTACKS = (
    Attack(
        name="duplicates",
        family="duplicates",
        title="duplicates",
        source="identical match share, with held-out rows as control",
        threat="Somebody who finds a row in the release takes it for the record of a person.",
        reading="Share of members with a synthetic row that is equal or nearly so, less the share of non-members.",
        lies="A copy that was changed more than the radius is not counted. Real rows repeat by chance too: only what "
        "exceeds the share of non-members is copied.",
        measures={
            "near": "Share of members with a synthetic row within the radius, less that of non-members. About one "
            "target in a hundred has a row that near by chance.",
            "exact": "Share of members with a synthetic row that is equal in every column, less that of non-members.",
            **_TOLD,
        },
        run=_run_rows,
    ),
    Attack(
        name="duplicate-keys",
        family="duplicates",
        title="duplicates of quasi-identifiers",
        source="identical match share on a sub-key, with held-out rows as control",
        threat="Somebody who knows the quasi-identifiers of a person finds the only row with them in the release.",
        reading="Of the members whose combination of quasi-identifiers no other real row has: the share whose "
        "combination is in the release, less the same share of non-members.",
        lies="A combination may be in the release by chance; only what exceeds the share of non-members is copied. "
        "Keys whose numbers were moved a little escape it: its positive control has exact copies.",
        measures={
            "excess": "Share of members with a combination of their own that is in the release, less that of "
            "non-members.",
            **_TOLD,
        },
        needs=("holdout", "quasi-identifiers"),
        control_noise=0.0,
        subjects=lambda case: (_KEYS_SUBJECT,),
        run=_run_keys,
    ),
)
