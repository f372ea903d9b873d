"""Scans as arrays in an ``.npz`` file: the layout of MedMNIST, or images with what belongs to them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from synthkit.errors import InputError, unknown_name
from synthkit.io.scan_reading import FoundSeries, Notebook
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.phrases import counted

SPLITS = ("train", "val", "test")
_COLOURS = 3
_PATIENTS = ("patients", "patient_ids", "ids")


def read_arrays(path: Path, notebook: Notebook, *, split: str | None = None) -> ScanSet:
    """Return the scans of an ``.npz`` file.

    Parameters
    ----------
    path
        The file. ``images``, or ``train_images``, ``val_images`` and ``test_images``, each ``[n, rows, columns]``,
        ``[n, rows, columns, 3]``, ``[n, slices, rows, columns]``, or with channels of 1 or 3 second; with ``labels``,
        ``masks`` and ``patients`` (or ``ids``) of the same beginning, ``classes``, and ``form`` as JSON where it is
        known.
    notebook
        What is found is noted here.
    split
        "train", "val" or "test"; the training part where there is one and this is None.

    Raises
    ------
    InputError
        No such file, content that is no scan, or a split that is not there.
    """
    try:
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):
                raise InputError(f"'{path}' is no .npz file, or it is cut off", remedy="Write it again with np.savez.")
            file.seek(0)
            with np.load(file, allow_pickle=False) as content:
                return _scans_of(content, path, notebook, split)
    except FileNotFoundError as error:
        raise InputError(f"the file '{path}' does not exist", remedy="Check the path.") from error
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise InputError(
            f"'{path}' cannot be read as arrays ({error})", remedy="Write it again, without Python objects in it."
        ) from error


def _scans_of(content: Any, path: Path, notebook: Notebook, split: str | None) -> ScanSet:
    names = list(content.files)
    start = _start(names, path, notebook, split)
    images = with_channels(content[f"{start}images"], path)
    n = len(images)
    if n == 0:
        raise InputError(f"'{path}' holds 0 scans in '{start}images'", remedy="Give at least one scan.")

    def part(*kinds: str) -> np.ndarray | None:
        found = next((name for kind in kinds for name in (start + kind, kind) if name in names), None)
        if found is None:
            return None
        values: np.ndarray = content[found]
        if len(values) != n:
            if found.startswith(start) or not start:
                raise InputError(
                    f"'{path}' holds {n} scans and {len(values)} '{found}'", remedy="Give one of them per scan."
                )
            return None
        return values

    labels, classes = _labels(part("labels"), content["classes"] if "classes" in names else None, path)
    masks = part("masks")
    if masks is not None:
        masks = _masks(masks, images, path)
    patients = part(*_PATIENTS)
    form = ScanForm.from_dict(json.loads(str(content["form"]))) if "form" in names else form_of(images)
    known = part("names")
    stem = path.stem
    digits = len(str(max(n - 1, 1)))
    scan_names = [f"{stem}-{start}{i:0{digits}}" for i in range(n)] if known is None else [str(one) for one in known]
    notebook.found.append(
        FoundSeries(
            path.name + (f" ({start[:-1]})" if start else ""),
            form.modality,
            tuple(int(length) for length in images.shape[2:]),
            form.spacing,
            1,
            n,
            tuple(f"{name}: {counted(count, 'scan')}" for name, count in _counts(labels, classes).items()),
        )
    )
    return ScanSet(
        images,
        labels,
        classes,
        masks,
        None if patients is None else patients.reshape(n).astype(str),
        tuple(scan_names),
        form,
    )


def _start(names: list[str], path: Path, notebook: Notebook, split: str | None) -> str:
    """Return what the names of the arrays that are read begin with: ``train_`` or nothing."""
    splits = [one for one in SPLITS if f"{one}_images" in names]
    if split is not None:
        if split not in SPLITS:
            raise InputError(unknown_name("split", split, SPLITS))
        if split not in splits:
            held = ", ".join(splits) if splits else "no splits"
            raise InputError(f"'{path}' has no split '{split}', it holds {held}", remedy="Leave out the split.")
        return f"{split}_"
    if "images" in names:
        return ""
    if not splits:
        raise InputError(
            f"'{path}' holds {', '.join(names) or 'no arrays'}, expected 'images' or 'train_images'",
            remedy="Name the array of the scans 'images'.",
        )
    others = [f"'{one}'" for one in splits[1:]]
    if others:
        notebook.note(f"the split '{splits[0]}' was read; {' and '.join(others)} not")
    return f"{splits[0]}_"


def with_channels(images: np.ndarray, where: object) -> np.ndarray:
    """Return images with the axis of channels second, whichever of the usual layouts they are in.

    Parameters
    ----------
    images
        ``[n, rows, columns]``, ``[n, rows, columns, 3]``, ``[n, 3, rows, columns]``, ``[n, slices, rows, columns]``, or
        with five axes ``[n, channels, slices, rows, columns]`` or channels last.
    where
        What they come from, for messages.

    Raises
    ------
    InputError
        Another shape, or no real numbers.
    """
    if images.dtype.kind not in "iufb":
        raise InputError(f"the images of '{where}' are {images.dtype}, expected numbers", remedy="Save real numbers.")
    if images.dtype.kind == "b":
        images = images.astype(np.uint8)
    few = (1, _COLOURS)
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4:
        if images.shape[1] in few:
            return images
        if images.shape[3] in few:
            return np.moveaxis(images, 3, 1)
        return images[:, None]
    if images.ndim == 5:
        if images.shape[1] in few:
            return images
        if images.shape[4] in few:
            return np.moveaxis(images, 4, 1)
    raise InputError(
        f"the images of '{where}' have the shape {images.shape}, expected [n, rows, columns], [n, slices, rows, "
        "columns], or those with 1 or 3 channels",
        remedy="Put the scans along the first axis.",
    )


def form_of(images: np.ndarray) -> ScanForm:
    """Return what can be told from an array alone: bits and limits of its dtype, or of its values when they are real.

    Raises
    ------
    InputError
        Values that are not finite.
    """
    if images.dtype.kind in "iu":
        info = np.iinfo(images.dtype)
        return ScanForm(bits=info.bits, signed=info.min < 0, limits=(float(info.min), float(info.max)))
    low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("the images hold values that are not finite", remedy="Replace NaN and infinities.")
    return ScanForm(bits=16, signed=low < 0, limits=(low, high if high > low else low + 1.0))


def _labels(
    labels: np.ndarray | None, classes: np.ndarray | None, path: Path
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return labels as positions in classes, and the classes."""
    if labels is None:
        return None, ()
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(
            f"the labels of '{path}' have the shape {labels.shape}, expected [n]", remedy="Give one class per scan."
        )
    if classes is None or labels.dtype.kind not in "iu":
        known, positions = np.unique(labels, return_inverse=True)
        return positions.astype(np.int64), tuple(str(one) for one in known)
    names = tuple(str(one) for one in classes)
    if labels.min() < 0 or labels.max() >= len(names):
        raise InputError(
            f"the labels of '{path}' reach from {labels.min()} to {labels.max()}, expected positions in {len(names)} "
            "classes",
            remedy="Name every class.",
        )
    return labels.astype(np.int64), names


def _masks(masks: np.ndarray, images: np.ndarray, path: Path) -> np.ndarray:
    """Return masks without an axis of channels, as whole numbers."""
    shape = (len(images), *images.shape[2:])
    if masks.shape != shape and masks.size == np.prod(shape):
        masks = masks.reshape(shape)
    if masks.shape != shape or masks.dtype.kind not in "iub":
        raise InputError(
            f"the masks of '{path}' are {masks.dtype} of the shape {masks.shape}, expected whole numbers of {shape}",
            remedy="Give one whole number per sample.",
        )
    return masks.astype(np.uint8) if masks.dtype.kind == "b" else masks


def _counts(labels: np.ndarray | None, classes: tuple[str, ...]) -> dict[str, int]:
    if labels is None:
        return {}
    return dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
