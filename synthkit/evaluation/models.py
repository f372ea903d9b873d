"""Three models that predict the target: a linear one, a forest and boosted trees, trained on real or synthetic rows.

All answer for the same held-out rows, so that they can be compared row by row. What learns from real rows learns once
and is shared by every metric and every control of an evaluation.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.errors import InputError
from synthkit.evaluation.case import Case, Rows
from synthkit.evaluation.view import CodedTable, TableView

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
ModelName = Literal["linear", "forest", "boosted"]
Source = Literal["real", "synthetic", "real + synthetic"]

MODELS: tuple[ModelName, ...] = ("linear", "forest", "boosted")
SOURCES: tuple[Source, ...] = ("real", "synthetic", "real + synthetic")
# Boosted trees cost as many trees per iteration as there are classes.
MOST_CLASSES = 30
# A forest of full depth is the slowest of the three and gains little from more rows than this.
FOREST_ROWS = 10_000
_FOREST_TREES = 100
_FOREST_LEAF = 5
_FOREST_COLUMNS = 10
_BOOSTED_ITERATIONS = 100
_FEWEST_ITERATIONS = 20
_MOST_TREES = 300
# The indicators of a linear model are held in at most this many cells.
_LINEAR_CELLS = 20_000_000
_LINEAR_ITERATIONS = 200
# Absurd synthetic numbers are cut here: so many standard deviations away, or so large.
_FAR = 1e6
_LARGE = 1e30
_NANOSECONDS_PER_DAY = 86_400e9


@dataclass(frozen=True)
class PredictionTask:
    """What every model is asked.

    Attributes
    ----------
    target
        The column to predict.
    rows
        The held-out rows, without those whose target is missing.
    truth
        The target of each of them: a number, or the position of its class in `classes`; shape [rows].
    classes
        The classes of the real rows in alphabetical order; empty where the target is a number.
    rarest
        Position of the class that is rarest among the real training rows: the positive one of two classes.
    unit
        Unit of the errors of a predicted number, where it has one.
    obstacle
        Why no model can be compared on this target, or nothing.
    """

    target: str
    rows: Rows
    truth: npt.NDArray[Any]
    classes: tuple[str, ...]
    rarest: int = 0
    unit: str = ""
    obstacle: str = ""

    def __len__(self) -> int:
        """Return the number of held-out rows."""
        return len(self.rows)

    @property
    def measures(self) -> tuple[str, str, str]:
        """The names of the measures, the main one first."""
        if not self.classes:
            unit = f" ({self.unit})" if self.unit else ""
            return "R2", f"mean absolute error{unit}", f"root mean squared error{unit}"
        macro = "" if len(self.classes) == 2 else "macro "
        return f"{macro}ROC AUC", f"{macro}average precision", "balanced accuracy"

    def measure(self, answers: Answers, rows: Codes) -> tuple[float, ...]:
        """Return the measures of a model on the held-out rows at these positions."""
        if self.classes:
            return class_measures(answers.values[rows], answers.predicted[rows], self.truth[rows], self.rarest)
        return number_measures(answers.values[rows], self.truth[rows])


@dataclass(frozen=True)
class Answers:
    """What a model says about rows.

    `values` are numbers, shape [rows], or probabilities, shape [rows, classes], 0 for a class that the model never met.
    `predicted` is the class of each row, -1 for one that the real rows lack; empty for numbers.
    """

    values: Floats
    predicted: Codes


@dataclass(frozen=True)
class Predictor:
    """A trained scikit-learn model, or the constant that stands for it where the training rows hold one value only.

    Without classes (`n_classes` is 0) it predicts a number; classes beyond that count are some that real rows lack.
    """

    estimator: Any
    constant: float
    n_classes: int

    def answer(self, features: npt.NDArray[Any]) -> Answers:
        """Return what the model says about rows, given as features of shape [rows, features]."""
        n = len(features)
        if self.n_classes == 0:
            values = np.full(n, self.constant) if self.estimator is None else self.estimator.predict(features)
            return Answers(np.asarray(values, dtype=np.float64), np.empty(0, dtype=np.int64))
        if self.estimator is None:
            met, given = np.array([int(self.constant)]), np.ones((n, 1))
        else:
            met, given = self.estimator.classes_, self.estimator.predict_proba(features)
        real = met < self.n_classes
        values = np.zeros((n, self.n_classes))
        values[:, met[real]] = given[:, real]
        return Answers(values, np.where(real, met, -1)[given.argmax(axis=1)])


@dataclass(frozen=True)
class Trained:
    """What a model answers for the held-out rows, the classes absent from the `n` rows it learned from, and the model.

    Forests are large and not kept.
    """

    answers: Answers
    absent: tuple[str, ...]
    n: int
    predictor: Predictor | None = field(default=None, repr=False, compare=False)


def ranking_measures(scores: Floats, positive: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the area under the ROC curve and the average precision; NaN where one kind of rows is missing.

    Both arrays have shape [rows]. Equal scores count one half in the area and are one threshold of the precision.
    """
    if positive.all() or not positive.any():
        return float("nan"), float("nan")
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(positive[order])[ends].astype(np.float64)
    gained, lost = np.diff(hits, prepend=0.0), np.diff(ends + 1 - hits, prepend=0.0)
    area = (lost * (hits - gained / 2)).sum() / (hits[-1] * (len(scores) - hits[-1]))
    return float(area), float((gained * hits / (ends + 1)).sum() / hits[-1])


def class_measures(probabilities: Floats, predicted: Codes, truth: Codes, rarest: int) -> tuple[float, float, float]:
    """Return ROC AUC, average precision and balanced accuracy.

    The probabilities have shape [rows, classes], the classes of the rows shape [rows]. Of two classes the rarest is the
    positive one; with more, the first two measures are means over the classes that occur, each against the rest.
    """
    present = np.unique(truth)
    ranked = [rarest] if probabilities.shape[1] == 2 else present
    areas, precisions = zip(*(ranking_measures(probabilities[:, code], truth == code) for code in ranked), strict=True)
    recalls = [(predicted[truth == code] == code).mean() for code in present]
    return float(np.mean(areas)), float(np.mean(precisions)), float(np.mean(recalls))


def number_measures(values: Floats, truth: Floats) -> tuple[float, float, float]:
    """Return R2 (NaN where the truth is constant), mean absolute and root mean squared error; both of shape [rows]."""
    squared, spread = float(((values - truth) ** 2).mean()), float(truth.var())
    explained = 1 - squared / spread if spread > 0 else float("nan")
    return explained, float(np.abs(values - truth).mean()), float(np.sqrt(squared))


def prediction_task(case: Case) -> PredictionTask:
    """Return the held-out rows and their target, the same for all models and all controls of an evaluation."""
    return case.root.share("prediction task", lambda: _make_task(case.root))


def obstacle(case: Case) -> str:
    """Return why the models cannot be compared for this case, as a clause, or nothing."""
    task = prediction_task(case)
    if task.obstacle:
        return task.obstacle
    known = int(case.synthetic.frame[task.target].notna().sum())
    if known < (1 if task.classes else 2):
        return f"{task.target!r} is missing in {'nearly ' if known else ''}every row of the synthetic table"
    return ""


def trained(case: Case, model: ModelName, source: Source) -> Trained:
    """Return what a model trained on one of the tables says about the held-out rows, trained once.

    `obstacle` must have found nothing. In a ceiling real training rows play the synthetic table; where all of them do,
    nothing is trained again.
    """
    if source == "real" or (source == "synthetic" and case.is_training_table):
        return case.root.share(f"{model} model trained on real", lambda: learn(case.root, model, [case.root.train]))
    sources = [case.synthetic] if source == "synthetic" else [case.root.train, case.synthetic]
    most = case.limits.control if case.role == "floor" else case.limits.training
    return case.share(f"{model} model trained on {source}", lambda: learn(case, model, sources, most_rows=most))


def learn(case: Case, model: ModelName, sources: Sequence[Rows], *, most_rows: int | None = None) -> Trained:
    """Train a model on tables and predict the held-out rows.

    Parameters
    ----------
    case
        Gives the view, the held-out rows, the limits and the seed.
    model
        Which of `MODELS`.
    sources
        The tables to learn from, one above the other.
    most_rows
        At most this many rows of each; `case.limits.training` without it. A forest takes at most `FOREST_ROWS` of each.
    """
    task, view = prediction_task(case), case.view
    most = case.limits.training if most_rows is None else most_rows
    if model == "forest":
        most = min(most, FOREST_ROWS)
    if model == "linear":
        most = min(most, max(1, _LINEAR_CELLS // _cells_per_row(view, task)))
    parts = [drawn(rows, task.target, most, case.generator()) for rows in sources]
    features = np.vstack([features_of(view, rows.coded, model, task.target) for rows in parts])
    if task.classes:
        codes = _codes([text for rows in parts for text in _texts(view, rows.frame, task.target)], task.classes)
        predictor = _fit(model, features, codes, len(task.classes))
        met = set(codes.tolist())
        absent = tuple(name for code, name in enumerate(task.classes) if code not in met)
    else:
        numbers = np.concatenate([_numbers(view, rows.frame, task.target)[0] for rows in parts])
        predictor, absent = _fit(model, features.astype(np.float64), numbers, 0), ()
    answers = _in_chunks(view, task, model, predictor)
    return Trained(answers, absent, len(features), None if model == "forest" else predictor)


def drawn(rows: Rows, target: str, most: int, generator: np.random.Generator) -> Rows:
    """Return the rows whose target is known, at most so many of them, drawn at random and kept in order."""
    known = np.flatnonzero(rows.frame[target].notna().to_numpy())
    if len(known) > most:
        known = np.sort(generator.permutation(known)[:most])
    return rows if len(known) == len(rows) else rows.take(known)


def features_of(view: TableView, table: CodedTable, model: ModelName, target: str) -> npt.NDArray[Any]:
    """Return what a model sees of the rows, without the target; shape [rows, features].

    Trees see numbers and codes. The linear model sees standardised numbers and indicators; the columns of the target
    are there too, but hold 0 in every row, which a linear model ignores.
    """
    if model == "linear":
        return view.linear(_blanked(view, table, target))
    features = view.tree(table, without=target)
    # Forests add up their features in single precision.
    return np.clip(features, -_LARGE, _LARGE) if model == "forest" else features


def may_stop_early(labels: npt.NDArray[Any]) -> Literal["auto", False]:
    """Return the setting of early stopping for boosted trees: it cannot set rows of a class aside that has only one."""
    counts = np.unique(labels, return_counts=True)[1]
    return "auto" if counts.min() >= 2 else False


def _make_task(case: Case) -> PredictionTask:
    target, view = case.target, case.view
    if target is None:
        raise InputError("the utility scores need a target")
    rows = drawn(case.test, target, case.limits.testing, case.generator())
    learned = case.train.frame.loc[case.train.frame[target].notna(), [target]]
    problem = "there is no column to predict from" if len(view.columns) == 1 else ""
    if case.predicts_number:
        numbers, unit = _numbers(view, rows.frame, target)
        if len(learned) < 2 or len(numbers) < 2:
            problem = f"{target!r} is missing nearly everywhere in the real tables"
        elif (numbers == numbers[0]).all():
            problem = f"{target!r} is the same in all held-out rows"
        return PredictionTask(target, rows, numbers, (), unit=unit, obstacle=problem)
    texts, held_out = _texts(view, learned, target), _texts(view, rows.frame, target)
    counts = Counter(texts)
    classes = tuple(sorted({*texts, *held_out}))
    for kind, found in (("training", counts.keys()), ("held-out", set(held_out))):
        if len(found) < 2:
            problem = f"the real {kind} rows hold {'one class' if found else 'no value'} of {target!r}"
    if len(classes) > MOST_CLASSES:
        problem = f"{target!r} has {len(classes):,} classes, and at most {MOST_CLASSES} are predicted"
    # Of two equally rare classes the last in the alphabet is the positive one: 1 rather than 0, yes rather than no.
    rarest = min(reversed(classes), key=lambda name: counts[name] or len(texts) + 1, default="")
    place = classes.index(rarest) if classes else 0
    return PredictionTask(target, rows, _codes(held_out, classes), classes, place, obstacle=problem)


def _numbers(view: TableView, frame: pd.DataFrame, target: str) -> tuple[Floats, str]:
    """Return the target as numbers, and their unit: dates become days."""
    numbers = np.asarray(view.target(frame, target), dtype=np.float64)
    if pd.api.types.is_datetime64_any_dtype(frame[target].dtype):
        return numbers / _NANOSECONDS_PER_DAY, "days"
    return numbers, ""


def _texts(view: TableView, frame: pd.DataFrame, target: str) -> list[str]:
    """Return the class of each row as text."""
    return [str(value) for value in view.target(frame, target)]


def _codes(texts: list[str], classes: tuple[str, ...]) -> Codes:
    """Return the position of each text in the classes; texts that are no class follow them."""
    places = {name: code for code, name in enumerate(classes)}
    for text in sorted(set(texts)):
        places.setdefault(text, len(places))
    return np.array([places[text] for text in texts], dtype=np.int64)


def _blanked(view: TableView, table: CodedTable, target: str) -> CodedTable:
    """Return the rows with a target that says nothing: a missing number, or a label that the real table lacks."""
    numbers = np.clip(table.numbers, view.means - _FAR * view.deviations, view.means + _FAR * view.deviations)
    if target in view.numeric:
        numbers[:, view.numeric.index(target)] = np.nan
        return CodedTable(numbers, table.codes)
    codes = table.codes.copy()
    codes[:, view.categorical.index(target)] = len(view.labels[target])
    return CodedTable(numbers, codes)


def _cells_per_row(view: TableView, task: PredictionTask) -> int:
    """Return the number of features of the linear model, times what more than two classes cost."""
    one = features_of(view, task.rows.coded.take(np.arange(1)), "linear", task.target)
    return int(one.shape[1]) * max(1, len(task.classes) // 2)


def _in_chunks(view: TableView, task: PredictionTask, model: ModelName, predictor: Predictor) -> Answers:
    """Return what a model says of the held-out rows, a part at a time where the indicators of all would not fit."""
    size = max(1, _LINEAR_CELLS // _cells_per_row(view, task)) if model == "linear" else len(task)
    parts = []
    for start in range(0, len(task), size):
        rows = task.rows.coded.take(np.arange(start, min(start + size, len(task))))
        parts.append(predictor.answer(features_of(view, rows, model, task.target)))
    return Answers(np.concatenate([part.values for part in parts]), np.concatenate([part.predicted for part in parts]))


def _fit(model: ModelName, features: npt.NDArray[Any], values: npt.NDArray[Any], n_classes: int) -> Predictor:
    """Train a model on classes, or on numbers where there are no classes."""
    from scipy.linalg import LinAlgWarning
    from sklearn.exceptions import ConvergenceWarning

    if (values == values[0]).all():
        return Predictor(None, float(values[0]), n_classes)
    estimator = _classifier(model, values) if n_classes else _regressor(model, features.shape[1])
    with warnings.catch_warnings():
        # A linear model that has not quite converged, or with columns that repeat each other, answers all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The number of unique classes")
        warnings.simplefilter("ignore", LinAlgWarning)
        return Predictor(estimator.fit(features, values), float("nan"), n_classes)


def _classifier(model: ModelName, codes: Codes) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    if model == "linear":
        return LogisticRegression(max_iter=_LINEAR_ITERATIONS)
    if model == "forest":
        return RandomForestClassifier(_FOREST_TREES, min_samples_leaf=_FOREST_LEAF, n_jobs=1, random_state=0)
    met = len(np.unique(codes))
    return HistGradientBoostingClassifier(
        max_iter=min(_BOOSTED_ITERATIONS, max(_FEWEST_ITERATIONS, _MOST_TREES // met)),
        # Without it, more than two classes with a rare one among them can diverge.
        l2_regularization=1.0 if met > 2 else 0.0,
        early_stopping=may_stop_early(codes),
        random_state=0,
    )


def _regressor(model: ModelName, n_features: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import Ridge

    if model == "linear":
        return Ridge()
    if model == "forest":
        tried = max(1, min(_FOREST_COLUMNS, n_features // 3))
        return RandomForestRegressor(
            _FOREST_TREES, min_samples_leaf=_FOREST_LEAF, max_features=tried, n_jobs=1, random_state=0
        )
    return HistGradientBoostingRegressor(max_iter=_BOOSTED_ITERATIONS, random_state=0)
