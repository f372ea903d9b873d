"""How often a synthetic row lies nearer to a training row than to a held-out row."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from synthkit.gan.layout import Layout

_PAIRS = 200_000_000  # pairs of rows times columns: seconds of one core
Rows = tuple[NDArray[np.int32], NDArray[np.float32]]


def nearest_record_share(
    layout: Layout, training: Rows, held_out: Rows, synthetic: Rows, rng: np.random.Generator, *, most: int = 2_000
) -> float:
    """Share of synthetic rows whose nearest real row is a training row, ties counting half; 0.5 is no memorisation.

    Equally many training and held-out rows are compared, so that neither has more chances (Platzer and Reutterer 2021).
    The distance is the number of columns that differ, differences of numbers counting by their ranks.

    Returns
    -------
    float
        NaN when there are fewer than 20 held-out rows.
    """
    columns = len(layout.sizes)
    if not columns:
        return float("nan")
    most = min(most, math.isqrt(_PAIRS // columns))
    size = min(len(training[0]), len(held_out[0]), most)
    if size < 20:
        return float("nan")
    own, other = (_take(sample, rng.permutation(len(sample[0]))[:size]) for sample in (training, held_out))
    rows = _take(synthetic, np.arange(min(len(synthetic[0]), most)))
    nearest = [_distance_to_nearest(layout, rows, sample) for sample in (own, other)]
    return float(np.mean(nearest[0] < nearest[1]) + 0.5 * np.mean(nearest[0] == nearest[1]))


def _take(rows: Rows, chosen: NDArray[np.int64]) -> Rows:
    return rows[0][chosen], rows[1][chosen]


def _distance_to_nearest(layout: Layout, rows: Rows, others: Rows) -> NDArray[np.float32]:
    """Distance of each row to the nearest of ``others``, ``[n]``."""
    total = np.zeros((len(rows[0]), len(others[0])), np.float32)
    for column in range(len(layout.sizes)):
        start = layout.offsets[column]
        ranked = layout.ranked[start : start + layout.sizes[column]]
        mine, theirs = rows[0][:, column], others[0][:, column]
        differs = (mine[:, None] != theirs[None, :]).astype(np.float32)
        if ranked.any():
            left = layout.rank_left[start:][: len(ranked)]
            width = (layout.rank_right - layout.rank_left)[start:][: len(ranked)]
            here = (left[mine] + rows[1][:, column] * width[mine]).astype(np.float32)
            there = (left[theirs] + others[1][:, column] * width[theirs]).astype(np.float32)
            both = ranked[mine][:, None] & ranked[theirs][None, :]
            differs = np.where(both, np.abs(here[:, None] - there[None, :]), differs)
        total += differs
    nearest: NDArray[np.float32] = total.min(axis=1)
    return nearest
