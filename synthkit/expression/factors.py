"""Low-rank parts of the covariance of genes, from sparse or dense values that are centred without being changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from synthkit.expression.normalise import CHUNK, Floats
from synthkit.io.expression_set import Values

_EXTRA = 10  # directions beyond those asked for, which make the random subspace exact enough (Halko 2011)
_ROUNDS = 5


def principal(values: Values, classes: np.ndarray, means: Floats, k: int, rng: np.random.Generator) -> Floats:
    """Return the first principal directions times their standard deviations, ``[columns, k]``.

    Randomised subspace iteration (Halko, Martinsson & Tropp 2011) on values from which the mean of their class is
    taken implicitly: nothing of the size of the values is made.

    Parameters
    ----------
    values
        ``[cells, columns]``, CSR or an array.
    classes
        Class of each cell ``[cells]``: a row of `means`.
    means
        What is taken off, ``[classes, columns]``.
    k
        Directions; fewer come back where there are fewer cells or columns.
    rng
        Source of the first subspace.
    """
    n, columns = values.shape
    k = min(k, n - 1, columns)
    if k < 1:
        return np.zeros((columns, 0))
    member = sparse.csr_matrix((np.ones(n), (classes, np.arange(n))), shape=(len(means), n))

    def forward(directions: Floats) -> Floats:
        product: Floats = _product(values, directions) - (means @ directions)[classes]
        return product

    def backward(scores: Floats) -> Floats:
        product: Floats = _transposed_product(values, scores) - means.T @ (member @ scores)
        return product

    basis = np.linalg.qr(rng.standard_normal((columns, min(k + _EXTRA, n, columns))))[0]
    for _ in range(_ROUNDS):
        basis = np.linalg.qr(backward(np.linalg.qr(forward(basis))[0]))[0]
    _, spread, turned = np.linalg.svd(forward(basis), full_matrices=False)
    loadings: Floats = basis @ (turned[:k].T * (spread[:k] / np.sqrt(max(n - len(means), 1))))
    return loadings


def _product(values: Values, right: Floats) -> Any:
    if sparse.issparse(values):
        return values @ right.astype(np.float32)
    return np.concatenate([values[at : at + CHUNK] @ right.astype(values.dtype) for at in range(0, len(values), CHUNK)])


def _transposed_product(values: Values, left: Floats) -> Any:
    if sparse.issparse(values):
        return values.T @ left.astype(np.float32)
    return values.T @ left.astype(values.dtype)


def mixed(own: Floats, pooled: Floats, share: float) -> Floats:
    """Return loadings whose covariance is a share of the class's own plus the rest of the pooled one."""
    return np.concatenate([np.sqrt(share) * own, np.sqrt(1 - share) * pooled], axis=1)


def draw_factors(loadings: Floats, unique: Floats, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``[n, columns]`` float32 of mean 0: factors times loadings, plus noise of the variances `unique`."""
    scores = rng.standard_normal((n, loadings.shape[1]), dtype=np.float32)
    noise = rng.standard_normal((n, len(loadings)), dtype=np.float32)
    drawn: np.ndarray = scores @ loadings.T.astype(np.float32) + noise * np.sqrt(unique).astype(np.float32)
    return drawn
