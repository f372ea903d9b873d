"""Held-out scans as sharp, or as noisy, as the synthetic ones: else a blurred release would look like copies.

A smooth scan correlates with more scans than a sharp one, whoever made it. So the held-out scans that a release is
compared with get its power spectrum first: each band of spatial frequencies is scaled to the mean power that it has in
the synthetic scans.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]

# Bands of frequencies: one per whole number of periods, at most so many.
_MOST_BANDS = 64
# A band is scaled by no more than this: where the synthetic scans have hardly any power, or hundreds of times more, the
# held-out ones need not follow all the way.
_MOST_GAIN = 30.0
_BLOCK = 64


def band_power(images: Images) -> Floats:
    """Return the mean power of scans in each band of spatial frequencies, shape [bands].

    Parameters
    ----------
    images
        ``[n, channels, (slices,) rows, columns]``, at least one.

    Notes
    -----
    The power of a scan is divided by that of all its bands but the first (its brightness): what counts is the shape of
    the spectrum, as for a correlation.
    """
    bands, weights = _bands(images.shape[2:])
    count = int(bands.max()) + 1
    total = np.zeros(count)
    for start in range(0, len(images), _BLOCK):
        power = np.abs(_spectrum(images[start : start + _BLOCK])) ** 2
        rows = power.sum(axis=1).reshape(len(power), -1) * weights
        summed = np.stack([np.bincount(bands, weights=row, minlength=count) for row in rows])
        whole = summed[:, 1:].sum(axis=1, keepdims=True)
        total += (summed / np.where(whole > 0, whole, 1.0)).sum(axis=0)
    return total / len(images)


def as_sharp_as(images: Images, synthetic: Images) -> npt.NDArray[np.float32]:
    """Return scans with the power spectrum that synthetic ones have on average.

    Parameters
    ----------
    images
        What is changed, ``[n, channels, (slices,) rows, columns]``.
    synthetic
        What they are to be like, of the same size.
    """
    own, wanted = band_power(images), band_power(synthetic)
    tiny = np.finfo(np.float64).tiny
    gain = np.clip(np.sqrt(wanted / np.maximum(own, tiny)), 1 / _MOST_GAIN, _MOST_GAIN)
    gain[0] = 1.0
    bands, _ = _bands(images.shape[2:])
    size = images.shape[2:]
    filter_ = gain[bands].reshape(*size[:-1], size[-1] // 2 + 1)
    axes = tuple(range(2, images.ndim))
    changed = np.empty(images.shape, dtype=np.float32)
    for start in range(0, len(images), _BLOCK):
        spectrum = _spectrum(images[start : start + _BLOCK]) * filter_
        changed[start : start + _BLOCK] = np.fft.irfftn(spectrum, s=size, axes=axes)
    return changed


def _spectrum(images: Images) -> npt.NDArray[np.complex128]:
    return np.fft.rfftn(np.asarray(images, dtype=np.float64), axes=tuple(range(2, images.ndim)))


def _bands(size: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the band of each coefficient of a real transform, and how often it counts, both flat."""
    shortest = min(size)
    axes = [np.fft.fftfreq(length) * shortest for length in size[:-1]]
    last = np.arange(size[-1] // 2 + 1) / size[-1] * shortest
    grids = np.meshgrid(*axes, last, indexing="ij")
    radius = np.sqrt(sum(grid**2 for grid in grids))
    bands = np.minimum(np.rint(radius).astype(np.int64), min(_MOST_BANDS, shortest // 2 + 1))
    # only the mean is in the first band: what varies slowly is not brightness
    bands = np.where(radius > 0, np.maximum(bands, 1), 0)
    twice = np.full(last.shape, 2.0)
    twice[0] = 1.0
    if size[-1] % 2 == 0:
        twice[-1] = 1.0
    weights = np.broadcast_to(twice, bands.shape)
    return bands.ravel(), np.ascontiguousarray(weights).ravel()
