"""The whole audit: outcomes follow from controls, a leak is found, none is made up, and nothing is called safe."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from people import people

from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.attacks.shadow import balanced, likelihood_ratios
from synthkit.auditing.audit import attack_all, audit, shadow_models
from synthkit.auditing.case import AuditLimits
from synthkit.auditing.reading import Asked, read_tables
from synthkit.auditing.records import OUTCOMES, Estimate, Risk
from synthkit.errors import InputError, ModelFileError
from synthkit.evaluation.controls import noisy_copies
from synthkit.privacy import PrivacyBudget
from synthkit.schema import Schema
from synthkit.tables.gan import TableGAN

REAL, HELD_OUT = people(900, 0), people(900, 1)
FEW = AuditLimits(targets=400, control_targets=300, predicates=300, linked=300)
COLUMNS = {"quasi_identifiers": ("age", "town"), "sensitive": ("ill",), "limits": FEW}

estimates = st.builds(
    lambda value, half, baseline: Estimate(value, value - half, value + half, baseline),
    st.floats(0, 1),
    st.floats(0, 0.3),
    st.floats(0, 1),
)


@given(own=estimates, positive=st.none() | estimates, negative=st.none() | estimates)
def test_controls_decide(own: Estimate, positive: Estimate | None, negative: Estimate | None) -> None:
    outcome = Risk("x", estimates={"auc": own}).judged(positive, negative).outcome
    assert outcome in OUTCOMES
    if positive is None or negative is None or negative.above:
        assert outcome == "inconclusive"
    elif own.above:
        assert outcome == "disclosure"
    else:
        assert outcome == ("no disclosure found" if positive.above else "inconclusive")


def test_a_few_exposed_records_are_a_disclosure_too() -> None:
    risk = Risk("x", estimates={"auc": Estimate(0.51, 0.49, 0.53, 0.5), "tpr@fpr1%": Estimate(0.1, 0.08, 0.12, 0.01)})
    judged = risk.judged(Estimate(1, 0.9, 1, 0.5), Estimate(0.5, 0.4, 0.6, 0.5))
    assert judged.outcome == "disclosure"
    assert "By tpr@fpr1% only" in judged.note
    rates = Risk("x", estimates={"risk": Estimate(0, -0.1, 0.1, 0), "attack": Estimate(0.3, 0.28, 0.32, 0.2)})
    assert rates.judged(Estimate(1, 0.9, 1, 0.5), Estimate(0.5, 0.4, 0.6, 0.5)).outcome == "no disclosure found"


def test_an_attack_without_a_value_is_not_applicable() -> None:
    nothing = Risk("x", estimates={"auc": Estimate(math.nan)}, note="Nothing to see.")
    assert nothing.judged(Estimate(1, 0.9, 1, 0.5), Estimate(0.5, 0.4, 0.6, 0.5)).outcome == "not applicable"


def test_copies_are_disclosed_and_other_rows_are_not() -> None:
    leaky = audit(REAL, noisy_copies(REAL, 900, np.random.default_rng(0)), holdout=HELD_OUT, **COLUMNS)
    assert {"duplicates", "nearest", "domias", "gan-leaks-calibrated"} <= {risk.attack for risk in leaky.disclosures}
    assert leaky["nearest"].headline.value > 0.95
    honest = audit(REAL, people(900, 2), holdout=HELD_OUT, **COLUMNS)
    assert not honest.disclosures
    assert honest["nearest"].outcome == "no disclosure found"
    assert honest["nearest"].headline.low < 0.5 < honest["nearest"].headline.high


def test_one_copy_in_ten_is_seen() -> None:
    released = people(900, 2)
    released.iloc[:90] = REAL.sample(90, random_state=1).to_numpy()
    found = audit(REAL, released.astype(REAL.dtypes), holdout=HELD_OUT, **COLUMNS | {"limits": AuditLimits()})
    assert "duplicates" in {risk.attack for risk in found.disclosures}


def test_the_same_seed_gives_the_same_audit() -> None:
    first, second = (audit(REAL, people(500, 2), holdout=HELD_OUT, seed=4, **COLUMNS) for _ in range(2))
    assert dataclasses.replace(first, created="").to_json() == dataclasses.replace(second, created="").to_json()


def test_every_attack_answers_and_says_why_when_it_cannot() -> None:
    found = audit(REAL, people(500, 2), holdout=HELD_OUT, limits=FEW)
    assert set(ATTACKS) == {risk.attack for risk in found.risks.values()}
    assert found["shadow"].outcome == "not applicable"
    assert "--shadow" in found["shadow"].note
    assert "--sensitive" in found["attribute"].note
    assert "--quasi-identifiers" in found["linkability"].note


def test_without_held_out_rows_nothing_is_claimed() -> None:
    found = audit(REAL, REAL[:500], policy="internal-test-data")
    assert {risk.outcome for risk in found.risks.values()} == {"not applicable"}
    assert all("--holdout" in risk.note for risk in found.risks.values())
    assert any("500 of 500 synthetic rows equal a real row" in note for note in found.notes)
    assert not found.passed
    assert set(found.utility) == {"shape_err", "trend_err"}


def test_everything_is_plain_json() -> None:
    found = audit(
        REAL, people(500, 2), holdout=HELD_OUT, policy="research-sharing", target="ill", raw_rows=True,
        **COLUMNS | {"sensitive": ()},
    )  # fmt: skip
    plain = json.loads(found.to_json())
    assert plain["format"] == "synthkit-audit"
    assert plain["format_version"] == 1
    assert set(plain["utility"]) == {"shape_err", "trend_err", "tstr", "trtr"}
    assert plain["passed"] is found.passed
    assert "safe" not in found.to_json().lower().replace("unsafe", "")
    assert found.to_text()


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="shadow models need the model"):
        audit(REAL, REAL, holdout=HELD_OUT, shadow=4)
    with pytest.raises(InputError, match="expected at least 0"):
        audit(REAL, REAL, holdout=HELD_OUT, shadow=-1)
    with pytest.raises(InputError, match="unknown policy 'reserch-sharing'"):
        audit(REAL, REAL, holdout=HELD_OUT, policy="reserch-sharing")
    with pytest.raises(ModelFileError):
        audit(REAL, REAL, holdout=HELD_OUT, model="absent.synth")


def test_all_intervals_of_a_family_hold_together() -> None:
    levels: dict[str, list[float]] = {}
    parts: dict[str, int] = {}

    def watched(attack):
        def run(case):
            risks = attack.run(case)
            if case.role == "release":
                levels.setdefault(attack.family, []).append(case.confidence)
                parts[attack.family] = parts.get(attack.family, 0) + sum(len(risk.estimates) for risk in risks)
            return risks

        return dataclasses.replace(attack, run=run)

    asked = Asked(("age", "town"), ("ill", "wage"))
    case = read_tables(REAL, people(500, 2), HELD_OUT, asked, seed=0, limits=FEW).case
    attack_all(case, lambda title: None, [watched(attack) for attack in ATTACKS.values()])
    assert parts["singling out"] == 6
    for family, found in levels.items():
        assert found == [pytest.approx(1 - 0.05 / parts[family])] * len(found), family


def test_the_order_of_the_synthetic_rows_does_not_matter() -> None:
    released = people(900, 2)
    tables = (released, released.sample(frac=1, random_state=3))
    first, second = (audit(REAL, table, holdout=HELD_OUT, **COLUMNS) for table in tables)
    for name, risk in first.risks.items():
        assert risk.estimates == second[name].estimates, name


def test_held_out_rows_of_another_source_are_noticed() -> None:
    said = "not of the same source"
    other = audit(REAL, people(900, 2), holdout=HELD_OUT.assign(wage=HELD_OUT["wage"] * 2), limits=FEW)
    assert any(said in note for note in other.notes)
    same = audit(REAL, noisy_copies(REAL, 900, np.random.default_rng(0)), holdout=HELD_OUT, limits=FEW)
    assert not any(said in note for note in same.notes)


def test_the_function_and_the_package_do_not_hide_each_other() -> None:
    for first in ("synthkit", "synthkit.auditing", "synthkit.auditing.audit", "synthkit.auditing.attacks"):
        code = f"import {first}, synthkit; assert callable(synthkit.audit), synthkit.audit"
        subprocess.run([sys.executable, "-c", code], check=True)


# -- shadow models


def test_half_of_the_shadow_models_have_each_target() -> None:
    marks = balanced(6, 50, np.random.default_rng(0))
    assert marks.shape == (6, 50)
    assert (marks.sum(0) == 3).all()
    assert len({tuple(column) for column in marks.T}) > 5


def test_likelihood_ratios_are_those_of_two_normal_distributions() -> None:
    rng = np.random.default_rng(0)
    inside = balanced(40, 500, rng)
    shift = rng.uniform(0, 3, 500)
    scores = rng.normal(size=(40, 500)) + np.where(inside, shift, 0.0)
    is_in = rng.random(500) < 0.5
    observed = rng.normal(size=500) + np.where(is_in, shift, 0.0)
    found = likelihood_ratios(scores, inside, observed)
    exact = (observed**2 - (observed - shift) ** 2) / 2
    assert np.corrcoef(found, exact)[0, 1] > 0.9
    assert found[is_in].mean() > 0 > found[~is_in].mean()


def test_shadow_models_fit_the_generator_again(tmp_path: Path) -> None:
    settings = {"n_codes": 6, "adversary": "off", "refine": False, "random_state": 0, "verbose": False}
    model = TableGAN(**settings).fit(REAL)
    model.save(tmp_path / "m.synth")
    told: list[str] = []
    found = audit(
        REAL, model.sample(900, random_state=0), holdout=HELD_OUT, model=tmp_path / "m.synth", shadow=4, limits=FEW,
        progress=told.append,
    )  # fmt: skip
    assert found["shadow"].estimates["auc"].applies
    assert found["shadow"].positive is not None
    assert found["shadow"].positive.above
    assert "shadow model 4 of 4" in told
    assert found.guarantee is None
    assert any("without a privacy budget" in note for note in found.notes)
    with pytest.raises(InputError, match="expected at least 4"):
        audit(REAL, REAL, holdout=HELD_OUT, model=tmp_path / "m.synth", shadow=2)


def test_shadow_models_of_a_model_that_protects_persons_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    private = TableGAN(privacy=PrivacyBudget(1, 1e-5, unit="who", rows_per_unit=3))
    monkeypatch.setattr(TableGAN, "load", classmethod(lambda cls, path: private))
    monkeypatch.setattr(TableGAN, "schema_", Schema.infer(REAL))
    with pytest.raises(InputError, match="protects the rows of one 'who' together"):
        shadow_models("m.synth", 4, lambda title: None)


def test_no_attack_is_made_that_was_not_asked_for() -> None:
    assert list(attack_all(None, lambda title: None, [ATTACKS["nearest"]])) == ["nearest"]
