from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthkit.evaluation.copies import METRICS, copied_score, copy_distances, copy_scores, near_copied_score, near_share
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Score
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


def near(train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame, **options: int) -> Score:
    view = TableView(train)
    coded = [view.code(frame) for frame in (train, test, synthetic)]
    score = near_copied_score(view, *coded, scoring_generator(0), **options)
    assert 0 <= score.low <= score.value <= score.high <= 1
    return score


def excess(train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame) -> Score:
    view = TableView(train)
    coded = [view.code(frame) for frame in (train, test, synthetic)]
    score = copy_distances(view, *coded, scoring_generator(0)).excess()
    assert -1 <= score.low <= score.value <= score.high <= 1
    return score


def test_a_copy_with_a_little_noise_is_near() -> None:
    train = table(0, 800)
    noisy = train.assign(a=train["a"] + 1e-4, b=train["b"] - 1e-4)
    assert near(train, table(1, 800), noisy).value == 1
    assert scores(train, table(1, 800), noisy)["exact_train"] == 0


def test_a_hundredth_of_honest_rows_is_near() -> None:
    values = [near(table(seed, 500), table(seed + 50, 500), table(seed + 100, 500)).value for seed in range(10)]
    assert np.mean(values) == pytest.approx(0.01, abs=0.006)


def test_the_interval_of_near_copies_allows_for_the_threshold() -> None:
    random = np.random.default_rng(0)
    found = [near_share(random.exponential(size=300), random.exponential(size=300)) for _ in range(200)]
    mean = np.mean([score.value for score in found])
    assert mean == pytest.approx(0.01, abs=0.003)
    assert np.mean([score.low <= mean <= score.high for score in found]) >= 0.95


def test_where_held_out_rows_equal_training_rows_near_means_equal() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3, 4] * 50, "c": ["x", "y", "z", "x"] * 50})
    synthetic = frame.assign(a=frame["a"].replace(4, 3.5))
    found = near(frame, frame, synthetic)
    assert found.value == 0.75
    assert "only equal rows" in found.note


def test_few_rows_still_have_a_share_of_near_copies() -> None:
    assert near(table(0, 10), table(1, 10), table(0, 10)).value == 1
    assert near(table(0, 10), table(1, 10), table(2, 10) * 1).low >= 0


def test_near_copies_are_looked_for_among_some_of_many_training_rows() -> None:
    train = table(0, 600)
    found = near(train, table(1, 300), train, most_rows=100, most_reference=300)
    assert 0.3 < found.value < 0.7


def test_copies_beyond_chance_are_the_difference_of_the_two_shares() -> None:
    train, test = table(0, 300), table(1, 300)
    mixed = pd.concat([train[:60], test[:20], table(2, 120)])
    found, shares = excess(train, test, mixed), scores(train, test, mixed)
    assert found.value == pytest.approx(shares["exact_train"] - shares["exact_test"])
    assert found.value == pytest.approx(0.2)
    assert 0 < found.low < 0.2 < found.high


def test_nothing_is_copied_beyond_chance_where_everybody_has_the_same_rows() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3] * 50, "c": ["x", "y", "z"] * 50})
    found = excess(frame, frame, frame)
    assert found.value == 0
    assert found.low < 0 < found.high


def test_the_interval_of_the_nearest_record_share_holds_the_mean_over_other_rows() -> None:
    found = []
    for seed in range(80):
        view = TableView(table(seed, 60))
        coded = [view.code(table(seed + shift, rows)) for shift, rows in ((0, 60), (1000, 60), (2000, 240))]
        score = copy_scores(view, *coded, scoring_generator(0))["dcr_share"]
        found.append((score.value, score.low, score.high))
    values, low, high = np.array(found).T
    assert values.mean() == pytest.approx(0.5, abs=0.02)
    assert np.mean((low <= 0.5) & (0.5 <= high)) >= 0.9


def test_every_score_of_copies_has_its_controls() -> None:
    case, _ = read_case(table(0, 200), table(0, 200), table(1, 100), Options())
    found = {metric.name: metric.score(case) for metric in METRICS}
    assert found["near_copied"].value == 1
    assert found["near_copied"].ceiling < 0.2
    assert found["near_copied"].floor < 0.2
    assert found["copy_excess"].low > found["copy_excess"].ceiling == 0
