"""Intervals of scores of two sets of cells: groups of either are left out in turn (delete-a-group jackknife)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.intervals import NORMAL, Floats

Codes = npt.NDArray[np.int64]
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Parts(Protocol[T_co]):
    """What a score needs of a set of cells, as a whole and without one of its groups."""

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        ...

    def without(self, group: int | None) -> T_co:
        """Return what the score needs, of all cells (None) or without those of a group."""
        ...


@dataclass(frozen=True)
class Interval:
    """A value with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over the cells of each group: a score that needs sums alone costs as much without a group as with all.

    Attributes
    ----------
    by_group
        Arrays whose first axis is the group.
    """

    by_group: Mapping[str, Floats]

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(next(iter(self.by_group.values())))

    def without(self, group: int | None) -> dict[str, Floats]:
        """Return the sums over all cells, or over those that are not in the group."""
        return {
            name: sums.sum(axis=0) - (0.0 if group is None else sums[group]) for name, sums in self.by_group.items()
        }


@dataclass(frozen=True, eq=False)
class Values:
    """A value or a row of values of each cell, with its group.

    Attributes
    ----------
    values
        ``[cells]`` or ``[cells, values]``.
    groups
        ``[cells]``.
    """

    values: Floats
    groups: Codes

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.groups.max()) + 1

    def without(self, group: int | None) -> Floats:
        """Return the values of all cells, or of those that are not in the group."""
        return self.values if group is None else self.values[self.groups != group]


def two_sided(
    statistic: Callable[[T, T], Mapping[str, float]], first: Parts[T], second: Parts[T]
) -> dict[str, Interval]:
    """Return scores of two sets of cells with their intervals.

    Parameters
    ----------
    statistic
        Gives scores by name from what it needs of either set.
    first, second
        The sets. Those whose cells are one group have no share in the interval.

    Returns
    -------
    dict
        Value and 95 % interval by name: the variance is the sum of the jackknife variances of either set.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 11.
    """
    whole = (first.without(None), second.without(None))
    values = statistic(*whole)
    variances = dict.fromkeys(values, 0.0)
    for side, parts in enumerate((first, second)):
        groups = parts.n_groups
        if groups < 2:
            continue
        left = [
            statistic(parts.without(group), whole[1]) if side == 0 else statistic(whole[0], parts.without(group))
            for group in range(groups)
        ]
        for name in values:
            found = np.array([one[name] for one in left])
            found = found[np.isfinite(found)]
            if len(found) > 1:
                spread = float(((found - found.mean()) ** 2).sum())
                variances[name] += (len(found) - 1) / len(found) * spread
    return {name: around(value, NORMAL * math.sqrt(variances[name])) for name, value in values.items()}


def around(value: float, half: float) -> Interval:
    """Return a value with an interval that reaches equally far to both sides."""
    return Interval(value, value - half, value + half)
