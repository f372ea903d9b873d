"""Detection: whether a classifier can tell synthetic rows from real ones.

The two-sample test of Lopez-Paz and Oquab (2017), Revisiting Classifier Two-Sample Tests, with the area under the ROC
curve in place of the accuracy. 0.5 means that the classifier finds nothing. Boosted trees see what margins,
correlations and a linear model miss.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from synthkit.evaluation.case import Case, Rows
from synthkit.evaluation.intervals import Floats, auc_interval, cross_validated_interval
from synthkit.evaluation.metric import LOPEZ_PAZ, Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView

MOST_ROWS = 20_000
FEWEST_ROWS = 10
_FOLDS = 3

Model = Literal["trees", "linear"]


@dataclass(frozen=True)
class Detection:
    """What a classifier of real against synthetic rows says of rows that it did not learn from.

    Attributes
    ----------
    positive, negative
        Its scores of the real and of the synthetic rows, shape [rows] each; empty where it cannot be trained.
    note
        Why it cannot be trained, or nothing.
    n
        Number of rows of either kind.
    """

    positive: Floats
    negative: Floats
    note: str = ""
    n: int = 0

    def score(self) -> Score:
        """Return the area under the ROC curve with DeLong's interval, widened for the rows that folds share."""
        if self.note:
            return Score(float("nan"), n=self.n, direction="half", note=self.note)
        value, low, high = auc_interval(self.positive, self.negative)
        if np.ptp(np.concatenate([self.positive, self.negative])) == 0:
            # Trees need 20 rows in a leaf: a constant says nothing, however certain it looks.
            return Score(value, 0.0, 1.0, n=self.n, direction="half", note="with so few rows the model stays constant")
        return Score(value, *cross_validated_interval(value, low, high, _FOLDS), n=self.n, direction="half")


def detect(
    view: TableView,
    real: CodedTable,
    synthetic: CodedTable,
    generator: np.random.Generator,
    *,
    model: Model,
    most_rows: int = MOST_ROWS,
) -> Detection:
    """Return the out-of-fold predictions of a classifier of real against synthetic rows.

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
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    n = min(len(real), len(synthetic), most_rows)
    nothing = np.empty(0)
    if n < FEWEST_ROWS:
        return Detection(nothing, nothing, f"needs at least {FEWEST_ROWS} rows of either kind", n)
    first, second = (table.take(generator.permutation(len(table))[:n]) for table in (real, synthetic))
    read = view.tree if model == "trees" else view.linear
    features = read(first.above(second))
    if features.shape[1] == 0:
        return Detection(nothing, nothing, "there is no column to look at", n)
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
    return Detection(predicted[:n], predicted[n:], n=n)


def detection_score(
    view: TableView,
    real: CodedTable,
    synthetic: CodedTable,
    generator: np.random.Generator,
    *,
    model: Model,
    most_rows: int = MOST_ROWS,
) -> Score:
    """Return the cross-validated area under the ROC curve of a classifier of real against synthetic rows.

    Parameters
    ----------
    view, real, synthetic, generator, model, most_rows
        As in `detect`.

    Returns
    -------
    Score
        The area over all out-of-fold predictions, with DeLong's interval, widened for the rows that folds share.
    """
    return detect(view, real, synthetic, generator, model=model, most_rows=most_rows).score()


def roc_curve_points(
    positive: Floats, negative: Floats, most: int = 200
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the ROC curve of two sets of scores as few enough points to draw.

    Parameters
    ----------
    positive, negative
        Scores of the rows of either class.
    most
        At most this many points, at least 2; they lie on the curve, about evenly along it, ends included.

    Returns
    -------
    tuple of tuple of float
        False and true positive rates, from (0, 0) to (1, 1); empty when there are no scores.
    """
    if len(positive) == 0 or len(negative) == 0:
        return (), ()
    levels = np.unique(np.concatenate([positive, negative]))[::-1]
    # Rows that score a level or more; the curve starts where no row does.
    above = [len(scores) - np.searchsorted(np.sort(scores), levels, side="left") for scores in (negative, positive)]
    false, true = (
        np.concatenate([[0.0], count / len(scores)]) for count, scores in zip(above, (negative, positive), strict=True)
    )
    if len(false) > most:
        walked = (false + true) / 2
        kept = np.unique(np.searchsorted(walked, np.linspace(0, 1, most)).clip(max=len(walked) - 1))
        false, true = false[kept], true[kept]
    return tuple(false.tolist()), tuple(true.tolist())


def sdmetrics_score(score: Score) -> Score:
    """Return SDMetrics' detection score of an area under the ROC curve: 1 - (2 max(area, 0.5) - 1).

    Parameters
    ----------
    score
        The area with its interval; both ends are mapped, and the lower end becomes the upper one.
    """

    def mapped(area: float) -> float:
        return float(2 - 2 * np.maximum(area, 0.5))

    return replace(score, value=mapped(score.value), low=mapped(score.high), high=mapped(score.low), direction="higher")


def tree_detection(case: Case) -> Detection:
    """Return what boosted trees say of training against synthetic rows, computed once for a case."""
    return _detection(case, "trees")


def _detection(case: Case, model: Model) -> Detection:
    return case.share(f"detection: {model}", lambda: _against(case, case.train, model))


def _against(case: Case, real: Rows, model: Model) -> Detection:
    """Return the predictions for the synthetic rows of a case; controls are content with fewer rows."""
    limits = case.limits
    most = limits.detection
    if case.role != "synthetic":
        most = min(most, limits.control if model == "trees" else limits.linear_control)
    return detect(case.view, real.coded, case.synthetic.coded, case.generator(), model=model, most_rows=most)


_SDMETRICS = "SDMetrics, detection metrics of single tables"
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
        compute=lambda case: tree_detection(case).score(),
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
        compute=lambda case: _against(case, case.test, "trees").score(),
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
        compute=lambda case: _detection(case, "linear").score(),
    ),
    Metric(
        name="detection_score_tree",
        theme="detection",
        title="detection score, boosted",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=1.0,
        source=_SDMETRICS,
        meaning="On SDMetrics' scale of 0 (always found out) to 1 (never) the boosted test gives {value}.",
        reading="The boosted two-sample AUC on the scale of SDMetrics' detection metrics, 1 - (2 max(AUC, 0.5) - 1), "
        "from the same predictions; for tables of published numbers.",
        lies="Published detection scores of trees mostly come from XGBoost and ours from histogram gradient boosting "
        "with scikit-learn's settings: on a good table the two may differ by some hundredths. " + _LIES,
        good="As the ceiling, which lies a little below 1 by chance alone.",
        rows="at most 20,000 rows of either kind (controls: 10,000)",
        compute=lambda case: sdmetrics_score(tree_detection(case).score()),
    ),
    Metric(
        name="detection_score_lr",
        theme="detection",
        title="detection score, logistic",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=1.0,
        source=_SDMETRICS,
        meaning="On SDMetrics' scale of 0 to 1 the linear test gives {value}; it cannot see relations.",
        reading="The logistic two-sample AUC on the scale of SDMetrics' LogisticDetection, from the same predictions.",
        lies="SDMetrics takes the mean of the scores of three folds and codes each category as one number, where "
        "this takes the AUC of all out-of-fold predictions and an indicator for each category, which sees more: the "
        "same table scores lower here. Independent columns pass.",
        good="As the ceiling, above 0.95.",
        rows="at most 20,000 rows of either kind (controls: 5,000)",
        compute=lambda case: sdmetrics_score(_detection(case, "linear").score()),
    ),
)
