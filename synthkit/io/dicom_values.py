"""Values of DICOM elements that may be missing, empty, of several parts, or no numbers where numbers belong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset


def many(value: Any) -> list[Any]:
    """Return the values of an element; nothing where it is empty."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | pydicom.multival.MultiValue) else [value]


def text_of(data: Dataset, word: str) -> str:
    """Return the text of an element, values between backslashes; empty where it is missing."""
    value = data.get(word)
    if value is None:
        return ""
    parts = many(value)
    return "\\".join(str(one) for one in parts).strip(" \0")


def label_of(data: Dataset, tag: int) -> str:
    """Return the text of the element of a tag; empty where it is missing."""
    element = data.get(tag)
    return "" if element is None else "\\".join(str(one) for one in many(element.value)).strip(" \0")


def number_of(data: Dataset, word: str) -> float | None:
    """Return the first value of an element where it is a finite number, else None."""
    values = many(data.get(word))
    try:
        number = float(values[0]) if values and values[0] not in ("", None) else None
    except (TypeError, ValueError):
        return None
    return number if number is not None and math.isfinite(number) else None


def numbers_of(data: Dataset, word: str, n: int) -> tuple[float, ...] | None:
    """Return n finite numbers, or None."""
    try:
        values = tuple(float(one) for one in many(data.get(word)))
    except (TypeError, ValueError):
        return None
    return values if len(values) == n and all(map(math.isfinite, values)) else None


def vector_of(data: Dataset, word: str) -> tuple[float, float, float] | None:
    """Return three finite numbers, or None."""
    values = numbers_of(data, word, 3)
    return None if values is None else (values[0], values[1], values[2])


def orientation_of(data: Dataset) -> tuple[float, float, float, float, float, float] | None:
    """Return the direction cosines where they are two different directions."""
    values = numbers_of(data, "ImageOrientationPatient", 6)
    if values is None or float(np.linalg.norm(np.cross(values[:3], values[3:]))) < 0.5:
        return None
    return values[0], values[1], values[2], values[3], values[4], values[5]


def spacing_of(data: Dataset) -> tuple[float, float] | None:
    """Return the distance of rows and of columns in mm, or None."""
    for word in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        values = numbers_of(data, word, 2)
        if values is not None and min(values) > 0:
            return values[0], values[1]
    return None


def channels_of(data: Dataset) -> int:
    """Return 3 for colours and palettes, else 1."""
    palette = str(data.get("PhotometricInterpretation", "")).upper() == "PALETTE COLOR"
    return 3 if palette or int(data.get("SamplesPerPixel") or 1) == 3 else 1


def padding_of(data: Dataset, signed: bool, bits: int) -> tuple[int, int] | None:
    """Return the lowest and highest stored value that is padding, or None."""
    first = number_of(data, "PixelPaddingValue")
    if first is None:
        return None
    last = number_of(data, "PixelPaddingRangeLimit")
    ends = [int(first), int(first if last is None else last)]
    if signed:  # some write it as unsigned
        ends = [one - 2**bits if one >= 2 ** (bits - 1) else one for one in ends]
    return min(ends), max(ends)
