"""Scans that are there twice: within the training scans, and in both real sets, found before anything is measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthkit.auditing.result import Overlap
from synthkit.io.scan_set import ScanSet

NEAR = 0.002
"""Distance (one less the correlation) up to which two scans are one: the same picture stored again, with other
brightness, rounding or compression. Scans of different patients are seldom as near as 0.01."""


@dataclass(frozen=True)
class ScanDuplicates:
    """Scans that are there more than once.

    Attributes
    ----------
    training
        Training scans that equal an earlier training scan, sample by sample.
    holdout
        Held-out scans that equal an earlier held-out scan.
    synthetic
        Synthetic scans that equal an earlier synthetic scan.
    exact, near
        Held-out scans that equal a training scan, and those that are nearly equal beside these.
    patients
        Patients with scans in both real sets.
    left_out
        Held-out scans that no measure uses: those that equal a training scan, exactly or nearly, and those of a patient
        who is among the training scans.
    """

    training: int
    holdout: int
    synthetic: int
    exact: int
    near: int
    patients: int
    left_out: int

    def overlap(self, n_training: int, n_holdout: int) -> Overlap:
        """Return the same as the gates of a policy know it."""
        both = self.exact + self.near
        return Overlap(both, both / max(1, n_holdout), self.training / max(1, n_training), self.patients)


def scan_hashes(images: npt.NDArray[np.generic]) -> npt.NDArray[np.bytes_]:
    """Return a digest of the values of each scan, shape [n]; equal values have equal digests, whatever their type."""
    blank = np.empty(len(images), dtype="S16")
    for place, image in enumerate(images):
        values = np.ascontiguousarray(image, dtype=np.float32)
        blank[place] = hashlib.blake2b(values.tobytes(), digest_size=16).digest().replace(b"\0", b"\1")
    return blank


def repeats(hashes: npt.NDArray[np.bytes_]) -> int:
    """Return how many scans equal an earlier one."""
    return len(hashes) - len(np.unique(hashes))


def in_training(train: ScanSet, holdout: ScanSet) -> npt.NDArray[np.bool_]:
    """Return which held-out scans are of a patient with training scans, shape [held-out]."""
    if train.patients is None or holdout.patients is None:
        return np.zeros(len(holdout), dtype=bool)
    return np.isin(holdout.patients, np.unique(train.patients))


def shared_patients(train: ScanSet, holdout: ScanSet) -> int:
    """Return the number of patients with scans in both sets; 0 where patients are unknown."""
    if train.patients is None or holdout.patients is None:
        return 0
    return len(np.intersect1d(train.patients, holdout.patients))
