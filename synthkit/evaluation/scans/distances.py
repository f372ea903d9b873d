"""Distances of two sets of scans in the space of an extractor: KID, FID, precision, recall, density and coverage."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from synthkit.errors import InputError
from synthkit.evaluation.coverage import N_NEIGHBOURS, NAMES, point_scores
from synthkit.evaluation.intervals import N_GROUPS, NORMAL, Floats
from synthkit.evaluation.records import Score
from synthkit.random import RandomSource

Features = npt.NDArray[np.float32]
"""Features of scans, ``[n, F]``."""

MOST_SCANS = 5000
"""At most this many scans of either kind are compared by default: the cost is quadratic."""
_CHUNK = 1024
_DEGREE = 3
_FEWEST = 4


def kid(
    real: Features,
    synthetic: Features,
    *,
    groups: tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.int64] | None] = (None, None),
    most: int = MOST_SCANS,
    seed: int = 0,
) -> Score:
    """Return the kernel inception distance: the unbiased squared maximum mean discrepancy of a cubic kernel.

    It is 0 on average for two sets from the same source, whatever their sizes, and may be slightly negative; therefore
    it, not the Fréchet distance, is what generators are ranked by.

    Parameters
    ----------
    real, synthetic
        Features of scans, ``[n, F]`` and ``[m, F]``.
    groups
        Patient of each scan as a number, ``[n]`` and ``[m]``; None where every scan is a patient of its own. Scans of
        one patient are left out together in the jackknife.
    most
        At most this many scans of either kind, drawn at random.
    seed
        Seed of the draws and of the jackknife's groups.

    Returns
    -------
    Score
        The distance, with the interval of the jackknife over groups of scans of both kinds. Its `details` hold the
        standard error.

    Raises
    ------
    InputError
        Fewer than four scans of either kind, or features of different lengths.

    References
    ----------
    Bińkowski et al. (2018), Demystifying MMD GANs. Gretton et al. (2012), A kernel two-sample test, lemma 6.
    """
    _check(real, synthetic)
    random = RandomSource(seed)
    sides = []
    for name, points, own in (("real", real, groups[0]), ("synthetic", synthetic, groups[1])):
        rng = random.numpy(name)
        kept = np.sort(rng.permutation(len(points))[:most])
        patients = kept if own is None else np.asarray(own)[kept]
        sides.append((np.asarray(points[kept], dtype=np.float32), _folds(patients, rng)))
    (a, fold_a), (b, fold_b) = sides
    within_a, within_b = _block_sums(a, fold_a, a, fold_a), _block_sums(b, fold_b, b, fold_b)
    between = _block_sums(a, fold_a, b, fold_b)
    own_a, own_b = _diagonal(a, fold_a), _diagonal(b, fold_b)
    count_a, count_b = np.bincount(fold_a).astype(float), np.bincount(fold_b).astype(float)
    value = _discrepancy(within_a, own_a, count_a, within_b, own_b, count_b, between)
    variance = 0.0
    for side, n_folds in ((0, len(count_a)), (1, len(count_b))):
        left = np.array(
            [
                _discrepancy(
                    *_without(within_a, own_a, count_a, fold if side == 0 else None),
                    *_without(within_b, own_b, count_b, fold if side == 1 else None),
                    np.delete(between, fold, axis=side),
                )
                for fold in range(n_folds)
            ]
        )
        variance += (n_folds - 1) / n_folds * float(((left - left.mean()) ** 2).sum())
    error = math.sqrt(variance)
    return Score(
        value,
        value - NORMAL * error,
        value + NORMAL * error,
        n=len(b),
        details={"standard error": error, "real scans": len(a), "synthetic scans": len(b)},
    )


def fid(real: Features, synthetic: Features) -> Score:
    """Return the Fréchet distance of two normal distributions with the means and covariances of the features.

    It grows as scans get fewer: with n below the number of features it is far above 0 for two halves of the same
    source. Never read it without n and without that control.

    Parameters
    ----------
    real, synthetic
        Features of scans, ``[n, F]`` and ``[m, F]``.

    Returns
    -------
    Score
        The distance without an interval (it is biased; resampling says nothing about that); a note with both numbers
        of scans and of features.

    Raises
    ------
    InputError
        Fewer than four scans of either kind, or features of different lengths.

    References
    ----------
    Heusel et al. (2017), GANs trained by a two time-scale update rule. Chong and Forsyth (2020), Effectively unbiased
    FID and Inception score, on its bias.
    """
    _check(real, synthetic)
    (mean_a, cov_a), (mean_b, cov_b) = (_moments(points) for points in (real, synthetic))
    # Tr (A B)^(1/2) = Tr (A^(1/2) B A^(1/2))^(1/2), of a symmetric matrix: no complex rounding as in scipy's sqrtm.
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product = np.linalg.eigvalsh(root @ cov_b @ root)
    value = float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b))
    value -= 2 * float(np.sqrt(np.clip(product, 0, None)).sum())
    note = f"{len(real):,} real and {len(synthetic):,} synthetic scans, {real.shape[1]:,} features"
    details = {"real scans": len(real), "synthetic scans": len(synthetic), "features": int(real.shape[1])}
    return Score(max(0.0, value), n=len(synthetic), note=note, details=details)


def prdc(
    real: Features,
    synthetic: Features,
    *,
    n_neighbours: int = N_NEIGHBOURS,
    most: int = MOST_SCANS,
    seed: int = 0,
) -> dict[str, Score]:
    """Return precision, recall, density and coverage, each with its interval.

    Equally many scans of either kind are drawn, because coverage and recall depend on how many there are.

    Parameters
    ----------
    real, synthetic
        Features of scans, ``[n, F]`` and ``[m, F]``.
    n_neighbours
        Which neighbour sets the size of a ball.
    most
        At most this many scans of either kind.
    seed
        Seed of the draws.

    Raises
    ------
    InputError
        Fewer than four scans of either kind, or features of different lengths.

    References
    ----------
    Kynkäänniemi et al. (2019) for precision and recall; Naeem et al. (2020) for density and coverage.
    """
    _check(real, synthetic)
    n = min(len(real), len(synthetic), most)
    generator = RandomSource(seed).numpy("prdc")
    drawn = [
        np.ascontiguousarray(points[generator.permutation(len(points))[:n]], dtype=np.float32)
        for points in (real, synthetic)
    ]
    scores = point_scores(drawn[0], drawn[1], generator, n_neighbours=min(n_neighbours, n - 1))
    return {name: dataclasses.replace(scores[name], n=n) for name in NAMES}


def _check(real: Features, synthetic: Features) -> None:
    """Refuse features that cannot be compared."""
    if real.ndim != 2 or synthetic.ndim != 2 or real.shape[1] != synthetic.shape[1]:
        raise InputError(
            f"features have the shapes {real.shape} and {synthetic.shape}, expected [n, F] with the same F",
            remedy="Use one extractor for both.",
        )
    if min(len(real), len(synthetic)) < _FEWEST:
        raise InputError(
            f"there are {len(real)} real and {len(synthetic)} synthetic scans to compare, and {_FEWEST} of each are "
            "needed",
            remedy="Pass more scans.",
        )


def _folds(patients: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the jackknife group of each scan, ``[n]``: whole patients, in at most `N_GROUPS` groups."""
    _, places = np.unique(patients, return_inverse=True)
    n_patients = int(places.max()) + 1
    n_folds = max(1, min(N_GROUPS, n_patients // 2))
    folds: npt.NDArray[np.int64] = rng.permutation(np.arange(n_patients) % n_folds)[places]
    return folds


def _kernel(a: Features, b: Features) -> Floats:
    """Return the cubic kernel of every pair, ``[n, m]``."""
    kernel: Floats = (a @ b.T / np.float32(a.shape[1]) + np.float32(1)).astype(np.float64) ** _DEGREE
    return kernel


def _block_sums(a: Features, fold_a: npt.NDArray[np.int64], b: Features, fold_b: npt.NDArray[np.int64]) -> Floats:
    """Return the sum of the kernel over each pair of groups, ``[groups of a, groups of b]``, with bounded memory."""
    member_b = np.eye(int(fold_b.max()) + 1)[fold_b]
    sums = np.zeros((int(fold_a.max()) + 1, member_b.shape[1]))
    for start in range(0, len(a), _CHUNK):
        rows = slice(start, start + _CHUNK)
        np.add.at(sums, fold_a[rows], _kernel(a[rows], b) @ member_b)
    return sums


def _diagonal(points: Features, folds: npt.NDArray[np.int64]) -> Floats:
    """Return the sum of the kernel of each scan with itself by group, ``[groups]``."""
    squares = np.einsum("nf,nf->n", points, points, dtype=np.float64)
    sums: Floats = np.bincount(folds, weights=(squares / points.shape[1] + 1) ** _DEGREE).astype(np.float64)
    return sums


def _without(within: Floats, own: Floats, counts: Floats, fold: int | None) -> tuple[Floats, Floats, Floats]:
    """Return the sums of one kind without a group."""
    if fold is None:
        return within, own, counts
    return np.delete(np.delete(within, fold, axis=0), fold, axis=1), np.delete(own, fold), np.delete(counts, fold)


def _discrepancy(
    within_a: Floats, own_a: Floats, count_a: Floats, within_b: Floats, own_b: Floats, count_b: Floats, between: Floats
) -> float:
    """Return the unbiased squared discrepancy from the sums of the kernel."""
    n, m = float(count_a.sum()), float(count_b.sum())
    if min(n, m) < 2:
        return math.nan
    first = (within_a.sum() - own_a.sum()) / (n * (n - 1))
    second = (within_b.sum() - own_b.sum()) / (m * (m - 1))
    return float(first + second - 2 * between.sum() / (n * m))


def _moments(points: Features) -> tuple[Floats, Floats]:
    """Return mean ``[F]`` and covariance ``[F, F]``."""
    exact = np.asarray(points, dtype=np.float64)
    return exact.mean(axis=0), np.cov(exact, rowvar=False).reshape(exact.shape[1], exact.shape[1])
