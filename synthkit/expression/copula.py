"""A Gaussian copula of low rank per class: empirical margins, and genes that vary together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse, special

from synthkit.expression.class_moments import Depths, count_moments, drawn_in_chunks, totals_of
from synthkit.expression.factors import mixed, principal
from synthkit.expression.margins import CountMargins, Margins, QuantileMargins
from synthkit.expression.model import Arrays, Training, Wanted
from synthkit.expression.normalise import Floats
from synthkit.expression.raking import FEWEST_SYSTEMATIC, systematic
from synthkit.io.expression_set import Measure, Values
from synthkit.random import RandomSource

FACTORS = 20
# Cells whose weight the pooled correlations have in a class.
_BORROWED_CELLS = 50.0
_LARGEST_SHARE = 0.95
_LEAST_VARIANCE = 1e-3


@dataclass(frozen=True, eq=False)
class CopulaModel:
    """Empirical margins joined by normal factors (scDesign2, Sun 2021; of low rank here, so that 20,000 genes fit).

    Correlations are those that the normal variables behind the values have, not those of the values: ties at small
    counts hide them, and what they hide is put back gene by gene, as in a polychoric correlation. The library size of
    counts is one more variable, so that wanted sizes choose factors that go with them; what is still missing to the
    wanted size is then added to the counts or thinned out of them.

    Batches and covariates change nothing here, except where they are part of the class. A class of few cells borrows
    margins and correlations from all cells.

    Attributes
    ----------
    measure
        What the values are.
    margins
        Distribution of each gene in each class.
    own, pooled
        Loadings of the classes ``[classes, columns, k]`` and of all cells ``[columns, k]``, float32; the last column is
        the library size where the values are counts, the others are genes.
    cells
        Training cells of each class.
    profiles
        Mean share of a gene in the counts of a class, ``[classes, genes]``; empty for other measures.
    depths
        Library sizes.
    """

    measure: Measure
    margins: Margins
    own: np.ndarray
    pooled: np.ndarray
    cells: Floats
    profiles: Floats
    depths: Depths
    name: ClassVar[str] = "copula"

    def draw(self, wanted: Wanted, random: RandomSource) -> Values:
        """Draw values ``[n, genes]``, see `ExpressionModel.draw`."""
        rng = random.numpy(self.name)
        counts = self.measure == "counts"
        genes = self.own.shape[1] - counts
        return drawn_in_chunks(wanted, genes, counts, lambda part: self._chunk(part, genes, rng))

    def _chunk(self, wanted: Wanted, genes: int, rng: np.random.Generator) -> np.ndarray:
        drawn = np.empty((len(wanted), genes), np.int64 if self.measure == "counts" else np.float32)
        for c in np.unique(wanted.classes):
            mine = np.flatnonzero(wanted.classes == c)
            part = wanted.take(mine)
            normal = self._normal(part, int(c), rng)
            own = normal[:, :genes]
            if part.representative and part.depths is None and len(part) >= FEWEST_SYSTEMATIC:
                own = special.ndtri(systematic(own, rng.random(genes))).astype(np.float32)
            values = self.margins.values(own, int(c), rng)
            if part.depths is not None and self.measure == "counts":
                values = _brought_to(values, part.depths, self.profiles[c], rng)
            drawn[mine] = values
        return drawn

    def _normal(self, wanted: Wanted, c: int, rng: np.random.Generator) -> np.ndarray:
        """Draw standard normal variables ``[n, columns]``, given the library sizes where they are wanted."""
        share = self.cells[c] / (self.cells[c] + _BORROWED_CELLS)
        loadings = mixed(self.own[c], self.pooled, share).astype(np.float32)
        unique = 1 - np.minimum((loadings**2).sum(1), _LARGEST_SHARE)
        factors = rng.standard_normal((len(wanted), loadings.shape[1]), dtype=np.float32)
        noise = rng.standard_normal((len(wanted), len(loadings)), dtype=np.float32) * np.sqrt(unique)
        if wanted.depths is not None and self.measure == "counts":
            # Matheron's rule: what was drawn, moved by what the wanted library size says of the factors
            level = self.depths.levels(wanted.classes, wanted.depths)
            missing = special.ndtri(np.clip(level, 0.01, 0.99)) - (factors @ loadings[-1] + noise[:, -1])
            factors = factors + missing[:, None].astype(np.float32) * loadings[-1]
        normal: np.ndarray = factors @ loadings.T + noise
        return normal

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what rebuilds the model."""
        arrays = {"own": self.own, "pooled": self.pooled, "cells": self.cells, "profiles": self.profiles}
        return {"measure": self.measure}, arrays | self.margins.arrays() | self.depths.arrays()

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from what `state` returned."""
        kind = CountMargins if values["measure"] == "counts" else QuantileMargins
        own, pooled, cells, profiles = (np.array(arrays[name]) for name in ("own", "pooled", "cells", "profiles"))
        depths = Depths.from_arrays(arrays)
        return cls(values["measure"], kind.from_arrays(arrays), own, pooled, cells, profiles, depths)


def _brought_to(counts: np.ndarray, sizes: Floats, profile: Floats, rng: np.random.Generator) -> np.ndarray:
    """Thin counts ``[n, genes]`` to wanted library sizes ``[n]``, or add what deeper sequencing would find."""
    totals = counts.sum(1)
    ratio = sizes / np.maximum(totals, 1)
    made = np.where(ratio[:, None] < 1, rng.binomial(counts, np.minimum(ratio, 1.0)[:, None]), counts)
    deeper = np.flatnonzero(ratio > 1)
    if len(deeper):
        # the rate behind a count: gamma, of mean m over cells and of shape 1, given the count
        mean = np.maximum(totals[deeper], 1)[:, None] * profile
        rate = rng.standard_gamma(1.0 + counts[deeper]) * mean / (1 + mean)
        rate *= (np.maximum(totals[deeper], 1) / np.maximum(rate.sum(1), 1e-9))[:, None]
        made[deeper] += rng.poisson(rate * (ratio[deeper] - 1)[:, None])
    return made


def fit_copula(training: Training, random: RandomSource, factors: int = FACTORS) -> CopulaModel:
    """Fit margins by counting and loadings by a singular value decomposition; takes seconds.

    Parameters
    ----------
    training
        Cells, of any measure.
    random
        Source of the first subspace of the decompositions.
    factors
        Largest number of factors.
    """
    values, classes, n_classes = training.values, training.conditions.classes, training.n_classes
    counts = training.measure == "counts"
    cells = np.bincount(classes, minlength=n_classes).astype(float)
    margins: Margins
    if counts:
        totals = totals_of(values)
        moments = count_moments(training, totals)
        margins = CountMargins.of(values, classes, moments, totals)
        profiles, depths = moments.profiles, Depths.of(totals, classes, n_classes)
        sizes = special.ndtri(np.clip(depths.levels(classes, totals), 0.01, 0.99))
    else:
        margins = QuantileMargins.of(values, classes, n_classes, training.measure != "intensities")
        profiles, depths = np.zeros((n_classes, 0)), Depths(np.zeros((n_classes, 33)))
    parts, rows, variances = [], [], np.ones((n_classes, values.shape[1] + counts))
    for c in range(n_classes):
        mine = np.flatnonzero(classes == c)
        if not len(mine):
            continue
        scored, variances[c, : values.shape[1]] = margins.scores(values[mine], c)
        part = scored
        if counts:
            part = sparse.hstack([scored, sparse.csr_matrix(sizes[mine, None].astype(np.float32))], format="csr")
        scale = (1 / np.sqrt(np.maximum(variances[c], _LEAST_VARIANCE))).astype(np.float32)
        part = part @ sparse.diags(scale) if sparse.issparse(part) else part * scale
        parts.append(part)
        rows.append(mine)
    whole = sparse.vstack(parts, format="csr") if sparse.issparse(parts[0]) else np.concatenate(parts)
    order = classes[np.concatenate(rows)]
    means = np.zeros((n_classes, whole.shape[1]))
    for c in np.unique(order):
        means[c] = np.asarray(whole[order == c].mean(axis=0), dtype=np.float64).ravel()
    stream = random.child("copula")
    mean_variance = cells @ variances / cells.sum()
    pooled = _latent(principal(whole, order, means, factors, stream.numpy("pooled")), len(order), mean_variance)
    own = np.zeros((n_classes, whole.shape[1], factors), np.float32)
    for c in np.unique(order):
        mine = np.flatnonzero(order == c)
        found = principal(whole[mine], np.zeros(len(mine), int), means[[c]], factors, stream.numpy(f"class-{c}"))
        found = _latent(found, len(mine), variances[c])
        own[c, :, : found.shape[1]] = found
    return CopulaModel(training.measure, margins, own, pooled.astype(np.float32), cells, profiles, depths)


def _latent(loadings: Floats, n: int, variances: Floats) -> Floats:
    """Loadings of the normal variables behind the scores, from loadings of scores scaled to variance 1.

    Tied scores have the variance `variances` of the variable behind them, 1. Dividing by its root puts the correlation
    back, and blows up the noise of genes that hardly vary: so loadings are drawn to 0 as far as they are noise.
    """
    signal = np.maximum((loadings**2 - 1 / n).sum(0), 0.0) / max(variances.sum(), 1e-9)
    strength = variances[:, None] * signal
    kept = strength / np.maximum(strength + 1 / n, 1e-12)
    latent = loadings * kept / np.sqrt(np.maximum(variances, _LEAST_VARIANCE))[:, None]
    share = (latent**2).sum(1, keepdims=True)
    bounded: Floats = latent * np.sqrt(np.minimum(1.0, _LARGEST_SHARE / np.maximum(share, 1e-12)))
    return bounded
