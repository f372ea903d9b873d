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


def noisy_copies(frame: pd.DataFrame, n: int, generator: np.random.Generator, *, noise: float = 0.01) -> pd.DataFrame:
    """Copy rows and move their numbers a little: a table that leaks nearly everything.

    Parameters
    ----------
    frame
        The real rows.
    n
        Number of rows; every real row is copied once before one is copied again.
    generator
        Where randomness comes from.
    noise
        Standard deviation of the noise on each number, in standard deviations of its column. Whole numbers stay whole;
        dates and categories are copied.

    Returns
    -------
    pandas.DataFrame
        `n` rows with the columns and types of `frame`.
    """
    rounds = -(-n // len(frame))
    order = np.concatenate([generator.permutation(len(frame)) for _ in range(rounds)])[:n]
    drawn = frame.take(order).reset_index(drop=True)
    for name in frame.columns:
        column = drawn[name]
        if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
            continue
        spread = float(frame[name].astype("float64").std())
        if not spread > 0:
            continue
        moved = column.astype("float64") + generator.normal(0.0, noise * spread, n)
        whole = pd.api.types.is_integer_dtype(column.dtype)
        drawn[name] = (moved.round() if whole else moved).astype(column.dtype)
    return drawn
