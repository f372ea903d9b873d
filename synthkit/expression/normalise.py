"""Expression brought to a scale on which cells compare: library sizes taken out, then logarithms; sparse stays sparse.

Everything here is a pure function of the values, a few numbers and the measure; nothing is learned beyond the median
library size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from synthkit.errors import InputError
from synthkit.io.expression_set import ExpressionSet, Values

Floats = npt.NDArray[np.float64]
Dense = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]
Transform = Literal["log-normalised", "log1p", "asinh", "none"]

CHUNK = 1000
"""Cells that are held densely at a time."""
# Intensities of a microarray reach tens of thousands; log-ratios and standardised values stay below this.
_LARGE_INTENSITY = 100.0


def size_factors(totals: npt.ArrayLike, target: float) -> Floats:
    """Return what the values of each cell are divided by, so that every cell has the total `target`.

    Parameters
    ----------
    totals
        Sum of the values of each cell ``[cells]``.
    target
        The total after division, for example 10,000 or the median of the totals.

    Returns
    -------
    numpy.ndarray
        ``totals / target``, ``[cells]``; 1 for a cell without any count, which has nothing to divide.

    Raises
    ------
    InputError
        The target is not above 0.
    """
    if not target > 0:
        raise InputError(f"the target of the library sizes is {target}, expected above 0", remedy="Pass 10000.")
    sizes = np.asarray(totals, dtype=np.float64) / target
    factors: Floats = np.where(sizes > 0, sizes, 1.0)
    return factors


def log_normalised(values: Values, totals: npt.ArrayLike, target: float) -> Any:
    """Return ``log(1 + value / size factor)``, sparse for sparse values.

    Parameters
    ----------
    values
        Counts or rates ``[cells, genes]``: a CSR matrix or an array; it is left as it is.
    totals
        Library size of each cell ``[cells]``, over all genes, also where `values` holds some of them only.
    target
        The library size that all cells are brought to.

    Returns
    -------
    scipy.sparse.csr_matrix or numpy.ndarray
        Of float32, ``[cells, genes]``, in natural logarithms.

    Raises
    ------
    InputError
        The target is not above 0.
    """
    factors = size_factors(totals, target).astype(np.float32)
    if sparse.issparse(values):
        scaled = sparse.csr_matrix(values, dtype=np.float32, copy=True)
        scaled.data /= np.repeat(factors, np.diff(scaled.indptr))
        np.log1p(scaled.data, out=scaled.data)
        return scaled
    return np.log1p(np.asarray(values, dtype=np.float32) / factors[:, None])


@dataclass(frozen=True)
class Normalisation:
    """How values are brought to a scale on which cells compare.

    Attributes
    ----------
    transform
        "log-normalised" for counts (library sizes taken out, then ``log1p``), "log1p" for rates, "asinh" for
        intensities of a microarray, "none" for logarithms and log-ratios.
    target
        Library size that cells are brought to; 1 where there is none.
    """

    transform: Transform
    target: float = 1.0

    def apply(self, data: ExpressionSet, genes: Positions | None = None) -> Dense:
        """Return some genes of all cells, normalised, ``[cells, genes]``: for as many as fit into memory.

        Parameters
        ----------
        data
            The cells. Library sizes are taken over all of its genes.
        genes
            Positions of the genes to return; all when None.
        """
        values = data.values if genes is None else data.values[:, genes]
        if self.transform == "log-normalised":
            values = log_normalised(values, data.totals(), self.target)
        dense = values.toarray() if sparse.issparse(values) else np.asarray(values)
        dense = dense.astype(np.float32, copy=False)
        if self.transform == "log1p":
            dense = np.log1p(dense)
        found: Dense = np.arcsinh(dense) if self.transform == "asinh" else dense
        return found

    def chunks(self, data: ExpressionSet, size: int = CHUNK) -> Iterator[Dense]:
        """Yield all genes of `size` cells at a time, normalised, ``[cells of the chunk, genes]``."""
        for start in range(0, len(data), size):
            yield self.apply(data.take(slice(start, start + size)))


def normalisation_of(data: ExpressionSet) -> Normalisation:
    """Return the normalisation that fits the measure of some cells; for others that are compared, use the same one.

    Parameters
    ----------
    data
        Cells; for counts, the target is the median of their library sizes.
    """
    if data.measure == "counts":
        totals = data.totals()
        positive = totals[totals > 0]
        return Normalisation("log-normalised", float(np.median(positive)) if len(positive) else 1.0)
    if data.measure == "rates":
        return Normalisation("log1p")
    if data.measure == "intensities":
        largest = float(abs(data.values).max()) if data.values.size and len(data) else 0.0
        return Normalisation("asinh" if largest > _LARGE_INTENSITY else "none")
    return Normalisation("none")


def most_variable(data: ExpressionSet, normalisation: Normalisation, most: int) -> Positions:
    """Return the positions of the genes with the largest variance after normalisation, in the order of the genes.

    Parameters
    ----------
    data
        The cells.
    normalisation
        How they are normalised.
    most
        At most this many genes. Genes that never vary are left out, unless all are such.
    """
    sums = np.zeros(len(data.genes))
    squares = np.zeros(len(data.genes))
    for chunk in normalisation.chunks(data):
        sums += chunk.sum(axis=0, dtype=np.float64)
        squares += np.einsum("cg,cg->g", chunk, chunk, dtype=np.float64)
    means = sums / max(1, len(data))
    variances = np.maximum(squares / max(1, len(data)) - means**2, 0.0)
    # Sums of float32 leave a gene that is the same everywhere with a variance that is rounding alone.
    varies = variances > 1e-9 * (1 + means**2)
    order = np.argsort(-np.where(varies, variances, -1.0), kind="stable")[:most]
    kept = order[varies[order]]
    return np.sort(kept if len(kept) else order).astype(np.int64)


def normalised(data: ExpressionSet, normalisation: Normalisation | None = None, *, most_genes: int = 2000) -> Dense:
    """Return the most variable genes of cells, normalised, as an array of float32.

    Parameters
    ----------
    data
        The cells: as many as fit into memory with `most_genes` genes.
    normalisation
        How they are normalised; what fits them when None.
    most_genes
        At most this many genes.

    Returns
    -------
    numpy.ndarray
        ``[cells, genes]``.
    """
    chosen = normalisation or normalisation_of(data)
    return chosen.apply(data, most_variable(data, chosen, most_genes))
