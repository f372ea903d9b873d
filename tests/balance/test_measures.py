from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    precision_recall_curve,
    roc_auc_score,
)

from synthkit.balance.measures import (
    CLASS_MEASURES,
    chance_level,
    judge_classes,
    judge_numbers,
    measures_of,
    recall_at_precision,
)


def test_two_classes_as_scikit_learn_measures_them() -> None:
    random = np.random.default_rng(0)
    truth = (random.random(300) < 0.2).astype(np.int64)
    chance = np.round(np.clip(0.3 * truth + random.random(300) * 0.7, 0, 1), 2)
    found = judge_classes(np.column_stack([1 - chance, chance]), truth, positive=1, precision=0.5)
    assert set(found) == set(CLASS_MEASURES)
    assert found["average_precision"] == pytest.approx(average_precision_score(truth, chance))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(truth, chance))
    assert found["brier"] == pytest.approx(brier_score_loss(truth, chance))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, chance > 0.5))
    assert found["balanced_accuracy"] == pytest.approx((found["recall"] + 1 - found["false_alarms"]) / 2)


def test_the_positive_class_may_be_the_first() -> None:
    truth = np.array([0, 0, 1, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])
    found = judge_classes(probabilities, truth, positive=0, precision=0.5)
    assert found["average_precision"] == 1.0
    assert found["recall"] == 0.5
    assert found["false_alarms"] == 0.0


def test_more_classes_are_means_over_the_classes() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 3, 200)
    raw = random.random((200, 3)) + np.eye(3)[truth]
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    found = judge_classes(probabilities, truth, positive=0, precision=0.5)
    assert set(found) == set(measures_of(3))
    assert found["average_precision"] == pytest.approx(average_precision_score(np.eye(3)[truth], probabilities))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(truth, probabilities, multi_class="ovr"))
    assert found["brier"] == pytest.approx(((probabilities - np.eye(3)[truth]) ** 2).mean())


def test_recall_at_precision_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    positive = np.array([True, False, True, False, True])
    assert recall_at_precision(scores, positive, 1.0) == pytest.approx(1 / 3)
    assert recall_at_precision(scores, positive, 0.66) == pytest.approx(2 / 3)
    assert recall_at_precision(scores, positive, 0.5) == 1.0
    assert recall_at_precision(-scores, positive, 0.9) == pytest.approx(1 / 3)
    assert recall_at_precision(scores, ~positive, 0.9) == 0.0
    assert recall_at_precision(np.ones(5), positive, 0.61) == 0.0
    assert math.isnan(recall_at_precision(scores, np.zeros(5, dtype=bool), 0.5))


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30).filter(
        lambda rows: any(p for _, p in rows)
    ),
    st.floats(0.05, 1),
)
def test_recall_at_precision_is_the_best_point_of_the_curve(rows: list[tuple[int, bool]], precision: float) -> None:
    scores, positive = np.array([float(score) for score, _ in rows]), np.array([own for _, own in rows])
    precisions, recalls, _ = precision_recall_curve(positive, scores)
    reached = recalls[:-1][precisions[:-1] >= precision - 1e-12]
    assert recall_at_precision(scores, positive, precision) == pytest.approx(max(reached, default=0.0))


def test_chance_is_what_the_shares_alone_reach() -> None:
    truth = np.repeat([0, 1], [75, 25])
    found = chance_level(truth, 2, positive=1, precision=0.5)
    assert found["roc_auc"] == 0.5
    assert found["average_precision"] == pytest.approx(0.25)
    assert found["brier"] == pytest.approx(0.25 * 0.75)
    assert found["balanced_accuracy"] == 0.5
    assert found["recall_at_precision"] == 0.0


def test_numbers_by_hand() -> None:
    found = judge_numbers(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 5.0]))
    assert found["mae"] == pytest.approx(2 / 3)
    assert found["rmse"] == pytest.approx(math.sqrt(2 / 3))
    assert found["r2"] == pytest.approx(1 - 2 / 8)
