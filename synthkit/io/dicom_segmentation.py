"""Masks of synthetic scans as DICOM Segmentation: one object per scan, a segment per region, bound to its images.

References
----------
DICOM PS3.3 A.51 (Segmentation IOD), C.8.20 (its modules), C.7.6.16 (functional groups), C.7.6.17 (dimensions).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthkit.errors import InputError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from synthkit.io.dicom_identity import ScanIdentity
    from synthkit.io.provenance import Provenance

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
# The standard wants a date here. It is that of no draw, so that a repeated draw gives the same bytes.
_NO_DATE, _NO_TIME = "19700101", "000000"
_SERIES_NUMBER = 1001


def segmentation(
    mask: np.ndarray, images: Sequence[Dataset], identity: ScanIdentity, provenance: Provenance, index: int
) -> Dataset | None:
    """Return the mask of a scan as a data set; None when the mask is empty, which DICOM cannot state.

    Parameters
    ----------
    mask
        ``[slices, rows, columns]``, whole numbers, 0 for the background.
    images
        The data sets of the images: one per slice, or one with all slices as frames.
    identity
        Of the scan.
    provenance, index
        As in its images.
    """
    from pydicom.dataset import Dataset
    from pydicom.pixels.utils import pack_bits

    from synthkit.io import dicom_modules as modules

    first = images[0]
    regions = [int(region) for region in np.unique(mask) if region]
    if not regions:
        return None
    # only slices that a region reaches have a frame; in the order of segment, then slice
    places = [(s, k) for s, region in enumerate(regions) for k in np.flatnonzero((mask == region).any(axis=(1, 2)))]
    planes = np.stack([mask[k] == regions[s] for s, k in places])
    located = "FrameOfReferenceUID" in first

    ds = Dataset()
    modules.sop_common(ds, SEGMENTATION, identity.other_instance("mask"), provenance, index)
    modules.patient(ds, identity, provenance)
    modules.general_study(ds, identity)
    part = str(first.get("BodyPartExamined", ""))
    label = str(first.SeriesDescription).partition(": ")[2]
    modules.general_series(
        ds, identity.other_series("mask"), "SEG", _SERIES_NUMBER + int(first.SeriesNumber), part, label
    )
    modules.general_equipment(ds, provenance)
    modules.general_image(ds, 1, (), provenance)
    ds.ImageType = ["DERIVED", "PRIMARY"]  # the only one that a segmentation may have
    ds.LossyImageCompression = "00"
    ds.pop("Laterality", None)  # no attribute of a segmentation
    if located:
        modules.frame_of_reference(ds, identity)
    else:
        ds.PatientOrientation = ""
    ds.SegmentationType = "BINARY"
    ds.ContentLabel = "SYNTHETIC_MASK"
    ds.ContentDescription = "Mask that was generated together with the image"
    ds.ContentCreatorName = ""
    ds.ContentDate, ds.ContentTime = _NO_DATE, _NO_TIME
    ds.SegmentSequence = [_segment(s + 1, region, provenance) for s, region in enumerate(regions)]
    _set_dimensions(ds, identity, located)
    ds.SharedFunctionalGroupsSequence = [_shared(first, images, located)]
    ds.PerFrameFunctionalGroupsSequence = [_frame(s, int(k), images, located) for s, k in places]
    ds.ReferencedSeriesSequence = [_referenced(images)]

    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = map(int, mask.shape[1:])
    ds.NumberOfFrames = len(places)
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = ds.PixelRepresentation = 0
    ds.PixelData = pack_bits(planes.astype(np.uint8), pad=True)
    ds["PixelData"].VR = "OB"
    return ds


def read_segmentation(ds: Dataset, slices: int) -> np.ndarray:
    """Return the mask ``[slices, rows, columns]`` that `segmentation` wrote, from its data set.

    Parameters
    ----------
    ds
        A binary segmentation, whose segments are called ``region 1``, ``region 2``, ...
    slices
        Of the scan; empty slices have no frame.

    Raises
    ------
    InputError
        Another kind of object, or one that synthkit did not write.
    """
    if ds.get("SOPClassUID") != SEGMENTATION or ds.get("ContentLabel") != "SYNTHETIC_MASK":
        raise InputError("this is no mask that synthkit wrote", remedy="Give masks as NIfTI.")
    regions = {int(one.SegmentNumber): int(str(one.SegmentLabel).rpartition(" ")[2]) for one in ds.SegmentSequence}
    planes = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    mask = np.zeros((slices, ds.Rows, ds.Columns), dtype=np.uint8 if max(regions.values()) < 256 else np.uint16)
    for plane, group in zip(planes, ds.PerFrameFunctionalGroupsSequence, strict=True):
        segment, k = map(int, group.FrameContentSequence[0].DimensionIndexValues)
        if not 0 < k <= slices:
            raise InputError(
                f"the mask has a slice {k}, and the scan has {slices}", remedy="Give the mask of this scan."
            )
        mask[k - 1][plane > 0] = regions[segment]
    return mask


def mask_name(folder: Path, name: str) -> Path:
    """Return where the mask of a scan lies: ``masks/`` and the name of the scan."""
    return folder / "masks" / f"{name}.dcm"


# ------------------------------------------------------------ parts


def _segment(number: int, region: int, provenance: Provenance) -> Dataset:
    """Return the description of a region; what it is of the body is not known here."""
    from pydicom.dataset import Dataset

    from synthkit.io.dicom_modules import code, long_string

    item = Dataset()
    item.SegmentNumber = number
    item.SegmentLabel = f"region {region}"
    item.SegmentAlgorithmType = "AUTOMATIC"
    item.SegmentAlgorithmName = long_string(f"synthkit {provenance.recipe}")
    item.SegmentedPropertyCategoryCodeSequence = [code("123037004", "SCT", "Anatomical Structure")]
    item.SegmentedPropertyTypeCodeSequence = [code("123037004", "SCT", "Anatomical Structure")]
    return item


def _set_dimensions(ds: Dataset, identity: ScanIdentity, located: bool) -> None:
    """Say what the index of a frame means: the segment, then the slice."""
    from pydicom.dataset import Dataset
    from pydicom.tag import Tag

    organization = Dataset()
    organization.DimensionOrganizationUID = identity.other_instance("dimensions")
    ds.DimensionOrganizationSequence = [organization]
    pointers = [("ReferencedSegmentNumber", "SegmentIdentificationSequence")]
    pointers.append(
        ("ImagePositionPatient", "PlanePositionSequence") if located else ("StackID", "FrameContentSequence")
    )
    ds.DimensionIndexSequence = []
    for attribute, group in pointers:
        item = Dataset()
        item.DimensionOrganizationUID = organization.DimensionOrganizationUID
        item.DimensionIndexPointer = Tag(attribute)
        item.FunctionalGroupPointer = Tag(group)
        item.DimensionDescriptionLabel = attribute
        ds.DimensionIndexSequence.append(item)


def _shared(first: Dataset, images: Sequence[Dataset], located: bool) -> Dataset:
    """Return what all frames have in common: spacing and orientation."""
    from pydicom.dataset import Dataset

    shared = Dataset()
    if located:
        measures = Dataset()
        measures.PixelSpacing = list(first.PixelSpacing)
        measures.SliceThickness = first.SliceThickness or 1
        if len(images) > 1:
            measures.SpacingBetweenSlices = first.SliceThickness
        shared.PixelMeasuresSequence = [measures]
        orientation = Dataset()
        orientation.ImageOrientationPatient = list(first.ImageOrientationPatient)
        shared.PlaneOrientationSequence = [orientation]
    return shared


def _frame(segment: int, k: int, images: Sequence[Dataset], located: bool) -> Dataset:
    """Return what is particular to a frame: its segment, its place and the image that it belongs to."""
    from pydicom.dataset import Dataset

    from synthkit.io.dicom_modules import code

    frame = Dataset()
    content = Dataset()
    content.DimensionIndexValues = [segment + 1, k + 1]
    if not located:
        content.StackID = "1"
        content.InStackPositionNumber = k + 1
    frame.FrameContentSequence = [content]
    identification = Dataset()
    identification.ReferencedSegmentNumber = segment + 1
    frame.SegmentIdentificationSequence = [identification]
    image = images[k] if len(images) > 1 else images[0]
    if located:
        position = Dataset()
        position.ImagePositionPatient = list(image.ImagePositionPatient)
        frame.PlanePositionSequence = [position]
    source = Dataset()
    source.ReferencedSOPClassUID = image.SOPClassUID
    source.ReferencedSOPInstanceUID = image.SOPInstanceUID
    if "NumberOfFrames" in image:
        source.ReferencedFrameNumber = k + 1
    source.PurposeOfReferenceCodeSequence = [code("121322", "DCM", "Source image for image processing operation")]
    derivation = Dataset()
    derivation.SourceImageSequence = [source]
    derivation.DerivationCodeSequence = [code("113076", "DCM", "Segmentation")]
    frame.DerivationImageSequence = [derivation]
    return frame


def _referenced(images: Sequence[Dataset]) -> Dataset:
    """Return the list of the images that the masks belong to: synthetic ones of the same study."""
    from pydicom.dataset import Dataset

    series = Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    series.ReferencedInstanceSequence = []
    for image in images:
        item = Dataset()
        item.ReferencedSOPClassUID = image.SOPClassUID
        item.ReferencedSOPInstanceUID = image.SOPInstanceUID
        series.ReferencedInstanceSequence.append(item)
    return series
