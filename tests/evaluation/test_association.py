"""Association of pairs of columns against scikit-learn, and its similarity against tables whose relations are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.evaluation.association import (
    METRICS,
    MOST_LABELS,
    Cuts,
    association_matrices,
    association_matrix,
    expected_information,
    information_score,
)
from synthkit.evaluation.case import Case, Limits
from synthkit.evaluation.reading import Options, read_case
from synthkit.evaluation.view import TableView


def make(seed: int, rows: int) -> pd.DataFrame:
    """A table with a number that follows another, a label that follows a number, and a column of its own."""
    random = np.random.default_rng(seed)
    size = random.normal(size=rows)
    town = np.array(["Basel", "Bern", "Chur", "Thun"])[np.clip(np.round(size + 1.5), 0, 3).astype(int)]
    frame = pd.DataFrame(
        {
            "size": size,
            "weight": size + 0.5 * random.normal(size=rows),
            "count": random.poisson(2, rows),
            "town": town,
            "canton": np.char.add("of ", town),
            "flag": random.random(rows) < 0.3,
        }
    )
    return frame.assign(weight=frame["weight"].mask(random.random(rows) < 0.1))


def case_of(real: pd.DataFrame, synthetic: pd.DataFrame, limits: Limits | None = None) -> Case:
    return read_case(real, synthetic, make(99, 200), Options(), limits)[0]


def matrix_of(frame: pd.DataFrame) -> tuple[tuple[str, ...], np.ndarray]:
    view = TableView(frame)
    return association_matrix(view, view.code(frame), Cuts.learn(view, view.code(frame)))


@pytest.mark.parametrize(("rows", "kinds"), [(60, 3), (500, 10), (500, 40), (3000, 100)])
def test_what_chance_shows_is_about_the_exact_sum_of_scikit_learn(rows: int, kinds: int) -> None:
    from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

    random = np.random.default_rng(0)
    first, second = (random.integers(0, kinds, rows) for _ in range(2))
    exact = expected_mutual_information(contingency_matrix(first, second, sparse=True), rows)
    assert expected_information(np.bincount(first), np.bincount(second)) == pytest.approx(exact, rel=0.06)


def test_chance_shows_nothing_for_a_column_with_one_value() -> None:
    assert expected_information(np.array([50]), np.array([20, 30])) == 0


@pytest.mark.parametrize("seed", range(3))
def test_associations_are_about_the_adjusted_mutual_information_of_scikit_learn(seed: int) -> None:
    from sklearn.metrics import adjusted_mutual_info_score

    frame = make(seed, 400)
    names, matrix = matrix_of(frame)
    bins = frame.assign(
        size=pd.qcut(frame["size"], 10, labels=False),
        weight=pd.qcut(frame["weight"], 10, labels=False).fillna(-1),
        count=pd.cut(frame["count"], [-1, *np.unique(frame["count"].quantile(np.arange(1, 10) / 10)), 99]).astype(str),
    )
    for first, row in zip(names, matrix, strict=True):
        for second, value in zip(names, row, strict=True):
            exact = adjusted_mutual_info_score(bins[first], bins[second], average_method="geometric")
            assert value == pytest.approx(max(0, exact), abs=0.01)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), rows=st.integers(10, 60))
def test_the_matrix_is_symmetric_and_within_its_bounds(seed: int, rows: int) -> None:
    frame = make(seed, rows).assign(constant="same", empty=np.nan)
    names, matrix = matrix_of(frame)
    assert (matrix == matrix.T).all()
    assert ((matrix >= 0) & (matrix <= 1)).all()
    for name in ("constant", "empty"):
        assert (matrix[names.index(name)] == 0).all()
    assert matrix[names.index("size"), names.index("size")] == 1
    if frame["town"].nunique() > 1:
        assert matrix[names.index("town"), names.index("canton")] == pytest.approx(1)


def test_both_tables_are_cut_where_the_real_one_is() -> None:
    real, synthetic = make(0, 400), make(1, 300)
    view = TableView(real)
    names, first, second = association_matrices(view, view.code(real), view.code(synthetic), ["flag", "size", "town"])
    assert names == ("size", "town", "flag")
    assert first.shape == second.shape == (3, 3)
    # All synthetic numbers above every real one are in one bin and tell nothing.
    moved = association_matrices(view, view.code(real), view.code(synthetic.assign(size=synthetic["size"] + 100)))
    assert (moved[2][0, 1:] == 0).all()


def test_rare_and_unknown_labels_share_a_bin() -> None:
    random = np.random.default_rng(0)
    codes = np.append(np.repeat(np.arange(MOST_LABELS), 5), np.arange(MOST_LABELS, 10 * MOST_LABELS))
    real = pd.DataFrame({"label": [f"label {code}" for code in codes], "side": random.integers(0, 2, len(codes))})
    view = TableView(real)
    cuts = Cuts.learn(view, view.code(real))
    found = cuts.bins(view.code(real), 0)
    assert cuts.sizes[0] == MOST_LABELS + 1
    assert (found[codes >= MOST_LABELS] == MOST_LABELS).all()
    assert len(set(found[codes < MOST_LABELS])) == MOST_LABELS
    assert set(cuts.bins(view.code(real.assign(label="new")), 0)) == {MOST_LABELS}


def test_a_table_has_the_relations_of_itself_in_any_order() -> None:
    real = make(0, 300)
    score = information_score(case_of(real, real.sample(frac=1, random_state=0)))
    assert score.value == pytest.approx(1)
    assert score.low <= score.value <= score.high <= 1


@pytest.mark.parametrize(("rows", "synthetic_rows"), [(500, 500), (500, 5000), (5000, 500)])
def test_independent_columns_are_near_none_and_other_real_rows_near_one(rows: int, synthetic_rows: int) -> None:
    case = read_case(make(0, rows), make(1, synthetic_rows), make(2, synthetic_rows), Options())[0]
    score = METRICS[0].score(case)
    assert score.floor < 0.1
    assert score.value > 0.85
    assert score.ceiling > 0.85
    assert score.low < score.value < score.high


def test_the_pair_that_lost_its_relation_is_named_first() -> None:
    real, synthetic = make(0, 500), make(1, 500)
    shuffled = synthetic.assign(canton=synthetic["canton"].sample(frac=1, random_state=0).to_numpy())
    score = information_score(case_of(real, shuffled))
    first, second, before, after = score.details["pairs"][0]
    assert (first, second) == ("town", "canton")
    assert before == pytest.approx(1)
    assert after < 0.05
    assert score.value < information_score(case_of(real, synthetic)).value - 0.1


def test_a_value_without_a_group_is_about_that_of_the_other_rows() -> None:
    from synthkit.evaluation.association import _Counted

    frame = make(0, 400)
    view = TableView(frame)
    coded = view.code(frame)
    cuts = Cuts.learn(view, coded)
    groups = np.arange(400) % 4
    columns = range(len(view.columns))
    counted = _Counted(coded, cuts, columns, groups, 4)
    for group in range(4):
        _, left = association_matrix(view, coded.take(np.flatnonzero(groups != group)), cuts)
        for pair in ((0, 1), (0, 3), (2, 3), (3, 5)):
            assert counted.association(pair)[1 + group] == pytest.approx(left[pair], abs=2e-3)


def test_the_interval_covers_the_mean_over_tables_from_the_same_sources() -> None:
    scores = [information_score(case_of(make(seed, 150), make(1000 + seed, 200))) for seed in range(30)]
    mean = np.mean([score.value for score in scores])
    assert np.mean([score.low <= mean <= score.high for score in scores]) >= 0.9


def test_of_too_many_pairs_some_are_drawn_and_the_score_says_so() -> None:
    limits = dataclasses.replace(Limits(), pairs=4)
    case = case_of(make(0, 200), make(1, 200), limits)
    score = information_score(case)
    assert "4 of 15" in score.note
    assert len(score.details["pairs"]) == 4
    pairs = {tuple(pair[:2]) for pair in score.details["pairs"]}
    assert {tuple(pair[:2]) for pair in information_score(case.floor()).details["pairs"]} == pairs


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"town": ["Bern", "Basel"] * 10}),
        pd.DataFrame({"town": ["Bern", "Basel"] * 10, "constant": "same", "empty": np.nan}),
    ],
)
def test_without_a_relation_there_is_nothing_to_compare(frame: pd.DataFrame) -> None:
    score = information_score(read_case(frame, frame, frame, Options())[0])
    assert not score.applies
    assert score.note


def test_ten_rows_are_enough_for_a_value() -> None:
    score = information_score(read_case(make(0, 10), make(1, 12), make(2, 10), Options())[0])
    assert 0 <= score.value <= 1
