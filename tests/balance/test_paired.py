from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from synthkit.balance.paired import (
    choose,
    differences_from,
    holm,
    paired_difference,
    repeated_mean,
    split_overlap,
    subsample_overlap,
)

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_the_corrected_test_by_hand() -> None:
    # differences 1, 2, 3: mean 2, variance 1, four training rows for each test row
    difference = paired_difference([2, 4, 6], [1, 2, 3], overlap=split_overlap(0.25))
    error = math.sqrt(1 / 3 + 1 / 4)
    assert difference.mean == pytest.approx(2)
    assert difference.p == pytest.approx(2 * stats.t.sf(2 / error, 2))
    assert difference.low == pytest.approx(2 - 4.302653 * error, abs=1e-6)
    assert difference.high == pytest.approx(2 + 4.302653 * error, abs=1e-6)


def test_without_overlap_it_is_the_paired_t_test() -> None:
    first, second = np.array([0.8, 0.9, 0.7, 0.85]), np.array([0.7, 0.7, 0.6, 0.8])
    naive = stats.ttest_rel(first, second)
    interval = naive.confidence_interval()
    difference = paired_difference(first, second, overlap=0.0)
    assert (difference.low, difference.high, difference.p) == pytest.approx((interval.low, interval.high, naive.pvalue))
    wider = paired_difference(first, second, overlap=0.25)
    assert wider.high - wider.low == pytest.approx((interval.high - interval.low) * math.sqrt(2))
    assert wider.p > difference.p


def test_the_sign_is_that_of_a_clear_difference_only() -> None:
    assert paired_difference([2, 2.1, 2.2], [1, 1, 1.1], overlap=0.1).sign == 1
    assert paired_difference([1, 1, 1.1], [2, 2.1, 2.2], overlap=0.1).sign == -1
    assert paired_difference([1, 2, 3], [2, 2, 2], overlap=0.1).sign == 0
    assert paired_difference([5], [1], overlap=0.1).sign == 0


def test_equal_differences_are_certain_and_no_difference_is_none() -> None:
    assert paired_difference([1, 1], [1, 1], overlap=0.25).p == 1.0
    assert paired_difference([2, 2], [1, 1], overlap=0.25).p == 0.0
    assert paired_difference([2], [1], overlap=0.25).significant == 0


def test_a_jackknife_of_subsamples_has_the_variance_of_the_mean() -> None:
    """Subsamples of 80 % of fixed rows: scaled up, their spread is that of the mean of other rows."""
    random = np.random.default_rng(0)
    rows = random.normal(size=400)
    means = [random.permutation(rows)[:320].mean() for _ in range(4000)]
    mean, low, high = repeated_mean(means, overlap=subsample_overlap(0.8))
    assert mean == pytest.approx(rows.mean(), abs=0.01)
    assert (high - low) / 2 == pytest.approx(1.96 * rows.std(ddof=1) / math.sqrt(len(rows)), rel=0.05)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.001]) == pytest.approx([0.5, 0.002])
    assert holm([]) == []


@given(P_VALUES)
def test_holm_lies_between_nothing_and_bonferroni_and_keeps_the_order(values: list[float]) -> None:
    adjusted = holm(values)
    for one, own in zip(adjusted, values, strict=True):
        assert own <= one <= min(1.0, len(values) * own)
    order = sorted(range(len(values)), key=lambda place: values[place])
    assert sorted(adjusted) == [adjusted[place] for place in order]


def test_a_gain_is_positive_whichever_way_the_measure_counts() -> None:
    errors = {"none": [0.3, 0.31, 0.32], "better": [0.2, 0.21, 0.225]}
    (gain,) = differences_from("none", errors, overlap=0.25, higher=False).values()
    assert gain.mean == pytest.approx(0.1, abs=0.01)
    (loss,) = differences_from("none", errors, overlap=0.25, higher=True).values()
    assert loss.mean == pytest.approx(-gain.mean)


# ------------------------------------------------------------ the recommendation, on tables made by hand


def around(mean: float, *, jitter: float = 0.0) -> list[float]:
    """Five values whose differences to another such list with the same jitter are constant but for 0.001."""
    return [
        mean + jitter * place + shift for place, shift in zip(range(-2, 3), (0, 0.001, -0.001, 0.001, 0), strict=True)
    ]


def test_nothing_is_recommended_where_nothing_is_clearly_better() -> None:
    noisy = {
        "none": [0.5, 0.6, 0.7, 0.6, 0.5],
        "weights": [0.6, 0.5, 0.72, 0.55, 0.6],
        "smote-nc": [0.55, 0.62, 0.66, 0.7, 0.5],
    }
    choice = choose(noisy, overlap=0.25, higher=True)
    assert choice.recommended == "none"
    assert choice.best == "smote-nc"
    assert choice.helpful == ()


def test_the_simplest_of_the_equally_good_is_recommended() -> None:
    table = {"none": around(0.5), "weights": around(0.7), "smote-nc": around(0.7005), "tablegan-balance": around(0.6)}
    table["smote-nc"] = [
        value + shift for value, shift in zip(table["smote-nc"], (0.004, -0.004, 0.004, -0.003, 0), strict=True)
    ]
    choice = choose(table, overlap=0.25, higher=True)
    assert choice.best == "smote-nc"
    assert choice.recommended == "weights"
    assert choice.behind["none"].significant == choice.behind["tablegan-balance"].significant == -1
    assert choice.behind["weights"].significant == 0
    assert set(choice.helpful) == {"weights", "smote-nc", "tablegan-balance"}


def test_the_best_is_recommended_where_all_simpler_ones_are_worse() -> None:
    table = {"none": around(0.5), "weights": around(0.6, jitter=0.002), "tablegan-augment": around(0.8)}
    choice = choose(table, overlap=0.25, higher=True)
    assert choice.recommended == choice.best == "tablegan-augment"
    errors = {name: [1 - value for value in values] for name, values in table.items()}
    assert choose(errors, overlap=0.25, higher=False).recommended == "tablegan-augment"


def test_of_equal_means_the_simplest_is_the_best() -> None:
    choice = choose({"none": [0.5, 0.6], "weights": [0.5, 0.6]}, overlap=0.25, higher=True)
    assert choice.best == choice.recommended == "none"


def test_nothing_is_not_recommended_where_a_treatment_that_is_not_the_best_beats_it() -> None:
    table = {
        "none": [0.50, 0.52, 0.48, 0.51, 0.49],
        "weights": [0.55, 0.57, 0.53, 0.56, 0.5401],  # 0.05 more, every time
        "smote-nc": [0.35, 0.95, 0.25, 0.95, 0.30],  # the best mean, by luck
    }
    choice = choose(table, overlap=0.25, higher=True)
    assert choice.best == "smote-nc"
    assert choice.behind["none"].significant == 0
    assert choice.helpful == ("weights",)
    assert choice.recommended == "weights"


@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=2, max_size=5))
def test_what_is_recommended_is_never_found_worse_and_nothing_simpler_would_do(table: list[list[float]]) -> None:
    values = dict(zip(("none", "weights", "oversampling", "smote-nc", "adasyn"), table, strict=False))
    choice = choose(values, overlap=0.25, higher=True)
    names = list(values)
    for name in names[: names.index(choice.recommended)]:
        worse = name in choice.behind and choice.behind[name].significant < 0
        assert worse or (name == "none" and choice.helpful)
    if choice.recommended != choice.best:
        assert choice.behind[choice.recommended].significant == 0
    assert (choice.recommended == "none") == (not choice.helpful)
