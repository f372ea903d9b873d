"""Contract checks for attacks: whoever writes one can run them, and every registered attack is run through them.

>>> from synthkit.auditing.attacks import ATTACKS
>>> from synthkit.testing import check_attack
>>> check_attack(ATTACKS["nearest"])
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pandas as pd

from synthkit.auditing.attack import Attack
from synthkit.auditing.case import AuditCase, AuditLimits, ShadowModels
from synthkit.auditing.reading import Asked, read_tables
from synthkit.auditing.records import Risk
from synthkit.evaluation.controls import independent_columns, noisy_copies
from synthkit.random import RandomSource
from synthkit.testing.checks import Check, require, run_checks

__all__ = ["attack_checks", "check_attack"]

_FAMILIES = ("duplicates", "membership", "attribute", "singling out", "linkability")
_ROWS = 1_500


def check_attack(attack: Attack) -> None:
    """Run all contract checks on an attack.

    Raises
    ------
    AssertionError
        Naming the first check that failed, and what was expected.
    """
    run_checks(attack_checks(attack), attack.name)


def attack_checks(attack: Attack) -> Iterator[Check]:
    """Name and function of each check."""
    checks = (
        _says_what_it_is,
        _returns_what_it_promises,
        _is_the_same_twice,
        _does_not_accuse_without_a_leak,
        _stands_plain_and_odd_tables,
        _leaves_its_tables_alone,
    )
    for check in checks:
        yield check.__name__.strip("_").replace("_", " "), partial(check, attack)


def _people(rows: int, seed: int) -> pd.DataFrame:
    """Related columns of every kind, with missing cells."""
    rng = RandomSource(seed).numpy("people")
    age = rng.integers(18, 80, rows)
    return pd.DataFrame(
        {
            "age": age,
            "wage": np.where(rng.random(rows) < 0.05, np.nan, np.round(40 * age + rng.gamma(2, 400, rows), 1)),
            "town": rng.choice(["Bern", "Basel", "Thun", "Chur"], rows, p=[0.5, 0.3, 0.15, 0.05]),
            "ill": np.where(rng.random(rows) < age / 160, "yes", "no"),
            "height": np.round(rng.normal(172, 9, rows), 1),
            "seen": pd.Timestamp("2022-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D"),
        }
    )


def _independent(frame: pd.DataFrame, rows: int, number: int) -> pd.DataFrame:
    return independent_columns(frame, rows, RandomSource(number).numpy("shadow"))


def _case(synthetic: pd.DataFrame, real: pd.DataFrame, holdout: pd.DataFrame) -> AuditCase:
    names = [str(name) for name in real.columns]
    asked = Asked(quasi_identifiers=tuple(names[:3]), sensitive=tuple(names[3:5]))
    limits = AuditLimits(targets=400, control_targets=300, predicates=200, linked=300)
    case = read_tables(real, synthetic, holdout, asked, seed=3, limits=limits).case
    if case is None:
        raise ValueError("held-out rows were given")
    return replace(case, shadow=ShadowModels(4, _independent), confidence=0.99)


@cache
def _leaky() -> AuditCase:
    """Copies of the training rows are released."""
    real, holdout = _people(_ROWS, 0), _people(_ROWS, 1)
    return _case(noisy_copies(real, _ROWS, RandomSource(0).numpy("copies")), real, holdout)


@cache
def _honest() -> AuditCase:
    """Rows of the same source are released that are neither trained on nor held out."""
    return _case(_people(_ROWS, 2), _people(_ROWS, 0), _people(_ROWS, 1))


def _says_what_it_is(attack: Attack) -> None:
    require(attack.family in _FAMILIES, f"the family is {attack.family!r}, expected one of {_FAMILIES}")
    for field in ("name", "title", "source", "threat", "reading", "lies"):
        require(getattr(attack, field).strip(), f"it has no {field}")
    require(attack.measures, "it has no measure")
    require(all(text.strip() for text in attack.measures.values()), "a measure has no text")
    require("holdout" in attack.needs, "it has no control without held-out rows, and does not say that it needs them")


def _returns_what_it_promises(attack: Attack) -> None:
    case = _leaky()
    found = attack.run(case)
    require(found, "it returns no risk")
    require(len({risk.name for risk in found}) == len(found), "two risks have the same subject")
    subjects, promised = [risk.subject for risk in found], list(attack.subjects(case))
    require(subjects == promised, f"its risks are about {subjects}, expected the subjects that it names, {promised}")
    for risk in found:
        require(risk.attack == attack.name, f"a risk is named {risk.attack!r}, expected {attack.name!r}")
        _check_risk(attack, risk)
        if attack.family == "attribute":
            require(risk.subject in case.sensitive, f"the subject {risk.subject!r} is no sensitive column")


def _check_risk(attack: Attack, risk: Risk) -> None:
    if not risk.estimates:
        require(risk.note, "it measures nothing and does not say why")
        return
    names = list(attack.measures)
    require(list(risk.estimates) == names, f"its measures are {list(risk.estimates)}, expected {names}")
    for name, one in risk.estimates.items():
        if not one.applies:
            require(risk.note, f"{name} has no value, and there is no note")
            continue
        require(-1 <= one.value <= 1, f"{name} is {one.value}, expected a share or a difference of shares")
        require(one.low <= one.value <= one.high, f"{name} {one.value} is outside {one.low} to {one.high}")
        require(-1 <= one.low and one.high <= 1, f"the interval of {name} leaves -1 to 1")
        require(not math.isnan(one.baseline), f"{name} has no baseline")
    require(risk.n > 0, "it attacked nobody")
    json.dumps(dict(risk.details))


def _is_the_same_twice(attack: Attack) -> None:
    first, second = (attack.run(replace(_leaky(), _shared={})) for _ in range(2))
    require(repr(first) == repr(second), "the same case gives other results")


def _does_not_accuse_without_a_leak(attack: Attack) -> None:
    for case in (_honest(), _honest().negative_control(), _leaky().negative_control()):
        for risk in attack.run(replace(case, confidence=0.9999)):
            require(
                not risk.headline.applies or not risk.headline.above,
                f"{risk.name} is {risk.headline.value:.3f} and its interval begins at {risk.headline.low:.3f}, above "
                f"the baseline of {risk.headline.baseline:.3f}, on rows that leak nothing",
            )


def _stands_plain_and_odd_tables(attack: Attack) -> None:
    """Constant columns, only labels, only numbers, all missing, labels that only the release has, few rows."""
    rng = RandomSource(0).numpy("tables")

    def made(rows: int) -> dict[str, pd.DataFrame]:
        labels = pd.DataFrame({name: rng.choice(list("abc"), rows) for name in "vwxyz"})
        numbers = pd.DataFrame(rng.normal(size=(rows, 5)), columns=list("vwxyz"))
        return {
            "labels": labels,
            "numbers": numbers,
            "constant": labels.assign(v="same", w=1.5),
            "missing": numbers.assign(v=np.nan, w=np.where(rng.random(rows) < 0.5, np.nan, 1.0)),
            "all alike": pd.DataFrame({name: ["same"] * rows for name in "vwxyz"}),
        }

    tables = [made(rows) for rows in (220, 200, 60)]
    for name in tables[0]:
        real, holdout, synthetic = (table[name] for table in tables)
        for released in (synthetic, real, synthetic.assign(y="new" if name == "labels" else synthetic["y"])):
            for risk in attack.run(_case(released, real, holdout)):
                _check_risk(attack, risk)


def _leaves_its_tables_alone(attack: Attack) -> None:
    case = replace(_leaky(), _shared={})
    before = [rows.frame.copy(deep=True) for rows in (case.train, case.holdout, case.synthetic, case.members)]
    attack.run(case)
    after = [rows.frame for rows in (case.train, case.holdout, case.synthetic, case.members)]
    for one, other in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(one, other)
