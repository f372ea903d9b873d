"""Shadow models: a generator that memorises is seen, others are not accused, and all targets play the same game."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from people import people

from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.attacks.shadow import MOST_TARGETS, likelihood_ratios
from synthkit.auditing.audit import attack_all
from synthkit.auditing.case import AuditCase, AuditLimits, ShadowModels
from synthkit.auditing.reading import Asked, read_tables, row_hashes
from synthkit.evaluation.controls import independent_columns, noisy_copies

ATTACK = ATTACKS["shadow"]
REAL, HELD_OUT = people(900, 0), people(900, 1)
FEW = AuditLimits(targets=400, control_targets=300)


def memorising(frame: pd.DataFrame, rows: int, number: int) -> pd.DataFrame:
    """Half of what is released are copies with noise, the other half has learned nothing."""
    rng = np.random.default_rng(number)
    parts = noisy_copies(frame, rows // 2, rng, noise=0.05), independent_columns(frame, rows - rows // 2, rng)
    return pd.concat(parts, ignore_index=True)


def independent(frame: pd.DataFrame, rows: int, number: int) -> pd.DataFrame:
    return independent_columns(frame, rows, np.random.default_rng(number))


def oblivious(frame: pd.DataFrame, rows: int, number: int) -> pd.DataFrame:
    """Rows of the source that are neither trained on nor held out."""
    return people(rows, 100 + number)


def case_of(release, models: int = 8, limits: AuditLimits = FEW) -> AuditCase:
    released = release(REAL, 900, 999)
    case = read_tables(REAL, released, HELD_OUT, Asked(), seed=0, limits=limits).case
    assert case is not None
    return dataclasses.replace(case, shadow=ShadowModels(models, release))


def test_a_generator_that_memorises_is_seen() -> None:
    risk = attack_all(case_of(memorising), lambda title: None, [ATTACK])["shadow"]
    assert risk.outcome == "disclosure"
    assert risk.headline.low > 0.55
    assert risk.positive is not None
    assert risk.positive.low > 0.9
    assert risk.negative is not None
    assert not risk.negative.above
    assert risk.details["shadow models"] == 8
    assert "8 shadow models, on the 100 members farthest" in risk.note


@pytest.mark.parametrize("release", [independent, oblivious])
def test_a_generator_that_does_not_memorise_is_not_accused(release) -> None:
    risk = attack_all(case_of(release), lambda title: None, [ATTACK])["shadow"]
    assert risk.outcome == "no disclosure found"
    assert risk.headline.low < 0.5 < risk.headline.high


def test_shadow_models_learn_from_all_other_rows_and_from_half_of_the_targets() -> None:
    seen = []

    def release(frame: pd.DataFrame, rows: int, number: int) -> pd.DataFrame:
        seen.append(frame)
        assert rows == 900
        return oblivious(frame, rows, number)

    real = REAL.assign(wage=np.arange(900) + 0.25)  # every row is known by its wage
    holdout = HELD_OUT.assign(wage=np.arange(900) + 0.5)
    case = read_tables(real, oblivious(real, 900, 9), holdout, Asked(), seed=0, limits=FEW).case
    assert case is not None
    (risk,) = ATTACK.run(dataclasses.replace(case, shadow=ShadowModels(4, release)))
    assert risk.n == 2 * MOST_TARGETS
    assert [len(frame) for frame in seen] == pytest.approx([900] * 4, abs=40)
    always = set.intersection(*(set(frame["wage"]) for frame in seen))
    ever = set.union(*(set(frame["wage"]) for frame in seen))
    targets = ever - always
    assert len(targets) == 2 * MOST_TARGETS
    assert len(always) == 900 - MOST_TARGETS
    assert always <= set(real["wage"])
    assert sum(wage in set(holdout["wage"]) for wage in targets) == MOST_TARGETS
    assert all(sum(wage in set(frame["wage"]) for frame in seen) == 2 for wage in targets)


def test_the_controls_play_their_part_without_the_generator() -> None:
    def release(frame: pd.DataFrame, rows: int, number: int) -> pd.DataFrame:
        raise AssertionError("a control must not fit the generator")

    case = dataclasses.replace(case_of(oblivious), shadow=ShadowModels(4, release))
    caught, missed = case.positive_control(), case.negative_control()
    assert set(row_hashes(caught.train.coded)) == set(row_hashes(caught.members.coded))
    assert ATTACK.run(caught)[0].headline.above
    assert not ATTACK.run(missed)[0].headline.above


def test_the_release_and_the_shadow_releases_are_equally_long() -> None:
    asked = []

    def release(frame: pd.DataFrame, rows: int, number: int) -> pd.DataFrame:
        asked.append(rows)
        return oblivious(frame, rows, number)

    case = dataclasses.replace(case_of(oblivious), shadow=ShadowModels(4, release), limits=AuditLimits(synthetic=200))
    ATTACK.run(case)
    assert asked == [200] * 4


def test_the_order_of_the_release_does_not_matter() -> None:
    case = case_of(memorising, models=4)
    order = np.random.default_rng(0).permutation(900)
    mixed = dataclasses.replace(case, synthetic=case.synthetic.take(order), _shared={})
    assert repr(ATTACK.run(case)) == repr(ATTACK.run(mixed))


def test_without_shadow_models_it_says_so() -> None:
    (risk,) = ATTACK.run(dataclasses.replace(case_of(oblivious), shadow=None))
    assert risk.outcome == "not applicable"
    assert risk.note


def test_likelihood_ratios_by_hand() -> None:
    scores = np.array([[4.0, 1.0], [2.0, 1.0], [1.0, 3.0], [-1.0, 5.0]])
    inside = np.array([[True, False], [True, False], [False, True], [False, True]])
    # means in 3 and 4, out 0 and 1; rests are 1, 1, 1, 1 and 0, 0, 1, 1: six over eight less four degrees of freedom
    spread = 6 / 4
    observed = np.array([3.0, 1.0])
    expected = (observed - np.array([0, 1])) ** 2 - (observed - np.array([3, 4])) ** 2
    np.testing.assert_allclose(likelihood_ratios(scores, inside, observed), expected / 2 / spread)
