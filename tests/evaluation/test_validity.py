"""Rows and cells that the real table could not hold are counted exactly."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.evaluation.case import Case
from synthkit.evaluation.intervals import mean_interval
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Score
from synthkit.evaluation.validity import METRICS, REASONS, decimals, learned_share, only_group

BY_NAME = {metric.name: metric for metric in METRICS}


def make(seed: int, rows: int) -> pd.DataFrame:
    """Columns of every kind, of which `price` and `town` have missing cells and the others none."""
    random = np.random.default_rng(seed)
    town = pd.Series(random.choice(["Bern", "Basel", "Thun"], rows)).mask(random.random(rows) < 0.1)
    return pd.DataFrame(
        {
            "age": random.integers(18, 91, rows),
            "price": np.where(random.random(rows) < 0.1, np.nan, np.round(random.normal(50, 10, rows), 2)),
            "degree": random.choice(["none", "school", "college"], rows),
            "town": town,
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, rows), unit="D"),
            "flag": random.random(rows) < 0.4,
        }
    )


def case_of(real: pd.DataFrame, synthetic: pd.DataFrame) -> Case:
    return read_case(real, synthetic, real, Options())[0]


def scored(name: str, real: pd.DataFrame, synthetic: pd.DataFrame) -> Score:
    return BY_NAME[name].compute(case_of(real, synthetic))


# What is written into a cell, and what it is called.
PLANTS = {
    ("age", 200): "above the maximum",
    ("age", 3): "below the minimum",
    ("age", 40.5): "not a whole number",
    ("age", None): "missing",
    ("age", "forty"): "not a number",
    ("price", -1000.0): "below the minimum",
    ("degree", "doctor"): "unknown category",
    ("degree", None): "missing",
    ("town", "Zug"): "unknown category",
    ("joined", "1999-12-31"): "below the minimum",
    ("joined", "someday"): "not a date",
    ("joined", None): "missing",
    ("flag", "perhaps"): "unknown category",
}


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), share=st.sampled_from([0.0, 0.05, 0.4]))
def test_planted_cells_are_counted_exactly(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    real = make(7, 300)
    synthetic = real.sample(200, replace=True, random_state=seed).reset_index(drop=True)
    # Dates as a file holds them.
    synthetic = synthetic.astype(object).assign(joined=synthetic["joined"].dt.strftime("%Y-%m-%d").astype(object))
    chosen = random.permutation(200)[: int(share * 200)]
    expected: dict[str, dict[str, int]] = {}
    for row in chosen:
        plants = [list(PLANTS)[place] for place in random.integers(0, len(PLANTS), 2)]
        for column, value in dict(plants).items():
            synthetic.loc[row, column] = value
            why = expected.setdefault(column, {})
            why[PLANTS[column, value]] = why.get(PLANTS[column, value], 0) + 1
    score = scored("out_of_domain", real, synthetic)
    assert score.details["rows"] == len(chosen)
    assert score.value == len(chosen) / 200
    assert {name: column["why"] for name, column in score.details["columns"].items()} == expected
    cells = [column["cells"] for column in score.details["columns"].values()]
    assert cells == sorted(cells, reverse=True)
    assert score.low <= score.value <= score.high


def test_five_percent_of_rows_out_of_domain_are_five_percent() -> None:
    real = make(0, 500)
    synthetic = real.sample(1000, replace=True, random_state=0).reset_index(drop=True)
    synthetic.loc[synthetic.index < 50, "degree"] = "doctor"
    synthetic.loc[synthetic.index < 20, "age"] = 1000
    score = scored("out_of_domain", real, synthetic)
    assert score.value == 0.05
    assert score.details["rows"] == 50
    assert list(score.details["columns"]) == ["degree", "age"]


@settings(max_examples=10)
@given(seed=st.integers(0, 100))
def test_real_rows_are_never_out_of_their_own_domain(seed: int) -> None:
    real = make(seed, 60)
    for name in ("out_of_domain", "excess_decimals"):
        assert scored(name, real, real.sample(40, random_state=seed)).value == 0


def test_missing_is_allowed_where_the_real_column_has_it_and_text_that_is_spelt_like_it_is_not() -> None:
    real = make(0, 100)
    assert scored("out_of_domain", real, real.assign(town=None, price=np.nan)).value == 0
    assert scored("out_of_domain", real, real.assign(degree=None)).details["columns"]["degree"]["why"] == {
        "missing": 100
    }
    spelt = real.assign(degree=real["degree"].replace("none", "nan"))
    assert scored("out_of_domain", spelt, spelt.assign(degree=None)).value == 1


def test_columns_of_ten_thousand_labels_and_columns_of_nothing_are_judged() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 10_000, 12_000)
    real = pd.DataFrame({"code": [f"code {label}" for label in labels], "empty": np.nan, "one": "same"})
    synthetic = real.assign(code=[f"code {label + 5000}" for label in labels])
    expected = (~synthetic["code"].isin(real["code"])).sum()
    assert scored("out_of_domain", real, synthetic).details["rows"] == expected


def test_the_interval_knows_that_extremes_were_learned_from_few_rows() -> None:
    random = np.random.default_rng(0)
    covered = []
    for _ in range(40):
        real, synthetic = (pd.DataFrame(random.normal(size=(100, 2)), columns=["x", "y"]) for _ in range(2))
        score = scored("out_of_domain", real, synthetic)
        covered.append(score.low <= 4 / 101 <= score.high)
    assert np.mean(covered) >= 0.9


@given(st.lists(st.booleans(), min_size=5, max_size=60))
def test_without_doubt_the_interval_is_that_of_wilson(marks: list[bool]) -> None:
    found = learned_share(np.array(marks), np.zeros(len(marks), dtype=np.uint32), 20)
    assert found == pytest.approx(mean_interval(np.array(marks)))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=30))
def test_the_only_group_of_a_code_is_the_group_of_all_of_its_rows(rows: list[tuple[int, int]]) -> None:
    codes, groups = np.array(rows).T
    slow = [next(iter(found)) if len(found := set(groups[codes == code].tolist())) == 1 else -1 for code in range(5)]
    assert only_group(codes, groups, 5).tolist() == slow


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20), st.integers(0, 6))
def test_decimals_are_those_of_the_shortest_text(numbers: list[int], places: int) -> None:
    values = np.array([float(f"{number}e-{places}") for number in numbers])
    texts = [f"{number / 10**places:.{places}f}".rstrip("0").split(".") for number in numbers]
    assert decimals(values) == max(len(text[1]) if len(text) == 2 else 0 for text in texts)
    # A sum that is a decimal number up to the last bits counts as one.
    assert decimals(np.array([0.1 + 0.2, 1.1 * 3])) == 1
    assert decimals(np.array([1 / 3])) == 7


def test_excess_decimals_are_counted_exactly() -> None:
    real = make(0, 300).drop(columns="joined")
    synthetic = real.sample(200, replace=True, random_state=1).reset_index(drop=True)
    synthetic["price"] = synthetic["price"].fillna(1.5)
    synthetic.loc[synthetic.index < 30, "price"] += 0.001
    synthetic["age"] = synthetic["age"].astype(float)
    synthetic.loc[synthetic.index >= 190, "age"] += 0.5
    score = scored("excess_decimals", real, synthetic)
    assert score.value == 40 / 400
    assert score.details["columns"] == {
        "price": {"cells": 30, "real decimals": 2},
        "age": {"cells": 10, "real decimals": 0},
    }
    assert 0 <= score.low < 0.1 < score.high <= 1


def test_numbers_in_single_precision_have_the_decimals_that_they_show() -> None:
    real = pd.DataFrame({"x": np.round(np.random.default_rng(0).normal(size=100), 2)})
    assert scored("excess_decimals", real, real.astype(np.float32)).value == 0
    assert scored("excess_decimals", real.astype(np.float32), real).value == 0


def test_decimals_do_not_apply_to_measurements_dates_and_labels() -> None:
    random = np.random.default_rng(0)
    real = make(0, 100)[["degree", "joined"]].assign(x=random.normal(size=100))
    score = scored("excess_decimals", real, real)
    assert math.isnan(score.value)
    assert "6 decimals" in score.note
    whole = pd.DataFrame({"x": random.integers(0, 9, 50)})
    empty = scored("excess_decimals", whole, whole.assign(x=np.nan))
    assert math.isnan(empty.value)
    assert empty.note


def test_the_reasons_are_all_reachable() -> None:
    assert set(PLANTS.values()) == set(REASONS)
