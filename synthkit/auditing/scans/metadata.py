"""What released files say besides the picture: whom they name, and whether they say that they are synthetic.

Looked at are headers of DICOM and NIfTI, texts of PNG, JPEG and TIFF, arrays of npz and the names of files. Text that
is burned into the pixels is not read: a person has to look.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthkit.auditing.release_metadata import Kind, MetadataAudit, MetadataFinding, Said
from synthkit.io.kinds import is_dicom

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

NAME = "scan-metadata"
BURNED_IN = (
    "Text that is burned into pixels was not looked for. BurnedInAnnotation is what whoever wrote the file claims; "
    "look at the pictures."
)
# Attributes that name a patient, a person, a place or an order, or may hold anything: PS3.15, table E.1-1, of those
# that scanners fill in. Descriptions of series and studies are free to be written anew.
_NAMING = frozenset(
    """
    PatientName PatientID PatientBirthDate PatientBirthTime PatientBirthName PatientMotherBirthName PatientAddress
    PatientTelephoneNumbers OtherPatientIDs OtherPatientIDsSequence OtherPatientNames EthnicGroup Occupation
    MilitaryRank PatientReligiousPreference PatientInsurancePlanCodeSequence IssuerOfPatientID PatientComments
    AdditionalPatientHistory MedicalRecordLocator CountryOfResidence RegionOfResidence ResponsiblePerson
    AccessionNumber ReferringPhysicianName ReferringPhysicianIdentificationSequence PerformingPhysicianName
    PerformingPhysicianIdentificationSequence NameOfPhysiciansReadingStudy PhysiciansOfRecord OperatorsName
    RequestingPhysician ScheduledPerformingPhysicianName InstitutionName InstitutionAddress
    InstitutionalDepartmentName StationName PersonName PersonIdentificationCodeSequence AdmissionID
    RequestAttributesSequence RequestedProcedureID PerformedProcedureStepID FillerOrderNumberImagingServiceRequest
    PlacerOrderNumberImagingServiceRequest OriginalAttributesSequence ReferencedPatientSequence
    ReferencedStudySequence ReferencedPerformedProcedureStepSequence
    """.split()
)
_DATES = frozenset("StudyDate SeriesDate AcquisitionDate ContentDate AcquisitionDateTime InstanceCreationDate".split())
_IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_MADE_UP = ("SYN-", "SYNTHETIC")
_SYNTHESIZING = ("109100", "DCM")
_HOLDS_DICOM, _COMMENT = 2, 6  # kinds of extensions of a NIfTI header
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_OURS = {"Software", "Description", "Provenance"}
_NO_TEXT = {"dpi", "gamma", "srgb", "jfif", "jfif_version", "jfif_unit", "jfif_density", "compression", "transparency"}
# Exif: artist, copyright, owner of the camera, serial numbers, place.
_EXIF_NAMING = {
    315: "Artist",
    33432: "Copyright",
    42032: "CameraOwnerName",
    42033: "BodySerialNumber",
    34853: "GPSInfo",
}
_SHORTEST_NAME = 4
# What readers raise at damaged files. Files without the mark of DICOM are never opened as such.
_UNREADABLE = (OSError, ValueError, EOFError, KeyError, AttributeError, TypeError, NotImplementedError, struct.error)


def audit_metadata(release: Path, training: Path | None = None) -> MetadataAudit:
    """Read what every released file says besides the picture.

    Parameters
    ----------
    release
        A folder or a file.
    training
        The training scans, to find their identifiers and names in the release; None where they are no files.

    Returns
    -------
    MetadataAudit
        Files that cannot be read are notes.
    """
    known = _identifiers(training) if training is not None else frozenset()
    paths = [release] if release.is_file() else sorted(path for path in release.rglob("*") if path.is_file())
    own = {_uid(path) for path in paths if is_dicom(path)}
    formats: dict[str, int] = {}
    found: dict[tuple[Kind, str], list[str]] = {}
    guilty: dict[Kind, set[str]] = {"named": set(), "unmarked": set(), "note": set()}
    for path in paths:
        form = _format(path)
        if form is None:
            continue
        formats[form] = formats.get(form, 0) + 1
        name = path.name if path == release else path.relative_to(release).as_posix()
        said = set(_said(path, form, known, own))
        if _plain_stem(path) in known:
            said.add(("named", "the name of a file of the training scans"))
        for kind, what in said:
            found.setdefault((kind, what), []).append(name)
            guilty[kind].add(name)
    order: tuple[Kind, ...] = ("named", "unmarked", "note")
    findings = sorted(
        (MetadataFinding(kind, what, len(names), names[0]) for (kind, what), names in found.items()),
        key=lambda one: (order.index(one.kind), -one.files, one.what),
    )
    return MetadataAudit(sum(formats.values()), formats, len(guilty["named"]), len(guilty["unmarked"]), tuple(findings))


def _format(path: Path) -> str | None:
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return "NIfTI"
    if name.endswith(_PICTURES):
        return "picture"
    if name.endswith(".npz"):
        return "npz"
    return "DICOM" if is_dicom(path) else None


def _said(path: Path, form: str, known: frozenset[str], own: set[str]) -> Said:
    match form:
        case "DICOM":
            yield from _of_dicom(path, known, own)
        case "NIfTI":
            yield from _of_nifti(path)
        case "picture":
            yield from _of_picture(path)
        case _:
            yield from _of_arrays(path)


def _of_dicom(path: Path, known: frozenset[str], own: set[str]) -> Said:
    from pydicom import dcmread

    try:
        header = dcmread(path, stop_before_pixels=True)
        yield from _of_header(header, known, own)
    except _UNREADABLE as error:
        yield "note", f"cannot be read ({type(error).__name__})"


def _of_header(header: Dataset, known: frozenset[str], own: set[str]) -> Said:
    for element in header.iterall():
        text = "" if element.VR == "SQ" else str(element.value or "").strip()
        filled = bool(element.value) if element.VR == "SQ" else bool(text)
        if element.tag.is_private:
            yield "named", "private attributes, which may hold anything"
        elif element.keyword in _NAMING and filled and not text.upper().startswith(_MADE_UP):
            yield "named", f"{element.keyword} is filled in"
        elif element.keyword in _DATES and filled:
            yield "note", f"{element.keyword} is filled in"
        elif element.keyword == "ReferencedSOPInstanceUID" and text not in own:
            yield "named", "a reference to an image that is not in the release"
        if text and text in known:
            yield "named", f"{element.keyword or element.tag} of a training scan"
    if header.get("SyntheticData") != "YES":
        yield "unmarked", "SyntheticData is not YES"
    if list(header.get("ImageType", []))[:1] != ["DERIVED"]:
        yield "unmarked", "ImageType does not begin with DERIVED"
    purposes = {
        (str(code.get("CodeValue", "")), str(code.get("CodingSchemeDesignator", "")))
        for item in header.get("ContributingEquipmentSequence", []) or []
        for code in item.get("PurposeOfReferenceCodeSequence", []) or []
    }
    if _SYNTHESIZING not in purposes:
        yield "unmarked", "no Contributing Equipment says what synthesized it"
    if header.get("BurnedInAnnotation") != "NO":
        yield "note", "BurnedInAnnotation is not NO"


def _of_nifti(path: Path) -> Said:
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        header: Any = nibabel.load(path).header
    except (OSError, ImageFileError, ValueError, EOFError) as error:
        yield "note", f"cannot be read ({type(error).__name__})"
        return
    texts = {name: _text(header[name]) for name in ("descrip", "aux_file", "db_name") if name in header}
    if texts.get("db_name"):
        yield "named", "db_name is filled in"
    if texts.get("aux_file"):
        yield "note", "aux_file is filled in"
    marked = "SYNTHETIC" in texts.get("descrip", "").upper()
    for extension in getattr(header, "extensions", []):
        code = int(extension.get_code())
        if code == _HOLDS_DICOM:
            yield "named", "an extension with DICOM attributes"
        elif code != _COMMENT:
            yield "note", f"an extension of kind {code}"
        else:
            marked |= _is_provenance(_text(extension.get_content()))
    if not marked:
        yield "unmarked", "neither descrip nor a comment says that it is synthetic"


def _of_picture(path: Path) -> Said:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            texts = {str(name): value for name, value in picture.info.items() if name not in _NO_TEXT}
            exif = picture.getexif()
    except (OSError, UnidentifiedImageError, ValueError) as error:
        yield "note", f"cannot be read ({type(error).__name__})"
        return
    for tag, name in _EXIF_NAMING.items():
        if exif.get(tag):
            yield "named", f"Exif {name} is filled in"
    for name in sorted(set(texts) - _OURS - {"exif"}):
        yield "note", f"a text {name!r}"
    if not _is_provenance(str(texts.get("Provenance", ""))):
        yield "unmarked", "no text says that it is synthetic"


def _of_arrays(path: Path) -> Said:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            marked = "provenance" in arrays and _is_provenance(str(arrays["provenance"]))
            patients = arrays["patients"].astype(str) if "patients" in arrays else np.empty(0, dtype=str)
    except (OSError, ValueError, EOFError) as error:
        yield "note", f"cannot be read ({type(error).__name__})"
        return
    if len(patients) and not np.char.isdigit(patients).all():
        yield "named", "an array 'patients' that is more than numbers"
    if not marked:
        yield "unmarked", "no array 'provenance' says that it is synthetic"


def _is_provenance(text: str) -> bool:
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("synthetic") is True


def _text(value: Any) -> str:
    data = value.tobytes() if isinstance(value, np.ndarray) else value
    said = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
    return said.strip("\0 \n")


def _uid(path: Path) -> str:
    return next((value for name, value in _uids(path) if name == "SOPInstanceUID"), "")


def _uids(path: Path) -> Iterator[tuple[str, str]]:
    from pydicom import dcmread

    wanted = [*_IDENTIFIERS, "PatientID", "PatientName", "AccessionNumber"]
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=wanted)
    except _UNREADABLE:
        return
    for name in wanted:
        text = str(header.get(name) or "").strip()
        if len(text) >= _SHORTEST_NAME:
            yield name, text


def _identifiers(training: Path) -> frozenset[str]:
    """Return identifiers of training scans, and the names of their files that are more than a number."""
    paths = [training] if training.is_file() else [path for path in training.rglob("*") if path.is_file()]
    found: set[str] = set()
    for path in paths:
        if is_dicom(path):
            found.update(value for _, value in _uids(path))
        if _format(path) is not None:
            found.add(_plain_stem(path))
    return frozenset(found - {""})


def _plain_stem(path: Path) -> str:
    """Return the name of a file without its endings; empty where it says nothing, such as ``000001`` or ``scans``."""
    stem = path.name.split(".")[0]
    said = len(stem) >= _SHORTEST_NAME and any(map(str.isdigit, stem)) and not stem.isdigit()
    return stem if said else ""
