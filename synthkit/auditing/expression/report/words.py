"""What every report on cells says whatever was found; what it shares with other reports comes from there."""

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
    "AUDIT_AGAIN", "CONFIDENTIAL", "CONTROLS", "DECISIONS", "GATE_WORDS", "GROUPS", "NOT_COVERED", "NO_GUARANTEE",
    "NO_POLICY", "OUTCOMES_MEAN", "OUTCOME_WORDS", "PLANTED", "REVIEW", "SIGNED", "SIGNERS", "TAMPER", "TITLE",
    "TYPES", "WHAT_A_VERDICT_IS", "WORST",
]  # fmt: skip

TITLE = "Audit of released synthetic gene expression"

CONFIDENTIAL = "This report is confidential: it tells about the real cells and their donors."

GROUPS: Mapping[Family, tuple[str, str, str]] = {
    "duplicates": ("Copies", "beside WP216", "Does the release repeat training cells, more than held-out cells?"),
    "membership": (
        "Membership",
        "beside WP216",
        "Does the release tell whether a cell, or a donor, was among the training data?",
    ),
    "linkability": ("Annotations", "WP216: linkability", "Does the file itself hold something of the real cells?"),
}

OUTCOMES_MEAN: Mapping[Outcome, str] = {
    "disclosure": "by at least one of its measures the attack finds more training cells or donors than held-out ones,"
    " beyond chance",
    "no disclosure found": "by none of its measures does it, and its controls show that it would have found copies",
    "inconclusive": "there are too few cells or donors, or its controls do not show that the attack tells a copy from"
    " none: nothing follows, neither way",
    "not applicable": "it did not run, and the reason is told",
}

CONTROLS = (
    "Training cells and held-out cells are held against the same release. Positive control: noisy copies of training"
    " cells, each sequenced once more, play the release. Where an attack misses even those, finding nothing says"
    " nothing. Negative control: held-out cells that are not accused play the release. It must not be found to leak."
    " Components are fitted on the release and on the reference only, never on the cells that are accused. All"
    " intervals of a group hold together with 95 %."
)

PLANTED = (
    "Copies of a share of the training cells, each sequenced once more (Poisson), were put into this release, and all"
    " attacks were made again. What is not found here, this audit cannot find: with more cells it may."
)

TYPES = (
    "Correlation: median over the cells of a type of the correlation with the most similar synthetic cell. The area is"
    " that of calibrated GAN-leaks within the type; the intervals of all types hold together. A generator learns types"
    " with few cells by heart first, and few cells make wide intervals."
)

WORST = (
    "The training cells that are most like a synthetic cell, by their positions in the files, beside the largest"
    " correlation that any accused held-out cell reaches. No name of a real cell is told."
)

NOT_COVERED = (
    "Attacks that are not in this report. A stronger one may come next year. Only a proof bounds those.",
    "Attacks that link expression with genotypes (eQTL), or with other data on the same persons.",
    "The most exposed few. Membership is an average over many cells; a single donor can be exposed, unseen.",
    "One cell that is copied many times and changed each time: it counts once.",
    "Everything else that was or will be released about the same donors.",
    "The generator itself. The attacker has the released cells only, not the model, and asks it nothing.",
)
