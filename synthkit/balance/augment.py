"""`augment`: whether treating a rare class, or adding synthetic rows, makes models better on real rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from synthkit.balance.augment_task import KEPT, Task, make_task, repeats_of
from synthkit.balance.augmentation import AugmentResult, Outcome, Recommendation, TreatmentRun
from synthkit.balance.experiment import Repeat, judge
from synthkit.balance.measures import PRECISION, measures_of
from synthkit.balance.paired import Choice, choose, differences_from, repeated_mean, split_overlap, subsample_overlap
from synthkit.balance.treatments import CONTROL, TREATMENTS
from synthkit.errors import InputError
from synthkit.random import RandomSource

MOST_ROWS = 50_000
FEWEST_REPEATS = 2


def augment(
    frame: pd.DataFrame,
    target: str,
    *,
    test: pd.DataFrame | None = None,
    treatments: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    repeats: int = 5,
    metric: str | None = None,
    precision: float = PRECISION,
    max_rows: int | None = MOST_ROWS,
    time_budget: str | float | None = "1m",
    generator: Any = None,
    random_state: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> AugmentResult:
    """Find out by experiment whether a treatment of the training rows helps models on real rows.

    Each repeat draws training rows, gives them to every treatment, trains every model on what comes back, and judges
    all of them on the same real rows that no treatment has seen. Recommended is the simplest treatment that is not
    significantly worse than the best one; often that is doing nothing, and then it says so.

    Parameters
    ----------
    frame : DataFrame [n_rows, n_columns]
        Real rows.
    target : str
        The column to predict: classes, or a number (then only treatments that apply to one).
    test : DataFrame, optional
        Real rows to judge by, with the same columns. Without them a fifth of the rows is held out in each repeat, by
        class. With them each repeat learns from four fifths of `frame` and judges on four fifths of `test`.
    treatments : sequence of str, optional
        Names in `synthkit.balance.treatments.TREATMENTS`; all that apply when absent. Doing nothing ("none") is always
        there, as the control.
    models : sequence of str, optional
        Of "linear", "forest" and "boosted"; all when absent.
    repeats : int
        At least 2.
    metric : str, optional
        The measure that decides: "average_precision" when absent, "r2" for a numeric target.
    precision : float
        Share of alarms that must be right where the recall at fixed precision is measured.
    max_rows : int or None
        Most rows of either table that are used, drawn at random by class; None for all.
    time_budget : str, float or None
        The most time for each fit of a generator.
    generator : TableGAN, optional
        Unfitted; used in place of one with its defaults and `time_budget`.
    random_state : int or None
        Seed. The same seed repeats the experiment, unless a fit of a generator was cut short by its time budget.
    progress : callable, optional
        Is told what is done next.

    Returns
    -------
    AugmentResult
        Every measure with its interval and control, and what is recommended. After Ctrl-C the repeats that were
        finished, if there are at least two.

    Raises
    ------
    InputError
        Unknown names, a target that is missing, constant or has too few rows of a class, a test table that does not
        fit.

    Notes
    -----
    Two treatments are compared by the corrected resampled t-test on the same repeats, because repeated splits share
    rows; p-values of one model and measure are corrected by Holm over the treatments. With a test table the variance
    over repeats is scaled up as the delete-d jackknife does.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52.
    Shao and Wu (1989), A general theory for jackknife variance estimation, Annals of Statistics 17.
    Holm (1979), Scandinavian Journal of Statistics 6.

    Examples
    --------
    >>> import synthkit
    >>> result = synthkit.augment(frame, "income", random_state=0)  # doctest: +SKIP
    >>> print(result.recommended)  # doctest: +SKIP
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < FEWEST_REPEATS:
        raise InputError(
            f"{repeats!r} repeats were asked for, expected at least {FEWEST_REPEATS}",
            remedy="one repeat has no interval; take 5 or more",
        )
    random = RandomSource(random_state)
    source = random.child("augment")
    task = make_task(
        frame, target, test, treatments, models, metric, precision=precision, max_rows=max_rows, random=source,
        time_budget=time_budget,
    )  # fmt: skip
    tell = progress or (lambda doing: None)
    done: list[Repeat] = []
    interrupted = False
    sizes = {"training": 0, "test": 0}
    try:
        for place, (train, held_out) in enumerate(repeats_of(task, repeats, source)):
            sizes = {"training": len(train), "test": len(held_out)}
            done.append(
                judge(
                    train,
                    held_out,
                    task.question,
                    [TREATMENTS[name] for name in task.treatments],
                    task.models,
                    source.child(f"repeat {place}"),
                    time_budget=time_budget,
                    generator=generator,
                    tell=lambda doing, place=place: tell(f"repeat {place + 1} of {repeats}: {doing}"),  # type: ignore[misc]
                )
            )
    except KeyboardInterrupt:
        if len(done) < FEWEST_REPEATS:
            raise
        interrupted = True
    return _result(task, done, repeats, sizes, random.seed, interrupted)


def _result(
    task: Task, done: Sequence[Repeat], asked: int, sizes: Mapping[str, int], seed: int, interrupted: bool
) -> AugmentResult:
    """Return the records of all finished repeats."""
    runs, left_out = _runs(task, done)
    overlap = subsample_overlap(KEPT) if task.test is not None else split_overlap(sizes["test"] / sizes["training"])
    outcomes: list[Outcome] = []
    choices: dict[str, Choice] = {}
    for model in task.models:
        for measure in measures_of(len(task.question.classes)):
            values = _values(done, [run.name for run in runs], model, measure)
            outcomes += _outcomes(model, measure, values, _chance(done, measure), overlap, len(task.question.classes))
            if measure == task.metric:
                higher = measures_of(len(task.question.classes))[measure].higher
                choices[model] = choose(values, overlap=overlap, higher=higher, control=CONTROL)
    question = task.question
    result = AugmentResult(
        target=question.target,
        classes=tuple(map(str, question.classes)),
        positive=str(question.classes[question.positive]) if len(question.classes) == 2 else None,
        metric=task.metric,
        precision=question.precision,
        design=task.design,
        repeats=len(done),
        asked_repeats=asked,
        rows=dict(sizes),
        treatments=(*runs, *left_out),
        models=task.models,
        outcomes=tuple(outcomes),
        choices=choices,
        recommended=Recommendation(CONTROL, task.models[0], ""),
        notes=task.notes,
        seed=seed,
        interrupted=interrupted,
    )
    return _recommend(result)


def _runs(task: Task, done: Sequence[Repeat]) -> tuple[list[TreatmentRun], list[TreatmentRun]]:
    """Return the treatments that went well in every repeat, and those that did not."""
    went, failed = [], []
    for place, name in enumerate(task.treatments):
        judged = [repeat.judged[place] for repeat in done]
        problem = next((one.problem for one in judged if one.problem), "")
        added, seconds = (float(np.mean([getattr(one, part) for one in judged])) for part in ("added", "seconds"))
        if problem:
            failed.append(TreatmentRun(name, TREATMENTS[name].title, problem=problem))
        else:
            went.append(TreatmentRun(name, TREATMENTS[name].title, added, round(seconds, 3)))
    return went, failed


def _values(done: Sequence[Repeat], names: Sequence[str], model: str, measure: str) -> dict[str, list[float]]:
    """Return a measure of one model in every repeat, by treatment from the simplest to the least simple."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for repeat in done:
        for one in repeat.judged:
            if one.treatment in found:
                found[one.treatment].append(one.values[model][measure])
    return found


def _chance(done: Sequence[Repeat], measure: str) -> float:
    return float(np.mean([repeat.chance[measure] for repeat in done]))


def _outcomes(
    model: str, measure: str, values: Mapping[str, Sequence[float]], chance: float, overlap: float, n_classes: int
) -> list[Outcome]:
    """Return one measure of one model after every treatment."""
    kind = measures_of(n_classes)[measure]
    gains = differences_from(CONTROL, values, overlap=overlap, higher=kind.higher)
    control, found = float(np.mean(values[CONTROL])), []
    for name, numbers in values.items():
        value, low, high = repeated_mean(numbers, overlap=overlap)
        ends = max(kind.low, low), min(kind.high, high)
        gain = gains.get(name)
        found.append(Outcome(name, model, measure, value, *ends, control, chance, gain, tuple(map(float, numbers))))
    return found


def _recommend(result: AugmentResult) -> AugmentResult:
    """Return the result with its recommendation: the model that is best after its own recommended treatment."""
    import dataclasses

    from synthkit.balance.augment_text import reason

    sign = 1.0 if measures_of(len(result.classes))[result.metric].higher else -1.0

    def reached(model: str) -> float:
        return sign * result.outcome(result.choices[model].recommended, model).value

    best = max(result.models, key=reached)
    found = Recommendation(result.choices[best].recommended, best, reason(result, best))
    return dataclasses.replace(result, recommended=found)
