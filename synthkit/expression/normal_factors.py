"""Factors of values with enough signal for logarithms: bulk counts, log-expression, rates and microarrays.

Principal components of values that are centred by the effects of class, batch and covariates and scaled by gene. How
far a cell's coordinates are known follows from the noise that is left (Tipping and Bishop 1999).
"""

from __future__ import annotations

import numpy as np
from sklearn.utils.extmath import randomized_svd

from synthkit.expression.poisson_factors import Factors
from synthkit.random import RandomSource

_RIDGE = 1.0  # cells that an effect is drawn to the mean of all cells by
_MOST_DOUBT = 0.9  # of the variance of a coordinate that is taken for noise
_LEAST_OWN = 0.02  # share of a gene's variance that factors never explain


def design_effects(values: np.ndarray, design: np.ndarray, n_classes: int) -> np.ndarray:
    """Return effects ``[effects, genes]`` by ridge regression; those of classes include the mean.

    Parameters
    ----------
    values
        ``[cells, genes]``.
    design
        Indicators of class and batch, and covariates, ``[cells, effects]``.
    n_classes
        Number of the first effects, which are those of classes.
    """
    mean = values.mean(0)
    gram = design.T @ design + _RIDGE * np.eye(design.shape[1])
    effects = np.linalg.solve(gram, design.T @ (values - mean))
    effects[:n_classes] += mean
    result: np.ndarray = effects
    return result


def normal_factors(
    values: np.ndarray, design: np.ndarray, n_classes: int, factors: int, random: RandomSource
) -> tuple[Factors, np.ndarray, np.ndarray]:
    """Return factors, the scale of each gene and the standard deviation that factors leave, both ``[genes]``.

    Parameters
    ----------
    values
        ``[cells, genes]`` in logarithms, or intensities.
    design
        As for `design_effects`.
    n_classes
        Number of classes.
    factors
        Number of latent dimensions, below the number of cells.
    random
        Source of the randomised decomposition.
    """
    base = design_effects(values, design, n_classes)
    rest = values - design @ base
    scales = rest.std(0)
    scales = np.where(scales > 1e-8, scales, 0.0)  # a gene that does not vary in training cells does not vary
    rest = rest / np.where(scales > 0, scales, 1.0)
    n, genes = rest.shape
    left, singular, right = randomized_svd(rest, factors, random_state=random.integer("components"))
    variances = singular**2 / n
    noise = max((np.square(rest).sum() / n - variances.sum()) / max(genes - factors, 1), 1e-6)
    # loadings keep the whole variance of their direction: shrunk ones would weaken every correlation
    loadings = right.T * np.sqrt(variances)
    doubt = np.clip(noise / np.maximum(variances, 1e-12), 0, _MOST_DOUBT)
    means = left * np.sqrt(n * (1 - doubt))
    deviations = np.broadcast_to(np.sqrt(doubt), means.shape)
    explained = np.square(loadings).sum(1)
    own = np.sqrt(np.maximum(np.square(rest).mean(0) - explained, _LEAST_OWN))
    found = Factors(*(one.astype(np.float32) for one in (base, loadings, means, deviations)))
    return found, scales.astype(np.float32), own.astype(np.float32)
