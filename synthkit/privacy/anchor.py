"""The private anchor: noisy one- and two-way marginals of a table, measured once; whatever follows is post-processing.

Counts are integers and get discrete Gaussian noise. All blocks of one event (all margins, all pairs) share one noise
multiplier: a record adds one to one cell of every block, so ``B`` blocks together have an L2 sensitivity of
``sqrt(B)`` times that of one block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import PrivacyError
from synthkit.gan.anchor import AnchorSettings, Marginals
from synthkit.privacy.accounting import LATTICE_VARIANCE
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import Event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.histograms import (
    SCORE_STEPS,
    block_sensitivity,
    dependence_scores,
    noisy_histogram,
    noisy_pair_counts,
)
from synthkit.privacy.noise import NoiseSource

Floats = NDArray[np.float64]
Pairs = list[tuple[int, int]]

DEPENDENCE = 4.0
"""Most by which one record changes a dependence score (`synthkit.privacy.mechanisms.dependence_scores`)."""
_RELIEF = 0.1  # share of the noise of a table of pairs that is left once all tables are explained by one set of codes
_CLEAR = 1_500.0  # records per standard deviation of noise from which tables are split by the target
_MOST_PARTS = 8
_SMALLEST = 2  # symbols below which a column is not worth a pair


def sensitivity_of(budget: PrivacyBudget, blocks: int, each: float = 1.0) -> float:
    """L2 sensitivity of ``blocks`` histograms together under a budget; ``each`` is the change by one row."""
    return block_sensitivity(budget.adjacency, max(blocks, 1), budget.rows_per_unit, each)


def event_sigma(event: Event, budget: PrivacyBudget, blocks: int, each: float = 1.0) -> float:
    """Standard deviation of the noise in each cell, in rows, of an event of ``blocks`` histograms.

    Fewer blocks than planned get less noise each, at the same cost: the part of the variance that the accountant takes
    off for whole numbers (`synthkit.privacy.accounting`) stays.

    Raises
    ------
    PrivacyError
        The event has no Gaussian noise, or is asked for more than it was planned for.
    """
    if event.noise_multiplier is None:
        raise PrivacyError(f"the event {event.name!r} has no Gaussian noise, expected a Gaussian event")
    sensitivity = sensitivity_of(budget, blocks, each)
    planned = max(event.sensitivity, 1.0)
    if not event.discrete:
        return event.noise_multiplier * sensitivity
    if sensitivity > planned * (1 + 1e-9):
        raise PrivacyError(
            f"the event {event.name!r} was planned for a sensitivity of {planned:.4g}, asked for {sensitivity:.4g}",
            remedy="plan it for all that it shall count",
        )
    sigma = event.noise_multiplier * planned
    continuous = (sigma**2 - LATTICE_VARIANCE) / planned**2
    return math.sqrt(max(continuous, 0.0) * sensitivity**2 + LATTICE_VARIANCE)


@dataclass(frozen=True, eq=False)
class NoisyMargins:
    """One-way counts with noise.

    Attributes
    ----------
    counts
        Per column noisy counts ``[size]``; may be negative.
    sigma
        Standard deviation of the noise of each count.
    total
        Estimate of the number of rows from all columns together.
    """

    counts: list[NDArray[np.int64]]
    sigma: float
    total: float

    def shares(self) -> list[Floats]:
        """Shares that are not negative and sum to one, nearest to the counts; per column ``[size]``."""
        return [project_to_simplex(own / self.total) for own in self.counts]


def project_to_simplex(values: Floats) -> Floats:
    """The nearest vector of shares: not negative, sum one (Wang and Carreira-Perpiñán 2013).

    Parameters
    ----------
    values
        Any numbers ``[n]``.
    """
    descending = np.sort(values)[::-1]
    excess = np.cumsum(descending) - 1.0
    last = int(np.flatnonzero(descending - excess / np.arange(1, len(values) + 1) > 0)[-1])
    kept = np.maximum(values - excess[last] / (last + 1), 0.0)
    shares: Floats = kept / kept.sum()
    return shares


def measure_margins(
    rows: PrivateRows, sizes: Sequence[int], event: Event, budget: PrivacyBudget, noise: NoiseSource
) -> NoisyMargins:
    """Measure the histogram of every column.

    Parameters
    ----------
    rows
        Private rows with the array "codes" ``[n, C]``.
    sizes
        Symbols of each column.
    event
        The planned event, spent here.

    Privacy
    -------
    Gaussian mechanism on ``C`` histograms; the guarantee is that of the event, under the budget's adjacency.
    """
    sigma = event_sigma(event, budget, len(sizes))
    with rows.reading(event) as data:
        codes = data["codes"]
        counts = [noisy_histogram(codes[:, c], size, sigma, noise) for c, size in enumerate(sizes)]
    weights = 1.0 / np.asarray(sizes, dtype=np.float64)
    totals = np.array([own.sum() for own in counts], dtype=np.float64)
    total = max(1.0, float((weights * totals).sum() / weights.sum()))
    return NoisyMargins(counts, sigma, total)


def select_pairs(
    rows: PrivateRows,
    sizes: Sequence[int],
    event: Event,
    pairs_event: Event,
    budget: PrivacyBudget,
    noise: NoiseSource,
) -> Pairs:
    """Choose the pairs of columns that are worth measuring, by noisy scores of dependence (Zhang et al. 2021, PrivSyn).

    A measured pair costs noise in all its cells, an unmeasured one its dependence. The chosen set has the smallest sum
    of both, taking into account that each further pair adds noise to all others.

    Privacy
    -------
    Gaussian mechanism on one score per pair; what is chosen from the noisy scores is post-processing.
    """
    pairs = all_pairs(sizes)
    sigma = event_sigma(event, budget, len(pairs), score_change(budget) * SCORE_STEPS) / SCORE_STEPS
    with rows.reading(event) as data:
        scores = dependence_scores(data["codes"], list(sizes), pairs, sigma, noise)
    cells = np.array([sizes[i] * sizes[j] for i, j in pairs], dtype=np.float64)
    unit = event_sigma(pairs_event, budget, 1) * math.sqrt(2 / math.pi) * _RELIEF
    # what lies within one standard deviation of the noise is no evidence of dependence
    found = np.maximum(scores - sigma, 0.0)
    # best first: most dependence for the noise of its cells
    order = np.argsort(-found / cells, kind="stable")
    measured = np.cumsum(cells[order]) * unit * np.sqrt(np.arange(1, len(pairs) + 1))
    left = found.sum() - np.cumsum(found[order])
    best = int(np.argmin(measured + left)) + 1
    kept = np.sort(order[:best])
    return [pairs[place] for place in kept.tolist()]


def score_change(budget: PrivacyBudget) -> float:
    """Change of a dependence score by one row, beside the factor that `sensitivity_of` has for the adjacency."""
    # a replaced row counts twice, for which a factor sqrt(2) is allowed already
    return DEPENDENCE * (math.sqrt(2.0) if budget.adjacency == "replace-one" else 1.0)


def all_pairs(sizes: Sequence[int]) -> Pairs:
    """All pairs of columns that vary."""
    varying = [c for c, size in enumerate(sizes) if size >= _SMALLEST]
    return [(i, j) for place, i in enumerate(varying) for j in varying[place + 1 :]]


def measure_pairs(
    rows: PrivateRows,
    sizes: Sequence[int],
    pairs: Pairs,
    margins: NoisyMargins,
    event: Event,
    budget: PrivacyBudget,
    noise: NoiseSource,
    *,
    split_by: int | None = None,
) -> Marginals:
    """Measure the table of every pair and join it with the margins, as shares.

    Parameters
    ----------
    rows, sizes, margins, event, budget, noise
        As for `measure_margins`.
    pairs
        Pairs of columns, at most as many as were planned.
    split_by
        Column, in none of the pairs, by which every table is split.

    Privacy
    -------
    Gaussian mechanism on the tables of all pairs; the guarantee is that of the event, under the budget's adjacency. A
    record is in one cell of each table, split or not.
    """
    sigma = event_sigma(event, budget, len(pairs))
    with rows.reading(event) as data:
        codes = data["codes"]
        if split_by is None:
            counts = noisy_pair_counts(codes, list(sizes), pairs, sigma, noise)
        else:
            # the first column of a pair together with the splitting one is a column too
            by, parts = codes[:, split_by], sizes[split_by]
            joined = np.where((codes >= 0) & (by >= 0)[:, None], by[:, None] * np.asarray(sizes) + codes, -1)
            both = [*(parts * size for size in sizes), *sizes]
            places = [(i, len(sizes) + j) for i, j in pairs]
            found = noisy_pair_counts(np.concatenate([joined, codes], axis=1), both, places, sigma, noise)
            shapes = [(parts, sizes[i], sizes[j]) for i, j in pairs]
            counts = [own.reshape(shape) for own, shape in zip(found, shapes, strict=True)]
    width = int(np.sum(sizes))
    return Marginals(
        np.asarray(sizes, dtype=np.int64),
        np.concatenate(margins.shares()),
        np.full(width, margins.sigma / margins.total),
        pairs,
        [own / margins.total for own in counts],
        np.full(len(pairs), sigma / margins.total),
        split_by,
    )


def worth_splitting(size: int, columns: int, signal_of_pairs: float) -> bool:
    """Whether tables are split by a target of ``size`` symbols: where that many times as many cells drown in no noise.

    Chosen on Adult (`docs/decisions/0005-how-a-budget-is-spent.md`): models trained on synthetic rows always gained; at
    a signal of 840 and less the error of pairs rose for it.
    """
    return 2 <= size <= _MOST_PARTS and columns >= 3 and signal_of_pairs >= _CLEAR


def signal(records: float, pairs_event: Event, pairs: int, budget: PrivacyBudget) -> float:
    """Records per standard deviation of the noise in one cell of a pair: how much the budget buys."""
    return records / event_sigma(pairs_event, budget, pairs)


def most_bins(signal_of_pairs: float) -> int:
    """Most bins of a numeric column: more where the noise in a table of pairs is small.

    Chosen on Adult (`docs/explanation/privacy.md`): 32 bins served at a signal of 440 and 840, 48 at 2,300, 96 at
    6,600.
    """
    return int(np.clip(round(0.29 * signal_of_pairs**0.66), 16, 128))


def anchor_settings(signal_of_pairs: float, width: int) -> AnchorSettings:
    """Settings by a public rule: more and larger steps where the noise is small, fewer codes for very wide tables."""
    ratio = signal_of_pairs / 840.0
    steps = int(np.clip(round(600 * ratio**0.25), 300, 1_000))
    rate = float(np.clip(1e-3 * ratio**0.53, 1e-3, 3e-3))
    return AnchorSettings(codes=1_000 if width <= 1_500 else 600, steps=steps, learning_rate=rate)
