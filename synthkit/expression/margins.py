"""Margins of genes per class, kept compactly, and the normal scores of values under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from scipy import sparse, special

from synthkit.expression.class_moments import CountMoments, shrunk_means
from synthkit.expression.model import Arrays
from synthkit.expression.normalise import Floats
from synthkit.expression.raking import bin_shares
from synthkit.io.expression_set import Values

_EXACT = 16  # counts below this have bins of their own
_PER_OCTAVE = 4
_CELLS = 4.0  # weight of what a class borrows, in cells
_WHOLE = 65535  # shares are kept in 16 bits
_LEVELS = (np.arange(33) + 0.5) / 33


class Margins(Protocol):
    """Distribution of each gene in each class."""

    def scores(self, values: Values, c: int) -> tuple[Values, Floats]:
        """Return normal scores of the cells of a class, and the variance that they have, ``[genes]``.

        Values that are tied have one score: the mean of a standard normal variable over the interval they stand for.
        Scores are less that of the value zero, so that sparse values have sparse scores.
        """

    def values(self, normal: np.ndarray, c: int, rng: np.random.Generator) -> np.ndarray:
        """Return values ``[n, genes]`` of a class for standard normal variables."""

    def arrays(self) -> Arrays:
        """Return what rebuilds the margins."""


@dataclass(frozen=True, eq=False)
class CountMargins:
    """Distribution functions of counts over bins.

    Attributes
    ----------
    edges
        First count of each bin, ``[bins + 1]``: single counts first, then bins a quarter of an octave wide.
    cumulative
        Probability of a count in a bin or below, in 1/65,535, ``[classes, genes, bins]`` uint16.
    """

    edges: np.ndarray
    cumulative: np.ndarray

    @classmethod
    def of(cls, values: Values, classes: np.ndarray, moments: CountMoments, totals: Floats) -> CountMargins:
        """Learn from counts ``[cells, genes]``; a negative binomial with the moments counts as some cells more."""
        edges = _edges(int(values.max()) if values.size else 0)
        n_classes, genes = moments.profiles.shape
        cumulative = np.empty((n_classes, genes, len(edges) - 1), np.uint16)
        for c in range(n_classes):
            own = np.flatnonzero(classes == c)
            part = sparse.csr_matrix(values[own])
            borrowed = _negative_binomial(edges, moments, c, totals[own] if len(own) else totals)
            share = len(own) / (len(own) + _CELLS)
            mixture = share * bin_shares(part, edges).T.cumsum(1) + (1 - share) * borrowed
            cumulative[c] = np.round(np.clip(mixture, 0, 1) * _WHOLE)
        cumulative[..., -1] = _WHOLE
        return cls(edges, cumulative)

    def scores(self, values: Values, c: int) -> tuple[Values, Floats]:
        """Return normal scores, see `Margins`."""
        upper = self.cumulative[c] / _WHOLE
        density = np.exp(-(special.ndtri(upper) ** 2) / 2) / np.sqrt(2 * np.pi)
        share = np.diff(upper, axis=1, prepend=0.0)
        score = -np.diff(density, axis=1, prepend=0.0) / np.maximum(share, 0.5 / _WHOLE)
        part = sparse.csr_matrix(values)
        at = np.searchsorted(self.edges, part.data, side="right") - 1
        data = score[part.indices, at] - score[part.indices, 0]
        scored = sparse.csr_matrix((data.astype(np.float32), part.indices, part.indptr), shape=part.shape)
        return scored, (share * score**2).sum(1)

    def values(self, normal: np.ndarray, c: int, rng: np.random.Generator) -> np.ndarray:
        """Return counts for normal variables, see `Margins`: any count of a wide bin is as likely as another."""
        limits = special.ndtri(self.cumulative[c] / _WHOLE).astype(np.float32)
        bins = np.zeros(normal.shape, np.int32)
        rows, columns = np.nonzero(normal > limits[:, 0])
        at = 1
        while len(rows):  # most values are small: only what is larger goes on
            bins[rows, columns] = at
            more = normal[rows, columns] > limits[columns, at]
            rows, columns, at = rows[more], columns[more], at + 1
        counts = self.edges[bins]
        wide = bins >= _EXACT
        counts[wide] = rng.integers(self.edges[bins[wide]], self.edges[bins[wide] + 1])
        return counts

    def arrays(self) -> Arrays:
        """Return what `from_arrays` reads."""
        return {"edges": self.edges, "cumulative": self.cumulative}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Read what `arrays` returned."""
        return cls(np.array(arrays["edges"]), np.array(arrays["cumulative"]))


def _edges(largest: int) -> np.ndarray:
    octaves = max(0.0, np.log2(max(largest, 1) / _EXACT)) + 1.0
    wide = np.round(_EXACT * 2 ** (np.arange(1, int(octaves * _PER_OCTAVE) + 2) / _PER_OCTAVE))
    return np.concatenate([np.arange(_EXACT + 1), wide]).astype(np.int64)


def _negative_binomial(edges: np.ndarray, moments: CountMoments, c: int, totals: Floats) -> Floats:
    """Distribution function ``[genes, bins]`` with the spread of library sizes in its dispersion."""
    mean = np.maximum(totals.mean() * moments.profiles[c], 1e-9)
    spread = totals.var() / max(totals.mean(), 1.0) ** 2
    size = 1 / np.maximum((1 + moments.dispersions[c]) * (1 + spread) - 1, 1e-4)
    chance = size / (size + mean)
    below: Floats = special.betainc(size[:, None], edges[None, 1:].astype(np.float64), chance[:, None])
    return below


@dataclass(frozen=True, eq=False)
class QuantileMargins:
    """Quantiles of values that are not counts.

    Attributes
    ----------
    floor
        Probability of the value zero, ``[classes, genes]``; 0 for intensities.
    quantiles
        Of the values above it, at 33 even levels, ``[classes, genes, 33]`` float32.
    """

    floor: Floats
    quantiles: np.ndarray

    @classmethod
    def of(cls, values: Values, classes: np.ndarray, n_classes: int, floor: bool) -> QuantileMargins:
        """Learn from values ``[cells, genes]``; a class of few cells borrows the shape of all cells.

        `floor` says whether zero is the least value, with a probability of its own.
        """
        pooled, stored = _quantiles(values, floor)
        quantiles = np.empty((n_classes, *pooled.shape), np.float32)
        shares = np.empty((n_classes, len(pooled)))
        own, numbers = np.zeros(quantiles.shape), np.zeros(shares.shape)
        cells = np.bincount(classes, minlength=n_classes).astype(float)
        for c in range(n_classes):
            own[c], numbers[c] = _quantiles(values[np.flatnonzero(classes == c)], floor)
        means = np.where(numbers > 0, own.mean(2), pooled.mean(1))
        spread = np.where(numbers > 1, own.var(2), pooled.var(1)) + 1e-12
        means = shrunk_means(means, spread / np.maximum(numbers, 1.0), cells)
        for c in range(n_classes):
            share = (numbers[c] / (numbers[c] + _CELLS))[:, None]
            borrowed = pooled - pooled.mean(1, keepdims=True) + means[c][:, None]
            mixture = share * own[c] + (1 - share) * borrowed
            quantiles[c] = np.maximum(mixture, 1e-6) if floor else mixture
            at_floor = 1 - stored / max(len(classes), 1)
            shares[c] = (cells[c] - numbers[c] + 2 * at_floor) / (cells[c] + 2)
        return cls(shares if floor else np.zeros_like(shares), quantiles)

    def scores(self, values: Values, c: int) -> tuple[Values, Floats]:
        """Return normal scores, see `Margins`: by ranks above the floor."""
        part = sparse.csc_matrix(values) if self.floor.any() else None
        n = values.shape[0]
        if part is None:
            order = np.argsort(np.argsort(np.asarray(values), axis=0, kind="stable"), axis=0, kind="stable")
            return special.ndtri((order + 0.5) / n).astype(np.float32), np.ones(values.shape[1])
        numbers = np.diff(part.indptr)
        column = np.repeat(np.arange(len(numbers)), numbers)
        order = np.lexsort((part.data, column))
        rank = np.empty(len(order))
        rank[order] = np.arange(len(order)) - part.indptr[column]
        zeros = (n - numbers) / n
        score = special.ndtri((n - numbers[column] + rank + 0.5) / n)
        density = np.exp(-(special.ndtri(np.clip(zeros, 1e-9, 1 - 1e-9)) ** 2) / 2) / np.sqrt(2 * np.pi)
        floor = np.where(zeros > 0, -density / np.maximum(zeros, 1e-9), 0.0)
        variance = np.bincount(column, score**2, len(numbers)) / n + zeros * floor**2
        data = (score - floor[column]).astype(np.float32)
        return sparse.csc_matrix((data, part.indices, part.indptr), shape=part.shape).tocsr(), variance

    def values(self, normal: np.ndarray, c: int, rng: np.random.Generator) -> np.ndarray:
        """Return values for normal variables, see `Margins`; `rng` is not used."""
        floor = self.floor[c]
        level = (special.ndtr(normal) - floor) / np.maximum(1 - floor, 1e-12)
        place = np.clip(level * len(_LEVELS) - 0.5, 0, len(_LEVELS) - 1)
        low = np.minimum(place.astype(np.int64), len(_LEVELS) - 2)
        columns = np.arange(normal.shape[1])
        below, over = self.quantiles[c][columns, low], self.quantiles[c][columns, low + 1]
        drawn: np.ndarray = np.where(level > 0, below + (place - low) * (over - below), 0.0)
        return drawn

    def arrays(self) -> Arrays:
        """Return what `from_arrays` reads."""
        return {"floor": self.floor, "quantiles": self.quantiles}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Read what `arrays` returned."""
        return cls(np.array(arrays["floor"]), np.array(arrays["quantiles"]))


def _quantiles(values: Values, floor: bool) -> tuple[Floats, Floats]:
    """Quantiles above the floor ``[genes, 33]``, and how many values there are, ``[genes]``."""
    n, genes = values.shape
    if floor:
        part = sparse.csc_matrix(values)
        column = np.repeat(np.arange(genes), np.diff(part.indptr))
        ordered, start = part.data[np.lexsort((part.data, column))], part.indptr[:-1].astype(np.int64)
        numbers = np.diff(part.indptr).astype(np.int64)
    else:
        ordered = np.sort(np.asarray(values), axis=0).T.ravel()
        start, numbers = np.arange(genes, dtype=np.int64) * n, np.full(genes, n)
    if not len(ordered):
        return np.zeros((genes, len(_LEVELS))), numbers.astype(float)
    # Hazen's quantiles: the i-th of n values stands at (i + 1/2) / n
    place = np.clip(numbers[:, None] * _LEVELS - 0.5, 0, np.maximum(numbers - 1, 0)[:, None])
    low = place.astype(np.int64)
    high = np.minimum(low + 1, np.maximum(numbers - 1, 0)[:, None])
    last = len(ordered) - 1
    lower = ordered[np.minimum(start[:, None] + low, last)]
    upper = ordered[np.minimum(start[:, None] + high, last)]
    quantiles = np.where(numbers[:, None] > 0, lower + (place - low) * (upper - lower), 0.0)
    return quantiles, numbers.astype(float)
