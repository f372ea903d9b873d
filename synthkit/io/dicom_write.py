"""Synthetic scans as DICOM: CT, MR and CR as such, everything else as Secondary Capture; a file per slice or picture.

References
----------
DICOM PS3.3 A.2 (CR), A.3 (CT), A.4 (MR), A.8 (Secondary Capture).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthkit.errors import InputError, unknown_name
from synthkit.io.provenance import Provenance
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.io.stored_values import StoredValues, stored_values

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from synthkit.io.dicom_identity import ScanIdentity

# Name -> UID; all of them are lossless.
TRANSFER_SYNTAXES: dict[str, str] = {
    "explicit": "1.2.840.10008.1.2.1",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg2000": "1.2.840.10008.1.2.4.90",
}
_CT = "1.2.840.10008.5.1.4.1.1.2"
_MR = "1.2.840.10008.5.1.4.1.1.4"
_CR = "1.2.840.10008.5.1.4.1.1.1"
_SC = "1.2.840.10008.5.1.4.1.1.7"
_SC_GREY_8 = "1.2.840.10008.5.1.4.1.1.7.2"
_SC_GREY_16 = "1.2.840.10008.5.1.4.1.1.7.3"
_SC_COLOUR = "1.2.840.10008.5.1.4.1.1.7.4"
_NARROWEST = 10.0
_SOFT_TISSUE = (40.0, 400.0)
_SMALLEST_JPEG2000 = 32  # of OpenJPEG's five halvings
_IMPLEMENTATION = "2.25.258693421771053117049331427410238735163"


@dataclass(frozen=True)
class _Draw:
    """What all files of a set have in common."""

    form: ScanForm
    values: StoredValues
    window: tuple[float, float]
    provenance: Provenance
    sop_class: str
    modality: str
    encode: Callable[[Dataset], None]
    colours: bool


def write_dicom(
    scans: ScanSet, folder: Path, *, provenance: Provenance, transfer_syntax: str | None = None
) -> tuple[Path, ...]:
    """Write scans into a folder: one file each, or a folder of slices each for volumes of CT and MR.

    Parameters
    ----------
    scans
        Their form says the modality.
    folder
        Exists and is empty.
    provenance
        What made them.
    transfer_syntax
        A key of `TRANSFER_SYNTAXES`; None for "explicit", which every system reads.

    Returns
    -------
    tuple of Path
        What was written of each scan: its file or its folder.

    Raises
    ------
    InputError
        The transfer syntax is unknown or needs a package, values are not finite, or colours have more than 8 bits.
    """
    from synthkit.io.dicom_identity import patient_root, scan_identity
    from synthkit.io.dicom_segmentation import mask_name

    draw = _draw(scans, provenance, transfer_syntax)
    groups, shared = scans.groups, np.bincount(scans.groups, minlength=1)
    meaning = repr((draw.sop_class, draw.modality, draw.values, sorted(scans.form.to_dict().items())))
    roots: dict[int, bytes] = {}
    series: dict[int, int] = {}
    written = []
    digits = max(6, len(str(len(scans))))
    for i in range(len(scans)):
        stored = _frames_last(draw.values.stored(scans.images[i]))
        group = int(groups[i])
        if shared[group] > 1 and group not in roots:
            roots[group] = patient_root(provenance, group, scan_identity(provenance, i, stored, meaning))
        identity = scan_identity(provenance, i, stored, meaning, roots.get(group))
        series[group] = series.get(group, 0) + 1
        label = "" if scans.labels is None else scans.classes[int(scans.labels[i])]
        common = _common(draw, identity, i, series[group], label)
        name = folder / f"{i + 1:0{digits}}"
        if draw.sop_class in (_CT, _MR) and len(scans.size) == 3:
            images = _slices(draw, common, identity, stored)
            name.mkdir()
            for k, image in enumerate(images):
                _save(draw, image, name / f"{k + 1:04}.dcm")
        else:
            images = [_picture(draw, common, identity, stored)]
            name = name.with_suffix(".dcm")
            _save(draw, images[0], name)
        if scans.masks is not None:
            _write_mask(draw, scans.masks[i], images, identity, i, mask_name(folder, name.stem))
        written.append(name)
    return tuple(written)


def _draw(scans: ScanSet, provenance: Provenance, transfer_syntax: str | None) -> _Draw:
    """Choose the SOP class, how values are stored, the window and how pixels are encoded."""
    form, volumes = scans.form, len(scans.size) == 3
    modality = form.modality.upper() or "OT"
    grey = scans.channels == 1
    if scans.channels not in (1, 3):
        raise InputError(
            f"scans have {scans.channels} channels, expected 1 (grey) or 3 (red, green, blue) for DICOM",
            remedy="Write npz.",
        )
    medical = grey and (modality in ("CT", "MR") or (modality in ("CR", "DX", "RG") and not volumes))
    values = stored_values(scans, signed=medical and modality == "MR", fewest_bits=12 if medical else 8)
    if medical:
        sop_class = {"CT": _CT, "MR": _MR}.get(modality, _CR)
        modality = "CR" if sop_class == _CR else modality
    elif not grey:
        if values.bits > 8 or values.rescales:
            raise InputError(
                f"colours from {form.limits[0]:g} to {form.limits[1]:g} do not fit DICOM, which takes whole numbers "
                "from 0 to 255",
                remedy="Write npz, or bring them to 0..255.",
            )
        sop_class = _SC_COLOUR if volumes else _SC
    else:
        if volumes and values.bits <= 8 and values.rescales:
            values = replace(values, bits=9)  # frames of 8 bits may have no other slope than 1
        sop_class = (_SC_GREY_8 if values.bits <= 8 else _SC_GREY_16) if volumes or values.bits > 8 else _SC
    encode = _encoder(transfer_syntax or "explicit", scans.size)
    return _Draw(form, values, _window(scans, modality), provenance, sop_class, modality, encode, not grey)


def _window(scans: ScanSet, modality: str) -> tuple[float, float]:
    """Return centre and width that viewers open with: soft tissue for HU, else most of the values of the set."""
    if scans.form.units == "HU" or modality == "CT":
        return _SOFT_TISSUE
    step = max(1, scans.images.size // 1_000_000)
    low, high = np.percentile(scans.images.reshape(-1)[::step].astype(np.float64), [0.5, 99.5])
    return float(low + high) / 2, float(high - low)


def _encoder(name: str, size: tuple[int, ...]) -> Callable[[Dataset], None]:
    """Return what compresses the pixels of a data set; told before anything is written when it is missing."""
    if name not in TRANSFER_SYNTAXES:
        raise InputError(
            unknown_name("transfer syntax", name, TRANSFER_SYNTAXES),
            remedy="Leave it out for the one all systems read.",
        )
    if name == "explicit":
        return lambda ds: None
    from pydicom.pixels.encoders.base import get_encoder

    uid = TRANSFER_SYNTAXES[name]
    # by name: GDCM's encoder of RLE ends the whole process for some sizes of images
    plugin = "pydicom" if name == "rle" else "pylibjpeg"
    if plugin not in get_encoder(uid).available_plugins:
        raise InputError(
            f"the transfer syntax '{name}' needs a package that is not installed",
            remedy="pip install 'synthkit[scans]'.",
        )
    if name == "jpeg2000" and min(size[-2:]) < _SMALLEST_JPEG2000:
        raise InputError(
            f"scans of {size[-2]} x {size[-1]} are too small for the transfer syntax 'jpeg2000', which takes "
            f"{_SMALLEST_JPEG2000} x {_SMALLEST_JPEG2000} and more",
            remedy="Take 'rle'.",
        )

    def compress(ds: Dataset) -> None:
        if name == "jpeg2000" and ds.SamplesPerPixel > 1:
            ds.PhotometricInterpretation = "YBR_RCT"  # PS3.5, 8.2.4: what its reversible transform of colours is called
        ds.compress(uid, encoding_plugin=plugin, generate_instance_uid=False)

    return compress


# ------------------------------------------------------------ data sets


def _common(draw: _Draw, identity: ScanIdentity, index: int, number: int, label: str) -> Dataset:
    """Return what all instances of a scan have in common."""
    from pydicom.dataset import Dataset

    from synthkit.io import dicom_modules as modules

    ds = Dataset()
    modules.sop_common(ds, draw.sop_class, identity.instance(1), draw.provenance, index)
    modules.patient(ds, identity, draw.provenance)
    modules.general_study(ds, identity)
    modules.general_series(ds, identity.series, draw.modality, number, draw.form.body_part, label)
    modules.general_equipment(ds, draw.provenance)
    modules.general_image(ds, 1, _KINDS.get(draw.sop_class, ()), draw.provenance)
    if draw.sop_class in (_CT, _MR):
        modules.frame_of_reference(ds, identity)
        ds.AcquisitionNumber = 1
    for name, value in _ALSO.get(draw.sop_class, {}).items():
        if name not in ds:
            setattr(ds, name, value)
    if draw.values.rescales or draw.sop_class in _RESCALED:
        modules.modality_lut(ds, draw.values, draw.form.units or "US")
    # DICOM's linear window is one wide less than it says: one near 1, of values from 0 to 1, would be black and white
    if draw.sop_class not in (_SC, _SC_COLOUR) and draw.window[1] >= _NARROWEST:
        modules.voi_lut(ds, draw.window)
    return ds


# Value 3 of Image Type.
_KINDS: Mapping[str, tuple[str, ...]] = {_CT: ("AXIAL",), _MR: ("OTHER",)}
_RESCALED = (_CT, _SC_GREY_8, _SC_GREY_16)
_VECTOR_OF_SLICES = 0x00182005
# What each class also wants, empty where it is unknown.
_ALSO: Mapping[str, Mapping[str, object]] = {
    _CT: {"KVP": None},
    _MR: {
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "",
        "RepetitionTime": None,
        "EchoTime": None,
        "EchoTrainLength": None,
    },
    _CR: {"BodyPartExamined": "", "ViewPosition": "", "PatientOrientation": ""},
    _SC: {"ConversionType": "SYN", "PatientOrientation": ""},
    _SC_GREY_8: {"ConversionType": "SYN", "PatientOrientation": "", "PresentationLUTShape": "IDENTITY"},
    _SC_GREY_16: {"ConversionType": "SYN", "PatientOrientation": "", "PresentationLUTShape": "IDENTITY"},
    _SC_COLOUR: {"ConversionType": "SYN", "PatientOrientation": ""},
}


def _slices(draw: _Draw, common: Dataset, identity: ScanIdentity, stored: np.ndarray) -> list[Dataset]:
    """Return a volume as a series: a data set per slice, in the order of their positions."""
    from pydicom.dataset import Dataset

    from synthkit.io import dicom_modules as modules

    spacing = _spacing(draw.form, 3)
    orientation = draw.form.orientation
    slices = []
    for k, place in enumerate(modules.slice_positions(len(stored), spacing, orientation, stored.shape[1:3])):
        ds = Dataset()
        ds.update(common)
        modules.image_plane(ds, place, orientation, spacing[1:], spacing[0])
        if draw.sop_class == _MR:
            ds.SpacingBetweenSlices = modules.decimal(spacing[0])
        del ds.InstanceNumber, ds.SOPInstanceUID
        ds.InstanceNumber = k + 1
        ds.SOPInstanceUID = identity.instance(k + 1)
        modules.image_pixel(ds, stored[k], draw.values)
        slices.append(ds)
    return slices


def _picture(draw: _Draw, ds: Dataset, identity: ScanIdentity, stored: np.ndarray) -> Dataset:
    """Return a scan that is one file: a picture, or a volume as frames."""
    from pydicom.tag import Tag

    from synthkit.io import dicom_modules as modules

    spacing = draw.form.spacing
    if draw.sop_class in (_CT, _MR):
        near = (1.0, *_spacing(draw.form, 2))
        place = modules.slice_positions(1, near, draw.form.orientation, stored.shape[:2])[0]
        modules.image_plane(ds, place, draw.form.orientation, near[1:], None)
    elif spacing is not None:
        ds.PixelSpacing = [modules.decimal(value) for value in spacing[-2:]]
        ds.PixelSpacingCalibrationType = "GEOMETRY"
        ds.PixelSpacingCalibrationDescription = "As in the training data"
    if draw.sop_class in (_SC_GREY_8, _SC_GREY_16, _SC_COLOUR):
        frames = len(stored) if stored.ndim > 2 + draw.colours else 1
        ds.NumberOfFrames = frames
        if frames > 1:
            between = spacing[0] if spacing is not None and len(spacing) == 3 else 1.0
            ds.FrameIncrementPointer = Tag(_VECTOR_OF_SLICES)
            ds.SliceLocationVector = [modules.decimal(k * between) for k in range(frames)]
    modules.image_pixel(ds, stored, draw.values, colours=draw.colours)
    return ds


def _write_mask(
    draw: _Draw, mask: np.ndarray, images: list[Dataset], identity: ScanIdentity, index: int, path: Path
) -> None:
    """Write the mask of a scan beside it; an empty one has no file, because a segmentation needs a region."""
    from synthkit.io.dicom_segmentation import segmentation

    ds = segmentation(mask.reshape(-1, *mask.shape[-2:]), images, identity, draw.provenance, index)
    if ds is not None:
        path.parent.mkdir(exist_ok=True)
        _save(replace(draw, encode=lambda ds: None), ds, path)


def _spacing(form: ScanForm, axes: int) -> tuple[float, ...]:
    """Return the spacing of the last axes in mm; 1 mm where it is unknown, because CT and MR must state one."""
    known = form.spacing or ()
    return (1.0,) * (axes - len(known)) + tuple(known[-axes:])


def _frames_last(image: np.ndarray) -> np.ndarray:
    """Return ``[(slices,) rows, columns]``, with a last axis for colours, from ``[channels, (slices,) rows, ...]``."""
    return image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)


def _save(draw: _Draw, ds: Dataset, path: Path) -> None:
    """Write one file of part 10."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = UID(TRANSFER_SYNTAXES["explicit"])
    ds.file_meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    ds.file_meta.ImplementationVersionName = "SYNTHKIT"
    draw.encode(ds)
    ds.save_as(path, enforce_file_format=True)
