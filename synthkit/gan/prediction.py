"""What the other columns say of the target: its law given a row, and further columns for the trees.

Models are trained on synthetic tables to predict one column, and a two-sample test spreads its attention over all of
them. Boosted predictors of the target, one for each fold of the real rows and fitted to the others, do two things.
The class of a generated row is drawn from them (the factorisation of a joint law into rows without the target and the
target given the row), and the trees that compare real and generated rows see their output beside the row: whether the
target lies as far from its prediction in generated rows as in real ones can then be seen in one split. A real row is
always predicted by the model that did not see it, so nothing is learned by heart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import ModelFileError
from synthkit.gan.boosting import FOLDS, Floats, Folds, Symbols, TreeSettings, available_threads
from synthkit.gan.layout import Layout

if TYPE_CHECKING:
    import lightgbm

_MOST_CLASSES = 8
_FEWEST_ROWS = 500
_FEWEST_OF_A_CLASS = 20
# The second learns slowly, which noisy targets need; cross-validation tells which is better.
_CANDIDATES = (
    TreeSettings(trees=40, leaves=31, min_rows=20, learning_rate=0.2, columns=0.8),
    TreeSettings(trees=50, leaves=15, min_rows=20, learning_rate=0.15, columns=0.5),
)
# A number is told by its expected rank alone: that has to be good.
_OF_NUMBERS = TreeSettings(trees=100, leaves=63, min_rows=20, learning_rate=0.12, columns=0.8)


class TargetPredictor:
    """Cross-fitted predictors of one column.

    Parameters
    ----------
    column
        Number of the target column.
    classes
        Number of its symbols where they are predicted as classes; 0 for a number, which is predicted by its rank.
    models
        One booster for each fold.
    threads
        0 takes what there is.
    """

    def __init__(self, column: int, classes: int, models: list[lightgbm.Booster], threads: int = 0) -> None:
        self.column, self.classes, self.models, self._threads = column, classes, models, threads

    @classmethod
    def fit(
        cls, view: Floats, symbols: Symbols, folds: Folds, layout: Layout, column: int, seed: int, threads: int = 0
    ) -> TargetPredictor | None:
        """Fit to real rows.

        Parameters
        ----------
        view
            Rows as trees see them, ``[N, C]``.
        symbols
            The same rows in symbol space, ``[N, C]``.
        folds
            Fold of each row; the predictor of a fold never sees its rows.
        layout, column
            Columns in symbol space, and which of them is the target.

        Returns
        -------
        TargetPredictor or None
            None for a target with many unordered classes or a class of a few rows, and for too few rows.
        """
        own = slice(layout.offsets[column], layout.offsets[column + 1])
        size = int(layout.sizes[column])
        if size <= _MOST_CLASSES and not layout.inside[own].any():
            wanted: NDArray[Any] = symbols[:, column]
            known = np.ones(len(wanted), dtype=bool)
            classes = size
            if size < 2 or np.bincount(wanted, minlength=size).min() < _FEWEST_OF_A_CLASS:
                return None
        else:
            wanted = view[:, column]
            known = np.isfinite(wanted)
            classes = 0
            if not layout.ranked[own].any():
                return None
        if known.sum() < _FEWEST_ROWS:
            return None
        others = np.ascontiguousarray(np.delete(view, column, axis=1))
        best: tuple[float, TargetPredictor] | None = None
        for settings in _CANDIDATES if classes else (_OF_NUMBERS,):
            models = _cross_fit(settings, others, wanted, known, folds, classes, seed, threads)
            predictor = cls(column, classes, models, threads)
            loss = predictor._loss(others[known], wanted[known], folds[known])
            if best is None or loss < best[0]:
                best = loss, predictor
        return None if best is None else best[1]

    def _loss(self, others: Floats, wanted: NDArray[Any], folds: Folds) -> float:
        """Cross-validated log-loss, or squared error of the rank."""
        raw = self._raw(others, folds)
        if not self.classes:
            return float(np.mean((wanted - raw[:, 0]) ** 2))
        return -float(np.mean(self.log_probabilities(raw)[np.arange(len(raw)), wanted]))

    @property
    def outputs(self) -> int:
        """Number of columns that `predict` returns."""
        return self.classes if self.classes > 2 else 1

    @property
    def width(self) -> int:
        """Number of columns that `columns` returns."""
        return self.outputs if self.classes else 2

    def predict(self, view: Floats, folds: Folds) -> Floats:
        """Log-odds of the classes or the expected rank for rows ``[n, C]``, whatever their target; ``[n, outputs]``."""
        return self._raw(np.ascontiguousarray(np.delete(view, self.column, axis=1)), folds)

    def _raw(self, others: Floats, folds: Folds) -> Floats:
        found = np.empty((len(others), self.outputs), np.float32)
        for fold, model in enumerate(self.models):
            rows = np.flatnonzero(folds == fold)
            if len(rows):
                raw = model.predict(others[rows], raw_score=True, num_threads=self._threads or available_threads())
                found[rows] = np.asarray(raw, np.float32).reshape(len(rows), self.outputs)
        return found

    def columns(self, view: Floats, predicted: Floats) -> Floats:
        """Columns for the trees ``[n, width]``: log-odds; or the expected rank and how far the row's own is from it."""
        if self.classes:
            return predicted
        return np.concatenate([predicted, view[:, self.column, None] - predicted], axis=1)

    def log_probabilities(self, predicted: Floats) -> NDArray[np.float64]:
        """Log-probability of each class, ``[n, classes]``, from what `predict` returned."""
        raw = predicted.astype(np.float64)
        if self.classes == 2:
            raw = np.concatenate([np.zeros_like(raw), raw], axis=1)
        raw = raw - raw.max(axis=1, keepdims=True)
        found: NDArray[np.float64] = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
        return found

    def texts(self) -> dict[str, str]:
        """The boosters in LightGBM's own text format, by file name."""
        return {f"target-{fold}.txt": model.model_to_string() for fold, model in enumerate(self.models)}

    def fields(self) -> dict[str, Any]:
        """The rest, JSON-safe."""
        return {"column": self.column, "classes": self.classes}

    @classmethod
    def load(cls, fields: Mapping[str, Any], texts: Mapping[str, str]) -> TargetPredictor:
        """Inverse of `texts` and `fields`."""
        import lightgbm

        names = sorted(name for name in texts if name.startswith("target-"))
        if len(names) != FOLDS:
            raise ModelFileError(f"the model file has {len(names)} predictors of the target, expected {FOLDS}")
        try:
            models = [lightgbm.Booster(model_str=texts[name]) for name in names]
        except lightgbm.basic.LightGBMError as error:
            raise ModelFileError(f"the predictors in the model file are damaged ({error})") from error
        return cls(int(fields["column"]), int(fields["classes"]), models)


def _cross_fit(
    settings: TreeSettings,
    others: Floats,
    wanted: NDArray[Any],
    known: NDArray[np.bool_],
    folds: Folds,
    classes: int,
    seed: int,
    threads: int,
) -> list[lightgbm.Booster]:
    """One booster for each fold, fitted to the rows of the others."""
    import lightgbm

    objective = "regression" if classes == 0 else "binary" if classes == 2 else "multiclass"
    own = {"num_class": classes} if classes > 2 else {}
    parameters = replace(settings, threads=threads).parameters(seed) | {"objective": objective} | own
    models = []
    for fold in range(FOLDS):
        rows = known & (folds != fold)
        models.append(lightgbm.train(parameters, lightgbm.Dataset(others[rows], wanted[rows]), settings.trees))
    return models
