"""Duplicates against counting by hand, without a leak, with one, and on keys."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthkit.auditing.attacks import duplicates
from synthkit.auditing.case import AuditCase
from synthkit.auditing.coding import jointly_coded, key_numbers
from synthkit.evaluation.case import Rows
from synthkit.evaluation.controls import noisy_copies
from synthkit.evaluation.view import TableView

ROWS, KEYS = duplicates.ATTACKS
COLUMNS = ("age", "weight", "town", "job")


def people(n, seed, towns=6):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "weight": rng.normal(70, 12, n),
            "town": rng.choice([f"town {i}" for i in range(towns)], n),
            "job": rng.choice(["nurse", "clerk", "baker", None], n, p=[0.5, 0.3, 0.1, 0.1]),
        }
    )


def case_of(members, nonmembers, reference, synthetic, *, train=None, holdout=None, **options):
    train = members if train is None else train
    holdout = pd.concat([nonmembers, reference], ignore_index=True) if holdout is None else holdout
    view = TableView(train)
    tables = (Rows(table, view.code(table)) for table in (train, holdout, synthetic, members, nonmembers, reference))
    return AuditCase(view, *tables, **options)


def a_case(synthetic, n=400, **options):
    members, nonmembers, reference = (people(n, seed) for seed in (1, 2, 3))
    given = {"copies": members, "none": people(n, 9)}[synthetic] if isinstance(synthetic, str) else synthetic
    return case_of(members, nonmembers, reference, given, **options)


def only(attack, case):
    (risk,) = attack.run(case)
    return risk


def tuples(frame, columns=COLUMNS):
    return [tuple("missing" if pd.isna(value) else value for value in row) for row in frame[list(columns)].to_numpy()]


def test_exact_duplicates_are_those_that_a_plain_search_finds():
    members, nonmembers, reference = (
        people(120, seed)[["town", "job"]].assign(age=people(120, seed)["age"] // 20, x=1.5) for seed in (1, 2, 3)
    )
    synthetic = pd.concat([members.iloc[:30], nonmembers.iloc[:10], members.iloc[:5]], ignore_index=True)
    columns = ("town", "job", "age", "x")
    case = case_of(members, nonmembers, reference, synthetic)
    risk = only(ROWS, case)
    released = set(tuples(synthetic, columns))
    inside = [row in released for row in tuples(members, columns)]
    outside = [row in released for row in tuples(nonmembers, columns)]
    assert risk.estimates["exact"].value == pytest.approx(np.mean(inside) - np.mean(outside))
    train, holdout = set(tuples(members, columns)), set(tuples(pd.concat([nonmembers, reference]), columns))
    assert risk.details["synthetic rows that equal a training row"] == sum(
        row in train for row in tuples(synthetic, columns)
    )
    assert risk.details["synthetic rows that equal a held-out row"] == sum(
        row in holdout for row in tuples(synthetic, columns)
    )
    assert risk.details["distinct synthetic rows"] == len(released)


def test_near_duplicates_are_those_that_a_plain_search_finds():
    case = a_case(noisy_copies(people(400, 1), 300, np.random.default_rng(0)))
    points, released = case.points.astype(float), case.synthetic_points.astype(float)
    nearest = np.sqrt(((points[:, None] - released[None]) ** 2).sum(axis=2)).min(axis=1)
    hits = nearest <= duplicates.near_radius(case)
    risk = only(ROWS, case)
    assert risk.estimates["attack"].value == pytest.approx(hits[:400].mean(), abs=1e-12)
    assert risk.estimates["control"].value == pytest.approx(hits[400:].mean(), abs=1e-12)
    assert risk.estimates["near"].value == pytest.approx(hits[:400].mean() - hits[400:].mean(), abs=1e-12)


def test_one_target_in_a_hundred_has_a_reference_row_within_the_radius():
    case = a_case("none")
    share = (case.to_reference().distances[:, 0] <= duplicates.near_radius(case)).mean()
    assert share == pytest.approx(duplicates.NEAR, abs=0.002)


def test_copies_are_caught_and_other_rows_are_not():
    copied, clean = only(ROWS, a_case("copies")), only(ROWS, a_case("none"))
    assert copied.headline.above
    assert copied.estimates["exact"].above
    assert copied.estimates["exact"].value == 1.0
    assert not clean.headline.above
    assert not clean.estimates["exact"].above


def test_the_first_measure_sees_copies_with_noise():
    noisy = noisy_copies(people(400, 1), 400, np.random.default_rng(0))
    risk = only(ROWS, a_case(noisy))
    assert risk.headline.above
    assert risk.estimates["exact"].value == 0.0
    assert risk.headline is risk.estimates["near"]


def test_a_tenth_of_copies_is_caught():
    mixed = pd.concat([people(360, 9), people(400, 1).iloc[:40]], ignore_index=True)
    risk = only(ROWS, a_case(mixed))
    assert risk.estimates["exact"].value == pytest.approx(0.1)
    assert risk.headline.above


def test_without_a_leak_the_intervals_hold_their_level():
    # rows of few kinds, so that a good part of the targets reappears by chance
    outside = 0
    for seed in range(60):
        tables = [people(80, 1000 + 4 * seed + i, towns=3)[["town", "job"]] for i in range(4)]
        risk = only(ROWS, case_of(*tables[:3], tables[3].iloc[:6].reset_index(drop=True)))
        estimate = risk.estimates["exact"]
        assert 0.0 < risk.estimates["attack"].value < 1.0
        outside += not estimate.low <= 0.0 <= estimate.high
    assert outside <= 8


def test_the_order_of_rows_does_not_matter():
    synthetic = noisy_copies(people(400, 1), 300, np.random.default_rng(0))
    shuffled = synthetic.sample(frac=1, random_state=4).reset_index(drop=True)
    assert only(ROWS, a_case(synthetic)).estimates == only(ROWS, a_case(shuffled)).estimates


def test_quarters_of_rarity_hold_all_targets():
    case = a_case("copies")
    quarters = only(ROWS, case).details["by rarity"]
    assert len(quarters) == 4
    assert sum(quarter["near"]["members"] for quarter in quarters) == len(case.members)
    assert sum(quarter["exact"]["nonmembers"] for quarter in quarters) == len(case.nonmembers)


def test_a_table_of_few_kinds_of_rows_says_that_only_equal_rows_count():
    tables = [people(200, seed, towns=2)[["town", "job"]] for seed in (1, 2, 3, 4)]
    assert "only equal rows count" in only(ROWS, case_of(*tables)).note


def test_missing_values_are_equal_to_each_other_only():
    members = pd.DataFrame({"x": [1.0, np.nan, 3.0, 4.0, np.nan], "c": ["a", None, "a", "b", "b"]})
    view = TableView(members)
    (coded,) = jointly_coded(view, Rows(members, view.code(members)))
    (keys,) = key_numbers(view, ("x", "c"), coded)
    assert len(set(keys)) == 5
    (missing,) = key_numbers(view, ("x",), coded)
    assert missing[1] == missing[4]
    assert len(set(missing)) == 4


def test_labels_that_training_rows_lack_are_equal_only_where_their_text_is():
    train = pd.DataFrame({"c": ["a", "b", "a"], "x": [1.0, 2.0, 3.0]})
    one, other = (pd.DataFrame({"c": labels, "x": 1.0}) for labels in (["new", "a"], ["newer", "new"]))
    view = TableView(train)
    assert view.code(one).codes[0, 0] == view.code(other).codes[0, 0]  # what the view alone says
    coded = jointly_coded(view, Rows(one, view.code(one)), Rows(other, view.code(other)))
    assert coded[0].codes[0, 0] != coded[1].codes[0, 0]
    assert coded[0].codes[0, 0] == coded[1].codes[1, 0]
    assert coded[0].codes[1, 0] == view.labels["c"]["a"]


def keyed(synthetic, **options):
    return replace(a_case(synthetic, **options), quasi_identifiers=("age", "town", "job"))


def test_keys_are_counted_where_no_other_real_row_has_them():
    case = keyed("copies")
    risk = only(KEYS, case)
    keys = ("age", "town", "job")
    real = tuples(pd.concat([case.train.frame, case.holdout.frame]), keys)
    released = set(tuples(case.synthetic.frame, keys))
    rates, held = [], []
    for rows in (case.members, case.nonmembers):
        unique = [key for key in tuples(rows.frame, keys) if real.count(key) == 1]
        rates.append(np.mean([key in released for key in unique]))
        held.append(len(unique))
    assert risk.n == held[0]
    assert risk.details["non-members with a key of their own"] == held[1]
    assert risk.headline.value == pytest.approx(rates[0] - rates[1])
    assert risk.headline.above
    assert risk.subject == "quasi-identifiers"


def test_keys_of_other_rows_are_no_disclosure():
    assert not only(KEYS, keyed("none")).headline.above


def test_keys_that_everybody_shares_cannot_be_attacked():
    case = replace(a_case("none", n=300), quasi_identifiers=("town",))
    risk = only(KEYS, case)
    assert risk.outcome == "not applicable"
    assert "one person only" in risk.note


def test_without_quasi_identifiers_keys_are_not_attacked():
    assert only(KEYS, a_case("none")).outcome == "not applicable"
    assert "quasi-identifiers" in KEYS.needs


@pytest.mark.parametrize("attack", duplicates.ATTACKS, ids=lambda attack: attack.name)
def test_each_attack_reports_all_its_measures_and_controls_decide(attack):
    case = keyed("copies")
    positive, negative = only(attack, case.positive_control()), only(attack, case.negative_control())
    risk = only(attack, case).judged(positive.headline, negative.headline)
    assert tuple(risk.estimates) == tuple(attack.measures)
    assert risk.outcome == "disclosure"
    clean = only(attack, keyed("none")).judged(positive.headline, negative.headline)
    assert clean.outcome == "no disclosure found"


def test_one_record_that_is_released_a_hundred_times_is_told():
    members = people(400, 1)
    risk = only(ROWS, a_case(members.iloc[[7] * 100].reset_index(drop=True)))
    assert "100 of 100 synthetic rows equal one of 400 training rows, 0 equal one of 800 held-out rows" in risk.note
    assert "equal one of" not in only(ROWS, a_case("none")).note


def test_keys_over_many_columns_do_not_overflow():
    rng = np.random.default_rng(0)
    # more than 2**63 combinations; the first row comes again, differing in the first or in the last column only
    table = pd.DataFrame(rng.integers(0, 2, (60, 150)), columns=[f"c{i}" for i in range(150)])
    table = pd.concat([table, table.iloc[[0, 0, 0]]], ignore_index=True)
    table.loc[61, "c0"] = 1 - table.loc[0, "c0"]
    table.loc[62, "c149"] = 1 - table.loc[0, "c149"]
    view = TableView(table)
    (keys,) = key_numbers(view, view.columns, view.code(table))
    assert keys[60] == keys[0]
    assert len(set(keys.tolist())) == 62
    _, expected = np.unique(view.code(table).codes, axis=0, return_inverse=True)
    assert keys.tolist() == expected.ravel().tolist()
