from __future__ import annotations

import math
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.gates import SUBJECTS
from synthkit.auditing.intervals import adjusted, auc_estimate, true_positive_estimate
from synthkit.auditing.policy import DEFAULT, POLICIES, Policy, load_policy, parse_policy
from synthkit.auditing.records import Estimate, Risk, not_applicable
from synthkit.auditing.result import Audit, Guarantee, Overlap
from synthkit.errors import InputError
from synthkit.evaluation.records import Score

ROOT = Path(__file__).resolve().parents[2]
RATES = (0.01, 0.001)


def risk(
    attack: str = "duplicates", *, low: float = 0.0, high: float = 0.02, outcome: str = "", **more: object
) -> Risk:
    """A risk with one measure, whose outcome follows from it unless given."""
    estimate = Estimate((low + high) / 2, low, high, 0.0)
    found = outcome or ("disclosure" if low > 0 else "no disclosure found")
    return Risk(attack, estimates={"near": estimate}, n=100, outcome=found, **more)  # type: ignore[arg-type]


def audit(*risks: Risk, **more: object) -> Audit:
    return Audit({one.name: one for one in risks}, created="2026-11-22T20:00:00+00:00", **more)  # type: ignore[arg-type]


def policy(**gate: object) -> Policy:
    return parse_policy(yaml.safe_dump({"name": "mine", "gates": [{"name": "g", "reason": "why"} | gate]}))


def verdict(audit: Audit, **gate: object):
    (found,) = policy(**gate).verdicts(audit)
    return found


ends = st.floats(-1, 1)


@given(ends, ends, ends, st.sampled_from(["value", "low", "high"]), st.sampled_from(["<=", ">=", "<", ">"]))
def test_a_gate_compares_the_number_it_names(
    one: float, other: float, threshold: float, bound: str, comparison: str
) -> None:
    low, high = sorted((one, other))
    found = verdict(
        audit(risk(low=low, high=high)), risk="duplicates", threshold=threshold, bound=bound, comparison=comparison
    )
    number = {"low": low, "high": high, "value": (low + high) / 2}[bound]
    met = {
        "<=": number <= threshold,
        ">=": number >= threshold,
        "<": number < threshold,
        ">": number > threshold,
    }[comparison]
    assert (found.status == "met") == met
    assert found.value == number
    assert found.reason == "why"


@given(st.lists(st.tuples(ends, st.floats(0, 0.5)), min_size=1, max_size=5), ends, st.sampled_from(["<=", ">="]))
def test_a_gate_on_several_attacks_is_as_strict_as_each_of_them(
    found: list[tuple[float, float]], threshold: float, comparison: str
) -> None:
    risks = [risk(low=low, high=low + width, subject=str(i)) for i, (low, width) in enumerate(found)]
    gate = {"risk": "duplicates", "threshold": threshold, "comparison": comparison}
    together = verdict(audit(*risks), **gate)
    assert (together.status == "met") == all(verdict(audit(one), **gate).status == "met" for one in risks)


@given(st.lists(ends, min_size=1, max_size=4), ends, st.floats(0, 0.5))
def test_a_higher_threshold_is_never_stricter(lows: list[float], threshold: float, more: float) -> None:
    found = audit(*(risk(low=low, high=low + 0.1, subject=str(i)) for i, low in enumerate(lows)))
    if verdict(found, risk="all duplicates", threshold=threshold).status == "met":
        assert verdict(found, risk="all duplicates", threshold=threshold + more).status == "met"


def test_the_distance_from_the_baseline_can_be_what_counts() -> None:
    found = Risk("duplicates", estimates={"near": Estimate(0.52, 0.5, 0.54, 0.5)}, outcome="no disclosure found")
    gate = {"risk": "duplicates", "threshold": 0.05}
    assert verdict(audit(found), relative_to="baseline", **gate).value == pytest.approx(0.04)
    assert verdict(audit(found), relative_to="baseline", **gate).status == "met"
    assert verdict(audit(found), **gate).status == "not met"


class TestWhatCannotBeTold:
    def test_an_inconclusive_attack_fails_unless_the_policy_passes_it_over(self) -> None:
        good, unclear = risk(), risk("duplicate-keys", outcome="inconclusive", note="It caught nothing.")
        gate = {"risk": "all duplicates", "threshold": 0.05}
        found = verdict(audit(good, unclear), **gate)
        assert found.status == "not met"
        assert "inconclusive: It caught nothing." in found.sentence
        found = verdict(audit(good, unclear), inconclusive="pass", **gate)
        assert found.status == "met"
        assert "is inconclusive and passed over" in found.sentence

    def test_passing_over_all_of_them_is_not_passing(self) -> None:
        unclear = risk(outcome="inconclusive")
        gate = {"risk": "all duplicates", "threshold": 0.05, "inconclusive": "pass"}
        assert verdict(audit(unclear), **gate).status == "not met"
        assert verdict(audit(unclear), not_tested="pass", **gate).status == "not tested"

    def test_a_leak_is_told_before_what_is_unclear(self) -> None:
        leak, unclear = risk(low=0.4, high=0.6), risk("duplicate-keys", outcome="inconclusive")
        found = verdict(audit(unclear, leak), risk="all duplicates", threshold=0.05)
        assert found.value == 0.6

    @pytest.mark.parametrize("given", [(), (not_applicable("duplicates", "It needs held-out rows."),)])
    @pytest.mark.parametrize("question", [{"threshold": 0.05}, {"outcome": "no disclosure"}])
    def test_what_was_not_tested_does_not_pass_by_itself(self, given, question) -> None:
        found = verdict(audit(*given), risk="duplicates", **question)
        assert found.status == "not met"
        assert found.sentence.startswith("Not tested: ")
        assert "held-out rows" in found.sentence or not given
        assert verdict(audit(*given), risk="duplicates", not_tested="pass", **question).status == "not tested"
        assert math.isnan(found.value)

    def test_a_number_that_is_none_is_no_test(self) -> None:
        bare = Risk("duplicates", estimates={"near": Estimate(0.1)}, outcome="no disclosure found")
        assert "no attack has a number" in verdict(audit(bare), risk="duplicates", threshold=1).sentence
        assert verdict(audit(bare), risk="duplicates", threshold=1, bound="value").status == "met"

    def test_attacks_without_the_measure_are_passed_over(self) -> None:
        keys = Risk("duplicate-keys", estimates={"excess": Estimate(0.9, 0.8, 1)}, outcome="disclosure")
        assert verdict(audit(risk(), keys), risk="all", measure="near", threshold=0.05).status == "met"


def test_an_outcome_can_be_asked_for() -> None:
    gate = {"risk": "all", "outcome": "no disclosure"}
    assert verdict(audit(risk()), **gate).status == "met"
    found = verdict(audit(risk(), risk("duplicate-keys", low=0.1, high=0.2)), **gate)
    assert found.status == "not met"
    assert "Duplicates of quasi-identifiers" in found.sentence


@pytest.mark.parametrize(
    ("wanted", "matched"),
    [
        ("duplicates", ["duplicates"]),
        ("dup*", ["duplicates", "duplicate-keys: town"]),
        ("duplicate-keys: town", ["duplicate-keys: town"]),
        ("duplicate-keys", ["duplicate-keys: town"]),
        ("all duplicates", ["duplicates", "duplicate-keys: town"]),
        ("all membership", ["shadow"]),
        ("all", ["duplicates", "duplicate-keys: town", "shadow"]),
    ],
)
def test_which_attacks_a_gate_means(wanted: str, matched: list[str]) -> None:
    risks = [risk(), risk("duplicate-keys", subject="town"), risk("shadow")]
    for one in risks:
        leaks = [risk(r.attack, subject=r.subject, low=0.5, high=0.6) if r is one else r for r in risks]
        found = verdict(audit(*leaks), risk=wanted, outcome="no disclosure")
        assert (found.status == "not met") == (one.name in matched)


class TestGuarantee:
    promised = Guarantee("model people.synth", 2.5, 1e-6, "row", "add-remove", holds=True)

    def audit(self, **changes: object) -> Audit:
        import dataclasses

        return audit(guarantee=dataclasses.replace(self.promised, **changes), rows={"real": 30_000})

    def test_epsilon_and_delta(self) -> None:
        assert verdict(self.audit(), guarantee="epsilon", threshold=3).status == "met"
        assert verdict(self.audit(), guarantee="epsilon", threshold=2).status == "not met"
        assert verdict(self.audit(epsilon=math.inf), guarantee="epsilon", threshold=2).status == "not met"
        found = verdict(self.audit(), guarantee="delta", threshold=0.1, relative_to="records")
        assert found.status == "met"
        assert found.value == pytest.approx(0.03)

    def test_none_fails_only_where_it_is_required(self) -> None:
        for gate in ({"guarantee": "epsilon", "threshold": 3}, {"guarantee": "holds"}):
            assert verdict(audit(), **gate).status == "not tested"
            assert verdict(audit(), required=True, **gate).status == "not met"

    def test_one_that_does_not_hold_is_none(self) -> None:
        broken = self.audit(holds=False, reasons=("the noise was seeded",))
        for gate in ({"guarantee": "epsilon", "threshold": 3}, {"guarantee": "holds"}):
            found = verdict(broken, **gate)
            assert found.status == "not met"
            assert "the noise was seeded" in found.sentence

    def test_a_ledger_alone_was_not_checked(self) -> None:
        assert verdict(self.audit(), guarantee="holds").status == "met"
        assert verdict(self.audit(holds=None), guarantee="holds").status == "not tested"
        assert verdict(self.audit(holds=None), guarantee="holds", required=True).status == "not met"
        assert verdict(self.audit(holds=None), guarantee="epsilon", threshold=3).status == "met"


def test_utility_is_compared_as_in_a_suite() -> None:
    scores = {"shape_err": Score(0.08, 0.07, 0.09, ceiling=0.02)}
    gate = {"utility": "shape_err", "threshold": 0.05, "relative_to": "ceiling"}
    assert verdict(audit(utility=scores), **gate).status == "not met"
    assert verdict(audit(utility=scores), bound="low", **gate).value == pytest.approx(0.05)
    assert verdict(audit(), **gate).status == "not tested"
    assert verdict(audit(), required=True, **gate).status == "not met"


def test_overlap_is_what_exceeds_the_expected() -> None:
    found = audit(overlap=Overlap(10, 0.05, 0.04, persons=3), person="patient")
    assert verdict(found, overlap="excess", threshold=0.02).status == "met"
    assert verdict(found, overlap="share", threshold=0.02).status == "not met"
    assert verdict(found, overlap="persons", threshold=0).status == "not met"
    assert verdict(audit(overlap=Overlap(0, 0, 0)), overlap="persons", threshold=0).status == "not met"
    assert verdict(audit(), overlap="excess", threshold=0.02, not_tested="pass").status == "not tested"


def test_a_policy_past_its_review_is_not_met() -> None:
    late = parse_policy("name: a\nreview_by: 2026-11-21")
    (found,) = late.verdicts(audit())
    assert found.status == "not met"
    assert "2026-11-21" in found.sentence
    assert parse_policy("name: a\nreview_by: 2026-11-22").verdicts(audit()) == ()


def test_an_audit_expires() -> None:
    asked = parse_policy("name: a\nexpires_after_days: 30")
    assert asked.expires("2026-11-22T20:00:00+00:00") == date(2026, 12, 22)
    assert parse_policy("name: a").expires("2026-11-22T20:00:00+00:00") is None


def scored(copied: float, targets: int) -> Audit:
    """Six membership attacks whose scores know nothing, but for a share of the members that the release repeats."""
    random = np.random.default_rng(0)
    level = adjusted(0.95, 18)
    risks = []
    for number in range(6):
        members, others = random.normal(size=targets), random.normal(size=targets)
        members[: round(copied * targets)] += 5
        estimates = {"auc": auc_estimate(members, others, level)}
        estimates |= {f"tpr@fpr{100 * rate:g}%": true_positive_estimate(members, others, rate, level) for rate in RATES}
        caught, missed = Estimate(0.9, 0.85, 0.95, 0.5), Estimate(0.5, 0.45, 0.55, 0.5)
        risks.append(Risk("nearest", str(number), estimates, targets).judged(caught, missed))
    return audit(*risks)


@pytest.mark.parametrize(
    ("name", "targets"), [("internal-test-data", 1_000), ("research-sharing", 2_000), ("public-release", 5_000)]
)
def test_shipped_gates_on_membership_pass_strangers_and_stop_copies(name: str, targets: int) -> None:
    def failed(copied: float) -> set[str]:
        verdicts = load_policy(name).verdicts(scored(copied, targets))
        return {one.gate for one in verdicts if one.status == "not met" and one.gate.startswith("membership")}

    assert failed(0) == set()
    assert "membership at few false alarms" in failed(0.1)
    assert "membership on average" in failed(0.9)


class TestShipped:
    @pytest.mark.parametrize("name", POLICIES)
    def test_is_one_with_reasons_a_reviewer_and_an_end(self, name: str) -> None:
        found = load_policy(name)
        assert found.name == name
        assert found.description
        assert found.conditions
        assert found.reviewer
        assert found.expires_after_days
        assert all(gate.reason for gate in found.gates)
        assert Policy.model_validate(found.to_dict()) == found
        assert DEFAULT in POLICIES

    @pytest.mark.parametrize("name", POLICIES)
    def test_none_passes_what_was_not_tested(self, name: str) -> None:
        refused = [not_applicable(attack, "It needs held-out rows.") for attack in ATTACKS]
        failed = [found.gate for found in load_policy(name).verdicts(audit(*refused)) if found.status == "not met"]
        assert "membership on average" in failed
        assert "copied rows" in failed

    @pytest.mark.parametrize("name", POLICIES)
    def test_asks_for_measures_that_the_attacks_have(self, name: str) -> None:
        for gate in load_policy(name).gates:
            wanted = getattr(gate, "risk", "").removeprefix("all ")
            attacks = [one for one in ATTACKS.values() if wanted in (one.family, one.name)]
            if attacks and gate.measure:
                assert any(gate.measure in one.measures for one in attacks), gate.name

    def test_what_the_stricter_passes_the_laxer_passes(self) -> None:
        """Gates of the same name only get stricter: the thresholds, or the end of the interval."""
        order = {"low": 0, "value": 1, "high": 2}
        policies = [{gate.name: gate for gate in load_policy(name).gates} for name in POLICIES]
        for laxer, stricter in pairwise(policies):
            for name in set(laxer) & set(stricter):
                one, other = laxer[name], stricter[name]
                if math.isnan(one.threshold) or math.isnan(other.threshold):
                    continue
                same_end = getattr(one, "bound", "") == getattr(other, "bound", "")
                if same_end:
                    assert other.threshold <= one.threshold, name
                else:
                    assert order[other.bound] > order[one.bound], name


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "", "holds no settings"),
        ("- a", "", "holds no settings"),
        ("name: a\ngates: [", "line 2", "is not valid YAML"),
        ("name: a\nname: b", "line 2", "appears twice"),
        ("description: nameless", "line 1, at name", "this key is missing"),
        ("name: a\nformat_version: 9", "line 2, at format_version", "reads 1 to 1"),
        ("name: a\nconditons: [x]", "line 2, at conditons", "did you mean 'conditions'?"),
        ("name: a\nexpires_after_days: 0", "line 2, at expires_after_days", "greater than or equal to 1"),
        ("name: a\nreview_by: soon", "line 2, at review_by", "valid date"),
        ("name: a\ngates: 3", "line 2, at gates", "expected a list"),
        ("name: a\ngates:\n  - 3", "line 3, at gates.1", "a gate must be keys and values"),
        ("name: a\ngates:\n  - name: x\n    risks: all", "line 3, at gates.1", "did you mean 'risk' with 'risks'?"),
        ("name: a\ngates:\n  - risk: all\n    overlap: share", "line 3, at gates.1", "this one has risk and overlap"),
        (
            "name: a\ngates:\n  - name: x\n    reason: r\n    risk: all\n    treshold: 1",
            "line 6, at gates.1.treshold",
            "did you mean 'threshold'?",
        ),
        (
            "name: a\ngates:\n  - name: x\n    risk: all\n    threshold: 1",
            "line 3, at gates.1.reason",
            "this key is missing",
        ),
        (
            "name: a\ngates:\n  - {name: x, reason: r, risk: duplicats, threshold: 1}",
            "line 3, at gates.1.risk",
            "did you mean 'duplicates'?",
        ),
        (
            "name: a\ngates:\n  - {name: x, reason: r, risk: all membrship, threshold: 1}",
            "line 3, at gates.1.risk",
            "did you mean 'all membership'?",
        ),
        (
            "name: a\ngates:\n  - name: x\n    reason: r\n    risk: duplicates\n    measure: neer\n    threshold: 1",
            "line 6, at gates.1.measure",
            "did you mean 'near'?",
        ),
        ("name: a\ngates:\n  - {name: x, reason: r, risk: all}", "line 3, at gates.1", "either a threshold or"),
        (
            "name: a\ngates:\n  - {name: x, reason: r, risk: all, outcome: no disclosure, bound: low}",
            "line 3, at gates.1",
            "'bound' says nothing beside an outcome",
        ),
        (
            "name: a\ngates:\n  - {name: x, reason: r, risk: all, comparison: '=', threshold: 1}",
            "line 3, at gates.1.comparison",
            "Input should be",
        ),
        (
            "name: a\ngates:\n  - {name: x, reason: r, risk: all, threshold: .nan}",
            "line 3, at gates.1.threshold",
            "finite number",
        ),
        (
            "name: a\ngates:\n  - {name: x, reason: r, risk: all, threshold: true}",
            "line 3, at gates.1.threshold",
            "must be a number, got true",
        ),
        (
            "name: a\ngates:\n  - {name: x, reason: r, guarantee: epsilon}",
            "line 3, at gates.1",
            "a gate on epsilon needs a threshold",
        ),
        (
            "name: a\ngates:\n  - {name: x, reason: r, guarantee: epsilon, threshold: 1, relative_to: records}",
            "line 3, at gates.1",
            "only delta",
        ),
        (
            "name: a\ngates:\n  - {name: x, reason: r, utility: shape_er, threshold: 1}",
            "line 3, at gates.1.utility",
            "did you mean 'shape_err'?",
        ),
        (
            "name: a\ngates:\n  - {name: x, reason: r, overlap: share, threshold: 1}\n"
            "  - {name: x, reason: r, overlap: excess, threshold: 1}",
            "line 4, at gates.2.name",
            "the gate 'x' is there twice",
        ),
        ("name: a\ngates: [{name: !!python/name:os.system }]", "line 2", "not valid YAML"),
    ],
)
def test_a_malformed_policy_is_refused_with_file_line_and_key(
    tmp_path: Path, text: str, place: str, message: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        load_policy(path)
    said = str(raised.value)
    assert "mine.yaml" in said
    assert place in said
    assert message in said
    assert "\n" not in said


def test_unknown_names_and_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'public-release'"):
        load_policy("public-relase")
    with pytest.raises(InputError, match=r"there is no policy 'nowhere\.yaml'"):
        load_policy("nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(InputError, match="it is not UTF-8 text"):
        load_policy(tmp_path / "latin.yaml")
    with pytest.raises(InputError, match="cannot read the policy"):
        load_policy(tmp_path)


def test_numbers_may_be_written_as_people_write_them() -> None:
    """YAML takes 1e-6 for text."""
    found = parse_policy("name: a\ngates: [{name: d, reason: r, guarantee: delta, threshold: 1e-6}]")
    assert found.gates[0].threshold == 1e-6


def test_the_example_of_the_manual_is_a_policy_and_has_every_key() -> None:
    page = (ROOT / "docs" / "how-to" / "policies.md").read_text(encoding="utf-8")
    found = parse_policy(page.partition("```yaml\n")[2].partition("```")[0], "policies.md")
    assert set(found.to_dict()) == set(Policy.model_fields)
    for subject, kind in SUBJECTS.items():
        for key in (subject, *kind.model_fields):
            assert f"`{key}`" in page, f"{key} of a gate on {subject} is not explained"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nconditions: &a [*a]", "line 2: it has the alias '*a', expected no aliases"),
        ("a: &a {x: 1}\nb: {<<: [*a, *a]}", "line 2: it has the alias '*a', expected no aliases"),
        ("name: a\nexpires_after_days: true", "got true, expected a number of days"),
        ("name: a\nreview_by: 0", "got the number 0, expected a date"),
    ],
)
def test_what_grows_or_means_something_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_policy(text)
    assert message in str(raised.value)


def test_a_device_and_a_huge_file_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "huge.yaml").write_bytes(b"#" * 10_000_000)
    for path in (tmp_path / "huge.yaml", Path("/dev/zero")):
        with pytest.raises(InputError, match="more than 1,000,000 bytes"):
            load_policy(path)


class TestSentences:
    def test_shares_are_in_per_cent_with_true_minus_signs(self) -> None:
        found = verdict(audit(risk(low=-0.0306, high=0.0191)), risk="duplicates", threshold=0.03, bound="low")
        assert found.sentence == "Duplicates, near: lower end −3.1 %; at most 3 % is asked for."
        overlap = Overlap(14, 0.0014, 0.0018)
        assert verdict(audit(overlap=overlap), overlap="excess", threshold=0.02).sentence == (
            "0.14 % of the held-out rows equal a training row, 0.18 % would by chance: −0.04 % beyond that; at most 2 %"
            " is asked for."
        )
        utility = verdict(
            audit(utility={"shape_err": Score(0.01, ceiling=0.02)}),
            utility="shape_err",
            threshold=0.1,
            relative_to="ceiling",
        )
        assert "difference −0.0" in utility.sentence
        assert "two-sample" not in utility.sentence

    def test_an_area_stays_a_number(self) -> None:
        own = Risk("nearest", estimates={"auc": Estimate(0.51, 0.5, 0.5271, 0.5)}, outcome="no disclosure found")
        assert verdict(audit(own), risk="nearest", threshold=0.58).sentence.endswith(
            "auc: upper end 0.527; at most 0.58 is asked for."
        )

    @pytest.mark.parametrize("over", [1e-3, 1e-4, 1e-5])
    def test_a_number_is_never_printed_as_its_threshold_unless_it_is(self, over: float) -> None:
        found = verdict(audit(risk(high=0.03 + over)), risk="duplicates", threshold=0.03)
        assert found.status == "not met"
        assert "end 3.0 %" not in found.sentence
        exact = verdict(audit(risk(high=0.03)), risk="duplicates", threshold=0.03)
        assert exact.sentence == "Duplicates, near: upper end 3.0 %; at most 3 % is asked for."
