"""Which private records a step sees: a fresh Poisson sample, drawn with the bits of the operating system.

Every unit (a row, or a person with several rows) tosses its own coin in every step. That, and nothing else, is what the
accountant's amplification by sampling is about: shuffled batches, batches of a fixed size and batches that are used
twice leak more than it says (Chua 2024; Annamalai 2024, arXiv 2411.10614).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import PrivacyError
from synthkit.privacy.noise import NoiseSource


class PoissonSampler:
    """Draws the rows of one step.

    Parameters
    ----------
    rows
        Number of private rows. It is private itself and never leaves.
    units
        Unit of each row ``[rows]``, of any type that can be sorted; None when every row is one.
    rows_per_unit
        Most rows of one unit in a sample; of units with more, that many are picked at random each time.

    Privacy
    -------
    Adding or removing one unit adds or removes at most ``rows_per_unit`` rows and changes nothing about the others.
    """

    def __init__(self, rows: int, units: NDArray[np.generic] | None = None, rows_per_unit: int = 1) -> None:
        require_rows_per_unit(rows_per_unit)
        if units is None:
            owner = np.arange(rows)
        else:
            if units.shape != (rows,):
                # without the shape, which says how many rows there are
                raise PrivacyError(
                    "the units of private rows are not one for each row, as they must be",
                    remedy="Give the units as an array with one entry for each row.",
                )
            owner = np.unique(units, return_inverse=True)[1]
        self._most = rows_per_unit
        self._order = np.argsort(owner, kind="stable")
        self._counts = np.bincount(owner)

    def draw(self, probability: float, noise: NoiseSource) -> NDArray[np.int64]:
        """Row numbers of a fresh sample, every unit with the same probability, in no particular order; maybe none."""
        chosen = noise.bernoulli(probability, len(self._counts))
        rows = self._order[np.repeat(chosen, self._counts)]
        counts = self._counts[chosen]
        if not len(counts) or counts.max() <= self._most:
            return rows.astype(np.int64)
        # rows of a unit in random order, of which the first few stay
        unit = np.repeat(np.arange(len(counts)), counts)
        order = np.lexsort((noise.uint64(len(rows)), unit))
        rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows[order[rank < self._most]].astype(np.int64)


def require_rows_per_unit(rows_per_unit: int) -> None:
    """Refuse a bound on the rows of a unit in a sample that leaves none."""
    if rows_per_unit < 1:
        raise PrivacyError(
            f"a unit must have at least one row in a sample, got a bound of {rows_per_unit}",
            remedy="Give the largest number of rows that one unit may contribute.",
        )
