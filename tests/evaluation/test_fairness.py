"""Fairness against rates that are counted row by row."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.evaluation.case import Case
from synthkit.evaluation.fairness import (
    METRICS,
    ODDS,
    PARITY,
    Criterion,
    SensitiveColumn,
    bootstrapped_changes,
    fairness_change,
    group_rates,
    largest_differences,
    sensitive_column,
)
from synthkit.evaluation.models import prediction_task, trained
from synthkit.evaluation.reading import Options, read_case


def table(seed: int, rows: int = 300, unfair: float = 1.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": random.normal(size=rows),
            "sex": random.choice(["f", "m"], rows),
            "race": random.choice(["u", "v", "w", "rare"], rows, p=[0.5, 0.3, 0.17, 0.03]),
            "age": random.integers(18, 90, rows),
            "children": random.integers(0, 4, rows),
        }
    )
    total = frame["a"] + unfair * (frame["sex"] == "m") + random.normal(0, 0.5, rows)
    return frame.assign(two=np.where(total > 1, "yes", "no"), three=np.digitize(total, [0, 1.5]).astype(str))


def case_of(synthetic: pd.DataFrame, *sensitive: str, target: str = "two", rows: int = 300) -> Case:
    kept = ["a", "sex", "race", "age", "children", target]
    options = Options(target=target, sensitive=sensitive)
    return read_case(table(0, rows)[kept], synthetic[kept], table(1, rows)[kept], options)[0]


def slow_difference(case: Case, source: str, name: str, odds: bool) -> float:
    """The largest difference of rates between groups, counted with loops."""
    task = prediction_task(case)
    called = trained(case, "boosted", source).answers.predicted == task.rarest
    truth, groups = task.truth == task.rarest, case.test.frame[name].astype(str).to_numpy()
    among = [(truth, 10), (~truth, 10)] if odds else [(np.ones(len(truth), dtype=bool), 20)]
    found = []
    for where, fewest in among:
        rates = [
            called[where & (groups == group)].mean()
            for group in set(groups)
            if (where & (groups == group)).sum() >= fewest
        ]
        found += [abs(first - second) for first, second in combinations(rates, 2)]
    return max(found)


@pytest.mark.parametrize("target", ["two", "three"])
@pytest.mark.parametrize(("criterion", "odds"), [(PARITY, False), (ODDS, True)])
def test_changes_are_those_counted_row_by_row(criterion: Criterion, odds: bool, target: str) -> None:
    case = case_of(table(2, unfair=0.0), "sex", "race", target=target)
    score = fairness_change(case, criterion)
    assert score.value == max(abs(column["change"]) for column in score.details["columns"].values())
    for name, column in score.details["columns"].items():
        real, synthetic = (slow_difference(case, source, name, odds) for source in ("real", "synthetic"))
        assert (column["real"], column["synthetic"]) == (pytest.approx(real), pytest.approx(synthetic))
        assert column["change"] == pytest.approx(synthetic - real)
    assert 0 <= score.low <= score.value <= score.high <= 1
    json.dumps(score.to_dict())


def test_the_worst_column_is_named_and_the_sign_is_kept() -> None:
    score = fairness_change(case_of(table(2, unfair=0.0), "race", "sex"), PARITY)
    assert score.details["worst column"] == "sex"
    assert score.details["columns"]["sex"]["change"] < -0.1
    assert score.value > 0.1
    assert score.low > 0.02
    assert score.note == "worst for 'sex'; the positive class is 'yes'"


@pytest.mark.parametrize("criterion", [PARITY, ODDS])
def test_a_copy_is_as_fair_as_the_real_table(criterion: Criterion) -> None:
    score = fairness_change(case_of(table(0), "sex", "race"), criterion)
    assert (score.value, score.low, score.high) == (0, 0, 0)


def test_the_ceiling_is_0() -> None:
    score = METRICS[0].score(case_of(table(2, unfair=0.0), "sex"))
    assert score.ceiling == 0
    assert score.floor > 0


def test_groups_that_are_too_small_are_left_out() -> None:
    groups = fairness_change(case_of(table(2), "race"), PARITY).details["columns"]["race"]["groups"]
    assert list(groups) == ["u", "v", "w", "rare"]
    assert groups["rare"]["rows"] < 20
    assert np.isnan(groups["rare"]["positive predictions, trained on real"])
    assert not np.isnan(groups["w"]["positive predictions, trained on real"])


@pytest.mark.parametrize(("criterion", "fewest"), [(PARITY, 20), (ODDS, 10)])
def test_a_column_without_two_groups_does_not_apply(criterion: Criterion, fewest: int) -> None:
    case = case_of(table(2, 12), "sex", rows=12)
    score = fairness_change(case, criterion)
    assert not score.applies
    assert score.note == f"no sensitive column has two groups with at least {fewest} held-out rows each"


def test_a_model_that_never_predicts_the_positive_class_treats_all_alike() -> None:
    column = fairness_change(case_of(table(2).assign(two="no"), "sex"), PARITY).details["columns"]["sex"]
    assert column["synthetic"] == 0
    assert column["change"] == -column["real"]


def test_numbers_are_cut_at_the_real_quartiles() -> None:
    case = case_of(table(2), "age", "children")
    found = sensitive_column(case, prediction_task(case), "age")
    expected = pd.cut(
        case.test.frame["age"], [-np.inf, *np.quantile(case.train.frame["age"], [0.25, 0.5, 0.75]), np.inf]
    )
    assert (found.groups == expected.cat.codes).all()
    assert found.labels[0].startswith("up to ")
    assert found.labels[-1] == "missing"
    few = sensitive_column(case, prediction_task(case), "children")
    assert [few.labels[group] for group in few.groups] == case.test.frame["children"].astype(str).to_list()


def test_missing_values_are_a_group() -> None:
    frames = [table(seed) for seed in range(3)]
    for frame in frames:
        frame.loc[::3, "age"] = np.nan
        frame.loc[::2, "sex"] = None
    case = read_case(frames[0], frames[2], frames[1], Options(target="two", sensitive=("age", "sex")))[0]
    ages = sensitive_column(case, prediction_task(case), "age")
    assert ((ages.groups == len(ages.labels) - 1) == case.test.frame["age"].isna()).all()
    sexes = sensitive_column(case, prediction_task(case), "sex")
    assert len(sexes.labels) == 3


def test_without_a_target_in_the_synthetic_table_nothing_is_said() -> None:
    for metric in METRICS:
        score = metric.compute(case_of(table(2).assign(two=None), "sex"))
        assert not score.applies
        assert "missing in every row" in score.note


@given(seed=st.integers(0, 1000))
def test_rates_are_shares_of_counted_rows(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, real, synthetic = random.random((3, 60)) < 0.5
    groups = random.integers(0, 3, 60)
    kinds = truth * 4 + real * 2 + synthetic * 1
    counts = np.bincount(groups * 8 + kinds, minlength=24).reshape(3, 8).astype(float)
    for criterion, among in ((PARITY, [truth | True]), (ODDS, [truth, ~truth])):
        found = group_rates(counts, criterion)
        for rate, where in enumerate(among):
            for group in range(3):
                rows = where & (groups == group)
                for model, called in enumerate((real, synthetic)):
                    expected = called[rows].mean() if rows.any() else np.nan
                    assert found[rate, group, model] == pytest.approx(expected, nan_ok=True)


def test_the_largest_difference_ignores_groups_without_a_rate() -> None:
    rates = np.array([[[0.1, 0.2], [0.5, 0.3], [np.nan, np.nan]]])
    assert largest_differences(rates) == pytest.approx([0.4, 0.1])
    assert np.isnan(largest_differences(rates[:, 1:])).all()


def test_the_bootstrap_is_that_of_drawing_rows() -> None:
    random = np.random.default_rng(0)
    kinds, groups = random.integers(0, 8, 400), random.integers(0, 3, 400)
    column = SensitiveColumn("group", ("x", "y", "z"), groups)
    found = bootstrapped_changes(kinds, [column, column], PARITY, np.random.default_rng(1), 400)
    assert (found[:, 0] == found[:, 1]).all()
    slow = []
    for _ in range(400):
        rows = random.integers(0, 400, 400)
        counts = np.bincount(groups[rows] * 8 + kinds[rows], minlength=24).reshape(3, 8).astype(float)
        real, synthetic = largest_differences(group_rates(counts, PARITY))
        slow.append(synthetic - real)
    assert found[:, 0].mean() == pytest.approx(np.mean(slow), abs=0.02)
    assert found[:, 0].std() == pytest.approx(np.std(slow), rel=0.2)


def test_metrics_need_classes_and_a_sensitive_column() -> None:
    assert [metric.name for metric in METRICS] == ["demographic_parity", "equalised_odds"]
    assert METRICS[0].wants(case_of(table(2))) == "sensitive"
    frames = [table(seed)[["a", "sex"]] for seed in range(3)]
    case = read_case(frames[0], frames[2], frames[1], Options(target="a", sensitive=("sex",)))[0]
    assert METRICS[0].wants(case) == "classes"
