"""Raking: weights that bring generated rows to the one-way margins of the data."""

from __future__ import annotations

import numpy as np

from synthkit.gan.boosting import Symbols
from synthkit.gan.layout import Layout
from synthkit.gan.table import Array


def rake(symbols: Symbols, layout: Layout, sweeps: int) -> Array:
    """Weights ``[n]`` that bring every one-way margin of rows ``[n, C]`` to the shares of the layout."""
    weights = np.ones(len(symbols))
    for _ in range(sweeps):
        for c, size in enumerate(layout.sizes):
            start = layout.offsets[c]
            found = np.bincount(symbols[:, c], weights, minlength=int(size)) / weights.sum()
            wanted = layout.share[start : start + size]
            factor = np.where(found > 0, np.clip(wanted / np.maximum(found, 1e-12), 0.2, 5.0), 1.0)
            weights = weights * factor[symbols[:, c]]
    return weights
