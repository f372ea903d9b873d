"""Errors within subgroups against `fidelity.shape_errors` of the rows chosen with pandas."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from synthkit.evaluation.case import Case
from synthkit.evaluation.fidelity import shape_errors
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.subgroups import METRICS, shape_without_groups, subgroup_score
from synthkit.evaluation.view import TableView


def make(seed: int, rows: int) -> pd.DataFrame:
    """A sex, an age with gaps, and two columns that depend on them."""
    random = np.random.default_rng(seed)
    sex = random.choice(["female", "male"], rows)
    age = random.integers(18, 90, rows).astype(float)
    return pd.DataFrame(
        {
            "sex": sex,
            "age": np.where(random.random(rows) < 0.1, np.nan, age),
            "pay": age + 10 * (sex == "male") + random.normal(size=rows),
            "town": random.choice(["Bern", "Basel", None], rows, p=[0.6, 0.3, 0.1]),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 1000, rows), unit="D"),
        }
    )


def case_of(real: pd.DataFrame, synthetic: pd.DataFrame, *groups: str) -> Case:
    return read_case(real, synthetic, make(99, 300), Options(groups=groups))[0]


def test_the_error_of_a_subgroup_is_the_shape_error_of_its_rows_without_its_column() -> None:
    real, synthetic = make(0, 400), make(1, 300)
    score = subgroup_score(case_of(real, synthetic, "sex", "town"))
    view = TableView(real)
    expected = {}
    for column, value in (("sex", "female"), ("sex", "male"), ("town", "Bern"), ("town", "Basel")):
        parts = [frame[frame[column] == value] for frame in (real, synthetic)]
        errors = shape_errors(view, view.code(parts[0]), view.code(parts[1]))
        expected[f"{column}={value}"] = np.mean([error for name, error in errors.items() if name != column])
    groups = score.details["groups"]
    for name, error in expected.items():
        assert groups[name]["error"] == pytest.approx(error)
    assert "town=missing" in groups or real["town"].isna().sum() < 50
    errors = [entry["error"] for entry in groups.values()]
    assert errors == sorted(errors, reverse=True)
    assert score.value == errors[0]
    assert next(iter(groups)) in score.note
    assert 0 <= score.low <= score.value <= score.high <= 1
    assert groups["sex=female"]["real rows"] == (real["sex"] == "female").sum()
    assert groups["sex=female"]["synthetic rows"] == (synthetic["sex"] == "female").sum()
    assert 0 < groups["sex=female"]["ceiling"] < 0.3


def test_without_a_group_the_error_is_that_of_the_other_rows() -> None:
    real, synthetic = make(0, 200), make(1, 120)
    view = TableView(real)
    coded = view.code(real), view.code(synthetic)
    groups = np.arange(200) % 4, np.arange(120) % 4
    every, *found = shape_without_groups(view, *coded, groups, 5)
    assert every == pytest.approx(np.mean(list(shape_errors(view, *coded).values())))
    # The last group is empty.
    assert found[4] == pytest.approx(every)
    for group in range(4):
        left = [table.take(np.flatnonzero(rows != group)) for table, rows in zip(coded, groups, strict=True)]
        assert found[group] == pytest.approx(np.mean(list(shape_errors(view, *left).values())))


def test_numbers_and_dates_are_cut_at_the_real_quartiles() -> None:
    real = make(0, 600)
    groups = subgroup_score(case_of(real, make(1, 500), "age", "since")).details["groups"]
    low, middle, high = (f"{edge:.6g}" for edge in real["age"].quantile([0.25, 0.5, 0.75]))
    ages = {f"age<={low}", f"{low}<age<={middle}", f"{middle}<age<={high}", f"age>{high}", "age=missing"}
    assert {name for name in groups if "age" in name} == ages
    assert sum("since" in name for name in groups) == 4
    assert all("20" in name for name in groups if "since" in name)
    assert sum(groups[name]["real rows"] for name in ages) == 600


def test_a_subgroup_that_is_wrong_is_the_worst() -> None:
    real, synthetic = make(0, 1000), make(1, 1000)
    spoilt = synthetic.assign(pay=synthetic["pay"].where(synthetic["sex"] == "male", 40.0))
    score = METRICS[0].score(case_of(real, spoilt, "sex"))
    assert score.note == "worst: sex=female"
    assert score.value > 2 * score.ceiling
    assert score.details["groups"]["sex=male"]["error"] < score.value / 2


def test_a_subgroup_that_the_synthetic_table_lacks_has_an_error_of_one() -> None:
    synthetic = make(1, 300)
    score = subgroup_score(case_of(make(0, 400), synthetic[synthetic["sex"] == "male"], "sex"))
    assert score.value == score.low == score.high == 1
    assert score.note == "worst: sex=female"


def test_a_subgroup_with_few_synthetic_rows_is_left_out_and_counted() -> None:
    synthetic = make(1, 300)
    few = pd.concat([synthetic[synthetic["sex"] == "male"], synthetic[synthetic["sex"] == "female"].head(9)])
    score = subgroup_score(case_of(make(0, 400), few, "sex"))
    assert score.note == "worst: sex=male; 1 subgroup has too few synthetic rows"
    assert list(score.details["groups"]) == ["sex=male", "sex=female"]
    assert math.isnan(score.details["groups"]["sex=female"]["error"])
    assert score.details["groups"]["sex=female"]["synthetic rows"] == 9


@pytest.mark.parametrize(
    ("real", "synthetic"), [(make(0, 60), make(1, 60)), (make(0, 400), make(1, 12)), (make(0, 60)[["sex"]],) * 2]
)
def test_small_tables_have_no_worst_subgroup(real: pd.DataFrame, synthetic: pd.DataFrame) -> None:
    test = make(2, 50)[list(real.columns)]
    score = METRICS[0].score(read_case(real, synthetic, test, Options(groups=("sex",)))[0])
    assert not score.applies
    assert score.note


def test_columns_that_are_empty_are_compared_without_a_crash() -> None:
    real, synthetic = (make(seed, 200).assign(empty=np.nan) for seed in (0, 1))
    test = make(2, 100).assign(empty=np.nan)
    case, _ = read_case(real, synthetic.assign(pay=np.nan), test, Options(groups=("sex", "empty", "sex")))
    groups = subgroup_score(case).details["groups"]
    assert set(groups) == {"sex=female", "sex=male", "empty=missing"}
    assert groups["sex=female"]["error"] > 1 / 5


def test_the_metric_needs_grouping_columns() -> None:
    assert METRICS[0].wants(case_of(make(0, 60), make(1, 60))) == "groups"
    assert METRICS[0].wants(case_of(make(0, 60), make(1, 60), "sex")) is None


def test_a_column_with_many_values_gives_its_most_frequent_ones() -> None:
    codes = np.repeat(np.arange(60), 60)
    real = pd.DataFrame({"town": np.char.add("town ", codes.astype(str)), "size": np.arange(3600) % 7})
    case, _ = read_case(real, real, real, Options(groups=("town",)))
    score = subgroup_score(case)
    assert score.value == 0
    assert len(score.details["groups"]) == 50


def test_the_interval_covers_the_mean_over_tables_from_the_same_sources() -> None:
    scores = [subgroup_score(case_of(make(seed, 200), make(1000 + seed, 200), "sex")) for seed in range(30)]
    mean = np.mean([score.value for score in scores])
    assert np.mean([score.low <= mean <= score.high for score in scores]) >= 0.9
