"""Membership by marginals: which values and pairs of values the release has more often than the population does.

Distances do not see a generator that draws each column from the very values of the training rows; a number that only
one record has gives that record away. Every one-way marginal and every two-way marginal is therefore compared value by
value, numbers too, without bins.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from synthkit.auditing.attacks.membership_scores import Columns, Floats, columns_of
from synthkit.auditing.case import AuditCase

MOST_PAIRS = 300
"""Pairs of columns that are compared; more are drawn at random."""
PSEUDO = 0.01
"""Reference rows that every cell has beyond those counted, so that a cell without any has a ratio."""

Codes = npt.NDArray[np.int64]


def marginal_scores(case: AuditCase) -> Floats:
    """Return for each target how much more often its values are in the release than in the population.

    For each column, the log of the ratio of the shares of its value among synthetic and among reference rows where it
    is positive, and the mean of the same for its pairs with other columns; summed over columns.

    Parameters
    ----------
    case
        What is attacked.

    Returns
    -------
    ndarray
        Score of each target, shape [targets].

    Notes
    -----
    With two columns a pair counts twice, once for either column. A share is (count + c) / rows, with c = `PSEUDO`
    scaled to the rows of the table, so that a cell that is in neither table has a log ratio of 0. On a real table a c
    of 0.1 or more found less, and so did numbers in 8 to 64 bins.
    """
    columns = columns_of(case)
    found = np.zeros(columns.targets.shape[1])
    for position in range(len(columns.sizes)):
        found += log_ratio(
            *(codes[position].astype(np.int64) for codes in (columns.synthetic, columns.reference, columns.targets))
        )
    pairs = list(combinations(range(len(columns.sizes)), 2))
    if not pairs:
        return found
    chosen = np.arange(len(pairs))
    if len(pairs) > MOST_PAIRS:
        chosen = np.sort(case.generator("marginal pairs").permutation(len(pairs))[:MOST_PAIRS])
    joint = np.zeros_like(found)
    for number in chosen:
        joint += log_ratio(*_pair(columns, *pairs[number]))
    # a column takes part in one pair fewer than there are columns
    return found + len(columns.sizes) * joint / len(chosen)


def log_ratio(synthetic: Codes, reference: Codes, targets: Codes, pseudo: float = PSEUDO) -> Floats:
    """Return for each target the log of the ratio of the shares of its cell among synthetic and reference rows, or 0.

    A cell that the release has too seldom counts 0: what a generator fails to draw tells nothing about members, and
    would drown what it draws too often.

    Parameters
    ----------
    synthetic, reference, targets
        Cell of each row, a number at least 0, shape [rows].
    pseudo
        Reference rows that every cell has beyond those counted.
    """
    cells, place = np.unique(targets, return_inverse=True)
    shares = [(_count(cells, rows) / len(rows)) + pseudo / len(reference) for rows in (synthetic, reference)]
    ratio: Floats = np.maximum(np.log(shares[0] / shares[1]), 0.0)
    return ratio[place]


def _count(cells: Codes, rows: Codes) -> Codes:
    """Return how many rows lie in each of some cells, which are sorted."""
    where = np.minimum(np.searchsorted(cells, rows), len(cells) - 1)
    return np.bincount(where[cells[where] == rows], minlength=len(cells))


def _pair(columns: Columns, first: int, second: int) -> tuple[Codes, Codes, Codes]:
    """Return the cell of each row in the two-way marginal of two columns."""
    size = columns.sizes[second]
    synthetic, reference, targets = (
        codes[first].astype(np.int64) * size + codes[second]
        for codes in (columns.synthetic, columns.reference, columns.targets)
    )
    return synthetic, reference, targets
