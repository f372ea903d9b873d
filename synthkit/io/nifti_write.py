"""Synthetic scans as NIfTI: one compressed file each, with spacing and orientation in the affine.

References
----------
NIfTI-1: https://nifti.nimh.nih.gov/nifti-1. Its axes go right, front and up, those of DICOM left, back and up.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from synthkit.errors import InputError
from synthkit.io.provenance import Provenance
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.io.stored_values import StoredValues, stored_values

_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_MILLIMETRES = 2
_COMMENT = 6  # kind of a header extension: plain text


def write_nifti(scans: ScanSet, folder: Path, *, provenance: Provenance) -> tuple[Path, ...]:
    """Write each scan as ``000001.nii.gz`` and each mask as ``masks/000001.nii.gz``.

    Parameters
    ----------
    scans
        Pictures get one slice.
    folder
        Exists and is empty.
    provenance
        In the description and, whole, in an extension of each header.

    Raises
    ------
    InputError
        nibabel is missing, values are not finite, or there are several channels that are not colours.
    """
    nibabel = _nibabel()
    values = stored_values(scans)
    colours = scans.channels == 3 and values.bits == 8 and not values.rescales
    if scans.channels != 1 and not colours:
        raise InputError(
            f"scans with {scans.channels} channels of {values.bits} bits do not fit NIfTI, expected one channel, or "
            "three colours from 0 to 255",
            remedy="Write npz.",
        )
    affine = nifti_affine(scans.form, scans.size)
    written = []
    digits = max(6, len(str(len(scans))))
    if scans.masks is not None:
        (folder / "masks").mkdir()
    for i in range(len(scans)):
        name = f"{i + 1:0{digits}}.nii.gz"
        stored = values.stored(scans.images[i])
        image = _image(_rgb(stored) if colours else stored[0], affine, values, provenance, i)
        nibabel.save(image, folder / name)
        written.append(folder / name)
        if scans.masks is not None:
            whole = StoredValues(1.0, 0.0, 8 if scans.masks.max(initial=0) < 256 else 16)
            nibabel.save(_image(whole.stored(scans.masks[i]), affine, whole, provenance, i), folder / "masks" / name)
    return tuple(written)


def nifti_affine(form: ScanForm, size: tuple[int, ...]) -> np.ndarray:
    """Return the affine ``[4, 4]`` from (column, row, slice) to mm right, front and up, with the origin in the middle.

    Parameters
    ----------
    form
        Spacing (1 mm where it is unknown) and orientation.
    size
        ``(rows, columns)`` or ``(slices, rows, columns)``.
    """
    spacing = (1.0,) * (3 - len(form.spacing or ())) + tuple(form.spacing or ())
    row, column = np.reshape(np.asarray(form.orientation or _AXIAL, dtype=np.float64), (2, 3))
    axes = np.stack([row * spacing[2], column * spacing[1], np.cross(row, column) * spacing[0]], axis=1)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1.0, -1.0, 1.0]) @ axes
    extent = np.array([size[-1], size[-2], size[0] if len(size) == 3 else 1], dtype=np.float64) - 1
    affine[:3, 3] = -affine[:3, :3] @ (extent / 2)
    affine[:3] += 0.0  # no negative zeros
    return affine


def _nibabel() -> Any:
    """Return the package, whose functions have no types; InputError where it is missing."""
    try:
        return importlib.import_module("nibabel")
    except ImportError as error:
        raise InputError("NIfTI needs the package nibabel", remedy="pip install 'synthkit[scans]'.") from error


def _image(stored: np.ndarray, affine: np.ndarray, values: StoredValues, provenance: Provenance, index: int) -> Any:
    """Return a file of one scan, ``[(slices,) rows, columns]``, as NIfTI orders it: columns first."""
    nibabel = _nibabel()
    volume = stored if stored.ndim == 3 else stored[None]
    image = nibabel.Nifti1Image(np.ascontiguousarray(volume.transpose(2, 1, 0)), affine, dtype=stored.dtype)
    image.header.set_xyzt_units(_MILLIMETRES)
    image.header["descrip"] = f"SYNTHETIC synthkit {provenance.version} {provenance.recipe}"[:79].encode()
    if stored.dtype.names is None:
        image.header.set_slope_inter(values.slope, values.intercept)
    text = provenance.to_json(index=index)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(_COMMENT, text.encode()))
    return image


def _rgb(stored: np.ndarray) -> np.ndarray:
    """Return ``[3, ...]`` as the records of three bytes that NIfTI calls RGB24."""
    fields = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return np.ascontiguousarray(np.moveaxis(stored, 0, -1)).view(fields)[..., 0]
