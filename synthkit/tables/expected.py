"""The best single guess of hidden cells: conditional means of numbers, most likely labels.

What the codes expect, a ridge regression on the other columns and boosted trees on top of it are combined by
stacking: weights that are not negative and predict known cells best, each cell being predicted by models that did not
see it (Breiman 1996, Stacked regressions, Machine Learning 24). Where the codes know all there is, they keep all the
weight.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from synthkit.random import RandomSource
from synthkit.tables.cell_laws import Belief
from synthkit.tables.completion import ENOUGH, Completion, Floats, Rows, grow, predict, some
from synthkit.tables.encoder import TableEncoder
from synthkit.tables.number_codec import NumberCodec

_FOLDS = 3
_TREES = 60
_MOST_LABELS = 20  # labels of a column up to which each is a column of the ridge regression
_SHARES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


class Expectation:
    """Fills hidden cells by their conditional mean or mode.

    Parameters
    ----------
    encoder
        Of the table.
    completion
        Its rows; filled in place.
    numbers
        Of the columns of numbers their values on the column's scale, NaN where hidden or a sentinel, ``[n]`` each.
    beliefs
        What the codes say of the columns with hidden cells.
    """

    def __init__(
        self,
        encoder: TableEncoder,
        completion: Completion,
        numbers: dict[int, Floats],
        beliefs: Mapping[int, Belief],
    ) -> None:
        self._encoder, self._completion, self._beliefs = encoder, completion, beliefs
        self.numbers = numbers
        for column in completion.order():
            self._guess(column)

    def _guess(self, column: int) -> None:
        """Fill the hidden cells of a column by what the codes expect."""
        belief, completion = self._beliefs[column], self._completion
        rows = np.flatnonzero(completion.hidden[:, column])
        if column in self.numbers:
            self._put(column, rows, belief.mean[rows])
        else:
            completion.put(column, rows, belief.mode[rows], np.full(len(rows), 0.5, np.float32))

    def _put(self, column: int, rows: Rows, means: Floats) -> None:
        """Fill numbers; those that are probably a sentinel become one."""
        codec = self._encoder.codec(self._completion.codes[column].name)
        if not isinstance(codec, NumberCodec):
            raise TypeError("a column of numbers has a codec of numbers")
        own = np.rint(means).astype(np.int64) if codec.scale.integral else means
        self.numbers[column][rows] = own
        symbols, positions = codec.encode_numbers(own, np.zeros(len(rows), dtype=bool), None)
        special = self._beliefs[column].special[rows]
        placed = np.where(special >= 0, special, symbols).astype(np.int32)
        self._completion.put(column, rows, placed, positions.astype(np.float32))
        self.numbers[column][rows[special >= 0]] = np.nan

    def improve(self, random: RandomSource) -> None:
        """Predict the hidden cells of every column that has enough known ones, given all others as they are by then."""
        for column in self._completion.order():
            own = random.child(f"column {column}")
            belief = self._beliefs[column]
            if column in self.numbers:
                self._improve_numbers(column, belief, own)
            elif belief.log_law is not None and belief.log_law.shape[1] > 1:
                self._improve_labels(column, belief.log_law, own)

    def _improve_numbers(self, column: int, belief: Belief, random: RandomSource) -> None:
        completion, rng = self._completion, random.numpy("folds")
        values = self.numbers[column]
        known = some(np.flatnonzero(~completion.hidden[:, column] & np.isfinite(values)), rng)
        if len(known) < ENOUGH or np.ptp(values[known]) == 0:
            return
        unknown = np.flatnonzero(completion.hidden[:, column])
        centre, spread = values[known].mean(), values[known].std()
        response = (values - centre) / spread
        codes = (belief.mean - centre) / spread
        design = self._design(column, codes)
        lowest, highest = response[known].min(), response[known].max()
        seen = np.zeros((len(known), 3))
        filled = np.zeros((len(unknown), 3))
        fold = rng.permutation(len(known)) % _FOLDS
        for number in range(_FOLDS):
            training, left = known[fold != number], np.flatnonzero(fold == number)
            line = ridge(design[training], response[training])
            straight = np.clip(design @ line, lowest, highest)
            features = completion.others(column, np.stack([codes, straight], axis=1))
            seed = random.integer(f"trees {number}")
            trees = grow(features[training], response[training], straight[training], 0, _TREES, seed)
            for rows, out, where in ((known[left], seen, left), (unknown, filled, np.arange(len(unknown)))):
                both = predict(trees, features[rows], straight[rows], 0)
                found = np.stack([codes[rows], straight[rows], both], axis=1)
                out[where] += found if out is seen else found / _FOLDS
        weights = stacked(seen, response[known])
        means = np.clip(filled @ weights, lowest, highest)
        self._put(column, unknown, means * spread + centre)

    def _improve_labels(self, column: int, log_law: Floats, random: RandomSource) -> None:
        completion, rng = self._completion, random.numpy("folds")
        known = some(completion.known(column), rng)
        if len(known) < ENOUGH:
            return
        unknown = np.flatnonzero(completion.hidden[:, column])
        classes, first = log_law.shape[1], int(completion.codes[column].missing)
        response = completion.symbols[:, column] - first
        features = completion.others(column, log_law)
        seen = np.zeros((len(known), classes))
        filled = np.zeros((len(unknown), classes))
        fold = rng.permutation(len(known)) % _FOLDS
        for number in range(_FOLDS):
            training, left = known[fold != number], np.flatnonzero(fold == number)
            seed = random.integer(f"trees {number}")
            trees = grow(features[training], response[training], log_law[training], classes, _TREES // 2, seed)
            seen[left] = np.exp(predict(trees, features[known[left]], log_law[known[left]], classes))
            filled += np.exp(predict(trees, features[unknown], log_law[unknown], classes)) / _FOLDS
        share = mixed(np.exp(log_law[known]), seen, response[known])
        law = (1 - share) * np.exp(log_law[unknown]) + share * filled
        symbols = (law.argmax(axis=1) + first).astype(np.int32)
        completion.put(column, unknown, symbols, np.full(len(unknown), 0.5, np.float32))

    def _design(self, column: int, codes: Floats) -> Floats:
        """Columns of the ridge regression: what the codes expect, the other numbers, indicators of the labels."""
        completion = self._completion
        parts = [codes[:, None]]
        for other, code in enumerate(completion.codes):
            if other == column:
                continue
            if other in self.numbers:
                parts.append(self.numbers[other][:, None])
                if np.isnan(self.numbers[other]).any():
                    parts.append(np.isnan(self.numbers[other])[:, None])
            elif code.size <= _MOST_LABELS:
                first = int(code.missing)
                parts.append(completion.symbols[:, other, None] == np.arange(first + 1, code.size))
        design = np.concatenate([part.astype(np.float64) for part in parts], axis=1)
        spread = np.nanstd(design, axis=0)
        design = (design - np.nanmean(design, axis=0)) / np.where(spread > 0, spread, 1.0)
        # an unknown number says nothing: it sits at the mean
        return np.concatenate([np.ones((len(design), 1)), np.nan_to_num(design)], axis=1)


def ridge(design: Floats, response: Floats, penalty: float = 1.0) -> Floats:
    """Coefficients of a ridge regression on standardised columns, the first of which is constant and not shrunk."""
    shrink = np.full(design.shape[1], penalty)
    shrink[0] = 1e-9
    return np.asarray(np.linalg.solve(design.T @ design + np.diag(shrink), design.T @ response), dtype=np.float64)


def stacked(candidates: Floats, response: Floats) -> Floats:
    """Weights of predictions that are not negative and predict best together, ``[m]``.

    Parameters
    ----------
    candidates
        Predictions ``[n, m]`` of models that did not see the row.
    response
        ``[n]``, with mean 0: what has no weight is the mean.
    """
    weights, _ = nnls(candidates, response)
    return np.asarray(weights, dtype=np.float64)


def mixed(first: Floats, second: Floats, response: NDArray[np.int32]) -> float:
    """Share of the second of two laws ``[n, classes]`` in the mixture under which the classes ``[n]`` are likeliest."""
    rows = np.arange(len(response))
    one, two = first[rows, response], second[rows, response]
    likelihood = [np.log(np.maximum((1 - share) * one + share * two, 1e-12)).mean() for share in _SHARES]
    return float(_SHARES[int(np.argmax(likelihood))])
