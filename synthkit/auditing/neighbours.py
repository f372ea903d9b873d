"""Nearest rows of one table for the rows of another: exact, in blocks, with bounded memory.

On tables of a hundred features a search tree visits nearly every row; a matrix product in blocks is exact and faster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

MOST_NEIGHBOURS = 10
# Distances of one block: 16 MB in single precision, so that a block stays near the processor.
_CELLS = 4_000_000
# Candidates beyond k that are measured again: the product rounds, and may swap rows that are nearly equally far.
_SPARE = 6
# Distances that differ by less than this share, or this much in standard deviations, are equal up to rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows of each target.

    Attributes
    ----------
    distances
        Euclidean distance to the nearest rows, ascending, shape [targets, k].
    rows
        Their positions, shape [targets, k].
    size
        Number of rows that were searched.
    """

    distances: npt.NDArray[np.float64]
    rows: npt.NDArray[np.int64]
    size: int


def nearest(points: npt.NDArray[np.float32], base: npt.NDArray[np.float32], k: int = MOST_NEIGHBOURS) -> Neighbours:
    """Return the nearest rows of each point.

    Parameters
    ----------
    points
        What is looked for, shape [targets, features].
    base
        Where it is looked for, shape [rows, features], at least one row.
    k
        Number of neighbours; fewer where there are fewer rows.

    Notes
    -----
    Candidates are found by a matrix product in single precision and measured again, so that an equal row is at
    distance 0 exactly.
    """
    k = min(k, len(base))
    candidates = min(k + _SPARE, len(base))
    table, middle = _centred(base)
    squares = table.square().sum(1)
    block = max(1, _CELLS // len(base))
    measured = max(1, _CELLS // max(1, candidates * table.shape[1]))
    distances = torch.empty((len(points), k), dtype=torch.float64)
    rows = torch.empty((len(points), k), dtype=torch.int64)
    for start in range(0, len(points), block):
        part = _moved(points[start : start + block], middle)
        found = torch.addmm(squares, part, table.T, alpha=-2.0).topk(candidates, largest=False).indices
        # equally far rows in the order of the table, whatever the block
        found = found.sort(dim=1).values
        for first in range(0, len(part), measured):
            inside = slice(first, first + measured)
            exact = (table[found[inside]] - part[inside, None]).double().square().sum(2).sqrt()
            order = exact.argsort(dim=1, stable=True)[:, :k]
            here = slice(start + first, start + first + len(order))
            distances[here], rows[here] = exact.gather(1, order), found[inside].gather(1, order)
    return Neighbours(distances.numpy(), rows.numpy(), len(base))


def within(points: npt.NDArray[np.float32], base: npt.NDArray[np.float32], radius: float) -> npt.NDArray[np.int64]:
    """Return how many rows lie within a radius of each point, shape [targets]; equal up to rounding counts.

    Parameters
    ----------
    points
        What is looked for, shape [targets, features].
    base
        Where it is looked for, shape [rows, features], at least one row.
    radius
        Euclidean distance, at least 0.
    """
    table, middle = _centred(base)
    limit = reach(radius) ** 2
    counts = torch.zeros(len(points), dtype=torch.int64)
    features = max(1, table.shape[1])
    many = max(1, _CELLS // features)
    for first in range(0, len(table), many):
        # in double precision: categories make many rows exactly as far as the radius
        some = table[first : first + many].double()
        squares = some.square().sum(1)
        block = max(1, _CELLS // 2 // len(some))
        for start in range(0, len(points), block):
            part = _moved(points[start : start + block], middle).double()
            further = torch.addmm(squares, part, some.T, alpha=-2.0)
            counts[start : start + block] += (further <= (limit - part.square().sum(1))[:, None]).sum(1)
    return counts.numpy()


def reach(radius: float) -> float:
    """Return the largest distance that equals a radius up to rounding."""
    return radius * (1 + _ROUNDING) + _ROUNDING


def _centred(base: npt.NDArray[np.float32]) -> tuple[torch.Tensor, npt.NDArray[np.float32]]:
    """Return the rows moved by a point in their middle, and that point: squares of smaller numbers round less."""
    # rounded to sixteenths: the last digits of a mean depend on the order of the rows, and so would the distances
    middle = np.round(base.mean(axis=0, dtype=np.float64) * 16).astype(np.float32) / 16
    return _moved(base, middle), middle


def _moved(points: npt.NDArray[np.float32], middle: npt.NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(points - middle))
