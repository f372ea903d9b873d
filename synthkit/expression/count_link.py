"""From mean logarithms back to rates of counts: what rate makes counts whose mean logarithm is a given one.

The mean of ``log(1 + counts per 10,000)`` is far below the logarithm of the mean where most counts are zero. Taking
``exp`` of it would make frequent genes too frequent and rare ones too rare. The relation follows from public numbers
alone: library size, dispersion, and the law of the counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from synthkit.expression.loadings import TARGET

Floats = NDArray[np.float64]

_GRID = np.concatenate([[0.0], np.logspace(-5, 4, 181)])  # rates, in counts per 10,000
_LEVELS = (np.arange(64) + 0.5) / 64
_SURE = 60.0  # expected counts above which the scatter of a Poisson number no longer matters


@dataclass(frozen=True, eq=False)
class CountLink:
    """Mean and variance of log expression by rate, at one library size.

    Attributes
    ----------
    rates
        Counts per 10,000, rising, ``[points]``.
    means, variances
        Of ``log(1 + counts per 10,000)`` at these rates, ``[points]``.
    """

    rates: Floats
    means: Floats
    variances: Floats

    @classmethod
    def of(cls, library: float, dispersion: float) -> CountLink:
        """Work the relation out for negative binomial counts.

        Parameters
        ----------
        library
            Counts of a usual cell.
        dispersion
            phi of the variance ``mean + phi mean^2``; 0 for Poisson counts.
        """
        per_count = TARGET / library
        shape = 1 / max(dispersion, 1e-8)
        mixing = stats.gamma.ppf(_LEVELS, shape) / shape if dispersion > 0 else np.ones(1)
        mixing = mixing / mixing.mean()
        means, squares = np.zeros(len(_GRID)), np.zeros(len(_GRID))
        counts = np.arange(int(_SURE * 2.5))
        logs = np.log1p(counts * per_count)
        factorials = special.gammaln(counts + 1)
        for at, rate in enumerate(_GRID):
            expected = np.maximum(rate / per_count * mixing, 1e-300)
            few = expected <= _SURE
            chances = np.exp(counts * np.log(expected[few, None]) - expected[few, None] - factorials)
            large = np.log1p(expected[~few] * per_count)
            means[at] = ((chances @ logs).sum() + large.sum()) / len(mixing)
            # the scatter of a large Poisson number by its first order
            wide = expected[~few] * (per_count / (1 + expected[~few] * per_count)) ** 2
            squares[at] = ((chances @ logs**2).sum() + (large**2 + wide).sum()) / len(mixing)
        return cls(_GRID, np.maximum.accumulate(means), (squares - means**2).clip(min=0))

    def rate(self, means: Floats) -> Floats:
        """Return the counts per 10,000 that have these mean logarithms; below zero counts as zero."""
        # between grid points on the scale of logarithms, on which the relation is almost straight
        found: Floats = np.expm1(np.interp(means, self.means, np.log1p(self.rates)))
        return found

    def mean(self, rates: Floats) -> Floats:
        """Return the mean logarithms of counts that have these rates, in counts per 10,000."""
        found: Floats = np.interp(np.log1p(rates), np.log1p(self.rates), self.means)
        return found

    def variance(self, means: Floats) -> Floats:
        """Return the variance of the logarithms of counts that have these means."""
        found: Floats = np.interp(means, self.means, self.variances)
        return found
