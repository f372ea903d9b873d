"""Identifiers of synthetic scans: the same scan from the same draw has the same, any other has others.

They come from a SHA-256 over the hash of the weights, the seed, the index, the pixels and what they mean (modality,
units, spacing). So a repeated run repeats them, a PACS that gets it twice stores it once, and different scans never
share one. No clock and no patient is in them.

References
----------
DICOM PS3.5, B.2 (UIDs made from a UUID); RFC 9562, 5.8 (UUID version 8).
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

import numpy as np

from synthkit.io.provenance import Provenance


@dataclass(frozen=True)
class ScanIdentity:
    """Identifiers of one scan.

    Attributes
    ----------
    patient
        A made-up patient, such as ``SYN-3F2A9C0D71E5``.
    study, series, frame_of_reference
        UIDs of what its instances have in common.
    root
        What they were derived from, for the UIDs of instances.
    """

    patient: str
    study: str
    series: str
    frame_of_reference: str
    root: bytes

    def instance(self, number: int) -> str:
        """Return the UID of an instance: a slice of a series, by number."""
        return _uid(self.root, "instance", str(number))

    def other_series(self, name: str) -> str:
        """Return the UID of another series of the same study, such as that of the mask."""
        return _uid(self.root, "series", name)

    def other_instance(self, name: str) -> str:
        """Return the UID of an instance of another series."""
        return _uid(self.root, "instance", name)


def scan_identity(
    provenance: Provenance, index: int, stored: np.ndarray, meaning: str = "", group: bytes | None = None
) -> ScanIdentity:
    """Derive the identifiers of a scan.

    Parameters
    ----------
    provenance
        Weights and seed.
    index
        Position in the draw.
    stored
        What is written of it, whole numbers of any shape.
    meaning
        What else makes it another object: its SOP class, units, spacing, ...
    group
        `patient_root` of the made-up patient that several scans share; None for one of its own.
    """
    root = _digest(
        provenance.weights_sha256,
        str(provenance.seed),
        str(index),
        meaning,
        str(stored.shape),
        stored.dtype.str,
        stored,
    )
    owner = root if group is None else group
    return ScanIdentity(
        patient="SYN-" + _digest(owner, "patient").hex()[:12].upper(),
        study=_uid(owner, "study"),
        series=_uid(root, "series"),
        frame_of_reference=_uid(root, "frame of reference"),
        root=root,
    )


def patient_root(provenance: Provenance, number: int, first: ScanIdentity) -> bytes:
    """Return what the identifiers of a patient with several scans are derived from: its number and its first scan."""
    return _digest(provenance.weights_sha256, str(provenance.seed), "group", str(number), first.root)


def _uid(*parts: bytes | str) -> str:
    """Return ``2.25.`` and a UUID of version 8 (free content) as a decimal number: at most 44 characters."""
    digest = bytearray(_digest(*parts)[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return f"2.25.{uuid.UUID(bytes=bytes(digest)).int}"


def _digest(*parts: bytes | str | np.ndarray) -> bytes:
    """Return the SHA-256 of the parts, each preceded by its length."""
    digest = hashlib.sha256(b"synthkit scan 1")
    for part in parts:
        data = part.encode() if isinstance(part, str) else part if isinstance(part, bytes) else part.tobytes()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()
