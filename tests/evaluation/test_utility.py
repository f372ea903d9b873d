from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

from synthkit.evaluation.records import Score
from synthkit.evaluation.utility import measure_name, utility_score
from synthkit.evaluation.view import TableView
from synthkit.random import scoring_generator


def table(seed: int, rows: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": random.normal(size=rows), "b": random.integers(0, 3, rows)})
    total = frame["a"] + frame["b"] + random.normal(0, 0.5, rows)
    return frame.assign(number=total, two=np.where(total > 1, "yes", "no"), three=np.digitize(total, [0, 2]))


def score(train: pd.DataFrame, test: pd.DataFrame, target: str, view: TableView | None = None) -> Score:
    view = view or TableView(train)
    sides = [(frame, view.code(frame)) for frame in (train, test)]
    return utility_score(view, *sides, target, scoring_generator(0))


def test_two_classes_are_measured_by_the_area_under_the_curve() -> None:
    train, test = (table(seed)[["a", "b", "two"]] for seed in (0, 1))
    model = HistGradientBoostingClassifier(random_state=0).fit(train[["a", "b"]].to_numpy(float), train["two"])
    expected = roc_auc_score(test["two"] == "yes", model.predict_proba(test[["a", "b"]].to_numpy(float))[:, 1])
    found = score(train, test, "two")
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    assert measure_name(TableView(train), test, "two") == "ROC AUC"


def test_a_number_is_measured_by_r2() -> None:
    train, test = (table(seed)[["a", "b", "number"]] for seed in (0, 1))
    model = HistGradientBoostingRegressor(random_state=0).fit(train[["a", "b"]].to_numpy(float), train["number"])
    expected = r2_score(test["number"], model.predict(test[["a", "b"]].to_numpy(float)))
    found = score(train, test, "number")
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    assert measure_name(TableView(train), test, "number") == "R2"


def test_more_classes_are_measured_by_accuracy() -> None:
    train, test = (table(seed)[["a", "b", "three"]] for seed in (0, 1))
    model = HistGradientBoostingClassifier(random_state=0).fit(train[["a", "b"]].to_numpy(float), train["three"])
    expected = accuracy_score(test["three"], model.predict(test[["a", "b"]].to_numpy(float)))
    assert score(train, test, "three").value == pytest.approx(expected, abs=0.01)
    assert measure_name(TableView(train), test, "three") == "accuracy"


def test_a_table_with_one_class_teaches_nothing() -> None:
    train, test = table(0), table(1)
    found = score(train.assign(two="no"), test, "two", TableView(train))
    assert found.value == 0.5
    assert "one class" in found.note


def test_rows_without_a_number_to_predict_are_left_out() -> None:
    train, test = (table(seed)[["a", "b", "number"]] for seed in (0, 1))
    with_gaps = [pd.concat([frame, frame.head(50).assign(number=np.nan, a=9.0)]) for frame in (train, test)]
    assert score(*with_gaps, "number").value == pytest.approx(score(train, test, "number").value)


def test_a_table_of_the_target_alone_says_so() -> None:
    train = table(0)[["two"]]
    assert not score(train, train, "two").applies
