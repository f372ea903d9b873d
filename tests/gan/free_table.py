"""The smallest generator, and the joint distribution of two columns that a critic should teach it."""

from __future__ import annotations

import numpy as np
import torch

from synthkit.gan.relaxed import RelaxedBatch, Segments

JOINT = torch.tensor([0.30, 0.02, 0.08, 0.05, 0.35, 0.20])  # two columns with two and three values


def two_columns(rows=3000, seed=0):
    """Codes ``[rows, 2]`` with the joint distribution."""
    cell = np.random.default_rng(seed).choice(6, rows, p=JOINT.double().numpy() / JOINT.double().numpy().sum())
    return np.stack([cell // 3, cell % 3], 1).astype(np.int32)


class FreeTable:
    """One logit per cell of a two-column table."""

    def __init__(self):
        self.logits = torch.zeros(6, requires_grad=True)
        self._cells = Segments([6])

    def parameters(self):
        return [self.logits]

    def draw(self, n, rng):
        cell = self._cells.straight_through(self.logits.expand(n, 6), rng)
        first = torch.stack([cell[:, :3].sum(1), cell[:, 3:].sum(1)], 1)
        return RelaxedBatch(torch.cat([first, cell[:, :3] + cell[:, 3:]], 1), torch.full((n, 2), 0.5))

    def distance(self):
        """Total variation from the truth."""
        return 0.5 * float((self.logits.detach().softmax(0) - JOINT).abs().sum())
