"""Precision, recall, density and coverage against their definitions, row by row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.evaluation.coverage import coverage_scores
from synthkit.evaluation.view import TableView
from synthkit.random import scoring_generator


def slow_scores(real: np.ndarray, synthetic: np.ndarray, k: int) -> dict[str, float]:
    def radius(points: np.ndarray, row: int) -> float:
        return sorted(np.linalg.norm(points[row] - other) for other in np.delete(points, row, axis=0))[k - 1]

    real_radius = [radius(real, row) for row in range(len(real))]
    synthetic_radius = [radius(synthetic, row) for row in range(len(synthetic))]
    near = [[np.linalg.norm(point - other) for other in synthetic] for point in real]
    rows, columns = range(len(real)), range(len(synthetic))
    inside = [[near[row][column] < real_radius[row] for column in columns] for row in rows]
    return {
        "precision": np.mean([any(inside[row][column] for row in rows) for column in columns]),
        "recall": np.mean([any(near[row][column] < synthetic_radius[column] for column in columns) for row in rows]),
        "density": sum(map(sum, inside)) / k / len(synthetic),
        "coverage": np.mean([min(near[row]) < real_radius[row] for row in rows]),
    }


@given(seed=st.integers(0, 1000), k=st.integers(1, 5))
def test_the_scores_are_what_they_say(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    real = pd.DataFrame(random.normal(size=(25, 3)), columns=list("abc"))
    synthetic = pd.DataFrame(random.normal(0.5, 1.5, size=(20, 3)), columns=list("abc"))
    view = TableView(real)
    coded = view.code(real), view.code(synthetic)
    found = coverage_scores(view, *coded, scoring_generator(0), n_neighbours=k)
    expected = slow_scores(*(view.linear(table).astype(np.float64) for table in coded), k)
    assert {name: score.value for name, score in found.items()} == pytest.approx(expected, abs=1e-6)
    assert all(score.low <= score.value <= score.high for score in found.values())


def test_one_row_has_no_neighbourhood() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    view = TableView(frame)
    coded = view.code(frame)
    scores = coverage_scores(view, coded, coded.take(np.array([0])), scoring_generator(0))
    assert not any(score.applies for score in scores.values())
