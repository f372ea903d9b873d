"""Cells that are there twice: within a set, and in two sets, found before anything is measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from synthkit.auditing.result import Overlap

_CHUNK = 1_000


@dataclass(frozen=True)
class ExpressionDuplicates:
    """Cells that are there more than once.

    Attributes
    ----------
    training, holdout, synthetic
        Cells that equal an earlier cell of the same set in every gene.
    exact
        Held-out cells that equal a training cell.
    donors
        Donors with cells in both real sets.
    left_out
        Held-out cells that no attack uses: those that equal a training cell, and those of a donor who is among the
        training donors.
    released
        Synthetic cells that equal a training cell.
    """

    training: int
    holdout: int
    synthetic: int
    exact: int
    donors: int
    left_out: int
    released: int

    def overlap(self, training: int, holdout: int) -> Overlap:
        """Return the same as the gates of a policy know it, for so many training and held-out cells."""
        return Overlap(self.exact, self.exact / max(1, holdout), self.training / max(1, training), self.donors)


def cell_hashes(values: Any) -> npt.NDArray[np.bytes_]:
    """Return a digest of the values of each cell, shape [cells]; equal values have equal digests, sparse or not.

    Parameters
    ----------
    values
        A CSR matrix or an array, shape [cells, genes]; compared in single precision.
    """
    found = np.empty(values.shape[0], dtype="S16")
    for start in range(0, values.shape[0], _CHUNK):
        part = sparse.csr_matrix(values[start : start + _CHUNK], dtype=np.float32, copy=True)
        part.sum_duplicates()
        part.eliminate_zeros()
        for row in range(part.shape[0]):
            inside = slice(part.indptr[row], part.indptr[row + 1])
            said = part.indices[inside].astype(np.int64).tobytes() + part.data[inside].tobytes()
            digest = hashlib.blake2b(said, digest_size=16).digest()
            found[start + row] = digest.replace(b"\0", b"\1")  # numpy cuts zeros at the end
    return found


def repeats(hashes: npt.NDArray[np.bytes_]) -> int:
    """Return how many cells equal an earlier one."""
    return len(hashes) - len(np.unique(hashes))
