"""From the sets of an audit to a case: what is there twice is found first, and targets are drawn by patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthkit.auditing.neighbours import Neighbours
from synthkit.auditing.scans.case import Numbers, Pixels, ScanCase, ScanLimits
from synthkit.auditing.scans.duplicates import (
    NEAR,
    ScanDuplicates,
    in_training,
    repeats,
    scan_hashes,
    shared_patients,
)
from synthkit.errors import DataError, InputError
from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource

# Held-out scans of which more are left out than this share were not held out.
_MOST_LEFT_OUT = 0.5


@dataclass(frozen=True)
class ReadSets:
    """The sets of an audit as they will be attacked.

    Attributes
    ----------
    case
        The case of the attacks, measured by pixels only; None without held-out scans.
    holdout_to_train
        The nearest training scan of each held-out scan of the case.
    duplicates
        What is there twice; None without held-out scans.
    notes
        What was done to the sets, in sentences.
    """

    case: ScanCase | None
    holdout_to_train: Neighbours
    duplicates: ScanDuplicates | None
    notes: tuple[str, ...]


def read_sets(real: ScanSet, synthetic: ScanSet, holdout: ScanSet | None, limits: ScanLimits, seed: int) -> ReadSets:
    """Return the sets as the attacks see them.

    Parameters
    ----------
    real
        The scans that the generator learned from.
    synthetic
        The released scans.
    holdout
        Scans that it never saw, or None.
    limits
        At most how many scans are looked at.
    seed
        Seed of every draw.

    Raises
    ------
    InputError
        A set is empty, or sizes or channels differ.
    DataError
        Most held-out scans are training scans.
    """
    _check(real, synthetic, holdout)
    random = RandomSource(seed).child("scan audit")
    notes: list[str] = []
    train, released = (
        _some(scans, most, random.numpy(part), part, notes)
        for part, scans, most in (("training", real, limits.train), ("synthetic", synthetic, limits.synthetic))
    )
    none = Neighbours(np.empty((0, 1)), np.empty((0, 1), dtype=np.int64), 0)
    if holdout is None:
        return ReadSets(None, none, None, tuple(notes))
    exact = np.isin(scan_hashes(holdout.images), scan_hashes(real.images))
    patients = in_training(real, holdout)
    kept = np.flatnonzero(~exact & ~patients)
    kept = np.sort(random.numpy("held-out").permutation(kept)[: limits.holdout])
    if len(kept) < (~exact & ~patients).sum():
        notes.append(f"Of {len(holdout):,} held-out scans {len(kept):,} were looked at, drawn at random.")
    others = holdout.take(kept)
    found = Pixels().nearest(others.images, train.images) if len(others) else none
    nearly = found.distances[:, 0] <= NEAR
    left_out = int((exact | patients).sum() + nearly.sum())
    duplicates = ScanDuplicates(
        training=repeats(scan_hashes(real.images)),
        holdout=repeats(scan_hashes(holdout.images)),
        synthetic=repeats(scan_hashes(synthetic.images)),
        exact=int(exact.sum()),
        near=int(nearly.sum()),
        patients=shared_patients(real, holdout),
        left_out=left_out,
    )
    if left_out > _MOST_LEFT_OUT * len(holdout):
        raise DataError(
            f"{left_out:,} of {len(holdout):,} held-out scans are training scans, or of patients who are among the "
            "training scans, expected scans that the generator never saw",
            remedy="Hold patients out before fitting.",
        )
    if left_out:
        notes.append(f"{left_out:,} held-out scans are or show what is among the training scans, and were left out.")
    if real.patients is None or holdout.patients is None:
        notes.append("Patients are unknown: each scan counts as one of its own, and intervals may be too short.")
    others = others.take(~nearly)
    found = Neighbours(found.distances[~nearly], found.rows[~nearly], found.size)
    case = ScanCase(
        train=train,
        holdout=others,
        synthetic=released,
        members=_targets(train, random.numpy("members"), limits.targets),
        nonmembers=_targets(others, random.numpy("nonmembers"), limits.targets),
        spaces={"pixels": Pixels()},
        seed=seed,
        limits=limits,
    )
    return ReadSets(case, found, duplicates, tuple(notes))


def _check(real: ScanSet, synthetic: ScanSet, holdout: ScanSet | None) -> None:
    sets = {"training": real, "synthetic": synthetic} | ({} if holdout is None else {"held-out": holdout})
    shapes = {part: scans.images.shape[1:] for part, scans in sets.items()}
    for part, scans in sets.items():
        if not len(scans):
            raise InputError(f"there are no {part} scans", remedy="Pass some.")
        if shapes[part] != shapes["synthetic"]:
            raise InputError(
                f"the {part} scans have the shape {shapes[part]}, expected that of the synthetic ones, "
                f"{shapes['synthetic']} (channels, then samples along each axis)",
                remedy="Resample them to one size.",
            )
        if not np.isfinite(scans.images.sum(dtype=np.float64)):
            raise InputError(f"the {part} scans hold values that are no numbers", remedy="Replace them first.")


def _some(scans: ScanSet, most: int, random: np.random.Generator, part: str, notes: list[str]) -> ScanSet:
    if len(scans) <= most:
        return scans
    notes.append(f"Of {len(scans):,} {part} scans {most:,} were looked at, drawn at random.")
    return scans.take(np.sort(random.permutation(len(scans))[:most]))


def _targets(scans: ScanSet, random: np.random.Generator, most: int) -> Numbers:
    """Return the positions of at most so many scans, in random order, no two of one patient."""
    order = random.permutation(len(scans))
    _, first = np.unique(scans.groups[order], return_index=True)
    return np.asarray(order[np.sort(first)][:most], dtype=np.int64)
