"""A generator and a ratio so small that the law of their chains can be written out over all rows."""

from __future__ import annotations

import numpy as np
from small_tables import all_rows, likelihood, random_table

from synthkit.gan.boosting import EARLY, BoostedRatio, TreeSettings, TreeView, fit_trees
from synthkit.gan.layout import Layout

SIZES = [3, 2, 4]
CHAINS = 12_000


class KnownLaw:
    """Predicts the second column from the others by a table; the trees see its log-odds."""

    column, classes, width = 1, 2, 1
    odds = np.random.default_rng(2).normal(0, 2, (3, 4)).astype(np.float32)

    def predict(self, view, folds):
        # the last column is seen by its rank, which has one value for each symbol
        ranks = np.unique(view_of_all()[:, 2])
        return self.odds[view[:, 0].astype(int), np.searchsorted(ranks, view[:, 2])][:, None]

    def columns(self, view, predicted):
        return predicted

    def log_probabilities(self, predicted):
        odds = predicted[:, 0].astype(float)
        return -np.logaddexp(0, np.stack([odds, -odds], 1))


def tiny_layout():
    rows = all_rows(SIZES)
    # the last column is ordered, but without an inside: the energy depends on symbols alone
    return Layout.from_data(SIZES, [3, 2, 0], rows, np.full(rows.shape, 0.5, np.float32))


def view_of_all():
    rows = all_rows(SIZES)
    return TreeView(tiny_layout()).rows(rows, np.full(rows.shape, 0.5, np.float32))


def setting(*, trees: bool = True, predicted: bool = False):
    """A tiny generator, and a ratio with trees and tilts that moves its law far away."""
    table = random_table(SIZES, codes=3, seed=1)
    rng = np.random.default_rng(0)
    symbols = all_rows(SIZES)
    positions = np.full(symbols.shape, 0.5, np.float32)
    layout = tiny_layout()
    view, ratio = TreeView(layout), BoostedRatio(layout, threads=1)
    if predicted:
        ratio.predictor = KnownLaw()
    ratio.tilts = rng.normal(0, 0.7, layout.width).astype(np.float32)
    if trees:
        seen = view.rows(symbols, positions)
        seen = ratio.seen(seen, ratio.predict(seen, np.zeros(len(seen), np.int8)))
        alike = seen[:, 0] == seen[:, 1]
        settings = TreeSettings(trees=1, leaves=6, min_rows=2, learning_rate=0.3, threads=1)
        own, other = np.repeat(seen[alike], 20, 0), np.repeat(seen[~alike], 20, 0)
        # proposals are judged by the first rounds, then by the others: there are some of both
        ratio.rounds = [fit_trees(own, other, settings, seed) for seed in range(1, EARLY + 5)]
    return table, view, ratio, symbols, positions


def exact_law(table, view, ratio, rows, positions, where=None):
    """The generator times the exponential of the ratio, over every row there is."""
    folds = np.zeros(len(rows), np.int8)
    seen = view.rows(rows, positions)
    predicted = ratio.predict(seen, folds)
    if ratio.predictor is None:
        law = np.array([likelihood(table, row) for row in rows])
    else:
        target = ratio.predictor.column
        law = np.array([likelihood(table, np.where(np.arange(len(row)) == target, -1, row)) for row in rows])
        law = law * np.exp(ratio.predictor.log_probabilities(predicted)[np.arange(len(rows)), rows[:, target]])
    for column, weights in (where or {}).items():
        law = law * weights[rows[:, column]]
    law = law * np.exp(ratio(seen, rows, predicted).astype(np.float64))
    return law / law.sum()


def at_the_target(sampler, rows, law, rng):
    """Chains that are exact draws from the target: rows by its law, codes by their posterior."""
    symbols = rows[rng.choice(len(rows), CHAINS, p=law)]
    positions = rng.random(symbols.shape, dtype=np.float32)
    return sampler.of(sampler.recode(symbols, rng), symbols, positions, rng.integers(0, 2, CHAINS, dtype=np.int8))


def counts(chains, rows):
    return np.bincount(np.ravel_multi_index(chains.symbols.T, SIZES), minlength=len(rows)).astype(float)
