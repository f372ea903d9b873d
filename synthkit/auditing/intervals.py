"""Intervals at any level of confidence: shares, areas under a curve, true-positive rates at a false-positive rate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthkit.auditing.records import Estimate
from synthkit.evaluation.intervals import auc_variance

Floats = npt.NDArray[np.float64]
FAMILY = 0.95
"""Confidence with which all intervals of a family of attacks hold together."""


def adjusted(confidence: float, intervals: int) -> float:
    """Return the level that each of several intervals needs for all to hold together (Bonferroni).

    Parameters
    ----------
    confidence
        Of all together.
    intervals
        How many there are.
    """
    return 1 - (1 - confidence) / max(intervals, 1)


def share_estimate(hits: float, n: float, confidence: float, baseline: float = np.nan) -> Estimate:
    """Return a share with Wilson's interval.

    Parameters
    ----------
    hits, n
        Number of successes and of independent trials; with weights, effective numbers.
    confidence
        Level of the interval.
    baseline
        As in `Estimate`.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22.
    """
    if n <= 0:
        return Estimate(np.nan, baseline=baseline)
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    share = hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return Estimate(share, min(share, low), max(share, high), baseline)


def auc_estimate(members: Floats, nonmembers: Floats, confidence: float) -> Estimate:
    """Return the area under the ROC curve of two sets of scores with DeLong's interval; the baseline is 0.5.

    Parameters
    ----------
    members, nonmembers
        Scores of the targets; higher ones accuse.
    confidence
        Level of the interval.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44.
    """
    area, variance = auc_variance(members, nonmembers)
    # an area of 0 or 1 has no spread of its own: one target more could still be ranked otherwise
    least = 1.0 / (4 * min(len(members), len(nonmembers)) ** 2)
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * float(np.sqrt(max(variance, least)))
    return Estimate(area, max(0.0, area - half), min(1.0, area + half), 0.5)


def true_positive_estimate(members: Floats, nonmembers: Floats, rate: float, confidence: float) -> Estimate:
    """Return the share of members found at a false-positive rate, with an interval; the baseline is that rate.

    The threshold is the smallest score that at most that share of the non-members exceeds. The interval takes into
    account that the threshold is estimated too: how many non-members exceed the true threshold is binomial, which
    bounds it by two of their scores, and the true-positive rates there have Wilson's interval; each at half the error.
    Where perhaps no non-member exceeds the true threshold (fewer than about five are expected to), it may be higher
    than every score, and the interval starts at 0.

    Parameters
    ----------
    members, nonmembers
        Scores of the targets; higher ones accuse.
    rate
        False-positive rate, above 0 and below 1.
    confidence
        Level of the interval.
    """
    n = len(nonmembers)
    descending = np.sort(nonmembers)[::-1]
    ascending = np.sort(members)

    def found(k: int) -> int:
        """How many members score above a threshold that at most k non-members exceed; none where k is negative."""
        if k < 0:
            return 0
        threshold = descending[k] if k < n else -np.inf
        return int(len(ascending) - np.searchsorted(ascending, threshold, side="right"))

    allowed = int(np.floor(rate * n))
    # positions between which the true threshold of that rate lies (order statistics are binomial)
    error = (1 - confidence) / 2
    fewest = int(stats.binom.ppf(error / 2, n, rate))
    most = int(stats.binom.ppf(1 - error / 2, n, rate))
    inner = 1 - error
    value = found(allowed) / len(members)
    low = share_estimate(found(fewest - 1), len(members), inner).low
    high = share_estimate(found(most), len(members), inner).high
    return Estimate(value, min(value, low), max(value, high), rate)
