"""The three models against scikit-learn used directly, and the tables that no model can learn from."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from synthkit.evaluation.case import Case, Limits
from synthkit.evaluation.models import (
    MODELS,
    class_measures,
    features_of,
    may_stop_early,
    number_measures,
    obstacle,
    prediction_task,
    ranking_measures,
    trained,
)
from synthkit.evaluation.reading import Options, read_case


def table(seed: int, rows: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": random.normal(size=rows), "town": random.choice(["Bern", "Basel", "Chur"], rows)})
    total = frame["a"] + (frame["town"] == "Bern") + random.normal(0, 0.5, rows)
    return frame.assign(
        gap=frame["a"].mask(random.random(rows) < 0.2),
        number=total,
        two=np.where(total > 1, "yes", "no"),
        three=np.digitize(total, [0, 1.5]).astype(str),
    )


def case_of(target: str, synthetic: pd.DataFrame | None = None, limits: Limits | None = None) -> Case:
    kept = ["a", "town", "gap", target]
    made = table(2) if synthetic is None else synthetic
    return read_case(table(0)[kept], made[kept], table(1)[kept], Options(target=target), limits)[0]


@cache
def shared(target: str) -> Case:
    return case_of(target)


def drawn_scores(seed: int, rows: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, and which rows are positive: at least one of either kind."""
    random = np.random.default_rng(seed)
    positive = random.random(rows) < 0.4
    positive[:2] = True, False
    return random.integers(0, levels, rows) / levels, positive


@given(seed=st.integers(0, 10_000), rows=st.integers(2, 60), levels=st.integers(1, 30))
def test_areas_and_average_precisions_are_those_of_scikit_learn(seed: int, rows: int, levels: int) -> None:
    scores, positive = drawn_scores(seed, rows, levels)
    expected = roc_auc_score(positive, scores), average_precision_score(positive, scores)
    assert ranking_measures(scores, positive) == pytest.approx(expected)


def test_rows_of_one_kind_cannot_be_ranked() -> None:
    assert np.isnan(ranking_measures(np.arange(3.0), np.ones(3, dtype=bool))).all()


@given(seed=st.integers(0, 10_000))
def test_measures_of_three_classes_are_the_macro_ones_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.append([0, 1, 2], random.integers(0, 3, 37))
    given_ = random.dirichlet(np.ones(3), 40)
    area, precision, accuracy = class_measures(given_, given_.argmax(axis=1), truth, 0)
    assert area == pytest.approx(roc_auc_score(truth, given_, multi_class="ovr"))
    assert precision == pytest.approx(average_precision_score(np.eye(3)[truth], given_))
    assert accuracy == pytest.approx(balanced_accuracy_score(truth, given_.argmax(axis=1)))


def test_a_class_without_held_out_rows_does_not_count() -> None:
    random = np.random.default_rng(0)
    given_, truth = random.dirichlet(np.ones(3), 40), np.append([0, 1], random.integers(0, 2, 38))
    area, _, accuracy = class_measures(given_, given_.argmax(axis=1), truth, 0)
    assert area == pytest.approx(np.mean([roc_auc_score(truth == code, given_[:, code]) for code in (0, 1)]))
    assert accuracy == pytest.approx(
        np.mean([(given_.argmax(axis=1)[truth == code] == code).mean() for code in (0, 1)])
    )


@given(seed=st.integers(0, 10_000), rows=st.integers(2, 50))
def test_measures_of_numbers_are_those_of_scikit_learn(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    values, truth = random.normal(size=(2, rows))
    expected = r2_score(truth, values), mean_absolute_error(truth, values), root_mean_squared_error(truth, values)
    assert number_measures(values, truth) == pytest.approx(expected)


def test_boosted_trees_are_those_of_scikit_learn() -> None:
    case = shared("two")
    features, held_out = (case.view.tree(rows.coded, without="two") for rows in (case.synthetic, case.test))
    model = HistGradientBoostingClassifier(random_state=0).fit(features, case.synthetic.frame["two"])
    found = trained(case, "boosted", "synthetic").answers
    assert prediction_task(case).classes == ("no", "yes")
    assert found.values == pytest.approx(model.predict_proba(held_out))
    assert (np.array(["no", "yes"])[found.predicted] == model.predict(held_out)).all()


def test_boosted_numbers_are_those_of_scikit_learn() -> None:
    case = shared("number")
    features, held_out = (case.view.tree(rows.coded, without="number") for rows in (case.train, case.test))
    model = HistGradientBoostingRegressor(random_state=0).fit(features, case.train.frame["number"])
    assert trained(case, "boosted", "real").answers.values == pytest.approx(model.predict(held_out))


@pytest.mark.parametrize("target", ["two", "three", "number"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_learns_what_there_is_to_learn(model: str, target: str) -> None:
    case = shared(target)
    task, found = prediction_task(case), trained(case, model, "real")
    main = task.measure(found.answers, np.arange(len(task)))[0]
    assert main > (0.5 if target == "number" else 0.85)
    assert found.n == len(case.train)


@pytest.mark.parametrize("target", ["two", "number"])
@pytest.mark.parametrize("model", MODELS)
def test_no_model_sees_the_target(model: str, target: str) -> None:
    case = shared(target)
    other = case.train.frame.assign(**{target: case.train.frame[target].to_numpy()[::-1]})
    seen = [features_of(case.view, case.view.code(frame), model, target) for frame in (case.train.frame, other)]
    assert np.array_equal(seen[0], seen[1], equal_nan=True)


def test_what_is_trained_on_real_rows_is_trained_once() -> None:
    case = case_of("two")
    ceiling = case.ceiling("training")
    assert ceiling is not None
    found = trained(case, "linear", "real")
    assert trained(case.floor(), "linear", "real") is found
    assert trained(ceiling, "linear", "synthetic") is found
    assert trained(case, "linear", "synthetic") is not found


@pytest.mark.parametrize("model", MODELS)
def test_a_class_that_the_rows_lack_has_probability_0(model: str) -> None:
    found = trained(case_of("three", table(2).query("three != '2'")), model, "synthetic")
    assert found.absent == ("2",)
    assert (found.answers.values[:, 2] == 0).all()
    assert (found.answers.predicted != 2).all()
    assert found.answers.values.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("model", MODELS)
def test_one_class_is_predicted_everywhere(model: str) -> None:
    found = trained(case_of("two", table(2).assign(two="no")), model, "synthetic")
    assert found.absent == ("yes",)
    assert (found.answers.values == [1, 0]).all()
    assert (found.answers.predicted == 0).all()


@pytest.mark.parametrize("model", MODELS)
def test_one_number_is_predicted_everywhere(model: str) -> None:
    found = trained(case_of("number", table(2).assign(number=3.0)), model, "synthetic")
    assert (found.answers.values == 3).all()


def test_a_class_that_the_real_rows_lack_is_never_right() -> None:
    made = table(2)
    case = case_of("two", made.assign(two=made["two"].where(made["a"] < 0.5, "maybe")))
    found = trained(case, "linear", "synthetic").answers
    assert (found.predicted == -1).any()
    assert found.values.shape == (200, 2)
    assert (found.values.sum(axis=1)[found.predicted == -1] < 0.67).all()


def test_rows_without_a_target_are_left_out() -> None:
    with_gaps = table(2).assign(two=lambda frame: frame["two"].where(frame.index % 4 > 0, None))
    assert trained(case_of("two", with_gaps), "linear", "synthetic").n == 150
    numbers = table(2).assign(number=lambda frame: frame["number"].where(frame.index % 4 > 0))
    assert trained(case_of("number", numbers), "linear", "synthetic").n == 150


def test_no_more_rows_are_used_than_the_limits_allow() -> None:
    case = case_of("two", limits=Limits(training=80, testing=70, control=50))
    assert trained(case, "linear", "real").n == 80
    assert trained(case, "linear", "real + synthetic").n == 160
    assert trained(case.floor(), "linear", "synthetic").n == 50
    assert len(prediction_task(case)) == len(trained(case, "linear", "real").answers.values) == 70


def test_the_positive_class_is_the_rarer_one() -> None:
    task = prediction_task(shared("two"))
    assert task.classes[task.rarest] == table(0)["two"].value_counts().idxmin()


def test_errors_of_dates_are_in_days() -> None:
    start, day = pd.Timestamp("2020-01-01"), pd.Timedelta("1D")
    days = [frame.assign(when=start + frame["number"] * day) for frame in (table(0), table(1), table(2))]
    kept = ["a", "town", "gap", "when"]
    case = read_case(days[0][kept], days[2][kept], days[1][kept], Options(target="when"))[0]
    task = prediction_task(case)
    assert task.measures == ("R2", "mean absolute error (days)", "root mean squared error (days)")
    plain, every = shared("number"), np.arange(len(task))
    expected = prediction_task(plain).measure(trained(plain, "linear", "real").answers, every)
    assert task.measure(trained(case, "linear", "real").answers, every) == pytest.approx(expected, rel=1e-3)


def test_absurd_numbers_and_columns_without_values_are_survived() -> None:
    frames = [table(seed).assign(empty=np.nan, constant=1).drop(columns=["two", "three"]) for seed in range(3)]
    frames[2] = frames[2].assign(a=1e300)
    case = read_case(frames[0], frames[2], frames[1], Options(target="number"))[0]
    for model in MODELS:
        assert np.isfinite(trained(case, model, "synthetic").answers.values).all()


def test_more_classes_than_half_the_rows_are_no_reason_to_warn() -> None:
    frames = [table(seed, 30).assign(name=[f"n{row // 2}" for row in range(30)]) for seed in range(3)]
    frames[2] = frames[2].head(20)
    case = read_case(frames[0], frames[2], frames[1], Options(target="name"), Limits(training=16))[0]
    for model in MODELS:
        assert trained(case, model, "real").answers.values.shape == (30, 15)


def test_a_class_of_one_row_prevents_early_stopping() -> None:
    assert may_stop_early(np.array([0, 0, 1])) is False
    assert may_stop_early(np.array([0, 0, 1, 1])) == "auto"


def test_every_obstacle_is_named() -> None:
    real, test, made = (table(seed)[["a", "town", "two"]] for seed in (0, 1, 2))

    def said(*frames: pd.DataFrame, target: str = "two") -> str:
        return obstacle(read_case(frames[0], frames[2], frames[1], Options(target=target))[0])

    assert said(real, test, made) == ""
    assert said(real, test, made.assign(two=None)) == "'two' is missing in every row of the synthetic table"
    assert said(real, test.assign(two="no"), made) == "the real held-out rows hold one class of 'two'"
    assert said(real.assign(two="no"), test, made) == "the real training rows hold one class of 'two'"
    assert said(*(frame[["two"]] for frame in (real, test, made))) == "there is no column to predict from"
    many = [frame.assign(two=[f"c{row % 40}" for row in range(len(frame))]) for frame in (real, test, made)]
    assert said(*many) == "'two' has 40 classes, and at most 30 are predicted"
    numbers = [frame.assign(two=np.arange(200.0)) for frame in (real, test, made)]
    assert said(*numbers) == ""
    assert said(numbers[0], numbers[1], made.assign(two=np.nan)).startswith("'two' is missing in every row")
    one = np.where(np.arange(200) == 7, 1.0, np.nan)
    assert said(numbers[0], numbers[1], made.assign(two=one)).startswith("'two' is missing in nearly every row")
