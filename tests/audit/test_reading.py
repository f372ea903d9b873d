"""From tables to a case: who is attacked, what is left out, what overlaps, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import people

from synthkit.auditing.case import AuditCase, AuditLimits
from synthkit.auditing.reading import Asked, read_tables, row_hashes
from synthkit.errors import DataError, InputError, SchemaError

REAL, HELD_OUT, RELEASED = people(400, 0), people(300, 1), people(350, 2)


def case_of(real=REAL, holdout=HELD_OUT, asked=None, **options) -> AuditCase:
    case = read_tables(real, RELEASED.reindex(columns=real.columns), holdout, asked or Asked(), seed=0, **options).case
    assert case is not None
    return case


def test_targets_are_equally_many_and_apart() -> None:
    case = case_of()
    assert len(case.members) == len(case.nonmembers) == 150
    assert len(case.reference) == 150
    halves = set(row_hashes(case.nonmembers.coded)) | set(row_hashes(case.reference.coded))
    assert halves == set(row_hashes(case.holdout.coded))
    assert set(row_hashes(case.members.coded)) <= set(row_hashes(case.train.coded))
    assert case.is_member.sum() == 150


@settings(max_examples=10)
@given(seed=st.integers(0, 1_000))
def test_nobody_is_target_and_reference(seed: int) -> None:
    holdout = HELD_OUT.assign(wage=np.arange(300) + 0.5)  # every row is known by its wage
    case = read_tables(REAL, RELEASED, holdout, Asked(), seed=seed).case
    assert case is not None
    assert not set(case.nonmembers.frame["wage"]) & set(case.reference.frame["wage"])


def test_a_person_is_one_target_and_on_one_side() -> None:
    rng = np.random.default_rng(0)
    real = REAL.assign(who=rng.integers(0, 90, 400))
    holdout = HELD_OUT.assign(who=rng.integers(200, 330, 300), wage=np.arange(300) + 0.5)
    found = read_tables(real, RELEASED.assign(who=1), holdout, Asked(person="who"), seed=0)
    case = found.case
    assert case is not None
    assert found.left_out == {"who": "it names the person"}
    assert "who" not in case.view.columns
    owner = dict(zip(holdout["wage"], holdout["who"], strict=True))
    outside = [owner[wage] for wage in case.nonmembers.frame["wage"]]
    assert len(set(outside)) == len(outside)
    assert not set(outside) & {owner[wage] for wage in case.reference.frame["wage"]}
    assert len(case.members) == len(outside) <= 90


def test_limits_bound_the_targets() -> None:
    case = case_of(limits=AuditLimits(targets=60, control_targets=55))
    assert len(case.members) == len(case.nonmembers) == 60
    for control in (case.positive_control(), case.negative_control()):
        assert len(control.members) == len(control.nonmembers) == 55


def test_controls_are_what_they_are_called() -> None:
    case = case_of()
    positive, negative = case.positive_control(), case.negative_control()
    assert positive.role == "positive control"
    assert set(positive.synthetic.frame["town"]) <= set(case.members.frame["town"])
    towns = positive.synthetic.frame["town"].value_counts()
    assert towns.to_dict() == positive.members.frame["town"].value_counts().to_dict()  # each of them once
    assert negative.role == "negative control"
    parts = [set(row_hashes(rows.coded)) for rows in (negative.synthetic, negative.reference, negative.nonmembers)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert positive.generator("x").random() != negative.generator("x").random()


def test_identifiers_and_free_text_are_left_out_unless_they_are_asked_for() -> None:
    real, holdout, released = (
        frame.assign(id=np.arange(len(frame)) + start, note=[f"note {start + row} of it" for row in range(len(frame))])
        for frame, start in ((REAL, 0), (HELD_OUT, 1_000), (RELEASED, 2_000))
    )
    found = read_tables(real, released, holdout, Asked(), seed=0)
    assert set(found.left_out) == {"id", "note"}
    asked = read_tables(real, released, holdout, Asked(quasi_identifiers=("id",)), seed=0)
    assert "id" not in asked.left_out


def test_overlap_is_counted_against_chance() -> None:
    mixed = pd.concat([HELD_OUT[:200], REAL[:40]], ignore_index=True)
    found = read_tables(REAL, RELEASED, mixed, Asked(), seed=0)
    assert found.overlap is not None
    assert found.overlap.rows == 40
    assert found.overlap.share == pytest.approx(40 / 240)
    assert found.overlap.expected == 0
    assert any("40 of 240 held-out rows" in note for note in found.notes)
    coarse = read_tables(*(frame[["town", "ill"]] for frame in (REAL, RELEASED, HELD_OUT)), Asked(), seed=0)
    assert coarse.overlap is not None
    assert coarse.overlap.share == coarse.overlap.expected == 1


def test_held_out_rows_that_were_not_held_out_are_refused() -> None:
    with pytest.raises(DataError, match="300 of 300 held-out rows are rows of the real table"):
        read_tables(REAL, RELEASED, REAL[:300], Asked(), seed=0)
    who = np.arange(300)
    with pytest.raises(DataError, match="300 persons of the held-out table"):
        read_tables(
            REAL.assign(who=np.arange(400)),
            RELEASED.assign(who=1),
            HELD_OUT.assign(who=who),
            Asked(person="who"),
            seed=0,
        )


def test_without_held_out_rows_there_is_no_case() -> None:
    found = read_tables(REAL, RELEASED, None, Asked(), seed=0)
    assert found.case is None
    assert found.overlap is None
    assert len(found.scored.train) == 400


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        (Asked(quasi_identifiers=("agee",)), SchemaError, "unknown quasi-identifier 'agee'; did you mean 'age'"),
        (Asked(sensitive=("il",)), SchemaError, "unknown sensitive column"),
        (Asked(person="who"), SchemaError, "unknown person column"),
        (Asked(target="x"), SchemaError, "unknown target column"),
        (Asked(quasi_identifiers=("age",), sensitive=("age",)), InputError, "as a quasi-identifier and as sensitive"),
        (Asked(quasi_identifiers=("age",), person="age"), InputError, "names the person and cannot be"),
    ],
)
def test_columns_that_make_no_sense_are_refused(asked: Asked, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read_tables(REAL, RELEASED, HELD_OUT, asked, seed=0)


def test_too_few_rows_for_an_interval_are_refused() -> None:
    with pytest.raises(DataError, match="400 real and 45 held-out rows can be attacked, expected at least 50"):
        read_tables(REAL, RELEASED, HELD_OUT[:90], Asked(), seed=0)


def test_labels_that_only_held_out_rows_have_count_like_any_other() -> None:
    """Otherwise non-members with one would look nearer to everything, which hides a leak."""
    rng = np.random.default_rng(0)
    tables = [people(rows, seed).assign(place=[f"p{place}" for place in rng.integers(0, 400, rows)])
              for rows, seed in ((600, 0), (500, 2), (600, 1))]  # fmt: skip
    case = read_tables(*tables, Asked(), seed=0).case
    assert case is not None
    new = ~case.nonmembers.frame["place"].isin(set(case.train.frame["place"]))
    assert new.any()
    width = len(case.view.numeric)
    indicators = case.view.linear(case.nonmembers.coded)[:, width:].sum(1)
    assert (indicators == len(case.view.categorical)).all()


def test_rows_without_a_person_are_nobody_elses() -> None:
    real, holdout = REAL.assign(who=None), HELD_OUT.assign(who=None)
    # a name that looks like what a row without a person is called
    holdout.loc[0, "who"] = "row 1"
    found = read_tables(real, RELEASED, holdout, Asked(person="who"), seed=0)
    assert found.case is not None
    assert found.overlap is not None
    assert found.overlap.persons == 0
    assert len(found.case.members) == 150


def test_a_person_is_the_same_where_a_missing_cell_makes_floats() -> None:
    real = REAL.assign(who=np.arange(400))
    holdout = HELD_OUT.assign(who=np.r_[np.nan, np.arange(350, 649)])
    found = read_tables(real, RELEASED, holdout, Asked(person="who"), seed=0)
    assert found.overlap is not None
    assert found.overlap.persons == 50
    assert any("50 persons" in note for note in found.notes)


def test_labels_that_only_held_out_rows_have_are_known() -> None:
    new = HELD_OUT.assign(town=np.where(np.arange(300) < 100, "Chur", HELD_OUT["town"]))
    case = case_of(holdout=new)
    position = case.view.categorical.index("town")
    assert case.view.n_labels[position] == 4
    for rows in (case.train, case.holdout, case.synthetic):
        assert (rows.coded.codes == case.view.code(rows.frame).codes).all()
    assert set(case.nonmembers.coded.codes[:, position]) == {0, 1, 2, 3}
