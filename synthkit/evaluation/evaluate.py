"""One call from two tables to all scores, each with its interval, its ceiling and its floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from synthkit.evaluation.case import Case
from synthkit.evaluation.coverage import AS_PUBLISHED
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.pictures import draw_pictures
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Evaluation, Score
from synthkit.evaluation.suite import Suite, load_suite
from synthkit.evaluation.threads import few_threads

# The scores of the published benchmark, which compare with those of other tools.
BENCHMARK = (
    "shape_err",
    "trend_err",
    "c2st_tree",
    "c2st_tree_test",
    "c2st_lr",
    "precision",
    "recall",
    "density",
    "coverage",
    "tstr",
    "trtr",
    "dcr_share",
    "exact_train",
    "exact_test",
    "copied",
)


def evaluate(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    *,
    test: pd.DataFrame | None = None,
    target: str | None = None,
    sensitive: Sequence[str] = (),
    groups: Sequence[str] = (),
    suite: str | Path | Suite = "standard",
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score a synthetic table against a real one, whoever made it.

    Parameters
    ----------
    real
        The rows that the generator learned from.
    synthetic
        The table to judge, with the same columns in any order.
    test
        Real rows that the generator never saw. Without them a fifth of `real` is split off; the result then says so,
        because the scores of copies cannot be trusted when the generator saw those rows.
    target
        The column that the utility scores predict; without it there are none.
    sensitive
        Columns for which the fairness of a real-trained and a synthetic-trained model is compared.
    groups
        Columns whose values make the subgroups in which fidelity is compared.
    suite
        Which metrics are computed and which gates they have to pass: the name of a suite that comes with the package, a
        YAML file, or a `Suite`.
    seed
        Seed of every draw; the same tables and seed give the same scores.
    progress
        Is told the title of each metric before it is computed.

    Returns
    -------
    Evaluation
        Scores with interval, ceiling (held-out rows in place of synthetic ones) and floor (independent columns), and
        the verdict of the suite.

    Raises
    ------
    SchemaError
        If the columns differ, hold another kind of values, or an option names an unknown one.
    DataError
        If a table is too small or holds infinite numbers.
    InputError
        If the suite cannot be read.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> real = pd.DataFrame({"x": rng.normal(size=200), "y": rng.integers(0, 3, 200)})
    >>> evaluate(real, real.sample(100, random_state=0), test=real.sample(60, random_state=1))["copied"].value
    1.0
    """
    asked = suite if isinstance(suite, Suite) else load_suite(suite)
    options = Options(target, tuple(sensitive), tuple(groups), seed)
    case, notes = read_case(real, synthetic, test, options)
    return evaluate_case(case, asked, notes=notes, progress=progress)


def evaluate_case(
    case: Case,
    suite: Suite,
    *,
    notes: Sequence[str] = (),
    controls: Mapping[str, Score] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score a case by the metrics of a suite.

    Parameters
    ----------
    case
        The tables and options.
    suite
        Which metrics and gates.
    notes
        What was done to the tables.
    controls
        Scores of another synthetic table against the same real ones, whose ceilings and floors are taken over.
    progress
        Is told the title of each metric before it is computed.
    """
    tell = progress or (lambda title: None)
    scores: dict[str, Score] = {}
    left_out: dict[str, str] = {}
    with few_threads(max(len(case.train), len(case.synthetic))):
        for name in suite.metrics or METRICS:
            metric = METRICS[name]
            missing = metric.wants(case)
            if missing is not None:
                left_out[name] = missing
                continue
            tell(metric.title)
            scores[name] = metric.score(case, controls.get(name) if controls else None)
        tell("pictures")
        pictures = draw_pictures(case, scores)
    return Evaluation(
        scores=scores,
        columns={picture.name: picture.error for picture in pictures.columns},
        rows={"real": len(case.train), "held-out": len(case.test), "synthetic": len(case.synthetic)},
        target=case.target,
        seed=case.seed,
        notes=tuple(notes),
        suite=suite.name,
        verdicts=suite.verdicts(scores, left_out),
        left_out=left_out,
        pictures=pictures,
    )


def score_table(
    train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame, *, target: str | None = None, seed: int = 0
) -> dict[str, Score]:
    """Return the scores of the benchmark without controls, for studies that have controls of their own.

    Parameters
    ----------
    train, test
        The rows that the generator learned from, and real rows that it never saw.
    synthetic
        The table to judge.
    target
        The column that the utility scores predict, or None for no utility scores.
    seed
        Seed of every draw.

    Raises
    ------
    SchemaError, DataError
        As in `evaluate`.
    """
    case, _ = read_case(train, synthetic, test, Options(target=target, seed=seed))
    with few_threads(max(len(train), len(synthetic))):
        return {name: _published(name, case) for name in BENCHMARK if METRICS[name].wants(case) is None}


def control_scores(
    train: pd.DataFrame, test: pd.DataFrame, *, target: str | None = None, seed: int = 0
) -> dict[str, dict[str, Score]]:
    """Return what real held-out rows and independent columns score when they stand in for a synthetic table.

    Parameters
    ----------
    train, test
        The rows that a generator would learn from, and real rows that it would never see.
    target
        The column that the utility scores predict, or None for no utility scores.
    seed
        Seed of every draw.

    Returns
    -------
    dict
        The scores by name under "ceiling" (held-out rows) and "floor" (independent columns).

    Raises
    ------
    SchemaError, DataError
        As in `evaluate`.
    """
    case, _ = read_case(train, train, test, Options(target=target, seed=seed))
    found: dict[str, dict[str, Score]] = {"ceiling": {}, "floor": {}}
    with few_threads(len(train)):
        for name in BENCHMARK:
            metric = METRICS[name]
            if metric.wants(case) is not None:
                continue
            real = case.ceiling(metric.ceiling)
            if real is not None:
                found["ceiling"][name] = _published(name, real)
            if metric.floor:
                found["floor"][name] = _published(name, case.floor())
    return found


def _published(name: str, case: Case) -> Score:
    """Return a score as the scorer of published tables has it, which leaves ties of distances to rounding."""
    score = METRICS[name].compute(case)
    return replace(score, value=score.details[AS_PUBLISHED]) if AS_PUBLISHED in score.details else score
