"""What is released of private expression: counts, levels, class means and covariance, each with noise and each once.

The releases follow one another. Later ones measure from where earlier ones say that the middle is, so that what is
measured is short and needs little noise: genes from zero, classes from the mean of all, covariance around the classes.

Noisy class means in a subspace that is public are the one thing that a budget buys at many more genes than people
(`docs/how-to/private-expression.md`). The Gaussian mechanism on moments: Dwork et al. (2014), Analyze Gauss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from synthkit.expression.loadings import PublicLoadings
from synthkit.expression.private_plan import (
    CLASS_GENES,
    CLASSES,
    COVARIANCE,
    GENES,
    LENGTHS,
    LIBRARY,
    MEANS,
    MomentsPlan,
)
from synthkit.expression.private_sums import Cells, Vectors, clipped, noisy_sums, one_hot
from synthkit.expression.shrinking import shrunk
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.wording import DONOR

Floats = NDArray[np.float64]

LIBRARY_EDGES: Floats = np.asarray(2.0 ** np.arange(33), np.float64)
"""Public bins of library sizes: factors of two."""
LENGTH_EDGES: Floats = 2.0 ** (np.arange(-12, 29) / 2)
"""Public bins of distances from the mean: factors of the root of two."""
_WITHIN, _WITHIN_CLASS = 0.9, 0.75  # of all units and of those of a class, that a bound on lengths leaves alone
_STANDS_OUT = 4.0  # standard deviations of the noise
_SCALAR_SHARE = 0.05  # of the squared norm of a unit's vector of class means, for each of the numbers beside them
_SCALARS = 4
_SPREADS = (0.25, 4.0)  # of the variance of a class over that of all
_LEAST_SHARE = 1e-3  # of a class, over the number of classes, so that each can be drawn
_FEWEST = 1.0  # units of a class, that a noisy count is taken to mean at least
_WIDTH = 3.0  # standard deviations of library sizes that are told apart


@dataclass(frozen=True, eq=False)
class NoisyMoments:
    """What was released, as far as it is made of noisy numbers alone.

    Attributes
    ----------
    weights
        Units of each class, a unit with several classes counting for each by one over the root of their number
        ``[K]``, at least 1.
    shares
        Share of each class among units, ``[K]``, which sums to 1.
    levels
        Mean of ``log(1 + counts per 10,000)`` of each gene in each class ``[K, genes]``.
    means
        Mean of each class along the loadings, from its levels ``[K, k]``, in units of the loadings' scales.
    covariance
        Around them ``[1 or K, k, k]``, not yet repaired.
    covariance_error
        Standard deviation of the noise in each of its entries ``[1 or K]``.
    spreads
        Variance of each class over that of the covariance that it shares ``[K]``; ones where each has its own.
    library
        Mean and standard deviation of the logarithm of the library size of each class ``[K, 2]``.
    scatter
        Variance within classes, summed over all genes, and the standard deviation of its noise.
    bounds
        Single numbers that were bought, by name: lengths, the middle of the library sizes, the number of units.
    """

    weights: Floats
    shares: Floats
    levels: Floats
    means: Floats
    covariance: Floats
    covariance_error: Floats
    spreads: Floats
    library: Floats
    scatter: tuple[float, float]
    bounds: dict[str, float]


class MomentsRelease:
    """One release, event by event.

    Parameters
    ----------
    rows
        Private cells, from `synthkit.expression.private_sums.private_rows`.
    plan
        What is read, with which noise.
    loadings
        Public.
    noise
        Where the noise comes from.
    longest
        Public bound on the length of a cell's vector of log expression; what is longer is cut to it.
    counts
        Public number of units of each class, or None.

    Privacy
    -------
    All events of the plan, each spent once and in its order. Between them nothing but what was released is used.
    Adjacency: add or remove one unit, a donor with all cells or a cell ("replace-one" where the budget says so).
    """

    def __init__(
        self,
        rows: PrivateRows,
        plan: MomentsPlan,
        loadings: PublicLoadings,
        noise: NoiseSource,
        *,
        longest: float,
        counts: tuple[int, ...] = (),
    ) -> None:
        self._rows, self._plan, self._loadings, self._noise = rows, plan, loadings, noise
        self._longest, self._counts = longest, np.array(counts, np.float64)
        self._k = plan.shape.classes
        self._units = float(plan.shape.records)
        self._squares = (np.ones(self._k), np.ones(self._k))
        self._scatter = (0.0, math.inf)

    def run(self) -> NoisyMoments:
        """Spend all events, and return what came of them."""
        weights, shares = self._class_counts()
        middle, spread = self._library_size()
        level = self._gene_levels()
        gene_bound, bound = self._lengths(level)
        levels = np.repeat(level[None], self._k, axis=0)
        if CLASS_GENES in self._plan.events:
            levels = (levels + self._class_levels(level, gene_bound, weights)).clip(min=0.0)
        origin = levels @ self._loadings.basis
        means, library = self._class_means(levels, (weights, shares), (gene_bound, bound), (middle, spread))
        covariance, error = self._covariance(origin, means, bound, weights)
        said = {"length": bound, "gene_length": gene_bound, "library": math.exp(middle), "units": self._units}
        return NoisyMoments(
            weights, shares, levels, means, covariance, error, self._spreads(covariance, shares), library,
            self._scatter, said,
        )  # fmt: skip

    # -- events, in their order ---------------------------------------------------------------------------------------

    def _class_counts(self) -> tuple[Floats, Floats]:
        """Weights and shares of the classes, ``[K]`` each."""
        n, k = float(self._plan.shape.records), self._k
        if CLASSES not in self._plan.events:
            counts = self._counts if len(self._counts) else np.full(k, n / k)
            return counts.clip(min=_FEWEST), counts / counts.sum()
        donors = self._plan.budget.unit == DONOR
        found = self._sums(CLASSES, _weights_and_shares if donors else _ones, 2 if donors else 1, k)
        weights, shares = found[:, 0], found[:, -1]
        if donors:
            weights, shares = weights * math.sqrt(2), shares * math.sqrt(2)
        self._units = max(float(shares.sum()), _FEWEST)
        kept = shares.clip(min=self._units * _LEAST_SHARE / k)
        return weights.clip(min=_FEWEST), kept / kept.sum()

    def _library_size(self) -> tuple[float, float]:
        """Middle and spread of the logarithms of library sizes, from public bins."""
        bins = self._sums(LIBRARY, lambda cells: one_hot(cells.totals, LIBRARY_EDGES), len(LIBRARY_EDGES) - 1)
        run = _mode_run(bins, self._plan.sigma(LIBRARY))
        centres = np.log(LIBRARY_EDGES[:-1]) + math.log(2) / 2
        shares = bins[run] / bins[run].sum()
        middle = float(shares @ centres[run])
        variance = float(shares @ (centres[run] - middle) ** 2)
        return middle, max(math.sqrt(variance), math.log(2) / 2)

    def _gene_levels(self) -> Floats:
        """Mean log expression of each gene ``[genes]``, public or bought."""
        if self._loadings.levels is not None and GENES not in self._plan.events:
            return self._loadings.levels
        longest = self._longest

        def vectors(cells: Cells) -> Any:
            lengths = np.sqrt(np.asarray(cells.logs.multiply(cells.logs).sum(axis=1)).ravel())
            return sparse.diags(1 / np.maximum(lengths, longest)) @ cells.logs

        found = self._sums(GENES, vectors, self._plan.shape.genes) * (longest / self._units)
        return shrunk(found, self._plan.sigma(GENES) * longest / self._units).clip(min=0.0)

    def _lengths(self, level: Floats) -> tuple[float, float]:
        """Bounds on how far cells are from the mean: over all genes, and along the loadings."""
        basis, scales = self._loadings.basis, self._loadings.scales
        bins, origin, one_level = len(LENGTH_EDGES) - 1, level @ basis, level[None]

        def vectors(cells: Cells) -> Floats:
            lengths: Floats = np.sqrt((((cells.logs @ basis - origin) / scales) ** 2).sum(1))
            along = one_hot(lengths, LENGTH_EDGES)
            # the root of a half for each of the two blocks: together they have a norm of 1
            return np.hstack([along, one_hot(_distances(cells, one_level), LENGTH_EDGES)]) * math.sqrt(0.5)

        found = self._sums(LENGTHS, vectors, bins * 2, self._k).reshape(self._k, -1)
        error = self._plan.sigma(LENGTHS)
        return _length_within(found[:, bins:], error), _length_within(found[:, :bins], error)

    def _class_levels(self, level: Floats, bound: float, weights: Floats) -> Floats:
        """How far the classes are from the mean, gene by gene ``[K, genes]``, as far as noise lets tell."""

        def vectors(cells: Cells) -> Floats:
            return clipped(cells.logs.toarray() - level, bound)

        found = self._sums(CLASS_GENES, vectors, len(level), self._k) * (bound / weights[:, None])
        errors = self._plan.sigma(CLASS_GENES) * bound / weights
        return np.stack([shrunk(row, float(error)) for row, error in zip(found, errors, strict=True)])

    def _class_means(
        self, levels: Floats, counts: tuple[Floats, Floats], bounds: tuple[float, float], library: tuple[float, float]
    ) -> tuple[Floats, Floats]:
        """Means along the loadings from `levels` ``[K, k]``, and library sizes ``[K, 2]``."""
        basis, scales = self._loadings.basis, self._loadings.scales
        (weights, shares), (gene_bound, bound), origin = counts, bounds, levels @ basis
        middle, spread = library
        one, rest, k = math.sqrt(_SCALAR_SHARE), math.sqrt(1 - _SCALARS * _SCALAR_SHARE), self._loadings.dimensions

        def vectors(cells: Cells) -> Floats:
            along = clipped((cells.logs @ basis - origin[cells.classes]) / scales, bound)
            size = ((np.log(cells.totals.clip(min=1.0)) - middle) / (_WIDTH * spread)).clip(-1.0, 1.0)[:, None]
            squares = (along**2).sum(1, keepdims=True)
            far = ((_distances(cells, levels) / gene_bound) ** 2).clip(max=1.0)[:, None]
            return np.hstack([along * rest, np.hstack([size, size**2, squares, far]) * one])

        found = self._sums(MEANS, vectors, k + _SCALARS, self._k) / weights[:, None]
        errors = self._plan.sigma(MEANS) / weights
        means = np.stack(
            [
                shrunk(row * bound / rest, float(error) * bound / rest)
                for row, error in zip(found[:, :k], errors, strict=True)
            ]
        )
        scalars, error = found[:, k:] / one, errors[:, None] / one
        # a class whose noise is as wide as what is told apart has the library size of all
        trust = 1 / (1 + (error * _WIDTH) ** 2)
        sizes = trust * scalars[:, :2] + (1 - trust) * np.array([0.0, 1 / _WIDTH**2])
        mean = sizes[:, 0].clip(-1.0, 1.0)
        deviation = np.sqrt((sizes[:, 1] - mean**2).clip(min=(0.2 / _WIDTH) ** 2, max=(2.0 / _WIDTH) ** 2))
        self._squares = scalars[:, 2] * bound**2 - (means**2).sum(1), errors / one * bound**2
        moved = ((means * scales) ** 2).sum(1)
        self._scatter = (
            float(shares @ (scalars[:, 3] * gene_bound**2 - moved)),
            float(np.linalg.norm(shares * error[:, 0])) * gene_bound**2,
        )
        return means, np.stack([middle + mean * _WIDTH * spread, deviation * _WIDTH * spread], 1)

    def _covariance(self, origin: Floats, means: Floats, bound: float, weights: Floats) -> tuple[Floats, Floats]:
        """Second moments along the loadings around the class means ``[1 or K, k, k]``, and the error of an entry."""
        basis, scales, k = self._loadings.basis, self._loadings.scales, self._loadings.dimensions
        rows, columns = np.triu_indices(k)
        # an entry beside the diagonal stands for two, so that the vector is as long as the matrix
        double = np.where(rows == columns, 1.0, math.sqrt(2))

        def vectors(cells: Cells) -> Floats:
            own = (cells.logs @ basis - origin[cells.classes]) / scales - means[cells.classes]
            along = clipped(own, bound)
            products: Floats = along[:, rows] * along[:, columns] * double
            return products

        by_class = self._plan.shape.covariance == "by class" and self._k > 1
        found = self._sums(COVARIANCE, vectors, len(rows), self._k if by_class else 0).reshape(-1, len(rows))
        counts = weights if by_class else np.array([self._units])
        matrices = np.zeros((len(found), k, k))
        matrices[:, rows, columns] = found / double * bound**2 / counts[:, None]
        matrices[:, columns, rows] = matrices[:, rows, columns]
        return matrices, self._plan.sigma(COVARIANCE) / math.sqrt(2) * bound**2 / counts

    def _spreads(self, covariance: Floats, shares: Floats) -> Floats:
        """Variance of each class over that of all ``[K]``, as far as noise lets tell."""
        if len(covariance) > 1 or self._k == 1:
            return np.ones(self._k)
        squares, errors = self._squares
        # by their own mean, so that classes average to one whatever was cut off by the bound
        typical = max(float(shares @ squares), 1e-9)
        trust = 1 / (1 + (errors / typical) ** 2)
        found: Floats = (trust * squares / typical + 1 - trust).clip(*_SPREADS)
        return found

    def _sums(self, name: str, vectors: Vectors, width: int, classes: int = 0) -> Floats:
        genes = self._plan.shape.genes
        return noisy_sums(self._rows, self._plan.events[name], vectors, width, genes, self._noise, classes=classes)


def _ones(cells: Cells) -> Floats:
    return np.ones((len(cells.classes), 1))


def _weights_and_shares(cells: Cells) -> Floats:
    """Of each cell, so that its unit adds its weight and its share to its class: both over the root of 2, ``[n, 2]``.

    A unit with m classes weighs 1 / sqrt(m) in each; the shares of its cells sum to 1. Together that is a norm of 1.
    """
    k = int(cells.classes.max()) + 1
    table = np.zeros((cells.n_units, k))
    np.add.at(table, (cells.units, cells.classes), 1.0)
    present = (table > 0).sum(1)
    share = table[cells.units, cells.classes] / table.sum(1)[cells.units]
    # averaging multiplies by the weight, so that the share is divided by it
    return np.stack([np.ones(len(share)), share * np.sqrt(present[cells.units])], 1) * math.sqrt(0.5)


def _distances(cells: Cells, levels: Floats) -> Floats:
    """Distance of each cell from the levels of its class (of all, where there are one), without making it dense."""
    of = cells.classes if len(levels) > 1 else np.zeros(len(cells.classes), np.int64)
    along = (cells.logs @ levels.T)[np.arange(len(of)), of]
    squares = np.asarray(cells.logs.multiply(cells.logs).sum(axis=1)).ravel() - 2 * along + (levels**2).sum(1)[of]
    found: Floats = np.sqrt(squares.clip(min=0.0))
    return found


def _mode_run(bins: Floats, error: float) -> slice:
    """Return the bins around the fullest one that stand out of the noise without a gap."""
    start = stop = int(bins.argmax())
    while start > 0 and bins[start - 1] > 2 * error:
        start -= 1
    while stop < len(bins) - 1 and bins[stop + 1] > 2 * error:
        stop += 1
    return slice(start, stop + 1)


def _length_within(bins: Floats, error: float) -> float:
    """Return a length within which most cells are, and most of each class that stands out of the noise.

    A rare class is often the farthest from the mean of all; a bound by all cells would cut it short.
    """
    found = [_quantile(bins.sum(0), error * math.sqrt(len(bins)), _WITHIN)]
    found += [_quantile(own, error, _WITHIN_CLASS) for own in bins if own.max() > _STANDS_OUT * error]
    return max(found)


def _quantile(bins: Floats, error: float, share: float) -> float:
    """Return the upper edge of the bin below which a share of the cells is, by noisy counts."""
    run = _mode_run(bins, error)
    own = bins[run].clip(min=1e-9)
    at = int(np.searchsorted(np.cumsum(own) / own.sum(), share))
    return float(LENGTH_EDGES[run.start + min(at, len(own) - 1) + 1])
