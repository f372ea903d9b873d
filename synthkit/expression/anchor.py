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
        Roots of the covariances, ``[classes, dimensions, dimensions]``; after a game with what restores the moments.
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

    def restored(self, label: int, drawn: np.ndarray, wanted: np.ndarray) -> Anchor:
        """Return the anchor that colours whitened coordinates of a class as this one would, had they other moments.

        Parameters
        ----------
        label
            The class; others stay as they are.
        drawn
            Whitened coordinates as they come, ``[n, dimensions]``.
        wanted
            Some with the moments that they shall have, ``[n, dimensions]``.
        """
        matrix, shift = nearest_map(drawn, wanted)
        means, roots = self.means.copy(), self.roots.copy()
        means[label] += self.roots[label] @ shift
        roots[label] = self.roots[label] @ matrix
        return replace(self, means=means, roots=roots)


def nearest_map(values: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix and the shift that give values the mean and the covariance of others and move them least.

    Parameters
    ----------
    values, wanted
        ``[n, dimensions]``; where they come from the same noise, chance in their moments cancels.

    Returns
    -------
    tuple
        Symmetric ``[dimensions, dimensions]``, and ``[dimensions]``: ``values @ matrix + shift``.

    References
    ----------
    Givens and Shortt 1984, A class of Wasserstein metrics for probability distributions.
    """
    root, inverse = _roots(np.cov(values.T, ddof=0).reshape(values.shape[1], -1))
    middle, _ = _roots(root @ np.cov(wanted.T, ddof=0).reshape(root.shape) @ root)
    matrix = inverse @ middle @ inverse
    return matrix, wanted.mean(0) - values.mean(0) @ matrix


def _roots(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the symmetric square root of a covariance and its inverse, both ``[dimensions, dimensions]``."""
    values, vectors = np.linalg.eigh(covariance)
    spread = np.sqrt(np.maximum(values, _FLOOR**2))
    return (vectors * spread) @ vectors.T, (vectors / spread) @ vectors.T
