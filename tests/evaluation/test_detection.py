from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthkit.evaluation.detection import detection_score
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
