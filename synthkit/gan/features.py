"""What a critic sees of a row: symbols, and a smooth view of every number.

Coarse hats and a straight scale beat fine one-hot bins (research in docs/explanation): a critic that sees only bins
has to learn their order first. Per column:

- categories, point masses and short ordered columns: their one-hot symbols;
- every ordered column: its rank in the whole column as one number in [-1.7, 1.7], point masses included;
- long ordered columns: linear B-spline hats on equal knots of the rank among the bins, and sines and cosines of it
  in octaves.

Every feature is linear in the symbols given the position, ``f = s A + p (s B)``. So a straight-through gradient tells
the generator what the critic thinks of every symbol that could have been drawn, not only of the one that was.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synthkit.gan.layout import Array, Layout
from synthkit.gan.relaxed import RelaxedBatch, Segments, straight_through

SCALE = 3.4  # a uniform rank times this has about unit variance


class FeatureMap:
    """Maps rows in symbol space to what a critic sees.

    Parameters
    ----------
    layout
        The columns.
    knots
        Number of hats of a long ordered column.
    octaves
        Number of frequencies of the sines and cosines: half a period over the column, then doubling.
    short
        Ordered columns with at most this many bins keep one-hot bins and need no hats.
    device
        Where rows live.

    Attributes
    ----------
    width
        F, the number of features.
    columns
        Column of each feature, ``[F]`` int64.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        knots: int = 8,
        octaves: int = 3,
        short: int = 30,
        device: torch.device | str = "cpu",
    ) -> None:
        tables = [_tables(layout, c, knots, octaves, short) for c in range(len(layout.sizes))]
        self.layout = layout
        self._segments = Segments(layout.sizes.tolist(), device)
        self._sizes = layout.sizes.tolist()
        self._inside = torch.tensor(layout.inside, dtype=torch.bool, device=device)
        # the slope is None where no feature of the column depends on the position
        self._base = [torch.tensor(base, dtype=torch.float32, device=device) for base, _ in tables]
        self._slope = [
            torch.tensor(slope, dtype=torch.float32, device=device) if slope.any() else None for _, slope in tables
        ]
        # categories are seen as they are, which spares most tables most of the matrix products
        self._plain = [base.shape[0] == base.shape[1] and np.array_equal(base, np.eye(len(base))) for base, _ in tables]
        counts = torch.tensor([base.shape[1] for base, _ in tables], dtype=torch.long)
        self.width = int(counts.sum())
        self.columns = torch.repeat_interleave(torch.arange(len(tables)), counts).to(device)

    def real(self, symbols: Tensor, positions: Tensor) -> Tensor:
        """Features ``[B, F]`` of encoded rows: symbols ``[B, C]`` int, positions ``[B, C]``."""
        parts = []
        rows = symbols.long()
        for c, (base, slope) in enumerate(zip(self._base, self._slope, strict=True)):
            part = base[rows[:, c]]
            if slope is not None:
                part = part + positions[:, c, None] * slope[rows[:, c]]
            parts.append(part)
        return torch.cat(parts, 1)

    def relaxed(self, batch: RelaxedBatch) -> Tensor:
        """Features ``[B, F]`` of generated rows, differentiable in symbols and positions."""
        positions = self.settled(batch)
        parts = []
        for c, symbols in enumerate(batch.symbols.split_with_sizes(self._sizes, 1)):
            slope = self._slope[c]
            part = symbols if self._plain[c] else symbols @ self._base[c]
            if slope is not None:
                part = part + positions[:, c, None] * (symbols @ slope)
            parts.append(part)
        return torch.cat(parts, 1)

    def settled(self, batch: RelaxedBatch) -> Tensor:
        """Positions ``[B, C]`` as a real row would have them: exactly 0.5 in symbols that have no inside.

        Without this a generator with a position everywhere would be told apart by that alone. The gradient passes.
        """
        has_inside = self._segments.sum(batch.symbols.detach() * self._inside) > 0.5
        return straight_through(torch.where(has_inside, batch.positions.detach(), 0.5), batch.positions)


def _tables(layout: Layout, column: int, knots: int, octaves: int, short: int) -> tuple[Array, Array]:
    """Value at position 0 and change up to position 1 of every feature of one column, both ``[size, F_c]``."""
    size, atoms = int(layout.sizes[column]), int(layout.n_atoms[column])
    start = int(layout.offsets[column])
    part = slice(start, start + size)
    ranked = layout.ranked[part]
    long = size - atoms > short
    is_bin = (np.arange(size) >= atoms)[:, None]
    angles = np.pi * 2.0 ** np.arange(octaves)

    def values(u: Array, rank: Array) -> Array:
        """All features at one end of every symbol."""
        features: list[Array] = [np.eye(size)[:, : atoms if long else size]]
        if ranked.sum() > 1:
            features.append((np.where(ranked, rank - 0.5, 0.0) * SCALE)[:, None])
        if long:
            features.append(is_bin * np.maximum(0.0, 1.0 - np.abs(u[:, None] * (knots - 1) - np.arange(knots))))
            features.append(is_bin * np.sin(u[:, None] * angles))
            features.append(is_bin * np.cos(u[:, None] * angles))
        return np.concatenate(features, 1)

    base = values(layout.left[part], layout.rank_left[part])
    return base, values(layout.right[part], layout.rank_right[part]) - base
