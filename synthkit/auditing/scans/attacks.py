"""The attacks on a release of scans: copies beyond those that held-out scans look like, and membership by distance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from synthkit.auditing.attack import AttackText
from synthkit.auditing.attacks.membership_scores import MEASURES, RATES
from synthkit.auditing.copy_rates import SHARES, compared, near, preference
from synthkit.auditing.intervals import auc_estimate, true_positive_estimate
from synthkit.auditing.records import Risk, not_applicable
from synthkit.auditing.residual import Comparison
from synthkit.auditing.scans.case import ScanCase
from synthkit.auditing.scans.duplicates import scan_hashes

FEWEST = 20
"""Synthetic scans, held-out scans and targets of either kind without which no attack is made."""
ENOUGH = 200
"""Synthetic scans, and held-out scans, from which finding nothing says something."""
ENOUGH_PATIENTS = 50
"""Patients with held-out scans, the same."""
# Where near scans are no more often near to training than to held-out scans, what they repeat is common, not copied.
_NO_PREFERENCE = 0.2


@dataclass(frozen=True, kw_only=True)
class ScanAttack(AttackText):
    """An attack on scans.

    Attributes
    ----------
    space
        Where it measures distances; empty where it measures none.
    run
        Returns its risk, not yet judged by controls; None where it is found otherwise.
    """

    space: str = ""
    run: Callable[[ScanCase], Risk] | None = None


def copies_risk(case: ScanCase, name: str, space: str) -> Risk:
    """Return how many synthetic scans are nearer to a training scan than held-out scans are.

    Parameters
    ----------
    case
        What is attacked.
    name
        Of the attack.
    space
        Where distances are measured.
    """
    lack = _lack(case, len(case.synthetic), len(case.holdout))
    if lack:
        return not_applicable(name, lack)
    to_train = case.nearest(space, "synthetic", "train").distances[:, 0]
    expected = case.nearest(space, "as sharp", "train").distances[:, 0]
    classes, patients = case.classes(), case.holdout.groups
    found = {measure: near(to_train, expected, share, classes) for measure, share in SHARES.items()}
    rates = {measure: compared(one, patients, case.generator(measure)) for measure, one in found.items()}
    first = rates["excess"]
    estimates = {measure: rate.excess(case.confidence) for measure, rate in rates.items()}
    estimates["exact"] = _exact(case).excess(case.confidence)
    estimates["attack"], estimates["control"] = first.attack(case.confidence), first.control(case.confidence)
    details: dict[str, object] = {
        "near": {
            measure: {"synthetic": int(one.synthetic.sum()), "held-out": int(one.holdout.sum())}
            for measure, one in found.items()
        },
        "training scans": len(case.train),
        "held-out patients": len(np.unique(patients)),
    }
    note = ""
    if case.role == "release":
        to_holdout = case.nearest(space, "synthetic", "holdout").distances[:, 0]
        told = {
            measure: preference(to_train, to_holdout, one.thresholds, (len(case.train), len(case.holdout)))
            for measure, one in found.items()
        }
        details["preference"] = {measure: asdict(one) for measure, one in told.items()}
        above = [measure for measure in SHARES if estimates[measure].above]
        if above and not estimates["exact"].above and all(told[one].none(_NO_PREFERENCE) for one in above):
            note = COMMON
    return Risk(name, "", estimates, len(case.synthetic), note=note, details=details)


COMMON = (
    "The near synthetic scans lie as near to held-out scans, which the generator never saw, as to training scans: it "
    "may repeat what is common, or patients of the held-out scans are among the training scans."
)
"""What is said where near scans show no preference for training scans; such a risk is inconclusive."""


def membership_risk(case: ScanCase, name: str, space: str) -> Risk:
    """Return how well the nearest synthetic scan tells training scans from held-out ones.

    Parameters
    ----------
    case
        What is attacked.
    name
        Of the attack.
    space
        Where distances are measured.
    """
    lack = _lack(case, len(case.synthetic), min(len(case.members), len(case.nonmembers)))
    if lack:
        return not_applicable(name, lack)
    synthetic = case.points(space, "synthetic")
    measure = case.spaces[space].nearest
    members = -measure(case.points(space, "train")[case.members], synthetic).distances[:, 0]
    nonmembers = -measure(case.points(space, "holdout")[case.nonmembers], synthetic).distances[:, 0]
    estimates = {"auc": auc_estimate(members, nonmembers, case.confidence)}
    estimates |= {
        rate: true_positive_estimate(members, nonmembers, share, case.confidence) for rate, share in RATES.items()
    }
    return Risk(name, "", estimates, len(members), details={"non-members": len(nonmembers)})


def too_few(case: ScanCase) -> str:
    """Return why finding nothing would say nothing, or an empty text."""
    patients = len(np.unique(case.holdout.groups))
    wanted = {
        f"{len(case.synthetic):,} synthetic scans": (len(case.synthetic), ENOUGH),
        f"{len(case.holdout):,} held-out scans": (len(case.holdout), ENOUGH),
        f"{patients:,} patients with held-out scans": (patients, ENOUGH_PATIENTS),
    }
    lacking = [f"{said} (at least {least} are needed)" for said, (there, least) in wanted.items() if there < least]
    return f"Not enough evidence: {'; '.join(lacking)}." if lacking else ""


def _exact(case: ScanCase) -> Comparison:
    """Return how many synthetic scans equal a training scan, and how many held-out ones do."""
    train = scan_hashes(case.train.images)
    varied = np.ptp(case.synthetic.images.reshape(len(case.synthetic), -1), axis=1) > 0
    own, others = scan_hashes(case.synthetic.images), scan_hashes(case.holdout.images)
    return Comparison.of(np.isin(own, train) & varied, np.isin(others, train))


def _lack(case: ScanCase, synthetic: int, holdout: int) -> str:
    if synthetic < FEWEST:
        return f"Not enough evidence: {synthetic:,} synthetic scans (at least {FEWEST} are needed)."
    if holdout < FEWEST:
        return f"Not enough evidence: {holdout:,} held-out scans or patients (at least {FEWEST} are needed)."
    return ""


_COPY_MEASURES = {
    "excess": "Share of synthetic scans that are nearer to a training scan than the 5 % of held-out scans that lie "
    "nearest, less the share of held-out scans.",
    "excess@0.5%": "The same for the 0.5 % of held-out scans that lie nearest.",
    "excess@nearest": "The same for the held-out scan that lies nearest of all: synthetic scans nearer than any real "
    "scan of another patient.",
    "exact": "Share of synthetic scans that equal a training scan in every sample, less that of held-out scans.",
    "attack": "Copy rate: share of synthetic scans that are nearer to a training scan than the 5 % of held-out scans "
    "that lie nearest.",
    "control": "The same share of held-out scans, with an interval by patient.",
}
_COPY_READING = (
    "Share of synthetic scans that are too near to a training scan, less the share of held-out scans that are. 0 is "
    "what a generator comes to that copies nothing."
)
_KNOWS = "Somebody who has a scan and the release looks for a synthetic scan near to it."
_MEMBER_READING = (
    "Probability that a training scan has a nearer synthetic scan than a held-out one has; 0.5 is guessing."
)
_FEATURES = "a network that learned to know the training scans again, turned, enlarged, noisy or blurred"
SCAN_ATTACKS: Mapping[str, ScanAttack] = MappingProxyType(
    {
        attack.name: attack
        for attack in (
            ScanAttack(
                name="scan-copies",
                family="duplicates",
                title="copied scans, by pixels",
                source="copy rate against held-out scans, with normalised cross-correlation as in Akbar, Wang and "
                "Eklund (2025), Machine Learning: Science and Technology 6(1), and a control of equal sharpness",
                threat="Somebody who finds a scan in the release takes it for the scan of a patient, however it was "
                "moved by up to two samples, mirrored, or changed in brightness and contrast.",
                reading=_COPY_READING,
                lies="A copy that was turned, scaled, bent or moved further is missed; features may see it. Held-out "
                "scans of patients who are among the training scans hide copies.",
                measures=_COPY_MEASURES,
                space="pixels",
                run=partial(copies_risk, name="scan-copies", space="pixels"),
            ),
            ScanAttack(
                name="scan-copies-features",
                family="duplicates",
                title="copied scans, by features",
                source="the same copy rate with features that learned by contrast, as in Dar et al. (2025), Nature "
                "Biomedical Engineering",
                threat=f"The same, with the eyes of {_FEATURES}.",
                reading=_COPY_READING,
                lies="Features forget detail: two patients may lie close, and a copy that was changed in a way "
                "that the network never saw may lie far away. Networks made for other ends, such as telling classes, "
                "may not see copies at all; the positive control says so.",
                measures=_COPY_MEASURES,
                space="features",
                run=partial(copies_risk, name="scan-copies-features", space="features"),
            ),
            ScanAttack(
                name="scan-membership",
                family="membership",
                title="nearest synthetic scan, by pixels",
                source="full black-box attack of Chen, Yu, Zhang and Fritz (2020), GAN-Leaks, with correlation as the "
                "distance",
                threat=_KNOWS,
                reading=_MEMBER_READING,
                lies="A few copies among many scans hardly move an average over all training scans: read it with the "
                "copy rate.",
                measures=MEASURES,
                space="pixels",
                run=partial(membership_risk, name="scan-membership", space="pixels"),
            ),
            ScanAttack(
                name="scan-membership-features",
                family="membership",
                title="nearest synthetic scan, by features",
                source="the same attack with distances of features",
                threat=f"The same, with the eyes of {_FEATURES}.",
                reading=_MEMBER_READING,
                lies="The network learned from the training scans and may know them better than held-out ones; its "
                "negative control shows how much.",
                measures=MEASURES,
                space="features",
                run=partial(membership_risk, name="scan-membership-features", space="features"),
            ),
            ScanAttack(
                name="scan-metadata",
                family="linkability",
                title="what the files say besides the picture",
                source="attributes of DICOM PS3.15, annex E, that name a patient; headers of NIfTI; texts of PNG",
                threat="Somebody reads the header of a released file instead of looking at the picture.",
                reading="Share of released files that name a patient, a person, a place or a file of the training "
                "scans.",
                lies="Text that is burned into the pixels is not read. Look at the pictures.",
                measures={
                    "named": "Share of files with an attribute that names a patient, a person or a place, or with an "
                    "identifier of a training scan.",
                    "unmarked": "Share of files that do not say that they are synthetic and by what they were made.",
                },
            ),
        )
    }
)
"""Attack by name."""
