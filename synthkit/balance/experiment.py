"""Whether balancing helps: models trained on differently balanced tables, judged on the same real rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.intervals import LEVEL
from synthkit.evaluation.threads import few_threads
from synthkit.evaluation.view import TableView

# (training rows, seed) -> training rows, balanced in some way
Way = Callable[[pd.DataFrame, int], pd.DataFrame]

MODELS = ("logistic regression", "gradient boosting")
MEASURES = ("recall", "false alarms", "balanced accuracy", "ROC AUC")


@dataclass(frozen=True)
class Difference:
    """The mean of a paired difference over splits, with its 95 % interval.

    Attributes
    ----------
    mean, low, high
        Mean and ends of the interval.
    """

    mean: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 if the interval lies above zero, -1 if below, 0 if it holds zero."""
        return int(self.low > 0) - int(self.high < 0)


def judge(train: pd.DataFrame, test: pd.DataFrame, target: str, rare: object) -> dict[tuple[str, str], float]:
    """Train each model on one table and measure how it finds the rare class in another.

    Parameters
    ----------
    train
        The rows to learn from, balanced or not.
    test
        Real rows.
    target
        The column that holds the class.
    rare
        The class to find.

    Returns
    -------
    dict
        By model and measure: share of rare rows found (recall) and of other rows taken for rare (false alarms) at even
        odds, the mean of recall and specificity, and the area under the ROC curve, which no threshold enters.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    view = TableView(train.drop(columns=target))
    coded = [view.code(frame.drop(columns=target)) for frame in (train, test)]
    known, truth = (np.asarray(frame[target] == rare, dtype=bool) for frame in (train, test))
    found: dict[tuple[str, str], float] = {}
    for name, model, read in (
        (MODELS[0], LogisticRegression(max_iter=1000), view.linear),
        (MODELS[1], HistGradientBoostingClassifier(random_state=0), view.tree),
    ):
        with few_threads(len(train)):
            chance = model.fit(read(coded[0]), known).predict_proba(read(coded[1]))[:, 1]
        recall, false_alarms = float((chance[truth] > 0.5).mean()), float((chance[~truth] > 0.5).mean())
        values = recall, false_alarms, (recall + 1 - false_alarms) / 2, float(roc_auc_score(truth, chance))
        found |= {(name, measure): value for measure, value in zip(MEASURES, values, strict=True)}
    return found


def compare(
    train: pd.DataFrame, test: pd.DataFrame, target: str, rare: object, ways: Mapping[str, Way], seed: int
) -> pd.DataFrame:
    """Judge every way of balancing on one split.

    Parameters
    ----------
    train, test
        The split.
    target
        The column that holds the class.
    rare
        The class to find.
    ways
        Functions that balance the training rows, by name.
    seed
        Seed that the ways are given.

    Returns
    -------
    pandas.DataFrame
        Columns way, model, measure, value.
    """
    rows = [
        (way, model, measure, value)
        for way, balance in ways.items()
        for (model, measure), value in judge(balance(train, seed), test, target, rare).items()
    ]
    return pd.DataFrame(rows, columns=["way", "model", "measure", "value"])


def paired_difference(first: npt.ArrayLike, second: npt.ArrayLike, *, test_share: float) -> Difference:
    """Return the mean of first minus second over repeated splits, with an interval that allows for their overlap.

    Parameters
    ----------
    first, second
        The measure of two ways on the same splits.
    test_share
        Test rows per training row. The training parts of repeated splits overlap, so that the naive interval is too
        narrow.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52.
    """
    from scipy import stats

    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    n, mean = len(difference), float(difference.mean())
    if n < 2:
        return Difference(mean, float("-inf"), float("inf"))
    spread = float(np.sqrt((1 / n + test_share) * difference.var(ddof=1)))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * spread
    return Difference(mean, mean - half, mean + half)
