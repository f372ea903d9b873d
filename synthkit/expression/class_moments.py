"""Moments of genes per class, with what classes of few cells borrow, and library sizes: shared by the baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from synthkit.expression.model import Arrays, Training, Wanted
from synthkit.expression.normalise import CHUNK, Floats
from synthkit.expression.raking import chunks_by_class
from synthkit.io.expression_set import Values

_LEVELS = (np.arange(33) + 0.5) / 33
_TINY = 1e-12
# Cells that the pooled shape of the library sizes counts as, in a class.
_DEPTH_CELLS = 10.0
# Information on a dispersion, in 1 / variance, that what is borrowed counts as.
_DISPERSION_INFORMATION = 4.0
_LARGEST_DISPERSION = 50.0
_GROUPS = 20


@dataclass(frozen=True, eq=False)
class ClassSums:
    """Sums over the cells of each class.

    Attributes
    ----------
    cells
        Number of cells of each class, ``[classes]``.
    stored
        Values other than zero, ``[classes, genes]``.
    first, second
        Sums of the values and of their squares, ``[classes, genes]``.
    weighted
        Sums of the values times a weight of their cell, ``[classes, genes]``.
    """

    cells: Floats
    stored: Floats
    first: Floats
    second: Floats
    weighted: Floats


def class_sums(values: Values, classes: np.ndarray, n_classes: int, weights: np.ndarray | None = None) -> ClassSums:
    """Sum values ``[cells, genes]`` per class, `CHUNK` cells at a time; `weights` are of the cells, 1 when None."""
    shape = (n_classes, values.shape[1])
    parts = [np.zeros(shape) for _ in range(4)]
    given = np.ones(len(classes)) if weights is None else weights
    for start in range(0, len(classes), CHUNK):
        rows = slice(start, start + CHUNK)
        member = _members(classes[rows], n_classes)
        chunk = values[rows].astype(np.float64)
        square = chunk.multiply(chunk) if sparse.issparse(chunk) else chunk * chunk
        positive = chunk != 0
        for total, part in zip(
            parts,
            (
                member @ positive.astype(np.float64),
                member @ chunk,
                member @ square,
                (member.multiply(given[rows])) @ chunk,
            ),
            strict=True,
        ):
            total += part.toarray() if sparse.issparse(part) else part
    return ClassSums(np.bincount(classes, minlength=n_classes).astype(float), *parts)


def _members(classes: np.ndarray, n_classes: int) -> sparse.csr_matrix:
    n = len(classes)
    return sparse.csr_matrix((np.ones(n), (classes, np.arange(n))), shape=(n_classes, n))


def shrunk_means(own: Floats, variances: Floats, cells: Floats) -> Floats:
    """Draw the means of classes toward the mean of all cells, gene by gene, as far as they are uncertain.

    The share that a class keeps is ``t / (t + v)``: v is the variance of its mean, t how much the true means of the
    classes differ, by moments (DerSimonian & Laird 1986). So a gene that is alike everywhere is pooled, and a marker
    stays. No mean moves by more than its standard error (limited translation, Efron & Morris 1972).

    Parameters
    ----------
    own
        Mean of each class, ``[classes, genes]``; anything where a class has no cell.
    variances
        Variance of these means as estimates, ``[classes, genes]``.
    cells
        Cells of each class, ``[classes]``.
    """
    has = (cells > 0)[:, None]
    own = np.where(has, own, 0.0)
    variances = np.where(has, variances, np.inf) + _TINY
    pooled = own.T @ cells / max(cells.sum(), 1.0)
    weights = 1 / variances
    weight = weights.sum(0)
    apart = (weights * (own - (weights * own).sum(0) / weight) ** 2).sum(0) - (has.sum() - 1)
    apart /= np.maximum(weight - (weights**2).sum(0) / weight, _TINY)
    apart = np.maximum(apart, (0.1 * pooled) ** 2 + _TINY)
    # a class that stands apart from the others by more than its error is not drawn back by their likeness
    apart = np.maximum(apart, (own - pooled) ** 2 - variances)
    means = pooled + apart / (apart + variances) * (own - pooled)
    moved = np.sqrt(variances)
    bounded: Floats = np.clip(means, own - moved, own + moved)
    return bounded


def shrunk_variances(own: Floats, observations: Floats, borrowed: float = 10.0) -> Floats:
    """Draw the variances of classes toward the mean within classes, which counts as `borrowed` observations.

    Parameters
    ----------
    own
        Variance of each class, ``[classes, genes]``; anything where there is no more than one observation.
    observations
        How many values each is of, ``[classes, genes]``.
    borrowed
        Weight of the mean of the variances, in observations.
    """
    freedom = np.maximum(observations - 1, 0.0)
    pooled = (freedom * own).sum(0) / np.maximum(freedom.sum(0), 1.0)
    variances: Floats = (freedom * own + borrowed * pooled) / (freedom + borrowed)
    return variances


@dataclass(frozen=True, eq=False)
class CountMoments:
    """Negative binomials of the counts of a gene in a class, given the library size of a cell.

    Attributes
    ----------
    profiles
        Expected share of a gene in the counts of a cell, ``[classes, genes]``; each row sums to 1.
    dispersions
        ``(variance - mean) / mean**2`` given the library size, ``[classes, genes]``; 0 is a Poisson distribution.
    """

    profiles: Floats
    dispersions: Floats


def count_moments(training: Training, totals: Floats) -> CountMoments:
    """Fit negative binomials by moments: means shrunk per gene, dispersions toward the gene and the trend over means.

    Shrinking dispersions toward a trend is edgeR's idea (McCarthy 2012), by moments here.

    Parameters
    ----------
    training
        Counts.
    totals
        Library size of each cell, ``[cells]``.
    """
    classes, n_classes = training.conditions.classes, training.n_classes
    sums = class_sums(training.values, classes, n_classes, totals)
    total = np.bincount(classes, totals, n_classes)[:, None]
    squared = np.bincount(classes, totals**2, n_classes)[:, None]
    own = sums.first / np.maximum(total, 1.0)
    # sum over cells of (x - T p)^2 - x is, in expectation, the dispersion times the sum of (T p)^2
    excess = sums.second - 2 * own * sums.weighted + own**2 * squared - sums.first
    scale = own**2 * squared
    means = own * total / np.maximum(sums.cells, 1.0)[:, None]
    dispersions = _dispersions(excess, scale, means, sums.cells)
    # a class without counts of a gene is not certain that there are none: variances at a mean that saw one pooled cell
    pooled = sums.first.sum(0) / max(total.sum(), 1.0)
    n = sums.cells[:, None]
    near = (n * own + pooled) / (n + 1)
    variances = near / np.maximum(total, 1.0) + dispersions * near**2 / np.maximum(n, 1.0)
    profiles = np.maximum(shrunk_means(own, variances, sums.cells), 0.0)
    return CountMoments(profiles / np.maximum(profiles.sum(1, keepdims=True), _TINY), dispersions)


def _dispersions(excess: Floats, scale: Floats, means: Floats, cells: Floats) -> Floats:
    within = np.maximum(excess.sum(0), 0.0) / np.maximum(scale.sum(0), _TINY)
    within = np.minimum(within, _LARGEST_DISPERSION)
    mean = means.T @ cells / max(cells.sum(), 1.0)
    known = _information(cells.sum(), mean, within)
    order = np.argsort(mean, kind="stable")
    trend = np.empty_like(within)
    for group in np.array_split(order, min(_GROUPS, len(order))):
        trend[group] = (within[group] * known[group]).sum() / max(known[group].sum(), _TINY)
    gene = (known * within + _DISPERSION_INFORMATION * trend) / (known + _DISPERSION_INFORMATION)
    own = np.clip(excess / np.maximum(scale, _TINY), 0.0, _LARGEST_DISPERSION)
    known = np.where(cells[:, None] > 1, _information(cells[:, None], means, gene), 0.0)
    dispersions: Floats = (known * own + _DISPERSION_INFORMATION * gene) / (known + _DISPERSION_INFORMATION)
    return dispersions


def _information(cells: Floats | float, means: Floats, dispersions: Floats) -> Floats:
    """1 / variance of a dispersion by moments, for a normal approximation of the counts."""
    known: Floats = cells * means**2 / (2 * (1 + dispersions * means) ** 2)
    return known


# -- library sizes ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Depths:
    """Library sizes of the classes.

    Attributes
    ----------
    quantiles
        Quantiles of their natural logarithm at 33 even levels, ``[classes, 33]``.
    """

    quantiles: Floats

    @classmethod
    def of(cls, totals: Floats, classes: np.ndarray, n_classes: int) -> Depths:
        """Learn from library sizes ``[cells]``; classes of few cells borrow the shape of all cells at their mean."""
        logs = np.log(np.maximum(totals, 1.0))
        centre = logs.mean() if len(logs) else 0.0
        own = np.bincount(classes, minlength=n_classes)
        residual = logs - (np.bincount(classes, logs, n_classes) / np.maximum(own, 1))[classes]
        shape = np.quantile(residual, _LEVELS) if len(logs) else np.zeros(len(_LEVELS))
        quantiles = np.empty((n_classes, len(_LEVELS)))
        for c in range(n_classes):
            mine = logs[classes == c]
            mean = (mine.sum() + centre) / (len(mine) + 1)
            share = len(mine) / (len(mine) + _DEPTH_CELLS)
            measured = np.quantile(mine, _LEVELS, method="hazen") if len(mine) else mean + shape
            quantiles[c] = share * measured + (1 - share) * (mean + shape)
        return cls(quantiles)

    def narrowed(self, noise: Floats) -> Depths:
        """Return library sizes to which counts add noise of these relative variances ``[classes]``: totals then fit."""
        centre = self.quantiles.mean(1, keepdims=True)
        variances = np.maximum(self.quantiles.var(1), _TINY)
        kept = np.sqrt(np.clip(1 - noise / variances, 0.0, 1.0))[:, None]
        return Depths(centre + kept * (self.quantiles - centre))

    def draw(self, wanted: Wanted, rng: np.random.Generator) -> Floats:
        """Draw library sizes ``[n]``; where sizes are wanted, these."""
        if wanted.depths is not None:
            return np.asarray(wanted.depths, dtype=np.float64)
        return self.at(wanted.classes, rng.random(len(wanted)))

    def at(self, classes: np.ndarray, levels: Floats) -> Floats:
        """Return the library sizes of classes at levels between 0 and 1, ``[n]``."""
        sizes = np.empty(len(classes))
        for c in np.unique(classes):
            mine = classes == c
            sizes[mine] = np.exp(np.interp(levels[mine], _LEVELS, self.quantiles[c]))
        return sizes

    def levels(self, classes: np.ndarray, sizes: Floats) -> Floats:
        """Return the level of library sizes in their classes, ``[n]``, between 0 and 1."""
        levels = np.empty(len(classes))
        # a small slope makes the quantiles increase strictly, as interpolating them backwards needs
        slope = 1e-9 * np.arange(len(_LEVELS))
        for c in np.unique(classes):
            mine = classes == c
            levels[mine] = np.interp(np.log(np.maximum(sizes[mine], 1.0)), self.quantiles[c] + slope, _LEVELS)
        return levels

    def arrays(self) -> Arrays:
        """Return what `from_arrays` reads."""
        return {"depths": self.quantiles}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Depths:
        """Read what `arrays` returned."""
        return cls(np.array(arrays["depths"], np.float64))


def totals_of(values: Values) -> Floats:
    """Sum of each cell, ``[cells]`` float64."""
    return np.asarray(values.sum(axis=1), dtype=np.float64).ravel()


# -- drawing ------------------------------------------------------------------------------------------------------


def drawn_in_chunks(wanted: Wanted, genes: int, counts: bool, draw: Callable[[Wanted], np.ndarray]) -> Values:
    """Draw part by part, classes together: CSR of int32 for counts, otherwise a float32 array, ``[n, genes]``."""
    if not len(wanted):
        return sparse.csr_matrix((0, genes), dtype=np.int32) if counts else np.zeros((0, genes), np.float32)
    places = list(chunks_by_class(wanted.classes, genes))
    parts = [draw(wanted.take(rows)) for rows in places]
    order = np.argsort(np.concatenate(places))
    if not counts:
        return np.concatenate(parts).astype(np.float32)[order]
    drawn: Values = sparse.vstack([counted(part) for part in parts], format="csr")[order]
    return drawn


def counted(dense: np.ndarray) -> sparse.csr_matrix:
    """Return whole numbers ``[n, genes]`` as CSR of int32, without explicit zeros."""
    return sparse.csr_matrix(dense.astype(np.int32))
