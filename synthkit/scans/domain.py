"""What is declared of scans under a privacy budget: everything that a model may know of them without paying for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import PrivacyError
from synthkit.io.scan_set import ScanForm
from synthkit.scans.intensity import Intensity
from synthkit.scans.space import ScanSpace

_DTYPES = ("uint8", "int16", "uint16", "int32")


@dataclass(frozen=True)
class ScanDomain:
    """Public facts about scans, given by whoever answers for them and never read from the scans.

    Attributes
    ----------
    size
        Samples along each axis that scans are resampled to, ``(rows, columns)`` or ``(slices, rows, columns)``.
    window
        Smallest and largest value in real units; what lies outside is clipped.
    records
        Public number of units: patients, or scans where each is a unit.
    classes
        Names of the classes; empty without.
    counts
        Public number of units of each class; empty where it is not public.
    channels
        1 for grey values, 3 for colours.
    modality, units
        DICOM's name of the modality, and the unit of the values.
    whole
        Whether values are whole numbers.

    Raises
    ------
    PrivacyError
        A class without a name or named twice, counts that do not fit, or no units.
    """

    size: tuple[int, ...]
    window: tuple[float, float]
    records: int
    classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    channels: int = 1
    modality: str = "OT"
    units: str = ""
    whole: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be declared."""
        if isinstance(self.records, bool) or not isinstance(self.records, int) or self.records < 1:
            raise PrivacyError(
                f"the public number of patients is {self.records!r}, expected a whole number from 1",
                remedy="Give the number that may be known to everybody.",
            )
        if len(set(self.classes)) < len(self.classes) or not all(name.strip() for name in self.classes):
            raise PrivacyError(
                f"the declared classes are {', '.join(map(repr, self.classes))}, expected different names",
                remedy="Name each class once.",
            )
        if self.counts and (len(self.counts) != len(self.classes) or min(self.counts) < 0 or not sum(self.counts)):
            raise PrivacyError(
                f"the public counts of {len(self.classes)} classes are {list(self.counts)}, expected a number from 0 "
                "for each and one above",
                remedy="Give a number for each class, or leave them out: fakes then have all classes alike.",
            )
        Intensity(*self.window)

    @property
    def dtype(self) -> str:
        """Name of the dtype of drawn scans; from the window alone."""
        low, high = self.window
        if not self.whole:
            return "float32"
        fits = (name for name in _DTYPES if np.iinfo(name).min <= low and high <= np.iinfo(name).max)
        return next(fits, "float32")

    @property
    def intensity(self) -> Intensity:
        """The declared window."""
        return Intensity(float(self.window[0]), float(self.window[1]), "declared")

    def space(self, counts: tuple[int, ...] = ()) -> ScanSpace:
        """Return the space that drawn scans live in.

        Parameters
        ----------
        counts
            Noisy or public number of units of each class; all classes count alike without.
        """
        bits = 16 if self.dtype == "float32" else np.iinfo(self.dtype).bits
        form = ScanForm(
            modality=self.modality,
            units=self.units,
            bits=int(bits),
            signed=self.window[0] < 0,
            limits=(float(self.window[0]), float(self.window[1])),
        )
        known = counts or self.counts or (1,) * max(len(self.classes), 1)
        return ScanSpace(self.size, self.channels, form, self.intensity, self.dtype, self.classes, known)

    def labels_of(self, labels: NDArray[Any] | None, classes: tuple[str, ...]) -> NDArray[np.int64] | None:
        """Bring labels into the order of the declared classes; -1 for what is not declared, which counts nowhere.

        Raises
        ------
        PrivacyError
            Classes are declared and the scans have no labels.
        """
        if not self.classes:
            return None
        if labels is None:
            raise PrivacyError(
                f"{len(self.classes)} classes are declared, and the scans have no labels",
                remedy="Read them with labels (a folder for each class, or a CSV), or declare no classes.",
            )
        known = {name: place for place, name in enumerate(self.classes)}
        table = np.array([known.get(name, -1) for name in classes], np.int64)
        found: NDArray[np.int64] = table[labels]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form, for model files."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned.

        Raises
        ------
        PrivacyError
            It is not that.
        """
        try:
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
            }
            return cls(**values)
        except TypeError as error:
            raise PrivacyError(
                "the declared domain of scans has other parts than a fit writes",
                remedy="Use the file as synthkit wrote it.",
            ) from error

    @property
    def sha256(self) -> str:
        """Digest of all that is declared."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()
