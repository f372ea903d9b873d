"""Intervals where several records are of one person: persons are drawn, not records, and intervals say so."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthkit.auditing.copy_rates import effective_number
from synthkit.auditing.intervals import auc_estimate, true_positive_estimate
from synthkit.auditing.records import Estimate

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
# From so many persons of either kind on, the rank test by the normal approximation is as good as the exact one.
_EXACT = 40


def auc_estimate_by_person(
    members: Floats, nonmembers: Floats, persons: tuple[Numbers, Numbers], confidence: float
) -> Estimate:
    """Return the area under the ROC curve of records, with an interval for other persons; the baseline is 0.5.

    Parameters
    ----------
    members, nonmembers
        Scores of the records; higher ones accuse.
    persons
        Number of the person of each member and of each non-member; nobody is both.
    confidence
        Level of the interval.

    Notes
    -----
    The interval is never shorter than that of as many independent records.

    References
    ----------
    Obuchowski (1997), Nonparametric analysis of clustered ROC curve data, Biometrics 53.
    """
    plain = auc_estimate(members, nonmembers, confidence)
    ranks = stats.rankdata(np.concatenate([members, nonmembers]))
    above = (ranks[: len(members)] - stats.rankdata(members)) / len(nonmembers)
    below = 1 - (ranks[len(members) :] - stats.rankdata(nonmembers)) / len(members)
    variance = sum(_variance_of_mean(parts, own) for parts, own in zip((above, below), persons, strict=True))
    freedom = min(len(np.unique(own)) for own in persons) - 1
    half = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * float(np.sqrt(variance)) if freedom > 0 else 1.0
    low, high = min(plain.low, plain.value - half), max(plain.high, plain.value + half)
    return Estimate(plain.value, max(0.0, low), min(1.0, high), 0.5)


def true_positive_estimate_by_person(
    members: Floats,
    nonmembers: Floats,
    rate: float,
    persons: tuple[Numbers, Numbers],
    confidence: float,
    random: np.random.Generator,
) -> Estimate:
    """Return the share of member records found at a false-positive rate, with an interval for other persons.

    Parameters
    ----------
    members, nonmembers
        Scores of the records; higher ones accuse.
    rate
        False-positive rate, above 0 and below 1.
    persons
        Number of the person of each member and of each non-member.
    confidence
        Level of the interval.
    random
        For the bootstrap of persons.

    Notes
    -----
    The interval for independent records, stretched by the design effect (Kish): the root of how many times fewer
    independent records would tell as much about the share that is found, or about the share of non-members accused.
    """
    plain = true_positive_estimate(members, nonmembers, rate, confidence)
    limit = np.sort(nonmembers)[::-1][min(len(nonmembers) - 1, int(np.floor(rate * len(nonmembers))))]
    wider = 1.0
    for scores, own in zip((members, nonmembers), persons, strict=True):
        numbers = np.unique(own, return_inverse=True)[1]
        marks = scores > limit
        if 0 < marks.mean() < 1:
            wider = max(wider, len(scores) / effective_number(marks, numbers.astype(np.int64), random))
    stretch = float(np.sqrt(wider))
    low = plain.value - stretch * (plain.value - plain.low)
    high = plain.value + stretch * (plain.high - plain.value)
    return Estimate(plain.value, max(0.0, low), min(1.0, high), rate)


def few_persons_estimate(members: Floats, nonmembers: Floats, confidence: float) -> Estimate:
    """Return the area under the ROC curve of two small sets of persons; the baseline is 0.5.

    Its interval is DeLong's, and leaves out 0.5 only where the rank test of Mann and Whitney, exact for small sets,
    rejects it as well: of few persons DeLong's is too sure.

    Parameters
    ----------
    members, nonmembers
        One score for each person; higher ones accuse.
    confidence
        Level of the interval.
    """
    plain = auc_estimate(members, nonmembers, confidence)
    scores = np.concatenate([members, nonmembers])
    ties = len(np.unique(scores)) < len(scores)
    exact = not ties and min(len(members), len(nonmembers)) < _EXACT
    method = "exact" if exact else "asymptotic"
    most = (1 - confidence) / 2
    low, high = plain.low, plain.high
    if low > 0.5 and stats.mannwhitneyu(members, nonmembers, alternative="greater", method=method).pvalue > most:
        low = 0.5
    if high < 0.5 and stats.mannwhitneyu(members, nonmembers, alternative="less", method=method).pvalue > most:
        high = 0.5
    return Estimate(plain.value, low, high, 0.5)


def _variance_of_mean(values: Floats, persons: Numbers) -> float:
    """Return the variance of a mean over records of which those of one person belong together."""
    _, numbers = np.unique(persons, return_inverse=True)
    count = int(numbers.max()) + 1
    if count < 2:
        return 0.0
    sums = np.bincount(numbers, weights=values - values.mean())
    return float((sums**2).sum() * count / (count - 1) / len(values) ** 2)
