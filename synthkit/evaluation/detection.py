"""Detection: whether a classifier can tell synthetic rows from real ones.

The two-sample test of Lopez-Paz and Oquab (2017), Revisiting Classifier Two-Sample Tests, with the area under the ROC
curve in place of the accuracy. 0.5 means that the classifier finds nothing. Boosted trees see what margins,
correlations and a linear model miss.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np

from synthkit.evaluation.case import Case, Rows
from synthkit.evaluation.intervals import auc_interval
from synthkit.evaluation.metric import LOPEZ_PAZ, Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView

MOST_ROWS = 20_000
FEWEST_ROWS = 10
_FOLDS = 3


def detection_score(
    view: TableView,
    real: CodedTable,
    synthetic: CodedTable,
    generator: np.random.Generator,
    *,
    model: Literal["trees", "linear"],
    most_rows: int = MOST_ROWS,
) -> Score:
    """Return the cross-validated area under the ROC curve of a classifier of real against synthetic rows.

    Parameters
    ----------
    view
        How columns are read.
    real, synthetic
        The two sets of rows; equally many of each are drawn.
    generator
        Draws the rows.
    model
        "trees" for histogram gradient boosting, "linear" for logistic regression on standardised indicators.
    most_rows
        At most this many rows of either kind.

    Returns
    -------
    Score
        The area over all out-of-fold predictions, with DeLong's interval.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    n = min(len(real), len(synthetic), most_rows)
    if n < FEWEST_ROWS:
        return Score(float("nan"), n=n, direction="half", note=f"needs at least {FEWEST_ROWS} rows of either kind")
    first, second = (table.take(generator.permutation(len(table))[:n]) for table in (real, synthetic))
    read = view.tree if model == "trees" else view.linear
    features = read(first.above(second))
    if features.shape[1] == 0:
        return Score(float("nan"), n=n, direction="half", note="there is no column to look at")
    is_real = np.repeat([1.0, 0.0], n)
    classifier = (
        HistGradientBoostingClassifier(random_state=0)
        if model == "trees"
        else make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    )
    with warnings.catch_warnings():
        # A linear model that has not quite converged answers the question all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        predicted = cross_val_predict(classifier, features, is_real, cv=_FOLDS, method="predict_proba")[:, 1]
    value, low, high = auc_interval(predicted[:n], predicted[n:])
    return Score(value, low, high, n=n, direction="half")


def _against(case: Case, real: Rows, model: Literal["trees", "linear"]) -> Score:
    """Return the score of the synthetic rows of a case; controls are content with fewer rows."""
    limits = case.limits
    most = limits.detection
    if case.role != "synthetic":
        most = min(most, limits.control if model == "trees" else limits.linear_control)
    return detection_score(case.view, real.coded, case.synthetic.coded, case.generator(), model=model, most_rows=most)


_LIES = (
    "It sees harmless differences of form (a number with one decimal more) as well as harmful ones: look at the "
    "columns that gave it away."
)

METRICS = (
    Metric(
        name="c2st_tree",
        theme="detection",
        title="boosted two-sample AUC",
        direction="half",
        bounds=(0.0, 1.0),
        ideal=0.5,
        source=LOPEZ_PAZ,
        meaning="Boosted trees tell synthetic rows from training rows with AUC {value}; 0.5 is guessing.",
        reading="Boosted trees learn to tell synthetic from training rows; the area under the ROC curve of their "
        "out-of-fold predictions. They see margins, relations of several columns, and grids.",
        lies=_LIES + " A copied table scores 0.5 or less.",
        good="Below 0.6; the best published generators reach 0.5 to 0.7, CTGAN 0.99.",
        rows="at most 20,000 rows of either kind (controls: 10,000)",
        compute=lambda case: _against(case, case.train, "trees"),
    ),
    Metric(
        name="c2st_tree_test",
        theme="detection",
        title="boosted AUC, held-out rows",
        direction="half",
        bounds=(0.0, 1.0),
        ideal=0.5,
        source=LOPEZ_PAZ,
        meaning="The same against real rows that the generator never saw: AUC {value}.",
        reading="As above, against held-out rows: a generator that repeats its training rows gains nothing here.",
        lies=_LIES,
        good="As the score against training rows; clearly higher means that the generator memorises.",
        rows="at most 20,000 rows of either kind (controls: 10,000)",
        ceiling="halves",
        compute=lambda case: _against(case, case.test, "trees"),
    ),
    Metric(
        name="c2st_lr",
        theme="detection",
        title="logistic two-sample AUC",
        direction="half",
        bounds=(0.0, 1.0),
        ideal=0.5,
        source=LOPEZ_PAZ,
        meaning="A linear model tells them apart with AUC {value}; it cannot see relations.",
        reading="As above with logistic regression on standardised numbers and indicators of categories.",
        lies="It sees differences of means and shares only; independent columns pass.",
        good="Between 0.45 and 0.55. More is a coarse mistake.",
        rows="at most 20,000 rows of either kind (controls: 5,000)",
        compute=lambda case: _against(case, case.train, "linear"),
    ),
)
