"""Radiomic features: what grey values there are and how they lie beside each other, without any trained network.

First-order statistics, the grey-level co-occurrence matrix and the grey-level run-length matrix of each scan and of its
Laplacian of Gaussian, as the Image Biomarker Standardisation Initiative defines them, over the whole scan in 2-D or
3-D. All scans of a batch are counted at once.

References
----------
Zwanenburg et al. (2020), The Image Biomarker Standardization Initiative, Radiology 295, and its reference manual.
Haralick et al. (1973), Textural features for image classification. Galloway (1975), Texture analysis using gray level
run lengths.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Floats = npt.NDArray[np.float64]
Levels = npt.NDArray[np.int64]

LEVELS = 16
"""Grey levels that the window is divided into."""
LOG_SIGMAS = (1.0, 2.0)
"""Widths of the Laplacian of Gaussian in samples."""
FIRST_ORDER = (
    "mean",
    "variance",
    "skewness",
    "kurtosis",
    "minimum",
    "percentile 10",
    "median",
    "percentile 90",
    "maximum",
    "interquartile range",
    "mean absolute deviation",
    "energy",
    "entropy",
    "uniformity",
)
COOCCURRENCE = (
    "contrast",
    "dissimilarity",
    "inverse difference",
    "joint energy",
    "joint entropy",
    "joint maximum",
    "correlation",
    "cluster shade",
    "cluster prominence",
)
RUNS = (
    "short runs emphasis",
    "long runs emphasis",
    "low grey level run emphasis",
    "high grey level run emphasis",
    "grey level non-uniformity",
    "run length non-uniformity",
    "run percentage",
    "run length variance",
    "run entropy",
)
_TINY = 1e-12
_BATCH_SAMPLES = 1 << 21


def names() -> tuple[str, ...]:
    """Return the name of each feature, in the order of `radiomic_features`."""
    images = ("original", *(f"LoG {sigma:g}" for sigma in LOG_SIGMAS))
    kinds = (*FIRST_ORDER, *COOCCURRENCE, *RUNS)
    return tuple(f"{image}: {kind}" for image in images for kind in kinds)


def radiomic_features(images: npt.NDArray[np.floating], low: float, high: float) -> npt.NDArray[np.float32]:
    """Return the radiomic features of scans.

    Parameters
    ----------
    images
        Grey values, ``[n, rows, columns]`` or ``[n, slices, rows, columns]``.
    low, high
        The window that is divided into grey levels, in the unit of the values; values outside count as its ends. It is
        the same for all scans, so that brightness counts.

    Returns
    -------
    numpy.ndarray
        ``[n, F]``, in the order of `names`.
    """
    batch = max(1, _BATCH_SAMPLES // max(1, int(np.prod(images.shape[1:]))))
    parts = [_features(images[start : start + batch], low, high) for start in range(0, len(images), batch)]
    return np.concatenate(parts) if parts else np.empty((0, len(names())), dtype=np.float32)


def _features(images: npt.NDArray[np.floating], low: float, high: float) -> npt.NDArray[np.float32]:
    unit = (np.clip(np.asarray(images, dtype=np.float32), low, high) - low) / (high - low)
    found = []
    for sigma in (None, *LOG_SIGMAS):
        if sigma is None:
            values, levels = unit, quantised(unit, 0.0, 1.0)
        else:
            # Scale-normalised: a step of the whole window answers with about one half at any width.
            along = (0.0, *(sigma,) * (unit.ndim - 1))
            values = ndimage.gaussian_laplace(unit, along, mode="nearest") * sigma**2
            levels = quantised(values, -0.5, 0.5)
        found += [first_order(values, levels), cooccurrence_features(levels), run_features(levels)]
    return np.concatenate(found, axis=1).astype(np.float32)


def quantised(values: npt.NDArray[np.floating], low: float, high: float) -> Levels:
    """Return the grey level of each value, from 0 to `LEVELS` - 1."""
    scaled = (values - low) * (LEVELS / (high - low))
    levels: Levels = np.clip(np.floor(scaled), 0, LEVELS - 1).astype(np.int64)
    return levels


def directions(dimensions: int) -> list[tuple[int, ...]]:
    """Return one of each pair of opposite directions to a neighbour: 4 in two dimensions, 13 in three."""
    every = itertools.product((-1, 0, 1), repeat=dimensions)
    return [step for step in every if next((part for part in step if part), 0) > 0]


def first_order(values: npt.NDArray[np.floating], levels: Levels) -> Floats:
    """Return statistics of the values of each scan, ``[n, features]``, in the order of `FIRST_ORDER`.

    Parameters
    ----------
    values, levels
        Values and grey levels, ``[n, ...]``.
    """
    n = len(values)
    flat = values.reshape(n, -1).astype(np.float64)
    mean = flat.mean(axis=1)
    centred = flat - mean[:, None]
    variance = (centred**2).mean(axis=1)
    # A scan of one value has neither skewness nor kurtosis: 0 by convention.
    spread = np.where(variance > _TINY, variance, np.inf)
    ends = np.percentile(flat, (0, 10, 25, 50, 75, 90, 100), axis=1)
    shares = _counts(levels.reshape(n, -1), LEVELS) / flat.shape[1]
    return np.stack(
        [
            mean,
            variance,
            (centred**3).mean(axis=1) / spread**1.5,
            (centred**4).mean(axis=1) / spread**2,
            ends[0],
            ends[1],
            ends[3],
            ends[5],
            ends[6],
            ends[4] - ends[2],
            np.abs(centred).mean(axis=1),
            (flat**2).mean(axis=1),
            _entropy(shares),
            (shares**2).sum(axis=1),
        ],
        axis=1,
    )


def cooccurrence(levels: Levels, step: tuple[int, ...]) -> Floats:
    """Return how often two grey levels are neighbours in a direction or in its opposite, ``[n, levels, levels]``.

    Parameters
    ----------
    levels
        Grey levels, ``[n, rows, columns]`` or ``[n, slices, rows, columns]``.
    step
        The direction.
    """
    here = levels[(slice(None), *(slice(max(0, -part), -part if part > 0 else None) for part in step))]
    there = levels[(slice(None), *(slice(max(0, part), part if part < 0 else None) for part in step))]
    counts = _counts((here * LEVELS + there).reshape(len(levels), -1), LEVELS**2).reshape(-1, LEVELS, LEVELS)
    return counts + counts.transpose(0, 2, 1)


def cooccurrence_features(levels: Levels) -> Floats:
    """Return co-occurrence features averaged over the directions, ``[n, features]``, in the order of `COOCCURRENCE`."""
    features: Floats = np.mean([_of_matrix(cooccurrence(levels, step)) for step in directions(levels.ndim - 1)], axis=0)
    return features


def _of_matrix(counts: Floats) -> Floats:
    shares = counts / np.maximum(counts.sum(axis=(1, 2), keepdims=True), 1)
    i, j = np.meshgrid(np.arange(LEVELS, dtype=np.float64), np.arange(LEVELS, dtype=np.float64), indexing="ij")
    margin = shares.sum(axis=2)
    mean = margin @ np.arange(LEVELS)
    variance = margin @ np.arange(LEVELS) ** 2.0 - mean**2
    product = (shares * i * j).sum(axis=(1, 2)) - mean**2
    # Of a scan of one grey level, the levels of neighbours are equal: correlation 1 by convention.
    correlation = np.where(variance > _TINY, product / np.where(variance > _TINY, variance, 1), 1.0)
    sums = (i + j)[None] - 2 * mean[:, None, None]
    apart = np.abs(i - j)
    return np.stack(
        [
            (shares * apart**2).sum(axis=(1, 2)),
            (shares * apart).sum(axis=(1, 2)),
            (shares / (1 + apart)).sum(axis=(1, 2)),
            (shares**2).sum(axis=(1, 2)),
            _entropy(shares.reshape(len(shares), -1)),
            shares.max(axis=(1, 2)),
            correlation,
            (shares * sums**3).sum(axis=(1, 2)),
            (shares * sums**4).sum(axis=(1, 2)),
        ],
        axis=1,
    )


def run_lengths(levels: Levels, step: tuple[int, ...]) -> Floats:
    """Return how many runs of equal grey level there are, ``[n, levels, longest]``; entry r counts runs of r + 1.

    A run is a longest row of equal neighbours in the direction.

    Parameters
    ----------
    levels
        Grey levels, ``[n, rows, columns]`` or ``[n, slices, rows, columns]``.
    step
        The direction. Its first non-zero part is positive, as `directions` has them.
    """
    axis = next(place for place, part in enumerate(step) if part)
    turned = np.moveaxis(levels, axis + 1, 0)  # the walk goes along the first axis
    sideways = step[:axis] + step[axis + 1 :]
    n, length, longest = turned.shape[1], turned.shape[0], max(levels.shape[1:])
    counts = np.zeros(n * LEVELS * longest)
    scan = np.broadcast_to(np.arange(n).reshape(-1, *(1,) * len(sideways)), turned.shape[1:])
    ahead: Levels | None = None  # length of the run that begins at each place of the plane that was walked last
    for place in range(length - 1, -1, -1):
        plane = turned[place]
        run = np.ones_like(plane)
        if ahead is not None:
            here, there = _overlap(sideways)
            run[here] += np.where(plane[here] == turned[place + 1][there], ahead[there], 0)
        begins = np.ones(plane.shape, dtype=bool)
        if place:
            here, there = _overlap(sideways)
            begins[there] = plane[there] != turned[place - 1][here]
        keys = (scan[begins] * LEVELS + plane[begins]) * longest + run[begins] - 1
        counts += np.bincount(keys, minlength=len(counts))
        ahead = run
    return counts.reshape(n, LEVELS, longest)


def _overlap(sideways: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where places of a plane have a neighbour in the next plane, and where those neighbours are."""
    here = (slice(None), *(slice(max(0, -part), -part if part > 0 else None) for part in sideways))
    there = (slice(None), *(slice(max(0, part), part if part < 0 else None) for part in sideways))
    return here, there


def run_features(levels: Levels) -> Floats:
    """Return run-length features averaged over the directions, ``[n, features]``, in the order of `RUNS`."""
    samples = int(np.prod(levels.shape[1:]))
    features: Floats = np.mean(
        [_of_runs(run_lengths(levels, step), samples) for step in directions(levels.ndim - 1)], axis=0
    )
    return features


def _of_runs(counts: Floats, samples: int) -> Floats:
    total = counts.sum(axis=(1, 2))
    shares = counts / total[:, None, None]
    length = np.arange(1, counts.shape[2] + 1, dtype=np.float64)[None]
    level = np.arange(1, LEVELS + 1, dtype=np.float64)[None]
    by_level, by_length = shares.sum(axis=2), shares.sum(axis=1)
    mean = (by_length * length).sum(axis=1)
    return np.stack(
        [
            (by_length / length**2).sum(axis=1),
            (by_length * length**2).sum(axis=1),
            (by_level / level**2).sum(axis=1),
            (by_level * level**2).sum(axis=1),
            (by_level**2).sum(axis=1),
            (by_length**2).sum(axis=1),
            total / samples,
            (by_length * length**2).sum(axis=1) - mean**2,
            _entropy(shares.reshape(len(shares), -1)),
        ],
        axis=1,
    )


def _counts(codes: Levels, n_codes: int) -> Floats:
    """Return how often each code occurs in each row, ``[n, n_codes]``."""
    n = len(codes)
    keys = codes + n_codes * np.arange(n)[:, None]
    return np.bincount(keys.ravel(), minlength=n * n_codes).reshape(n, n_codes).astype(np.float64)


def _entropy(shares: Floats) -> Floats:
    """Return the entropy of each row in bits, ``[n]``."""
    entropy: Floats = -(shares * np.log2(np.where(shares > 0, shares, 1.0))).sum(axis=1)
    return entropy
