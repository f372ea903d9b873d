from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.records import Score
from synthkit.evaluation.suite import SUITES, Gate, Suite, load_suite, parse_suite

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "evaluation" / "suites").glob("*.yaml"))
numbers = st.floats(-10, 10)


def gate(**changes: object) -> Gate:
    return Gate.model_validate({"metric": "c2st_tree", "comparison": "<=", "threshold": 0.6} | changes)


@pytest.mark.parametrize("name", [*SUITES, *EXAMPLES], ids=str)
def test_every_shipped_suite_is_one_and_gives_reasons(name: str | Path) -> None:
    suite = load_suite(name)
    assert suite.description
    assert all(gate.reason for gate in suite.gates)
    computed = set(suite.metrics or METRICS)
    assert {gate.metric for gate in suite.gates} <= computed


@given(numbers, numbers, numbers, numbers, st.sampled_from(["<=", ">=", "<", ">"]))
def test_a_gate_relative_to_a_control_is_one_on_the_difference(
    value: float, ceiling: float, width: float, threshold: float, comparison: str
) -> None:
    half = abs(width)
    score = Score(value, value - half, value + half, ceiling=ceiling, floor=0.0)
    found = gate(comparison=comparison, threshold=threshold, relative_to="ceiling").verdict(score)
    difference = value - ceiling
    met = {
        "<=": difference <= threshold,
        ">=": difference >= threshold,
        "<": difference < threshold,
        ">": difference > threshold,
    }[comparison]
    assert (found.status != "fail") == met
    assert found.value == difference


@given(numbers, st.floats(0, 1), numbers)
def test_a_gate_that_is_met_at_one_end_only_is_borderline(value: float, half: float, threshold: float) -> None:
    found = gate(threshold=threshold).verdict(Score(value, value - half, value + half))
    if value > threshold:
        assert found.status == "fail"
    else:
        assert found.status == ("pass" if value + half <= threshold else "borderline")


def test_the_end_of_an_interval_can_be_what_counts() -> None:
    score = Score(0.62, 0.58, 0.66)
    assert gate().verdict(score).status == "fail"
    lenient = gate(bound="low").verdict(score)
    assert lenient.status == "pass"
    assert lenient.value == 0.58
    assert "lower end 0.580" in lenient.sentence


def test_ratios_to_a_control() -> None:
    twice = gate(relative_to="ceiling", unit="ratio", threshold=2)
    assert twice.verdict(Score(0.04, ceiling=0.02)).status == "pass"
    assert twice.verdict(Score(0.05, ceiling=0.02)).status == "fail"
    assert twice.verdict(Score(0.01, ceiling=0.0)).value == math.inf
    assert twice.verdict(Score(0.0, ceiling=0.0)).value == 1


@pytest.mark.parametrize(
    ("score", "missing", "changes", "why"),
    [
        (None, "target", {}, "it needs a target column (--target)"),
        (None, None, {}, "it was not computed"),
        (Score(math.nan, note="there is no number"), None, {}, "there is no number"),
        (Score(0.5), None, {"relative_to": "floor"}, "it has no floor to compare with"),
        (Score(0.5), None, {"bound": "high"}, "it has no interval"),
    ],
)
def test_what_cannot_be_compared_is_said_and_fails_only_where_required(score, missing, changes, why) -> None:
    found = gate(**changes).verdict(score, missing)
    assert found.status == "not applicable"
    assert why in found.sentence
    assert gate(required=True, **changes).verdict(score, missing).status == "fail"


def test_the_sentence_names_what_was_compared_with_what() -> None:
    score = Score(0.58, 0.57, 0.59, ceiling=0.5, floor=0.99)
    said = gate(relative_to="ceiling", threshold=0.05, reason="Why not").verdict(score)
    assert said.sentence == (
        "boosted two-sample AUC 0.580, real rows 0.500: difference 0.0800, at most 0.0500 is asked for."
    )
    assert said.reason == "Why not"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no settings"),
        ("- a\n- b", "holds no settings"),
        ("name: [", "is not valid YAML"),
        ("name: a\nname: b", "appears twice"),
        ("description: nameless", "wrong at name: Field required"),
        ("name: a\nformat_version: 99", "format_version is 99"),
        ("name: a\ncolour: red", "wrong at colour"),
        ("name: a\nmetrics: [c2st_trees]", "did you mean 'c2st_tree'?"),
        ("name: a\ngates: [{metric: copid, comparison: '<=', threshold: 1}]", "did you mean 'copied'?"),
        ("name: a\ngates: [{metric: copied, comparison: '=', threshold: 1}]", "gates.0.comparison"),
        ("name: a\ngates: [{metric: copied, comparison: '<=', threshold: .nan}]", "finite number"),
        (
            "name: a\ngates: [{metric: copied, comparison: '<=', threshold: true}]",
            "a threshold must be a number, got true",
        ),
        ("name: a\ngates: [{metric: copied, comparison: '<=', threshold: !!python/name:os.system }]", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_suite_is_refused_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        load_suite(path)
    assert message in str(raised.value)
    assert "mine.yaml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_unknown_names_and_missing_files_are_told() -> None:
    with pytest.raises(InputError, match="did you mean 'standard'"):
        load_suite("standart")
    with pytest.raises(InputError, match=r"there is no suite 'nowhere\.yaml'"):
        load_suite("nowhere.yaml")


def test_a_suite_written_out_is_read_back() -> None:
    suite = parse_suite("name: mine\nmetrics: [copied]\ngates: [{metric: copied, comparison: <, threshold: 0.5}]")
    assert Suite.model_validate(suite.model_dump()) == suite
    assert [verdict.status for verdict in suite.verdicts({"copied": Score(0.1)}, {})] == ["pass"]


def test_a_suite_of_the_first_format_is_still_read() -> None:
    suite = load_suite(ROOT / "tests" / "golden" / "suite-v1.yaml")
    assert suite.format_version == 1
    assert [(gate.metric, gate.comparison, gate.threshold) for gate in suite.gates] == [
        ("copied", "<=", 0.001),
        ("copy_excess", "<=", 0.001),
        ("near_copied", "<=", 0.03),
    ]
    assert {gate.relative_to for gate in suite.gates} == {"ceiling", "absolute"}
    assert all(gate.required and gate.bound == "low" for gate in suite.gates)
