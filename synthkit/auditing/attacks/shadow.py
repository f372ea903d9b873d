"""Shadow models: the generator is fitted again with and without the rarest records, to learn what they change.

The likelihood-ratio attack of Carlini et al. on synthetic tables. All shadow models serve all targets: each target is
in the training rows of one half of them. Everything but the targets is as it was (the model-seeded game, in which the
attacker knows all other records), so that this is the strongest attack of the audit, and the most expensive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.auditing.attack import Attack
from synthkit.auditing.case import AuditCase
from synthkit.auditing.intervals import auc_estimate, true_positive_estimate
from synthkit.auditing.neighbours import nearest
from synthkit.auditing.reading import row_hashes
from synthkit.auditing.records import Risk
from synthkit.evaluation.controls import noisy_copies

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

MOST_TARGETS = 100
"""Of members, and as many non-members: those farthest from the reference."""
_TINY = 1e-6  # added to distances before their logarithm: an exact copy is very near, not infinitely
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class _Targets:
    """The records that shadow models are trained with and without.

    Attributes
    ----------
    frame
        Members, then non-members.
    points
        The same in the view for distances.
    members
        How many of them are members.
    """

    frame: pd.DataFrame
    points: npt.NDArray[np.float32]
    members: int


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
    shadow = case.shadow
    if shadow is None:
        return ()
    targets = _rarest(case)
    rng = case.generator("shadow")
    inside = balanced(shadow.models, len(targets.frame), rng)
    background = _background(case, targets)
    scores = np.stack([
        _scores(case, targets, _released(case, background, targets, marks, number, rng))
        for number, marks in enumerate(inside)
    ])  # fmt: skip
    observed = _scores(case, targets, case.synthetic.frame)
    ratios = likelihood_ratios(scores, inside, observed)
    own, others = ratios[: targets.members], ratios[targets.members :]
    estimates = {
        "auc": auc_estimate(own, others, case.confidence),
        "tpr@fpr1%": true_positive_estimate(own, others, 0.01, case.confidence),
        "tpr@fpr0.1%": true_positive_estimate(own, others, 0.001, case.confidence),
    }
    note = f"{shadow.models} shadow models, on the {targets.members} members farthest from the reference."
    return (Risk("shadow", estimates=estimates, n=len(ratios), note=note),)


def _rarest(case: AuditCase) -> _Targets:
    """The members and non-members farthest from the reference, equally many."""
    far = case.to_reference().distances[:, 0]
    n = min(MOST_TARGETS, len(case.members), len(case.nonmembers))
    first = np.argsort(-far[: len(case.members)], kind="stable")[:n]
    second = np.argsort(-far[len(case.members) :], kind="stable")[:n]
    frame = pd.concat([case.members.frame.iloc[first], case.nonmembers.frame.iloc[second]], ignore_index=True)
    points = case.points[np.concatenate([first, len(case.members) + second])]
    return _Targets(frame, points, n)


def _background(case: AuditCase, targets: _Targets) -> pd.DataFrame:
    """Training rows that are no target; those of the positive control are the members."""
    rows = case.members if case.role == "positive control" else case.train
    taken = row_hashes(case.view.code(targets.frame))
    return rows.frame[~np.isin(row_hashes(rows.coded), taken)].reset_index(drop=True)


def _released(
    case: AuditCase,
    background: pd.DataFrame,
    targets: _Targets,
    marks: Marks,
    number: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """What a generator trained on the background and the marked targets releases."""
    rows = len(case.synthetic)
    if case.role == "negative control":
        return case.reference.take(rng.integers(0, len(case.reference), rows)).frame
    trained = pd.concat([background, targets.frame[marks]], ignore_index=True)
    if case.role == "positive control" or case.shadow is None:
        return noisy_copies(trained, rows, rng)
    return case.shadow.release(trained, rows, number)


def _scores(case: AuditCase, targets: _Targets, synthetic: pd.DataFrame) -> Floats:
    """Minus the log distance of each target to the nearest synthetic row ``[targets]``."""
    points = case.view.linear(case.view.code(synthetic))
    found: Floats = -np.log(nearest(targets.points, points, 1).distances[:, 0] + _TINY)
    return found


ATTACKS = (
    Attack(
        name="shadow",
        family="membership",
        title="Shadow models",
        source="Carlini et al. 2022, Membership inference attacks from first principles; Stadler et al. 2022; targets "
        "by rarity as in Meeus et al. 2023, Achilles' heels",
        threat="An attacker who has the generator's settings and all other records fits it with and without a record.",
        reading="Area under the ROC curve over the rarest records: the chance that a member gets a higher likelihood "
        "ratio than a non-member.",
        lies="A handful of shadow models finds large effects only; how near a synthetic row comes is all it looks at.",
        measures={
            "auc": "area under the ROC curve of members against non-members",
            "tpr@fpr1%": "share of members found when 1 % of non-members are accused",
            "tpr@fpr0.1%": "share of members found when 0.1 % of non-members are accused",
        },
        needs=("holdout", "shadow models"),
        run=run,
    ),
)
