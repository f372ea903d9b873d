"""Small made-up scans with a known structure, and files of every kind that readers have to understand.

`shapes` are 2-D scans whose class is the shape that is seen (disc, square, cross, ring) with a random place, size and
brightness on noise; `heads` are CT-like volumes in HU with a mask of the "lesion"; both come with patients. The writers
make DICOM files and series, picture folders, NIfTI files and arrays of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.random import RandomSource

SHAPES = ("disc", "square", "cross", "ring")
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
CR = "1.2.840.10008.5.1.4.1.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CT_FORM = ScanForm("CT", "HU", 12, False, (-1024.0, 3071.0), (1.0, 1.0), None, "HEAD")
_INSIDE, _BONE, _AIR, _LESION = 40.0, 700.0, -1000.0, 90.0


# ------------------------------------------------------------ arrays


def shapes(
    n: int = 48, size: int = 32, *, classes: int = 3, seed: int = 0, channels: int = 1, per_patient: int = 2
) -> ScanSet:
    """8-bit scans ``[n, channels, size, size]``, classes in turn, `per_patient` scans of each patient, with masks."""
    random = RandomSource(seed).numpy("shapes")
    labels = np.arange(n) % classes
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    images = np.empty((n, channels, size, size), np.uint8)
    masks = np.zeros((n, size, size), np.uint8)
    for i in range(n):
        radius = random.uniform(0.18, 0.32) * size
        y, x = (random.uniform(0.4, 0.6, 2) * size).tolist()
        dy, dx = np.abs(rows - y), np.abs(columns - x)
        distance = np.hypot(dy, dx)
        inside = {
            "disc": distance <= radius,
            "square": np.maximum(dy, dx) <= 0.85 * radius,
            "cross": (np.minimum(dy, dx) <= 0.3 * radius) & (np.maximum(dy, dx) <= radius),
            "ring": np.abs(distance - 0.8 * radius) <= 0.25 * radius,
        }[SHAPES[labels[i]]]
        level = random.uniform(140, 230, channels)[:, None, None]
        picture = np.where(inside, level, 40.0) + random.normal(0, 6, (channels, size, size))
        images[i] = np.clip(np.rint(picture), 0, 255)
        masks[i] = inside
    patients = np.array([f"p{i // per_patient:04}" for i in range(n)])
    names = tuple(f"{SHAPES[label]}-{i:04}" for i, label in enumerate(labels))
    return ScanSet(images, labels, SHAPES[:classes], masks, patients, names)


def heads(n: int = 6, size: tuple[int, int, int] = (12, 24, 24), *, seed: int = 0) -> ScanSet:
    """CT-like volumes ``[n, 1, slices, rows, columns]`` in HU: a skull, a brain, and a lesion, whose mask is given."""
    random = RandomSource(seed).numpy("heads")
    grid = np.meshgrid(*(np.linspace(-1, 1, length) for length in size), indexing="ij")
    images = np.empty((n, 1, *size), np.int16)
    masks = np.zeros((n, *size), np.uint8)
    for i in range(n):
        radii = random.uniform(0.75, 0.9, 3)
        shell = np.sqrt(sum((axis / radius) ** 2 for axis, radius in zip(grid, radii, strict=True)))
        centre = random.uniform(-0.3, 0.3, 3)
        lesion = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True))) <= 0.3
        volume = np.where(shell <= 1, np.where(shell <= 0.8, _INSIDE, _BONE), _AIR)
        lesion &= shell <= 0.8
        volume = np.where(lesion, _LESION, volume) + random.normal(0, 5, size)
        images[i, 0] = np.clip(np.rint(volume), -1024, 3071)
        masks[i] = lesion
    form = ScanForm("CT", "HU", 12, False, (-1024.0, 3071.0), (3.0, 1.0, 1.0), AXIAL, "HEAD")
    labels = np.arange(n) % 2
    return ScanSet(
        images, labels, ("left", "right"), masks, np.array([f"p{i:03}" for i in range(n)]),
        tuple(f"head-{i:03}" for i in range(n)), form,
    )  # fmt: skip


# ------------------------------------------------------------ DICOM


def uid(*parts: object) -> str:
    """A UID that depends on the parts alone, so that files repeat."""
    return str(generate_uid(prefix="2.25.", entropy_srcs=[str(part) for part in parts]))


def dataset(pixels: np.ndarray, sop: str = CT, *, modality: str = "CT", **attributes: Any) -> Dataset:
    """A data set with every attribute that a reader asks for; a value of None takes the attribute away.

    Parameters
    ----------
    pixels
        Stored values: ``[rows, columns]``, ``[rows, columns, 3]`` for colours, ``[frames, rows, columns]`` when
        `NumberOfFrames` is given; uint8, uint16 or int16.
    sop
        SOP class.
    modality
        DICOM's name of the modality.
    **attributes
        Attributes by keyword, over those that are made up here.
    """
    found = Dataset()
    colours = pixels.ndim >= 3 and pixels.shape[-1] == 3
    bits = pixels.dtype.itemsize * 8
    frames = "NumberOfFrames" in attributes and attributes["NumberOfFrames"] is not None
    rows, columns = pixels.shape[1:3] if frames else pixels.shape[:2]
    made_up: dict[str, Any] = {
        "SOPClassUID": sop,
        "SOPInstanceUID": uid("instance", pixels.tobytes(), sorted(attributes.items(), key=str)),
        "Modality": modality,
        "PatientID": "patient-1",
        "PatientName": "Doe^Jane",
        "StudyInstanceUID": uid("study"),
        "SeriesInstanceUID": uid("series"),
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "Manufacturer": "phantom",
        "Rows": rows,
        "Columns": columns,
        "SamplesPerPixel": 3 if colours else 1,
        "PhotometricInterpretation": "RGB" if colours else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    if colours:
        made_up["PlanarConfiguration"] = 0
    for name, value in {**made_up, **attributes}.items():
        if value is not None:
            setattr(found, name, value)
    content = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    found.PixelData = content + b"\0" * (len(content) % 2)
    found["PixelData"].VR = "OB" if bits == 8 else "OW"
    return found


def write(path: Path, data: Dataset, *, transfer_syntax: str = ExplicitVRLittleEndian, compress: bool = True) -> Path:
    """Write a data set as DICOM part 10, compressed (encoder of pydicom) where the transfer syntax says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.get("SOPClassUID", "")
    data.file_meta.MediaStorageSOPInstanceUID = data.get("SOPInstanceUID", uid(str(path)))
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    syntax = UID(transfer_syntax)
    if syntax.is_encapsulated and compress:
        data.compress(syntax, generate_instance_uid=False)
    elif syntax != ExplicitVRLittleEndian:
        data.file_meta.TransferSyntaxUID = syntax
    data.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    volume: np.ndarray,
    *,
    spacing: Sequence[float] = (3.0, 1.0, 1.0),
    orientation: Sequence[float] = AXIAL,
    positions: Sequence[Sequence[float]] | None = None,
    patient: str = "patient-1",
    series: str = "1",
    instance_numbers: Sequence[int] | None = None,
    modality: str = "CT",
    **attributes: Any,
) -> list[Path]:
    """Write a volume in real units as one file per slice; the order of names and instance numbers says nothing.

    Parameters
    ----------
    folder
        Where to.
    volume
        ``[slices, rows, columns]``; CT in HU (stored unsigned with an intercept of -1024), others as they are.
    spacing
        Between slices, rows and columns, in mm.
    orientation
        Direction cosines of a row and of a column.
    positions
        Of each slice, instead of those along the normal.
    patient, series
        Whose, and which series.
    instance_numbers
        Of each slice, instead of a number that runs against the positions.
    modality
        CT or MR.
    **attributes
        Over those that are made up here; a list with one value per slice is spread over the slices.
    """
    normal = np.cross(orientation[:3], orientation[3:])
    n = len(volume)
    paths = []
    for i, piece in enumerate(volume):
        stored = (np.rint(piece) + 1024).astype(np.uint16) if modality == "CT" else np.rint(piece).astype(np.uint16)
        number = n - i if instance_numbers is None else instance_numbers[i]
        position = normal * spacing[0] * i if positions is None else positions[i]
        own: dict[str, Any] = {
            "ImagePositionPatient": [round(float(value), 6) for value in position],
            "ImageOrientationPatient": [round(float(value), 8) for value in orientation],
            "PixelSpacing": list(spacing[1:]),
            "SliceThickness": spacing[0],
            "InstanceNumber": number,
            "PatientID": patient,
            "StudyInstanceUID": uid("study", patient),
            "SeriesInstanceUID": uid("series", patient, series),
            "SOPInstanceUID": uid("instance", patient, series, i),
            "BitsStored": 12,
            "HighBit": 11,
            "BodyPartExamined": "HEAD",
        }
        if modality == "CT":
            own |= {"RescaleIntercept": -1024, "RescaleSlope": 1, "RescaleType": "HU"}
        for name, value in attributes.items():
            own[name] = value[i] if isinstance(value, list) and len(value) == n and name != "ImageType" else value
        data = dataset(stored, CT if modality == "CT" else MR, modality=modality, **own)
        paths.append(write(folder / f"{(i * 7 + 3) % 97:02}-{i}.dcm", data))
    return paths


def write_heads(folder: Path, scans: ScanSet | None = None) -> ScanSet:
    """Write each volume of `heads` as a series of its own patient, in a folder of its class; return the volumes."""
    scans = heads() if scans is None else scans
    assert scans.labels is not None
    assert scans.patients is not None
    for i in range(len(scans)):
        place = folder / scans.classes[scans.labels[i]] / scans.names[i]
        write_series(place, scans.images[i, 0], patient=str(scans.patients[i]), series=str(i))
    return scans


# ------------------------------------------------------------ pictures, NIfTI and arrays


def write_pictures(folder: Path, scans: ScanSet | None = None, *, ending: str = "png") -> ScanSet:
    """Write 2-D scans as pictures into one folder per class; return them."""
    from PIL import Image

    scans = shapes() if scans is None else scans
    for i in range(len(scans)):
        place = folder if scans.labels is None else folder / scans.classes[scans.labels[i]]
        place.mkdir(parents=True, exist_ok=True)
        picture = np.moveaxis(scans.images[i], 0, -1)
        Image.fromarray(picture[..., 0] if scans.channels == 1 else picture).save(place / f"{scans.names[i]}.{ending}")
    return scans


def write_nifti(path: Path, volume: np.ndarray, *, spacing: Sequence[float] = (3.0, 1.0, 1.0)) -> Path:
    """Write a volume ``[slices, rows, columns]`` (first slice lowest, rows to the back, columns to the left of the
    patient, as axial DICOM) as NIfTI."""
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    # DICOM's axes grow to the left, the back and the head; NIfTI's to the right, the front and the head.
    affine = np.diag([-spacing[2], -spacing[1], spacing[0], 1.0])
    nibabel.save(nibabel.Nifti1Image(np.transpose(volume, (2, 1, 0)), affine), path)
    return path


def write_arrays(path: Path, scans: ScanSet, test: ScanSet | None = None) -> Path:
    """Write scans as npz in the layout of MedMNIST: train_images ``[n, rows, columns]``, train_labels, classes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts: dict[str, np.ndarray] = {}
    for name, part in (("train", scans), ("test", test)):
        if part is not None:
            parts[f"{name}_images"] = part.images[:, 0] if part.channels == 1 else np.moveaxis(part.images, 1, -1)
            if part.labels is not None:
                parts[f"{name}_labels"] = part.labels[:, None]
    if scans.classes:
        parts["classes"] = np.array(scans.classes)
    np.savez_compressed(path, **parts)
    return path


def read_back(path: Path) -> Dataset:
    """Read a DICOM file whole."""
    return pydicom.dcmread(path)
