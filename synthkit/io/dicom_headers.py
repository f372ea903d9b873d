"""DICOM headers without their pixels: one small record per frame, with what grouping, ordering and reading need.

Who a scan is of becomes a hash at once, and so do the identifiers of studies, series and instances: nothing else of a
patient is kept, and no text of the header but the modality, the body part and a tag that the user names as the label.
"""

from __future__ import annotations

import math
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import pydicom
from pydicom import uid as uids
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID

from synthkit.io.dicom_frames import frames_of
from synthkit.io.dicom_kinds import CAPTURES, IDENTIFYING, IMAGES
from synthkit.io.dicom_record import Header
from synthkit.io.dicom_values import (
    channels_of,
    label_of,
    many,
    number_of,
    orientation_of,
    padding_of,
    spacing_of,
    text_of,
    vector_of,
)
from synthkit.io.scan_stack import UnreadableScan, hashed

# What pydicom and the decoders raise for files that are damaged, cut off or against the standard.
MALFORMED = (
    InvalidDicomError, BytesLengthException, AttributeError, EOFError, IndexError, KeyError, NotImplementedError,
    OSError, OverflowError, RecursionError, RuntimeError, TypeError, ValueError, ZeroDivisionError, struct.error,
    zlib.error,
)  # fmt: skip

_READ = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SyntheticData",
    "ImageType", "Modality", "BodyPartExamined", "BurnedInAnnotation", "IssuerOfPatientID",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing",
    "NominalScannedPixelSpacing", "SpacingBetweenSlices", "SliceLocationVector", "SliceThickness",
    "EchoNumbers", "TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber", "DiffusionBValue",
    "TriggerTime", "AcquisitionTime", "ContentTime", "EchoTime", "GantryDetectorTilt", "Units", "RescaleSlope",
    "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "SamplesPerPixel", "PhotometricInterpretation", "Rows",
    "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "FloatPixelData", "DoubleFloatPixelData", *IDENTIFYING,
)  # fmt: skip
_TAGS: list[int] = [tag for word in _READ if (tag := tag_for_keyword(word)) is not None]
_PIXELS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10", b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00")
_FLOATS = (b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00")


def read_headers(path: Path, file: str, tag: int | None = None) -> tuple[list[Header], list[str]]:
    """Return the frames of a file and what pydicom warned of.

    Parameters
    ----------
    path
        The file.
    file
        What it is called in reports.
    tag
        The tag of the label.

    Raises
    ------
    UnreadableScan
        It is no DICOM, no image, or cut off; the message is the reason alone.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with open(path, "rb") as stream:
                data = _parsed(stream, path, tag)
                deflated = data.file_meta.get("TransferSyntaxUID") == uids.DeflatedExplicitVRLittleEndian
                start = b"" if deflated else stream.read(6)
                mark = None if deflated else start[:4]
                # explicit: two bytes of VR, two of nothing, four of length; implicit: four of length
                head = 12 if start[4:].isalpha() and start[4:].isupper() else 8
                left = os.fstat(stream.fileno()).st_size - stream.tell() + len(start) - head
            _check_image(data, mark)
            found = list(frames_of(_header(data, path, file, tag, mark in _FLOATS), data, path))
            _check_length(data, left)
        except UnreadableScan:
            raise
        except MALFORMED as error:
            raise UnreadableScan(reason_of(error)) from error
    return found, [str(one.message) for one in caught]


def reason_of(error: BaseException) -> str:
    """Return what a library says of a damaged file as a short reason, without the path or the content of the file."""
    if isinstance(error, InvalidDicomError):
        return "no DICOM file"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror.lower()}"
    return f"damaged or cut off ({type(error).__name__})"


def _parsed(stream: Any, path: Path, tag: int | None) -> Dataset:
    tags: list[int] = [*_TAGS, *([tag] if tag is not None else [])]
    try:
        return pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=tags)
    except InvalidDicomError:
        # Old files begin with the data set; only a name that says DICOM makes that worth a try.
        if path.suffix.lower() not in (".dcm", ".dicom", ".ima"):
            raise
        stream.seek(0)
        data = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=tags, force=True)
        if "SOPClassUID" not in data:
            raise
        return data


def _check_image(data: Dataset, mark: bytes | None) -> None:
    """Refuse what is no image that scans are made of."""
    sop = UID(str(data.get("SOPClassUID", "") or data.file_meta.get("MediaStorageSOPClassUID", "")))
    if sop == uids.MediaStorageDirectoryStorage:
        raise UnreadableScan("directory of a medium (DICOMDIR), no image")
    if sop not in IMAGES and sop not in CAPTURES:
        what = sop.name if sop and sop.name != str(sop) else "an unknown SOP class"
        raise UnreadableScan(f"{what} is no image that scans are made of" if sop else "no SOP class")
    if not data.get("Rows") or not data.get("Columns") or (mark is not None and mark not in _PIXELS):
        raise UnreadableScan("no pixel data")


def _check_length(data: Dataset, left: int) -> None:
    """Refuse a file whose uncompressed pixels are cut off, before anything is read of it."""
    syntax = data.file_meta.get("TransferSyntaxUID", uids.ImplicitVRLittleEndian)
    if syntax.is_encapsulated or syntax == uids.DeflatedExplicitVRLittleEndian:
        return
    samples = data.Rows * data.Columns * int(data.get("SamplesPerPixel") or 1) * int(data.get("NumberOfFrames") or 1)
    if data.get("PhotometricInterpretation") == "YBR_FULL_422":
        samples = samples * 2 // 3
    expected = math.ceil(samples * int(data.get("BitsAllocated") or 8) / 8)
    if left < expected:
        raise UnreadableScan(f"cut off: {expected:,} bytes of pixels expected, {max(left, 0):,} there")


def _header(data: Dataset, path: Path, file: str, tag: int | None, floating: bool) -> Header:
    modality = text_of(data, "Modality").upper() or "OT"
    sop = str(data.get("SOPClassUID", "") or data.file_meta.get("MediaStorageSOPClassUID", ""))
    patient = text_of(data, "PatientID")
    study, series = text_of(data, "StudyInstanceUID"), text_of(data, "SeriesInstanceUID")
    bits_allocated = int(data.get("BitsAllocated") or 8)
    bits = int(data.get("BitsStored") or bits_allocated)
    signed = bool(data.get("PixelRepresentation") or 0)
    slope = number_of(data, "RescaleSlope")
    intercept = number_of(data, "RescaleIntercept")
    burned = text_of(data, "BurnedInAnnotation").upper()
    kind = tuple(str(one).upper() for one in many(data.get("ImageType")))
    units = text_of(data, "RescaleType").upper()
    if modality == "CT" and units in ("", "US") and intercept is not None:
        units = "HU"
    elif modality == "PT":
        units = text_of(data, "Units") or units
    return Header(
        file=file,
        path=str(path),
        frame=None,
        tile=None,
        n_tiles=1,
        n_frames=int(data.get("NumberOfFrames") or 1),
        sop_class=sop,
        transfer_syntax=str(data.file_meta.get("TransferSyntaxUID", uids.ImplicitVRLittleEndian)),
        series=hashed("\0".join((patient, study, series or file)), "series"),
        series_key=hashed(series, "uid") if series else "",
        instance=hashed(text_of(data, "SOPInstanceUID") or str(path), "uid"),
        patient=hashed(patient, "patient") if patient else None,
        modality=modality,
        body_part=text_of(data, "BodyPartExamined").upper(),
        units="" if units in ("US", "UNSPECIFIED") else units,
        image_type=kind,
        synthetic=text_of(data, "SyntheticData").upper() == "YES",
        burned_in=burned == "YES",
        burned_in_unknown=burned not in ("YES", "NO"),
        rows=int(data.Rows),
        columns=int(data.Columns),
        channels=channels_of(data),
        photometric=text_of(data, "PhotometricInterpretation").upper() or "MONOCHROME2",
        bits_allocated=bits_allocated,
        bits=bits,
        signed=signed,
        floating=floating,
        slope=1.0 if slope is None or slope == 0 else slope,
        intercept=0.0 if intercept is None else intercept,
        lut=bool(data.get("ModalityLUTSequence")),
        padding=padding_of(data, signed, bits_allocated),
        position=vector_of(data, "ImagePositionPatient"),
        orientation=orientation_of(data),
        spacing=spacing_of(data),
        slice_spacing=number_of(data, "SpacingBetweenSlices") or number_of(data, "SliceThickness"),
        echo=text_of(data, "EchoNumbers"),
        times=(
            number_of(data, "TemporalPositionIdentifier"), number_of(data, "DiffusionBValue"),
            number_of(data, "AcquisitionNumber"), number_of(data, "TriggerTime"), number_of(data, "EchoTime"),
            number_of(data, "AcquisitionTime"), number_of(data, "ContentTime"),
        ),
        number=int(number_of(data, "InstanceNumber") or 0),
        tag=None if tag is None else label_of(data, tag),
        identifying=tuple(word for word in IDENTIFYING if text_of(data, word)),
    )  # fmt: skip
