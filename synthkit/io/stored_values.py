"""How real values become the whole numbers that files of scans hold: ``real = stored * slope + intercept``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from synthkit.errors import InputError
from synthkit.io.scan_set import ScanForm, ScanSet

_MOST = 2**16 - 1
_HU_ORIGIN = -1024.0  # what scanners store as 0
_FINE_ENOUGH = 255.0  # whole numbers over a span like this are as fine as a picture of 8 bits
_BLOCK = 2**22  # samples that are looked at together


@dataclass(frozen=True)
class StoredValues:
    """The rule for all scans of a set.

    Attributes
    ----------
    slope, intercept
        Real value of one step, and of a stored 0.
    bits
        Bits of a stored value: 8 to 16.
    signed
        Whether stored values can be negative.
    """

    slope: float
    intercept: float
    bits: int
    signed: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Smallest integer type, in the byte order of DICOM and of nearly every machine."""
        return np.dtype("<i2" if self.signed else "u1" if self.bits <= 8 else "<u2")

    @property
    def rescales(self) -> bool:
        """Whether stored values are not the real ones."""
        return (self.slope, self.intercept) != (1.0, 0.0)

    def stored(self, images: np.ndarray) -> np.ndarray:
        """Return real values as whole numbers: the nearest step, of the same shape."""
        if not self.rescales and images.dtype.kind in "iub":
            return images.astype(self.dtype)
        steps = (images.astype(np.float64) - self.intercept) / self.slope
        return np.rint(steps).astype(self.dtype)

    def real(self, stored: np.ndarray) -> np.ndarray:
        """Return what stored values stand for, as float64 of the same shape."""
        return stored.astype(np.float64) * self.slope + self.intercept


def stored_values(scans: ScanSet, *, signed: bool = False, fewest_bits: int = 8) -> StoredValues:
    """Choose the rule for a set; whole numbers within 65,536 steps are kept exactly, and HU are whole numbers.

    Nothing is cut off: the range is that of the form and of the values together. Values that are not whole numbers
    take the step of the form, or a larger one where 16 bits do not reach.

    Parameters
    ----------
    scans
        At least one scan.
    signed
        Whether negative values are stored as such, for files without an intercept; otherwise they get one.
    fewest_bits
        Bits that the file takes at least.

    Raises
    ------
    InputError
        Values are not finite.
    """
    form = scans.form
    low, high, whole = _extremes(scans.images)
    low, high = min(low, form.limits[0]), max(high, form.limits[1])
    whole = whole or form.units == "HU" or (_is_whole(form.limits) and form.limits[1] - form.limits[0] >= _FINE_ENOUGH)
    if whole and np.ceil(high) - np.floor(low) <= _MOST:
        return _whole_numbers(float(np.floor(low)), float(np.ceil(high)), form, signed, fewest_bits)
    step = (form.limits[1] - form.limits[0]) / (2 ** min(form.bits, 16) - 1)
    slope = _as_text_holds(max(step, (high - low) / _MOST) * (1 + 1e-9) or 1.0)
    intercept = _as_text_holds(low)
    bits = max(fewest_bits, int(np.rint((high - intercept) / slope)).bit_length())
    return StoredValues(slope, intercept, 8 if bits <= 8 else min(bits, 16))


def _whole_numbers(low: float, high: float, form: ScanForm, signed: bool, fewest_bits: int) -> StoredValues:
    """Return the rule with step 1."""
    if low >= 0 and high <= _MOST:
        intercept = _HU_ORIGIN if form.units == "HU" and high <= _MOST + _HU_ORIGIN else 0.0
    elif signed and -(2**15) <= low and high < 2**15:
        bits = max(int(-low - 1).bit_length(), int(high).bit_length()) + 1
        return StoredValues(1.0, 0.0, max(bits, fewest_bits, 9), signed=True)
    else:
        intercept = min(low, _HU_ORIGIN) if form.units == "HU" and high - _HU_ORIGIN <= _MOST else low
    bits = max(int(high - intercept).bit_length(), fewest_bits)
    return StoredValues(1.0, intercept, 8 if bits <= 8 else bits)


def _extremes(images: np.ndarray) -> tuple[float, float, bool]:
    """Smallest and largest value, and whether all are whole numbers; in blocks, so that memory stays bounded."""
    low, high, whole = np.inf, -np.inf, True
    flat = images.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        if images.dtype.kind == "f":
            if not np.isfinite(block).all():
                raise InputError("the scans hold values that are not finite", remedy="Write finite values.")
            whole = whole and bool((block == np.rint(block)).all())
        low, high = min(low, float(block.min())), max(high, float(block.max()))
    return low, high, whole


def _is_whole(limits: tuple[float, float]) -> bool:
    return all(float(limit).is_integer() for limit in limits)


def _as_text_holds(value: float) -> float:
    """Round to what DICOM's decimal text of 16 characters holds, so that every format says the same number."""
    return float(f"{value:.9e}")
