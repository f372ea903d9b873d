"""How alike two scans of the same thing are: peak signal-to-noise ratio and structural similarity, scan by scan.

References
----------
Wang, Bovik, Sheikh and Simoncelli (2004), Image quality assessment: from error visibility to structural similarity,
IEEE Transactions on Image Processing 13.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from synthkit.errors import InputError

Floats = npt.NDArray[np.float64]
_SIGMA, _REACH = 1.5, 5  # the window of the paper: a Gaussian over 11 samples
_K1, _K2 = 0.01, 0.03
_NO_ERROR = 1e-20  # share of the squared range; scans that are equal have 200 dB


def psnr(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic], span: float) -> Floats:
    """Return the peak signal-to-noise ratio of each pair in dB, ``[n]``.

    Parameters
    ----------
    one, other
        ``[n, ...]`` of the same shape.
    span
        Largest possible value minus the smallest, in the same units.
    """
    first, second = _pair(one, other)
    error = np.square(first - second).reshape(len(first), -1).mean(axis=1) if len(first) else np.zeros(0)
    values: Floats = -10 * np.log10(np.maximum(error / span**2, _NO_ERROR))
    return values


def ssim(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic], span: float) -> Floats:
    """Return the structural similarity of each pair, ``[n]``: 1 where they are equal.

    Parameters
    ----------
    one, other
        ``[n, channels, *size]`` of the same shape, in 2-D or 3-D.
    span
        As in `psnr`.
    """
    first, second = _pair(one, other)
    axes = tuple(range(2, first.ndim))
    sigma = [_SIGMA if axis in axes else 0.0 for axis in range(first.ndim)]

    def smooth(values: Floats) -> Floats:
        smoothed: Floats = gaussian_filter(values, sigma, truncate=_REACH / _SIGMA, mode="reflect")
        return smoothed

    mean1, mean2 = smooth(first), smooth(second)
    variance1 = smooth(first * first) - mean1 * mean1
    variance2 = smooth(second * second) - mean2 * mean2
    shared = smooth(first * second) - mean1 * mean2
    c1, c2 = (_K1 * span) ** 2, (_K2 * span) ** 2
    above = (2 * mean1 * mean2 + c1) * (2 * shared + c2)
    below = (mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2)
    values: Floats = (above / below).reshape(len(first), -1).mean(axis=1) if len(first) else np.zeros(0)
    return values


def _pair(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> tuple[Floats, Floats]:
    if one.shape != other.shape:
        raise InputError(
            f"scans of the shapes {one.shape} and {other.shape} were to be compared, expected one shape",
            remedy="Give pairs of scans of the same thing.",
        )
    return np.asarray(one, np.float64), np.asarray(other, np.float64)
