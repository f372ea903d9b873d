"""The contract of an attack, for every registered one, and which of them see a plain copy."""

from __future__ import annotations

import dataclasses

import pytest

from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.records import Estimate, Risk
from synthkit.testing import attack_checks, check_attack
from synthkit.testing.attacks import _leaky

CHECKS = [name for name, _ in attack_checks(next(iter(ATTACKS.values())))]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack(name: str, check: str) -> None:
    dict(attack_checks(ATTACKS[name]))[check]()


# the predicates, keys and marginals of a release see less than its rows, and noise changes them; the shadow generator
# of the checks leaks nothing
@pytest.mark.parametrize(
    "name", [name for name in ATTACKS if name not in ("duplicate-keys", "singling-out", "marginals", "shadow")]
)
def test_copies_are_caught(name: str) -> None:
    risks = ATTACKS[name].run(_leaky())
    assert any(risk.headline.above for risk in risks), risks


def test_a_broken_attack_is_named() -> None:
    nearest = ATTACKS["nearest"]
    estimates = dict.fromkeys(nearest.measures, Estimate(0.5, 0.6, 0.7, 0.5))
    broken = dataclasses.replace(nearest, run=lambda case: (Risk("nearest", estimates=estimates, n=3),))
    with pytest.raises(AssertionError, match=r"returns what it promises: auc 0\.5 is outside 0\.6 to 0\.7"):
        check_attack(broken)
    accusing = dataclasses.replace(
        nearest,
        run=lambda case: (
            Risk("nearest", estimates=dict.fromkeys(nearest.measures, Estimate(0.9, 0.8, 1.0, 0.5)), n=3),
        ),
    )
    with pytest.raises(AssertionError, match="on rows that leak nothing"):
        check_attack(accusing)


def test_an_attack_that_names_other_subjects_is_named() -> None:
    # how wide its intervals are follows from how many subjects it names
    silent = dataclasses.replace(ATTACKS["singling-out"], subjects=lambda case: ("",))
    with pytest.raises(AssertionError, match=r"its risks are about \['univariate', 'multivariate'\], expected"):
        check_attack(silent)
