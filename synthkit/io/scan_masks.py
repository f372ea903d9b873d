"""Masks that belong to scans: found by name, read with their scan, and numbered in one way for a whole set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from synthkit.errors import InputError
from synthkit.io.scan_files import KINDS, scan_files
from synthkit.io.scan_labels import Labelled
from synthkit.io.scan_reading import Notebook
from synthkit.io.scan_stack import Item, UnreadableScan
from synthkit.phrases import by, counted

_ADDED = ("", "_mask", "-mask", "_seg", "-seg", "_label", "_labels", "_segmentation", "_annotation", "_gt")
_MOST_REGIONS = 64
_WHITE = 255


class Masks:
    """The masks of a set of scans.

    Parameters
    ----------
    place
        A folder of masks that are called as their scans, with the same ending or another one, or with "_mask", "_seg"
        or the like added; None where a table of labels names them.
    notebook
        What is found is noted here.
    base
        What names in a table of labels are relative to.
    turn
        Whether NIfTI is turned as its scans are; false for what synthkit wrote, whose axes are kept.
    """

    def __init__(self, place: Path | None, notebook: Notebook, base: Path, *, turn: bool = True) -> None:
        self._base = base
        self._turn = turn
        self._files: dict[str, Path] = {}
        self._codes: dict[int, int] = {}
        self._last: tuple[Path, np.ndarray] | None = None
        if place is not None:
            own = Notebook(str(place))
            kind, files = scan_files(place, own)
            if kind == "arrays":
                raise InputError(
                    f"the masks '{place}' are arrays",
                    remedy="Give NIfTI, PNG or TIFF, or 'masks' in the .npz of scans.",
                )
            alone = Counter(PurePosixPath(_stem(name)).name for name, _ in files)
            for name, path in files:
                self._files.setdefault(_stem(name), path)
                short = PurePosixPath(_stem(name)).name
                if alone[short] == 1:  # the name alone says nothing where two folders hold it
                    self._files.setdefault(short, path)
            notebook.note(f"masks come from '{place}', {counted(len(files), 'file')}")

    def find(self, one: Labelled) -> Path | None:
        """Return the file of a scan's mask, or None where there is none."""
        if one.mask:
            path = self._base / one.mask
            return path if path.is_file() else None
        return next((self._files[name] for name in _names(one.item) if name in self._files), None)

    def read(self, one: Labelled, path: Path | None) -> np.ndarray:
        """Return the mask of a scan as codes, ``[*size]`` uint8; see `numbers`.

        Raises
        ------
        UnreadableScan
            Damaged, or of another size.
        """
        size = one.item.size
        if path is None:
            return self._coded(np.zeros(size, np.int64))
        values = self._values(path, one.item)
        if values.ndim == 3 and len(size) == 2:
            plane = one.item.plane or 0
            if len(values) == len(one.item.stack.plane_names):
                values = values[plane]
        if values.ndim == 2 and len(size) == 3 and size[0] == 1:
            values = values[None]
        if values.shape != size:
            shown = by(values.shape)
            raise UnreadableScan(f"its mask is {shown}, and the scan {' x '.join(map(str, size))}")
        return self._coded(values)

    def numbers(self, notebook: Notebook) -> np.ndarray:
        """Return the region of each code: black and white is 0 and 1, and so are regions that were colours numbered.

        Raises
        ------
        InputError
            So many different values that these are images.
        """
        raw = sorted(self._codes)
        if len(raw) > _MOST_REGIONS:
            raise InputError(
                f"the masks hold {len(raw)} different values, expected at most {_MOST_REGIONS} regions",
                remedy="Give masks with one whole number per region, as PNG or NIfTI, not JPEG.",
            )
        if set(raw) <= {0, _WHITE}:
            region = {0: 0, _WHITE: 1}
        elif raw and (raw[0] < 0 or raw[-1] > _WHITE):
            region = {value: i for i, value in enumerate(raw if 0 in raw else [0, *raw])}
            notebook.note(f"the {len(raw)} values of the masks were numbered from 0 in ascending order")
        else:
            region = {value: value for value in raw}
        numbers = np.zeros(256, np.uint8)
        for value, code in self._codes.items():
            numbers[code] = region[value]
        return numbers

    def _coded(self, values: np.ndarray) -> np.ndarray:
        found, inverse = np.unique(values, return_inverse=True)
        if len(found) > _MOST_REGIONS:
            raise UnreadableScan(f"its mask holds {len(found)} different values, expected at most {_MOST_REGIONS}")
        codes = [self._codes.setdefault(int(value), min(len(self._codes), 255)) for value in found]
        return np.array(codes, np.uint8)[inverse.reshape(values.shape)]

    def _values(self, path: Path, item: Item) -> np.ndarray:
        """Read a file; the last one is kept, for the next slice of the same volume."""
        if self._last is None or self._last[0] != path:
            self._last = (path, _read(path, item, self._turn))
        return self._last[1]


def _read(path: Path, item: Item, turn: bool) -> np.ndarray:
    name = path.name.lower()
    if name.endswith(KINDS["nifti"]):
        from synthkit.io.nifti import mask_of

        values = mask_of(path, turn=turn)
        return values[0] if len(values) == 1 and len(item.size) == 2 else values
    if name.endswith(KINDS["images"]):
        from synthkit.io.images import mask_of as picture_of

        return picture_of(path)
    return _segmentation(path, len(item.stack.plane_names))


def _segmentation(path: Path, slices: int) -> np.ndarray:
    """Return a DICOM segmentation that synthkit wrote, ``[slices, rows, columns]``, or a plane where there is one."""
    import pydicom

    from synthkit.io.dicom_headers import MALFORMED, reason_of
    from synthkit.io.dicom_segmentation import read_segmentation

    try:
        data: Any = pydicom.dcmread(path)
        found = read_segmentation(data, slices)
    except InputError as error:
        raise UnreadableScan(f"its mask: {error.what}") from error
    except MALFORMED as error:
        raise UnreadableScan(f"its mask: {reason_of(error)}") from error
    return found[0] if slices == 1 else found


def _stem(name: str) -> str:
    """Return a name without ending and without what is added to names of masks."""
    path = PurePosixPath(name)
    stem = path.name.partition(".")[0]
    ending = next((added for added in _ADDED[1:] if stem.lower().endswith(added)), "")
    return (path.parent / stem[: len(stem) - len(ending)]).as_posix() if stem != ending else name


def _names(item: Item) -> Sequence[str]:
    """Return what the mask of a scan may be called, the most exact first."""
    found = []
    for name in dict.fromkeys((item.stack.name, item.file)):
        path = PurePosixPath(name)
        stem = path.name.partition(".")[0]
        found += [(path.parent / stem).as_posix(), stem]
        if path.parent.parts:
            found += [path.parent.as_posix(), path.parent.name]
        # "images/x" and "masks/x": the same below another first folder
        if len(path.parts) > 1:
            found.append((PurePosixPath(*path.parts[1:-1]) / stem).as_posix())
    return found
