"""The anchor of the game: mean and covariance of the latent coordinates of each class, and the parts inside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synthkit.expression.mixture import Mixture, fit_mixture
from synthkit.random import RandomSource

_FLOOR = 1e-4  # variance that every direction keeps


@dataclass(frozen=True, eq=False)
class Anchor:
    """Moments of each class, by which its coordinates are whitened, and a mixture of normals for what is whitened.

    Attributes
    ----------
    means
        ``[classes, dimensions]``.
    roots
        Lower triangular roots of the covariances, ``[classes, dimensions, dimensions]``.
    weights, part_means, part_roots
        Parts of each class in whitened coordinates, ``[classes, parts]``, ``[classes, parts, dimensions]`` and
        ``[classes, parts, dimensions, dimensions]``; parts that a class lacks have the weight 0.
    """

    means: np.ndarray
    roots: np.ndarray
    weights: np.ndarray
    part_means: np.ndarray
    part_roots: np.ndarray

    @classmethod
    def of(cls, means: np.ndarray, deviations: np.ndarray, labels: np.ndarray, n_classes: int) -> Anchor:
        """Estimate the moments of cells whose coordinates are known with an error; every class is one part.

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
        one = np.broadcast_to(np.eye(size), (n_classes, 1, size, size)).copy()
        return cls(centres, roots, np.ones((n_classes, 1)), np.zeros((n_classes, 1, size)), one)

    def with_parts(
        self, means: np.ndarray, deviations: np.ndarray, labels: np.ndarray, random: RandomSource
    ) -> tuple[Anchor, list[int]]:
        """Return the anchor with a mixture for each class, and how many parts each has; parameters as for `of`."""
        mixtures: list[Mixture] = []
        for label in range(len(self.means)):
            own = labels == label
            whiten = np.linalg.inv(self.roots[label])
            white = (means[own] - self.means[label]) @ whiten.T
            errors = whiten[None] * deviations[own][:, None, :]
            mixtures.append(fit_mixture(white, errors, random.child(f"class {label}"))[0])
        parts = [len(one.weights) for one in mixtures]
        size, most = self.means.shape[1], max(parts)
        weights = np.zeros((len(mixtures), most))
        centres = np.zeros((len(mixtures), most, size))
        roots = np.broadcast_to(np.eye(size), (len(mixtures), most, size, size)).copy()
        for label, one in enumerate(mixtures):
            weights[label, : parts[label]] = one.weights
            centres[label, : parts[label]], roots[label, : parts[label]] = one.means, one.roots
        return replace(self, weights=weights, part_means=centres, part_roots=roots), parts

    def drawn(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw whitened coordinates ``[n, dimensions]`` for classes ``[n]``."""
        level = rng.random(len(labels))
        part = (level[:, None] >= self.weights[labels].cumsum(1)[:, :-1]).sum(1)
        part = np.minimum(part, (self.weights[labels] > 0).sum(1) - 1)
        noise = rng.standard_normal((len(labels), self.means.shape[1]))
        result: np.ndarray = self.part_means[labels, part] + np.einsum(
            "nij,nj->ni", self.part_roots[labels, part], noise
        )
        return result

    def coloured(self, whitened: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return coordinates ``[n, dimensions]`` for whitened ones."""
        result: np.ndarray = self.means[labels] + np.einsum("nij,nj->ni", self.roots[labels], whitened)
        return result
