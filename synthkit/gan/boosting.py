"""A density ratio of real to generated rows, as a sum of boosted trees and of tilts of single symbols.

The log-odds of a classifier between real and generated rows are an estimate of the log of the ratio of their
densities. Adding the estimates of many small rounds, each against rows drawn from the ratio so far, is boosting of an
energy: the generator times the exponential of the sum comes ever closer to the data.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import ModelFileError
from synthkit.gan.layout import Layout

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float32]
Symbols = NDArray[np.int32]
Folds = NDArray[np.int8]
FOLDS = 5  # of the predictors of the target
EARLY = 8
"""Rounds that a proposal is judged by first: they hold most of what is told apart, for a fraction of the time."""


@dataclass(frozen=True)
class TreeSettings:
    """Boosted trees of one round (LightGBM)."""

    trees: int = 8
    leaves: int = 63
    min_rows: int = 30
    learning_rate: float = 0.3
    columns: float = 0.8
    threads: int = 0

    def parameters(self, seed: int, focus: Sequence[float] = ()) -> dict[str, Any]:
        """LightGBM's parameters, deterministic for a given number of threads; ``focus`` weighs gains by feature."""
        chosen: dict[str, Any] = {"feature_contri": list(focus)} if len(focus) else {}
        return chosen | {
            "objective": "binary",
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_rows,
            "learning_rate": self.learning_rate,
            "lambda_l2": 1.0,
            "feature_fraction": self.columns,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads or available_threads(),
            "verbose": -1,
        }


def available_threads() -> int:
    """Processors this process may use, as far as the environment does not ask for fewer."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(asked), free) if asked.isdigit() and int(asked) > 0 else free


def fit_trees(
    real: Floats, fake: Floats, settings: TreeSettings, seed: int, focus: Sequence[float] = ()
) -> lightgbm.Booster:
    """Classifier of real (1) against generated (0) rows ``[n, F]``; both classes weigh the same."""
    import lightgbm

    labels = np.concatenate([np.ones(len(real), np.float32), np.zeros(len(fake), np.float32)])
    weights = np.where(labels == 1, 1.0, len(real) / max(len(fake), 1)).astype(np.float32)
    data = lightgbm.Dataset(np.concatenate([real, fake]), labels, weight=weights, free_raw_data=True)
    return lightgbm.train(settings.parameters(seed, focus), data, settings.trees)


def log_odds(trees: lightgbm.Booster, rows: Floats, threads: int = 0) -> Floats:
    """Log-odds ``[n]`` that rows are real."""
    found = trees.predict(rows, raw_score=True, num_threads=threads or available_threads())
    return np.asarray(found, dtype=np.float32)


class TreeView:
    """Rows as trees see them: the rank of a number in its column, the symbol of a label.

    Parameters
    ----------
    layout
        Columns in symbol space.
    """

    def __init__(self, layout: Layout) -> None:
        starts = layout.offsets[:-1]
        owner = layout.owner
        on_a_scale = np.add.reduceat(layout.ranked, starts) > 0
        symbol = np.arange(layout.width) - starts[owner]
        base = np.where(layout.ranked, layout.rank_left, np.where(on_a_scale[owner], np.nan, symbol))
        width = np.where(layout.ranked, layout.rank_right - layout.rank_left, 0.0)
        self._starts = starts
        self._base = base.astype(np.float32)
        self._width = width.astype(np.float32)

    def rows(self, symbols: Symbols, positions: Floats) -> Floats:
        """``[n, C]`` float32, NaN where missing."""
        places = symbols + self._starts
        view: Floats = self._base[places] + positions * self._width[places]
        return view

    def column(self, column: int, symbols: Symbols, positions: Floats) -> Floats:
        """One column of `rows`, ``[n]``."""
        places = symbols + self._starts[column]
        view: Floats = self._base[places] + positions * self._width[places]
        return view


class Predictor(Protocol):
    """What the other columns of a row say of one column (see `synthkit.gan.prediction`)."""

    column: int
    classes: int

    @property
    def width(self) -> int:
        """Number of further columns for the trees."""

    def predict(self, view: Floats, folds: Folds) -> Floats:
        """Prediction ``[n, outputs]`` for rows ``[n, C]``, whatever their own value of the column."""

    def columns(self, view: Floats, predicted: Floats) -> Floats:
        """The further columns ``[n, width]``."""

    def log_probabilities(self, predicted: Floats) -> NDArray[np.float64]:
        """Log-probability of each symbol of the column, ``[n, classes]``, where it is predicted as classes."""


class BoostedRatio:
    """Log of the density ratio: trees of all rounds plus a tilt for each symbol.

    Parameters
    ----------
    layout
        Columns in symbol space.
    threads
        Threads for the trees; 0 takes what there is.

    Attributes
    ----------
    predictor
        Predicts the target, or None.
    """

    def __init__(self, layout: Layout, threads: int = 0) -> None:
        self._starts = layout.offsets[:-1]
        self._threads = threads
        self.rounds: list[lightgbm.Booster] = []
        self.tilts = np.zeros(layout.width, np.float32)
        self.predictor: Predictor | None = None

    def predict(self, view: Floats, folds: Folds) -> Floats:
        """What is predicted of the target of rows ``[n, C]``; no columns without a target."""
        return np.zeros((len(view), 0), np.float32) if self.predictor is None else self.predictor.predict(view, folds)

    def seen(self, view: Floats, predicted: Floats) -> Floats:
        """All that the trees see of rows ``[n, C]``: with what is predicted of their target, ``[n, F]``."""
        if self.predictor is None:
            return view
        return np.concatenate([view, self.predictor.columns(view, predicted)], axis=1)

    def __call__(self, view: Floats, symbols: Symbols, predicted: Floats) -> Floats:
        """Log-ratio ``[n]`` up to a constant."""
        total: Floats = self.early(view, predicted) + self.late(view, symbols, predicted)
        return total

    def early(self, view: Floats, predicted: Floats) -> Floats:
        """What the first rounds say, ``[n]``."""
        return self._of_rounds(slice(EARLY), view, predicted)

    def late(self, view: Floats, symbols: Symbols, predicted: Floats) -> Floats:
        """What the other rounds and the tilts say, ``[n]``."""
        tilts: Floats = self.tilts[symbols + self._starts].sum(axis=1)
        return tilts + self._of_rounds(slice(EARLY, None), view, predicted)

    def _of_rounds(self, which: slice, view: Floats, predicted: Floats) -> Floats:
        total = np.zeros(len(view), np.float32)
        if self.rounds[which]:
            seen = self.seen(view, predicted)
            for trees in self.rounds[which]:
                total += log_odds(trees, seen, self._threads)
        return total

    def texts(self) -> dict[str, str]:
        """The trees of each round in LightGBM's own text format, by file name."""
        return {f"trees-{i:03d}.txt": trees.model_to_string() for i, trees in enumerate(self.rounds)}

    def load(self, texts: Mapping[str, str], tilts: Floats) -> None:
        """Take what `texts` and `tilts` held."""
        import lightgbm

        names = sorted(name for name in texts if name.startswith("trees-"))
        if tilts.shape != self.tilts.shape:
            raise ModelFileError(f"the model file has {len(tilts)} tilts, expected {len(self.tilts)}")
        try:
            self.rounds = [lightgbm.Booster(model_str=texts[name]) for name in names]
        except lightgbm.basic.LightGBMError as error:
            raise ModelFileError(f"the trees in the model file are damaged ({error})") from error
        self.tilts = np.asarray(tilts, np.float32).copy()
