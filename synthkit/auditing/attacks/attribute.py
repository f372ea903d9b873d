"""Attribute inference: what the release tells about a sensitive column of a person whose other columns are known.

Two attackers guess. One takes the value of the nearest synthetic row, as Anonymeter does; the other learns boosted
trees from the synthetic rows. The risk is that of the better one. Its interval comes from the intervals of both at half
the error (Bonferroni), so that the choice is paid for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from synthkit.auditing.attack import Attack
from synthkit.auditing.attacks.guessing import Secret, boosted_guesses, constant_guess
from synthkit.auditing.case import AuditCase
from synthkit.auditing.coding import jointly_coded
from synthkit.auditing.gower import GowerSpace, in_canonical_order
from synthkit.auditing.intervals import adjusted
from synthkit.auditing.records import Estimate, Risk, not_applicable
from synthkit.auditing.residual import Comparison

Marks = npt.NDArray[np.bool_]
FEWEST_TOLD = 10
"""Members and non-members that must hold a value for it to be told in the details."""
RARE = 0.05
"""A value that fewer reference rows hold is called rare."""
_MOST_VALUES = 20
_KNN, _BOOSTED = "nearest neighbour", "boosted trees"


def _run(case: AuditCase) -> tuple[Risk, ...]:
    if not case.sensitive:
        return (not_applicable("attribute", "No sensitive columns were named."),)
    rng = case.generator("attribute")
    members, nonmembers = (
        rows.take(np.sort(rng.permutation(len(rows))[: case.limits.linked])) for rows in (case.members, case.nonmembers)
    )
    coded = jointly_coded(case.view, members, nonmembers, case.synthetic, case.reference)
    targets, reference = coded[0].above(coded[1]), coded[3]
    base = coded[2].take(in_canonical_order(coded[2], rng)[: case.limits.synthetic])
    known = {name: known_columns(case, name) for name in case.sensitive}
    attackable = {name: columns for name, columns in known.items() if columns}
    space = GowerSpace.of(case.view, targets, base)
    nearest = nearest_without(space, attackable)
    risks = []
    for name in case.sensitive:
        if name not in attackable:
            risks.append(not_applicable("attribute", "The attacker knows no other column.", name))
            continue
        secret = Secret.of(case.view, name, case.train.frame, targets, base, reference)
        hits = {
            _KNN: secret.hits(secret.base[nearest[name]]),
            _BOOSTED: secret.hits(boosted_guesses(case.view, secret, attackable[name], targets, base)),
        }
        risks.append(_risk(case, name, attackable[name], secret, hits, len(members)))
    return tuple(risks)


def known_columns(case: AuditCase, sensitive: str) -> tuple[str, ...]:
    """Return the columns that the attacker knows: the quasi-identifiers where they are named, else all others."""
    return tuple(name for name in (case.quasi_identifiers or case.view.columns) if name != sensitive)


def nearest_without(space: GowerSpace, known: dict[str, tuple[str, ...]]) -> dict[str, npt.NDArray[np.int64]]:
    """Return for each sensitive column the nearest row of the base for each target, by the columns that are known.

    The distances over all columns are computed once; what a sensitive column adds to them is taken off again.

    Parameters
    ----------
    space
        Targets and base.
    known
        For each sensitive column the columns that are known.
    """
    found = {name: np.empty(space.n_targets, dtype=np.int64) for name in known}
    every = tuple(dict.fromkeys(column for columns in known.values() for column in columns))
    for rows in space.blocks() if known else ():
        total = space.distances(every, rows)
        for name, columns in known.items():
            unknown = [column for column in every if column not in columns]
            left = total
            for column in unknown:
                left = left - space.part(column, rows)
            found[name][rows] = left.argmin(axis=1)
    return found


def _risk(case: AuditCase, name: str, known: tuple[str, ...], secret: Secret, hits: dict[str, Marks], n: int) -> Risk:
    level = adjusted(case.confidence, len(hits))
    compared = {attacker: Comparison.of(marks[:n], marks[n:]) for attacker, marks in hits.items()}
    risks = {attacker: comparison.risk(level) for attacker, comparison in compared.items()}
    telling = [attacker for attacker, risk in risks.items() if risk.applies]
    guess = constant_guess(secret)
    naive = secret.hits(np.full(len(secret.truth), guess))
    best = max(telling or list(hits), key=lambda attacker: (risks[attacker].value, compared[attacker].hits))
    estimates = {
        "risk": _better([risks[attacker] for attacker in telling]),
        "attack": compared[best].attack(level),
        "control": compared[best].control(level),
    }
    notes = []
    if not telling:
        notes.append("The attackers guess every non-member right, so that nothing can be gained on members.")
    elif max(comparison.hits for comparison in compared.values()) <= naive[:n].sum():
        notes.append("Always guessing the most frequent value does as well: the attack is weak here.")
    details = {
        "known": list(known),
        "attacker": best,
        "attackers": {
            attacker: {**comparison.plain(), **_plain(risks[attacker])} for attacker, comparison in compared.items()
        },
        "naive": Comparison.of(naive[:n], naive[n:]).plain(),
        "by value": _by_value(case, secret, hits[best], n),
    }
    if secret.is_number:
        details["tolerance"] = secret.tolerance_text
    return Risk("attribute", name, estimates, n, note=" ".join(notes), details=details)


def _better(risks: list[Estimate]) -> Estimate:
    """Return the largest of several risks: its ends are the largest ends, since all intervals hold together."""
    if not risks:
        return Estimate(np.nan, baseline=0.0)
    return Estimate(
        max(risk.value for risk in risks), max(risk.low for risk in risks), max(risk.high for risk in risks), 0.0
    )


def _plain(risk: Estimate) -> dict[str, float]:
    return {"risk": risk.value, "low": risk.low, "high": risk.high}


def _by_value(case: AuditCase, secret: Secret, hits: Marks, n: int) -> list[dict[str, Any]]:
    """Return the success by the true value, the rarest first; values of numbers by quarter of the reference rows.

    Values that fewer than `FEWEST_TOLD` members or non-members hold are not told.
    """
    told = []
    for label, share, among in secret.groups(_MOST_VALUES):
        comparison = Comparison.of(hits[:n][among[:n]], hits[n:][among[n:]])
        # what only a few hold would name them
        if min(comparison.tried, comparison.control_tried) >= FEWEST_TOLD:
            risk = comparison.risk(case.confidence)
            told.append({"value": label, "share": share, "rare": share < RARE, **comparison.plain(), **_plain(risk)})
    return told


ATTACKS = (
    Attack(
        name="attribute",
        family="attribute",
        title="attribute inference",
        source="Giomi et al. 2023 (Anonymeter 1.1) with the nearest neighbour; boosted trees",
        threat="Somebody who knows the other columns of a person (or the quasi-identifiers, where they are named) "
        "learns the sensitive one from the release.",
        reading="How much more often the sensitive value of a member is guessed than that of a non-member, as a share "
        "of what was left to gain; of the better of two attackers.",
        lies="What holds for everybody can be guessed of non-members too and is no disclosure about a member: the "
        "difference alone counts. A cleverer attacker may do better.",
        measures={
            "risk": "(attack - control) / (1 - control); 0 without a leak.",
            "attack": "Share of members whose value is guessed; a number within 5 % of the guess.",
            "control": "Share of non-members whose value is guessed.",
        },
        needs=("holdout", "sensitive"),
        subjects=lambda case: case.sensitive,
        run=_run,
    ),
)
