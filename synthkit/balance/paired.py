"""Paired comparison of treatments over repeats that share rows: intervals, p-values, and what they allow to say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.intervals import LEVEL

Floats = npt.NDArray[np.float64]

SIGNIFICANCE = 1 - LEVEL
"""A p-value below this, after Holm's correction, is called significant."""


@dataclass(frozen=True)
class Difference:
    """The mean of a paired difference over repeats, with its 95 % interval.

    Attributes
    ----------
    mean, low, high
        Mean and ends of the interval.
    p
        Two-sided p-value of no difference; 1.0 with a single repeat, which shows nothing.
    adjusted
        The p-value after Holm's correction for the other differences it was tested with; `p` where there is one only.
    """

    mean: float
    low: float
    high: float
    p: float = math.nan
    adjusted: float = math.nan

    @property
    def sign(self) -> int:
        """1 if the interval lies above zero, -1 if below, 0 if it holds zero."""
        return int(self.low > 0) - int(self.high < 0)

    @property
    def significant(self) -> int:
        """1 for a significant gain after Holm's correction, -1 for a significant loss, 0 for neither."""
        return int(np.sign(self.mean)) if self.adjusted < SIGNIFICANCE else 0


def split_overlap(test_share: float) -> float:
    """Return what is added to 1 / repeats when the rows are split anew each time: test rows per training row.

    The training parts of repeated splits share most of their rows, so that the naive interval is too narrow.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52.
    """
    return test_share


def subsample_overlap(kept: float) -> float:
    """Return what is added to 1 / repeats when each repeat leaves out a share of fixed training and test rows.

    Repeats that keep the share r of the same rows vary by (1 - r) / r of what other rows would make them vary: the
    delete-d jackknife multiplies by the inverse.

    Parameters
    ----------
    kept
        Share of the rows that a repeat keeps, below 1.

    References
    ----------
    Shao and Wu (1989), A general theory for jackknife variance estimation, Annals of Statistics 17.
    """
    return kept / (1 - kept)


def repeated_mean(values: npt.ArrayLike, *, overlap: float) -> tuple[float, float, float]:
    """Return the mean of a measure over repeats and the ends of its 95 % interval.

    Parameters
    ----------
    values
        One value per repeat, shape [repeats].
    overlap
        What is added to 1 / repeats, because repeats share rows: see `split_overlap` and `subsample_overlap`.
    """
    from scipy import stats

    numbers = np.asarray(values, dtype=np.float64)
    n, mean = len(numbers), float(numbers.mean())
    if n < 2:
        return mean, -math.inf, math.inf
    half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * _error(numbers, overlap)
    return mean, mean - half, mean + half


def paired_difference(first: npt.ArrayLike, second: npt.ArrayLike, *, overlap: float) -> Difference:
    """Return the mean of first minus second over repeats, with an interval that allows for the rows that they share.

    Parameters
    ----------
    first, second
        The measure of two treatments on the same repeats, shape [repeats].
    overlap
        As in `repeated_mean`.
    """
    from scipy import stats

    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    mean, low, high = repeated_mean(difference, overlap=overlap)
    if len(difference) < 2:
        return Difference(mean, low, high, 1.0, 1.0)
    error = _error(difference, overlap)
    if error == 0:  # the same difference each time
        p = 1.0 if mean == 0 else 0.0
    else:
        p = float(2 * stats.t.sf(abs(mean) / error, len(difference) - 1))
    return Difference(mean, low, high, p, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that the chance of any false finding among them is bounded.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6.
    """
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def differences_from(
    reference: str, values: Mapping[str, npt.ArrayLike], *, overlap: float, higher: bool
) -> dict[str, Difference]:
    """Return how much better each other treatment is than one of them, corrected by Holm for all these differences.

    Parameters
    ----------
    reference
        The treatment that the others are compared with.
    values
        The measure of each treatment on the same repeats, shape [repeats] each.
    overlap
        As in `repeated_mean`.
    higher
        Whether more is better; otherwise the signs are turned, so that a positive difference is always a gain.
    """
    sign = 1.0 if higher else -1.0
    own = sign * np.asarray(values[reference], dtype=np.float64)
    found = {
        name: paired_difference(sign * np.asarray(other, dtype=np.float64), own, overlap=overlap)
        for name, other in values.items()
        if name != reference
    }
    adjusted = holm([difference.p for difference in found.values()])
    return {
        name: Difference(one.mean, one.low, one.high, one.p, p)
        for (name, one), p in zip(found.items(), adjusted, strict=True)
    }


@dataclass(frozen=True)
class Choice:
    """Which treatment to take, for one model and one measure.

    Attributes
    ----------
    recommended
        The simplest treatment that is not significantly worse.
    best
        The treatment with the best mean.
    gains
        Each other treatment minus doing nothing, positive where it is better.
    behind
        Each other treatment minus the best one, negative where it is worse.
    helpful
        The treatments that are significantly better than doing nothing, simplest first.
    """

    recommended: str
    best: str
    gains: Mapping[str, Difference]
    behind: Mapping[str, Difference]
    helpful: tuple[str, ...]


def choose(values: Mapping[str, npt.ArrayLike], *, overlap: float, higher: bool, control: str = "none") -> Choice:
    """Choose the simplest treatment that is not significantly worse than the best one.

    There are two families of tests, each corrected by Holm: every treatment against the best, and every treatment
    against doing nothing. Doing nothing is not recommended either where a treatment that is not the best is
    significantly better than it.

    Parameters
    ----------
    values
        The measure of each treatment on the same repeats, shape [repeats] each; from the simplest to the least simple.
    overlap
        As in `repeated_mean`.
    higher
        Whether more is better.
    control
        The treatment that does nothing; must be there.
    """
    sign = 1.0 if higher else -1.0
    # of treatments that are equally good the simplest is the best
    best = max(values, key=lambda name: sign * float(np.mean(np.asarray(values[name], dtype=np.float64))))
    behind = differences_from(best, values, overlap=overlap, higher=higher)
    gains = differences_from(control, values, overlap=overlap, higher=higher)
    helpful = [name for name in values if name in gains and gains[name].significant > 0]
    if best not in (control, *helpful) and behind[control].significant < 0:
        helpful = [name for name in values if name in (best, *helpful)]
    ruled_out = {name for name, difference in behind.items() if difference.significant < 0}
    ruled_out |= {control} if helpful else set()
    recommended = next(name for name in values if name not in ruled_out)
    return Choice(recommended, best, gains, behind, tuple(helpful))


def _error(values: Floats, overlap: float) -> float:
    """Return the standard error of the mean of values of repeats that share rows."""
    return float(np.sqrt((1 / len(values) + overlap) * values.var(ddof=1)))
