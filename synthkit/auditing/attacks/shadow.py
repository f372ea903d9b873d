"""Shadow models: the generator is fitted again with and without the rarest records, to learn what they change.

The likelihood-ratio attack of Carlini et al. on synthetic tables. All shadow models serve all targets: each target is
in the training rows of one half of them. Everything but the targets is as it was (the model-seeded game, in which the
attacker knows all other records), so that this is the strongest attack of the audit, and the most expensive.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.auditing.attack import Attack
from synthkit.auditing.attacks.membership_scores import MEASURES, Floats, membership_risk
from synthkit.auditing.case import AuditCase
from synthkit.auditing.neighbours import nearest
from synthkit.auditing.reading import row_hashes
from synthkit.auditing.records import Risk, not_applicable
from synthkit.evaluation.controls import noisy_copies

Marks = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float32]

MOST_TARGETS = 100
"""Of members, and as many non-members: those farthest from the reference."""
_TINY = 1e-6  # added to distances before their logarithm: an exact copy is very near, not infinitely
_LEAST_SPREAD = 1e-3


def likelihood_ratios(scores: Floats, inside: Marks, observed: Floats) -> Floats:
    """Return the log-likelihood ratio of "was in the training rows" for each target.

    Parameters
    ----------
    scores
        Score of each target on each shadow release, shape [shadows, targets].
    inside
        Whether the target was in the training rows of the shadow model, shape [shadows, targets]; each target is at
        least once inside and once outside.
    observed
        Score of each target on the release, shape [targets].

    Returns
    -------
    ndarray [targets]
        Normal distributions with a mean of their own per target and a common spread, since a handful of shadows tells
        no variance.

    References
    ----------
    Carlini et al. (2022), Membership inference attacks from first principles.
    """
    means = []
    rest = np.zeros_like(scores)
    for marks in (inside, ~inside):
        mean = np.where(marks, scores, 0.0).sum(0) / marks.sum(0)
        rest = np.where(marks, scores - mean, rest)
        means.append(mean)
    spread = max(float(np.sqrt((rest**2).sum() / max(rest.size - 2 * rest.shape[1], 1))), _LEAST_SPREAD)
    within, without = ((observed - mean) / spread for mean in means)
    ratios: Floats = (without**2 - within**2) / 2
    return ratios


def balanced(shadows: int, targets: int, rng: np.random.Generator) -> Marks:
    """Return in which shadow models each target is, ``[shadows, targets]``: in one half of them, at random."""
    order = rng.permuted(np.tile(np.arange(shadows), (targets, 1)), axis=1)
    marks: Marks = (order < shadows // 2).T
    return marks


def run(case: AuditCase) -> tuple[Risk, ...]:
    """Attack the rarest members and non-members with shadow models.

    Raises
    ------
    TrainingError
        A shadow model cannot be fitted.
    """
    if case.shadow is None:
        return (not_applicable("shadow", "No shadow models were asked for."),)
    models = case.shadow.models
    rarest = _rarest(case)
    risks = membership_risk(rarest, "shadow", shadow_scores, details=lambda case: {"shadow models": models})
    said = f"{models} shadow models, on the {len(rarest.members)} members farthest from the reference."
    return tuple(replace(risk, note=f"{said} {risk.note}".strip()) for risk in risks)


def shadow_scores(case: AuditCase) -> Floats:
    """Return the likelihood ratio of each target, shape [targets]: members, then non-members; higher ones accuse.

    Parameters
    ----------
    case
        What is attacked, with the targets that shadow models are trained with and without.
    """
    if case.shadow is None:
        return np.zeros(len(case.is_member))
    rng = case.generator("shadow")
    targets = pd.concat([case.members.frame, case.nonmembers.frame], ignore_index=True)
    background = _background(case, targets)
    inside = balanced(case.shadow.models, len(targets), rng)
    scores = []
    for number, marks in enumerate(inside):
        trained = pd.concat([background, targets[marks]], ignore_index=True)
        released = _released(case, trained, number, rng)
        scores.append(_nearness(case.points, case.view.linear(case.view.code(released))))
    return likelihood_ratios(np.stack(scores), inside, _nearness(case.points, case.synthetic_points))


def _rarest(case: AuditCase) -> AuditCase:
    """The case with fewer targets: the members and non-members farthest from the reference, equally many."""
    far = case.to_reference().distances[:, 0]
    n = min(MOST_TARGETS, len(case.members), len(case.nonmembers))
    members, nonmembers = (
        rows.take(np.argsort(-distances, kind="stable")[:n])
        for rows, distances in ((case.members, far[case.is_member]), (case.nonmembers, far[~case.is_member]))
    )
    return replace(case, members=members, nonmembers=nonmembers, _shared={})


def _background(case: AuditCase, targets: pd.DataFrame) -> pd.DataFrame:
    """Training rows that equal no target. All shadow models learn from them, so that they tell nothing of a target."""
    taken = row_hashes(case.view.code(targets))
    return case.train.frame[~np.isin(row_hashes(case.train.coded), taken)].reset_index(drop=True)


def _released(case: AuditCase, trained: pd.DataFrame, number: int, rng: np.random.Generator) -> pd.DataFrame:
    """What a generator that learned from some rows releases; as many rows as are looked at of the release.

    That of the positive control copies its rows. That of the negative control has seen none of them.
    """
    rows = len(case.synthetic_points)
    if case.role == "negative control":
        return case.reference.take(rng.integers(0, len(case.reference), rows)).frame
    if case.role == "positive control" or case.shadow is None:
        return noisy_copies(trained, rows, rng)
    return case.shadow.release(trained, rows, number)


def _nearness(targets: Points, released: Points) -> Floats:
    """Minus the log distance of each target to the nearest released row, shape [targets]."""
    return np.asarray(-np.log(nearest(targets, released, 1).distances[:, 0] + _TINY), dtype=np.float64)


ATTACKS = (
    Attack(
        name="shadow",
        family="membership",
        title="shadow models",
        source="Carlini et al. (2022), Membership inference attacks from first principles; Stadler et al. (2022); "
        "targets by rarity as in Meeus et al. (2023), Achilles' Heels",
        threat="Somebody who has the settings of the generator and all other records fits it again, with and without "
        "a record, and asks which of the two the release looks like.",
        reading="Among the rarest records: probability that the score of a member is higher than that of a "
        "non-member; 0.5 is guessing.",
        lies="A handful of shadow models finds large effects only; how near a synthetic row comes is all it looks at. "
        "Further rows of the same person stay in, so that it asks about the record and not about the person.",
        measures=MEASURES,
        needs=("holdout", "shadow models"),
        run=run,
    ),
)
