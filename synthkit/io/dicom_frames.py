"""Frames of one DICOM file: enhanced images with functional groups, mosaics of Siemens, and plain multi-frame files.

References
----------
DICOM PS3.3, C.7.6.16 (Multi-frame Functional Groups).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from synthkit.io.dicom_record import AXIAL, Header
from synthkit.io.dicom_values import many, number_of, orientation_of, spacing_of, text_of, vector_of
from synthkit.io.scan_stack import UnreadableScan

_SIEMENS = "SIEMENS MR HEADER"
_MOSAIC_TAGS = (0x00190010, 0x0019100A, 0x00290010, 0x00291010)


def frames_of(base: Header, data: Dataset, path: Path) -> Iterator[Header]:
    """Return one record per frame, or per tile of a mosaic.

    Parameters
    ----------
    base
        The record of the file as a whole.
    data
        Its elements.
    path
        Where it lies.

    Raises
    ------
    UnreadableScan
        Frames that are not described, or a mosaic that does not say how many slices it holds.
    """
    n_frames = int(data.get("NumberOfFrames") or 1)
    if "MOSAIC" in base.image_type:
        yield from _tiles(base, path)
        return
    per_frame = data.get("PerFrameFunctionalGroupsSequence")
    if per_frame:
        shared = (data.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
        if len(per_frame) < n_frames:
            raise UnreadableScan(f"describes {len(per_frame)} of its {n_frames} frames")
        for i in range(n_frames):
            yield _functional(base, per_frame[i], shared, i)
        return
    if n_frames == 1:
        yield base
        return
    places = data.get("SliceLocationVector")
    located = places is not None and not isinstance(places, str | float | int) and len(places) == n_frames
    for i in range(n_frames):
        position = (0.0, 0.0, float(places[i])) if located else None
        yield replace(base, frame=i, number=i, position=position, orientation=AXIAL if located else None)


# ------------------------------------------------------------ enhanced multi-frame


def _functional(base: Header, own: Dataset, shared: Dataset, i: int) -> Header:
    """Return a frame of an enhanced image: what its own functional groups say, else the shared ones, else the file."""

    def group(name: str) -> Dataset | None:
        found = own.get(name) or shared.get(name)
        return found[0] if found else None

    changes: dict[str, Any] = {"frame": i, "number": i}
    if (place := group("PlanePositionSequence")) is not None:
        changes["position"] = vector_of(place, "ImagePositionPatient")
    if (plane := group("PlaneOrientationSequence")) is not None:
        changes["orientation"] = orientation_of(plane)
    if (measures := group("PixelMeasuresSequence")) is not None:
        changes["spacing"] = spacing_of(measures)
        changes["slice_spacing"] = number_of(measures, "SpacingBetweenSlices") or number_of(measures, "SliceThickness")
    if (values := group("PixelValueTransformationSequence")) is not None:
        slope = number_of(values, "RescaleSlope")
        units = text_of(values, "RescaleType").upper()
        changes["slope"] = 1.0 if slope is None or slope == 0 else slope
        changes["intercept"] = number_of(values, "RescaleIntercept") or 0.0
        changes["units"] = "HU" if base.modality == "CT" and units in ("", "HU") else "" if units == "US" else units
    if (content := group("FrameContentSequence")) is not None:
        echo = group("MREchoSequence")
        diffusion = group("MRDiffusionSequence")
        changes["times"] = (
            number_of(content, "TemporalPositionIndex"),
            None if diffusion is None else number_of(diffusion, "DiffusionBValue"),
            number_of(content, "FrameAcquisitionNumber"),
            None,
            None if echo is None else number_of(echo, "EffectiveEchoTime"),
            None,
            None,
        )
    for name in ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence"):
        if (kind := group(name)) is not None:
            changes["image_type"] = tuple(str(one).upper() for one in many(kind.get("FrameType")))
    return replace(base, **changes)


# ------------------------------------------------------------ mosaics of Siemens


def _tiles(base: Header, path: Path) -> Iterator[Header]:
    """Return the slices of a Siemens mosaic, bottom first.

    A mosaic holds n slices in a square of ceil(sqrt(n)) tiles a side. The number and the direction in which the slices
    are stacked are in private tags; the distance of slices is the one that the header gives, for there is no other.
    """
    data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_MOSAIC_TAGS))
    n = int(data[0x0019100A].value) if data.get(0x00190010) is not None and 0x0019100A in data else 0
    csa = data[0x00291010].value if 0x00291010 in data else b""
    if data.get(0x00190010) is not None and str(data[0x00190010].value).strip() != _SIEMENS:
        n = 0
    n = n or int(float((csa_values(csa, "NumberOfImagesInMosaic") or ["0"])[0] or 0))
    side = math.ceil(math.sqrt(n)) if n > 0 else 0
    if side == 0 or base.rows % side or base.columns % side:
        raise UnreadableScan("a mosaic that does not say how many slices it holds")
    rows, columns = base.rows // side, base.columns // side
    normal = [float(one) for one in csa_values(csa, "SliceNormalVector")[:3] if one.strip()]
    down = len(normal) == 3 and float(np.dot(normal, base.normal)) < 0
    step = (base.slice_spacing or 1.0) * base.normal
    for place in range(n):
        position = step * place  # from the lowest slice; where the mosaic as a whole lies is not needed
        yield replace(
            base,
            tile=n - 1 - place if down else place,
            n_tiles=n,
            rows=rows,
            columns=columns,
            position=(float(position[0]), float(position[1]), float(position[2])),
        )


def csa_values(header: bytes, name: str) -> list[str]:
    """Return the values of a field in a CSA header of Siemens, as text; nothing where it is not there.

    Parameters
    ----------
    header
        The private tag (0029,1010): fields of a name of 64 bytes, 20 bytes of numbers, and items of a length, three
        numbers and text each.
    name
        The field.
    """
    start = -1
    while (start := header.find(name.encode() + b"\0", start + 1)) >= 0:
        if start + 84 > len(header):
            return []
        (n_items,) = struct.unpack_from("<i", header, start + 76)
        kind = header[start + 68 : start + 70]
        if not (kind.isalpha() and kind.isupper() and 0 <= n_items <= 1000):
            continue
        place = start + 84
        found = []
        for _ in range(n_items):
            if place + 16 > len(header):
                break
            length = struct.unpack_from("<4i", header, place)[1]
            if not 0 <= length <= len(header) - place - 16:
                break
            text = header[place + 16 : place + 16 + length].split(b"\0")[0].decode("latin-1").strip()
            if text:
                found.append(text)
            place += 16 + (length + 3) // 4 * 4
        return found
    return []
