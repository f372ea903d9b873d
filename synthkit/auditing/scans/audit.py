"""One call from real, held-out and synthetic scans to risks with controls, a policy's verdict and the nearest pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthkit.auditing.copy_rates import near
from synthkit.auditing.guarantee import read_guarantee
from synthkit.auditing.intervals import FAMILY, adjusted
from synthkit.auditing.judging import judged
from synthkit.auditing.records import DESCRIPTIVE, Risk, not_applicable
from synthkit.auditing.scans.attacks import COMMON, SCAN_ATTACKS, ScanAttack, too_few
from synthkit.auditing.scans.case import Features, Pixels, ScanCase, ScanLimits, Space
from synthkit.auditing.scans.matching import aligned
from synthkit.auditing.scans.measures import authenticity_score, nearer_score
from synthkit.auditing.scans.metadata import BURNED_IN, audit_metadata
from synthkit.auditing.scans.metadata import NAME as METADATA
from synthkit.auditing.scans.reading import read_sets
from synthkit.auditing.scans.result import NearestPair, ScanAudit, ScanPictures
from synthkit.evaluation.records import Score
from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource

if TYPE_CHECKING:
    from synthkit.auditing.policy import Policy
    from synthkit.evaluation.scans.extractors import Extractor

COPIES = "copies"
"""Name of the extractor that is made for audits."""
WORST = 8
"""Synthetic scans that the report shows beside the real scans nearest to them."""
_RELEASED = 24
_MOST_AUTHENTICATED = 500
_NO_HOLDOUT = (
    "It needs held-out scans that the generator never saw (--holdout): without them nobody can tell a copy from a "
    "likeness."
)


def audit_scans(
    real: ScanSet,
    synthetic: ScanSet,
    *,
    holdout: ScanSet | None = None,
    policy: str | Path | Policy | None = None,
    extractor: str | Extractor | None = COPIES,
    files: Path | None = None,
    training_files: Path | None = None,
    model: str | Path | None = None,
    ledger: str | Path | None = None,
    seed: int = 0,
    raw_names: bool = False,
    limits: ScanLimits | None = None,
    progress: Callable[[str], None] | None = None,
) -> ScanAudit:
    """Find out whether synthetic scans, whoever made them, repeat the scans they were made from.

    Parameters
    ----------
    real
        The scans that the generator learned from.
    synthetic
        The released scans, of the same size and channels.
    holdout
        Scans of the same source that the generator never saw, of other patients. Without them nothing has a control:
        no attack is made, and the result says so.
    policy
        Gates: the name of a policy for scans that comes with the package, a YAML file, or a `Policy`. None for no
        verdict.
    extractor
        What distances by features are measured with: "copies", a network that learns to know the training scans again
        (`synthkit.auditing.scans.copy_features`); a name in `synthkit.evaluation.scans.extractors.EXTRACTORS`; an
        extractor; or None for distances by pixels only.
    files
        The folder of the release, whose headers are read; None where there is none.
    training_files
        The folder of the training scans, to find their identifiers in the release.
    model, ledger
        Files with the privacy budget, as for tables.
    seed
        Seed of every draw; the same scans and seed give the same audit.
    raw_names
        Whether names of the real scans that are shown are in the result.
    limits
        At most how many scans are looked at.
    progress
        Is told what is done next.

    Returns
    -------
    ScanAudit
        A risk for each attack with interval, baseline and controls; verdicts of the policy; the nearest pairs.

    Raises
    ------
    InputError
        Sizes or channels differ, a set is empty, the policy cannot be read, or an unknown extractor.
    DataError
        Most held-out scans are training scans.

    Notes
    -----
    Attacks show what some attackers can do, never what none can. What proves the latter is a privacy budget.
    """
    from synthkit.auditing.policy import Policy
    from synthkit.auditing.scans.policies import load_scan_policy

    gates = policy if policy is None or isinstance(policy, Policy) else load_scan_policy(policy)
    guarantee, about_model = read_guarantee(model, ledger)
    tell = progress or (lambda title: None)
    tell("duplicates")
    sets = read_sets(real, synthetic, holdout, limits or ScanLimits(), seed)
    notes = [*sets.notes, *about_model]
    risks: dict[str, Risk] = {}
    distances: dict[str, Score] = {}
    worst: tuple[NearestPair, ...] = ()
    pictures = None
    if sets.case is None:
        risks = {
            name: not_applicable(name, _NO_HOLDOUT) for name, attack in SCAN_ATTACKS.items() if attack.run is not None
        }
    else:
        case = replace(sets.case, spaces=_spaces(sets.case, extractor, seed, tell))
        case.share("pixels: holdout to train", lambda: sets.holdout_to_train)
        risks = attack_scans(case, tell)
        notes += _other_source(risks)
        tell("nearest pairs")
        distances = _distances(case)
        worst = _worst(case, raw_names)
        pictures = _pictures(case, worst)
    metadata = None if files is None else audit_metadata(files, training_files)
    risks[METADATA] = (
        not_applicable(METADATA, "The release was handed in as arrays, not as files.")
        if metadata is None
        else metadata.risk(METADATA, BURNED_IN)
    )
    result = ScanAudit(
        risks=risks,
        guarantee=guarantee,
        rows={
            "real": len(real),
            "held-out": 0 if holdout is None else len(holdout),
            "synthetic": len(synthetic),
            "targets": 0 if sets.case is None else len(sets.case.members),
        },
        overlap=None
        if sets.duplicates is None or holdout is None
        else sets.duplicates.overlap(len(real), len(holdout)),
        seed=seed,
        confidence=FAMILY,
        notes=tuple(notes),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        duplicates=sets.duplicates,
        distances=distances,
        worst=worst,
        metadata=metadata,
        patients={
            part: 0 if scans is None or scans.patients is None else len(np.unique(scans.patients))
            for part, scans in {"real": real, "held-out": holdout}.items()
        },
        pictures=pictures,
    )
    if gates is None:
        return result
    return replace(result, policy=gates.to_dict(), verdicts=gates.verdicts(result))


def attack_scans(case: ScanCase, tell: Callable[[str], None]) -> dict[str, Risk]:
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
        Risk by name, judged. Where there are too few scans for finding nothing to say anything, it is inconclusive.
    """
    intervals: dict[str, int] = {}
    for attack in SCAN_ATTACKS.values():
        if attack.space in case.spaces:
            own = len(set(attack.measures) - DESCRIPTIVE)
            intervals[attack.family] = intervals.get(attack.family, 0) + own
    cases = (case, case.positive_control(), case.negative_control())
    lacking = too_few(case)
    risks = {}
    for name, attack in SCAN_ATTACKS.items():
        if attack.run is None:
            continue
        if attack.space not in case.spaces:
            risks[name] = not_applicable(name, "No features were asked for (--extractor).")
            continue
        tell(attack.title)
        level = adjusted(FAMILY, intervals[attack.family])
        risks[name] = _judged(attack, [replace(part, confidence=level) for part in cases], lacking)
    return risks


def _judged(attack: ScanAttack, cases: list[ScanCase], lacking: str) -> Risk:
    """Return the risk of one attack, judged by its controls and by how much evidence there is."""
    if attack.run is None:
        raise ValueError(f"the attack {attack.name!r} is not run")
    own, caught, missed = (attack.run(part) for part in cases)
    return judged(own, caught, missed, doubt=COMMON if COMMON in own.note else "", lacking=lacking)


def _spaces(
    case: ScanCase, extractor: str | Extractor | None, seed: int, tell: Callable[[str], None]
) -> dict[str, Space]:
    found: dict[str, Space] = {"pixels": Pixels()}
    if extractor is None:
        return found
    random = RandomSource(seed).child("extractor")
    if extractor == COPIES:
        from synthkit.auditing.scans.copy_features import learn_copy_features

        tell("features by which copies are known")
        found["features"] = Features(learn_copy_features(case.train, random).features)
        return found
    if isinstance(extractor, str):
        from synthkit.evaluation.scans.extractors import extractor_named

        tell(f"features ({extractor})")
        extractor = extractor_named(extractor, case.train, random)
    found["features"] = Features(extractor.features)
    return found


def _other_source(risks: dict[str, Risk]) -> list[str]:
    """Whether held-out scans lie nearer to one another than training scans do to them, whatever was released."""
    control = risks["scan-membership"].negative
    if control is None or not control.high < control.baseline:
        return []
    return [
        "The held-out scans lie nearer to one another than the training scans lie to them: they are scans of fewer "
        "patients, or the two sets are not of the same source. An attack may take that difference for a leak, or "
        "overlook a leak because of it."
    ]


def _distances(case: ScanCase) -> dict[str, Score]:
    """Return authenticity and the two-sample test in each space."""
    found = {}
    groups = case.train.groups
    for space in case.spaces:
        synthetic = case.nearest(space, "synthetic", "train")
        holdout = case.nearest(space, "holdout", "train")
        sharp = case.nearest(space, "as sharp", "train")
        found[f"nearer ({space})"] = nearer_score(synthetic.distances[:, 0], sharp.distances[:, 0])
        pairs = []
        for part in (synthetic, holdout):
            some = case.generator("authenticity").permutation(len(part.rows))[:_MOST_AUTHENTICATED]
            rows = part.rows[some, 0]
            used, place = np.unique(rows, return_inverse=True)
            train = case.points(space, "train")
            again = case.spaces[space].nearest(train[used], train, (groups[used], groups)).distances[:, 0]
            pairs.append((part.distances[some, 0], again[place]))
        found[f"authenticity ({space})"] = authenticity_score(pairs[0], pairs[1])
    return found


def _worst(case: ScanCase, raw_names: bool) -> tuple[NearestPair, ...]:
    """Return the synthetic scans nearest to a training scan, as seen from the threshold of their class."""
    to_train, to_holdout = case.nearest("pixels", "synthetic", "train"), case.nearest("pixels", "synthetic", "holdout")
    sharp = case.nearest("pixels", "as sharp", "train").distances[:, 0]
    thresholds = near(to_train.distances[:, 0], sharp, 0.05, case.classes()).thresholds
    relative = to_train.distances[:, 0] / np.maximum(thresholds, 1e-9)
    names = case.synthetic.names
    pairs = []
    for place in np.argsort(relative, kind="stable")[:WORST]:
        training, held = int(to_train.rows[place, 0]), int(to_holdout.rows[place, 0])
        known = raw_names and case.train.names and case.holdout.names
        pairs.append(
            NearestPair(
                int(place) + 1,
                float(to_train.distances[place, 0]),
                float(to_holdout.distances[place, 0]),
                training + 1,
                held + 1,
                names[place] if names else "",
                (case.train.names[training], case.holdout.names[held]) if known else (),
            )
        )
    return tuple(pairs)


def _pictures(case: ScanCase, worst: tuple[NearestPair, ...]) -> ScanPictures:
    """Draw the nearest pairs, one row each, and some of the release, all at one window."""
    from synthkit.evaluation.scans.pictures import grid_png, triples_png, window_of

    fakes = case.synthetic.images[[pair.synthetic - 1 for pair in worst]]
    training = case.train.images[[pair.training - 1 for pair in worst]]
    held = case.holdout.images[[pair.holdout - 1 for pair in worst]]
    spacing = case.train.form.spacing if len(case.train.size) == 3 else None
    window = window_of(case.train.images[:: max(1, len(case.train) // 500)])
    onto = np.array([aligned(fake, other) for fake, other in zip(fakes, training, strict=True)])
    rows = tuple(
        triples_png(fakes[one], training[one], held[one], aligned=onto[one], window=window, spacing=spacing)
        for one in (slice(place, place + 1) for place in range(len(worst)))
    )
    volumes = case.synthetic.images.ndim == 5
    shown = case.synthetic.images[: 4 if volumes else _RELEASED]
    released = grid_png(shown, window=window, spacing=spacing, columns=1 if volumes else 8)
    return ScanPictures(rows, released, window, volumes)
