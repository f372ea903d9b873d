from __future__ import annotations

import dataclasses
import math
import re

import pytest

from synthkit.auditing.policy import parse_policy
from synthkit.auditing.records import Estimate, Risk, not_applicable
from synthkit.auditing.result import Audit, ExposedGroup, Exposure, Guarantee
from synthkit.visible import visible

POLICY = parse_policy("""\
name: ours
reviewer: privacy officer
expires_after_days: 30
gates:
  - {name: copies, risk: duplicates, threshold: 0.05, reason: No copies.}
  - {name: keys, risk: duplicate-keys, threshold: 0.05, reason: No keys., not_tested: pass}
  - {name: epsilon, guarantee: epsilon, threshold: 3, reason: A promise.}
""")


FEW = Estimate(0.01, -0.005, 0.02, 0.0)


def audited(near: Estimate = FEW, **more: object) -> Audit:
    own = Risk("duplicates", estimates={"near": near}, n=500).judged(
        Estimate(0.9, 0.85, 0.95, 0.0), Estimate(0.0, -0.02, 0.02, 0.0)
    )
    risks = {"duplicates": own, "duplicate-keys": not_applicable("duplicate-keys", "It needs quasi-identifiers.")}
    found = Audit(
        risks,
        rows={"real": 30_000, "held-out": 8_000, "synthetic": 30_000, "targets": 4_000},
        created="2026-11-22T20:00:00+00:00",
        **more,  # type: ignore[arg-type]
    )
    return dataclasses.replace(found, policy=POLICY.to_dict(), verdicts=POLICY.verdicts(found))


def words(audit: Audit, width: int = 100) -> str:
    return " ".join(audit.to_text(width=width).split())


def test_it_says_what_was_found_and_what_the_policy_says() -> None:
    said = words(audited())
    assert "Audit of 30,000 synthetic rows made from 30,000 real rows (8,000 held out)" in said
    assert "Policy 'ours': 1 of 3 gates met (2 not tested, which the policy lets pass)" in said
    assert "not tested keys: Duplicates of quasi-identifiers could not be made" in said
    assert "1 attack was made: 0 found a disclosure, 1 found none, 0 inconclusive." in said
    assert "To be signed by: privacy officer." in said
    assert "Counts until 2026-12-22" in said
    assert "nothing is proved" in said


def test_a_leak_comes_first() -> None:
    text = audited(Estimate(0.5, 0.4, 0.6, 0.0)).to_text()
    assert "1 of 3 gates not met (2 not tested, which the policy lets pass)" in text
    lines = [line.strip() for line in text.splitlines()]
    verdicts = [line for line in lines if re.match(r"(not met|not tested|met)  ", line)]
    assert verdicts[0].startswith("not met  copies: Duplicates, near: upper end 60.0 %; at most 5 % is asked for.")
    assert "1 found a disclosure (duplicates)" in text


@pytest.mark.parametrize("width", [90, 100, 120])
def test_no_line_is_too_long_and_none_ends_in_blanks(width: int) -> None:
    text = audited(notes=("A note that is rather long. " * 12,)).to_text(width=width)
    assert all(len(line) <= width and line == line.rstrip() for line in text.splitlines())
    assert text.endswith("\n")
    assert "\n\n\n" not in text


def test_without_a_policy_there_is_no_verdict() -> None:
    found = dataclasses.replace(audited(), policy=None, verdicts=())
    assert "No policy: these are findings without a verdict." in words(found)


def test_no_attack_is_no_finding() -> None:
    said = words(Audit({"duplicates": not_applicable("duplicates", "It needs held-out rows.")}))
    assert "No attack could be made: nothing is known about what this table discloses." in said
    assert "duplicates: not made. It needs held-out rows." in said


def test_guarantee_exposure_and_columns_are_told() -> None:
    broken = Guarantee("model a.synth", 1.0, 1e-6, "row", "add-remove", holds=False, reasons=("the noise was seeded",))
    groups = (ExposedGroup("rarity", "rarest quarter", 900, 0.8, 0.6, 0.55, 0.65),)
    said = words(
        audited(guarantee=broken, exposure=Exposure("nearest", groups), left_out={"id": "an identifier"}, seed=1)
    )
    assert "it does NOT hold (the noise was seeded)" in said
    assert "rarest quarter (rarity: 900 records, AUC 0.550 to 0.650)" in said
    assert "No attack looked at: id (an identifier)." in said


@pytest.mark.parametrize("estimate", [Estimate(0.5, 0.4, 0.6, 0.0), Estimate(0.0, -0.1, 0.1, 0.0), Estimate(math.nan)])
def test_it_never_promises_what_no_attack_can_show(estimate: Estimate) -> None:
    text = audited(estimate).to_text()
    assert not re.search(r"\b(safe|anonymous|anonymi[sz]ed|compliant)\b", text, re.IGNORECASE)
    assert "confidential" in text


HOSTILE = ("[/b]", "[red]x", "a\x1b[2J\x1b[31mb", "x\n       met  all: fine", "\u202egnorts", "c\x9b1m", "\udcff")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_and_moves_nothing(name: str) -> None:
    """Neither markup of rich nor escapes of a terminal, in a subject, a group, a note or a policy."""
    risk = Risk("attribute", name, {"risk": Estimate(0.5, 0.4, 0.6, 0.0)}, outcome="disclosure")
    exposure = Exposure("nearest", (ExposedGroup(name, name, 9, 0.8, 0.6, 0.55, 0.65),))
    found = dataclasses.replace(audited(exposure=exposure, notes=(name,), left_out={name: name}), risks={"a": risk})
    text = found.to_text(width=100)
    assert all(character == "\n" or character.isprintable() for character in text)
    assert not any(line.startswith("       met  all") for line in text.splitlines())
    assert visible(name).split()[0] in text
    text.encode("utf-8")
    found.to_json().encode("utf-8")


def test_a_disclosure_by_another_measure_is_explained() -> None:
    found = Risk("nearest", "", {"auc": Estimate(0.51, 0.49, 0.53, 0.5), "tpr@fpr1%": Estimate(0.05, 0.03, 0.07, 0.01)})
    judged = found.judged(Estimate(0.9, 0.8, 1.0, 0.5), Estimate(0.5, 0.4, 0.6, 0.5))
    said = words(Audit({"nearest": judged}))
    assert "though not by the measure above: tpr@fpr1% 0.050 (0.030 to 0.070), 0.01 by chance." in said


def test_a_policy_without_gates_is_no_verdict() -> None:
    found = dataclasses.replace(audited(), policy={"name": "ours"}, verdicts=())
    assert "Policy 'ours': it has no gate, so this is no verdict" in words(found)


def test_groups_that_do_not_stand_out_are_not_called_exposed() -> None:
    groups = (ExposedGroup("rarity", "rarest quarter", 900, 0.01, 0.51, 0.47, 0.55),)
    assert "Most exposed groups, none of them beyond chance (0.5): rarest" in words(
        audited(exposure=Exposure("nearest", groups))
    )


@pytest.mark.parametrize("width", range(90, 110))
def test_a_per_cent_sign_stays_with_its_number(width: int) -> None:
    text = audited(Estimate(0.5, 0.4, 0.6, 0.0)).to_text(width=width)
    assert not any(line.strip().startswith("%") for line in text.splitlines())
