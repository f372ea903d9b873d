from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synthkit.balance.experiment import Question, Repeat, judge
from synthkit.balance.features import TrainingRows
from synthkit.balance.learners import LEARNERS
from synthkit.balance.measures import CLASS_MEASURES
from synthkit.balance.treatments import TREATMENTS, Material, NotApplicable, Treatment
from synthkit.random import RandomSource

QUESTION = Question("ill", ("size", "weight"), (False, True), positive=1)


def tumours(seed: int, rows: int, rare: float) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    ill = random.random(rows) < rare
    return pd.DataFrame({"size": random.normal(2.0 * ill), "weight": random.normal(size=rows), "ill": ill})


def run(
    train: pd.DataFrame, test: pd.DataFrame, *treatments: Treatment, models: tuple[str, ...] = ("linear",)
) -> Repeat:
    return judge(train, test, QUESTION, treatments or [TREATMENTS["none"]], models, RandomSource(0))


def test_every_model_is_measured_in_every_way() -> None:
    (judged,) = run(tumours(0, 400, 0.5), tumours(1, 400, 0.5), models=tuple(LEARNERS)).judged
    assert set(judged.values) == set(LEARNERS)
    for found in judged.values.values():
        assert set(found) == set(CLASS_MEASURES)
        assert found["balanced_accuracy"] == pytest.approx((found["recall"] + 1 - found["false_alarms"]) / 2)
    assert judged.values["linear"]["roc_auc"] == pytest.approx(stats.norm.cdf(2 / np.sqrt(2)), abs=0.04)


@pytest.mark.parametrize("name", ["weights", "oversampling", "smote-nc"])
def test_what_moves_the_threshold_finds_more_of_a_rare_class(name: str) -> None:
    """Planted: a linear law with 5 % rare rows. Balanced accuracy gains a lot, ranking nothing."""
    repeat = run(tumours(0, 600, 0.05), tumours(1, 2000, 0.5), TREATMENTS["none"], TREATMENTS[name])
    nothing, treated = (judged.values["linear"] for judged in repeat.judged)
    assert treated["balanced_accuracy"] > nothing["balanced_accuracy"] + 0.1
    assert treated["recall"] > nothing["recall"] + 0.3
    assert treated["false_alarms"] > nothing["false_alarms"]
    assert treated["roc_auc"] == pytest.approx(nothing["roc_auc"], abs=0.02)


def test_treatments_never_see_a_test_row() -> None:
    """Test rows carry a number and a label that no training row has: nothing that treatments are given holds them."""
    train = tumours(0, 300, 0.3).assign(town=["Bern", "Basel", None] * 100)
    test = tumours(1, 200, 0.3).assign(size=12345.0, town="Sentinel")
    question = Question("ill", ("size", "weight", "town"), (False, True), positive=1)
    seen: list[Material] = []

    def spy(material: Material) -> TrainingRows:
        seen.append(material)
        return material.rows

    judge(train, test, question, [Treatment("spy", "spy", spy)], ["linear", "forest"], RandomSource(0))
    (material,) = seen
    pd.testing.assert_frame_equal(material.frame, train[["size", "weight", "town", "ill"]])
    assert material.rows.table.numbers.max() < 100
    assert "Sentinel" not in material.features.view.labels["town"]
    assert material.features.view.means.max() < 100
    other = judge(
        train,
        tumours(2, 50, 0.5).assign(town="Bern"),
        question,
        [Treatment("spy", "spy", spy)],
        ["linear"],
        RandomSource(0),
    )
    assert other.judged[0].added == 0
    np.testing.assert_array_equal(seen[0].rows.table.numbers, seen[1].rows.table.numbers)


@pytest.mark.parametrize("name", ["oversampling", "smote-nc", "adasyn"])
def test_what_a_treatment_makes_does_not_depend_on_the_test_rows(name: str) -> None:
    made: list[TrainingRows] = []

    def kept(material: Material) -> TrainingRows:
        made.append(TREATMENTS[name].make(material))
        return made[-1]

    for seed in (1, 2):
        run(tumours(0, 300, 0.2), tumours(seed, 100, 0.5), Treatment(name, name, kept))
    np.testing.assert_array_equal(made[0].table.numbers, made[1].table.numbers)


def test_a_treatment_that_does_not_apply_says_so_and_the_others_go_on() -> None:
    def refuse(material: Material) -> TrainingRows:
        raise NotApplicable("too few rows")

    refused, nothing = run(
        tumours(0, 200, 0.3), tumours(1, 100, 0.3), Treatment("odd", "odd", refuse), TREATMENTS["none"]
    ).judged
    assert refused.problem == "too few rows"
    assert refused.values == {}
    assert nothing.values["linear"]["roc_auc"] > 0.5


def test_a_number_is_predicted_as_a_number() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=400)
    frame = pd.DataFrame({"x": x, "y": 3 * x + random.normal(size=400)})
    question = Question("y", ("x",))
    repeat = judge(frame[:300], frame[300:], question, [TREATMENTS["none"]], list(LEARNERS), RandomSource(0))
    assert repeat.chance["r2"] == pytest.approx(0, abs=0.05)
    for found in repeat.judged[0].values.values():
        assert found["r2"] > 0.8
        assert found["rmse"] < 1.5
    assert repeat.judged[0].values["linear"]["rmse"] == pytest.approx(1, abs=0.15)
