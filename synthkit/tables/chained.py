"""Draws of hidden cells, one column after the other, each given all other cells as they are by then.

Chained equations (van Buuren 2018) that start at a joint draw from the codes, which is why two sweeps suffice. A column
is drawn from trees that were grown on a bootstrap sample of the rows where its cell is known, anew for every
imputation: imputations then differ by what is not known of the law as well as by chance (proper in the sense of Rubin
1987). Numbers are taken from rows whose prediction is near (predictive mean matching, Little 1988), so that they keep
spikes, gaps and whole numbers; these rows are outside the bootstrap sample, where predictions are honest.

References
----------
Little (1988), Missing-data adjustments in large surveys, Journal of Business & Economic Statistics 6.
Rubin (1987), Multiple Imputation for Nonresponse in Surveys.
van Buuren (2018), Flexible Imputation of Missing Data.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from synthkit.random import RandomSource
from synthkit.tables.cell_laws import Belief
from synthkit.tables.completion import ENOUGH, Completion, Floats, Rows, grow, predict, some

DONORS = 5
_TREES = 40
_SWEEPS = 2


def draw_chained(completion: Completion, beliefs: Mapping[int, Belief], random: RandomSource) -> None:
    """Draw all hidden cells anew, in place.

    Parameters
    ----------
    completion
        Rows whose hidden cells hold a joint draw from the codes.
    beliefs
        What the codes say of the columns with hidden cells.
    random
        Source of the draws.
    """
    for sweep in range(_SWEEPS):
        for column in completion.order():
            known = completion.known(column)
            if len(known) >= ENOUGH:
                own = random.child(f"sweep {sweep}").child(f"column {column}")
                _draw_column(completion, column, beliefs[column], known, own)


def _draw_column(completion: Completion, column: int, belief: Belief, known: Rows, random: RandomSource) -> None:
    """Draw the hidden cells of a column; those with many unordered labels stay as the codes drew them."""
    if completion.is_ranked(column):
        _draw_numbers(completion, column, belief, known, random)
    elif belief.log_law is not None and belief.log_law.shape[1] > 1:
        _draw_labels(completion, column, belief.log_law, known, random)


def _draw_numbers(completion: Completion, column: int, belief: Belief, known: Rows, random: RandomSource) -> None:
    rng = random.numpy("bootstrap")
    unknown = np.flatnonzero(completion.hidden[:, column])
    training, donors = bootstrap(known, rng)
    rank = belief.rank.astype(np.float64)
    features = completion.others(column, belief.rank[:, None])
    response = completion.view[:, column]
    trees = grow(features[training], response[training], rank[training], 0, _TREES, random.integer("trees"))
    wanted = predict(trees, features[unknown], rank[unknown], 0)
    found = predict(trees, features[donors], rank[donors], 0)
    chosen = donors[match(found, wanted, DONORS, rng)]
    completion.put(column, unknown, completion.symbols[chosen, column], completion.positions[chosen, column])


def _draw_labels(completion: Completion, column: int, log_law: Floats, known: Rows, random: RandomSource) -> None:
    rng = random.numpy("bootstrap")
    unknown = np.flatnonzero(completion.hidden[:, column])
    training, _ = bootstrap(known, rng)
    classes, first = log_law.shape[1], int(completion.codes[column].missing)
    features = completion.others(column, log_law)
    response = completion.symbols[:, column] - first
    trees = grow(features[training], response[training], log_law[training], classes, _TREES, random.integer("trees"))
    running = np.cumsum(np.exp(predict(trees, features[unknown], log_law[unknown], classes)), axis=1)
    marks = rng.random(len(unknown)) * running[:, -1]
    drawn = (running <= marks[:, None]).sum(axis=1).clip(max=classes - 1) + first
    middle = np.full(len(unknown), 0.5, np.float32)
    completion.put(column, unknown, drawn.astype(np.int32), middle)


def bootstrap(rows: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """A bootstrap sample of rows, and the rows outside it."""
    rows = some(rows, rng)
    drawn = np.sort(rng.integers(0, len(rows), len(rows)))
    outside = np.ones(len(rows), dtype=bool)
    outside[drawn] = False
    return rows[drawn], rows[outside]


def match(donors: Floats, wanted: Floats, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each wanted prediction one of the ``count`` donors whose predictions are nearest, at random.

    Parameters
    ----------
    donors
        Their predictions ``[d]``, d at least one.
    wanted
        ``[n]``.
    count
        How many near donors may be taken.
    rng
        Breaks ties and chooses.

    Returns
    -------
    ndarray of int64 [n]
        Place of the chosen donor.
    """
    # equal predictions (leaves of trees) in random order, so that all of them are taken equally often
    order = np.lexsort((rng.random(len(donors)), donors))
    ascending = donors[order]
    low = np.searchsorted(ascending, wanted, side="left")
    high = np.searchsorted(ascending, wanted, side="right")
    place = low + np.floor(rng.random(len(wanted)) * (high - low + 1)).astype(np.int64)
    window = np.arange(-count, count)
    near = (place[:, None] + window).clip(0, len(donors) - 1)
    distance = np.abs(ascending[near] - wanted[:, None])
    # a place that the clip repeats counts once
    distance[:, 1:][near[:, 1:] == near[:, :-1]] = np.inf
    ranked = np.argsort(distance, axis=1, kind="stable")
    nearest = ranked[:, : min(count, len(donors))]
    chosen = nearest[np.arange(len(wanted)), rng.integers(0, nearest.shape[1], len(wanted))]
    return np.asarray(order[near[np.arange(len(wanted)), chosen]], dtype=np.int64)
