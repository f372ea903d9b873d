"""Whether a classifier tells synthetic from real cells: cross-validated areas under the ROC curve."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.intervals import auc_interval, cross_validated_interval
from synthkit.evaluation.records import Score
from synthkit.random import RandomSource

MOST_DETECTED = 1000
"""At most this many cells of either kind: as many as published comparisons use."""
FOLDS = 5
Model = Literal["forest", "boosted"]


def detection_score(
    real: npt.NDArray[np.float32], other: npt.NDArray[np.float32], model: Model, random: RandomSource
) -> Score:
    """Return the area under the ROC curve of a classifier that tells two sets of cells apart.

    Parameters
    ----------
    real, other
        Features of equally many cells, ``[cells, features]``.
    model
        "forest": a random forest of 100 trees; "boosted": LightGBM.
    random
        Where folds and trees start.

    Returns
    -------
    Score
        The area over predictions for cells that were left out, in five stratified folds, as it is: below one half
        where cells are told apart by chance in the wrong direction. The interval is DeLong's, made wider for folds that
        share training cells.

    References
    ----------
    Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests.
    """
    from sklearn.model_selection import StratifiedKFold

    features = np.vstack([real, other])
    truth = np.repeat([0, 1], [len(real), len(other)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=random.integer("folds"))
    scores = np.empty(len(truth))
    for train, test in folds.split(features, truth):
        fitted = _classifier(model, random.integer("trees")).fit(features[train], truth[train])
        scores[test] = fitted.predict_proba(features[test])[:, 1]
    area, low, high = auc_interval(scores[truth == 1], scores[truth == 0])
    low, high = cross_validated_interval(area, low, high, FOLDS)
    return Score(area, low, high, n=len(other), direction="half", details={"real cells": len(real)})


def _classifier(model: Model, seed: int) -> Any:
    if model == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(100, n_jobs=1, random_state=seed)
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        n_estimators=100,
        num_leaves=15,
        learning_rate=0.05,
        n_jobs=1,
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
