from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pandas as pd
import pytest

import synthkit
from synthkit import TableGAN
from synthkit.balance.augment import augment
from synthkit.balance.augment_report import render_html, render_markdown, write_report
from synthkit.balance.augmentation import AugmentResult
from synthkit.balance.paired import paired_difference, split_overlap
from synthkit.errors import InputError

QUICK = TableGAN(time_budget=None, refine=False, adversary="off", n_codes=16, verbose=False)


def tumours(rows: int = 400, rare: float = 0.15, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    ill = random.random(rows) < rare
    return pd.DataFrame(
        {
            "size": np.round(random.normal(2.0 * ill), 3),
            "weight": pd.Series(np.round(random.normal(size=rows), 2)).mask(random.random(rows) < 0.1),
            "town": random.choice(["Bern", "Basel"], rows),
            "finding": np.where(ill, "ill", "well"),
        }
    )


@pytest.fixture(scope="module")
def result() -> AugmentResult:
    """Every treatment with two models and two repeats."""
    return augment(tumours(), "finding", models=["linear", "boosted"], repeats=2, generator=QUICK, random_state=0)


def test_every_treatment_is_judged_by_every_measure(result: AugmentResult) -> None:
    assert [run.name for run in result.treatments if not run.problem] == [
        "none", "weights", "oversampling", "smote-nc", "adasyn", "tablegan-balance", "tablegan-augment",
    ]  # fmt: skip
    assert result.positive == "ill"
    assert result.rows == {"training": 320, "test": 80}
    assert len(result.outcomes) == 7 * 2 * 7
    for outcome in result.outcomes:
        assert outcome.low <= outcome.value <= outcome.high
        assert outcome.value == pytest.approx(np.mean(outcome.values))
        assert outcome.control == result.outcome("none", outcome.model, outcome.measure).value
        assert (outcome.gain is None) == (outcome.treatment == "none")
    with pytest.raises(FrozenInstanceError):
        result.repeats = 3  # type: ignore[misc]


def test_a_gain_is_the_corrected_paired_difference(result: AugmentResult) -> None:
    nothing, weights = (result.outcome(name, "linear", "brier") for name in ("none", "weights"))
    gain = paired_difference(nothing.values, weights.values, overlap=split_overlap(80 / 320))  # lower is better
    assert weights.gain is not None
    assert (weights.gain.mean, weights.gain.low, weights.gain.p) == pytest.approx((gain.mean, gain.low, gain.p))
    assert weights.gain.adjusted >= weights.gain.p


def test_chance_and_the_recommendation(result: AugmentResult) -> None:
    share = (tumours()["finding"] == "ill").mean()
    assert result.outcome("none", "linear").chance == pytest.approx(share, abs=0.01)
    best = max(result.models, key=lambda model: result.outcome(result.choices[model].recommended, model).value)
    assert result.recommended.model == best
    assert result.recommended.treatment == result.choices[best].recommended
    assert str(result.recommended) == result.recommended.reason


def test_the_json_holds_everything_and_nothing_else_than_json(result: AugmentResult) -> None:
    plain = json.loads(result.to_json())
    assert plain["format"] == "synthkit-augmentation"
    assert plain["format_version"] == 1
    assert plain["recommended"].keys() == {"treatment", "model", "reason"}
    assert plain["helped"] is result.helped
    assert plain["outcomes"][0].keys() == {
        "treatment", "model", "measure", "value", "low", "high", "control", "chance", "gain", "values",
    }  # fmt: skip
    assert plain["choices"]["linear"].keys() == {"recommended", "best", "gains", "behind", "helpful"}
    assert {run["name"] for run in plain["treatments"]} == {run.name for run in result.treatments}


def test_the_text_tells_everything_that_is_needed_to_read_it(result: AugmentResult) -> None:
    text = result.to_text(width=90)
    assert max(map(len, text.splitlines())) <= 90
    for said in ("Holm", "Nadeau and Bengio", "Lower is better for Brier score", "Recommended:", "smote-nc".upper()):
        assert said in " ".join(text.split())
    assert "TableGAN, balance helped with" in " ".join(text.split())
    assert "…" not in text


def test_a_notebook_shows_a_page_and_a_terminal_one_line(result: AugmentResult) -> None:
    page = result._repr_html_()
    assert result.recommended.treatment in repr(result)
    assert "\n" not in repr(result)
    for said in ("TableGAN, balance", "Recommended:", "Nadeau and Bengio"):
        assert said in page
    assert "<script" not in page
    assert "…" not in page


@pytest.mark.parametrize("suffix", [".html", ".md", ".json"])
def test_reports(result: AugmentResult, tmp_path: Any, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    write_report(result, path)
    text = path.read_text(encoding="utf-8")
    assert text == {".html": render_html, ".md": render_markdown, ".json": AugmentResult.to_json}[suffix](result)
    assert "TableGAN, balance" in text
    assert "<script" not in text


def test_names_of_the_table_are_escaped_in_the_page() -> None:
    frame = tumours(120, 0.3).rename(columns={"finding": "<b>&"})
    found = augment(frame, "<b>&", treatments=["weights"], models=["linear"], repeats=2, random_state=0)
    assert "<b>&" not in render_html(found)
    assert "&lt;b&gt;&amp;" in render_html(found)


def test_nothing_is_always_there_and_said_to_be_best_where_it_is() -> None:
    """Planted: labels that nothing predicts, so that nothing helps."""
    frame = tumours()
    frame["finding"] = np.random.default_rng(1).permutation(frame["finding"])
    found = synthkit.augment(frame, "finding", treatments=["weights", "smote-nc"], models=["linear"], random_state=0)
    assert [run.name for run in found.treatments] == ["none", "weights", "smote-nc"]
    assert found.recommended.treatment == "none"
    assert not found.helped
    assert "no treatment was significantly better than doing nothing" in found.recommended.reason


def test_a_clear_gain_is_recommended() -> None:
    """Planted: by balanced accuracy, moving the threshold of a linear model to a rare class helps a lot."""
    found = augment(
        tumours(4000, 0.05), "finding", treatments=["weights", "smote-nc"], models=["linear"],
        metric="balanced-accuracy", random_state=0,
    )  # fmt: skip
    assert found.metric == "balanced_accuracy"
    assert found.recommended.treatment == "weights"
    assert found.helped
    assert found.choices["linear"].gains["weights"].significant == 1
    assert "class weights" in str(found)


def test_the_same_seed_repeats_the_experiment() -> None:
    options: dict[str, Any] = {"treatments": ["oversampling"], "models": ["forest", "boosted"], "repeats": 2}
    frame = tumours(200, 0.3)
    first, again, other = (augment(frame, "finding", random_state=seed, **options) for seed in (0, 0, 1))
    assert first.outcomes == again.outcomes
    assert first.outcomes != other.outcomes


def test_a_test_table_judges_and_is_not_learned_from() -> None:
    options: dict[str, Any] = {"treatments": ["weights"], "models": ["linear"], "repeats": 3, "random_state": 0}
    train, test = tumours(300, 0.3), tumours(200, 0.3, seed=5)
    found = augment(train, "finding", test=test, **options)
    assert found.rows == {"training": 240, "test": 160}
    assert "test table" in found.design
    # with labels turned round in the test rows the same models are exactly as bad as they were good
    turned = test.assign(finding=np.where(test["finding"] == "ill", "well", "ill"))
    turned_round = augment(train, "finding", test=turned, **options)
    assert found.outcome("none", "linear", "roc_auc").value > 0.8
    assert turned_round.outcome("none", "linear", "roc_auc").value < 0.2
    # columns in another order are the same table
    again = augment(train, "finding", test=test[test.columns[::-1]], **options)
    assert again.outcomes == found.outcomes


def test_test_rows_that_are_rows_of_the_table_are_pointed_out() -> None:
    frame = tumours(200, 0.3)
    options: dict[str, Any] = {"treatments": ["none"], "models": ["linear"], "repeats": 2, "random_state": 0}
    found = augment(frame, "finding", test=frame.head(100), **options)
    assert any("100 % of the rows of the test table" in note for note in found.notes)
    assert augment(frame, "finding", test=tumours(100, 0.3, seed=7), **options).notes == ()


def test_three_classes_and_classes_that_are_numbers() -> None:
    frame = tumours(300, 0.4)
    frame["finding"] = np.where(frame["weight"].fillna(0) > 0.8, 2, (frame["finding"] == "ill").astype(int))
    found = augment(frame, "finding", treatments=["weights"], models=["linear"], repeats=2, random_state=0)
    assert found.classes == ("0", "1", "2")
    assert found.positive is None
    assert found.outcome("none", "linear").chance == pytest.approx(1 / 3)
    assert "macro average precision" in str(found)


def test_a_number_as_target_gets_the_treatments_that_apply() -> None:
    frame = tumours(200)
    found = augment(frame, "size", models=["linear"], repeats=2, generator=QUICK, random_state=0)
    assert [run.name for run in found.treatments] == ["none", "tablegan-augment"]
    assert found.metric == "r2"
    assert found.classes == ()
    assert "R2" in str(found)
    assert render_html(found)


def test_columns_that_say_nothing_are_left_out_and_named() -> None:
    frame = tumours(200, 0.3).assign(code=[f"P{place:05d}" for place in range(200)], same=1)
    found = augment(frame, "finding", treatments=["weights"], models=["linear"], repeats=2, random_state=0)
    assert any("'code'" in note for note in found.notes)
    assert any("'same'" in note for note in found.notes)


def test_most_rows_are_drawn_by_class_and_told() -> None:
    frame = tumours(1000, 0.3)
    found = augment(frame, "finding", treatments=["none"], models=["linear"], repeats=2, max_rows=200, random_state=0)
    assert found.rows == {"training": 160, "test": 40}
    assert found.notes == ("200 of 1,000 rows of the table were used.",)
    share = (frame["finding"] == "ill").mean()
    assert found.outcome("none", "linear").chance == pytest.approx(share, abs=0.02)


def test_small_classes_that_are_interpolated_are_named() -> None:
    found = augment(
        tumours(200, 0.15), "finding", treatments=["tablegan-balance"], models=["linear"], repeats=2, generator=QUICK,
        random_state=0,
    )  # fmt: skip
    assert any("interpolated" in note and "'ill'" in note for note in found.notes)


def test_a_treatment_that_fails_is_left_out_and_told() -> None:
    frame = pd.DataFrame({"x": [*np.linspace(0, 1, 60), *np.linspace(99, 100, 20)], "kind": ["a"] * 60 + ["b"] * 20})
    found = augment(frame, "kind", treatments=["weights", "adasyn"], models=["linear"], repeats=2, random_state=0)
    (failed,) = [run for run in found.treatments if run.problem]
    assert failed.name == "adasyn"
    assert {outcome.treatment for outcome in found.outcomes} == {"none", "weights"}
    assert "ADASYN was left out" in str(found)


# ------------------------------------------------------------ interruption


def stop_after(repeats: int) -> Any:
    def progress(doing: str) -> None:
        if doing.startswith(f"repeat {repeats + 1}"):
            raise KeyboardInterrupt

    return progress


def test_finished_repeats_are_kept() -> None:
    options: dict[str, Any] = {"treatments": ["weights"], "models": ["linear"], "random_state": 0}
    found = augment(tumours(), "finding", repeats=4, progress=stop_after(3), **options)
    assert found.interrupted
    assert (found.repeats, found.asked_repeats) == (3, 4)
    assert "3 of 4 repeats" in str(found)
    whole = augment(tumours(), "finding", repeats=3, **options)
    assert found.outcomes == whole.outcomes
    with pytest.raises(KeyboardInterrupt):
        augment(tumours(), "finding", repeats=4, progress=stop_after(1), **options)


# ------------------------------------------------------------ bad input

FRAME = tumours(100, 0.3)
BAD: list[tuple[pd.DataFrame, str, dict[str, Any], str]] = [
    (FRAME, "findin", {}, "did you mean 'finding'"),
    (FRAME, "finding", {"treatments": ["smote"]}, "did you mean 'smote-nc'"),
    (FRAME, "finding", {"treatments": []}, "no treatment is named"),
    (FRAME, "finding", {"models": ["forrest"]}, "did you mean 'forest'"),
    (FRAME, "finding", {"metric": "rocauc"}, "did you mean 'roc_auc'"),
    (FRAME, "finding", {"repeats": 1}, "expected at least 2"),
    (FRAME, "finding", {"precision": 0.0}, "expected more than 0"),
    (FRAME, "finding", {"time_budget": "soon"}, "is not a duration"),
    (FRAME, "finding", {"max_rows": 10}, "expected at least 50"),
    (FRAME, "finding", {"random_state": -1}, "a seed must be"),
    (FRAME.assign(finding="ill"), "finding", {}, "single value"),
    (FRAME.assign(finding=FRAME["finding"].mask(FRAME.index < 3)), "finding", {}, "missing in 3 of 100 rows"),
    (FRAME.assign(finding=["ill"] * 4 + ["well"] * 96), "finding", {}, "class 'ill' of 'finding' has 4 rows"),
    (FRAME.assign(finding=[f"c{place % 50}" for place in range(100)]), "finding", {}, "50 classes"),
    (FRAME.head(40), "finding", {}, "40 rows"),
    (FRAME[["finding"]], "finding", {}, "no column to predict"),
    (FRAME, "size", {"treatments": ["weights"]}, "applies to classes"),
    (FRAME, "size", {"metric": "average_precision"}, "unknown metric"),
    (FRAME, "finding", {"test": FRAME.drop(columns="town")}, "lacks the column 'town'"),
    (FRAME, "finding", {"test": FRAME.assign(more=1)}, "a column 'more'"),
    (FRAME, "finding", {"test": FRAME.assign(size="big")}, "'size' holds numbers in the table and text in the test"),
    (FRAME, "finding", {"test": FRAME.assign(finding=FRAME["finding"].replace("ill", "il"))}, "did you mean 'ill'"),
    (FRAME, "finding", {"test": FRAME.assign(finding=FRAME["finding"].mask(FRAME.index < 3))}, "of the test table"),
    (FRAME, "finding", {"test": FRAME.head(20)}, "the test table has 20 rows"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "target", "options", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_input_is_one_sentence_before_anything_is_computed(
    frame: pd.DataFrame, target: str, options: dict[str, Any], message: str
) -> None:
    def never(doing: str) -> None:
        raise AssertionError(doing)

    with pytest.raises(InputError) as error:
        augment(frame, target, progress=never, **options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_infinite_intervals_are_no_json_numbers(result: AugmentResult) -> None:
    assert all(math.isfinite(outcome.low) for outcome in result.outcomes)
    assert "Infinity" not in result.to_json()
    assert "NaN" not in result.to_json()
