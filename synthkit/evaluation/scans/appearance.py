"""What scans look like without any extractor: intensities in real units, radial power spectrum, likeness in a class."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from synthkit.evaluation.intervals import NORMAL, Floats, groups_of, jackknife_interval
from synthkit.evaluation.records import Score
from synthkit.random import RandomSource

BINS = 2048
"""Bins of the histogram that distances of intensities are computed from."""
SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
# Weights of the five scales of Wang et al. (2003), the finest first.
SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_K1, _K2 = 0.01, 0.03
_PAIRS = 250
_BATCH_SAMPLES = 1 << 21
_BLUR = 1.0


@dataclass(frozen=True)
class Histogram:
    """How often values occur in each of some scans.

    Attributes
    ----------
    edges
        Edges of the bins in real units, ``[bins + 1]``.
    shares
        Share of the values of each scan in each bin, ``[n, bins]``.
    """

    edges: Floats
    shares: npt.NDArray[np.float32]

    def mean(self) -> Floats:
        """Return the share of all values in each bin, ``[bins]``."""
        mean: Floats = self.shares.mean(axis=0, dtype=np.float64)
        return mean


def edges_of(*sets: npt.NDArray[Any]) -> Floats:
    """Return edges of bins from the smallest to the largest value of several sets.

    Whole numbers of a small range get one bin each, so that nothing is lost.
    """
    low, high = min(float(images.min()) for images in sets), max(float(images.max()) for images in sets)
    whole = all(np.issubdtype(images.dtype, np.integer) for images in sets)
    if whole and high - low < BINS:
        whole_numbers: Floats = np.arange(low - 0.5, high + 1.0, dtype=np.float64)
        return whole_numbers
    span = high - low if high > low else 1.0
    edges: Floats = np.linspace(low, low + span, BINS + 1)
    return edges


def histogram(images: npt.NDArray[Any], edges: Floats) -> Histogram:
    """Return the histogram of each scan; the edges are evenly spaced and hold every value.

    Parameters
    ----------
    images
        ``[n, ...]`` in real units.
    edges
        From `edges_of`.
    """
    bins = len(edges) - 1
    scale = bins / (edges[-1] - edges[0])
    shares = np.empty((len(images), bins), dtype=np.float32)
    for place, image in enumerate(images):
        codes = ((np.asarray(image, dtype=np.float64).ravel() - edges[0]) * scale).astype(np.int64)
        shares[place] = np.bincount(np.clip(codes, 0, bins - 1), minlength=bins) / codes.size
    return Histogram(edges, shares)


def intensity_scores(real: Histogram, synthetic: Histogram, *, units: str = "", seed: int = 0) -> dict[str, Score]:
    """Return how far the distributions of values lie apart.

    Parameters
    ----------
    real, synthetic
        Histograms over the same bins.
    units
        Unit of the values, for the note.
    seed
        Seed of the groups that the intervals rest on.

    Returns
    -------
    dict of Score
        "intensity_ks", the largest gap of the two distribution functions (Kolmogorov and Smirnov's statistic), and
        "intensity_shift", the area between them in real units (Wasserstein's distance: how far a value has to be moved
        on average).
    """
    width = float(real.edges[1] - real.edges[0])

    def largest(a: Floats, b: Floats) -> float:
        return float(np.abs(np.cumsum(a - b)).max())

    def area(a: Floats, b: Floats) -> float:
        return float(np.abs(np.cumsum(a - b)).sum() * width)

    scores = {}
    for name, gap in (("intensity_ks", largest), ("intensity_shift", area)):
        value = gap(real.mean(), synthetic.mean())
        low, high = two_sample_interval(value, real.shares, synthetic.shares, gap, seed)
        note = f"in {units or 'units of the scans'}" if name == "intensity_shift" else ""
        scores[name] = Score(value, max(0.0, low), high, n=len(synthetic.shares), note=note)
    return scores


def two_sample_interval(
    value: float, first: npt.NDArray[Any], second: npt.NDArray[Any], gap: Any, seed: int
) -> tuple[float, float]:
    """Return the interval of a gap of the means of two sets of rows, by the jackknife over groups of rows of either.

    Parameters
    ----------
    value
        The gap on all rows.
    first, second
        ``[n, F]`` and ``[m, F]``.
    gap
        Function of the two means ``[F]``.
    seed
        Seed of the groups.
    """
    random = RandomSource(seed)
    variance = 0.0
    means = [rows.mean(axis=0, dtype=np.float64) for rows in (first, second)]
    for place, rows in enumerate((first, second)):
        if len(rows) < 4:
            return math.nan, math.nan
        groups = groups_of(len(rows), random.numpy(f"groups {place}"))
        n_groups = int(groups.max()) + 1
        sums = np.zeros((n_groups, rows.shape[1]))
        np.add.at(sums, groups, rows)
        counts = np.bincount(groups)[:, None]
        without = (sums.sum(axis=0) - sums) / (len(rows) - counts)
        values = np.array([gap(*((mean, means[1]) if place == 0 else (means[0], mean))) for mean in without])
        low, high = jackknife_interval(value, values)
        variance += ((high - low) / 2) ** 2
    return value - math.sqrt(variance), value + math.sqrt(variance)


def radial_power(images: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Return the power spectrum of each scan, averaged over directions.

    The mean is removed and the borders are faded with Hann's window first, so that opposite borders that differ do not
    look like high frequencies. Several channels count as their mean.

    Parameters
    ----------
    images
        ``[n, channels, *size]``, two or three axes.

    Returns
    -------
    frequencies, power
        Middles of the bins in cycles per sample, up to one half, ``[bins]``; power ``[n, bins]``.
    """
    size = images.shape[2:]
    axes = tuple(range(1, 1 + len(size)))
    window = np.ones(size)
    for axis, length in enumerate(size):
        fade = np.hanning(length + 2)[1:-1]
        window *= fade.reshape([length if place == axis else 1 for place in range(len(size))])
    radius = np.sqrt(sum(part**2 for part in np.meshgrid(*(np.fft.fftfreq(length) for length in size), indexing="ij")))
    bins = max(2, min(size) // 2)
    # What lies on the edge of a ring, up to rounding, belongs to the outer one.
    place = np.floor(radius / 0.5 * bins + 1e-9).astype(np.int64)
    inside = place.ravel() < bins
    counts = np.bincount(place.ravel()[inside], minlength=bins)
    power = np.empty((len(images), bins))
    batch = max(1, _BATCH_SAMPLES // int(np.prod(size)))
    for start in range(0, len(images), batch):
        part = np.asarray(images[start : start + batch], dtype=np.float64).mean(axis=1)
        part = (part - part.mean(axis=axes, keepdims=True)) * window
        squares = (np.abs(np.fft.fftn(part, axes=axes)) ** 2).reshape(len(part), -1) / (window**2).sum()
        keys = place.ravel()[inside][None] + bins * np.arange(len(part))[:, None]
        sums = np.bincount(keys.ravel(), weights=squares[:, inside].ravel(), minlength=bins * len(part))
        power[start : start + len(part)] = sums.reshape(len(part), bins) / np.maximum(counts, 1)
    return (np.arange(bins) + 0.5) * 0.5 / bins, power


def decibels(power: Floats) -> Floats:
    """Return the mean power of scans, ``[bins]``, in decibels."""
    mean = power.mean(axis=0, dtype=np.float64) if power.ndim == 2 else power
    return 10 * np.log10(np.maximum(mean, 1e-12))


def spectrum_score(real: Floats, synthetic: Floats, *, seed: int = 0) -> Score:
    """Return the mean absolute gap of two radial power spectra in decibels.

    Parameters
    ----------
    real, synthetic
        Power of each scan, ``[n, bins]`` and ``[m, bins]``, from `radial_power`.
    seed
        Seed of the groups that the interval rests on.

    References
    ----------
    Durall et al. (2020), Watch your up-convolution: generators fail at high frequencies.
    """

    def gap(a: Floats, b: Floats) -> float:
        return float(np.abs(decibels(a) - decibels(b)).mean())

    value = gap(real.mean(axis=0), synthetic.mean(axis=0))
    low, high = two_sample_interval(value, real, synthetic, gap, seed)
    upper = slice(real.shape[1] // 2, None)
    high_part = float((decibels(synthetic)[upper] - decibels(real)[upper]).mean())
    details = {"upper half of the frequencies, synthetic less real (dB)": high_part}
    return Score(value, max(0.0, low), high, n=len(synthetic), note="in dB", details=details)


def ms_ssim(first: npt.NDArray[Any], second: npt.NDArray[Any], span: float) -> Floats:
    """Return the multi-scale structural similarity of pairs of scans, in 2-D or 3-D.

    Parameters
    ----------
    first, second
        ``[n, channels, *size]``; channels count as their mean.
    span
        Distance of the largest from the smallest possible value.

    Returns
    -------
    numpy.ndarray
        One for each pair, ``[n]``; 1 for equal scans. There are five scales, or as many as leave eleven samples along
        the shortest axis, at least one, with their weights brought to 1.

    References
    ----------
    Wang, Simoncelli and Bovik (2003), Multi-scale structural similarity for image quality assessment.
    """
    n, size = len(first), first.shape[2:]
    scales = 1
    while scales < len(SSIM_WEIGHTS) and min(size) // 2**scales >= 2 * SSIM_RADIUS + 1:
        scales += 1
    weights = np.array(SSIM_WEIGHTS[:scales])
    weights /= weights.sum()
    found = np.empty(n)
    batch = max(1, _BATCH_SAMPLES // (4 * int(np.prod(size))))
    for start in range(0, n, batch):
        a, b = (np.asarray(part[start : start + batch], dtype=np.float64).mean(axis=1) for part in (first, second))
        total = np.ones(len(a))
        for scale, weight in enumerate(weights):
            structure, luminance = _similarity(a, b, span)
            last = scale == scales - 1
            # A negative mean structure has no real power: it counts as no likeness at all.
            total *= np.maximum(structure * luminance if last else structure, 0) ** weight
            if not last:
                a, b = _halved(a), _halved(b)
        found[start : start + len(a)] = total
    return found


def _similarity(a: Floats, b: Floats, span: float) -> tuple[Floats, Floats]:
    """Return the mean contrast-structure term and the mean luminance term of pairs, each ``[n]``.

    At the last scale the full index is the product; its mean is approximated by the product of the means, as in the
    original definition.
    """
    c1, c2 = (_K1 * span) ** 2, (_K2 * span) ** 2
    mean_a, mean_b = _smooth(a), _smooth(b)
    var_a, var_b = _smooth(a * a) - mean_a**2, _smooth(b * b) - mean_b**2
    both = _smooth(a * b) - mean_a * mean_b
    axes = tuple(range(1, a.ndim))
    structure = ((2 * both + c2) / (var_a + var_b + c2)).mean(axis=axes)
    luminance = ((2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)).mean(axis=axes)
    return structure, luminance


def _smooth(values: Floats) -> Floats:
    along = (0.0, *(SSIM_SIGMA,) * (values.ndim - 1))
    smooth: Floats = ndimage.gaussian_filter(values, along, mode="nearest", truncate=SSIM_RADIUS / SSIM_SIGMA)
    return smooth


def _halved(values: Floats) -> Floats:
    """Return scans of half the size: means of neighbouring samples, an odd last one left out."""
    for axis in range(1, values.ndim):
        length = values.shape[axis] // 2 * 2
        even = np.take(values, np.arange(0, length, 2), axis=axis)
        values = (even + np.take(values, np.arange(1, length, 2), axis=axis)) / 2
    return values


def likeness(images: npt.NDArray[Any], span: float, rng: np.random.Generator, *, pairs: int = _PAIRS) -> Floats:
    """Return MS-SSIM of pairs of different scans drawn at random, no scan in two pairs, ``[pairs]``."""
    order = rng.permutation(len(images))
    n = min(pairs, len(images) // 2)
    return ms_ssim(images[order[:n]], images[order[n : 2 * n]], span)


def diversity_score(real: dict[str, Floats], synthetic: dict[str, Floats]) -> Score:
    """Return how far the likeness of scans within a class differs from that of real scans, averaged over the classes.

    Parameters
    ----------
    real, synthetic
        For each class, MS-SSIM of pairs (see `likeness`).

    Returns
    -------
    Score
        Mean absolute difference of the mean likenesses. Its details hold, for each class, the likeness of real and
        synthetic pairs; synthetic ones that are more alike point to collapse, less alike ones to noise.
    """
    rows: dict[str, dict[str, float]] = {}
    gaps, variances, n = [], [], 0
    for name, pairs in synthetic.items():
        if name not in real or min(len(pairs), len(real[name])) < 2:
            continue
        means = [float(values.mean()) for values in (real[name], pairs)]
        errors = [float(values.std(ddof=1)) ** 2 / len(values) for values in (real[name], pairs)]
        half = NORMAL * math.sqrt(sum(errors))
        gap = means[1] - means[0]
        rows[name] = {"real": means[0], "synthetic": means[1], "difference": gap, "low": gap - half, "high": gap + half}
        gaps.append(abs(gap))
        variances.append(sum(errors))
        n += 2 * len(pairs)
    if not gaps:
        return Score(math.nan, note="needs four scans of a class of either kind")
    value, half = float(np.mean(gaps)), NORMAL * math.sqrt(sum(variances)) / len(gaps)
    return Score(value, max(0.0, value - half), value + half, n=n, details={"classes": rows})


def blurred(images: npt.NDArray[Any], sigma: float = _BLUR) -> npt.NDArray[np.float32]:
    """Return scans ``[n, channels, *size]`` blurred with a Gaussian, in samples: the floor of the scores."""
    along = (0.0, 0.0, *(sigma,) * (images.ndim - 2))
    made = np.empty(images.shape, dtype=np.float32)
    batch = max(1, _BATCH_SAMPLES // int(np.prod(images.shape[1:])))
    for start in range(0, len(images), batch):
        part = np.asarray(images[start : start + batch], dtype=np.float32)
        made[start : start + len(part)] = ndimage.gaussian_filter(part, along, mode="nearest")
    return made


def with_controls(score: Score, ceiling: Score | None, floor: Score | None) -> Score:
    """Return a score with the values of its controls, NaN where there is none."""
    return dataclasses.replace(
        score,
        ceiling=math.nan if ceiling is None else ceiling.value,
        floor=math.nan if floor is None else floor.value,
    )
