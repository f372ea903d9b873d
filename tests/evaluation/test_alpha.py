"""Alpha-precision, beta-recall and authenticity against their definitions, row by row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.evaluation.alpha import METRICS, alpha_precision, alpha_scores, beta_recall, nearest_rows
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import TableView
from synthkit.random import scoring_generator

LEVELS = [step / 29 for step in range(30)]


def far(point: np.ndarray, other: np.ndarray) -> float:
    return round(float(np.linalg.norm(point - other)), 5)


def slow_scores(real: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    centre, middle = real.mean(axis=0), synthetic.mean(axis=0)
    spread = [np.linalg.norm(row - centre) for row in real]
    precision, recall = [], []
    reach, reached = [], []
    own = [min(far(row, other) for j, other in enumerate(real) if j != i) for i, row in enumerate(real)]
    for i, row in enumerate(real):
        nearest = min(range(len(synthetic)), key=lambda j: np.linalg.norm(row - synthetic[j]))
        reached.append(far(row, synthetic[nearest]) <= own[i])
        reach.append(np.linalg.norm(synthetic[nearest] - middle))
    for level in LEVELS:
        radius = np.quantile(spread, level)
        precision.append(np.mean([np.linalg.norm(row - centre) <= radius for row in synthetic]))
        radius = np.quantile(reach, level)
        recall.append(np.mean([hit and way <= radius for hit, way in zip(reached, reach, strict=True)]))
    authentic = []
    for row in synthetic:
        nearest = min(range(len(real)), key=lambda i: np.linalg.norm(row - real[i]))
        authentic.append(far(row, real[nearest]) > own[nearest])
    return {
        "alpha_precision": 1 - sum(abs(a - b) for a, b in zip(LEVELS, precision, strict=True)) / sum(LEVELS),
        "beta_recall": 1 - sum(abs(a - b) for a, b in zip(LEVELS, recall, strict=True)) / sum(LEVELS),
        "authenticity": float(np.mean(authentic)),
    }


def scores(real: pd.DataFrame, synthetic: pd.DataFrame) -> dict[str, Score]:
    view = TableView(real)
    found = alpha_scores(view, view.code(real), view.code(synthetic), scoring_generator(0))
    for score in found.values():
        assert 0 <= score.low <= score.value <= score.high <= 1
    return found


def values(real: pd.DataFrame, synthetic: pd.DataFrame) -> dict[str, float]:
    return {name: score.value for name, score in scores(real, synthetic).items()}


def table(seed: int, rows: int, shift: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.normal(shift, 1 + shift, size=(rows, 3)), columns=list("abc"))
    return frame.assign(d=random.choice(["x", "y"], rows))


@given(seed=st.integers(0, 1000), shift=st.sampled_from([0.0, 0.3, 2.0]))
def test_the_scores_are_what_they_say(seed: int, shift: float) -> None:
    real, synthetic = table(seed, 25), table(seed + 5000, 25, shift)
    view = TableView(real)
    coded = (view.linear(view.code(frame)).astype(np.float64) for frame in (real, synthetic))
    assert values(real, synthetic) == pytest.approx(slow_scores(*coded), abs=1e-9)


def test_equal_rows_are_equally_far() -> None:
    random = np.random.default_rng(0)
    real, synthetic = (
        pd.DataFrame({"a": random.choice(["x", "y", "z"], 40), "b": random.random(40) < 0.5}) for _ in range(2)
    )
    found = values(real, synthetic)
    assert found["authenticity"] == 0
    assert found["beta_recall"] > 0.5


def test_neighbours_are_found_across_blocks_of_rows() -> None:
    random = np.random.default_rng(0)
    real, synthetic = (random.normal(size=(1100, 2)).astype(np.float32) for _ in range(2))
    near = nearest_rows(real, synthetic)
    for row in (0, 499, 500, 777, 1099):
        distance = np.linalg.norm(synthetic - real[row], axis=1)
        assert near.nearest_synthetic[row] == distance.argmin()
        assert near.real_to_synthetic[row] == pytest.approx(distance.min(), abs=1e-5)
        back = np.linalg.norm(real - synthetic[row], axis=1)
        assert near.nearest_real[row] == back.argmin()
        assert near.synthetic_to_real[row] == pytest.approx(back.min(), abs=1e-5)
        assert near.real_to_real[row] == pytest.approx(np.sort(np.linalg.norm(real - real[row], axis=1))[1], abs=1e-5)


def test_rows_of_the_same_source_are_typical_and_about_half_of_them_new() -> None:
    found = values(table(0, 1500), table(1, 1500))
    assert found["alpha_precision"] > 0.95
    assert found["beta_recall"] == pytest.approx(0.5, abs=0.08)
    assert found["authenticity"] == pytest.approx(0.45, abs=0.1)


def test_a_copied_table_is_not_authentic() -> None:
    real = table(0, 300)
    found = values(real, real.sample(frac=1, random_state=0))
    assert found["authenticity"] == 0
    assert found["beta_recall"] == pytest.approx(1, abs=0.02)
    assert found["alpha_precision"] == pytest.approx(1, abs=0.02)


def test_rows_far_away_are_authentic_and_nothing_else() -> None:
    found = values(table(0, 200), table(1, 200, 9.0))
    assert found["authenticity"] > 0.95
    assert found["alpha_precision"] < 0.1
    assert found["beta_recall"] < 0.1


def test_the_centre_alone_is_too_typical() -> None:
    real = np.random.default_rng(0).chisquare(3, 500)
    assert alpha_precision(real, real) == pytest.approx(1, abs=0.01)
    assert alpha_precision(real, np.zeros(100)) == pytest.approx(0, abs=1e-9)
    assert alpha_precision(real, np.full(100, 1e9)) == pytest.approx(0, abs=1e-9)
    assert beta_recall(np.ones(500, dtype=bool), real) == pytest.approx(1, abs=0.01)
    assert beta_recall(np.zeros(500, dtype=bool), real) == pytest.approx(0, abs=1e-9)


def test_the_intervals_hold_the_mean_over_other_rows_of_the_same_sources() -> None:
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(60):
        for name, score in scores(table(seed, 150), table(seed + 1000, 150, 0.2)).items():
            found.setdefault(name, []).append((score.value, score.low, score.high))
    for name, three in found.items():
        value, low, high = np.array(three).T
        assert np.mean((low <= value.mean()) & (value.mean() <= high)) >= 0.85, name


def test_a_handful_of_rows_cannot_be_judged() -> None:
    for score in alpha_scores_of(5).values():
        assert not score.applies
        assert "10 rows" in score.note


def alpha_scores_of(rows: int) -> dict[str, Score]:
    frame = table(0, 20)
    view = TableView(frame)
    return alpha_scores(view, view.code(frame), view.code(frame[:rows]), scoring_generator(0))


def test_every_score_has_its_controls() -> None:
    case, _ = read_case(table(0, 100), table(1, 100), table(2, 60), Options())
    for metric in METRICS:
        score = metric.score(case)
        assert 0 <= score.ceiling <= 1
        assert 0 <= score.floor <= 1
