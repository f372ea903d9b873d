"""Utility: whether a model trained on synthetic rows predicts real ones as well as one trained on real rows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.errors import InputError
from synthkit.evaluation.case import Case, Rows
from synthkit.evaluation.intervals import Floats, auc_interval, groups_of, jackknife_interval, mean_interval
from synthkit.evaluation.metric import ESTEBAN, Metric
from synthkit.evaluation.models import may_stop_early
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView, is_regression


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
    classifier = HistGradientBoostingClassifier(random_state=0, early_stopping=may_stop_early(known))
    classifier.fit(features, known)
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


def _trained(case: Case, source: Rows) -> Score:
    """Return the score of boosted trees trained on a table, named by its measure."""
    if case.target is None:
        raise InputError("the utility scores need a target")
    most = case.limits.control if case.role == "floor" else case.limits.published
    if len(source) > most:
        source = source.take(case.generator().permutation(len(source))[:most])
    score = utility_score(
        case.view, (source.frame, source.coded), (case.test.frame, case.test.coded), case.target, case.generator()
    )
    return replace(score, note=score.note or measure_name(case.view, case.test.frame, case.target))


def _on_real(case: Case) -> Score:
    """Return the score of trees trained on the real rows, which is the ceiling of those trained on synthetic ones."""
    return case.root.share("trees trained on every real row", lambda: _trained(case.root, case.root.train))


def _on_synthetic(case: Case) -> Score:
    return _on_real(case) if case.is_training_table else _trained(case, case.synthetic)


METRICS = (
    Metric(
        name="tstr",
        theme="utility",
        interval="held-out rows",
        title="trained on synthetic rows",
        direction="higher",
        bounds=(-math.inf, 1.0),
        ideal=None,
        needs=("target",),
        source=ESTEBAN,
        meaning="Boosted trees trained on the synthetic table reach {measure} {value} on real held-out rows.",
        reading="Train on synthetic, test on real: a histogram gradient boosting model learns the target from the "
        "synthetic rows and is tested on real rows that nobody has seen. ROC AUC for two classes, accuracy for more, "
        "R2 for a number.",
        lies="An easy target is learned from a few columns, and a table that ruins all others still scores well.",
        good="Within 0.01 of the model trained on real rows.",
        rows="at most 200,000 rows (the floor: 10,000)",
        ceiling="training",
        compute=_on_synthetic,
    ),
    Metric(
        name="trtr",
        theme="utility",
        interval="held-out rows",
        title="trained on real rows",
        direction="higher",
        bounds=(-math.inf, 1.0),
        ideal=None,
        needs=("target",),
        source=ESTEBAN,
        meaning="Trained on the real table they reach {measure} {value}.",
        reading="Train on real, test on real: the same model trained on the real rows that the generator learned from.",
        lies="It says nothing about the synthetic table: it is what the line above is compared with.",
        good="As high as the target allows.",
        rows="at most 200,000 rows",
        ceiling="none",
        floor=False,
        compute=_on_real,
    ),
)
