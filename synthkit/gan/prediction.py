"""What the other columns say of the target: further columns for the trees that compare real and generated rows.

Models are trained on synthetic tables to predict one column, and a two-sample test spreads its attention over all of
them. Boosted predictors of the target, one for each fold of the real rows and fitted to the others, are shown to the
trees beside the row: whether the target lies as far from its prediction in generated rows as in real ones can then be
seen in one split. A real row is always predicted by the model that did not see it, so nothing is learned by heart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from synthkit.errors import ModelFileError
from synthkit.gan.boosting import FOLDS, Floats, Folds, TreeSettings, available_threads
from synthkit.gan.layout import Layout

if TYPE_CHECKING:
    import lightgbm

_MOST_CLASSES = 8
_FEWEST_ROWS = 500


class TargetPredictor:
    """Cross-fitted predictors of one column.

    Parameters
    ----------
    column
        Number of the target column.
    classes
        Number of its classes; 0 for a number, which is predicted by its rank.
    models
        One booster for each fold.
    threads
        0 takes what there is.
    """

    def __init__(self, column: int, classes: int, models: list[lightgbm.Booster], threads: int = 0) -> None:
        self.column, self.classes, self.models, self._threads = column, classes, models, threads

    @classmethod
    def fit(
        cls, view: Floats, folds: Folds, layout: Layout, column: int, seed: int, threads: int = 0
    ) -> TargetPredictor | None:
        """Fit to real rows.

        Parameters
        ----------
        view
            Rows as trees see them, ``[N, C]``.
        folds
            Fold of each row; the predictor of a fold never sees its rows.
        layout, column
            Columns in symbol space, and which of them is the target.

        Returns
        -------
        TargetPredictor or None
            None for a target with many unordered classes, and for too few rows.
        """
        import lightgbm

        known = np.isfinite(view[:, column])
        ranked = layout.ranked[layout.offsets[column] : layout.offsets[column + 1]]
        size = len(ranked)
        classes = size if size <= _MOST_CLASSES and not (ranked.any() and not ranked.all()) else 0
        if (classes == 0 and not ranked.any()) or known.sum() < _FEWEST_ROWS:
            return None
        wanted = view[:, column]
        if classes and ranked.any():
            # ranks of a few ordered values: back to class numbers
            wanted = np.unique(wanted, return_inverse=True)[1].astype(np.float32)
            classes = int(wanted.max()) + 1
        others = np.ascontiguousarray(np.delete(view, column, axis=1))
        parameters = _parameters(classes, seed, threads)
        models = []
        for fold in range(FOLDS):
            rows = known & (folds != fold)
            models.append(lightgbm.train(parameters, lightgbm.Dataset(others[rows], wanted[rows]), 100))
        return cls(column, classes, models, threads)

    @property
    def width(self) -> int:
        """Number of columns that `columns` returns."""
        return self.classes if self.classes > 2 else 2 - int(self.classes == 2)

    def columns(self, view: Floats, folds: Folds) -> Floats:
        """Predictions for rows ``[n, C]``: log-odds of classes; or the rank and how far the row's own is from it."""
        others = np.ascontiguousarray(np.delete(view, self.column, axis=1))
        outputs = self.classes if self.classes > 2 else 1
        found = np.empty((len(view), outputs), np.float32)
        for fold, model in enumerate(self.models):
            rows = np.flatnonzero(folds == fold)
            if len(rows):
                raw = model.predict(others[rows], raw_score=True, num_threads=self._threads or available_threads())
                found[rows] = np.asarray(raw, np.float32).reshape(len(rows), outputs)
        if self.classes:
            return found
        return np.concatenate([found, view[:, self.column, None] - found], axis=1)

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


def _parameters(classes: int, seed: int, threads: int) -> dict[str, Any]:
    objective = "regression" if classes == 0 else "binary" if classes == 2 else "multiclass"
    own = {"num_class": classes} if classes > 2 else {}
    trees = TreeSettings(leaves=63, min_rows=40, learning_rate=0.12, threads=threads)
    return trees.parameters(seed) | {"objective": objective, "lambda_l2": 0.0} | own
