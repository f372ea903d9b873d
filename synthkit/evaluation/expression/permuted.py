"""The floor of an evaluation: real cells without any relation between genes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from synthkit.io.expression_set import ExpressionSet

_GENES = 500


def permuted_within(data: ExpressionSet, codes: npt.NDArray[np.int64], generator: np.random.Generator) -> ExpressionSet:
    """Return cells of which every gene is permuted among the cells of a type, independently of all other genes.

    The values of each gene within each type stay what they are, and their relations are gone: what a generator of
    independent genes with perfect margins gives.

    Parameters
    ----------
    data
        Cells ``[cells, genes]``.
    codes
        Type of each cell, ``[cells]``.
    generator
        Draws the permutations.
    """
    members = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    parts = []
    for start in range(0, len(data.genes), _GENES):
        columns = data.values[:, start : start + _GENES]
        block = columns.toarray() if sparse.issparse(columns) else np.array(columns)
        for rows in members:
            block[rows] = generator.permuted(block[rows], axis=0)
        parts.append(sparse.csc_matrix(block) if data.is_sparse else block)
    values = sparse.hstack(parts, format="csr") if data.is_sparse else np.hstack(parts)
    return replace(data, values=values)
