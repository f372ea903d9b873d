"""Utility: whether a model trained on synthetic rows predicts real ones as well as one trained on real rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.intervals import Floats, auc_interval, groups_of, jackknife_interval, mean_interval
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView

# A numeric target with more distinct held-out values than this is predicted as a number.
_MOST_CLASSES = 20


def is_regression(view: TableView, test: pd.DataFrame, target: str) -> bool:
    """Tell whether the target is predicted as a number rather than as a class."""
    return target in view.numeric and test[target].nunique() > _MOST_CLASSES


def measure_name(view: TableView, test: pd.DataFrame, target: str) -> str:
    """Return what the utility scores of this target measure."""
    if is_regression(view, test, target):
        return "R2"
    return "ROC AUC" if test[target].astype(str).nunique() == 2 else "accuracy"


def utility_score(
    view: TableView,
    train: tuple[pd.DataFrame, CodedTable],
    test: tuple[pd.DataFrame, CodedTable],
    target: str,
    generator: np.random.Generator,
) -> Score:
    """Return how well boosted trees trained on one table predict the target in real held-out rows.

    Parameters
    ----------
    view
        How columns are read.
    train
        The rows to learn from, as a frame and coded.
    test
        Real rows that neither the generator nor the model has seen.
    target
        The column to predict.
    generator
        Draws the groups of the interval of R2.

    Returns
    -------
    Score
        R2 for a number, area under the ROC curve for two classes, accuracy for more; the interval is over the held-out
        rows.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    features, held_out = view.tree(train[1], without=target), view.tree(test[1], without=target)
    if features.shape[1] == 0:
        return Score(float("nan"), direction="higher", note="there is no column to predict from")
    n = len(held_out)
    if is_regression(view, test[0], target):
        known, truth = view.target(train[0], target), view.target(test[0], target)
        given, present = ~pd.isna(known), ~pd.isna(truth)
        if given.sum() < 2 or present.sum() < 2:
            return Score(float("nan"), direction="higher", note=f"{target!r} is missing nearly everywhere")
        regressor = HistGradientBoostingRegressor(random_state=0).fit(features[given], known[given])
        residuals = truth[present].astype(np.float64) - regressor.predict(held_out[present])
        return _r2_score(truth[present].astype(np.float64), residuals, generator)
    known, truth = (_as_classes(view, table[0], target) for table in (train, test))
    classes = np.unique(known)
    two = len(np.unique(truth)) <= 2
    if len(classes) < 2:
        return Score(0.5, n=n, direction="higher", note=f"the table holds one class of {target!r} only")
    classifier = HistGradientBoostingClassifier(random_state=0).fit(features, known)
    if two and len(classes) == 2:
        positive = truth == classifier.classes_[1]
        if positive.all() or not positive.any():
            return Score(float("nan"), n=n, direction="higher", note=f"the held-out rows hold one class of {target!r}")
        chance = classifier.predict_proba(held_out)[:, 1]
        value, low, high = auc_interval(chance[positive], chance[~positive])
        return Score(value, low, high, n=n, direction="higher")
    return Score(*mean_interval(classifier.predict(held_out) == truth), n=n, direction="higher")


def _as_classes(view: TableView, frame: pd.DataFrame, target: str) -> npt.NDArray[np.object_]:
    """Return the class of each row as text."""
    return np.array([str(value) for value in view.target(frame, target)], dtype=object)


def _r2_score(truth: Floats, residuals: Floats, generator: np.random.Generator) -> Score:
    """Return the coefficient of determination with a jackknife interval over the rows."""
    groups = groups_of(len(truth), generator)
    value = _r2(truth, residuals)
    if np.isnan(value):
        return Score(float("nan"), n=len(truth), direction="higher", note="the held-out target is constant")
    parts = [_r2(truth[groups != group], residuals[groups != group]) for group in range(int(groups.max()) + 1)]
    low, high = jackknife_interval(value, np.array(parts))
    return Score(value, low, min(1.0, high), n=len(truth), direction="higher")


def _r2(truth: Floats, residuals: Floats) -> float:
    total = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float((residuals**2).sum()) / total if total > 0 else float("nan")
