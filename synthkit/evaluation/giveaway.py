"""Give-away columns: which columns tell the boosted two-sample test that rows are synthetic.

A column whose relations are broken makes its partners look as telling as itself: a model that has lost the relation of
two columns needs both. What tells them apart is the test without the column. Without the broken one there is nothing
left to see; without a partner, the relations of the broken one with all other columns still are. Columns are therefore
ranked by how far the test falls when it is trained again without them. How much a model relies on each column (its
permutation importance) is given beside it, and picks the columns to leave out in wide tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthkit.evaluation.case import Case
from synthkit.evaluation.intervals import NORMAL, Floats, auc_interval
from synthkit.evaluation.metric import LOPEZ_PAZ, Metric
from synthkit.evaluation.records import Score

MOST_ROWS = 10_000
# Half of the rows train, and a leaf of the trees wants twenty.
FEWEST_ROWS = 50
# Columns that are left out one at a time; the model relies on them most.
MOST_COLUMNS = 10
# Columns that the other models know; in wider tables those that the first model relies on most.
MOST_KNOWN = 40
# Cells of either kind that the models look at: beyond 20 columns there are fewer rows, and the time stays as it is.
_MOST_TRAINED = 200_000
_FEWEST_OF_WIDE = 1_000
_ROUNDS = 50
_REPEATS = 2
# Permuted cells that are predicted again, over all columns and repeats: bounds the time for wide tables.
_MOST_CELLS = 300_000


@dataclass(frozen=True)
class Giveaway:
    """How much one column gives away.

    Attributes
    ----------
    importance
        By how much the area under the ROC curve falls when the test is trained without the column.
    low, high
        Ends of its interval, for other tested rows.
    permuted
        By how much the area falls when the cells of the column change places in the tested rows, and the trained model
        stays as it is.
    """

    importance: float
    low: float
    high: float
    permuted: float


def giveaway_columns(
    features: Floats, is_real: npt.NDArray[np.bool_], names: Sequence[str], generator: np.random.Generator
) -> tuple[dict[str, Giveaway], float]:
    """Return what the columns give away, worst first, and the area under the ROC curve with all of them.

    Parameters
    ----------
    features
        Real and synthetic rows as a tree reads them, shape [rows, columns].
    is_real
        Which rows are real, shape [rows].
    names
        The columns.
    generator
        Halves the rows and permutes cells.

    Returns
    -------
    tuple
        The columns that the trained model relies on most, at most `MOST_COLUMNS`, and the area.
    """
    training = np.zeros(len(features), dtype=bool)
    for kind in (True, False):
        rows = generator.permutation(np.flatnonzero(is_real == kind))
        training[rows[: len(rows) // 2]] = True
    learned, tested = features[training], features[~training]
    labels, truth = is_real[training], is_real[~training]
    model = _fitted(learned, labels)
    permuted = _permutation_importance(model, tested, truth, generator)
    relied_on = np.argsort(-permuted, kind="stable")
    known = relied_on[:MOST_KNOWN]
    scores = _predictions(learned[:, known], labels, tested[:, known])
    area = auc_interval(scores[truth], scores[~truth])[0]
    found = {}
    for column in relied_on[:MOST_COLUMNS]:
        kept = known[known != column]
        without = _predictions(learned[:, kept], labels, tested[:, kept])
        difference = auc_difference_interval(scores, without, truth)
        found[names[column]] = Giveaway(*difference, permuted=float(permuted[column]))
    return dict(sorted(found.items(), key=lambda item: -item[1].importance)), area


def auc_difference_interval(
    first: Floats, second: Floats, positive: npt.NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Return the difference of the areas under two ROC curves of the same rows, and DeLong's interval.

    Parameters
    ----------
    first, second
        Scores of the rows by either model, shape [rows].
    positive
        Which rows belong to the positive class, shape [rows].

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44.
    """
    above, below = (
        one - other
        for one, other in zip(
            _placements(first[positive], first[~positive]),
            _placements(second[positive], second[~positive]),
            strict=True,
        )
    )
    value = float(above.mean())
    half = NORMAL * float(np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)))
    return value, value - half, value + half


def _placements(positive: Floats, negative: Floats) -> tuple[Floats, Floats]:
    """Return for each row the share of rows of the other class that it is ranked rightly against."""
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    above = (ranks[: len(positive)] - stats.rankdata(positive)) / len(negative)
    below = 1 - (ranks[len(positive) :] - stats.rankdata(negative)) / len(positive)
    return above, below


def _fitted(features: Floats, labels: npt.NDArray[np.bool_]) -> Any:
    """Return boosted trees trained for a fixed number of rounds: without early stopping they compare."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_iter=_ROUNDS, early_stopping=False, random_state=0)
    return model.fit(features, labels)


def _predictions(features: Floats, labels: npt.NDArray[np.bool_], tested: Floats) -> Floats:
    """Return the scores of tested rows; without any column all rows look the same."""
    if features.shape[1] == 0:
        return np.zeros(len(tested))
    predicted: Floats = _fitted(features, labels).predict_proba(tested)[:, 1]
    return predicted


def _permutation_importance(
    model: Any, tested: Floats, truth: npt.NDArray[np.bool_], generator: np.random.Generator
) -> Floats:
    """Return the mean fall of the area when one column of the tested rows is permuted, shape [columns]."""
    n_columns = tested.shape[1]
    n_rows = max(2 * FEWEST_ROWS, _MOST_CELLS // (n_columns * _REPEATS))
    if len(tested) > n_rows:
        chosen = generator.permutation(len(tested))[:n_rows]
        tested, truth = tested[chosen], truth[chosen]
    changed = tested.copy()

    def area() -> float:
        scores = model.predict_proba(changed)[:, 1]
        return float(_placements(scores[truth], scores[~truth])[0].mean())

    full = area()
    repeats = _REPEATS if n_columns <= MOST_KNOWN else 1
    falls = np.empty((repeats, n_columns))
    for repeat in range(repeats):
        order = generator.permutation(len(tested))
        for column in range(n_columns):
            changed[:, column] = tested[order, column]
            falls[repeat, column] = full - area()
            changed[:, column] = tested[:, column]
    mean: Floats = falls.mean(axis=0)
    return mean


def giveaway_score(case: Case) -> Score:
    """Return how much the most telling column gives away, with all columns in the details.

    Parameters
    ----------
    case
        The tables; controls use fewer rows.
    """
    most = MOST_ROWS if case.role == "synthetic" else min(MOST_ROWS, case.limits.linear_control)
    most = min(most, max(_FEWEST_OF_WIDE, _MOST_TRAINED // len(case.view.columns)))
    n = min(len(case.train), len(case.synthetic), most, case.limits.detection)
    if n < FEWEST_ROWS:
        return Score(float("nan"), n=n, note=f"finding the columns needs at least {FEWEST_ROWS} rows of either kind")
    generator = case.generator()
    real, synthetic = (
        table.coded.take(generator.permutation(len(table))[:n]) for table in (case.train, case.synthetic)
    )
    features = case.view.tree(real.above(synthetic))
    columns, area = giveaway_columns(features, np.arange(2 * n) < n, case.view.columns, generator)
    worst, first = next(iter(columns.items()))
    return Score(
        first.importance,
        max(-1.0, first.low),
        min(1.0, first.high),
        n=n,
        note=repr(worst),
        details={"area": area, "columns": {name: asdict(column) for name, column in columns.items()}},
    )


METRICS = (
    Metric(
        name="giveaway",
        theme="detection",
        title="most telling column",
        direction="lower",
        bounds=(-1.0, 1.0),
        ideal=0.0,
        source=LOPEZ_PAZ,
        meaning="Without the column {measure} the AUC of boosted trees falls by {value}, more than without any other.",
        reading="Boosted trees learn to tell synthetic from training rows, once with all columns and once without "
        "each; the score is the largest fall of the AUC on rows that they did not learn from. The details rank the "
        "columns, with the permutation importance of each (the fall when its cells change places and the model stays). "
        "At most 10 columns are left out, those with the largest permutation importance, and in tables of more than 40 "
        "columns the models know the first 40 of them.",
        lies="Near 0 is no praise: where several columns give the table away, each of them alone can go. Independent "
        "columns score low for that reason, so there is no floor: read it beside the two-sample AUC. A close "
        "partner of the first column comes high up without fault of its own, and of two columns that are wrong in the "
        "same way neither may be named. The largest of several falls lies above 0 by chance: see the ceiling. "
        "The interval is that of the named column for other tested rows.",
        good="As the ceiling. Well above it, mend the column that is named first, or its relations to others.",
        rows="at most 10,000 rows of either kind (controls: 5,000; fewer in tables of more than 20 columns), "
        "half to learn from and half to test on",
        floor=False,
        compute=giveaway_score,
    ),
)
