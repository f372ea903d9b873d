"""One call from real, held-out and synthetic cells to risks with controls, a policy's verdict, and types at risk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthkit.auditing.expression.attacks import (
    EXPRESSION_ATTACKS,
    FEW_DONORS,
    few_donors,
    too_few,
)
from synthkit.auditing.expression.case import CellLimits, ExpressionCase
from synthkit.auditing.expression.metadata import NAME as METADATA
from synthkit.auditing.expression.metadata import audit_metadata, metadata_risk
from synthkit.auditing.expression.reading import ReadCells, read_cells
from synthkit.auditing.expression.result import ExpressionAuditResult, NearestCell, PlantedCopies
from synthkit.auditing.expression.types import types_at_risk
from synthkit.auditing.guarantee import read_guarantee
from synthkit.auditing.intervals import FAMILY, adjusted
from synthkit.auditing.judging import judged
from synthkit.auditing.records import DESCRIPTIVE, Risk, not_applicable
from synthkit.evaluation.threads import few_threads
from synthkit.io.expression_set import ExpressionSet

if TYPE_CHECKING:
    from synthkit.auditing.policy import Policy

PLANTED = (0.01, 0.1)
"""Shares of training cells of which copies are put into the release, to say what the audit would have found."""
WORST = 8
"""Training cells nearest to the release that the report names by their position."""
_NO_HOLDOUT = (
    "It needs held-out cells that the generator never saw (--holdout): without them nobody can tell a copy from a"
    " likeness."
)


def audit_expression(
    train: ExpressionSet,
    synthetic: ExpressionSet,
    holdout: ExpressionSet | None = None,
    *,
    donor: str | None = None,
    label: str | None = None,
    policy: str | Path | Policy | None = None,
    files: Path | None = None,
    training_files: Path | None = None,
    model: str | Path | None = None,
    ledger: str | Path | None = None,
    seed: int = 0,
    limits: CellLimits | None = None,
    progress: Callable[[str], None] | None = None,
) -> ExpressionAuditResult:
    """Find out whether synthetic cells, whoever made them, repeat the cells they were made from.

    Parameters
    ----------
    train
        The cells that the generator learned from.
    synthetic
        The released cells, with the same measure; genes are matched by their ids.
    holdout
        Cells of the same source that the generator never saw, best of other donors. Without them nothing has a
        control: no attack is made, and the result says so.
    donor
        Column of the real cells (``obs``) that names the donor. The donor is whom privacy is about: without it cells
        are the unit, and nothing is said about persons.
    label
        Column of the real cells that names the type: thresholds and risks by type.
    policy
        Gates: the name of a policy for expression that comes with the package, a YAML file, or a `Policy`. None for no
        verdict.
    files
        The released .h5ad file or .zarr folder, whose annotations are read; None where there is none.
    training_files
        The file of the training cells, to find their embeddings in the release.
    model, ledger
        Files with the privacy budget, as for tables.
    seed
        Seed of every draw; the same cells and seed give the same audit, in whatever order the cells are.
    limits
        At most how many cells are looked at.
    progress
        Is told what is done next.

    Returns
    -------
    ExpressionAuditResult
        A risk for each attack with interval, baseline and controls; verdicts of the policy; types at risk; what the
        audit would have found.

    Raises
    ------
    InputError
        Measures differ, no genes are shared, a set is empty, a column is missing, or the policy cannot be read.
    DataError
        Most held-out cells are training cells, or of training donors.

    Notes
    -----
    Held-out cells are parted in two halves, by donor: one is accused beside the training cells, the other one is what
    the attacker has. Attacks show what some attackers can do, never what none can. What proves the latter is a privacy
    budget.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from synthkit.random import RandomSource
    >>> random = RandomSource(0).numpy("cells")
    >>> def cells(n):
    ...     counts = random.poisson(random.gamma(0.5, 4.0, (n, 60)))
    ...     genes = pd.DataFrame(index=[f"gene {k}" for k in range(60)])
    ...     return ExpressionSet(counts, genes, pd.DataFrame(index=map(str, range(n))))
    >>> train = cells(300)
    >>> audit_expression(train, train, cells(300))["cell-copies"].outcome
    'disclosure'
    """
    from synthkit.auditing.expression.policies import load_expression_policy
    from synthkit.auditing.policy import Policy

    gates = policy if policy is None or isinstance(policy, Policy) else load_expression_policy(policy)
    guarantee, about_model = read_guarantee(model, ledger)
    tell = progress or (lambda title: None)
    tell("duplicates")
    read = read_cells(train, synthetic, holdout, donor=donor, label=label, limits=limits or CellLimits(), seed=seed)
    case = read.case
    notes = [*read.notes, *about_model]
    result = ExpressionAuditResult(
        risks={name: not_applicable(name, _NO_HOLDOUT) for name, one in EXPRESSION_ATTACKS.items() if one.run},
        guarantee=guarantee,
        rows={
            "real": len(train),
            "held-out": 0 if holdout is None else len(holdout),
            "synthetic": len(synthetic),
            "targets": 0 if case is None else len(case.members),
        },
        overlap=None
        if read.duplicates is None or holdout is None
        else read.duplicates.overlap(len(train), len(holdout)),
        seed=seed,
        confidence=FAMILY,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        duplicates=read.duplicates,
        donors=read.donors,
        donor=donor,
        label=label,
    )
    if case is not None:
        with few_threads(max(len(case.members), len(case.synthetic))):
            risks = attack_cells(case, tell)
            notes += _other_source(risks)
            tell("planted copies")
            planted = tuple(planted_copies(case, risks, share) for share in PLANTED)
            tell("types")
            made = any(risk.outcome != "not applicable" for risk in risks.values())
            types = types_at_risk(case) if made else ()
            worst = _worst(case, read) if made else ()
        result = replace(result, risks=risks, planted=planted if made else (), types=types, worst=worst)
    metadata = None if files is None else audit_metadata(files, train, training_files)
    about_file = (
        not_applicable(METADATA, "The release was handed in as arrays, not as a file.")
        if metadata is None
        else metadata_risk(metadata)
    )
    result = replace(result, risks={**result.risks, METADATA: about_file}, metadata=metadata, notes=tuple(notes))
    if gates is None:
        return result
    return replace(result, policy=gates.to_dict(), verdicts=gates.verdicts(result))


def attack_cells(case: ExpressionCase, tell: Callable[[str], None]) -> dict[str, Risk]:
    """Make every attack on a release and on both controls.

    Parameters
    ----------
    case
        The release.
    tell
        Is told the title of each attack.

    Returns
    -------
    dict
        Risk by name, judged. All intervals of a family hold together. Where there are too few cells for finding nothing
        to say anything, or an attack on cells succeeds and donors are known and few, it is inconclusive.
    """
    levels = _levels()
    cases = (case, case.positive_control(), case.negative_control())
    risks = {}
    for name, attack in EXPRESSION_ATTACKS.items():
        if attack.run is None:
            continue
        tell(attack.title)
        own, caught, missed = (attack.run(replace(part, confidence=levels[attack.family])) for part in cases)
        doubt = FEW_DONORS if attack.family == "membership" and few_donors(case) else ""
        risks[name] = judged(own, caught, missed, doubt=doubt, lacking=too_few(case, name))
    return risks


def planted_copies(case: ExpressionCase, risks: dict[str, Risk], share: float) -> PlantedCopies:
    """Return which attacks find copies of a share of the training cells that are put into the release.

    Parameters
    ----------
    case
        The release.
    risks
        What was found in it: attacks whose controls failed find nothing.
    share
        Of the accused training cells, from 0 to 1.
    """
    levels = _levels()
    leaky = case.with_planted(share)
    count = max(1, round(share * len(case.members)))
    found = []
    for name, risk in risks.items():
        attack = EXPRESSION_ATTACKS[name]
        if attack.run is None or risk.outcome == "not applicable" or (risk.negative and risk.negative.above):
            continue
        seen = attack.run(replace(leaky, confidence=levels[attack.family]))
        if any(one.above for measure, one in seen.estimates.items() if measure not in DESCRIPTIVE):
            found.append(name)
    return PlantedCopies(share, count, tuple(found))


def _levels() -> dict[str, float]:
    """Return the level of each interval of a family, so that all of them hold together."""
    counts: dict[str, int] = {}
    for attack in EXPRESSION_ATTACKS.values():
        if attack.run is not None:
            counts[attack.family] = counts.get(attack.family, 0) + len(set(attack.measures) - DESCRIPTIVE)
    return {family: adjusted(FAMILY, count) for family, count in counts.items()}


def _other_source(risks: dict[str, Risk]) -> list[str]:
    """Whether held-out cells lie nearer to other held-out cells than training cells do, whatever was released."""
    control = risks["cell-gan-leaks"].negative
    if control is None or not control.high < control.baseline:
        return []
    return [
        "The held-out cells lie nearer to one another than the training cells lie to them: they are cells of fewer"
        " donors, or the two sets are not of the same source. An attack may take that difference for a leak, or"
        " overlook a leak because of it."
    ]


def _worst(case: ExpressionCase, read: ReadCells) -> tuple[NearestCell, ...]:
    """Return the training cells with the nearest synthetic cells; points have length 1."""
    found = case.nearest("profiles", "synthetic")
    alike = 1 - found.distances[:, 0] ** 2 / 2
    members, nonmembers = case.split(alike)
    most = float(nonmembers.max())
    return tuple(
        NearestCell(
            int(read.members[place]) + 1,
            int(read.synthetic[found.rows[place, 0]]) + 1,
            float(members[place]),
            most,
            "" if case.member_labels is None else str(case.member_labels[place]),
        )
        for place in np.argsort(-members, kind="stable")[:WORST]
    )
