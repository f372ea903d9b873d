"""Controls: tables whose quality is known, to read every score against."""

from __future__ import annotations

import numpy as np
import pandas as pd


def independent_columns(frame: pd.DataFrame, n: int, generator: np.random.Generator) -> pd.DataFrame:
    """Draw every column on its own from the real values: perfect margins, no relation between columns.

    The floor of every score: what is not clearly better than this has learned nothing about relations.

    Parameters
    ----------
    frame
        The real rows.
    n
        Number of rows to draw.
    generator
        Where randomness comes from.

    Returns
    -------
    pandas.DataFrame
        `n` rows with the columns and types of `frame`.
    """
    drawn = {
        name: frame[name].take(generator.integers(0, len(frame), n)).reset_index(drop=True) for name in frame.columns
    }
    return pd.DataFrame(drawn)
