"""A multivariate normal distribution of log expression per class: the baseline that beat the GANs of CAMDA 2025."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse, special

from synthkit.expression.class_moments import (
    Depths,
    class_sums,
    count_moments,
    drawn_in_chunks,
    shrunk_means,
    shrunk_variances,
    totals_of,
)
from synthkit.expression.factors import draw_factors, mixed, principal
from synthkit.expression.model import Arrays, Training, Wanted
from synthkit.expression.normalise import Floats, log_normalised
from synthkit.io.expression_set import Measure, Values
from synthkit.random import RandomSource

COMPONENTS = 50
# Cells whose weight the covariance within all classes has in a class.
_BORROWED_CELLS = 50.0


@dataclass(frozen=True, eq=False)
class NormalModel:
    """Class-conditional multivariate normal, as in the starter kit of the CAMDA Health Privacy Challenge.

    There: the mean and sample covariance of each class, and independent noise of half that covariance on top. Here the
    covariance is its first principal components plus a diagonal, shrunk toward the covariance within classes, so that
    no matrix of genes by genes is ever made. The noise hides training cells and widens everything else, so it is 0
    unless asked for.

    Values that cannot fall below zero are cut off there and scaled per gene so that classes keep their means, which the
    cut would raise. Counts are drawn as logarithms of 1 + count at the median library size, brought back, brought to
    the library size of the cell, and rounded up or down at random, so that genes of small rates do not vanish. Rates
    are drawn as log(1 + rate). (Choosing the normal variable so that the cut one has the mean and variance of the data,
    as Tobin 1958 does, was measured and is worse.)

    Batches and covariates change nothing here, except where they are part of the class. A class of few cells borrows
    from all cells.

    Attributes
    ----------
    measure
        What the values are.
    target
        Library size that logarithms are taken at.
    noise
        Variance of the added noise, in shares of the covariance.
    means, variances
        Of the logarithms or values, ``[classes, genes]``.
    own, pooled
        Principal components times standard deviations, ``[classes, genes, k]`` and ``[genes, k]``, float32.
    cells
        Training cells of each class.
    rates
        Mean that values shall have, ``[classes, genes]``; for counts, at the library size `target`.
    depths
        Library sizes.
    """

    measure: Measure
    target: float
    noise: float
    means: Floats
    variances: Floats
    own: np.ndarray
    pooled: np.ndarray
    cells: Floats
    rates: Floats
    depths: Depths
    name: ClassVar[str] = "mvn"

    def draw(self, wanted: Wanted, random: RandomSource) -> Values:
        """Draw values ``[n, genes]``, see `ExpressionModel.draw`."""
        rng = random.numpy(self.name)
        counts = self.measure == "counts"
        return drawn_in_chunks(wanted, self.means.shape[1], counts, lambda part: self._chunk(part, rng))

    def _chunk(self, wanted: Wanted, rng: np.random.Generator) -> np.ndarray:
        drawn = np.empty((len(wanted), self.means.shape[1]))
        for c in np.unique(wanted.classes):
            mine = wanted.classes == c
            drawn[mine] = self._of_class(int(c), int(mine.sum()), rng)
        if self.measure != "counts":
            return drawn
        sizes = self.depths.draw(wanted, rng) / self.target
        return np.floor(drawn * sizes[:, None] + rng.random(drawn.shape))

    def _of_class(self, c: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw values of a class ``[n, genes]``, counts as rates at the library size `target`."""
        share = self.cells[c] / (self.cells[c] + _BORROWED_CELLS)
        loadings = mixed(self.own[c], self.pooled, share)
        explained = (loadings**2).sum(1)
        # components of a class that borrows may hold more than the variance of a gene: they are brought down to it
        loadings *= np.sqrt(np.minimum(1.0, self.variances[c] / np.maximum(explained, 1e-12)))[:, None]
        unique = np.maximum(self.variances[c] - explained, 0.0)
        drawn = self.means[c] + np.sqrt(1 + self.noise) * draw_factors(loadings, unique, n, rng)
        if self.measure == "intensities":
            return np.asarray(drawn)
        drawn = np.maximum(drawn, 0.0)
        return np.asarray((drawn if self.measure == "log" else np.expm1(drawn)) * self._scale(c))

    def _scale(self, c: int) -> Floats:
        """What brings the mean of what is drawn of a class to the mean of the training cells, ``[genes]``."""
        mean, variance = self.means[c], (1 + self.noise) * self.variances[c] + 1e-12
        spread = np.sqrt(variance)
        if self.measure == "log":
            place = mean / spread
            made = mean * special.ndtr(place) + spread * np.exp(-(place**2) / 2) / np.sqrt(2 * np.pi)
        else:
            made = np.exp(mean + variance / 2) * special.ndtr((mean + variance) / spread) - special.ndtr(mean / spread)
        # bounded: where nearly all of the distribution is below zero a few draws would carry the whole mean
        scale: Floats = np.clip(self.rates[c] / np.maximum(made, 1e-12), 0.0, 10.0)
        return scale

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what rebuilds the model."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        values = {"measure": self.measure, "target": self.target, "noise": self.noise}
        return values, arrays | self.depths.arrays()

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from what `state` returned."""
        kept = {name: np.array(arrays[name]) for name in _ARRAYS}
        depths = Depths.from_arrays(arrays)
        return cls(values["measure"], float(values["target"]), float(values["noise"]), **kept, depths=depths)


_ARRAYS = ("means", "variances", "own", "pooled", "cells", "rates")


def fit_normal(
    training: Training, random: RandomSource, components: int = COMPONENTS, noise: float = 0.0
) -> NormalModel:
    """Fit means and low-rank covariances of log expression per class; takes seconds.

    Parameters
    ----------
    training
        Cells, of any measure.
    random
        Source of the first subspace of the decompositions.
    components
        Largest number of principal components; what they leave is the diagonal.
    noise
        Variance added to draws, in shares of the covariance; 0.5 in the starter kit of CAMDA.
    """
    classes, n_classes = training.conditions.classes, training.n_classes
    totals = totals_of(training.values)
    target, depths = 1.0, Depths(np.zeros((n_classes, 33)))
    values = training.values
    if training.measure == "counts":
        target = float(np.median(np.maximum(totals, 1.0))) if len(totals) else 1.0
        depths = Depths.of(totals, classes, n_classes)
        rates = target * count_moments(training, totals).profiles
        values = log_normalised(values, totals, target)
    elif training.measure == "rates":
        raw = class_sums(values, classes, n_classes)
        rates = _moments(raw.first, raw.second, raw.cells)[0]
        values = values.log1p() if sparse.issparse(values) else np.log1p(values)
    sums = class_sums(values, classes, n_classes)
    means, variances = _moments(sums.first, sums.second, sums.cells)
    if training.measure in ("log", "intensities"):
        rates = means
    stream = random.child("normal")
    own_means = sums.first / np.maximum(sums.cells, 1.0)[:, None]
    pooled = principal(values, classes, own_means, components, stream.numpy("pooled"))
    own = np.zeros((n_classes, values.shape[1], components), np.float32)
    for c in np.unique(classes):
        mine = np.flatnonzero(classes == c)
        zeros = np.zeros(len(mine), np.int64)
        found = principal(values[mine], zeros, own_means[[c]], components, stream.numpy(f"class-{c}"))
        own[c, :, : found.shape[1]] = found
    return NormalModel(
        training.measure,
        target,
        float(noise),
        means,
        variances,
        own,
        pooled.astype(np.float32),
        sums.cells,
        rates,
        depths,
    )


def _moments(first: Floats, second: Floats, cells: Floats) -> tuple[Floats, Floats]:
    """Means and variances of classes, shrunk, ``[classes, genes]``."""
    n = cells[:, None]
    own = first / np.maximum(n, 1.0)
    spread = np.maximum(second - n * own**2, 0.0) / np.maximum(n - 1, 1.0)
    spread = shrunk_variances(spread, np.broadcast_to(n, own.shape))
    return shrunk_means(own, spread / np.maximum(n, 1.0), cells), spread
