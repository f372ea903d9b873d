"""Noisy counts of codes: one column, pairs of columns, the number of rows, and scores of dependence.

All are sums over rows, so that one row changes them by an amount that does not depend on the other rows. A code outside
its declared domain is not counted: a table with such a row looks like one without it, and nothing is raised that would
tell them apart. Noise is the discrete Gaussian, exact on whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import PrivacyError
from synthkit.privacy.noise import NoiseSource

Codes = NDArray[np.integer]
Counts = NDArray[np.int64]
Pairs = Sequence[tuple[int, int]]

# Scores are rounded down to this part of a count, so that exact noise on whole numbers fits them.
SCORE_STEPS = 16


def counts_of(codes: Codes, size: int) -> Counts:
    """Return how often each code 0 to size - 1 occurs; other codes are not counted. Exact, so private.

    Parameters
    ----------
    codes
        Shape [n].
    size
        Number of symbols that the column is declared to have.

    Returns
    -------
    NDArray[int64]
        Shape [size].
    """
    return np.bincount(_declared(np.asarray(codes), size), minlength=size + 1)[:size].astype(np.int64, copy=False)


def pair_counts(codes: Codes, sizes: Sequence[int], pairs: Pairs) -> list[Counts]:
    """Return how often each pair of codes occurs together, for each pair of columns. Exact, so private.

    A row whose code is out of its domain in one of the two columns is not counted in their table.

    Parameters
    ----------
    codes
        Shape [n, C].
    sizes
        Number of symbols of each column, C of them.
    pairs
        Pairs of columns to count.

    Returns
    -------
    list of NDArray[int64]
        One table per pair, shape [sizes[i], sizes[j]].
    """
    table = np.asarray(codes)
    if table.ndim != 2 or table.shape[1] != len(sizes):
        # without the number of rows, which is private
        found = f"{table.shape[1]} columns" if table.ndim == 2 else f"an array of {table.ndim} dimensions"
        raise PrivacyError(
            f"the codes of private rows must have one column for each of the {len(sizes)} sizes, got {found}",
            remedy="Give codes of shape [n, C] and C sizes.",
        )
    used = {column for pair in pairs for column in pair}
    columns = {column: _declared(table[:, column], sizes[column]) for column in used}
    tables = []
    for first, second in pairs:
        height, width = sizes[first] + 1, sizes[second] + 1
        cells = np.bincount(columns[first] * width + columns[second], minlength=height * width)
        tables.append(cells.reshape(height, width)[:-1, :-1].astype(np.int64))
    return tables


def noisy_histogram(codes: Codes, size: int, sigma: float, noise: NoiseSource) -> Counts:
    """Count each symbol of a column, with noise.

    Parameters
    ----------
    codes
        Private, shape [n]; codes outside 0 to size - 1 are not counted.
    size
        Number of symbols, declared.
    sigma
        Scale of the noise in rows.
    noise
        Where the noise comes from.

    Returns
    -------
    NDArray[int64]
        Noisy counts, shape [size]; they may be negative.

    Privacy
    -------
    Gaussian mechanism. L2 sensitivity: a row is in one cell, so 1 when rows are added or removed, sqrt(2) when one is
    replaced.
    """
    return counts_of(codes, size) + noise.discrete_gaussian(sigma, size)


def noisy_total(values: NDArray[np.generic], sigma: float, noise: NoiseSource) -> int:
    """Count the rows, with noise.

    Parameters
    ----------
    values
        Any private array with one entry per row, shape [n] or [n, ...].
    sigma
        Scale of the noise in rows.
    noise
        Where the noise comes from.

    Returns
    -------
    int
        Noisy number of rows; may be negative.

    Privacy
    -------
    Gaussian mechanism. Sensitivity 1 when rows are added or removed, 0 when one is replaced. A replaced unit may have
    more or fewer rows than the other, so for units of several rows it is not 0.
    """
    return len(values) + int(noise.discrete_gaussian(sigma, 1)[0])


def noisy_pair_counts(
    codes: Codes, sizes: Sequence[int], pairs: Pairs, sigma: float | Sequence[float], noise: NoiseSource
) -> list[Counts]:
    """Count each pair of symbols of each pair of columns, with noise.

    Parameters
    ----------
    codes
        Private, shape [n, C]; a code outside its domain is not counted.
    sizes
        Number of symbols of each column, declared.
    pairs
        Pairs of columns to count, chosen without looking at the data.
    sigma
        Scale of the noise in rows, the same for all pairs or one for each.
    noise
        Where the noise comes from.

    Returns
    -------
    list of NDArray[int64]
        Noisy tables, shape [sizes[i], sizes[j]] each; cells may be negative.

    Privacy
    -------
    Gaussian mechanism. A row is in one cell of each table: L2 sensitivity 1 for each of the P tables, sqrt(P) together,
    when rows are added or removed; sqrt(2 P) when one is replaced. With a sigma for each table, the sum of 1 / sigma**2
    (or 2 / sigma**2) over the tables takes the place of P / sigma**2.
    """
    tables = pair_counts(codes, sizes, pairs)
    sigmas = [float(sigma)] * len(tables) if isinstance(sigma, int | float) else [float(one) for one in sigma]
    if len(sigmas) != len(tables):
        raise PrivacyError(f"noise for {len(tables)} tables needs as many sigmas, got {len(sigmas)}")
    for value in sorted(set(sigmas)):
        places = [place for place, one in enumerate(sigmas) if one == value]
        drawn = noise.discrete_gaussian(value, sum(tables[place].size for place in places))
        begin = 0
        for place in places:
            end = begin + tables[place].size
            tables[place] += drawn[begin:end].reshape(tables[place].shape)
            begin = end
    return tables


def dependence_steps(codes: Codes, sizes: Sequence[int], pairs: Pairs) -> Counts:
    """Return floor(SCORE_STEPS * sum |n_ij - n_i n_j / n|) of each pair. Exact, so private; shape [P]."""
    steps = np.zeros(len(pairs), np.int64)
    for place, table in enumerate(pair_counts(codes, sizes, pairs)):
        n = int(table.sum())
        if n:
            # n times the score, in whole numbers: below 4 n**2.
            scaled = int(np.abs(n * table - np.outer(table.sum(1), table.sum(0))).sum())
            steps[place] = SCORE_STEPS * scaled // n
    return steps


def dependence_scores(
    codes: Codes, sizes: Sequence[int], pairs: Pairs, sigma: float, noise: NoiseSource
) -> NDArray[np.float64]:
    """Measure how far each pair of columns is from independent, with noise: sum over cells of |n_ij - n_i n_j / n|.

    Parameters
    ----------
    codes
        Private, shape [n, C]; a code outside its domain is not counted.
    sizes
        Number of symbols of each column, declared.
    pairs
        Pairs of columns, chosen without looking at the data.
    sigma
        Scale of the noise in rows.
    noise
        Where the noise comes from.

    Returns
    -------
    NDArray[float64]
        Noisy scores in rows, shape [P], multiples of 1/16; 0 to 2 n before noise.

    Privacy
    -------
    Gaussian mechanism. Sensitivity at most 4 for each pair when rows are added or removed, so 4 sqrt(P) together in L2;
    twice that when one is replaced. The score is the one of PrivSyn (Zhang et al., USENIX Security 2021).

    Proof for one pair and a row added in cell (a, b) of a table with n rows, row sums r and column sums c (with n = 0
    the score is 0 before and after). Let d_ij be the change of n_ij - r_i c_j / n. The product has the margins of the
    table, so the d_ij sum to 0, and sum |d_ij| is twice the sum of the positive ones:

    - i != a and j != b: d_ij = r_i c_j / (n (n + 1)) >= 0, together (n - r_a) (n - c_b) / (n (n + 1));
    - i = a and j != b: d_aj = -c_j (n - r_a) / (n (n + 1)) <= 0, and likewise for j = b and i != a;
    - d_ab = 1 - (n (r_a + c_b + 1) - r_a c_b) / (n (n + 1)) = (n - r_a) (n - c_b) / (n (n + 1)) >= 0.

    So sum |d_ij| = 4 (n - r_a) (n - c_b) / (n (n + 1)) < 4, and the score changes by at most that. Rounding down to
    sixteenths, so that exact noise on whole numbers fits, turns a change below 4 into one of at most 4.
    """
    steps = dependence_steps(codes, sizes, pairs)
    return (steps + noise.discrete_gaussian(SCORE_STEPS * sigma, len(pairs))) / SCORE_STEPS


def block_sensitivity(adjacency: str, blocks: int, rows_per_unit: int = 1, each: float = 1.0) -> float:
    """Return the L2 sensitivity of tables in each of which a row is one cell.

    Parameters
    ----------
    adjacency
        "add-remove" or "replace-one".
    blocks
        Number of tables (or levels of a tree).
    rows_per_unit
        How many rows a unit has at most.
    each
        Change of a cell by one row.

    Returns
    -------
    float
        each * rows_per_unit * sqrt(blocks), times sqrt(2) when a unit is replaced.
    """
    return each * rows_per_unit * math.sqrt(blocks * by_adjacency(adjacency, 1, 2))


def by_adjacency(adjacency: str, add_remove: float, replace_one: float) -> float:
    """Return the number that belongs to an adjacency, or refuse an unknown one."""
    known = {"add-remove": add_remove, "replace-one": replace_one}
    if adjacency not in known:
        raise PrivacyError(f"adjacency must be 'add-remove' or 'replace-one', got {adjacency!r}")
    return known[adjacency]


def _declared(codes: Codes, size: int) -> NDArray[np.intp]:
    """Return the codes as whole numbers, those out of the domain as `size`; shape [n], contiguous."""
    if size < 1:
        raise PrivacyError(f"a column must be declared with at least one symbol, got {size}")
    whole = codes.astype(np.intp)
    return np.where((whole >= 0) & (whole < size), whole, size)
