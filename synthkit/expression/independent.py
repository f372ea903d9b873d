"""Genes that are independent given class and library size: the simplest honest generator of expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from synthkit.expression.class_moments import (
    Depths,
    class_sums,
    count_moments,
    drawn_in_chunks,
    shrunk_means,
    shrunk_variances,
    totals_of,
)
from synthkit.expression.model import Arrays, Training, Wanted
from synthkit.expression.normalise import Floats
from synthkit.io.expression_set import Measure, Values
from synthkit.random import RandomSource

# Cells that the pooled share of values above the floor counts as, in a class.
_SHARE_CELLS = 2.0


@dataclass(frozen=True, eq=False)
class IndependentModel:
    """Counts: negative binomials per class and gene, times a library size (SPARSim, Baruzzo 2020, and splatter's kind).

    Other measures: intensities are normal. Logarithms and rates are 0 with some probability, and above that gamma
    (logarithms) or log-normal (rates) with the mean and variance of the training cells: as near to a normal as values
    that never fall below zero can be, with the mean exact.

    Batches and covariates change nothing here, except where they are part of the class. A class of few cells borrows
    from the pooled profile.

    Attributes
    ----------
    measure
        What the values are.
    means, spreads
        ``[classes, genes]``. Counts: share of a gene in a cell's counts, and dispersion. Otherwise mean and variance of
        the values (above the floor).
    above
        Probability of a value above the floor, ``[classes, genes]``; 1 for counts and intensities.
    depths
        Library sizes.
    """

    measure: Measure
    means: Floats
    spreads: Floats
    above: Floats
    depths: Depths
    name: ClassVar[str] = "nb"

    def draw(self, wanted: Wanted, random: RandomSource) -> Values:
        """Draw values ``[n, genes]``, see `ExpressionModel.draw`."""
        rng = random.numpy(self.name)
        draw = self._counts if self.measure == "counts" else self._others
        return drawn_in_chunks(wanted, self.means.shape[1], self.measure == "counts", lambda part: draw(part, rng))

    def _counts(self, wanted: Wanted, rng: np.random.Generator) -> np.ndarray:
        rates = self.depths.draw(wanted, rng)[:, None] * self.means[wanted.classes]
        spreads = np.maximum(self.spreads[wanted.classes], 1e-6)  # below this a Poisson distribution, up to rounding
        return np.asarray(rng.poisson(rates * rng.standard_gamma(1 / spreads) * spreads))

    def _others(self, wanted: Wanted, rng: np.random.Generator) -> np.ndarray:
        means, variances = self.means[wanted.classes], self.spreads[wanted.classes]
        if self.measure == "intensities":
            return np.asarray(means + np.sqrt(variances) * rng.standard_normal(means.shape))
        means, variances = np.maximum(means, 1e-12), np.maximum(variances, 1e-12)
        if self.measure == "log":
            values = rng.standard_gamma(means**2 / variances) * (variances / means)
        else:
            log_variance = np.log1p(variances / means**2)
            values = means * np.exp(np.sqrt(log_variance) * rng.standard_normal(means.shape) - log_variance / 2)
        return np.where(rng.random(means.shape) < self.above[wanted.classes], values, 0.0)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what rebuilds the model."""
        arrays = {"means": self.means, "spreads": self.spreads, "above": self.above} | self.depths.arrays()
        return {"measure": self.measure}, arrays

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from what `state` returned."""
        means, spreads, above = (np.array(arrays[name], np.float64) for name in ("means", "spreads", "above"))
        return cls(values["measure"], means, spreads, above, Depths.from_arrays(arrays))


def fit_independent(training: Training) -> IndependentModel:
    """Fit independent genes by moments; takes seconds.

    Parameters
    ----------
    training
        Cells, of any measure.
    """
    classes, n_classes = training.conditions.classes, training.n_classes
    totals = totals_of(training.values)
    if training.measure == "counts":
        depths = Depths.of(totals, classes, n_classes)
        moments = count_moments(training, totals)
        # measured totals hold the noise of the counts already: it must not be added twice
        noise = 1 / np.exp(depths.quantiles.mean(1)) + (moments.dispersions * moments.profiles**2).sum(1)
        above = np.ones((1, 1))
        return IndependentModel("counts", moments.profiles, moments.dispersions, above, depths.narrowed(noise))
    depths = Depths(np.zeros((n_classes, 33)))
    sums = class_sums(training.values, classes, n_classes)
    cells = sums.cells[:, None]
    stored = np.broadcast_to(cells, sums.stored.shape) if training.measure == "intensities" else sums.stored
    pooled = stored.sum(0) / max(len(training), 1)
    above = (stored + _SHARE_CELLS * pooled) / (cells + _SHARE_CELLS)
    own = sums.first / np.maximum(stored, 1.0)
    freedom = np.maximum(stored - 1, 1.0)
    spread = np.maximum(sums.second - stored * own**2, 0.0) / freedom
    everywhere = sums.first.sum(0) / np.maximum(stored.sum(0), 1.0)
    # a gene that no cell of a class has above the floor is as everywhere else, where it is drawn at all
    own = np.where(stored > 0, own, everywhere)
    spread = shrunk_variances(spread, stored)
    means = shrunk_means(own, spread / np.maximum(stored, 1.0), sums.cells)
    return IndependentModel(training.measure, means, spread, above, depths)
