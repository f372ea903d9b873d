"""Cells of a few types and many donors, which the tests of audits of gene expression share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.io.expression_set import ExpressionSet

GENES, TYPES = 80, 3


def cells_of(n: int, seed: int, *, donors: int = 0, first: int = 0, spread: float = 0.0) -> ExpressionSet:
    """Counts of cells of three types; with donors, each has a factor of its own on every gene."""
    law = np.random.default_rng(7)
    means = law.gamma(0.6, 3.0, (TYPES, GENES)) + 0.05
    rng = np.random.default_rng([11, seed])
    kind = rng.choice(TYPES, n, p=[0.6, 0.3, 0.1])
    donor = rng.integers(0, max(1, donors), n) + first
    own = np.exp(spread * np.random.default_rng(13).normal(size=(1_000, GENES)))[donor]
    rates = means[kind] * own * rng.gamma(3.0, 1 / 3, (n, GENES)) * rng.gamma(6.0, 1 / 6, (n, 1))
    table = pd.DataFrame(
        {"kind": [f"type {number}" for number in kind], "donor": [f"D{number:03d}" for number in donor]},
        index=[f"AACCGGTTAACC{seed:02d}{number:05d}x" for number in range(n)],
    )
    genes = pd.DataFrame(index=[f"gene{number}" for number in range(GENES)])
    return ExpressionSet(sparse.csr_matrix(rng.poisson(rates).astype(np.float32)), genes, table)


def bare(cells: ExpressionSet) -> ExpressionSet:
    """The same cells as a release has them: without names, types and donors."""
    return replace(cells, cells=pd.DataFrame(index=[f"synthetic-{number:06d}" for number in range(len(cells))]))
