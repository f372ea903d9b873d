"""Columns of numbers that are sums of others: exact linear relations whose factors are all one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
_MOST_PARTS = 20
_DEPENDENT = 1e-8  # relative length of what a column adds to those before it
_WHOLE = 1e-4
_OFTEN = 0.01  # share of rows in which a part must not be zero


def sums_among(numbers: Numbers) -> list[tuple[int, tuple[int, ...]]]:
    """Columns that are the sum of others, by their positions.

    Each column is taken apart along those before it (Gram-Schmidt, twice, after a column of ones). What is left of a
    column that follows from others is rounding, and solving for its factors tells whether they make a sum:
    ``z = x + y``, or ``z = x - y`` and so ``x = y + z``.

    Parameters
    ----------
    numbers : ndarray of float64 [n_rows, n_columns]
        NaN where missing; rows with a missing cell are left out. Needs twice as many rows as columns.

    Returns
    -------
    list of (int, tuple of int)
        Total and parts; a single part where two columns are equal.
    """
    rows = numbers[~np.isnan(numbers).any(axis=1)]
    n, columns = rows.shape
    if n < 2 * columns + 10:
        return []
    size = np.abs(rows).max(axis=0)
    useful = np.flatnonzero((size > 0) & ((rows != 0).mean(axis=0) >= _OFTEN) & (rows.std(axis=0) > 0))
    basis = np.empty((n, len(useful) + 1), order="F")
    basis[:, 0] = 1 / np.sqrt(n)
    chosen: list[int] = []
    found: list[tuple[int, tuple[int, ...]]] = []
    for column in useful.tolist():
        vector = rows[:, column] / size[column]
        span = basis[:, : len(chosen) + 1]
        rest = vector - span @ (span.T @ vector)
        rest -= span @ (span.T @ rest)
        length = float(np.linalg.norm(rest))
        if length > _DEPENDENT * float(np.linalg.norm(vector)):
            basis[:, len(chosen) + 1] = rest / length
            chosen.append(column)
        elif chosen:
            relation = _relation(rows, column, chosen)
            found += [relation] if relation is not None else []
    return found


def _relation(rows: Numbers, column: int, chosen: list[int]) -> tuple[int, tuple[int, ...]] | None:
    """The sum that a dependent column takes part in, if it is one."""
    scale = np.abs(rows[:, chosen]).max(axis=0)
    design = np.column_stack([np.ones(len(rows)), rows[:, chosen] / scale])
    size = float(np.abs(rows[:, column]).max())
    solved = np.linalg.lstsq(design, rows[:, column] / size, rcond=None)[0] * size
    offset, factors = float(solved[0]), solved[1:] / scale
    rounded = np.rint(factors)
    if abs(offset) > 1e-6 * size or np.abs(factors - rounded).max() > _WHOLE or np.abs(rounded).max() > 1:
        return None
    added = [chosen[place] for place in np.flatnonzero(rounded > 0)]
    taken = [chosen[place] for place in np.flatnonzero(rounded < 0)]
    if added and not taken and len(added) <= _MOST_PARTS:
        return column, tuple(added)
    if len(added) == 1 and len(taken) < _MOST_PARTS:
        return added[0], (column, *taken)
    return None
