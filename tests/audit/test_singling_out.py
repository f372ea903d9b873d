"""Singling out: predicates against plain evaluation, what they are made of, and both controls."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.auditing.attacks import singling_out
from synthkit.auditing.case import AuditCase, AuditLimits
from synthkit.auditing.predicates import (
    MISSING,
    Predicates,
    RankedTables,
    multivariate,
    random_predicates,
    univariate,
)
from synthkit.evaluation.case import Rows
from synthkit.evaluation.controls import noisy_copies
from synthkit.evaluation.view import TableView

(ATTACK,) = singling_out.ATTACKS


def people(n, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "weight": np.where(rng.random(n) < 0.1, np.nan, rng.normal(70, 12, n).round(2)),
            "income": rng.lognormal(9, 1, n).round(),
            "town": rng.choice([f"town {i}" for i in range(12)], n),
            "job": rng.choice(["nurse", "clerk", "baker", None], n),
        }
    )


def a_case(synthetic="none", n=300, seed=0):
    tables = [people(n, start) for start in (1, 2, 3)]
    released = {"copies": tables[0], "none": people(n, 9)}[synthetic] if isinstance(synthetic, str) else synthetic
    view = TableView(tables[0])
    rows = [Rows(table, view.code(table)) for table in (*tables, released)]
    holdout = pd.concat(tables[1:], ignore_index=True)
    held = Rows(holdout, view.code(holdout))
    return AuditCase(view, rows[0], held, rows[3], *rows[:3], seed=seed, limits=AuditLimits(predicates=500))


def run(case):
    return {risk.subject: risk for risk in ATTACK.run(case)}


def ranked(*frames):
    view = TableView(frames[0])
    return view, RankedTables.of(view, *(view.code(frame) for frame in frames))


def holds(predicates, number, values):
    """Tell whether one row fulfils a predicate, condition by condition."""
    for column, low, high, outside in zip(
        *(part[number] for part in (predicates.columns, predicates.low, predicates.high, predicates.outside)),
        strict=True,
    ):
        inside = low <= values[column] <= high
        if outside:
            inside = not inside and values[column] != MISSING
        if not inside:
            return False
    return True


def plainly_singled_out(predicates, table):
    found = []
    for number in range(len(predicates)):
        matching = [row for row in range(table.shape[1]) if holds(predicates, number, table[:, row])]
        found.append(matching[0] if len(matching) == 1 else -1)
    return found


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_what_is_singled_out_is_what_a_plain_loop_finds(seed, conditions, rows):
    rng = np.random.default_rng(seed)
    table = rng.integers(-1, 6, (4, rows)).astype(np.int32)
    numeric = np.array([True, True, False, False])
    predicates = random_predicates(table, numeric, 25, conditions, rng)
    assert predicates.singled_out(table).tolist() == plainly_singled_out(predicates, table)


def test_tables_in_many_parts_give_the_same(monkeypatch):
    _, tables = ranked(people(400, 1))
    predicates = random_predicates(tables.tables[0], tables.numeric, 200, 3, np.random.default_rng(0))
    whole = predicates.singled_out(tables.tables[0])
    monkeypatch.setattr("synthkit.auditing.predicates._FIRST_ROWS", 7)
    monkeypatch.setattr("synthkit.auditing.predicates._CELLS", 50)
    np.testing.assert_array_equal(predicates.singled_out(tables.tables[0]), whole)
    assert (whole >= 0).any()


def test_ranks_keep_the_order_of_numbers_across_tables():
    one, other = people(100, 1), people(50, 2)
    view, tables = ranked(one, other)
    for place, name in enumerate(view.numeric):
        values = np.concatenate([one[name], other[name]]).astype(float)
        ranks = np.concatenate([table[place] for table in tables.tables])
        assert ((ranks == MISSING) == np.isnan(values)).all()
        present = ~np.isnan(values)
        order = np.argsort(values[present], kind="stable")
        assert (np.diff(ranks[present][order]) >= 0).all()
        assert len(np.unique(ranks[present])) == len(np.unique(values[present]))


def test_univariate_predicates_are_single_values_and_extremes():
    frame = pd.DataFrame({"x": [1.0, 2.0, 2.0, 5.0, 5.0, np.nan], "c": ["a", "b", "b", "c", "b", "b"]})
    view, tables = ranked(frame)
    table = tables.tables[0]
    predicates = univariate(table, tables.numeric, 100, np.random.default_rng(0))
    top = np.iinfo(np.int32).max
    made = sorted(
        zip(*(part[:, 0].tolist() for part in (predicates.columns, predicates.low, predicates.high)), strict=True)
    )
    a, c = view.labels["c"]["a"], view.labels["c"]["c"]
    # x = 1, x <= 1, x is missing, c = a, c = c; x >= 5 would match two rows
    assert made == sorted([(0, 0, 0), (0, 0, 0), (0, MISSING, MISSING), (1, a, a), (1, c, c)])
    one_of_each = pd.DataFrame({"x": [3.0, 2.0, 2.0, 5.0], "c": ["a"] * 4})
    _, tables = ranked(one_of_each)
    predicates = univariate(tables.tables[0], tables.numeric, 100, np.random.default_rng(0))
    made = set(zip(predicates.low[:, 0].tolist(), predicates.high[:, 0].tolist(), strict=True))
    assert made == {(1, 1), (2, 2), (2, top)}


def test_univariate_predicates_single_out_and_are_as_many_as_wanted():
    _, tables = ranked(people(400, 1))
    table = tables.tables[0]
    predicates = univariate(table, tables.numeric, 10_000, np.random.default_rng(0))
    assert (predicates.singled_out(table) >= 0).all()
    assert len(univariate(table, tables.numeric, 30, np.random.default_rng(0))) == 30


def test_multivariate_predicates_single_out_rows_they_were_made_from():
    _, tables = ranked(people(500, 1))
    table = tables.tables[0]
    predicates = multivariate(table, tables.numeric, 200, np.random.default_rng(0))
    owners = predicates.singled_out(table)
    assert len(predicates) == 200
    assert (owners >= 0).all()
    assert len(predicates.distinct()) == 200
    middles = [np.median(ranks[ranks != MISSING]) for ranks in table]
    top = np.iinfo(np.int32).max
    for columns, lows, highs, owner in zip(predicates.columns, predicates.low, predicates.high, owners, strict=True):
        assert len(set(columns.tolist())) == singling_out.CONDITIONS
        for column, low, high in zip(columns, lows, highs, strict=True):
            value = table[column, owner]
            if not tables.numeric[column] or value == MISSING:
                assert low == high == value
            elif high == top:
                assert middles[column] < low <= value
            else:
                assert low == 0
                assert value <= high <= middles[column]


def test_random_predicates_use_every_comparison():
    table = np.array([[0, 1, 2, 3, 4], [0, 1, 2, 0, 1]], dtype=np.int32)
    predicates = random_predicates(table, np.array([True, False]), 3000, 1, np.random.default_rng(0))
    matched = predicates.matches(table)
    numbers = {
        tuple(row) for row, column in zip(matched.tolist(), predicates.columns[:, 0], strict=True) if column == 0
    }
    # the value 2 by =, !=, <, <=, > and >=
    for expected in ("00100", "11011", "11000", "11100", "00011", "00111"):
        assert tuple(sign == "1" for sign in expected) in numbers
    labels = {tuple(row) for row, column in zip(matched.tolist(), predicates.columns[:, 0], strict=True) if column == 1}
    assert len(labels) == 6


def test_the_rates_are_those_of_a_plain_evaluation():
    released = noisy_copies(people(120, 1), 120, np.random.default_rng(0))
    case = a_case(released, n=120)
    case = replace(case, limits=replace(case.limits, predicates=60))
    tables = RankedTables.of(case.view, case.members.coded, case.nonmembers.coded, case.synthetic.coded)
    order = case.generator("singling out: order").permutation(len(case.synthetic))
    rows = tables.tables[2][:, np.lexsort(tables.tables[2])[order]]
    predicates = multivariate(rows, tables.numeric, 60, case.generator("singling out: multivariate"))
    attack = np.mean(np.array(plainly_singled_out(predicates, tables.tables[0])) >= 0)
    control = np.mean(np.array(plainly_singled_out(predicates, tables.tables[1])) >= 0)
    risk = run(case)["multivariate"]
    assert risk.estimates["attack"].value == pytest.approx(attack)
    assert risk.estimates["control"].value == pytest.approx(control)
    assert risk.headline.value == pytest.approx((attack - control) / (1 - control))


def test_copies_are_singled_out_and_other_rows_are_not():
    copied, clean = run(a_case("copies")), run(a_case())
    for subject in singling_out.SUBJECTS:
        assert copied[subject].headline.above
        assert copied[subject].estimates["attack"].value == pytest.approx(1.0)
        assert clean[subject].headline.low <= 0.0 <= clean[subject].headline.high
        assert tuple(copied[subject].estimates) == tuple(ATTACK.measures)


def test_random_predicates_are_beaten_or_the_note_says_so():
    risk = run(a_case("copies"))["multivariate"]
    assert risk.details["naive"] < risk.estimates["attack"].value
    assert "weak" not in risk.note
    # every value occurs twice in the members, so that no value of one column singles anybody out
    members = pd.concat([people(100, 1)] * 2, ignore_index=True)
    case = a_case(people(100, 1), n=200)
    case = replace(case, members=Rows(members, case.view.code(members)))
    assert "weak" in run(case)["univariate"].note


def test_predicates_that_single_out_the_same_record_count_once():
    found, control = np.array([3, 3, 3, 3, 7, -1, -1, -1]), np.array([1, 2, -1, -1, -1, -1, -1, -1])
    comparison = singling_out._comparison(found, control)
    # squared counts 16 + 1 over 5 successes
    assert comparison.hits / comparison.tried == pytest.approx(5 / 8)
    assert comparison.tried == pytest.approx(8 / (17 / 5))
    assert comparison.control_tried == pytest.approx(8)
    none = singling_out._comparison(np.full(4, -1), np.full(4, -1))
    assert (none.hits, none.tried) == (0, 4)


def test_without_a_leak_the_intervals_hold_their_level():
    outside = 0
    for seed in range(40):
        tables = [people(150, 5000 + 4 * seed + i) for i in range(4)]
        view = TableView(tables[0])
        rows = [Rows(table, view.code(table)) for table in tables]
        case = AuditCase(view, rows[0], rows[1], rows[3], *rows[:3], seed=seed)
        case = replace(case, limits=replace(case.limits, predicates=200))
        outside += sum(not risk.headline.low <= 0.0 <= risk.headline.high for risk in ATTACK.run(case))
    assert outside <= 10  # of 80, where 4 are expected


def test_a_row_that_the_release_repeats_is_still_singled_out():
    doubled = pd.concat([people(300, 1)] * 2, ignore_index=True)
    assert run(a_case(doubled))["multivariate"].estimates == run(a_case("copies"))["multivariate"].estimates


def test_a_release_without_rare_values_gives_nothing_to_try():
    frame = pd.DataFrame({"c": ["a", "b"] * 50, "d": ["x", "x", "y", "y"] * 25})
    view = TableView(frame)
    rows = Rows(frame, view.code(frame))
    pairs = frame.drop_duplicates()
    doubled = Rows(pairs.reset_index(drop=True), view.code(pairs))
    case = AuditCase(view, rows, rows, doubled, rows, rows, rows)
    risk = run(case)["univariate"]
    assert risk.outcome == "not applicable"
    assert "exactly one" in risk.note


def test_the_order_of_rows_does_not_matter_and_seeds_repeat():
    released = noisy_copies(people(300, 1), 300, np.random.default_rng(5))
    shuffled = released.sample(frac=1, random_state=3).reset_index(drop=True)
    first = run(a_case(released))
    assert first == run(a_case(released))
    assert {name: risk.estimates for name, risk in first.items()} == {
        name: risk.estimates for name, risk in run(a_case(shuffled)).items()
    }


def test_an_empty_selection_of_predicates_singles_out_nothing():
    none = Predicates(*(np.zeros((0, 2), dtype=kind) for kind in (np.int64, np.int32, np.int32, bool)))
    assert none.singled_out(np.zeros((2, 5), dtype=np.int32)).shape == (0,)


def test_controls_decide():
    case = a_case("copies")
    positive, negative = run(case.positive_control()), run(case.negative_control())
    name = "multivariate"
    risk = run(case)[name].judged(positive[name].headline, negative[name].headline)
    assert risk.outcome == "disclosure"
    clean = run(a_case())[name].judged(positive[name].headline, negative[name].headline)
    assert clean.outcome == "no disclosure found"
