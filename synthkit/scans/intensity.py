"""The map between real units (HU, stored values) and the range of the networks, which is -1 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from synthkit.errors import InputError
from synthkit.io.scan_set import ScanForm

CT_WINDOW = (-1024.0, 3071.0)
"""HU that 12 bits hold; what lies outside is metal or padding."""
_TAIL = 0.0005  # share of the samples beyond each end of a robust range
_MOST_LOOKED_AT = 2_000_000  # samples from which a robust range is taken
_FINE_BITS = 8  # stored values of so few bits are kept whole


@dataclass(frozen=True)
class Intensity:
    """A linear map of real units to [-1, 1] and back; what lies outside its window is clipped.

    Attributes
    ----------
    low, high
        The real values that become -1 and 1.
    rule
        How they were found, in words.

    Raises
    ------
    InputError
        The window is empty or not finite.

    Notes
    -----
    Whole numbers inside the window come back unchanged as long as the window has fewer than 2^22 of them, because
    networks compute with 24 bits.
    """

    low: float
    high: float
    rule: str = "declared"

    def __post_init__(self) -> None:
        """Refuse a window without an extent."""
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise InputError(
                f"the window of intensities reaches from {self.low:g} to {self.high:g}, expected low < high",
                remedy="Give two different numbers in real units, the smaller first, such as -1000 1000.",
            )

    @classmethod
    def of(
        cls, images: np.ndarray, form: ScanForm, window: tuple[float, float] | None = None, *, fixed: bool = False
    ) -> Self:
        """Choose the window of scans.

        Parameters
        ----------
        images
            In real units, any shape; not looked at when the window is declared or `fixed`.
        form
            What they are.
        window
            Declared smallest and largest value.
        fixed
            Take nothing from the images: under a privacy budget a range that is read from them would tell of them.

        Returns
        -------
        Intensity
            The declared window; for CT -1024 to 3071 HU, narrowed to what occurs; all stored values where they have at
            most 8 bits; otherwise a robust range (0.05 % of the samples may lie beyond each end).
        """
        if window is not None:
            return cls(float(window[0]), float(window[1]), "declared")
        ct = form.modality == "CT"
        if fixed:
            low, high = CT_WINDOW if ct else form.limits
            return cls(float(low), float(high), "fixed: the window of CT" if ct else "fixed: all that can be stored")
        if not ct and form.bits <= _FINE_BITS:
            return cls(float(form.limits[0]), float(form.limits[1]), "all that can be stored")
        values = images.reshape(-1)
        if ct:
            low, high = max(CT_WINDOW[0], float(values.min())), min(CT_WINDOW[1], float(values.max()))
            return cls(*_widened(low, high), "the window of CT, narrowed to what occurs")
        step = max(1, values.size // _MOST_LOOKED_AT)
        low, high = (float(end) for end in np.quantile(values[::step], [_TAIL, 1 - _TAIL]))
        if np.issubdtype(images.dtype, np.integer):
            low, high = np.floor(low), np.ceil(high)
        return cls(*_widened(low, high), "a robust range of the values")

    def to_unit(self, values: np.ndarray | Tensor) -> Tensor:
        """Return real values as float32 in [-1, 1]; the shape is kept."""
        tensor = values if isinstance(values, Tensor) else torch.from_numpy(_readable(values))
        scale = 2.0 / (self.high - self.low)
        return ((tensor.to(torch.float32) - self.low) * scale - 1.0).clamp_(-1.0, 1.0)

    def to_real(self, unit: np.ndarray | Tensor, dtype: np.dtype[Any] | type = np.float32) -> np.ndarray:
        """Return values in [-1, 1] in real units; rounded where the dtype holds whole numbers."""
        array = unit.detach().cpu().numpy() if isinstance(unit, Tensor) else np.asarray(unit)
        real = (array.astype(np.float64) + 1.0) * ((self.high - self.low) / 2.0) + self.low
        wanted = np.dtype(dtype)
        if np.issubdtype(wanted, np.integer):
            limits = np.iinfo(wanted)
            real = np.clip(np.rint(real), max(limits.min, np.ceil(self.low)), min(limits.max, np.floor(self.high)))
        result: np.ndarray = real.astype(wanted)
        return result

    def outside(self, images: np.ndarray) -> float:
        """Share of the samples that lie outside the window and are clipped."""
        values = images.reshape(-1)[:: max(1, images.size // _MOST_LOOKED_AT)]
        return float(((values < self.low) | (values > self.high)).mean()) if values.size else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form."""
        return {"low": self.low, "high": self.high, "rule": self.rule}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(float(content["low"]), float(content["high"]), str(content["rule"]))


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return an interval of at least one unit: constant scans have a window too."""
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)


def _readable(values: np.ndarray) -> np.ndarray:
    """Return an array of a dtype and layout that torch reads."""
    array = np.asarray(values)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype in (np.uint16, np.uint32, np.uint64):
        array = array.astype(np.int64 if array.dtype != np.uint16 else np.int32)
    if array.dtype == np.float16 or not array.flags.writeable:
        return array.astype(np.float32)
    return np.ascontiguousarray(array)
