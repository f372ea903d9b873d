"""Intervals of scores: means, areas under a curve, and anything that can be computed without a group of rows.

All are 95 % intervals. They say how far the number would move with other rows from the same two sources; they do not
cover another run of the generator.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]

LEVEL = 0.95
N_GROUPS = 20
# Half the width of a normal interval in standard deviations.
NORMAL = float(stats.norm.ppf(0.5 + LEVEL / 2))


def mean_interval(values: npt.NDArray[np.float64] | npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the mean of independent values and its interval.

    For values that are all 0 or 1 this is Wilson's interval, which keeps its width at a share of 0 or 1; otherwise the
    normal one.

    Parameters
    ----------
    values
        One value per row, shape [rows].

    Returns
    -------
    tuple of float
        Mean, lower end, upper end.
    """
    numbers = np.asarray(values, dtype=np.float64)
    n, mean = len(numbers), float(numbers.mean())
    if np.isin(numbers, (0.0, 1.0)).all():
        return wilson_interval(mean, n)
    half = NORMAL * float(numbers.std(ddof=1)) / np.sqrt(n)
    return mean, mean - half, mean + half


def wilson_interval(share: float, n: float) -> tuple[float, float, float]:
    """Return a share of independent rows and Wilson's interval.

    Parameters
    ----------
    share
        The share, from 0 to 1.
    n
        Number of rows; where rows depend on each other, of as many independent ones as tell as much.

    Returns
    -------
    tuple of float
        Share, lower end, upper end.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22.
    """
    centre = (share + NORMAL**2 / (2 * n)) / (1 + NORMAL**2 / n)
    half = NORMAL * np.sqrt(share * (1 - share) / n + NORMAL**2 / (4 * n**2)) / (1 + NORMAL**2 / n)
    # At a share of 0 or 1 the ends are the share itself, up to rounding.
    return share, min(share, max(0.0, float(centre - half))), max(share, min(1.0, float(centre + half)))


def auc_interval(positive: Floats, negative: Floats) -> tuple[float, float, float]:
    """Return the area under the ROC curve of two sets of scores and DeLong's interval.

    Parameters
    ----------
    positive, negative
        Scores of the rows of either class.

    Returns
    -------
    tuple of float
        Area (ties count one half), lower end, upper end.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44; computed by ranks as in Sun and Xu (2014).
    """
    area, variance = auc_variance(positive, negative)
    half = NORMAL * float(np.sqrt(variance))
    return area, max(0.0, area - half), min(1.0, area + half)


def auc_variance(positive: Floats, negative: Floats) -> tuple[float, float]:
    """Return the area under the ROC curve (ties count one half) and its variance, as in `auc_interval`."""
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    n_positive, n_negative = len(positive), len(negative)
    above = (ranks[:n_positive] - stats.rankdata(positive)) / n_negative
    below = 1 - (ranks[n_positive:] - stats.rankdata(negative)) / n_positive
    variance = above.var(ddof=1) / n_positive + below.var(ddof=1) / n_negative
    return float(above.mean()), float(variance)


def cross_validated_interval(area: float, low: float, high: float, folds: int) -> tuple[float, float]:
    """Return the interval of an area under the curve that was cross-validated, from DeLong's interval.

    Folds share their training rows, so that out-of-fold predictions depend on each other and DeLong's interval is too
    short: the variance is multiplied by one plus the number of folds times the ratio of test to training rows.

    Parameters
    ----------
    area, low, high
        The area over all out-of-fold predictions and DeLong's interval.
    folds
        Number of folds.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52.
    """
    wider = float(np.sqrt(1 + folds / (folds - 1)))
    return max(0.0, area - wider * (area - low)), min(1.0, area + wider * (high - area))


def jackknife_interval(value: float, without_group: Floats) -> tuple[float, float]:
    """Return the interval of a score from its values with one group of rows left out at a time.

    Parameters
    ----------
    value
        The score on all rows.
    without_group
        The score without each of the groups, which have about equally many rows, shape [groups].

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 11.
    """
    groups = len(without_group)
    spread = (groups - 1) / groups * float(((without_group - without_group.mean()) ** 2).sum())
    half = float(stats.t.ppf(0.5 + LEVEL / 2, groups - 1)) * float(np.sqrt(spread))
    return value - half, value + half


def groups_of(n_rows: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the group of each row: at most `N_GROUPS` groups of about equal size, drawn at random."""
    groups = max(2, min(N_GROUPS, n_rows // 2))
    return generator.permutation(np.arange(n_rows) % groups)
