"""Scans for the tests of the audit: a smooth field of its own for each patient, with small changes between scans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from synthkit.io.scan_set import ScanSet


def scans_of(patients: int, seed: int, *, size: tuple[int, ...] = (20, 20), per_patient: int = 1) -> ScanSet:
    """8-bit scans of one channel; those of a patient are alike."""
    rng = np.random.default_rng(seed)
    sigma = (0, *(2.0 for _ in size))
    fields = gaussian_filter(rng.normal(size=(patients, *size)), sigma).repeat(per_patient, axis=0)
    changes = gaussian_filter(rng.normal(size=fields.shape), sigma) * 0.3
    values = fields + changes * (per_patient > 1) + rng.normal(size=fields.shape) * 0.02
    images = np.clip(np.rint(128 + values / fields.std() * 40), 0, 255).astype(np.uint8)[:, None]
    owners = np.array([f"{seed}-{i:04}" for i in range(patients)]).repeat(per_patient)
    names = tuple(f"scan-{seed}-{i:04}.dcm" for i in range(len(images)))
    return ScanSet(images, patients=owners, names=names)


def bare(scans: ScanSet) -> ScanSet:
    """The same scans without patients and names, as a release has them."""
    return replace(scans, patients=None, names=())
