"""The models that treatments are judged with: linear, forest and boosted trees, for classes and for numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthkit.balance.features import FeatureMap, Floats, TrainingRows
from synthkit.evaluation.view import CodedTable

TREES = 200
LEAF_ROWS = 3
# A tree of a forest sees at most so many rows, drawn anew for each: more would cost minutes and hardly change it.
TREE_ROWS = 20_000
_ITERATIONS = 300


@dataclass(frozen=True)
class Learner:
    """One model.

    Attributes
    ----------
    title
        What it is, for readers.
    features
        How it sees rows.
    classifier, regressor
        Take a seed and the number of training rows, and return an unfitted model.
    """

    title: str
    features: Callable[[FeatureMap, CodedTable], Any]
    classifier: Callable[[int, int], Any]
    regressor: Callable[[int, int], Any]


def _logistic(seed: int, rows: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=_ITERATIONS)


def _ridge(seed: int, rows: int) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge()


def _forest(regression: bool) -> Callable[[int, int], Any]:
    def make(seed: int, rows: int) -> Any:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        chosen = RandomForestRegressor if regression else RandomForestClassifier
        return chosen(
            TREES,
            min_samples_leaf=LEAF_ROWS,
            max_features=1 / 3 if regression else "sqrt",
            max_samples=TREE_ROWS if rows > TREE_ROWS else None,
            random_state=seed,
        )

    return make


def _boosted(regression: bool) -> Callable[[int, int], Any]:
    def make(seed: int, rows: int) -> Any:
        from lightgbm import LGBMClassifier, LGBMRegressor

        chosen = LGBMRegressor if regression else LGBMClassifier
        return chosen(n_jobs=1, random_state=seed, deterministic=True, force_row_wise=True, verbose=-1)

    return make


_LINEAR = "logistic or ridge regression on standardised numbers and indicators"
_BOOSTED = "gradient-boosted trees (LightGBM, its defaults)"
LEARNERS: Mapping[str, Learner] = {
    "linear": Learner(_LINEAR, FeatureMap.linear, _logistic, _ridge),
    "forest": Learner(f"random forest of {TREES} trees", FeatureMap.tree, _forest(False), _forest(True)),
    "boosted": Learner(_BOOSTED, FeatureMap.tree, _boosted(False), _boosted(True)),
}


def predict(
    name: str, rows: TrainingRows, test: CodedTable, features: FeatureMap, *, n_classes: int, seed: int
) -> Floats:
    """Train a model and return what it says about other rows.

    Parameters
    ----------
    name
        Which of `LEARNERS`.
    rows
        What to learn from.
    test
        The rows to predict.
    features
        How rows are seen, learned from the real training rows.
    n_classes
        Number of classes; 0 for a numeric target.
    seed
        Seed of the model.

    Returns
    -------
    numpy.ndarray
        Probabilities, shape [rows, classes], or numbers, shape [rows].
    """
    from sklearn.exceptions import ConvergenceWarning

    learner = LEARNERS[name]
    model = (learner.classifier if n_classes else learner.regressor)(seed, len(rows))
    with warnings.catch_warnings():
        # a linear model that has not quite converged answers all the same
        warnings.simplefilter("ignore", ConvergenceWarning)
        # LightGBM names the columns of an array and misses the names afterwards
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        model.fit(learner.features(features, rows.table), rows.target, sample_weight=rows.weights)
        seen = learner.features(features, test)
        if not n_classes:
            return np.asarray(model.predict(seen), dtype=np.float64)
        probabilities = np.zeros((len(test), n_classes))
        probabilities[:, model.classes_] = model.predict_proba(seen)
    return probabilities
