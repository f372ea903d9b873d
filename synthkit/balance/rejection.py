"""Which generated rows are not worth having: those unlike their class, and those that copy a real row.

Unlike their class: boosted trees learn to tell the rows of the class from all others, in folds. Real rows of the class
are scored by the trees that did not learn from them; the score that a stated share of them falls short of is the limit
for generated rows. A generator that draws from the law of the class itself therefore loses exactly that share and no
more, however much classes overlap and however rare the class is. A generated row is scored by the trees that did not
learn from the real row that it started at.

Copies: rows that agree with some real row of the table, of whatever class, in every column but the target and the
columns that name rows; numbers count as equal if they are once rounded to the decimals of their column.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.view import CodedTable, TableView
from synthkit.gan.boosting import available_threads
from synthkit.random import RandomSource

if TYPE_CHECKING:
    import lightgbm

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

FOLDS = 5
FEWEST = 10
"""Rows of a class from which it is told from others; with fewer, what trees say is chance."""

_TREES = 100
_MOST_OTHERS = 20_000  # rows of other classes that one fold learns from: more cost time and change little
_MOST_DECIMALS = 8
_DECIMAL_ROWS = 2_000
_FIGURES = 7  # that numbers without fixed decimals are compared in


class ClassModel:
    """Boosted trees, in folds, that tell the rows of one class from all others.

    Parameters
    ----------
    features
        Real rows as trees see them, shape [rows, features], NaN where missing.
    rows
        Places of the rows of the class, at least `FEWEST`.
    share
        Share of the rows of the class that the limit lies above, from 0 to below 1.
    random
        Source of the folds.

    Attributes
    ----------
    fold
        For each row of the class the fold whose trees did not learn from it, shape [rows of the class].
    scores
        Its log-odds by those trees, shape [rows of the class].
    limit
        The score that ``share`` of the rows of the class fall short of.
    """

    def __init__(self, features: Floats, rows: Rows, share: float, random: RandomSource) -> None:
        rng = random.numpy("folds")
        self.fold = rng.permutation(np.arange(len(rows)) % FOLDS)
        others = np.setdiff1d(np.arange(len(features)), rows)
        owner = rng.permutation(np.arange(len(others)) % FOLDS)
        self._trees = []
        self.scores = np.empty(len(rows))
        for fold in range(FOLDS):
            learned = others[owner != fold]
            if len(learned) > _MOST_OTHERS:
                learned = rng.choice(learned, _MOST_OTHERS, replace=False)
            trees = _fit(features[rows[self.fold != fold]], features[learned], random.integer(f"trees {fold}"))
            self._trees.append(trees)
            own = self.fold == fold
            self.scores[own] = _log_odds(trees, features[rows[own]])
        self.limit = float(np.quantile(self.scores, share)) if share > 0 else -np.inf

    def score(self, features: Floats, fold: int) -> Floats:
        """Log-odds of rows [n, features] by the trees of a fold, shape [n]."""
        return _log_odds(self._trees[fold], features)


def _fit(own: Floats, others: Floats, seed: int) -> lightgbm.Booster:
    import lightgbm

    labels = np.concatenate([np.ones(len(own)), np.zeros(len(others))])
    settings = {
        "objective": "binary",
        "learning_rate": 0.05,
        "num_leaves": 15,
        # a class of ten rows can be told from others by a leaf of three
        "min_data_in_leaf": int(np.clip(len(own) // 8, 3, 20)),
        "lambda_l2": 1.0,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "max_bin": 127,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": available_threads(),
        "verbose": -1,
    }
    return lightgbm.train(settings, lightgbm.Dataset(np.concatenate([own, others]), labels), _TREES)


def _log_odds(trees: lightgbm.Booster, features: Floats) -> Floats:
    if not len(features):
        return np.empty(0)
    return np.asarray(trees.predict(features, raw_score=True, num_threads=available_threads()), dtype=np.float64)


class RealRows:
    """What real rows are known by.

    Parameters
    ----------
    view
        How the compared columns are read.
    frame
        All real rows.
    """

    def __init__(self, view: TableView, frame: pd.DataFrame) -> None:
        coded = view.code(frame)
        self._decimals = [_decimals(column) for column in coded.numbers.T]
        self._known = np.unique(self._keys(coded))

    def copied(self, coded: CodedTable) -> npt.NDArray[np.bool_]:
        """Which rows agree with a real one in every column, shape [n]."""
        return np.isin(self._keys(coded), self._known)

    def _keys(self, coded: CodedTable) -> npt.NDArray[np.uint64]:
        """A 64-bit hash of each row; missing numbers are equal to each other."""
        parts = {
            f"n{place}": _rounded(column, decimals)
            for place, (column, decimals) in enumerate(zip(coded.numbers.T, self._decimals, strict=True))
        }
        parts |= {f"c{place}": column for place, column in enumerate(coded.codes.T)}
        if not parts:
            return np.zeros(len(coded), dtype=np.uint64)
        return pd.util.hash_pandas_object(pd.DataFrame(parts), index=False).to_numpy().astype(np.uint64)


def _decimals(values: Floats) -> int | None:
    """Return with how many decimals a column is written; None where it uses all that a float has."""
    present = values[~np.isnan(values)][:_DECIMAL_ROWS]
    for decimals in range(_MOST_DECIMALS):
        if np.array_equal(np.round(present, decimals), present):
            return decimals
    return None


def _rounded(values: Floats, decimals: int | None) -> Floats:
    """Return numbers as they are compared; adding zero makes one of the two zeros."""
    if decimals is not None:
        return np.round(values, decimals) + 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.floor(np.log10(np.abs(values)))
    scale = 10.0 ** np.where(np.isfinite(size), np.clip(_FIGURES - 1 - size, -300, 300), 0.0)
    return np.round(values * scale) / scale + 0.0


def split_by(folds: npt.NDArray[np.int64]) -> Iterable[tuple[int, Rows]]:
    """Return each fold that occurs with the places that have it."""
    return [(int(fold), np.flatnonzero(folds == fold).astype(np.int64)) for fold in np.unique(folds)]
