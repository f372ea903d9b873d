"""The sampler that is made of noisy class moments: everything in it is post-processing of what was released."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from synthkit.expression.count_link import CountLink
from synthkit.expression.loadings import TARGET, PublicLoadings
from synthkit.expression.model import Arrays, Wanted
from synthkit.expression.private_moments import NoisyMoments
from synthkit.expression.shrinking import repaired_covariance
from synthkit.random import RandomSource

Floats = NDArray[np.float64]

NAME = "private-moments"
DISPERSION = 0.2
"""Dispersion of counts where none is declared and what was bought is noise: variance = mean + 0.2 mean^2."""
_DISPERSIONS = (0.0, 0.01, 0.03, 0.1, 0.2, 0.4, 0.8, 1.5)
ARRAYS = ("basis", "scales", "levels", "means", "factors", "library")
"""Arrays of a model, in any order."""

_AT_ONCE = 500
_DRAWS, _ROUNDS = 150, 6  # of the calibration: pairs of places in each class, and how often levels are moved
_FARTHEST = 2.0  # that a level is moved, in natural logarithms
_LARGEST = 2**31 - 1


class PrivateMomentsModel:
    """Draws counts from class means and covariance along public loadings.

    A cell has a place along the loadings, normal around its class; the loadings say how far each gene is from the
    level that it has in the class; rates follow from levels by `CountLink`, are brought to the library size, and
    counts are negative binomial with a public dispersion.

    Parameters
    ----------
    basis, scales
        Of `PublicLoadings`, ``[genes, k]`` and ``[k]``.
    levels
        Mean log expression of each gene in each class, ``[K, genes]``.
    means
        Mean of each class along the loadings, from its levels, ``[K, k]``.
    factors
        Roots of the covariances of the classes ``[K, k, k]``.
    library
        Mean and standard deviation of the logarithm of library sizes ``[K, 2]``.
    dispersion
        Public.
    centre
        The library size for which rates are worked out.

    Privacy
    -------
    Post-processing of `synthkit.expression.private_moments.NoisyMoments` and of public numbers: drawing costs nothing.
    """

    name = NAME

    def __init__(
        self,
        basis: Floats,
        scales: Floats,
        levels: Floats,
        means: Floats,
        factors: Floats,
        library: Floats,
        *,
        dispersion: float,
        centre: float,
    ) -> None:
        self.basis, self.scales, self.levels = basis, scales, levels.copy()
        self.means, self.factors, self.library = means, factors, library
        self.dispersion, self.centre = float(dispersion), float(centre)
        self._link = CountLink.of(self.centre, self.dispersion)

    @classmethod
    def of(cls, moments: NoisyMoments, loadings: PublicLoadings, dispersion: float | None = None) -> Self:
        """Make a sampler of what was released.

        Parameters
        ----------
        moments
            Noisy.
        loadings
            Public.
        dispersion
            Public, from 0; None for the one with which drawn cells scatter, over all genes, as was released.
        """
        if dispersion is None:
            dispersion = bought_dispersion(moments, loadings)
        centre = max(moments.bounds["library"], 1.0)
        model = cls(
            loadings.basis, loadings.scales, moments.levels, moments.means,
            _factors(moments, loadings, CountLink.of(centre, dispersion)), moments.library,
            dispersion=dispersion, centre=centre,
        )  # fmt: skip
        model._calibrate()
        return model

    def _calibrate(self) -> None:
        """Move levels until drawn cells have, in the mean, the logarithms that were released.

        No cell has less than nothing of a gene, and shares sum to one: both bend what a normal law says. Only numbers
        of the model and a public stream are used.
        """
        rng = RandomSource(0).child(NAME).numpy("calibration")
        normal = rng.normal(size=(_DRAWS, self.factors.shape[1]))
        normal = np.concatenate([normal, -normal])  # so that they have a mean of zero
        for at, level in enumerate(self.levels.copy()):
            of = np.full(len(normal), at)
            wanted = (level + (self.means[at] * self.scales) @ self.basis.T).clip(min=0.0)
            places = self.means[at] + normal @ self.factors[at].T
            for _ in range(_ROUNDS):
                found = self._link.mean(self.rates(of, places) * TARGET).mean(0)
                self.levels[at] = (self.levels[at] + wanted - found).clip(level - _FARTHEST, level + _FARTHEST)

    def rates(self, classes: NDArray[np.int64], places: Floats) -> Floats:
        """Return shares of all counts ``[n, genes]``, which sum to 1, for places along the loadings ``[n, k]``."""
        level = self.levels[classes] + (places * self.scales) @ self.basis.T
        found = self._link.rate(level)
        totals = found.sum(1, keepdims=True)
        if not totals.all():
            # a cell so far out that no gene is left has the levels of its class
            empty = totals[:, 0] == 0
            found[empty] = self._link.rate(self.levels[classes[empty]]) + 1e-9
            totals = found.sum(1, keepdims=True)
        shares: Floats = found / totals
        return shares

    def draw(self, wanted: Wanted, random: RandomSource) -> Any:
        """Draw counts.

        Parameters
        ----------
        wanted
            Conditions. Batches and covariates have no effect: a private fit has none.
        random
            Source of all randomness, which is public.

        Returns
        -------
        scipy.sparse.csr_matrix
            Of int32, ``[n, genes]``.
        """
        rng, n = random.numpy("private moments"), len(wanted)
        classes = np.asarray(wanted.classes, np.int64)
        parts = []
        for start in range(0, n, _AT_ONCE):
            here = slice(start, min(start + _AT_ONCE, n))
            of = classes[here]
            normal = rng.normal(size=(len(of), self.factors.shape[1]))
            places = self.means[of] + np.einsum("nij,nj->ni", self.factors[of], normal)
            scatter = rng.normal(size=len(of))
            depths = np.exp(self.library[of, 0] + self.library[of, 1] * scatter)
            if wanted.depths is not None:
                depths = np.asarray(wanted.depths[here], np.float64)
            expected = self.rates(of, places) * depths[:, None]
            if self.dispersion > 0:
                expected *= rng.gamma(1 / self.dispersion, self.dispersion, expected.shape)
            counts = rng.poisson(expected.clip(max=_LARGEST / 2)).astype(np.int32)
            parts.append(sparse.csr_matrix(counts))
        if not parts:
            return sparse.csr_matrix((0, self.basis.shape[0]), dtype=np.int32)
        return sparse.vstack(parts, format="csr", dtype=np.int32)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what rebuilds the model: JSON-safe values, and arrays."""
        arrays = {name: np.ascontiguousarray(getattr(self, name), np.float64) for name in ARRAYS}
        return {"dispersion": self.dispersion, "centre": self.centre}, arrays

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from what `state` returned."""
        found = {name: np.asarray(arrays[name], np.float64) for name in ARRAYS}
        if not all(math.isfinite(float(values[name])) for name in ("dispersion", "centre")):
            raise ValueError("dispersion and centre are no numbers")
        return cls(**found, dispersion=values["dispersion"], centre=values["centre"])


def bought_dispersion(moments: NoisyMoments, loadings: PublicLoadings) -> float:
    """Return the dispersion with which drawn cells scatter as much, over all genes together, as was released.

    `DISPERSION` where noise is more than half of what was released, or nothing fits.

    Privacy
    -------
    Post-processing: it reads noisy numbers only.
    """
    wanted, error = moments.scatter
    if wanted <= 0 or error > wanted / 2:
        return DISPERSION
    centre = max(moments.bounds["library"], 1.0)
    found = []
    for dispersion in _DISPERSIONS:
        link = CountLink.of(centre, dispersion)
        along = ((_factors(moments, loadings, link) * loadings.scales[:, None]) ** 2).sum((1, 2))
        found.append(float(moments.shares @ (along + link.variance(moments.levels).sum(1))))
    rising = np.maximum.accumulate(found)
    return float(np.expm1(np.interp(wanted, rising, np.log1p(_DISPERSIONS))))


def _factors(moments: NoisyMoments, loadings: PublicLoadings, link: CountLink) -> Floats:
    """Roots of the covariances of the classes ``[K, k, k]``.

    Cells scatter along the loadings also because counts are small whole numbers. That part comes back when counts are
    drawn, so that it is taken off first; it follows from the levels alone.
    """
    turned = loadings.basis / loadings.scales
    one = len(moments.covariance) == 1
    factors = []
    for at, level in enumerate(moments.levels):
        scatter = turned.T @ (turned * link.variance(level)[:, None])
        noisy, error = moments.covariance[0 if one else at], float(moments.covariance_error[0 if one else at])
        values, vectors = np.linalg.eigh(repaired_covariance(noisy, error) * moments.spreads[at] - scatter)
        factors.append(vectors * np.sqrt(values.clip(min=0.0)))
    return np.stack(factors)
