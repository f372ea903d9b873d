"""Impossible combinations and broken orders, against pandas and against what was planted."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from synthkit.evaluation.case import Case, Limits
from synthkit.evaluation.combinations import METRICS
from synthkit.evaluation.intervals import mean_interval
from synthkit.evaluation.learned import LEAST_KEPT, Attribution, most_kept, rules_interval
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.records import Score

BY_NAME = {metric.name: metric for metric in METRICS}


def family(seed: int, rows: int) -> pd.DataFrame:
    """A husband is male, a wife is female, nobody has two children without a partner, and some towns are missing."""
    random = np.random.default_rng(seed)
    role = random.choice(["husband", "wife", "single"], rows, p=[0.4, 0.3, 0.3])
    sex = np.where(
        role == "husband", "male", np.where(role == "wife", "female", random.choice(["male", "female"], rows))
    )
    children = np.where(role == "single", random.integers(0, 2, rows), random.integers(0, 4, rows))
    town = pd.Series(random.choice(["Bern", "Basel"], rows)).mask((role == "wife") & (random.random(rows) < 0.5))
    return pd.DataFrame({"role": role, "sex": sex, "children": children, "town": town, "x": random.normal(size=rows)})


def trip(seed: int, rows: int) -> pd.DataFrame:
    """An end follows its start, a part is at most the whole; the others keep no order, or a trivial one."""
    random = np.random.default_rng(seed)
    start = pd.Timestamp("2022-01-01") + pd.to_timedelta(random.integers(0, 300, rows), unit="D")
    whole = np.round(random.gamma(3, 10, rows), 1)
    return pd.DataFrame(
        {
            "start": start,
            "end": start + pd.to_timedelta(random.integers(0, 30, rows), unit="D"),
            "due": start + pd.Timedelta(days=5),
            "whole": np.where(random.random(rows) < 0.1, np.nan, whole),
            "part": np.round(whole * random.random(rows), 1),
            "other": random.normal(30, 10, rows),
            "large": random.normal(1e6, 10, rows),
        }
    )


def case_of(real: pd.DataFrame, synthetic: pd.DataFrame) -> Case:
    return read_case(real, synthetic, real, Options())[0]


def scored(name: str, real: pd.DataFrame, synthetic: pd.DataFrame) -> Score:
    return BY_NAME[name].compute(case_of(real, synthetic))


def slow_combinations(real: pd.DataFrame, synthetic: pd.DataFrame) -> tuple[int, dict[str, int]]:
    """Return the rows with an impossible combination, and those of each pair, one cell after the other."""
    real, synthetic = (
        table.drop(columns="x").astype(object).where(table.drop(columns="x").notna(), "missing")
        for table in (real, synthetic)
    )
    broken = pd.Series(False, index=synthetic.index)
    pairs = {}
    for first, second in combinations(real.columns, 2):
        table = pd.crosstab(real[first], real[second])
        here = pd.Series(False, index=synthetic.index)
        for one in table.index:
            for other in table.columns:
                expected = table.loc[one].sum() * table[other].sum() / len(real)
                if table.loc[one, other] == 0 and expected >= 10:
                    here |= (synthetic[first] == one) & (synthetic[second] == other)
        broken |= here
        if here.any():
            pairs[", ".join(sorted((first, second)))] = int(here.sum())
    return int(broken.sum()), pairs


def slow_orders(real: pd.DataFrame, synthetic: pd.DataFrame, kinds: list[list[str]]) -> dict[str, int]:
    found = {}
    for names in kinds:
        for lower, upper in permutations(names, 2):
            both = real[[lower, upper]].dropna()
            difference = both[upper] - both[lower]
            ordered = np.sort(real[upper].dropna().to_numpy())
            below = np.searchsorted(ordered, real[lower].dropna().to_numpy()).mean() / len(ordered)
            kept = bool((both[lower] <= both[upper]).all())
            if kept and len(both) >= 100 and below >= 0.01 and below * len(both) >= 10 and difference.nunique() > 1:
                found[f"{lower} <= {upper}"] = int((synthetic[lower] > synthetic[upper]).sum())
    return found


@pytest.mark.parametrize("seed", range(5))
def test_combinations_agree_with_a_table_of_each_pair(seed: int) -> None:
    real, synthetic = family(seed, 200), family(seed + 100, 150)
    random = np.random.default_rng(seed)
    for name in ("sex", "town", "children"):
        rows = random.random(150) < 0.2
        synthetic.loc[rows, name] = random.permutation(synthetic.loc[rows, name].to_numpy())
    score = scored("impossible_combinations", real, synthetic)
    rows_found, pairs = slow_combinations(real, synthetic)
    assert score.details["rows"] == rows_found
    assert score.value == rows_found / 150
    found = {", ".join(sorted(pair.split(", "))): entry["rows"] for pair, entry in score.details["pairs"].items()}
    assert found == pairs
    assert score.low <= score.value <= score.high


def test_a_planted_pair_is_counted_exactly_and_named() -> None:
    real = family(0, 500)
    synthetic = real.sample(400, replace=True, random_state=0).reset_index(drop=True)
    # A wife without a town who is male would break two rules.
    wives = np.flatnonzero((synthetic["role"] == "wife") & synthetic["town"].notna())[:17]
    synthetic.loc[wives, "sex"] = "male"
    score = scored("impossible_combinations", real, synthetic)
    assert score.value == 17 / 400
    assert score.details["rows"] == 17
    assert score.details["pairs"] == {"role, sex": {"rows": 17, "examples": {"wife, male": 17}}}


def test_numbers_of_few_values_and_missing_cells_are_values_like_others() -> None:
    real = family(0, 500)
    synthetic = real.sample(400, replace=True, random_state=0).reset_index(drop=True)
    husbands = np.flatnonzero(synthetic["role"] == "husband")
    synthetic.loc[husbands[:5], "town"] = None
    single = np.flatnonzero(synthetic["role"] == "single")
    synthetic.loc[single[:3], "children"] = 3
    score = scored("impossible_combinations", real, synthetic)
    examples = {pair: entry["examples"] for pair, entry in score.details["pairs"].items()}
    assert examples["role, town"] == {"husband, missing": 5}
    assert examples["children, role"] == {"3, single": 3}


def test_what_the_real_table_lacks_is_not_a_combination() -> None:
    real = family(0, 500)
    synthetic = real.assign(role="cousin", children=17)
    assert scored("impossible_combinations", real, synthetic).details["rows"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_orders_agree_with_each_pair_of_columns(seed: int) -> None:
    real, synthetic = trip(seed, 150), trip(seed + 100, 120)
    random = np.random.default_rng(seed)
    for name in ("end", "part"):
        rows = random.random(120) < 0.2
        synthetic.loc[rows, name] = random.permutation(synthetic.loc[rows, name].to_numpy())
    expected = slow_orders(real, synthetic, [["start", "end", "due"], ["whole", "part", "other", "large"]])
    score = scored("broken_orders", real, synthetic)
    assert score.details["orders"] == expected
    assert "part <= whole" in expected
    assert "start <= due" not in expected
    assert not any("large" in name for name in expected)
    assert score.low <= score.value <= score.high


def test_a_planted_broken_order_is_counted_exactly() -> None:
    real = trip(0, 400)
    synthetic = real.sample(300, replace=True, random_state=0).reset_index(drop=True)
    synthetic.loc[:8, "end"] = synthetic.loc[:8, "start"] - pd.Timedelta(days=1)
    synthetic.loc[5:11, "part"] = 500.0
    synthetic.loc[5:11, "whole"] = 400.0
    score = scored("broken_orders", real, synthetic)
    assert score.details["rows"] == 12
    assert score.value == 12 / 300
    assert score.details["orders"] == {"start <= end": 9, "part <= whole": 7}


def test_real_rows_break_no_rule_and_independent_columns_break_many() -> None:
    for name, real in (("impossible_combinations", family(0, 500)), ("broken_orders", trip(0, 500))):
        case = case_of(real, real)
        score = BY_NAME[name].score(case)
        assert score.value == score.ceiling == 0
        assert score.floor > 0.2


def test_where_there_is_no_rule_a_clause_says_so() -> None:
    random = np.random.default_rng(0)
    free = pd.DataFrame({"a": random.choice(["x", "y"], 200), "b": random.choice(["x", "y"], 200)})
    numbers = pd.DataFrame(random.normal(size=(200, 3)), columns=["x", "y", "z"])
    for name, frame in (
        ("impossible_combinations", free),
        ("impossible_combinations", numbers),
        ("broken_orders", free),
        ("broken_orders", numbers),
        ("broken_orders", trip(0, 60)),
    ):
        score = scored(name, frame, frame)
        assert math.isnan(score.value)
        assert score.note


def test_of_more_pairs_than_the_limit_some_are_drawn() -> None:
    real = family(0, 500)
    case = replace(
        case_of(real, real.assign(sex=real["sex"].sample(frac=1, random_state=0).to_numpy())), limits=Limits(pairs=5)
    )
    score = BY_NAME["impossible_combinations"].compute(case)
    assert score.note == "5 of 6 pairs of columns were drawn"


@pytest.mark.parametrize("rows", [10, 50])
def test_small_wide_and_odd_tables_get_a_score_or_a_clause(rows: int) -> None:
    random = np.random.default_rng(0)
    columns: dict[str, object] = {f"number {place}": random.normal(size=rows) for place in range(40)}
    columns |= {f"label {place}": random.choice(["a", "b", "c"], rows) for place in range(40)}
    columns |= {
        "empty": np.full(rows, np.nan),
        "same": "x",
        "mixed": random.choice(np.array([1, "1", "a"], object), rows),
    }
    columns["moment"] = pd.date_range("2020-01-01", periods=rows, tz="Europe/Zurich", freq="h")
    columns["whole"] = pd.array([None, *random.integers(0, 5, rows - 1)], dtype="Int64")
    frame = pd.DataFrame(columns)
    for metric in METRICS:
        score = metric.compute(case_of(frame, frame.sample(frac=1, random_state=0)))
        assert score.value == 0 or score.note


def attribution(broken: np.ndarray, chances: list[float]) -> Attribution:
    """Take in the rows [rows, rules] that break each rule."""
    found = Attribution(len(broken))
    for rule, chance in enumerate(chances):
        rows = np.flatnonzero(broken[:, rule])
        found.add(rows, np.full(len(rows), rule), np.full(len(rows), chance))
    return found


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 60))
def test_the_interval_of_rules_holds_that_of_wilson_and_stays_within_0_and_1(seed: int, rules: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    broken, doubtful = (random.random((rows, rules)) < 0.3 for _ in range(2))
    marks = broken.any(axis=1)
    first, second = attribution(broken, [0.95] * rules), attribution(doubtful, [*random.random(rules)])
    value, low, high = rules_interval(marks, first, second)
    wilson = mean_interval(marks)
    assert value == wilson[0] == marks.mean()
    assert 0 <= low <= wilson[1] <= value <= wilson[2] <= high <= 1
    nothing = Attribution(rows)
    assert rules_interval(marks, nothing, nothing) == pytest.approx(wilson)


def test_two_rules_that_the_same_rows_break_count_once() -> None:
    broken = np.zeros((100, 3), dtype=bool)
    broken[:20] = [True, True, False]
    broken[10:15, 2] = True
    once, twins = attribution(broken[:, :1], [0.95]), attribution(broken, [0.95] * 3)
    every = np.ones(100, dtype=bool)
    assert twins.squares(every) == once.squares(every) == pytest.approx((0.95 * 0.2) ** 2)
    apart = attribution(np.eye(4, dtype=bool).repeat(5, axis=0), [0.5, 0.5, 1.0, 0.0])
    assert apart.squares(np.ones(20, dtype=bool)) == pytest.approx((0.125**2) * 2 + 0.25**2)
    assert apart.squares(np.zeros(20, dtype=bool)) == 0


def test_limits_of_how_often_a_rule_is_kept_miss_in_one_table_of_twenty_at_most() -> None:
    counts = np.arange(60)
    limits = most_kept(counts)
    assert (np.diff(limits) < 0).all()
    for expected in np.linspace(0.01, 6, 200):
        chances, kept = stats.poisson.pmf(counts, expected), np.exp(-expected)
        assert chances[limits < kept].sum() <= 0.05 + 1e-9
        assert LEAST_KEPT <= kept or chances[0] <= 0.05


def test_what_one_real_row_rules_out_or_in_is_within_the_interval() -> None:
    real = family(0, 500)
    synthetic = family(1, 400)
    synthetic.loc[np.flatnonzero(synthetic["role"] == "wife")[:60], "sex"] = "male"
    without = scored("impossible_combinations", real, synthetic)
    exception = real.copy()
    exception.loc[np.flatnonzero(exception["role"] == "wife")[0], "sex"] = "male"
    one = scored("impossible_combinations", exception, synthetic)
    assert without.value - one.value == 60 / 400
    assert without.low <= one.value + 0.05 * 60 / 400
    assert one.high >= one.value + 0.95 * 60 / 400


def test_an_order_that_one_real_row_breaks_is_within_the_interval() -> None:
    real, synthetic = trip(0, 400), trip(1, 300)
    synthetic.loc[:40, "part"] = 500.0
    synthetic.loc[:40, "whole"] = 400.0
    exception = real.copy()
    exception.loc[0, ["part", "whole"]] = [500.0, 400.0]
    without, one = (scored("broken_orders", table, synthetic) for table in (real, exception))
    assert without.value == 41 / 300
    assert one.value == 0
    # Kept by at most 0.95 of other tables, and by at least 0.05.
    assert one.high >= 0.95 * without.value
    assert without.low <= 0.05 * without.value
