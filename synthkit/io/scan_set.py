"""What readers of scans return and writers take: arrays in real units, with labels, masks and origins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from synthkit.errors import InputError


@dataclass(frozen=True)
class ScanForm:
    """What all scans of a set have in common besides their size.

    Attributes
    ----------
    modality
        DICOM's name of it: CT, MR, CR, ...; OT where it is unknown (photographs, arrays).
    units
        Unit of the values: HU, or empty where it is arbitrary.
    bits
        Bits that a stored value takes.
    signed
        Whether stored values can be negative.
    limits
        Smallest and largest value that can be stored, in real units.
    spacing
        Distance of neighbouring samples along each axis in mm, ``(row, column)`` or ``(slice, row, column)``; None
        where it is unknown.
    orientation
        Direction cosines of a row and of a column in DICOM's coordinates of the patient; None for axial.
    body_part
        DICOM's Body Part Examined, or empty.
    """

    modality: str = "OT"
    units: str = ""
    bits: int = 8
    signed: bool = False
    limits: tuple[float, float] = (0.0, 255.0)
    spacing: tuple[float, ...] | None = None
    orientation: tuple[float, float, float, float, float, float] | None = None
    body_part: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form, for model files."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> ScanForm:
        """Read what `to_dict` returned."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
        }
        return cls(**values)


@dataclass(frozen=True)
class ScanSet:
    """Scans of one size.

    Attributes
    ----------
    images
        ``[n, channels, rows, columns]`` or ``[n, channels, slices, rows, columns]``, in real units (HU for CT). Any
        real dtype. Three channels are red, green and blue.
    labels
        Class of each scan as a position in `classes`, ``[n]``; None for scans without classes.
    classes
        Names of the classes.
    masks
        Region of every sample, ``[n, (slices,) rows, columns]``, 0 for the background; None where there are none.
    patients
        Who each scan is of, ``[n]`` text: what is held out, audited and protected together. None where it is unknown;
        then each scan counts as a patient of its own.
    names
        What each scan was read from, or what a generated one is called.
    form
        What they have in common.

    Raises
    ------
    InputError
        Parts do not fit together.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    masks: np.ndarray | None = None
    patients: np.ndarray | None = None
    names: tuple[str, ...] = ()
    form: ScanForm = field(default_factory=ScanForm)

    def __post_init__(self) -> None:
        """Refuse parts of different lengths, and labels without a class."""
        if self.images.ndim not in (4, 5):
            raise InputError(
                f"scans have the shape {self.images.shape}, expected [n, channels, rows, columns] or [n, channels, "
                "slices, rows, columns]",
                remedy="Add the axis of channels.",
            )
        n = len(self.images)
        parts: dict[str, Any] = {"labels": self.labels, "masks": self.masks, "patients": self.patients}
        if self.names:
            parts["names"] = self.names
        for name, part in parts.items():
            if part is not None and len(part) != n:
                raise InputError(
                    f"there are {n} scans and {len(part)} {name}", remedy=f"Give one of the {name} per scan."
                )
        if self.masks is not None and self.masks.shape != (n, *self.size):
            raise InputError(
                f"masks have the shape {self.masks.shape}, expected {(n, *self.size)}", remedy="Give one mask per scan."
            )
        if self.labels is not None and n and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise InputError(
                f"labels reach from {self.labels.min()} to {self.labels.max()}, expected positions in "
                f"{len(self.classes)} classes",
                remedy="Name every class.",
            )

    def __len__(self) -> int:
        """Return the number of scans."""
        return len(self.images)

    @property
    def channels(self) -> int:
        """Number of channels: 1 for grey values, 3 for colours."""
        return int(self.images.shape[1])

    @property
    def size(self) -> tuple[int, ...]:
        """Samples along each axis: ``(rows, columns)`` or ``(slices, rows, columns)``."""
        return tuple(int(length) for length in self.images.shape[2:])

    @property
    def groups(self) -> np.ndarray:
        """Patient of each scan as a number, ``[n]``; every scan its own where patients are unknown."""
        if self.patients is None:
            return np.arange(len(self))
        groups: np.ndarray = np.unique(self.patients, return_inverse=True)[1]
        return groups

    def take(self, index: np.ndarray | Sequence[int] | slice) -> ScanSet:
        """Return some of the scans, by position or by a boolean array ``[n]``."""
        positions = np.arange(len(self))[index]
        return replace(
            self,
            images=self.images[positions],
            labels=None if self.labels is None else self.labels[positions],
            masks=None if self.masks is None else self.masks[positions],
            patients=None if self.patients is None else self.patients[positions],
            names=tuple(self.names[i] for i in positions) if self.names else (),
        )

    def counts(self) -> dict[str, int]:
        """Number of scans of each class; empty without classes."""
        if self.labels is None:
            return {}
        return dict(zip(self.classes, np.bincount(self.labels, minlength=len(self.classes)).tolist(), strict=True))
