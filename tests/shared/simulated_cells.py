"""Small sets of cells whose relations are known: types, a program of genes that go together within them, counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from synthkit.io.expression_set import ExpressionSet

N_GENES, N_PROGRAM, N_TYPES = 60, 20, 3


def simulated_cells(seed: int, n: int = 240, *, measure: str = "counts", donors: int = 0) -> ExpressionSet:
    """Return cells of three types with five markers each; twenty other genes share a program within types."""
    rng = np.random.default_rng(seed)
    types = rng.choice(N_TYPES, n, p=(0.6, 0.3, 0.1))
    logs = np.tile(np.random.default_rng(99).normal(0.5, 0.8, N_GENES), (n, 1))
    for place in range(N_TYPES):
        logs[np.ix_(types == place, np.arange(5 * place, 5 * place + 5))] += 2.0
    loads = np.where(np.arange(N_PROGRAM) % 2, 1.0, -1.0)
    logs[:, -N_PROGRAM:] += rng.normal(size=(n, 1)) * loads
    means = np.exp(logs)
    means *= (300 * rng.lognormal(0, 0.3, n) / means.sum(axis=1))[:, None]
    values = rng.poisson(means).astype(np.float32)
    if measure != "counts":
        values = np.log1p(values / values.sum(axis=1, keepdims=True) * 300).astype(np.float32)
    if measure == "intensities":
        values -= 1.0
    cells = pd.DataFrame({"type": np.array(["a", "b", "c"])[types], "batch": np.where(rng.random(n) < 0.5, "x", "y")})
    if donors:
        cells["donor"] = [f"donor {place}" for place in rng.integers(0, donors, n)]
    genes = pd.DataFrame(index=[f"gene {place}" for place in range(N_GENES)])
    stored = sparse.csr_matrix(values) if measure == "counts" else values
    return ExpressionSet(stored, genes, cells, measure)  # type: ignore[arg-type]
