from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthkit.evaluation.copies import copied_score, copy_scores
from synthkit.evaluation.view import TableView
from synthkit.random import scoring_generator


def table(seed: int, rows: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": random.normal(size=rows), "b": random.normal(size=rows)})
    return frame.assign(c=random.choice(["x", "y"], rows))


def scores(train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame) -> dict[str, float]:
    view = TableView(train)
    coded = [view.code(frame) for frame in (train, test, synthetic)]
    found = copy_scores(view, *coded, scoring_generator(0)) | {"copied": copied_score(coded[0], coded[2])}
    return {name: score.value for name, score in found.items()}


def test_copies_of_training_rows_are_caught() -> None:
    train, test = table(0, 300), table(1, 300)
    found = scores(train, test, train.sample(200, random_state=0))
    assert found == {"dcr_share": 1, "exact_train": 1, "exact_test": 0, "copied": 1}


def test_new_rows_of_the_same_source_are_no_copies() -> None:
    found = scores(table(0, 500), table(1, 500), table(2, 500))
    assert found["dcr_share"] == pytest.approx(0.5, abs=0.06)
    assert found["exact_train"] == found["copied"] == 0


def test_rows_that_everybody_has_are_as_near_to_either_side() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3] * 50, "c": ["x", "y", "z"] * 50})
    assert scores(frame, frame, frame) == {"dcr_share": 0.5, "exact_train": 1, "exact_test": 1, "copied": 1}


def test_the_share_counts_nearer_rows() -> None:
    train = pd.DataFrame({"a": [0.0, 10.0, 20.0]})
    test = pd.DataFrame({"a": [1.0, 11.0, 21.0]})
    synthetic = pd.DataFrame({"a": [0.2, 10.1, 20.4, 20.9]})
    assert scores(train, test, synthetic)["dcr_share"] == 0.75


def test_a_row_is_a_copy_only_if_every_column_agrees_missing_ones_too() -> None:
    train = pd.DataFrame({"a": [1.0, 2.0, np.nan, 4.0], "c": ["x", "y", "y", None]})
    synthetic = pd.DataFrame({"a": [1.0, 2.0, np.nan, 4.0, -0.0], "c": ["y", "y", "y", None, "x"]})
    assert scores(train, train, synthetic)["copied"] == pytest.approx(3 / 5)
