"""Precision, recall, density and coverage against their definitions, row by row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.evaluation.coverage import AS_PUBLISHED, cell_interval, coverage_scores
from synthkit.evaluation.intervals import mean_interval
from synthkit.evaluation.view import TableView
from synthkit.random import scoring_generator


def slow_scores(real: np.ndarray, synthetic: np.ndarray, k: int) -> dict[str, float]:
    def distance(point: np.ndarray, other: np.ndarray) -> float:
        return round(float(np.linalg.norm(point - other)), 5)

    def radius(points: np.ndarray, row: int) -> float:
        return sorted(distance(points[row], other) for other in np.delete(points, row, axis=0))[k - 1]

    real_radius = [radius(real, row) for row in range(len(real))]
    synthetic_radius = [radius(synthetic, row) for row in range(len(synthetic))]
    near = [[distance(point, other) for other in synthetic] for point in real]
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


TABLES = {
    "few whole numbers": lambda random, rows: pd.DataFrame({name: random.integers(0, 4, rows) for name in "ab"}),
    "labels": lambda random, rows: pd.DataFrame({name: random.choice(list("xyz"), rows) for name in "abcdef"}),
    "flags": lambda random, rows: pd.DataFrame({name: random.random(rows) < 0.4 for name in "abcd"}),
    "one row again and again": lambda random, rows: pd.DataFrame(
        {"a": random.normal(size=rows) * (random.random(rows) < 0.4), "b": random.choice(["x", "y"], rows)}
    ),
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("k", [1, 5])
def test_ties_and_duplicates_lie_outside_the_balls(kind: str, k: int) -> None:
    for seed in range(4):
        random = np.random.default_rng(seed)
        real, synthetic = TABLES[kind](random, 40), TABLES[kind](random, 30)
        view = TableView(real)
        coded = view.code(real), view.code(synthetic)
        found = coverage_scores(view, *coded, scoring_generator(0), n_neighbours=k)
        expected = slow_scores(*(view.linear(table).astype(np.float64) for table in coded), k)
        assert {name: score.value for name, score in found.items()} == pytest.approx(expected)
        for score in found.values():
            assert score.low <= score.value <= score.high
            assert bool(score.note) == (abs(score.value - score.details[AS_PUBLISHED]) > 0.005)


def test_without_ties_rounding_decides_nothing() -> None:
    random = np.random.default_rng(0)
    real, synthetic = (pd.DataFrame(random.normal(size=(200, 3)), columns=list("abc")) for _ in range(2))
    view = TableView(real)
    for score in coverage_scores(view, view.code(real), view.code(synthetic), scoring_generator(0)).values():
        assert score.details[AS_PUBLISHED] == score.value
        assert score.note == ""


def test_rows_that_depend_on_each_other_have_a_wider_interval() -> None:
    random = np.random.default_rng(0)
    cells = random.integers(0, 30, 600)
    shared, own = (random.random(30) < 0.5)[cells], random.random(600) < 0.5
    assert np.ptp(cell_interval(shared, cells)[1:]) > 3 * np.ptp(mean_interval(shared)[1:])
    assert np.ptp(cell_interval(own, cells)[1:]) < 1.5 * np.ptp(mean_interval(own)[1:])
    assert cell_interval(own, np.zeros(600, dtype=np.int64)) == mean_interval(own)


def test_the_intervals_hold_the_mean_over_other_rows_of_the_same_sources() -> None:
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(60):
        random = np.random.default_rng(seed)
        real = pd.DataFrame(random.normal(size=(150, 2)), columns=["a", "b"])
        synthetic = pd.DataFrame(random.normal(0.3, 1.2, size=(150, 2)), columns=["a", "b"])
        view = TableView(real)
        scores = coverage_scores(view, view.code(real), view.code(synthetic), scoring_generator(seed))
        for name, score in scores.items():
            found.setdefault(name, []).append((score.value, score.low, score.high))
    for name, scores in found.items():
        values, low, high = np.array(scores).T
        assert np.mean((low <= values.mean()) & (values.mean() <= high)) >= 0.85, name
