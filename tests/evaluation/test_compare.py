from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

import synthkit
from synthkit.errors import DataError, InputError, SchemaError
from synthkit.evaluation import Comparison, compare, evaluate
from synthkit.evaluation.controls import independent_columns
from synthkit.evaluation.suite import Suite
from synthkit.random import scoring_generator

CHEAP = Suite.model_validate(
    {
        "name": "cheap",
        "metrics": ["shape_err", "trend_err", "c2st_tree", "trtr", "tstr", "copied"],
        "gates": [{"metric": "copied", "comparison": "<=", "threshold": 0.01, "relative_to": "ceiling"}],
    }
)


def people(seed: int, rows: int = 250) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, rows)
    hours = np.round(20 + age / 4 + random.normal(0, 2, rows), 1)
    income = np.where(hours + random.normal(0, 1, rows) > 34, ">50K", "<=50K")
    return pd.DataFrame({"age": age, "hours": hours, "income": income})


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    train = people(0)
    tables = {
        "good": people(2),
        "independent": independent_columns(train, 250, scoring_generator(1)),
        "copy": train.sample(frac=1, random_state=0),
    }
    return compare(train, tables, test=people(1), target="income", suite=CHEAP)


def test_each_table_has_the_scores_that_it_has_alone(comparison: Comparison) -> None:
    alone = evaluate(people(0), people(2), test=people(1), target="income", suite=CHEAP)
    assert comparison["good"].to_json() == alone.to_json()


def test_controls_are_the_same_for_all(comparison: Comparison) -> None:
    for metric in comparison.metrics:
        found = {(str(entry[metric].ceiling), str(entry[metric].floor)) for entry in comparison.evaluations.values()}
        assert len(found) == 1


def test_the_best_are_marked_with_those_that_are_not_clearly_worse(comparison: Comparison) -> None:
    assert "independent" not in comparison.best("c2st_tree")
    assert {"good", "copy"} == comparison.best("tstr")
    assert "copy" not in comparison.best("copied")
    assert comparison.best("trtr") == frozenset()


def test_the_text_shows_all_tables_and_the_gates_that_are_not_met(comparison: Comparison) -> None:
    text = comparison.to_text(width=100)
    assert str(comparison) == comparison.to_text()
    for name in comparison.names:
        assert f"{name}: best or not clearly worse in" in text
    assert "not met: copied rows, whole table" in text.replace("\n", " ")
    assert "There is no overall score" in text
    assert max(map(len, text.splitlines())) <= 100


def test_json_holds_every_evaluation(comparison: Comparison) -> None:
    found = json.loads(comparison.to_json())
    assert list(found["evaluations"]) == ["good", "independent", "copy"]
    assert found["evaluations"]["copy"]["passed"] is False
    assert found["best"]["copied"] == ["good", "independent"]


def test_a_score_that_does_not_apply_to_one_table_is_a_dash() -> None:
    one_class = people(2).assign(income="<=50K")
    found = compare(people(0), {"one": one_class, "two": people(3)}, test=people(1), target="income", suite=CHEAP)
    assert not math.isnan(found["two"]["tstr"].value)
    assert "one" not in found.best("tstr")


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (people(2).drop(columns="age"), SchemaError, "mine: the synthetic table does not have the columns"),
        (people(2).head(2), DataError, "mine: the synthetic table has 2 rows"),
    ],
)
def test_a_table_that_cannot_be_compared_is_named(table: pd.DataFrame, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compare(people(0), {"good": people(3), "mine": table}, test=people(1), suite=CHEAP)


def test_no_table_is_an_error_and_the_name_is_public() -> None:
    with pytest.raises(InputError, match="no synthetic table"):
        compare(people(0), {})
    assert synthkit.compare is compare
