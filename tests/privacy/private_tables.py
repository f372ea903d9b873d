"""A small private table with a public layout, and a ledger that writes down what is spent."""

from __future__ import annotations

import numpy as np
import torch

from synthkit.gan.features import FeatureMap
from synthkit.gan.layout import Layout
from synthkit.gan.relaxed import RelaxedBatch, Segments
from synthkit.privacy.events import sampled_gaussian_event
from synthkit.privacy.guard import PrivateRows

JOINT = torch.tensor([0.30, 0.02, 0.08, 0.05, 0.35, 0.20])  # two columns with two and three values


class Written:
    """The part of a ledger that the guard needs."""

    def __init__(self):
        self.spent = []

    def spend(self, event):
        self.spent.append(event)


def two_columns(rows=3000, seed=0):
    """Codes ``[rows, 2]`` with a known joint distribution."""
    cell = np.random.default_rng(seed).choice(6, rows, p=JOINT.double().numpy() / JOINT.double().numpy().sum())
    return np.stack([cell // 3, cell % 3], 1).astype(np.int32)


def public_features():
    """Features by a layout that no private row had a part in."""
    codes = np.array([[a, b] for a in range(2) for b in range(3)], np.int32)
    return FeatureMap(Layout.from_data([2, 3], [2, 3], codes, np.full(codes.shape, 0.5, np.float32)))


def private(codes, units=None):
    """Rows under guard, and the ledger that they write to."""
    ledger = Written()
    return PrivateRows({"codes": codes}, ledger, units), ledger


def steps_of(multiplier=1.0, probability=0.1, steps=5):
    return sampled_gaussian_event("critic", "gradients of the critic", multiplier, probability, steps)


class FreeTable:
    """The smallest generator: one logit per cell of a two-column table."""

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
