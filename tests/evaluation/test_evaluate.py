from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

import synthkit
from synthkit.errors import DataError, InputError, SchemaError
from synthkit.evaluation import Evaluation, evaluate, score_table
from synthkit.evaluation.controls import independent_columns
from synthkit.evaluation.coverage import AS_PUBLISHED
from synthkit.evaluation.evaluate import BENCHMARK, control_scores
from synthkit.evaluation.metrics import METRICS
from synthkit.random import scoring_generator
from synthkit.testing import awkward_tables


def people(seed: int, rows: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, rows)
    hours = np.round(20 + age / 4 + random.normal(0, 2, rows), 1)
    town = pd.Series(random.choice(["Bern", "Basel", "Thun"], rows)).mask(random.random(rows) < 0.1)
    income = np.where(hours + random.normal(0, 1, rows) > 34, ">50K", "<=50K")
    return pd.DataFrame({"age": age, "hours": hours, "town": town, "income": income})


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Training rows, held-out rows and rows with columns drawn independently."""
    train = people(0)
    return train, people(1), independent_columns(train, 250, scoring_generator(5))


@pytest.fixture(scope="module")
def evaluation(tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> Evaluation:
    train, test, synthetic = tables
    return evaluate(train, synthetic, test=test, target="income")


def test_every_score_is_there_with_its_controls_or_says_why_not(evaluation: Evaluation) -> None:
    assert set(evaluation.scores) | set(evaluation.left_out) == set(METRICS)
    assert set(evaluation.left_out.values()) == {"sensitive", "groups"}
    for name, score in evaluation.scores.items():
        if not score.applies:
            assert score.note, name
            continue
        assert score.low <= score.value <= score.high, name
        assert math.isnan(score.ceiling) == (METRICS[name].ceiling == "none"), name
        assert math.isnan(score.floor) == (not METRICS[name].floor), name


def test_independent_columns_are_seen_through(evaluation: Evaluation) -> None:
    detection = evaluation["c2st_tree"]
    assert detection.low > 0.65 > detection.ceiling
    assert detection.value == pytest.approx(detection.floor, abs=0.1)
    assert evaluation["shape_err"].value < 0.1
    assert evaluation["tstr"].high < evaluation["trtr"].low


def test_the_benchmark_gets_the_same_numbers(
    evaluation: Evaluation, tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
) -> None:
    train, test, synthetic = tables
    found = score_table(train, test, synthetic, target="income")
    assert tuple(found) == BENCHMARK
    assert {name: score.value for name, score in found.items()} == {
        name: evaluation[name].details.get(AS_PUBLISHED, evaluation[name].value) for name in BENCHMARK
    }
    controls = control_scores(train, test, target="income")
    assert controls["ceiling"]["c2st_tree"].value == evaluation["c2st_tree"].ceiling


def test_the_same_tables_and_seed_give_the_same_text(
    evaluation: Evaluation, tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
) -> None:
    train, test, synthetic = tables
    columns = list(reversed(synthetic.columns))
    assert evaluate(train, synthetic[columns], test=test, target="income").to_json() == evaluation.to_json()


def test_json_holds_what_the_record_holds(evaluation: Evaluation) -> None:
    found = json.loads(evaluation.to_json())
    assert found["rows"] == {"real": 300, "held-out": 300, "synthetic": 250}
    assert found["scores"]["trtr"]["ceiling"] is None
    assert found["scores"]["tstr"]["note"] == "ROC AUC"
    assert list(found["columns"]) == sorted(found["columns"], key=lambda name: -found["columns"][name])


def test_the_text_says_what_the_numbers_mean(evaluation: Evaluation) -> None:
    text = evaluation.to_text(width=90)
    assert str(evaluation) == evaluation.to_text()
    assert "independent" in text
    assert f"AUC {evaluation['c2st_tree'].value:.3f}; 0.5 is guessing" in text
    assert "Columns whose margins differ most" in text
    assert max(map(len, text.splitlines())) <= 90
    assert "nan" not in text


def test_a_copied_table_passes_fidelity_and_is_called_a_copy() -> None:
    train, test = people(0), people(1)
    found = evaluate(train, train.sample(frac=1, random_state=0), test=test)
    assert found["shape_err"].value == 0
    assert found["c2st_tree"].value < 0.55
    assert found["dcr_share"].value > 0.95
    assert found["copied"].value == 1 > found["copied"].ceiling
    assert "repeats training rows" in found.to_text().replace("\n", " ")
    assert not found.passed
    assert {"copied", "copy_excess", "near_copied", "dcr_share"} == {verdict.metric for verdict in found.failed}
    assert "fail  copied rows, whole table 1.000" in found.to_text(width=200)


def test_held_out_rows_in_place_of_synthetic_ones_pass_the_standard_suite() -> None:
    found = evaluate(people(0), people(2), test=people(1), target="income", sensitive=["town"], groups=["town"])
    assert found.passed
    assert found.suite == "standard"
    assert not found.left_out
    assert [verdict.metric for verdict in found.verdicts if verdict.status == "not applicable"] == [
        "impossible_combinations",
        "broken_orders",
    ]


def test_one_shuffled_column_is_caught_and_the_worst_column_comes_first() -> None:
    train, test = people(0, 400), people(1, 400)
    broken = people(2, 400)
    broken["hours"] = broken["hours"].sample(frac=1, random_state=0).to_numpy()
    assert evaluate(train, broken, test=test)["c2st_tree"].value > 0.75
    moved = people(2, 400).assign(town="Thun")
    assert next(iter(evaluate(train, moved, test=test).columns)) == "town"


def test_without_a_holdout_one_is_split_off_and_said_so(tables: tuple[pd.DataFrame, ...]) -> None:
    train, _, synthetic = tables
    found = evaluate(train, synthetic)
    assert found.rows == {"real": 240, "held-out": 60, "synthetic": 250}
    assert "60 rows were split off" in found.notes[0]
    assert "tstr" not in found.scores
    assert evaluate(train, synthetic).to_json() == found.to_json()


def test_names_are_left_out_and_said_so() -> None:
    frame = people(0).assign(name=[f"person {number}" for number in range(300)])
    found = evaluate(frame, frame.sample(frac=1, random_state=0), test=frame)
    assert "name" not in found.columns
    assert "'name'" in found.notes[0]


def test_awkward_columns_do_not_break_it() -> None:
    random = np.random.default_rng(0)
    frame = awkward_tables()["odd columns"][0]
    rows = len(frame)
    other = frame.sample(frac=1, random_state=0).assign(number=random.normal(size=rows), constant=2.0)
    found = evaluate(frame, other, test=frame.sample(50, random_state=1), target="class")
    assert all(found[name].applies for name in BENCHMARK)
    assert found.columns["constant"] == 1
    assert found.columns["mixed"] == found.columns["missing"] == found.columns["nullable"] == 0
    json.loads(found.to_json())


def test_many_labels_and_many_columns_are_fine() -> None:
    random = np.random.default_rng(0)
    wide = pd.DataFrame(random.integers(0, 4, (60, 120)), columns=[f"column {number}" for number in range(120)])
    wide["label"] = [f"label {number}" for number in random.integers(0, 50, 60)]
    found = evaluate(wide, wide.sample(frac=1, random_state=0), test=wide)
    assert found["trend_err"].value == pytest.approx(0)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda frame: frame.drop(columns="town"), {}, SchemaError, "it lacks 'town'"),
        (lambda frame: frame.assign(extra=1), {}, SchemaError, "it has 'extra' beside"),
        (lambda frame: frame.head(1), {}, DataError, "the synthetic table has 1 row"),
        (lambda frame: frame.head(0), {}, DataError, "the synthetic table has 0 rows"),
        (
            lambda frame: frame.set_axis(["age", "age", "town", "income"], axis=1),
            {},
            SchemaError,
            "two columns named 'age'",
        ),
        (lambda frame: frame.assign(hours=np.inf), {}, DataError, "'hours' has an infinite value in row 1"),
        (lambda frame: frame, {"target": "incom"}, SchemaError, "did you mean 'income'"),
        (lambda frame: frame, {"seed": -1}, InputError, "seed"),
    ],
)
def test_what_cannot_be_scored_is_told_in_one_sentence(change, options, error, message) -> None:
    with pytest.raises(error) as raised:
        evaluate(people(0), change(people(1)), test=people(2), **options)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_it_is_a_public_name() -> None:
    assert synthkit.evaluate is evaluate
