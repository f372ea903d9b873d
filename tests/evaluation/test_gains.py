"""Gaps, gains and importances against scikit-learn used directly, and the tables for which there are none."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, r2_score, recall_score, roc_auc_score

from synthkit.evaluation.case import Case
from synthkit.evaluation.gains import (
    METRICS,
    augmentation_gain,
    held_out_groups,
    importance_agreement,
    permutation_importances,
    utility_gap,
    without_groups,
)
from synthkit.evaluation.intervals import auc_interval, jackknife_interval
from synthkit.evaluation.models import MODELS, prediction_task, trained
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Score

KEPT = ["a", "b", "town", "noise"]


def table(seed: int, rows: int = 200, blur: float = 0.0) -> pd.DataFrame:
    """A table whose target follows from columns, which are blurred in a poor synthetic table."""
    random = np.random.default_rng(seed)
    a, b, noise = random.normal(size=(3, rows))
    town = random.choice(["Bern", "Basel", "Chur"], rows)
    total = a + 0.5 * b + 0.7 * (town == "Bern") + random.normal(0, 0.7, rows)
    frame = pd.DataFrame({"a": a + random.normal(0, 1, rows) * blur, "b": b, "town": town, "noise": noise})
    return frame.assign(
        number=total, two=np.where(total > 1, "yes", "no"), three=np.digitize(total, [0, 1.5]).astype(str)
    )


def case_of(target: str, synthetic: pd.DataFrame, rows: int = 200) -> Case:
    kept = [*KEPT, target]
    return read_case(table(0, rows)[kept], synthetic[kept], table(1, rows)[kept], Options(target=target))[0]


@cache
def shared(target: str) -> Case:
    return case_of(target, table(2, blur=1.0))


def entry(score: Score, trained_on: str, measure: str) -> dict[str, Any]:
    found = [row for row in score.details["table"] if (row["trained on"], row["measure"]) == (trained_on, measure)]
    assert len(found) == 1
    return found[0]


def test_the_gap_is_the_difference_of_two_areas() -> None:
    case = shared("two")
    truth = case.test.frame["two"] == "yes"
    areas = {}
    for name, source in (
        ("real", [case.train]),
        ("synthetic", [case.synthetic]),
        ("both", [case.train, case.synthetic]),
    ):
        features = np.vstack([case.view.tree(rows.coded, without="two") for rows in source])
        classes = pd.concat([rows.frame["two"] for rows in source])
        model = HistGradientBoostingClassifier(random_state=0).fit(features, classes)
        chance = model.predict_proba(case.view.tree(case.test.coded, without="two"))[:, 1]
        areas[name] = roc_auc_score(truth, chance)
        if name == "synthetic":
            precision = average_precision_score(truth, chance)
            recall = recall_score(truth, chance > 0.5)
    score = utility_gap(case, "boosted")
    assert score.value == pytest.approx(areas["real"] - areas["synthetic"])
    assert score.low < score.value < score.high
    assert (score.n, score.note) == (200, "ROC AUC")
    assert augmentation_gain(case, "boosted").value == pytest.approx(areas["both"] - areas["real"])
    assert entry(score, "synthetic", "average precision")["value"] == pytest.approx(precision)
    assert entry(score, "synthetic", "recall of 'yes'")["value"] == pytest.approx(recall)
    assert entry(score, "real + synthetic", "ROC AUC")["value"] == pytest.approx(areas["both"])
    assert score.details["rows"] == {"real": 200, "synthetic": 200, "real + synthetic": 400, "held-out": 200}
    json.dumps(score.to_dict())


def test_the_gap_of_a_number_is_the_difference_of_two_r2() -> None:
    case = shared("number")
    found = []
    for rows in (case.train, case.synthetic):
        features, held_out = (pd.get_dummies(source.frame[KEPT], dtype=float) for source in (rows, case.test))
        predicted = Ridge(1e-6).fit(features, rows.frame["number"]).predict(held_out)
        found.append(r2_score(case.test.frame["number"], predicted))
    score = utility_gap(case, "linear")
    # The models differ a little: ridge regression depends on the scale of its columns.
    assert score.value == pytest.approx(found[0] - found[1], abs=0.01)
    assert score.note == score.details["measure"] == "R2"
    measures = ["R2", "mean absolute error", "root mean squared error"]
    assert [row["measure"] for row in score.details["table"]] == 3 * measures


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("target", ["two", "number"])
def test_a_perfect_copy_has_no_gap(model: str, target: str) -> None:
    score = utility_gap(case_of(target, table(0)), model)
    assert (score.value, score.low, score.high) == (0, 0, 0)


@pytest.mark.parametrize("model", MODELS)
def test_the_ceiling_is_0_and_the_floor_far_from_it(model: str) -> None:
    metric = next(metric for metric in METRICS if metric.name == f"utility_gap_{model}")
    score = metric.score(shared("two"))
    assert score.ceiling == 0
    assert score.floor > max(0.2, score.value)


@pytest.mark.parametrize("target", ["two", "three", "number"])
def test_a_paired_interval_is_narrower_than_an_unpaired_one(target: str) -> None:
    score = utility_gap(case_of(target, table(2, blur=0.2)), "linear")
    widths = [
        entry(score, source, score.details["measure"])["high"] - entry(score, source, score.details["measure"])["low"]
        for source in ("real", "synthetic")
    ]
    assert score.high - score.low < 0.7 * math.hypot(*widths)


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_an_area_is_about_that_of_de_long(seed: int) -> None:
    random = np.random.default_rng(seed)
    case = case_of("two", table(2))
    task = prediction_task(case)
    answers = trained(case, "linear", "real").answers
    values = without_groups(lambda rows: task.measure(answers, rows), held_out_groups(task, random))[:, 0]
    positive = task.truth == task.rarest
    area, low, high = auc_interval(answers.values[positive, task.rarest], answers.values[~positive, task.rarest])
    assert values[0] == pytest.approx(area)
    found = jackknife_interval(values[0], values[1:])
    assert 0.5 < (found[1] - found[0]) / (high - low) < 2


def test_every_group_of_rows_holds_its_share_of_each_class() -> None:
    task = prediction_task(shared("three"))
    groups = held_out_groups(task, np.random.default_rng(0))
    counts = np.array([np.bincount(groups[task.truth == code], minlength=20) for code in range(3)])
    assert groups.max() == 19
    assert (np.ptp(counts, axis=1) <= 1).all()
    assert (counts.sum(axis=0) == 10).all()


@pytest.mark.parametrize("model", MODELS)
def test_one_class_leaves_a_gap_to_chance(model: str) -> None:
    score = utility_gap(case_of("two", table(2).assign(two="no")), model)
    assert score.value == pytest.approx(entry(score, "real", "ROC AUC")["value"] - 0.5)
    assert entry(score, "synthetic", "recall of 'yes'")["value"] == 0
    assert score.note == "ROC AUC; the synthetic table holds one class of 'two' only, which teaches nothing"


def test_an_absent_class_is_named_and_never_found() -> None:
    score = utility_gap(case_of("three", table(2).query("three != '2'")), "forest")
    assert score.note == "macro ROC AUC; the synthetic table lacks the class '2'"
    assert score.details["absent classes"] == ["2"]
    assert entry(score, "synthetic", "recall of '2'")["value"] == 0
    assert entry(score, "real", "recall of '2'")["value"] > 0.2
    assert score.low > 0


@pytest.mark.parametrize("target", ["two", "three", "number"])
@pytest.mark.parametrize("rows", [10, 30])
def test_small_tables_have_scores_or_a_reason(rows: int, target: str) -> None:
    case = case_of(target, table(2, rows), rows)
    for metric in METRICS:
        score = metric.score(case)
        assert score.applies or score.note
        if score.applies and not math.isnan(score.low):
            assert score.low <= score.value <= score.high


def test_without_a_class_there_is_a_reason_and_no_number() -> None:
    case = case_of("two", table(2).assign(two=None))
    for metric in METRICS:
        score = metric.compute(case)
        assert not score.applies
        assert score.note == "'two' is missing in every row of the synthetic table"


def test_a_feature_that_is_not_used_has_no_importance() -> None:
    features = np.random.default_rng(0).normal(size=(50, 3))
    truth = 2 * features[:, 0] + features[:, 1]

    def measure(rows: np.ndarray) -> np.ndarray:
        return np.array([-((2 * rows[:, 0] + rows[:, 1] - truth) ** 2).mean()])

    losses = permutation_importances(measure, features, np.random.default_rng(1), 5)[:, 0]
    assert losses[2] == 0
    # Shuffling a standardised column costs twice its variance times the square of its weight.
    assert losses[0] == pytest.approx(8 * features[:, 0].var(), rel=0.3)
    assert losses[1] == pytest.approx(2 * features[:, 1].var(), rel=0.3)


def test_a_copy_agrees_in_every_rank() -> None:
    score = importance_agreement(case_of("two", table(0)))
    assert (score.value, score.low, score.high) == (pytest.approx(1), pytest.approx(1), 1)


@pytest.mark.parametrize("target", ["two", "three", "number"])
def test_agreement_is_the_rank_correlation_of_the_columns_listed(target: str) -> None:
    score = importance_agreement(shared(target))
    columns = score.details["columns"]
    assert set(columns) == set(KEPT)
    real, synthetic = zip(*columns.values(), strict=True)
    assert list(real) == sorted(real, reverse=True)
    assert score.value == pytest.approx(stats.spearmanr(real, synthetic).statistic)
    assert next(iter(columns)) == "a"
    assert score.low <= score.value <= score.high


def test_the_ceiling_of_agreement_is_that_of_two_halves() -> None:
    case = shared("two").ceiling("training")
    assert case is not None
    score = importance_agreement(case)
    real, synthetic = zip(*score.details["columns"].values(), strict=True)
    assert real != synthetic
    assert score.value > 0


def test_two_columns_have_no_ranks_to_compare() -> None:
    frames = [table(seed)[["a", "b", "two"]] for seed in range(3)]
    score = importance_agreement(read_case(frames[0], frames[2], frames[1], Options(target="two"))[0])
    assert score.note == "ranks need at least 3 columns to predict from"


def test_a_model_that_learns_nothing_prefers_no_column() -> None:
    score = importance_agreement(case_of("two", table(2).assign(two="no")))
    assert score.note == "the model trained on synthetic rows prefers no column"


@given(seed=st.integers(0, 1000), rows=st.integers(4, 60))
def test_measures_without_a_group_are_those_of_the_other_rows(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    values, groups = random.normal(size=rows), np.arange(rows) % 3
    found = without_groups(lambda kept: (values[kept].mean(), values[kept].max()), groups)
    assert found.shape == (4, 2)
    assert found[0] == pytest.approx([values.mean(), values.max()])
    assert found[2] == pytest.approx([values[groups != 1].mean(), values[groups != 1].max()])


def test_names_are_those_that_suites_know() -> None:
    assert [metric.name for metric in METRICS] == [
        *(f"utility_gap_{model}" for model in MODELS),
        *(f"augmentation_gain_{model}" for model in MODELS),
        "importance_agreement",
    ]
    assert all(metric.needs == ("target",) for metric in METRICS)


def test_a_small_table_is_compared_with_as_many_real_rows() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(1500, 4)), columns=list("abcd"))
    frame["y"] = np.where(frame.sum(axis=1) + random.normal(0, 1, 1500) > 0, "yes", "no")
    train, few, test = frame.head(700), frame.iloc[700:760], frame.tail(700)
    small, whole = (
        read_case(train, made, test, Options("y"))[0] for made in (few, frame.iloc[:700].sample(frac=1, random_state=0))
    )
    metric = next(metric for metric in METRICS if metric.name == "utility_gap_linear")
    assert metric.score(small).ceiling > 0.005
    assert metric.score(whole).ceiling == 0
