"""Stored pixels of DICOM as values in real units: decoded, rescaled, background where there is padding, low is dark.

Values go through the modality transformation (rescale or look-up table), never through one for display. Colours become
red, green and blue. Values that MONOCHROME1 shows inverted are inverted, unless they have a unit of their own (HU).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pydicom
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from synthkit.io.dicom_headers import MALFORMED, reason_of
from synthkit.io.dicom_record import Header
from synthkit.io.scan_set import ScanForm
from synthkit.io.scan_stack import UnreadableScan

AIR = -1024.0  # HU: what background is in CT
_MOST_KEPT = 2**28  # bytes of a multi-frame file that are kept decoded
_LUT_TAGS = (
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData", "ModalityLUTSequence",
    "PixelRepresentation", "PhotometricInterpretation", "SamplesPerPixel",
)  # fmt: skip


def missing_decoder(transfer_syntax: str) -> str | None:
    """Return why pixels of a transfer syntax cannot be decoded, with the package to install, or None when they can.

    Parameters
    ----------
    transfer_syntax
        Its UID.
    """
    syntax = UID(transfer_syntax)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return f"the transfer syntax {syntax.name} is none of still images that pydicom decodes"
    if decoder.is_available:
        return None
    needs = " or ".join(part.split(" - requires ")[-1] for part in decoder.missing_dependencies)
    return f"no decoder for {syntax.name}: install synthkit[scans] (pip install 'synthkit[scans]'), or {needs}"


def form_of(header: Header) -> ScanForm:
    """Return what the header says of a frame's values."""
    if header.channels == 3:
        return ScanForm(
            header.modality, "", 8, False, (0.0, 255.0), header.spacing, header.orientation, header.body_part
        )
    if header.floating:
        low, high = -float(np.finfo(np.float32).max), float(np.finfo(np.float32).max)
    else:
        low = -float(2 ** (header.bits - 1)) if header.signed else 0.0
        high = float(2 ** (header.bits - header.signed) - 1)
    ends = sorted((low * header.slope + header.intercept, high * header.slope + header.intercept))
    return ScanForm(
        header.modality, header.units, header.bits, ends[0] < 0, (ends[0], ends[1]), header.spacing, header.orientation,
        header.body_part,
    )  # fmt: skip


def dtype_of(header: Header) -> np.dtype[Any]:
    """Return the smallest dtype that holds every value of a frame in real units."""
    if header.channels == 3:
        return np.dtype(np.uint8)
    whole = header.slope.is_integer() and header.intercept.is_integer()
    if not whole or header.floating or header.lut:
        return np.dtype(np.float32)
    low, high = form_of(header).limits
    for kind in (np.uint8, np.int16, np.uint16, np.int32):
        info = np.iinfo(kind)
        if info.min <= min(low, AIR if header.units == "HU" else low) and high <= info.max:
            return np.dtype(kind)
    return np.dtype(np.float32)


def background(header: Header) -> float:
    """Return the value that stands for nothing: air in CT, otherwise 0 where that can be stored, else the lowest."""
    low, high = form_of(header).limits
    if header.units == "HU":
        return max(AIR, low)
    return 0.0 if low <= 0 <= high else low


class PixelReader:
    """Reads frames; the file that was read last is kept decoded, for the next of its frames."""

    def __init__(self) -> None:
        self._kept: tuple[str, np.ndarray, pydicom.Dataset] | None = None
        self._data = pydicom.Dataset()

    def read(self, header: Header) -> np.ndarray:
        """Return a frame in real units, ``[channels, rows, columns]`` of `dtype_of` the header.

        Raises
        ------
        UnreadableScan
            No decoder, or damaged; the message is the reason.
        """
        missing = missing_decoder(header.transfer_syntax)
        if missing is not None:
            raise UnreadableScan(missing)
        try:
            with warnings.catch_warnings():
                # What pydicom warns of was told with the header; here it concerns odd lengths, which it mends.
                warnings.simplefilter("ignore")
                return self._real(self._stored(header), header)
        except UnreadableScan:
            raise
        except MALFORMED as error:
            raise UnreadableScan(_why(error, header)) from error

    def _stored(self, header: Header) -> np.ndarray:
        """Return stored values, ``[rows, columns]`` or ``[rows, columns, 3]``."""
        if header.frame is None and header.tile is None:
            return _checked(self._decoded(header, None), header)
        samples = header.n_frames * header.n_tiles * header.rows * header.columns * header.channels
        if samples * header.bits_allocated // 8 > _MOST_KEPT:
            self._kept = None
            return _checked(self._decoded(header, header.frame), header)
        if self._kept is None or self._kept[0] != header.path:
            self._kept = None  # before the next is read
            self._kept = (header.path, self._decoded(header, None), self._data)
        array, self._data = self._kept[1:]
        if header.tile is None:
            return _checked(array[header.frame or 0], header)
        row, column = divmod(header.tile, int(np.ceil(np.sqrt(header.n_tiles))))
        rows = slice(row * header.rows, (row + 1) * header.rows)
        return array[rows, column * header.columns : (column + 1) * header.columns]

    def _decoded(self, header: Header, frame: int | None) -> np.ndarray:
        """Decode a file, or one frame of it; its tables of colours and values are kept with it."""
        if header.transfer_syntax == DeflatedExplicitVRLittleEndian:  # which has no places in the file to go to
            self._data = pydicom.dcmread(header.path)
            return pixel_array(self._data, index=frame)
        self._data = pydicom.Dataset()
        tags: list[Any] = [Tag(word) for word in _LUT_TAGS]
        return pixel_array(header.path, index=frame, ds_out=self._data, specific_tags=tags)

    def _real(self, stored: np.ndarray, header: Header) -> np.ndarray:
        if header.channels == 3:
            return _colours(stored, self._data, header)
        padding = _padding(stored, header)
        values = stored if header.floating else _without_overlay(stored, header, padding)
        if header.lut:
            real: np.ndarray = apply_modality_lut(values, self._data).astype(np.float32)
            ends = (float(real.min()), float(real.max()))
        else:
            real = values if header.slope == 1.0 else values * header.slope
            wide = np.int64 if dtype_of(header).kind in "iu" else np.float64
            real = real.astype(wide) + wide(header.intercept)
            ends = form_of(header).limits
        if header.photometric == "MONOCHROME1" and header.units != "HU":
            real = ends[0] + ends[1] - real
        if padding is not None:
            real = np.where(padding, background(header), real)
        if not np.isfinite(real).all():
            raise UnreadableScan("holds values that are not finite")
        return real.astype(dtype_of(header))[None]


def _why(error: BaseException, header: Header) -> str:
    """Return why pixels cannot be decoded; decoders that are there may not take every form of a syntax."""
    if isinstance(error, RuntimeError | NotImplementedError) and "not support" in str(error):
        name = UID(header.transfer_syntax).name
        return f"no installed decoder takes {name} of {header.bits} bits: install pylibjpeg-libjpeg"
    return reason_of(error)


def _checked(array: np.ndarray, header: Header) -> np.ndarray:
    if array.shape[:2] != (header.rows, header.columns):
        raise UnreadableScan(f"decodes to {array.shape}, expected {header.rows} x {header.columns}")
    return array


def _padding(stored: np.ndarray, header: Header) -> np.ndarray | None:
    if header.padding is None:
        return None
    low, high = header.padding
    found: np.ndarray = (stored >= low) & (stored <= high)
    return found


def _without_overlay(stored: np.ndarray, header: Header, padding: np.ndarray | None) -> np.ndarray:
    """Cut off bits above those that hold the value: old files keep overlays there."""
    if header.bits >= header.bits_allocated or stored.dtype.kind not in "iu":
        return stored
    low = -(2 ** (header.bits - 1)) if header.signed else 0
    high = 2 ** (header.bits - header.signed) - 1
    odd = (stored < low) | (stored > high)
    if padding is not None:
        odd &= ~padding
    if not odd.any():
        return stored
    values = stored.astype(np.int64) & (2**header.bits - 1)
    if header.signed:
        values = np.where(values > high, values - 2**header.bits, values)
    return np.where(odd, values, stored)


def _colours(stored: np.ndarray, data: pydicom.Dataset, header: Header) -> np.ndarray:
    """Return ``[3, rows, columns]`` of 8 bits. pydicom has already taken YBR to RGB."""
    bits = header.bits
    if header.photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, data)[..., :3]
        bits = stored.dtype.itemsize * 8
    if bits > 8:
        stored = stored >> (bits - 8)
    return np.moveaxis(stored, -1, 0).astype(np.uint8)
