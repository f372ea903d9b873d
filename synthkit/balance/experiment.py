"""One repeat of an experiment: every treatment of the training rows, every model, judged on the same real rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from synthkit.balance.features import FeatureMap, TrainingRows
from synthkit.balance.learners import predict
from synthkit.balance.measures import PRECISION, chance_level, judge_classes, judge_numbers
from synthkit.balance.treatments import Material, NotApplicable, Treatment, target_values
from synthkit.evaluation.threads import few_threads
from synthkit.random import RandomSource

# Distances between rows are computed in parts of at most so many megabytes.
_DISTANCE_MEGABYTES = 256


@dataclass(frozen=True)
class Question:
    """What the models are asked.

    Attributes
    ----------
    target
        The column to predict.
    columns
        The columns to predict it from.
    classes
        The classes as they are in the table; empty for a numeric target.
    positive
        Of two classes the place of the one to find.
    precision
        The fixed precision at which a recall is asked for.
    """

    target: str
    columns: tuple[str, ...]
    classes: tuple[Any, ...] = ()
    positive: int = 0
    precision: float = PRECISION


@dataclass(frozen=True)
class Judged:
    """What came of one treatment in one repeat.

    Attributes
    ----------
    treatment
        Its name.
    values
        Value by model and measure; empty where the treatment does not apply.
    added
        Rows that it added to the real ones.
    seconds
        Wall time of the treatment, without the models.
    problem
        Why it does not apply, or nothing.
    """

    treatment: str
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    added: int = 0
    seconds: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Repeat:
    """One repeat: what came of each treatment, and what shares without any model reach.

    Attributes
    ----------
    judged
        One for each treatment, in order.
    chance
        Value by measure of a model that knows the shares of the classes (or the mean of the target) and nothing else.
    """

    judged: tuple[Judged, ...]
    chance: Mapping[str, float]


def judge(
    train: pd.DataFrame,
    test: pd.DataFrame,
    question: Question,
    treatments: Sequence[Treatment],
    models: Sequence[str],
    random: RandomSource,
    *,
    time_budget: str | float | None = "1m",
    generator: Any = None,
    tell: Callable[[str], None] = lambda doing: None,
) -> Repeat:
    """Give every treatment to the training rows, train every model, and judge all of them on the same test rows.

    Parameters
    ----------
    train
        Real rows; the only ones that treatments see.
    test
        Other real rows.
    question
        What is predicted from what.
    treatments, models
        What is compared; models by their name in `LEARNERS`.
    random
        Source of every draw. Each model has the same seed after every treatment.
    time_budget
        The most time for fitting a generator.
    generator
        An unfitted `TableGAN` to use in place of one with its defaults.
    tell
        Is told what is done next.
    """
    import sklearn

    n_classes = len(question.classes)
    with sklearn.config_context(working_memory=_DISTANCE_MEGABYTES):
        features = FeatureMap(train, question.columns)
        rows = TrainingRows(features.code(train), target_values(train[question.target], question.classes))
        asked, truth = features.code(test), target_values(test[question.target], question.classes)
        kept = train[[*question.columns, question.target]]
        material = Material(
            kept,
            question.target,
            question.classes,
            rows,
            features,
            random,
            time_budget=time_budget,
            generator=generator,
        )
        judged = []
        for treatment in treatments:
            tell(treatment.title)
            started = time.perf_counter()
            try:
                with nullcontext() if treatment.fits else few_threads(len(train)):
                    treated = treatment.make(material)
            except NotApplicable as error:
                judged.append(Judged(treatment.name, problem=str(error)))
                continue
            seconds = time.perf_counter() - started
            values = {}
            for model in models:
                tell(f"{treatment.title}, {model} model")
                with few_threads(len(train)):
                    answer = predict(model, treated, asked, features, n_classes=n_classes, seed=random.integer(model))
                values[model] = _measured(answer, truth, question)
            judged.append(Judged(treatment.name, values, len(treated) - len(rows), seconds))
    return Repeat(tuple(judged), _chance(rows.target, truth, question))


def _measured(answer: Any, truth: Any, question: Question) -> dict[str, float]:
    if not question.classes:
        return judge_numbers(answer, truth)
    return judge_classes(answer, truth, positive=question.positive, precision=question.precision)


def _chance(known: Any, truth: Any, question: Question) -> dict[str, float]:
    if not question.classes:
        return judge_numbers(np.full(len(truth), known.mean()), truth)
    return chance_level(truth, len(question.classes), positive=question.positive, precision=question.precision)
