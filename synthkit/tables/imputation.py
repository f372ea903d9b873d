"""Missing cells of a table, drawn from their law given the others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synthkit.random import RandomSource
from synthkit.tables.fitted import FittedTable


def fill_missing(fitted: FittedTable, frame: pd.DataFrame, random: RandomSource) -> pd.DataFrame:
    """Fill the missing cells of modelled columns; all other cells come back unchanged.

    Parameters
    ----------
    fitted
        With latent codes.
    frame
        ``[n_rows, ...]``, with the modelled columns.
    random
        Source of the draws.
    """
    names = fitted.encoder.names
    encoded = fitted.encoder.encode(frame, unknown=True)
    symbols, positions = encoded.symbols.copy(), encoded.positions.copy()
    unknown = frame[names].isna().to_numpy()
    fitted.impute(symbols, positions, unknown, random)
    drawn = fitted.encoder.decode(np.maximum(symbols, 0), positions, rng=random.numpy("decode"))
    filled = frame.copy()
    for place, name in enumerate(names):
        rows = np.flatnonzero(unknown[:, place])
        if len(rows):
            column = filled[name].copy()
            column.iloc[rows] = drawn[name].iloc[rows].to_numpy()
            filled[name] = column
    return filled
