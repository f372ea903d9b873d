"""What anomaly scores look at: scans of one contrast, their edges, and the training scan that is nearest in these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from synthkit.scans.intensity import Intensity
from synthkit.scans.unit_images import UnitImages

Floats = NDArray[np.float64]
_SPREADS = 3.0  # standard deviations of a scan that fill the range of the networks
_FLAT = 1e-3  # spread of a scan that shows nothing
_LARGEST = 32767
_WIDTH, _LEAST_WIDTH = 0.03, 0.7  # of the smoothing before edges are taken: share of a length, and samples
_BLANK = 1e-6  # length of all edges of a scan that shows nothing
_AT_ONCE = 256


def one_contrast(images: Tensor) -> Tensor:
    """Return scans in [-1, 1] with the same mean and spread each.

    Where values have no units, exposure and gain differ from scan to scan and say nothing of what is shown.
    """
    flat = images.flatten(1)
    form = (-1, *[1] * (images.dim() - 1))
    mean, spread = flat.mean(1).reshape(form), flat.std(1).clamp(min=_FLAT).reshape(form)
    return ((images - mean) / (_SPREADS * spread)).clamp(-1, 1)


def of_one_contrast(units: UnitImages) -> UnitImages:
    """Return training scans of one contrast, stored with 16 bits, without masks and classes."""
    stored = np.empty(units.stored.shape, np.int16)
    for i, scan in enumerate(units.stored):
        unit = one_contrast(units.intensity.to_unit(np.ascontiguousarray(scan[None])))
        stored[i] = np.rint(unit[0].numpy() * _LARGEST)
    intensity = Intensity(-float(_LARGEST), float(_LARGEST), "the contrast of each scan")
    return replace(units, stored=stored, regions=None, labels=None, intensity=intensity)


def appearance(images: Tensor, *, contrast_counts: bool) -> Floats:
    """Return what scans are compared by: their edges, ``[n, channels * axes, *size]``.

    Parameters
    ----------
    images
        ``[n, channels, *size]`` in [-1, 1].
    contrast_counts
        Whether values mean the same in every scan. They are then compared too, as further channels, and edges as steep
        as they are; otherwise all edges of a scan together have the length 1, and only where they are and which way
        they go matters.

    Notes
    -----
    Two scans of one appearance have a squared distance of 2 - 2 times the correlation of their gradients. Haze and
    exposure change values everywhere and edges little, and in unlike scans edges seldom agree by chance.

    References
    ----------
    Haber and Modersitzki (2006), Intensity gradient based registration and fusion of multi-modal images.
    """
    values = images.cpu().numpy().astype(np.float64)
    axes = tuple(range(2, values.ndim))
    width = [0.0, 0.0, *(max(_LEAST_WIDTH, _WIDTH * length) for length in values.shape[2:])]
    smooth = gaussian_filter(values, width, mode="nearest")
    gradients = np.gradient(smooth, axis=axes)
    edges = np.concatenate(gradients, axis=1)
    form = (-1, *[1] * (values.ndim - 1))
    if contrast_counts:
        found: Floats = np.concatenate([smooth, edges], axis=1) / np.sqrt(smooth[:1].size or 1)
        return found
    length = np.sqrt(np.square(edges).reshape(len(edges), -1).sum(axis=1))
    found = edges / np.maximum(length, _BLANK).reshape(form)
    return found


class Neighbours:
    """Training scans, to find how near the nearest of them is, in few numbers each.

    Parameters
    ----------
    mean
        Of the training scans, ``[f]``.
    directions
        Orthonormal directions in which they differ most, ``[f, d]``.
    known
        Training scans along these directions, ``[n, d]``.
    """

    def __init__(self, mean: Floats, directions: Floats, known: Floats) -> None:
        self.mean, self.directions, self.known = mean, directions, known

    @classmethod
    def of(cls, scans: Floats, most: int) -> Neighbours:
        """Keep scans ``[n, f]`` along at most so many directions."""
        mean = scans.mean(axis=0)
        away = scans - mean
        # through the products of scans, of which there are fewer than samples
        powers, vectors = np.linalg.eigh(away @ away.T)
        order = np.argsort(-powers)[:most]
        order = order[powers[order] > powers.max(initial=0.0) * 1e-10]
        directions = away.T @ (vectors[:, order] / np.sqrt(powers[order]))
        return cls(mean, directions, away @ directions)

    def distances(self, scans: Floats) -> Floats:
        """Return the distance of scans ``[m, f]`` to the nearest training scan, ``[m]``.

        What lies in none of the kept directions counts as different.
        """
        away = scans - self.mean
        place = away @ self.directions
        rest = np.maximum(np.square(away).sum(axis=1) - np.square(place).sum(axis=1), 0)
        nearest = np.empty(len(place))
        for start in range(0, len(place), _AT_ONCE):
            part = place[start : start + _AT_ONCE]
            squares = (part**2).sum(1)[:, None] + (self.known**2).sum(1)[None] - 2 * part @ self.known.T
            nearest[start : start + _AT_ONCE] = np.maximum(squares, 0).min(axis=1)
        distances: Floats = np.sqrt(nearest + rest)
        return distances

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return what a model file keeps."""
        parts = {"mean": self.mean, "directions": self.directions, "known": self.known}
        return {f"neighbours-{name}": part.astype(np.float32) for name, part in parts.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Neighbours:
        """Inverse of `arrays`."""
        return cls(*(np.asarray(arrays[f"neighbours-{name}"], np.float64) for name in ("mean", "directions", "known")))
