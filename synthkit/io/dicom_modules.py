"""The modules of DICOM that a synthetic image consists of, one function each, named as the standard names them.

Each function sets the attributes of its module in a data set. What is unknown is present and empty where the standard
wants it to be present, and absent elsewhere. Nothing of a patient, a place or a clock is in any of them.

References
----------
DICOM PS3.3 C.7 (general modules), C.8.1 (CR), C.8.2 (CT), C.8.3 (MR), C.8.6 (SC), C.12.1 (SOP Common).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from synthkit.io.dicom_identity import ScanIdentity
from synthkit.io.provenance import Provenance
from synthkit.io.stored_values import StoredValues

NOTE = "Synthetic image. Not for diagnostic use."
_FROM_NOISE = "Image sampled from a generative adversarial network"
_FROM_SCAN = "Image made from another image by a generative adversarial network"
_NOBODY = "Artificially generated; there is no patient"
_SOMEBODY = "No attribute copied; pixels derived from an acquired image"
_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
# Parts of the body of which the validator knows one. Of every other part, also an unknown one, the standard wants to be
# told which of the two it is, if only that this is unknown.
_SINGLE = frozenset(
    """
    ABDOMEN ABDOMENPELVIS AORTA BACK BLADDER BRAIN CEREBELLUM CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS
    COCCYX COLON CORONARYARTERY CSPINE CTSPINE DUODENUM ESOPHAGUS FACE GALLBLADDER HEAD HEADNECK HEART ILEUM ILIUM
    JAW JEJUNUM LARYNX LIVER LSPINE LSSPINE MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN
    NECKCHESTABDPELV NOSE PANCREAS PELVIS PENIS PHARYNX PROSTATE RECTUM SCALP SKULL SPINE SPLEEN SSPINE STERNUM
    STOMACH THYMUS THYROID TLSPINE TONGUE TRACHEA TSPINE URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY
    """.split()
)


# ------------------------------------------------------------ whom and what


def patient(ds: Dataset, identity: ScanIdentity, provenance: Provenance) -> None:
    """Set a made-up patient (C.7.1.1)."""
    ds.PatientName = f"SYNTHETIC^{identity.patient.removeprefix('SYN-')}"
    ds.PatientID = identity.patient
    ds.PatientBirthDate = ""
    ds.PatientSex = ""
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = _SOMEBODY if provenance.from_scans else _NOBODY


def general_study(ds: Dataset, identity: ScanIdentity) -> None:
    """Set the study (C.7.2.1), without a date: a draw has none, and a repeated one must give the same bytes."""
    ds.StudyInstanceUID = identity.study
    ds.StudyDate = ""
    ds.StudyTime = ""
    ds.ReferringPhysicianName = ""
    ds.StudyID = "1"
    ds.AccessionNumber = ""
    ds.StudyDescription = "Synthetic"


def general_series(ds: Dataset, uid: str, modality: str, number: int, body_part: str, label: str) -> None:
    """Set the series (C.7.3.1).

    Parameters
    ----------
    ds
        What is changed.
    uid
        Of the series.
    modality
        DICOM's code of it.
    number
        Of the series in its study.
    body_part
        Body Part Examined, or empty.
    label
        Class of the scan, or empty.
    """
    ds.Modality = modality
    ds.SeriesInstanceUID = uid
    ds.SeriesNumber = number
    ds.SeriesDescription = long_string(f"Synthetic {modality}" + f": {label}" * bool(label))
    part = code_string(body_part)
    if part:
        ds.BodyPartExamined = part
    if part not in _SINGLE:
        ds.Laterality = ""


def general_equipment(ds: Dataset, provenance: Provenance) -> None:
    """Set what made the image (C.7.5.1): this software."""
    ds.Manufacturer = "synthkit"
    ds.ManufacturerModelName = long_string(provenance.recipe)
    ds.DeviceSerialNumber = provenance.weights_sha256
    ds.SoftwareVersions = long_string(provenance.version)


def general_image(ds: Dataset, number: int, kind: Sequence[str], provenance: Provenance) -> None:
    """Set number, type and derivation of an image (C.7.6.1)."""
    ds.InstanceNumber = number
    ds.ImageType = ["DERIVED", "SECONDARY", *kind]
    ds.DerivationDescription = _FROM_SCAN if provenance.from_scans else _FROM_NOISE
    ds.BurnedInAnnotation = "NO"
    ds.ImageComments = NOTE


def sop_common(ds: Dataset, sop_class: str, sop_instance: str, provenance: Provenance, index: int) -> None:
    """Set what the object is, that it is synthetic, and by what it was synthesized (C.12.1)."""
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = sop_instance
    ds.SyntheticData = "YES"
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [code("109100", "DCM", "Synthesizing Equipment")]
    equipment.Manufacturer = "synthkit"
    equipment.ManufacturerModelName = long_string(provenance.recipe)
    equipment.SoftwareVersions = long_string(provenance.version)
    equipment.ContributionDescription = provenance.describe(index)
    ds.ContributingEquipmentSequence = [equipment]


# ------------------------------------------------------------ where


def frame_of_reference(ds: Dataset, identity: ScanIdentity) -> None:
    """Set the coordinates that slices of a volume share (C.7.4.1)."""
    ds.FrameOfReferenceUID = identity.frame_of_reference
    ds.PositionReferenceIndicator = ""


def image_plane(
    ds: Dataset,
    position: Sequence[float],
    orientation: Sequence[float] | None,
    spacing: Sequence[float],
    thickness: float | None,
) -> None:
    """Set where the first sample of an image lies and which way it goes on (C.7.6.2).

    Parameters
    ----------
    ds
        What is changed.
    position
        Of the first sample, in mm.
    orientation
        Direction cosines of a row and of a column; None for axial.
    spacing
        Distance of rows and of columns in mm.
    thickness
        Of the slice in mm; None where it is unknown.
    """
    ds.ImagePositionPatient = [decimal(value) for value in position]
    ds.ImageOrientationPatient = [decimal(value) for value in orientation or _AXIAL]
    ds.PixelSpacing = [decimal(value) for value in spacing]
    ds.SliceThickness = None if thickness is None else decimal(thickness)
    ds.PatientPosition = ""


def slice_positions(
    slices: int, spacing: Sequence[float], orientation: Sequence[float] | None, size: Sequence[int]
) -> np.ndarray:
    """Return the position of the first sample of each slice, ``[slices, 3]`` in mm, with the volume around the origin.

    Parameters
    ----------
    slices
        How many.
    spacing
        Distance of slices, rows and columns in mm.
    orientation
        Direction cosines of a row and of a column; None for axial.
    size
        Rows and columns.
    """
    row, column = np.reshape(np.asarray(orientation or _AXIAL, dtype=np.float64), (2, 3))
    normal = np.cross(row, column)
    rows, columns = size
    corner = -0.5 * ((columns - 1) * spacing[2] * row + (rows - 1) * spacing[1] * column)
    along = (np.arange(slices) - (slices - 1) / 2) * spacing[0]
    positions: np.ndarray = corner + along[:, None] * normal
    return positions


# ------------------------------------------------------------ what is in the pixels


def image_pixel(ds: Dataset, stored: np.ndarray, values: StoredValues, *, colours: bool = False) -> None:
    """Set the pixels (C.7.6.3).

    Parameters
    ----------
    ds
        What is changed.
    stored
        ``[rows, columns]`` or ``[frames, rows, columns]``, with a last axis of three colours where there are any.
    values
        How real values were stored.
    colours
        Whether there are colours.
    """
    plane = stored.shape[-3:-1] if colours else stored.shape[-2:]
    ds.SamplesPerPixel = 3 if colours else 1
    ds.PhotometricInterpretation = "RGB" if colours else "MONOCHROME2"
    if colours:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = map(int, plane)
    ds.BitsAllocated = 8 if values.bits <= 8 else 16
    ds.BitsStored = values.bits
    ds.HighBit = values.bits - 1
    ds.PixelRepresentation = int(values.signed)
    data = np.ascontiguousarray(stored, dtype=values.dtype).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if values.bits <= 8 else "OW"


def modality_lut(ds: Dataset, values: StoredValues, units: str) -> None:
    """Set how stored values become real ones (C.11.1)."""
    ds.RescaleIntercept = decimal(values.intercept)
    ds.RescaleSlope = decimal(values.slope)
    ds.RescaleType = units


def voi_lut(ds: Dataset, window: tuple[float, float]) -> None:
    """Set the window that a viewer opens with (C.11.2): its centre and width in real units, at least 1."""
    ds.WindowCenter = decimal(window[0])
    ds.WindowWidth = decimal(window[1])


# ------------------------------------------------------------ values


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return an item of a code sequence."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def decimal(value: float) -> DSfloat:
    """Return a number as DICOM's decimal text of at most 16 characters holds it; whole numbers have no point."""
    number = float(value) + 0.0  # no negative zero
    return DSfloat(f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else number, auto_format=True)


def long_string(text: str) -> str:
    """Return what fits into a Long String: one line of at most 64 characters without a backslash."""
    kept = "".join(character if character.isprintable() and character != "\\" else " " for character in text)
    return kept.strip()[:64].strip()


def code_string(text: str) -> str:
    """Return what fits into a Code String: at most 16 capital letters, digits, underscores and blanks."""
    kept = "".join(character if character.isascii() and character.isalnum() else "_" for character in text.upper())
    return kept.strip("_")[:16].strip("_")
