"""Intervals of scores that rest on what is learned from the real rows: rules that they keep, pairs that are related.

Other real rows would teach other rules: one that all of these rows keep is broken by one of those.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from synthkit.evaluation.intervals import NORMAL, Floats, mean_interval

Codes = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

# A rule that more real rows break than this has practically no chance of being kept by as many other rows.
MOST_EXCEPTIONS = 7
# A rule that these rows keep may be broken by all but so small a share of the tables with as many other rows: lower
# 95 % limit of exp(-m), where m, the expected number of exceptions, is at most about 3 if there are none here.
LEAST_KEPT = 0.05
_DRAWS = 500


def most_kept(exceptions: Codes) -> Floats:
    """Return the share of tables with as many other rows that may keep a rule: upper 95 % limit, see `LEAST_KEPT`.

    Parameters
    ----------
    exceptions
        Number of these rows that break it, 0 for 1; shape [rules].
    """
    fewest_expected = special.gammaincinv(np.maximum(exceptions, 1), 0.05)
    return np.where(exceptions > 0, np.exp(-fewest_expected), 1.0)


class Attribution:
    """Which rule each row is put down to: of those that it breaks, the one that moves the score most.

    Two rules that the same rows break, such as those of a column and of its copy, so count once.

    Parameters
    ----------
    n_rows
        Number of rows.
    """

    def __init__(self, n_rows: int) -> None:
        self._rules = np.full(n_rows, -1, dtype=np.int64)
        self._chances, self._weights = np.zeros((2, n_rows))

    def add(self, rows: Codes, rules: Codes, chances: Floats) -> None:
        """Take in broken rules.

        Parameters
        ----------
        rows
            Rows that break a rule, each at most once, shape [broken].
        rules
            The rule that each of them breaks, numbered over all calls, shape [broken].
        chances
            In which share of other tables the rule may cease to be one, or become one, shape [broken].
        """
        _, places, counts = np.unique(rules, return_inverse=True, return_counts=True)
        weights = counts[places] * chances
        more = weights > self._weights[rows]
        rows = rows[more]
        self._rules[rows], self._chances[rows], self._weights[rows] = rules[more], chances[more], weights[more]

    def squares(self, among: Marks) -> float:
        """Return the summed squares of the share of rows of each rule times its chance, of the given rows."""
        counted = among & (self._rules >= 0)
        _, first, counts = np.unique(self._rules[counted], return_index=True, return_counts=True)
        return float(((counts * self._chances[counted][first] / max(len(among), 1)) ** 2).sum())


def rules_interval(marks: Marks, kept: Attribution, doubtful: Attribution) -> tuple[float, float, float]:
    """Return the share of rows that break a rule and its interval for other rows and for other rules.

    The ends of Wilson's interval and those of how often each rule is one are combined as independent errors. Where a
    single rule makes up the score, the lower end is near 0: by the rule of three as many other rows may well break it.

    Parameters
    ----------
    marks
        Which rows break a rule, shape [rows].
    kept
        The rules that these rows break.
    doubtful
        What some real rows break, and these rows too.

    References
    ----------
    Zou and Donner (2008), Statistics in Medicine 27: intervals of sums from those of their parts.
    """
    share, low, high = mean_interval(marks)
    below = float(np.hypot(share - low, np.sqrt(kept.squares(marks))))
    above = float(np.hypot(high - share, np.sqrt(doubtful.squares(~marks))))
    return share, max(0.0, share - below), min(1.0, share + above)


def selection_half_width(values: Floats, strengths: Floats, generator: np.random.Generator) -> float:
    """Return half the interval that a mean owes to which items count: those with a strength above 1.

    Strengths are drawn around those on all rows with twice their jackknife variance and their covariances: this is how
    far those of another table lie from those of this one, whose true strengths are not known either.

    Parameters
    ----------
    values
        What the mean is over, NaN where an item never counts, shape [items].
    strengths
        Strengths on all rows, then without each group, shape [1 + groups, items].
    generator
        Where randomness comes from.
    """
    strengths = strengths[:, ~np.isnan(values)]
    values, groups = values[~np.isnan(values)], len(strengths) - 1
    if groups < 2:
        return 0.0
    without = np.where(np.isnan(strengths[1:]), strengths[0], strengths[1:])
    deviations = (without - without.mean(axis=0)) * np.sqrt(2 * (groups - 1) / groups)
    counts = (strengths[0] + generator.standard_normal((_DRAWS, groups)) @ deviations > 1).astype(np.float64)
    counts = counts[counts.any(axis=1)]
    return NORMAL * float((counts @ values / counts.sum(axis=1)).std()) if len(counts) else 0.0
