"""Scans of another size, by one rule: area where a grid becomes coarser, linear where it becomes finer.

Both are separable, so a size is reached by one matrix per axis. A sample stands for the interval around its centre, as
a pixel does; nothing is shifted. Masks go by majority of the same weights, so no new value appears.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthkit.errors import InputError

RULE = "area where coarser, linear where finer"
_MOST_REGIONS = 64


def resampled(images: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return images on another grid.

    Parameters
    ----------
    images
        ``[n, channels, *old]``, any real dtype. Whole numbers are rounded again.
    size
        Samples along each axis after the channels.

    Returns
    -------
    numpy.ndarray
        ``[n, channels, *size]`` of the same dtype.

    Raises
    ------
    InputError
        Another number of axes, or a length below 1.
    """
    _check(images.shape[2:], size)
    if images.shape[2:] == tuple(size):
        return images
    whole = images.dtype.kind in "iub"
    # One scan at a time: only that one exists in floating point.
    out = np.empty((*images.shape[:2], *size), images.dtype)
    for i, one in enumerate(images):
        values = _applied(one, size)
        out[i] = np.rint(values) if whole else values
    return out


def resampled_masks(masks: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return masks on another grid, by majority of the weights; equal weights go to the smaller value.

    Parameters
    ----------
    masks
        ``[n, *old]``, whole numbers, few different ones.
    size
        Samples along each axis.

    Raises
    ------
    InputError
        Another number of axes, or so many different values that this is an image.
    """
    _check(masks.shape[1:], size)
    if masks.shape[1:] == tuple(size):
        return masks
    regions = np.unique(masks)
    if len(regions) > _MOST_REGIONS:
        raise InputError(
            f"a mask holds {len(regions)} different values, expected at most {_MOST_REGIONS} regions",
            remedy="Give masks with one whole number per region.",
        )
    out = np.empty((len(masks), *size), masks.dtype)
    for i, one in enumerate(masks):
        best = np.full(tuple(size), -1.0, np.float32)
        for region in regions:
            weight = _applied((one == region)[None], size)[0]
            better = weight > best + 1e-6
            out[i][better] = region
            best[better] = weight[better]
    return out


def weights(old: int, new: int) -> np.ndarray:
    """Return the matrix ``[new, old]`` that takes samples along one axis to another number of samples.

    Each row sums to 1. With fewer samples than before, a row holds the share of the new interval that each old interval
    covers; with more, the two nearest centres in proportion to their nearness, the outermost value beyond the ends.
    """
    if new <= old:
        edges = np.arange(new + 1) * (old / new)
        cells = np.arange(old)
        overlap = np.minimum(edges[1:, None], cells + 1.0) - np.maximum(edges[:-1, None], cells)
        found: np.ndarray = np.clip(overlap, 0, None) * (new / old)
        return found.astype(np.float32)
    centres = (np.arange(new) + 0.5) * (old / new) - 0.5
    below = np.clip(np.floor(centres), 0, old - 1).astype(int)
    above = np.minimum(below + 1, old - 1)
    share = np.clip(centres - below, 0, 1)
    matrix = np.zeros((new, old), np.float32)
    np.add.at(matrix, (np.arange(new), below), 1 - share)
    np.add.at(matrix, (np.arange(new), above), share)
    return matrix


def _applied(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Apply one matrix per axis to ``[channels, *old]``, coarser axes first, in single precision."""
    values = image.astype(np.float32)
    old = image.shape[1:]
    for axis in sorted(range(len(size)), key=lambda k: size[k] / old[k]):
        if old[axis] != size[axis]:
            moved = np.tensordot(values, weights(old[axis], size[axis]), axes=(axis + 1, 1))
            values = np.moveaxis(moved, -1, axis + 1)
    return values


def _check(old: Sequence[int], size: Sequence[int]) -> None:
    if len(size) != len(old) or any(length < 1 for length in size):
        raise InputError(
            f"the size {tuple(size)} does not fit scans of {tuple(old)}, expected {len(old)} lengths of at least 1",
            remedy=f"Give {len(old)} lengths.",
        )


# ------------------------------------------------------------ scans of different sizes


@dataclass(frozen=True)
class Fit:
    """How a scan comes to a size without being distorted: resampled to `inner`, then padded to `size`.

    Attributes
    ----------
    inner
        Samples along each axis that the scan itself takes.
    size
        Samples along each axis in the end.
    spacing
        In mm along each axis then; None where it was unknown.
    """

    inner: tuple[int, ...]
    size: tuple[int, ...]
    spacing: tuple[float, ...] | None

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """Samples before and after, along each axis."""
        return tuple(
            ((whole - part) // 2, whole - part - (whole - part) // 2)
            for part, whole in zip(self.inner, self.size, strict=True)
        )


FIT_RULE = (
    "rows and columns by one factor, so that nothing is distorted (mm count, where spacing is known), slices by their "
    f"own; {RULE}; what is left is background"
)


def fit_of(old: Sequence[int], size: Sequence[int], spacing: Sequence[float] | None = None, aspect: float = 1.0) -> Fit:
    """Plan how a scan comes to a size.

    Parameters
    ----------
    old
        Its samples along each axis: ``(rows, columns)`` or ``(slices, rows, columns)``.
    size
        The wanted ones.
    spacing
        Its spacing in mm along each axis; None where it is unknown, and then samples are as wide as `aspect` says.
    aspect
        Width of a sample over its height in the end: that of most scans of the set.

    Raises
    ------
    InputError
        Another number of axes, or a length below 1.
    """
    _check(old, size)
    heights, widths = (1.0, aspect) if spacing is None else spacing[-2:]
    extent = (old[-2] * heights, old[-1] * widths / aspect)
    step = max(extent[0] / size[-2], extent[1] / size[-1])
    plane = [min(max(round(extent[axis] / step), 1), size[axis]) for axis in (-2, -1)]
    inner = (*size[:-2], *plane)
    reached = None if spacing is None else tuple(o * s / i for o, s, i in zip(old, spacing, inner, strict=True))
    return Fit(inner, tuple(size), reached)


def fitted(image: np.ndarray, fit: Fit, empty: float) -> np.ndarray:
    """Return a scan ``[channels, *old]`` at the size of a plan; what is left is `empty`."""
    inner: np.ndarray = resampled(image[None], fit.inner)[0]
    if fit.inner == fit.size:
        return inner
    padded: np.ndarray = np.pad(inner, ((0, 0), *fit.padding), constant_values=empty)
    return padded


def fitted_mask(mask: np.ndarray, fit: Fit) -> np.ndarray:
    """Return a mask ``[*old]`` at the size of a plan; what is left is 0."""
    inner: np.ndarray = resampled_masks(mask[None], fit.inner)[0]
    return inner if fit.inner == fit.size else np.pad(inner, fit.padding)
