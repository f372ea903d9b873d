"""Small encoded tables and slow, obvious versions of what the engine computes fast."""

from __future__ import annotations

from itertools import product

import numpy as np

from synthkit.gan.layout import Layout
from synthkit.gan.table import CodeTable


def related_rows(rows=600, seed=0):
    """A long ordered column with an atom, a label that follows it, a short ordered column that follows both."""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, 30, rows)
    label = np.where(rng.random(rows) < 0.9, place // 10, rng.integers(0, 3, rows))
    short = np.clip(place // 6 + label % 2 + rng.integers(-1, 2, rows), 0, 5)
    symbols = np.stack([np.where(rng.random(rows) < 0.1, 0, place + 1), label, short], 1).astype(np.int32)
    positions = rng.uniform(0.01, 0.99, symbols.shape).astype(np.float32)
    positions[:, 1] = 0.5
    positions[symbols[:, 0] == 0, 0] = 0.5
    sizes, atoms = [31, 3, 6], [1, 3, 0]
    return Layout.from_data(sizes, atoms, symbols, positions), symbols, positions


def random_table(sizes, codes=3, seed=0, spread=1.5):
    """Codes with random laws."""
    rng = np.random.default_rng(seed)
    logits = [rng.normal(0, spread, (codes, size)) for size in sizes]
    theta = np.concatenate([own - np.logaddexp.reduce(own, 1, keepdims=True) for own in logits], 1)
    weights = rng.normal(0, 1, codes)
    return CodeTable(theta.astype(np.float32), weights - np.logaddexp.reduce(weights), sizes)


def all_rows(sizes):
    """Every row there can be, ``[product of sizes, C]``."""
    return np.array(list(product(*map(range, sizes))), dtype=np.int32).reshape(-1, len(sizes))


def probability(table, row, code):
    """Weight of a code times the probability of a row in it; negative symbols are unknown."""
    total = np.exp(float(table.log_weights[code]))
    for column, symbol in enumerate(row):
        if symbol >= 0:
            total *= np.exp(float(table.log_theta[code, table.offsets[column] + symbol]))
    return total


def likelihood(table, row):
    return sum(probability(table, row, code) for code in range(len(table.log_weights)))


def distance(counts, law):
    """Total variation between counted and expected shares."""
    return np.abs(counts / counts.sum() - law / law.sum()).sum() / 2


def noise(law, draws):
    """What the total variation of so many independent draws stays below but for one time in 10^8."""
    law = law / law.sum()
    return np.sqrt(law * (1 - law) / draws).sum() / 2 + np.sqrt(np.log(1e8) / (2 * draws))
