"""Gains and losses: what three models lose when they learn from synthetic rows, and gain when they learn from both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from synthkit.evaluation.case import Case
from synthkit.evaluation.intervals import groups_of, jackknife_interval, mean_interval
from synthkit.evaluation.metric import ESTEBAN, Metric
from synthkit.evaluation.models import (
    MODELS,
    SOURCES,
    Codes,
    Floats,
    ModelName,
    PredictionTask,
    Predictor,
    Source,
    drawn,
    features_of,
    learn,
    obstacle,
    prediction_task,
    trained,
)
from synthkit.evaluation.records import Score

BREIMAN = "Breiman 2001, Random forests; Spearman's rank correlation of the importances"

_MOST_REPEATS = 3
_MOST_SHUFFLES = 100
# A permutation importance looks at so many held-out rows, fewer where there are many columns or classes.
_IMPORTANCE_ROWS = 3_000
_FEWEST_IMPORTANCE_ROWS = 300
_PERMUTED_ROWS = 150_000
_FEWEST_PREDICTORS = 3
_MOST_LISTED = 30


def without_groups(measure: Callable[[Codes], tuple[float, ...]], groups: Codes) -> Floats:
    """Return measures on all rows, then without each group, shape [1 + groups, measures].

    Parameters
    ----------
    measure
        Takes positions of rows and returns the measures on those rows.
    groups
        Group of each row, shape [rows].
    """
    kept = (np.flatnonzero(groups != group) for group in range(-1, int(groups.max()) + 1))
    return np.array([measure(rows) for rows in kept])


def held_out_groups(task: PredictionTask, generator: np.random.Generator) -> Codes:
    """Return the jackknife group of each held-out row; every group holds about the same share of each class."""
    groups = groups_of(len(task), generator)
    if not task.classes:
        return groups
    # A random order, sorted by class, then dealt out in turn.
    order = generator.permutation(len(task))
    order = order[np.argsort(task.truth[order], kind="stable")]
    dealt = np.empty(len(task), dtype=np.int64)
    dealt[order] = np.arange(len(task)) % (int(groups.max()) + 1)
    return dealt


def utility_gap(case: Case, model: ModelName) -> Score:
    """Return what a model loses in the main measure when it learns from synthetic instead of real rows.

    Parameters
    ----------
    case
        The tables; has a target.
    model
        Which model.

    Returns
    -------
    Score
        ROC AUC (R2 for a number) of the model trained on real rows minus that of the one trained on synthetic rows,
        with a paired jackknife interval over the held-out rows. In a ceiling with as many training as synthetic rows
        both are the same model, and the gap is 0. The details hold every measure of both, and of the model trained
        on both tables.
    """
    problem = obstacle(case)
    if problem:
        return Score(math.nan, direction="lower", note=problem)
    task = prediction_task(case)
    value, low, high = _difference(_measured(case, model, "real"), _measured(case, model, "synthetic"))
    details = _table(case, task, model) if case.role == "synthetic" else {}
    return Score(value, low, high, n=len(task), direction="lower", note=_note(case, task, model), details=details)


def augmentation_gain(case: Case, model: ModelName) -> Score:
    """Return what a model gains in the main measure when it learns from real and synthetic rows instead of real ones.

    The arguments and the interval are those of `utility_gap`.
    """
    problem = obstacle(case)
    if problem:
        return Score(math.nan, direction="higher", note=problem)
    task = prediction_task(case)
    value, low, high = _difference(_measured(case, model, "real + synthetic"), _measured(case, model, "real"))
    return Score(value, low, high, n=len(task), direction="higher", note=task.measures[0])


def _groups(case: Case) -> Codes:
    task = prediction_task(case)
    return case.root.share("groups of held-out rows", lambda: held_out_groups(task, case.root.generator()))


def _measured(case: Case, model: ModelName, source: Source) -> Floats:
    """Return the measures of a model on all held-out rows and without each group, shape [1 + groups, measures]."""
    if source == "real" or (source == "synthetic" and case.is_training_table):
        source, case = "real", case.root
    task, answers = prediction_task(case), trained(case, model, source).answers
    return case.share(
        f"measures of the {model} model trained on {source}",
        lambda: without_groups(lambda rows: task.measure(answers, rows), _groups(case)),
    )


def _difference(first: Floats, second: Floats) -> tuple[float, float, float]:
    """Return the difference of the main measure of two models; the interval is paired, as both answer the same rows."""
    differences = first[:, 0] - second[:, 0]
    return float(differences[0]), *jackknife_interval(float(differences[0]), differences[1:])


def _note(case: Case, task: PredictionTask, model: ModelName) -> str:
    """Return the measure, and which classes the synthetic rows lack."""
    absent = () if case.is_training_table else trained(case, model, "synthetic").absent
    if not absent:
        return task.measures[0]
    if len(absent) >= len(task.classes) - 1:
        return f"{task.measures[0]}; the synthetic table holds one class of {task.target!r} only, which teaches nothing"
    shown = ", ".join(repr(name) for name in absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
    return f"{task.measures[0]}; the synthetic table lacks the class{'es' if len(absent) > 1 else ''} {shown}"


def _table(case: Case, task: PredictionTask, model: ModelName) -> dict[str, Any]:
    """Return every measure of a model trained on real rows, on synthetic ones and on both, with its interval."""
    rows: list[dict[str, Any]] = []

    def add(source: Source, measure: str, value: float, low: float, high: float) -> None:
        rows.append({"trained on": source, "measure": measure, "value": value, "low": low, "high": high})

    for source in SOURCES:
        for name, values in zip(task.measures, _measured(case, model, source).T, strict=True):
            value = float(values[0])
            low, high = jackknife_interval(value, values[1:])
            least, most = (-math.inf, 1.0) if name == "R2" else (0.0, 1.0 if task.classes else math.inf)
            add(source, name, value, max(least, low), min(most, high))
        predicted = trained(case, model, source).answers.predicted
        for code in np.unique(task.truth) if task.classes else ():
            add(source, f"recall of {task.classes[code]!r}", *mean_interval(predicted[task.truth == code] == code))
    return {
        "measure": task.measures[0],
        "table": rows,
        "absent classes": list(trained(case, model, "synthetic").absent),
        "rows": {source: trained(case, model, source).n for source in SOURCES} | {"held-out": len(task)},
    }


def permutation_importances(
    measure: Callable[[Floats], Floats], features: Floats, generator: np.random.Generator, repeats: int
) -> Floats:
    """Return what a measure loses when the values of one feature are shuffled.

    Parameters
    ----------
    measure
        Takes features and returns the measure of a model on them, in one or several variants, shape [variants].
    features
        The rows, shape [rows, features].
    generator
        Shuffles; generators at the same point shuffle alike, so that models can be compared.
    repeats
        How often each feature is shuffled.

    Returns
    -------
    numpy.ndarray
        Mean loss over the repeats, shape [features, variants].
    """
    intact = measure(features)
    losses = np.zeros((features.shape[1], len(intact)))
    for column in range(features.shape[1]):
        for _ in range(repeats):
            shuffled = features.copy()
            shuffled[:, column] = generator.permutation(features[:, column])
            losses[column] += (intact - measure(shuffled)) / repeats
    return losses


def importance_agreement(case: Case) -> Score:
    """Return whether a model trained on synthetic rows leans on the same columns as one trained on real rows.

    Parameters
    ----------
    case
        The tables; has a target. In its ceiling, two models learn from one half of the real training rows each.

    Returns
    -------
    Score
        Spearman's rank correlation of the permutation importances of boosted trees, with a jackknife interval over the
        held-out rows.
    """
    problem = obstacle(case)
    names = [name for name in case.view.columns if name != case.target]
    if not problem and len(names) < _FEWEST_PREDICTORS:
        problem = f"ranks need at least {_FEWEST_PREDICTORS} columns to predict from"
    if problem:
        return Score(math.nan, direction="higher", note=problem)
    rows = _importance_rows(case)
    if case.role == "ceiling":
        real, synthetic = (_importances(case, half, rows) for half in _halves(case))
    else:
        learned = {source: trained(case, "boosted", source).predictor for source in SOURCES[:2]}
        real = case.root.share("real importances", lambda: _importances(case, learned["real"], rows))
        synthetic = _importances(case, learned["synthetic"], rows)
    for source, losses in (("real", real), ("synthetic", synthetic)):
        if np.isnan(losses[:, 0]).any():
            problem = f"the {len(rows):,} held-out rows that were drawn are all alike in {case.target!r}"
        elif np.ptp(losses[:, 0]) == 0:
            problem = f"the model trained on {source} rows prefers no column"
        if problem:
            return Score(math.nan, n=len(rows), direction="higher", note=problem)
    agreement = _rank_correlations(real, synthetic)
    low, high = jackknife_interval(float(agreement[0]), agreement[1:])
    listed = sorted(zip(names, real[:, 0], synthetic[:, 0], strict=True), key=lambda each: -each[1])[:_MOST_LISTED]
    columns = {name: [float(first), float(second)] for name, first, second in listed}
    details = {"measure": prediction_task(case).measures[0], "columns": columns}
    ends = max(-1.0, low), min(1.0, high)
    return Score(float(agreement[0]), *ends, n=len(rows), direction="higher", details=details)


def _rank_correlations(first: Floats, second: Floats) -> Floats:
    """Return Spearman's correlation of two arrays of shape [columns, n] for each n; NaN where one is constant."""
    from scipy import stats

    ranks = [stats.rankdata(values, axis=0) for values in (first, second)]
    centred = [rank - rank.mean(axis=0) for rank in ranks]
    scale = np.sqrt((centred[0] ** 2).sum(axis=0) * (centred[1] ** 2).sum(axis=0))
    product = (centred[0] * centred[1]).sum(axis=0)
    correlation: Floats = np.divide(product, scale, out=np.full(len(scale), np.nan), where=scale > 0)
    return correlation


def _importance_rows(case: Case) -> Codes:
    """Return the positions of the held-out rows that importances look at, the same for every model."""
    task = prediction_task(case)
    cost = _repeats(case) * len(case.view.columns) * max(1, len(task.classes) // 2)
    most = min(_IMPORTANCE_ROWS, max(_FEWEST_IMPORTANCE_ROWS, _PERMUTED_ROWS // cost))
    return np.sort(case.root.generator().permutation(len(task))[:most])


def _repeats(case: Case) -> int:
    """Return how often each column is shuffled."""
    return max(1, min(_MOST_REPEATS, _MOST_SHUFFLES // len(case.view.columns)))


def _importances(case: Case, predictor: Predictor | None, rows: Codes) -> Floats:
    """Return the importances of a model on all given rows, and without each group, shape [features, 1 + groups]."""
    if predictor is None:
        raise ValueError("the model was not kept after training")
    whole = prediction_task(case)
    task = replace(whole, rows=whole.rows.take(rows), truth=whole.truth[rows])
    # Half as many groups as elsewhere, as every shuffle is measured without each of them.
    groups = held_out_groups(task, case.root.generator())
    groups = groups // 2 if groups.max() > 2 else groups

    def measure(features: Floats) -> Floats:
        answers = predictor.answer(features)
        return without_groups(lambda kept: task.measure(answers, kept), groups)[:, 0]

    features = features_of(case.view, task.rows.coded, "boosted", task.target)
    return permutation_importances(measure, features, case.root.generator(), _repeats(case))


def _halves(case: Case) -> tuple[Predictor | None, Predictor | None]:
    """Return two boosted models that learned from one half of the real training rows each."""
    known = drawn(case.root.train, prediction_task(case).target, case.limits.training, case.root.generator())
    first, second = np.array_split(case.root.generator().permutation(len(known)), 2)
    models = [learn(case, "boosted", [known.take(np.sort(half))]).predictor for half in (first, second)]
    return models[0], models[1]


_TITLES: Mapping[ModelName, tuple[str, str]] = {
    "linear": ("linear", "a linear model (logistic or ridge regression)"),
    "forest": ("forest", "a random forest of 100 trees"),
    "boosted": ("boosted", "boosted trees (histogram gradient boosting)"),
}
_LEARNED: Mapping[ModelName, str] = {
    "linear": "at most 50,000 rows of each table (floor: 10,000)",
    "forest": "at most 10,000 rows of each table",
    "boosted": "at most 50,000 rows of each table (floor: 10,000)",
}
_HELD_OUT = (
    "tested on at most 50,000 held-out rows; rows without a target are left out. The interval is for other held-out "
    "rows and the same trained models: training on other rows moves the number too."
)
_MAIN = "ROC AUC for two classes, its mean over the classes (each against the rest) for more, R2 for a number"


def _gap_metric(model: ModelName) -> Metric:
    title, words = _TITLES[model]
    return Metric(
        name=f"utility_gap_{model}",
        theme="utility",
        interval="held-out rows",
        title=f"utility gap, {title}",
        direction="lower",
        bounds=(-math.inf, math.inf),
        ideal=0.0,
        needs=("target",),
        source=ESTEBAN,
        meaning=f"Trained on synthetic in place of real rows, {words} loses {{value}} ({{measure}}).",
        reading=f"What {words} loses on real held-out rows when it learns from synthetic instead of real rows. "
        f"Measured by {_MAIN}. Both models answer the same rows, so the interval is that of a paired difference.",
        lies="More rows make a better model whatever their quality: for a synthetic table with fewer rows the ceiling "
        "is what as many real rows lose. A target "
        "that follows from one column hides damage to all others. A copy of the training table has no gap.",
        good="Below 0.01, and an interval that reaches 0. Below 0 the synthetic rows teach better than the real ones, "
        "which happens where they are more or smoother.",
        rows=f"{_LEARNED[model]}; {_HELD_OUT}",
        ceiling="training",
        compute=lambda case: utility_gap(case, model),
    )


def _gain_metric(model: ModelName) -> Metric:
    title, words = _TITLES[model]
    return Metric(
        name=f"augmentation_gain_{model}",
        theme="utility",
        interval="held-out rows",
        title=f"augmentation gain, {title}",
        direction="higher",
        bounds=(-math.inf, math.inf),
        ideal=None,
        needs=("target",),
        source=ESTEBAN,
        meaning=f"Trained on real and synthetic rows together, {words} gains {{value}} ({{measure}}).",
        reading=f"What {words} gains on real held-out rows when synthetic rows are added to the real ones it learns "
        f"from. Measured by {_MAIN}; the interval is that of a paired difference.",
        lies="Where real rows are plenty there is nothing to gain, however good the synthetic ones are. A small gain "
        "picked out of many generators is luck.",
        good="Clearly above 0 if the synthetic rows are meant to enlarge a small table; otherwise not clearly below 0.",
        rows=f"{_LEARNED[model]}; {_HELD_OUT}",
        ceiling="none",
        floor=False,
        compute=lambda case: augmentation_gain(case, model),
    )


METRICS = (
    *(_gap_metric(model) for model in MODELS),
    *(_gain_metric(model) for model in MODELS),
    Metric(
        name="importance_agreement",
        theme="utility",
        interval="held-out rows",
        title="importance agreement",
        direction="higher",
        bounds=(-1.0, 1.0),
        ideal=None,
        needs=("target",),
        source=BREIMAN,
        meaning="Models trained on real and on synthetic rows rank the columns alike with correlation {value}.",
        reading="How much boosted trees lose on held-out rows when the values of one column are shuffled is the "
        "importance of the column; this is Spearman's rank correlation between the importances of the model trained on "
        "real and of the one trained on synthetic rows. The ceiling compares two models that learn from one half of "
        "the real rows each.",
        lies="All ranks count alike: columns without any use are ranked by chance and pull the number down, and with "
        "few columns it jumps. Of two columns that say the same, either may be used.",
        good="Near the ceiling; the columns at the top of the list should be the same.",
        rows="models as for the utility gap; importances on at most 3,000 held-out rows with three shuffles each, "
        "fewer where there are many columns or classes. The interval is for other held-out rows.",
        ceiling="training",
        compute=importance_agreement,
    ),
)
