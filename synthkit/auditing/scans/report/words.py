"""What every report on scans says whatever was found; what it shares with reports on tables comes from there."""

from __future__ import annotations

from collections.abc import Mapping

from synthkit.auditing.attack import Family
from synthkit.auditing.records import Outcome
from synthkit.auditing.report.words import (
    AUDIT_AGAIN,
    DECISIONS,
    GATE_WORDS,
    NO_GUARANTEE,
    NO_POLICY,
    OUTCOME_WORDS,
    REVIEW,
    SIGNED,
    SIGNERS,
    TAMPER,
    WHAT_A_VERDICT_IS,
)

__all__ = [
    "AUDIT_AGAIN", "CONFIDENTIAL", "CONTROLS", "DECISIONS", "DISTANCES", "GATE_WORDS", "GROUPS", "LEFT_TO_RIGHT",
    "NOT_COVERED", "NO_GUARANTEE", "NO_POLICY", "OUTCOMES_MEAN", "OUTCOME_WORDS", "REVIEW", "SIGNED", "SIGNERS",
    "TAMPER", "TITLE", "TOP_TO_BOTTOM", "WHAT_A_VERDICT_IS", "WORST",
]  # fmt: skip

TITLE = "Audit of released synthetic scans"

CONFIDENTIAL = "This report is confidential: it tells about the real scans, and shows some of them."

GROUPS: Mapping[Family, tuple[str, str, str]] = {
    "duplicates": ("Copies", "beside WP216", "Does the release repeat training scans, more than held-out scans do?"),
    "membership": (
        "Membership",
        "beside WP216",
        "Does the release tell whether a scan was among the training scans?",
    ),
    "linkability": ("Headers", "WP216: linkability", "Do the files themselves name a patient, a person or a place?"),
}

OUTCOMES_MEAN: Mapping[Outcome, str] = {
    "disclosure": "by at least one of its measures the attack finds more in the release than in held-out scans, beyond"
    " chance",
    "no disclosure found": "by none of its measures does it, and its controls show that it would have found copies",
    "inconclusive": "there are too few scans, or its controls do not show that the attack tells a copy from none:"
    " nothing follows, neither way",
    "not applicable": "it did not run, and the reason is told",
}

CONTROLS = (
    "Positive control: copies of training scans that were moved by up to two samples, mirrored, made noisy and changed"
    " in brightness and contrast play the release. Where an attack misses even those, finding nothing says nothing."
    " Negative control: one half of the held-out patients plays the release. It must not be found to be copied."
    " Thresholds come from held-out scans that were given the sharpness of the release: else smooth scans, which look"
    " like many others, would pass for copies."
)

WORST = (
    "The synthetic scans that are nearest to a training scan, as seen from the threshold of their class. {order}: the"
    " synthetic scan, the nearest training scan, the nearest held-out scan, and the absolute difference of the first"
    " two, once the training scan was moved, mirrored and scaled onto the synthetic one (black: equal; palest: half the"
    " window or more). All at one window. A copy looks like its training scan in detail, and unlike the held-out scan."
    " The middle two are real scans."
)
LEFT_TO_RIGHT = ("From left to right", ("synthetic", "nearest training", "nearest held-out", "difference"))
TOP_TO_BOTTOM = (
    "From top to bottom, each in three planes through the middle and a projection of the largest values",
    ("axial", "coronal", "sagittal", "projection"),
)

DISTANCES = (
    "Nearer: how often a synthetic scan lies nearer to the training scans than a held-out scan of the same sharpness"
    " does; 0.5 for scans of the same source. Authenticity: share of synthetic scans that are not nearer to their"
    " training scan than another patient's training scan is. Both move with how good the generator is, not only with"
    " what it copies, so that no gate rests on them."
)

NOT_COVERED = (
    "Attacks that are not in this report. A stronger one may come next year. Only a proof bounds those.",
    "Copies that were turned, resized or bent, unless the features see them, and parts of a scan that were copied into"
    " another one.",
    "The most exposed few. Membership is an average over many scans; a single patient can be exposed, unseen.",
    "Text that is burned into pixels, and faces that can be computed from a volume of a head. A person has to look.",
    "Everything else that was or will be released about the same patients.",
    "The generator itself. The attacker has the released scans only, not the model, and asks it nothing.",
)
