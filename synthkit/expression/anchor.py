"""The anchor of the game: mean and covariance of the latent coordinates of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_FLOOR = 1e-4  # variance that every direction keeps


@dataclass(frozen=True, eq=False)
class Anchor:
    """Moments of each class, by which its coordinates are whitened.

    Attributes
    ----------
    means
        ``[classes, dimensions]``.
    roots
        Lower triangular roots of the covariances, ``[classes, dimensions, dimensions]``.
    """

    means: np.ndarray
    roots: np.ndarray

    @classmethod
    def of(cls, means: np.ndarray, deviations: np.ndarray, labels: np.ndarray, n_classes: int) -> Anchor:
        """Estimate the moments of cells whose coordinates are known with an error.

        The covariance of a class is drawn towards that of all classes by twice as many cells as there are dimensions.

        Parameters
        ----------
        means, deviations
            Posterior mean and standard deviation of each cell's coordinates, ``[cells, dimensions]``.
        labels
            Class of each cell.
        n_classes
            Number of classes; each has a cell at least.
        """
        size = means.shape[1]
        centres = np.zeros((n_classes, size))
        scatter = np.zeros((n_classes, size, size))
        counts = np.bincount(labels, minlength=n_classes)
        for label in range(n_classes):
            own = labels == label
            centres[label] = means[own].mean(0)
            rest = means[own] - centres[label]
            scatter[label] = rest.T @ rest + np.diag(np.square(deviations[own]).sum(0))
        pooled = scatter.sum(0) / max(len(means) - n_classes, 1)
        roots = np.zeros_like(scatter)
        for label in range(n_classes):
            share = counts[label] / (counts[label] + 2 * size)
            covariance = share * scatter[label] / max(counts[label] - 1, 1) + (1 - share) * pooled
            roots[label] = np.linalg.cholesky(covariance + _FLOOR * np.eye(size))
        return cls(centres, roots)

    def coloured(self, whitened: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return coordinates ``[n, dimensions]`` for whitened ones."""
        result: np.ndarray = self.means[labels] + np.einsum("nij,nj->ni", self.roots[labels], whitened)
        return result
