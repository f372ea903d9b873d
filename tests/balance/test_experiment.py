from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synthkit.balance.experiment import MEASURES, MODELS, compare, judge, paired_difference


def tumours(seed: int, rows: int, rare: float) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    ill = random.random(rows) < rare
    return pd.DataFrame({"size": random.normal(2.0 * ill), "weight": random.normal(size=rows), "ill": ill})


def test_a_model_is_measured_at_even_odds_and_without_a_threshold() -> None:
    found = judge(tumours(0, 400, 0.5), tumours(1, 400, 0.5), "ill", True)
    assert set(found) == {(model, measure) for model in MODELS for measure in MEASURES}
    for model in MODELS:
        recall, false_alarms = found[model, "recall"], found[model, "false alarms"]
        assert found[model, "balanced accuracy"] == pytest.approx((recall + 1 - false_alarms) / 2)
    assert found["logistic regression", "ROC AUC"] == pytest.approx(stats.norm.cdf(2 / np.sqrt(2)), abs=0.04)


def test_repeating_rare_rows_finds_more_of_them() -> None:
    def repeated(train: pd.DataFrame, seed: int) -> pd.DataFrame:
        return pd.concat([train, *[train[train["ill"]]] * 15])

    ways = {"as it is": lambda train, seed: train, "repeated": repeated}
    found = compare(tumours(0, 600, 0.05), tumours(1, 400, 0.5), "ill", True, ways, seed=0)
    recall = found[found["measure"] == "recall"].pivot(index="model", columns="way", values="value")
    assert recall.loc["logistic regression", "repeated"] > recall.loc["logistic regression", "as it is"] + 0.2


def test_the_interval_of_a_difference_is_wider_than_the_naive_one() -> None:
    first, second = np.array([0.8, 0.9, 0.7, 0.85]), np.array([0.7, 0.7, 0.6, 0.8])
    naive = stats.ttest_rel(first, second).confidence_interval()
    difference = paired_difference(first, second, test_share=0.0)
    assert (difference.low, difference.high) == pytest.approx((naive.low, naive.high))
    wider = paired_difference(first, second, test_share=0.25)
    assert wider.mean == pytest.approx(difference.mean)
    assert wider.high - wider.low == pytest.approx((naive.high - naive.low) * np.sqrt(2))


def test_the_sign_is_that_of_a_clear_difference_only() -> None:
    assert paired_difference([2, 2.1, 2.2], [1, 1, 1.1], test_share=0.1).sign == 1
    assert paired_difference([1, 1, 1.1], [2, 2.1, 2.2], test_share=0.1).sign == -1
    assert paired_difference([1, 2, 3], [2, 2, 2], test_share=0.1).sign == 0
    assert paired_difference([5], [1], test_share=0.1).sign == 0
