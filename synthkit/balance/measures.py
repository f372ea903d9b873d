"""What models are judged by: for two classes, for more, and for numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.models import number_measures, ranking_measures

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

PRECISION = 0.5
"""The share of alarms that must be right where a recall at fixed precision is asked for."""


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes
    ----------
    title
        Its name for readers.
    higher
        Whether more is better.
    low, high
        The least and the most that it can be.
    meaning
        What it says, in one sentence.
    """

    title: str
    higher: bool
    low: float
    high: float
    meaning: str


CLASS_MEASURES: Mapping[str, Measure] = {
    "average_precision": Measure(
        "average precision", True, 0.0, 1.0, "the mean precision over all recalls; what a rare class is ranked by"
    ),
    "roc_auc": Measure("ROC AUC", True, 0.0, 1.0, "the chance that a row of the class is ranked above another row"),
    "recall_at_precision": Measure(
        "recall at precision", True, 0.0, 1.0, "the most rows of the class that can be found while the stated share of "
        "alarms is right"
    ),
    "balanced_accuracy": Measure(
        "balanced accuracy", True, 0.0, 1.0, "the mean over the classes of the share that is recognised, each row "
        "being given its likeliest class"
    ),
    "brier": Measure(
        "Brier score", False, 0.0, 1.0, "the mean squared error of the probabilities, lower is better: calibration and "
        "ranking in one"
    ),
    "recall": Measure("recall", True, 0.0, 1.0, "the share of the positive class that is found at even odds"),
    "false_alarms": Measure(
        "false alarms", False, 0.0, 1.0, "the share of the other class that is taken for the positive one at even "
        "odds, lower is better"
    ),
}  # fmt: skip
_TWO_CLASSES_ONLY = ("recall", "false_alarms")
NUMBER_MEASURES: Mapping[str, Measure] = {
    "r2": Measure("R2", True, -math.inf, 1.0, "the share of the variance that is explained"),
    "rmse": Measure("root mean squared error", False, 0.0, math.inf, "in the unit of the target, lower is better"),
    "mae": Measure("mean absolute error", False, 0.0, math.inf, "in the unit of the target, lower is better"),
}


def measures_of(n_classes: int) -> Mapping[str, Measure]:
    """Return the measures for so many classes, the main one first; 0 for a numeric target."""
    if n_classes == 0:
        return NUMBER_MEASURES
    if n_classes == 2:
        return CLASS_MEASURES
    return {name: measure for name, measure in CLASS_MEASURES.items() if name not in _TWO_CLASSES_ONLY}


def recall_at_precision(scores: Floats, positive: npt.NDArray[np.bool_], precision: float) -> float:
    """Return the highest recall of all thresholds at which the precision is at least so high; 0 where there is none.

    Parameters
    ----------
    scores
        Shape [rows]; rows at or above a threshold are alarms, so that equal scores stay together.
    positive
        Whether a row is of the class, shape [rows]. NaN without such rows.
    precision
        Least share of alarms that are right.
    """
    if not positive.any():
        return math.nan
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(positive[order])[ends]
    enough = hits >= precision * (ends + 1)
    return float(hits[enough].max() / positive.sum()) if enough.any() else 0.0


def judge_classes(probabilities: Floats, truth: Codes, *, positive: int, precision: float) -> dict[str, float]:
    """Return the measures of predicted classes.

    Parameters
    ----------
    probabilities
        Shape [rows, classes].
    truth
        Code of the class of each row, shape [rows].
    positive
        Of two classes the one to find. With more classes every measure is the mean over the classes that occur, each
        against the rest.
    precision
        The fixed precision of `recall_at_precision`.
    """
    n_classes = probabilities.shape[1]
    present = np.unique(truth)
    found = []
    for code in [positive] if n_classes == 2 else present:
        scores, own = probabilities[:, code], truth == code
        area, average = ranking_measures(scores, own)
        found.append((average, area, recall_at_precision(scores, own, precision), float(((scores - own) ** 2).mean())))
    average, area, recall, brier = np.mean(np.array(found), axis=0).tolist()
    predicted = probabilities.argmax(axis=1)
    recalls = {int(code): float((predicted[truth == code] == code).mean()) for code in present}
    values = {
        "average_precision": average,
        "roc_auc": area,
        "recall_at_precision": recall,
        "balanced_accuracy": float(np.mean(list(recalls.values()))),
        "brier": brier,
    }
    if n_classes == 2:
        values |= {"recall": recalls.get(positive, math.nan), "false_alarms": 1 - recalls.get(1 - positive, math.nan)}
    return values


def chance_level(truth: Codes, n_classes: int, *, positive: int, precision: float) -> dict[str, float]:
    """Return what a model gets that gives every row the true share of each class; arguments as in `judge_classes`.

    At even odds it takes every row for the most frequent class.
    """
    shares = np.bincount(truth, minlength=n_classes) / len(truth)
    return judge_classes(np.tile(shares, (len(truth), 1)), truth, positive=positive, precision=precision)


def judge_numbers(values: Floats, truth: Floats) -> dict[str, float]:
    """Return the measures of predicted numbers, both of shape [rows]."""
    explained, absolute, squared = number_measures(values, truth)
    return {"r2": explained, "rmse": squared, "mae": absolute}
