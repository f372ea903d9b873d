"""What readers of gene expression return and writers take: a matrix of cells by genes, with what is known of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.errors import InputError, unknown_name

Measure = Literal["counts", "log", "rates", "intensities"]
"""What the values are: whole counts (UMIs or reads); logarithms that cannot fall below zero, such as log1p of
normalised counts; rates that cannot fall below zero, such as TPM; intensities of a microarray or log-ratios, of any
sign."""

MEASURES: tuple[Measure, ...] = get_args(Measure)
Values = Any  # a scipy.sparse.csr_matrix, which has no types, or an array


@dataclass(frozen=True, eq=False)
class ExpressionSet:
    """Cells (or samples of tissue) by genes.

    Attributes
    ----------
    values
        ``[cells, genes]``: a CSR matrix or an array, of any real dtype. Sparse stays sparse.
    genes
        One row per gene, in the order of the columns of `values`; its index holds the ids.
    cells
        One row per cell, in the order of the rows of `values`: labels, batches, donors, covariates.
    measure
        What the values are.
    found
        Where the values were found, for example ``layers['counts']``; empty where they were given.

    Raises
    ------
    InputError
        Parts do not fit together, or the measure is unknown.
    """

    values: Values
    genes: pd.DataFrame
    cells: pd.DataFrame
    measure: Measure = "counts"
    found: str = ""

    def __post_init__(self) -> None:
        """Refuse parts of different lengths."""
        if self.measure not in MEASURES:
            raise InputError(f"the values are an {unknown_name('measure', self.measure, MEASURES)}", remedy="Name one.")
        if self.values.ndim != 2 or self.values.shape != (len(self.cells), len(self.genes)):
            raise InputError(
                f"the values have the shape {tuple(self.values.shape)}, and there are {len(self.cells)} cells and "
                f"{len(self.genes)} genes",
                remedy="Give one row per cell and one column per gene.",
            )

    def __len__(self) -> int:
        """Return the number of cells."""
        return int(self.values.shape[0])

    @property
    def is_sparse(self) -> bool:
        """Whether only values other than zero are held."""
        return bool(sparse.issparse(self.values))

    def take(self, index: np.ndarray | Sequence[int] | slice) -> ExpressionSet:
        """Return some of the cells, by position or by a boolean array ``[cells]``."""
        positions = np.arange(len(self))[index]
        return replace(self, values=self.values[positions], cells=self.cells.iloc[positions])

    def of_genes(self, index: np.ndarray | Sequence[int]) -> ExpressionSet:
        """Return some of the genes, by position."""
        positions = np.asarray(index)
        return replace(self, values=self.values[:, positions], genes=self.genes.iloc[positions])

    def dense(self, rows: slice | np.ndarray | None = None) -> np.ndarray:
        """Return the values of some cells as an array ``[rows, genes]`` of float32: for a chunk, not for everything."""
        chosen = self.values if rows is None else self.values[rows]
        array = chosen.toarray() if sparse.issparse(chosen) else np.asarray(chosen)
        return array.astype(np.float32, copy=False)

    def totals(self) -> np.ndarray:
        """Sum of the values of each cell ``[cells]``: its library size where they are counts."""
        return np.asarray(self.values.sum(axis=1), dtype=np.float64).ravel()
