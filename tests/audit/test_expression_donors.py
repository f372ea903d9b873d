from __future__ import annotations

import numpy as np
import pytest
from donors_cells import bare, cells_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synthkit.auditing.clusters import auc_estimate_by_person, few_persons_estimate, true_positive_estimate_by_person
from synthkit.auditing.expression.attacks import FEW_DONORS
from synthkit.auditing.expression.audit import audit_expression
from synthkit.auditing.expression.case import CellLimits, halved, joined, planted
from synthkit.auditing.expression.reading import read_cells
from synthkit.auditing.expression.result import ExpressionAuditResult
from synthkit.auditing.expression.scores import SCORES, donor_means, log_density
from synthkit.auditing.intervals import auc_estimate, true_positive_estimate
from synthkit.errors import DataError, InputError
from synthkit.io.expression_set import ExpressionSet

LIMITS = CellLimits(genes=80, components=20)
SPREAD = 0.4
TRAIN = cells_of(600, 1, donors=24, spread=SPREAD)
HOLDOUT = cells_of(1_200, 2, donors=48, first=100, spread=SPREAD)
OTHERS = bare(cells_of(600, 3, donors=48, first=300, spread=SPREAD))


def audited(train: ExpressionSet, synthetic: ExpressionSet, holdout: ExpressionSet) -> ExpressionAuditResult:
    return audit_expression(train, synthetic, holdout, donor="donor", limits=LIMITS, policy="internal-test-data")


# ------------------------------------------------------------ donors as the unit


def test_cells_of_other_donors_do_not_accuse_donors() -> None:
    found = audited(TRAIN, OTHERS, HOLDOUT)
    assert found["donor-membership"].outcome == "no disclosure found"
    assert not found.disclosures
    assert found.donors == {"real": 24, "held-out": 48}


def test_new_cells_of_training_donors_tell_of_donors_though_no_cell_is_copied() -> None:
    released = bare(cells_of(900, 9, donors=24, spread=SPREAD))
    found = audited(TRAIN, released, HOLDOUT)
    assert found["donor-membership"].outcome == "disclosure"
    assert found["donor-membership"].headline.value > 0.8
    assert found["cell-copies"].estimates["exact"].value == 0
    assert "donors" in {verdict.gate for verdict in found.failed}


def test_few_donors_cannot_be_told() -> None:
    train = cells_of(400, 1, donors=4)
    holdout = cells_of(600, 2, donors=6, first=100)
    found = audited(train, bare(planted(train, np.random.default_rng(0))), holdout)
    assert found["donor-membership"].outcome == "not applicable"
    assert "Cannot be told: 4 training donors and 3 held-out donors" in found["donor-membership"].note
    on_cells = [found[name] for name in SCORES]
    assert {risk.outcome for risk in on_cells} == {"inconclusive"}
    assert any(FEW_DONORS in risk.note for risk in on_cells)
    assert found["cell-copies"].outcome == "disclosure"  # copies are copies with any number of donors


def test_without_donors_it_says_that_cells_are_the_unit() -> None:
    found = audit_expression(TRAIN, OTHERS, HOLDOUT, limits=LIMITS)
    assert "cells are the unit" in found["donor-membership"].note
    assert "not enough" in found.notes[0]


def test_the_halves_keep_the_cells_of_a_donor_together() -> None:
    case = read_cells(TRAIN, OTHERS, HOLDOUT, donor="donor", label=None, limits=LIMITS, seed=0).case
    assert case is not None
    assert case.nonmember_donors is not None
    assert case.reference_donors is not None
    assert not set(case.nonmember_donors) & set(case.reference_donors)
    control = case.negative_control()
    assert control.reference_donors is not None
    assert len(np.unique(control.reference_donors)) == 12
    assert len(control.synthetic) + len(control.reference) == len(case.reference)


def test_donors_on_both_sides_are_left_out_or_refused() -> None:
    with pytest.raises(DataError, match="Hold donors out before fitting"):
        audited(TRAIN, OTHERS, cells_of(600, 2, donors=24, spread=SPREAD))
    both = joined(HOLDOUT, TRAIN.take(np.arange(50)))
    table = both.cells.assign(donor=[*HOLDOUT.cells["donor"], *TRAIN.cells["donor"][:50]])
    found = audited(TRAIN, OTHERS, ExpressionSet(both.values, both.genes, table))
    assert found.duplicates is not None
    assert found.duplicates.left_out == 50
    assert found.overlap is not None
    assert found.overlap.persons == len(set(TRAIN.cells["donor"][:50]))


def test_a_cell_without_a_donor_is_refused() -> None:
    table = TRAIN.cells.assign(donor=TRAIN.cells["donor"].where(np.arange(600) > 0))
    with pytest.raises(InputError, match="misses the donor"):
        audited(ExpressionSet(TRAIN.values, TRAIN.genes, table), OTHERS, HOLDOUT)


# ------------------------------------------------------------ oracles of what is computed


def test_the_score_of_a_donor_is_the_mean_over_its_cells() -> None:
    scores = np.array([1.0, 5.0, 2.0, 3.0, 7.0])
    assert donor_means(scores, np.array([9, 4, 9, 4, 2])).tolist() == [7.0, 4.0, 1.5]


def test_densities_are_those_of_normal_kernels() -> None:
    rng = np.random.default_rng(0)
    base, points = rng.normal(size=(40, 3)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
    kernels = stats.norm.pdf(points[:, None], base[None], 0.7).prod(axis=2).mean(axis=1)
    expected = np.log(kernels)
    found = log_density(points, base, 0.7)
    assert found - found[0] == pytest.approx(expected - expected[0], abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(20, 60))
def test_an_interval_by_person_contains_that_of_independent_records(seed: int, persons: int, cells: int) -> None:
    rng = np.random.default_rng(seed)
    members, others = rng.normal(0.3, 1, cells), rng.normal(0, 1, cells)
    own = rng.integers(0, persons, cells), rng.integers(0, persons, cells)
    wide, plain = auc_estimate_by_person(members, others, own, 0.95), auc_estimate(members, others, 0.95)
    assert wide.value == plain.value
    assert wide.low <= plain.low <= plain.high <= wide.high
    found = true_positive_estimate_by_person(members, others, 0.1, own, 0.95, np.random.default_rng(0))
    assert found.low <= true_positive_estimate(members, others, 0.1, 0.95).low <= found.value <= found.high


def test_with_a_record_each_the_interval_by_person_is_hardly_wider() -> None:
    rng = np.random.default_rng(0)
    members, others = rng.normal(0.3, 1, 400), rng.normal(0, 1, 400)
    wide = auc_estimate_by_person(members, others, (np.arange(400), np.arange(400)), 0.95)
    plain = auc_estimate(members, others, 0.95)
    assert wide.high - wide.low == pytest.approx(plain.high - plain.low, rel=0.02)


def test_intervals_by_person_hold_where_records_of_a_person_are_alike() -> None:
    """Of persons whose ten records are nearly equal, 95 % intervals leave out the truth in few of a hundred draws."""
    rng = np.random.default_rng(1)
    missed = {"by person": 0, "by record": 0}
    own = np.repeat(np.arange(20), 10)
    for _ in range(200):
        members, others = (np.repeat(rng.normal(size=20), 10) + 0.2 * rng.normal(size=200) for _ in range(2))
        missed["by person"] += (
            not (one := auc_estimate_by_person(members, others, (own, own), 0.95)).low <= 0.5 <= one.high
        )
        missed["by record"] += not (one := auc_estimate(members, others, 0.95)).low <= 0.5 <= one.high
    assert missed["by person"] <= 20
    assert missed["by record"] > 60


def test_three_donors_of_either_kind_never_tell_beyond_chance() -> None:
    found = few_persons_estimate(np.array([3.0, 4.0, 5.0]), np.array([0.0, 1.0, 2.0]), 0.95)
    assert found.value == 1
    assert found.low == 0.5
    many = few_persons_estimate(np.arange(10, 20.0), np.arange(10.0), 0.95)
    assert many.above


def test_halves_without_donors_are_halves_of_the_cells() -> None:
    assert halved(11, None, np.random.default_rng(0)).sum() == 5
    assert halved(10, np.zeros(10, dtype=np.int64), np.random.default_rng(0)).sum() == 5
