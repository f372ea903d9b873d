"""A small private table with a public layout, and a ledger that writes down what is spent."""

from __future__ import annotations

import numpy as np
from free_table import FreeTable, two_columns

from synthkit.gan.features import FeatureMap
from synthkit.gan.layout import Layout
from synthkit.privacy.events import sampled_gaussian_event
from synthkit.privacy.guard import PrivateRows

__all__ = ["FreeTable", "Written", "private", "public_features", "steps_of", "two_columns"]


class Written:
    """The part of a ledger that the guard needs."""

    def __init__(self):
        self.spent = []

    def spend(self, event):
        self.spent.append(event)


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
