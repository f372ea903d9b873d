"""What a table says about its domain and its people, bought from the budget: labels, and a bound on rows per person."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import PrivacyError
from synthkit.privacy.discrete import rational_above
from synthkit.privacy.noise import NoiseSource


@dataclass(frozen=True)
class Categories:
    """Labels that occur often enough to be published.

    Attributes
    ----------
    labels
        In alphabetical order, which says nothing about the data.
    counts
        Their noisy counts, shape [number of labels], each at least `threshold`.
    threshold
        The noisy count that a label needed.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    threshold: int


def label_counts(labels: NDArray[np.object_], missing: NDArray[np.bool_] | None = None) -> dict[str, int]:
    """Count each label that is no missing cell. Exact, so private."""
    absent = np.asarray(pd.isna(labels)) if missing is None else np.asarray(missing) | np.asarray(pd.isna(labels))
    return dict(Counter(str(label) for label in np.asarray(labels, dtype=object)[~absent]))


def private_categories(
    labels: NDArray[np.object_],
    epsilon: float,
    delta: float,
    noise: NoiseSource,
    *,
    missing: NDArray[np.bool_] | None = None,
    rows_per_unit: int = 1,
) -> Categories:
    """Find the labels of a column that occur often enough, with their noisy counts.

    A label that is not found is not in the domain of the model: cells that hold it are counted nowhere and can never be
    generated. How many they are is not released, it would cost more.

    Parameters
    ----------
    labels
        Private, shape [n]; compared as text. None and NaN are no labels.
    epsilon
        What the counts may cost, > 0.
    delta
        Probability with which a label that only one unit has may be published, 0 to 1 exclusive.
    noise
        Where the noise comes from.
    missing
        Cells to leave out besides, shape [n].
    rows_per_unit
        How many rows a unit has at most.

    Returns
    -------
    Categories
        Labels with noisy counts; possibly none.

    Privacy
    -------
    (epsilon, delta) differentially private when a unit is added or removed. Each occurring label is counted with
    discrete Laplace noise of scale rows_per_unit / epsilon. Labels that both neighbours have cost epsilon, as a unit
    changes the counts by at most rows_per_unit in L1. A label that only one of them has is published with a
    probability of at most delta / rows_per_unit, by `label_threshold`, and there are at most rows_per_unit of those.
    Korolova et al. (WWW 2009); Desfontaines, Voss, Gipson and Mandayam (PoPETs 2022).
    """
    threshold = label_threshold(epsilon, delta, rows_per_unit)
    exact = label_counts(labels, missing)
    names = sorted(exact)
    noisy = np.array([exact[name] for name in names], np.int64)
    noisy += noise.discrete_laplace(Fraction(rows_per_unit) / Fraction(epsilon), noisy.size)
    kept = noisy >= threshold
    return Categories(tuple(name for name, keep in zip(names, kept, strict=True) if keep), noisy[kept], threshold)


def label_threshold(epsilon: float, delta: float, rows_per_unit: int = 1) -> int:
    """Return the smallest noisy count from which on a label may be published.

    For continuous noise and one row it would be 1 + ln(1 / (2 delta)) / epsilon. The noise is whole numbers, of which
    P(noise >= m) = exp(-m epsilon / k) / (1 + exp(-epsilon / k)) for m >= 1, with k = rows_per_unit; the threshold is k
    more than the smallest m for which that is at most delta / k.

    Parameters
    ----------
    epsilon, delta
        The cost, as in `private_categories`.
    rows_per_unit
        How many rows a unit has at most.

    Returns
    -------
    int
        At least rows_per_unit + 1.

    Raises
    ------
    PrivacyError
        If epsilon, delta or rows_per_unit is out of range.
    """
    if not (math.isfinite(epsilon) and epsilon > 0 and 0 < delta < 1 and rows_per_unit >= 1):
        raise PrivacyError(
            "buying labels needs epsilon > 0, delta in (0, 1) and at least one row per unit, "
            f"got epsilon {epsilon}, delta {delta} and {rows_per_unit} rows",
            remedy="Give the labels of the column in the schema, or a positive share of the budget.",
        )
    # The scale that is drawn from is rounded up, which makes the tail a trace heavier.
    numerator, halvings = rational_above(Fraction(rows_per_unit) / Fraction(epsilon), "the scale")
    rate = 2.0**halvings / numerator
    wanted = math.log(rows_per_unit / delta) - math.log1p(math.exp(-rate))
    # Logarithm and quotient are rounded; a little more is never too little.
    return rows_per_unit + max(1, math.ceil(wanted / rate * (1 + 1e-12)))


def bound_contributions(units: NDArray[np.generic], rows_per_unit: int, noise: NoiseSource) -> NDArray[np.bool_]:
    """Choose at most `rows_per_unit` rows of each unit, at random.

    Which rows of a unit are kept depends on that unit alone, so that afterwards adding or removing a unit adds or
    removes at most `rows_per_unit` rows. This releases nothing by itself and costs nothing.

    Parameters
    ----------
    units
        Private: to whom each row belongs, shape [n], one type of value. A row without a unit (None, NaN) is never kept,
        since it might be anybody's.
    rows_per_unit
        How many rows to keep of each unit, >= 1.
    noise
        Where the choice comes from.

    Returns
    -------
    NDArray[bool]
        Rows to keep, shape [n].
    """
    if rows_per_unit < 1:
        raise PrivacyError(f"a unit must keep at least one row, got {rows_per_unit}")
    numbers, _ = pd.factorize(np.asarray(units))
    # Rows in random order, then by unit: the place within the unit is the place in its run.
    shuffled = noise.permutation(numbers.size)
    order = shuffled[np.argsort(numbers[shuffled], kind="stable")]
    sorted_numbers = numbers[order]
    starts = np.searchsorted(sorted_numbers, sorted_numbers, side="left")
    kept = np.zeros(numbers.size, bool)
    kept[order] = (np.arange(numbers.size) - starts < rows_per_unit) & (sorted_numbers >= 0)
    return kept
