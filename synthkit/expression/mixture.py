"""A mixture of normals for the coordinates of one class: as many parts as cells set aside bear out.

The cells of one label are seldom one cloud: there are subtypes, states and poor cells. Parts share most of their
covariance, so that few cells suffice for each.

References
----------
Fraley and Raftery 2007, Bayesian regularization for normal mixture estimation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from synthkit.random import RandomSource

_SIZES = (1, 2, 3, 4, 6, 8, 12)
_CELLS_PER_PART = 25
_ROUNDS = 40
_DRAWS, _JUDGED_BY = 3, 5  # of each cell's posterior: for fitting, for the score
_ASIDE = 5  # one of so many cells is set aside
_FLOOR = 1e-3
_PRIOR = 4.0  # cells for each dimension that the common covariance counts as


@dataclass(frozen=True, eq=False)
class Mixture:
    """Parts of a mixture.

    Attributes
    ----------
    weights
        ``[parts]``, of sum 1.
    means
        ``[parts, dimensions]``.
    roots
        Lower triangular roots of the covariances, ``[parts, dimensions, dimensions]``.
    """

    weights: np.ndarray
    means: np.ndarray
    roots: np.ndarray

    def densities(self, values: np.ndarray) -> np.ndarray:
        """Return log of weight times density of each part, ``[n, parts]``, for values ``[n, dimensions]``."""
        result = np.empty((len(values), len(self.weights)))
        size = values.shape[1]
        for at, (mean, root) in enumerate(zip(self.means, self.roots, strict=True)):
            white = solve_triangular(root, (values - mean).T, lower=True)
            volume = np.log(np.diag(root)).sum() + 0.5 * size * np.log(2 * np.pi)
            result[:, at] = np.log(self.weights[at]) - 0.5 * np.square(white).sum(0) - volume
        return result

    def score(self, values: np.ndarray) -> float:
        """Mean log-density of values ``[n, dimensions]``."""
        return float(logsumexp(self.densities(values), axis=1).mean())


def fit_mixture(
    means: np.ndarray, errors: np.ndarray, random: RandomSource, most: int = _SIZES[-1]
) -> tuple[Mixture, float]:
    """Fit the mixture of a class; return it with what parts gain over one normal, in nats for each cell set aside.

    Parameters
    ----------
    means
        Whitened coordinates of the cells, ``[n, dimensions]``.
    errors
        Roots of their posterior covariances, ``[n, dimensions, dimensions]``: cells are drawn anew, so that no part
        can shrink to one cell.
    random
        Source of random numbers.
    most
        Parts at most.
    """
    rng = random.numpy("draws")

    def drawn(rows: np.ndarray, times: int) -> np.ndarray:
        rows = np.tile(rows, times)
        noise = rng.standard_normal((len(rows), means.shape[1]))
        result: np.ndarray = means[rows] + np.einsum("nij,nj->ni", errors[rows], noise)
        return result

    n = len(means)
    order = rng.permutation(n)
    aside, rest = order[: n // _ASIDE], order[n // _ASIDE :]
    sizes = [size for size in _SIZES if size == 1 or (size <= most and size * _CELLS_PER_PART <= len(rest))]
    one = Mixture(np.ones(1), np.zeros((1, means.shape[1])), np.eye(means.shape[1])[None])
    if len(sizes) == 1:
        return one, 0.0
    learned, judged = drawn(rest, _DRAWS), drawn(aside, _JUDGED_BY)
    scores = [_fitted(learned, size, _DRAWS, rng).score(judged) for size in sizes]
    best = int(np.argmax(scores))
    return (one if best == 0 else _fitted(drawn(order, _DRAWS), sizes[best], _DRAWS, rng)), scores[best] - scores[0]


def _fitted(values: np.ndarray, parts: int, times: int, rng: np.random.Generator) -> Mixture:
    """Fit by expectation and maximisation; `times` values stand for one cell."""
    n, size = values.shape
    mixture = Mixture(
        np.full(parts, 1 / parts), _spread_out(values, parts, rng), np.repeat(np.eye(size)[None] * 0.9, parts, axis=0)
    )
    for _ in range(_ROUNDS):
        logs = mixture.densities(values)
        shares = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
        counts = shares.sum(0) + 1e-9
        centres = (shares.T @ values) / counts[:, None]
        scatters = np.empty((parts, size, size))
        for at in range(parts):
            rest = values - centres[at]
            scatters[at] = (shares[:, at, None] * rest).T @ rest
        common = scatters.sum(0) / n
        prior = _PRIOR * size * times
        covariances = (scatters + prior * common) / (counts[:, None, None] + prior)
        roots = np.linalg.cholesky(covariances + _FLOOR * np.eye(size))
        mixture = Mixture(counts / counts.sum(), centres, roots)
    return mixture


def _spread_out(values: np.ndarray, parts: int, rng: np.random.Generator) -> np.ndarray:
    """Choose starting means far apart (k-means++; Arthur and Vassilvitskii 2007)."""
    chosen = [values[rng.integers(len(values))]]
    nearest = np.square(values - chosen[0]).sum(1)
    for _ in range(parts - 1):
        chosen.append(values[rng.choice(len(values), p=nearest / nearest.sum())])
        nearest = np.minimum(nearest, np.square(values - chosen[-1]).sum(1))
    return np.array(chosen)
