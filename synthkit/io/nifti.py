"""NIfTI in: volumes turned as DICOM's axial ones lie, times split, values scaled as the file says.

References
----------
NIfTI-1 Data Format, https://nifti.nimh.nih.gov/nifti-1: axes grow to the right, the front and the head of a patient;
those of DICOM to the left, the back and the head.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synthkit.errors import InputError
from synthkit.io.scan_reading import Notebook
from synthkit.io.scan_set import ScanForm
from synthkit.io.scan_stack import Stack, UnreadableScan

ENDINGS = (".nii", ".nii.gz")
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def nifti_stacks(files: Sequence[tuple[str, Path]], notebook: Notebook, *, turn: bool = True) -> list[Stack]:
    """Return the volumes of NIfTI files, without their values: one per file, or one per time.

    Parameters
    ----------
    files
        What each is called, and where it lies.
    notebook
        What is left out is noted here.
    turn
        Whether volumes are turned as axial ones of DICOM lie; false for those that synthkit wrote, whose axes are kept.

    Raises
    ------
    InputError
        nibabel is not installed.
    """
    _nibabel()
    found: list[Stack] = []
    for name, path in files:
        try:
            found += _stacks_of(name, path, turn)
        except UnreadableScan as error:
            notebook.leave(name, error.what)
    if found and turn:
        notebook.note("NIfTI does not say the modality or the unit of its values")
    return found


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError as error:
        raise InputError(
            "reading NIfTI needs the package nibabel, which is not installed",
            remedy="Install it with: pip install 'synthkit[scans]'.",
        ) from error
    return nibabel


def _opened(path: Path) -> Any:
    """Open a file; values are not read."""
    nibabel = _nibabel()
    errors = (
        nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError, OSError, EOFError, ValueError,
        zlib.error,
    )  # fmt: skip
    try:
        return nibabel.load(path)
    except errors as error:
        raise UnreadableScan(_reason(error)) from error


def _directions(image: Any, turn: bool) -> np.ndarray:
    """Return which axis (right, front, head) each axis of a file becomes, and whether it is turned, ``[3, 2]``."""
    if not turn:
        return np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    found: np.ndarray = _nibabel().orientations.io_orientation(image.affine)
    if not np.isfinite(found).all():
        raise UnreadableScan("its affine gives no directions in space")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    return f"damaged or no NIfTI file ({type(error).__name__})"


def _stacks_of(name: str, path: Path, turn: bool) -> list[Stack]:
    image = _opened(path)
    shape = tuple(int(length) for length in image.shape)
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) < 3 or min(shape) < 1 or (len(shape) > 4 and max(shape[4:]) > 1):
        raise UnreadableScan(f"has the shape {shape}, expected a volume, or volumes along time")
    axes = _directions(image, turn)[:, 0].astype(int)
    columns, rows, slices = (shape[list(axes).index(k)] for k in range(3))
    times = shape[3] if len(shape) > 3 else 1
    stored = image.get_data_dtype()
    colours = stored.names is not None and tuple(stored.names[:3]) == ("R", "G", "B")
    if not colours and (stored.fields is not None or stored.kind not in "iuf"):
        raise UnreadableScan(f"holds {stored}, expected real numbers")
    zooms = [float(one) for one in image.header.get_zooms()[:3]]
    zooms += [1.0] * (3 - len(zooms))
    zooms = [zooms[list(axes).index(k)] for k in range(3)]
    spacing = (zooms[1], zooms[0]) if min(zooms[:2]) > 0 else None
    stem = name[: -len(next(ending for ending in ENDINGS if name.lower().endswith(ending)))]
    dtype, form = _values(image, stored, spacing)
    found = []
    for time in range(times):
        called = name if times == 1 else f"{name}#time {time + 1}"
        reader = _Reader(path, time, dtype, turn)
        found.append(
            Stack(
                name=called,
                files=(name,) * slices,
                form=form,
                size=(rows, columns),
                channels=3 if colours else 1,
                dtype=dtype,
                plane_names=tuple(f"{called}#slice {i + 1}" for i in range(slices)) if slices > 1 else (called,),
                plane=reader.plane,
                volume=reader.volume if slices > 1 else None,
                volume_size=(slices, rows, columns) if slices > 1 else None,
                slice_spacing=zooms[2] if slices > 1 and zooms[2] > 0 else None,
                keys=(stem,),
                notes=() if times == 1 else (f"time point {time + 1} of {times}",),
                few="" if slices > 1 else "one slice",
            )
        )
    return found


def _values(image: Any, stored: np.dtype[Any], spacing: tuple[float, float] | None) -> tuple[np.dtype[Any], ScanForm]:
    """Return the dtype of the values and their form, from the header alone."""
    if stored.fields is not None:
        return np.dtype(np.uint8), ScanForm(spacing=spacing, orientation=AXIAL)
    if stored.kind == "f":
        largest = float(np.finfo(np.float32).max)
        form = ScanForm(bits=16, signed=True, limits=(-largest, largest), spacing=spacing, orientation=AXIAL)
        return np.dtype(np.float32), form
    slope, intercept = getattr(image.dataobj, "slope", 1.0), getattr(image.dataobj, "inter", 0.0)
    slope = 1.0 if slope is None or slope == 0 else float(slope)
    intercept = 0.0 if intercept is None else float(intercept)
    info = np.iinfo(stored)
    low, high = sorted((info.min * slope + intercept, info.max * slope + intercept))
    form = ScanForm(bits=min(info.bits, 16), signed=low < 0, limits=(low, high), spacing=spacing, orientation=AXIAL)
    if not (slope.is_integer() and intercept.is_integer()):
        return np.dtype(np.float32), form
    kinds: tuple[type[np.integer[Any]], ...] = (np.uint8, np.int16, np.uint16, np.int32)
    fitting = (kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    return np.dtype(next(fitting, np.float32)), form


class _Reader:
    """Reads one time of a file; a volume is kept for the next of its slices."""

    _kept: tuple[Path, int, np.ndarray] | None = None  # of all readers together, so that one volume is in memory

    def __init__(self, path: Path, time: int, dtype: np.dtype[Any], turn: bool) -> None:
        self._path = path
        self._time = time
        self._dtype = dtype
        self._turn = turn

    def plane(self, i: int) -> np.ndarray:
        """Return a slice, ``[1, rows, columns]``, lowest first."""
        kept = _Reader._kept
        if kept is None or kept[:2] != (self._path, self._time):
            _Reader._kept = kept = (self._path, self._time, self.volume())
        return kept[2][:, i]

    def volume(self) -> np.ndarray:
        """Return ``[1, slices, rows, columns]``: feet to head, front to back, right to left."""
        image = _opened(self._path)
        try:
            values = np.asanyarray(image.dataobj[:, :, :, self._time] if len(image.shape) > 3 else image.dataobj)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise UnreadableScan(f"damaged or cut off ({type(error).__name__})") from error
        values = values.reshape(values.shape[:3] if values.ndim >= 3 else (*values.shape, 1))
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise UnreadableScan("holds values that are not finite")
        values = _nibabel().orientations.apply_orientation(values, _directions(image, self._turn))
        if self._turn:
            values = values[::-1, ::-1]
        if values.dtype.names is not None:
            colours = np.stack([values[name] for name in values.dtype.names[:3]])
            return np.ascontiguousarray(colours.transpose(0, 3, 2, 1))
        return np.ascontiguousarray(values.transpose(2, 1, 0), dtype=self._dtype)[None]


def mask_of(path: Path, *, turn: bool = True) -> np.ndarray:
    """Return a mask ``[slices, rows, columns]``, turned as the volumes are.

    Raises
    ------
    UnreadableScan
        Damaged, or no whole numbers.
    """
    values = _Reader(path, 0, np.dtype(np.float32), turn).volume()[0]
    if not (values == np.rint(values)).all():
        raise UnreadableScan("a mask with values that are not whole numbers")
    whole: np.ndarray = values.astype(np.int32)
    return whole
