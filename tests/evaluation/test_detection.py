from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.evaluation.detection import (
    METRICS,
    detect,
    detection_score,
    roc_curve_points,
    sdmetrics_score,
    tree_detection,
)
from synthkit.evaluation.intervals import auc_interval
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import TableView
from synthkit.random import scoring_generator


def correlated(seed: int, correlation: float, rows: int = 600) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    values = random.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], rows)
    frame = pd.DataFrame(values, columns=["a", "b"])
    return frame.assign(c=np.where(frame["a"] > 0, "high", "low"))


def auc(real: pd.DataFrame, synthetic: pd.DataFrame, model: str) -> float:
    view = TableView(real)
    score = detection_score(view, view.code(real), view.code(synthetic), scoring_generator(0), model=model)
    assert score.low <= score.value <= score.high
    return score.value


@pytest.mark.parametrize("model", ["trees", "linear"])
def test_rows_of_the_same_source_are_not_told_apart(model: str) -> None:
    assert auc(correlated(0, 0.9), correlated(1, 0.9), model) == pytest.approx(0.5, abs=0.05)


def test_trees_see_a_lost_relation_that_a_linear_model_does_not() -> None:
    real, synthetic = correlated(0, 0.95), correlated(1, 0.0)
    assert auc(real, synthetic, "trees") > 0.8
    assert auc(real, synthetic, "linear") == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("model", ["trees", "linear"])
def test_shifted_rows_are_told_apart(model: str) -> None:
    shifted = correlated(1, 0.9)
    assert auc(correlated(0, 0.9), shifted.assign(a=shifted["a"] + 3), model) > 0.95


def test_equally_many_rows_of_either_kind_are_used() -> None:
    real, synthetic = correlated(0, 0.5), correlated(1, 0.5, rows=60)
    view = TableView(real)
    coded = view.code(real), view.code(synthetic)
    assert detection_score(view, *coded, scoring_generator(0), model="trees").n == 60
    assert detection_score(view, *coded, scoring_generator(0), model="trees", most_rows=30).n == 30


def test_a_handful_of_rows_cannot_be_judged() -> None:
    frame = correlated(0, 0.5, rows=5)
    view = TableView(frame)
    score = detection_score(view, view.code(frame), view.code(frame), scoring_generator(0), model="trees")
    assert not score.applies
    assert "10 rows" in score.note


@given(seed=st.integers(0, 200), decimals=st.integers(0, 3))
def test_the_area_under_the_drawn_curve_is_the_score(seed: int, decimals: int) -> None:
    random = np.random.default_rng(seed)
    positive = np.round(random.normal(0.5, 1, random.integers(2, 60)), decimals)
    negative = np.round(random.normal(0, 1, random.integers(2, 60)), decimals)
    false, true = roc_curve_points(positive, negative, most=1000)
    assert (false[0], true[0]) == (0, 0)
    assert (false[-1], true[-1]) == (1, 1)
    assert np.trapezoid(true, false) == pytest.approx(auc_interval(positive, negative)[0])


def test_a_long_curve_is_drawn_with_few_of_its_points() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(1, 1, 4000), random.normal(0, 1, 3000)
    full, few = (list(zip(*roc_curve_points(*scores, most=most), strict=True)) for most in (10_000, 50))
    assert 40 < len(few) <= 50
    assert set(few) <= set(full)
    assert few == sorted(few)
    assert (few[0], few[-1]) == ((0, 0), (1, 1))


def test_no_scores_have_no_curve() -> None:
    assert roc_curve_points(np.empty(0), np.empty(0)) == ((), ())


def test_the_scale_of_sdmetrics_turns_the_interval_round() -> None:
    found = sdmetrics_score(Score(0.7, 0.6, 0.8, n=10, direction="half"))
    assert (found.value, found.low, found.high) == pytest.approx((0.6, 0.4, 0.8))
    assert (found.direction, found.n) == ("higher", 10)
    assert sdmetrics_score(Score(0.45, 0.4, 0.55, direction="half")).value == 1
    assert not sdmetrics_score(Score(float("nan"), note="too few rows")).applies


def test_sdmetrics_gives_about_the_same_score() -> None:
    from sdmetrics.single_table import LogisticDetection

    real, synthetic = (correlated(seed, 0.5, rows=1500)[["a", "b"]] for seed in (0, 1))
    synthetic = synthetic.assign(a=synthetic["a"] + 0.5)
    view = TableView(real)
    predicted = detect(view, view.code(real), view.code(synthetic), scoring_generator(0), model="linear")
    expected = LogisticDetection.compute(real, synthetic)
    assert sdmetrics_score(predicted.score()).value == pytest.approx(expected, abs=0.03)


def test_the_scores_on_both_scales_come_from_the_same_predictions() -> None:
    case, _ = read_case(correlated(0, 0.9, 200), correlated(1, 0.5, 200), correlated(2, 0.9, 100), Options())
    scores = {metric.name: metric.compute(case) for metric in METRICS}
    for area, score in (("c2st_tree", "detection_score_tree"), ("c2st_lr", "detection_score_lr")):
        assert scores[score] == sdmetrics_score(scores[area])
    assert tree_detection(case) is tree_detection(case)
    assert tree_detection(case).score() == scores["c2st_tree"]


def test_a_model_that_cannot_learn_from_so_few_rows_is_no_evidence() -> None:
    frame = pd.DataFrame({"a": np.arange(12.0)})
    view = TableView(frame)
    found = detection_score(view, view.code(frame), view.code(frame + 100), scoring_generator(0), model="trees")
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)
    assert "so few rows" in found.note
