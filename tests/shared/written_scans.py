"""Small sets of scans, one for every kind of file that is written, and what made them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synthkit.io.provenance import Provenance
from synthkit.io.scan_set import ScanForm, ScanSet

PROVENANCE = Provenance("r3", 7, "ab" * 32, epsilon=8.0, delta=1e-5)
_CLASSES = ("normal", "pneumonia")
# name -> (channels and size, form)
_FORMS: dict[str, tuple[tuple[int, ...], ScanForm]] = {
    "ct picture": ((1, 32, 40), ScanForm("CT", "HU", 12, False, (-1024, 3071), (0.7, 0.8), None, "HEAD")),
    "ct volume": ((1, 4, 32, 40), ScanForm("CT", "HU", 16, True, (-2000, 3071), (2.5, 0.7, 0.8), None, "CHEST")),
    "mr picture": ((1, 32, 40), ScanForm("MR", "", 12, False, (0, 4095), (1.0, 1.0), None, "BREAST")),
    "mr volume": ((1, 4, 33, 41), ScanForm("MR", "", 16, True, (-50, 4095), (2, 1, 0.5), (0, 1, 0, 0, 0, -1), "KNEE")),
    "cr": ((1, 32, 40), ScanForm("CR", "", 10, False, (0, 1023), None, None, "CHEST")),
    "dx": ((1, 32, 41), ScanForm("DX", "", 8, False, (0, 255), (0.1, 0.1), None, "HAND")),
    "sc 8 bits": ((1, 31, 41), ScanForm()),
    "ultrasound": ((1, 31, 41), ScanForm("US", spacing=(0.2, 0.2), body_part="BREAST")),
    "sc 12 bits": ((1, 31, 41), ScanForm(bits=12, limits=(0, 4095))),
    "sc colours": ((3, 31, 41), ScanForm()),
    "sc volume 8 bits": ((1, 4, 31, 41), ScanForm()),
    "pt volume 16 bits": ((1, 4, 31, 41), ScanForm("PT", "", 16, False, (0, 65535), (2, 2, 2))),
    "sc volume colours": ((3, 4, 31, 41), ScanForm()),
}
KINDS = tuple(_FORMS)


def scans_of(kind: str, n: int = 2, *, masks: bool = False, labels: bool = True, seed: int = 0) -> ScanSet:
    """Return a set of a kind: whole numbers over the whole range of its form, drawn anew for each seed."""
    shape, form = _FORMS[kind]
    random = np.random.default_rng([seed, KINDS.index(kind)])
    low, high = (int(limit) for limit in form.limits)
    images = random.integers(low, high + 1, (n, *shape)).astype(np.int32)
    images.reshape(n, -1)[:, :2] = low, high
    return ScanSet(
        images,
        np.arange(n) % 2 if labels else None,
        _CLASSES if labels else (),
        random.integers(0, 3, (n, *shape[1:])).astype(np.uint8) if masks else None,
        form=form,
    )


def real_patients(scans: ScanSet) -> ScanSet:
    """Return the scans with patients and names that must never be written."""
    n = len(scans)
    return replace(
        scans,
        patients=np.array([f"Doe^John{i // 2}" for i in range(n)]),
        names=tuple(f"/clinic/Doe^John{i}/scan.dcm" for i in range(n)),
    )
