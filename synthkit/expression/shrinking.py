"""Noisy numbers made better without looking at anything but the numbers and the size of their noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROUNDS = 60
_WIDEST = 12  # doublings of the prior's variance above a quarter of the noise's


def shrunk(values: Floats, error: float) -> Floats:
    """Pull noisy numbers towards zero as far as all of them together say that they are noise.

    The prior is a mixture of normal distributions around zero, one of them without any spread, whose weights are fitted
    to the numbers themselves; the result is the posterior mean (Stephens, 2017, False discovery rates: a new deal).
    Numbers that stand out stay almost as they are.

    Parameters
    ----------
    values
        Of any shape, each with Gaussian noise.
    error
        Standard deviation of the noise, in the units of the values.

    Returns
    -------
    numpy.ndarray
        Of the same shape.

    Privacy
    -------
    Post-processing: it reads noisy numbers only.
    """
    flat = np.asarray(values, np.float64).ravel()
    if error <= 0 or not flat.size:
        return np.array(values, np.float64)
    noise = error**2
    spreads = np.concatenate([[0.0], noise * 2.0 ** np.arange(-2, _WIDEST)])
    variances = spreads + noise
    logs = -0.5 * (flat[:, None] ** 2 / variances + np.log(variances))
    likelihood = np.exp(logs - logs.max(1, keepdims=True))
    weights = np.full(len(spreads), 1 / len(spreads))
    for _ in range(_ROUNDS):
        shares = likelihood * weights
        shares /= shares.sum(1, keepdims=True)
        # a tenth of a number for "nothing is there", so that few numbers do not make a signal of their noise
        weights = shares.sum(0) + np.eye(len(spreads))[0] * 0.1
        weights /= weights.sum()
    shares = likelihood * weights
    shares /= shares.sum(1, keepdims=True)
    kept: Floats = (flat * (shares @ (spreads / variances))).reshape(np.shape(values))
    return kept


def repaired_covariance(noisy: Floats, error: float, floor: float = 0.0) -> Floats:
    """Return a covariance that can be drawn from, out of one with symmetric Gaussian noise.

    It is pulled towards its own diagonal as far as the noise explains what is beside the diagonal (as Ledoit and
    Wolf, 2004, but with a noise that is known), and eigenvalues below the floor are raised to it.

    Parameters
    ----------
    noisy
        ``[k, k]``, symmetric.
    error
        Standard deviation of the noise beside the diagonal.
    floor
        Smallest eigenvalue.

    Returns
    -------
    numpy.ndarray
        ``[k, k]``, symmetric, no eigenvalue below the floor.

    Privacy
    -------
    Post-processing: it reads noisy numbers only.
    """
    k = len(noisy)
    diagonal = np.diag(np.diag(noisy))
    beside = noisy - diagonal
    energy = float((beside**2).sum())
    share = 1.0 if energy <= 0 else min(1.0, k * (k - 1) * error**2 / energy)
    mixed = diagonal + (1 - share) * beside
    values, vectors = np.linalg.eigh((mixed + mixed.T) / 2)
    repaired: Floats = (vectors * values.clip(min=floor)) @ vectors.T
    return (repaired + repaired.T) / 2
