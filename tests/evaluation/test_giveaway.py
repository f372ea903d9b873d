"""Give-away columns: the broken one is named, not its partners."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from synthkit.evaluation.giveaway import METRICS, auc_difference_interval, giveaway_columns, giveaway_score
from synthkit.evaluation.intervals import auc_interval
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Score


def people(seed: int, rows: int = 4000) -> pd.DataFrame:
    """Columns that hang together in many ways, two of them one to one, and one that stands alone."""
    random = np.random.default_rng(seed)
    age = np.round(random.normal(45, 12, rows))
    years = np.clip(np.round(random.normal(10 + (age < 60) * 2, 2.5)), 5, 16)
    married = random.random(rows) < 1 / (1 + np.exp(-(age - 38) / 4))
    hours = np.round(random.normal(42 - 0.3 * np.abs(age - 45), 4))
    wage = np.exp(random.normal(years / 6 + hours / 40, 0.3))
    frame = pd.DataFrame({"age": age, "years": years, "hours": hours, "wage": np.round(wage, 2)})
    frame["school"] = [f"school {value:.0f}" for value in years]
    frame["married"] = np.where(married, "yes", "no")
    return frame.assign(alone=random.normal(size=rows))


def score(real: pd.DataFrame, synthetic: pd.DataFrame) -> Score:
    case, _ = read_case(real, synthetic, real[:50], Options())
    found = giveaway_score(case)
    if found.applies:
        json.dumps(found.details, allow_nan=False)
        assert found.low <= found.value <= found.high
        importance = [column["importance"] for column in found.details["columns"].values()]
        assert importance == sorted(importance, reverse=True)
        assert found.note == repr(next(iter(found.details["columns"])))
    return found


@pytest.mark.parametrize("column", ["age", "years", "school", "hours", "wage", "married"])
def test_a_shuffled_column_is_named_first(column: str) -> None:
    real, synthetic = people(0), people(1)
    synthetic[column] = synthetic[column].sample(frac=1, random_state=0).to_numpy()
    found = score(real, synthetic)
    assert found.note == repr(column)
    assert found.low > 0.02


def test_two_shuffled_columns_come_before_the_others() -> None:
    real, synthetic = people(0), people(1)
    for seed, column in enumerate(["married", "wage"]):
        synthetic[column] = synthetic[column].sample(frac=1, random_state=seed).to_numpy()
    assert set(list(score(real, synthetic).details["columns"])[:2]) == {"married", "wage"}


def test_a_column_with_another_margin_is_named_first() -> None:
    synthetic = people(1)
    found = score(people(0), synthetic.assign(alone=synthetic["alone"] + 0.7))
    assert found.note == "'alone'"
    assert found.details["columns"]["alone"]["permuted"] > 0.1


def test_rows_of_the_same_source_give_nothing_away() -> None:
    found = score(people(0), people(1))
    assert found.value < 0.04
    assert found.details["area"] == pytest.approx(0.5, abs=0.04)


def test_the_only_column_gives_everything_away() -> None:
    random = np.random.default_rng(0)
    real, synthetic = (pd.DataFrame({"a": random.normal(shift, 1, 600)}) for shift in (0, 2))
    found = score(real, synthetic)
    assert found.value == pytest.approx(found.details["area"] - 0.5)


def test_odd_columns_are_no_trouble_and_a_handful_of_rows_cannot_be_judged() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"empty": [np.nan] * 80, "same": 1, "a": random.normal(size=80)})
    frame["many"] = [f"label {code}" for code in random.integers(0, 60, 80)]
    assert score(frame, frame[::-1]).applies
    few = score(frame[:30], frame[:30])
    assert not few.applies
    assert "50 rows" in few.note


def test_of_a_wide_table_the_columns_that_the_model_relies_on_are_looked_at() -> None:
    random = np.random.default_rng(0)
    real, synthetic = (pd.DataFrame(random.normal(size=(600, 60))).add_prefix("c") for _ in range(2))
    found = score(real, synthetic.assign(c37=synthetic["c37"] * 3))
    assert found.note == "'c37'"
    assert len(found.details["columns"]) == 10


def test_the_difference_of_two_areas_and_its_interval() -> None:
    random = np.random.default_rng(0)
    positive = random.random(400) < 0.4
    first = positive + random.normal(size=400)
    second = np.round(first + random.normal(size=400), 1)
    value, low, high = auc_difference_interval(first, second, positive)
    areas = [auc_interval(scores[positive], scores[~positive])[0] for scores in (first, second)]
    assert value == pytest.approx(areas[0] - areas[1])
    drawn = []
    for _ in range(400):
        rows = np.concatenate(
            [random.choice(np.flatnonzero(positive == kind), (positive == kind).sum()) for kind in (0, 1)]
        )
        drawn.append(auc_difference_interval(first[rows], second[rows], positive[rows])[0])
    assert (high - low) / 2 == pytest.approx(1.96 * np.std(drawn), rel=0.15)
    assert auc_difference_interval(first, first, positive) == (0, 0, 0)


def test_the_same_rows_and_seed_name_the_same_columns() -> None:
    random = np.random.default_rng(0)
    features, is_real = random.normal(size=(400, 4)), np.arange(400) < 200
    first, second = (giveaway_columns(features, is_real, list("abcd"), np.random.default_rng(1)) for _ in range(2))
    assert first == second


def test_the_score_has_a_ceiling_and_no_floor() -> None:
    case, _ = read_case(people(0, 300), people(1, 300), people(2, 200), Options())
    (metric,) = METRICS
    found = metric.score(case)
    assert found.ceiling < 0.2
    assert np.isnan(found.floor)
