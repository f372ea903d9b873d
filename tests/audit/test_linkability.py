"""Linkability and its distance against plain loops, with and without a leak."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthkit.auditing.attacks import linkability
from synthkit.auditing.case import AuditCase
from synthkit.auditing.coding import jointly_coded
from synthkit.auditing.gower import GowerSpace, in_canonical_order
from synthkit.evaluation.case import Rows
from synthkit.evaluation.controls import noisy_copies
from synthkit.evaluation.view import TableView

(ATTACK,) = linkability.ATTACKS
KNOWN = ("age", "town")


def people(n, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "weight": np.where(rng.random(n) < 0.1, np.nan, rng.normal(70, 12, n)),
            "income": rng.lognormal(9, 1, n),
            "town": rng.choice([f"town {i}" for i in range(12)], n),
            "job": rng.choice(["nurse", "clerk", "baker", None], n),
        }
    )


def a_case(synthetic="none", n=300, known=KNOWN, seed=0):
    tables = [people(n, start) for start in (1, 2, 3)]
    copies = noisy_copies(tables[0], n, np.random.default_rng(5))
    released = {"copies": copies, "none": people(n, 9)}[synthetic] if isinstance(synthetic, str) else synthetic
    view = TableView(tables[0])
    rows = [Rows(table, view.code(table)) for table in (*tables, released)]
    holdout = pd.concat(tables[1:], ignore_index=True)
    held = Rows(holdout, view.code(holdout))
    return AuditCase(view, rows[0], held, rows[3], *rows[:3], known, seed=seed)


def run(case):
    (risk,) = ATTACK.run(case)
    return risk


def plain_distance(view, one, other, columns, widths):
    """The distance of two coded rows, column by column."""
    total = 0.0
    for name in columns:
        if name in view.numeric:
            place = view.numeric.index(name)
            a, b = one[0][place], other[0][place]
            if np.isnan(a) or np.isnan(b):
                total += 0.0 if np.isnan(a) and np.isnan(b) else 1.0
            else:
                total += abs(a - b) / widths[name]
        else:
            place = view.categorical.index(name)
            total += float(one[1][place] != other[1][place])
    return total


def test_distances_are_those_of_a_plain_loop():
    case = a_case(n=40)
    targets, base = jointly_coded(case.view, case.members, case.synthetic)
    space = GowerSpace.of(case.view, targets, base)
    widths = {}
    for place, name in enumerate(case.view.numeric):
        both = np.concatenate([targets.numbers[:, place], base.numbers[:, place]])
        widths[name] = np.nanmax(both) - np.nanmin(both)
    rows = [list(zip(table.numbers, table.codes, strict=True)) for table in (targets, base)]
    for columns in (case.view.columns, KNOWN, ("weight",), ("job",)):
        expected = [[plain_distance(case.view, a, b, columns, widths) for b in rows[1]] for a in rows[0]]
        found = np.vstack([space.distances(columns, part) for part in space.blocks()])
        np.testing.assert_allclose(found, expected, atol=2e-9)
        # of equally near rows the first
        nearest = [min(range(len(base)), key=lambda j: (round(line[j], 8), j)) for line in expected]
        np.testing.assert_array_equal(space.nearest(columns)[:, 0], nearest)


def test_more_neighbours_come_in_the_order_of_their_distance():
    case = a_case(n=60)
    targets, base = jointly_coded(case.view, case.members, case.synthetic)
    space = GowerSpace.of(case.view, targets, base)
    found = space.nearest(KNOWN, 5)
    distances = np.vstack([space.distances(KNOWN, part) for part in space.blocks()])
    np.testing.assert_array_equal(found, np.argsort(distances, axis=1, kind="stable")[:, :5])
    assert space.nearest(KNOWN, 1000).shape == (60, 60)


def test_small_blocks_find_the_same(monkeypatch):
    case = a_case(n=60)
    targets, base = jointly_coded(case.view, case.members, case.synthetic)
    space = GowerSpace.of(case.view, targets, base)
    whole = space.nearest(case.view.columns, 3)
    monkeypatch.setattr("synthkit.auditing.gower._CELLS", 150)
    assert len(list(space.blocks())) == 30
    np.testing.assert_array_equal(space.nearest(case.view.columns, 3), whole)


def test_a_column_without_spread_adds_nothing():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "c": ["a", "b", "a"]})
    view = TableView(frame)
    still = view.code(frame.assign(x=5.0))
    space = GowerSpace.of(view, still, still)
    assert space.distances(("x",), slice(0, 3)).max() < 1e-8


def test_the_canonical_order_depends_on_what_rows_hold_only():
    case = a_case(n=50)
    shuffle = np.random.default_rng(2).permutation(50)
    one = case.synthetic.coded
    other = one.take(shuffle)
    first = one.take(in_canonical_order(one, np.random.default_rng(0)))
    second = other.take(in_canonical_order(other, np.random.default_rng(0)))
    np.testing.assert_array_equal(first.numbers, second.numbers)
    np.testing.assert_array_equal(first.codes, second.codes)


def test_linked_is_who_has_a_row_in_both_lists():
    one, other = np.array([[1, 2], [3, 4], [5, 6]]), np.array([[2, 9], [5, 6], [6, 5]])
    np.testing.assert_array_equal(linkability.linked_by(one, other), [True, False, True])
    np.testing.assert_array_equal(linkability.linked_by(one[:, :1], other[:, :1]), [False, False, False])


def test_chance_is_that_of_two_random_sets():
    rng = np.random.default_rng(0)
    drawn = [set(rng.permutation(20)[:5]) & set(rng.permutation(20)[:5]) != set() for _ in range(4000)]
    assert linkability._chance(5, 20) == pytest.approx(np.mean(drawn), abs=0.03)
    assert linkability._chance(1, 20) == pytest.approx(1 / 20)
    assert linkability._chance(5, 3) == 1.0


def test_copies_are_linked_and_other_rows_are_not():
    copied, clean = run(a_case("copies")), run(a_case())
    assert copied.headline.above
    assert copied.headline.value > 0.2
    assert clean.headline.low <= 0.0 <= clean.headline.high
    assert tuple(copied.estimates) == tuple(ATTACK.measures)


def test_the_rates_are_those_of_a_plain_search():
    case = a_case("copies", n=80)
    risk = run(case)
    rest = tuple(name for name in case.view.columns if name not in KNOWN)
    coded = jointly_coded(case.view, case.members, case.nonmembers, case.synthetic)
    space = GowerSpace.of(case.view, coded[0].above(coded[1]), coded[2])
    nearest = [
        [set(np.flatnonzero(line <= line.min() + 1e-8)) for line in space.distances(columns, slice(0, 160))]
        for columns in (KNOWN, rest)
    ]
    # a link needs a row that is nearest by both; where nothing is tied it is enough
    possible = np.array([bool(one & other) for one, other in zip(*nearest, strict=True)])
    certain = np.array([len(one) == len(other) == 1 and one == other for one, other in zip(*nearest, strict=True)])
    for rate, part in ((risk.estimates["attack"], slice(0, 80)), (risk.estimates["control"], slice(80, 160))):
        assert certain[part].mean() <= rate.value <= possible[part].mean()


def test_the_order_of_rows_does_not_matter_and_seeds_repeat():
    released = noisy_copies(people(300, 1), 300, np.random.default_rng(5))
    shuffled = released.sample(frac=1, random_state=3).reset_index(drop=True)
    assert run(a_case(released)).estimates == run(a_case(shuffled)).estimates
    assert run(a_case(released)) == run(a_case(released))


def test_it_needs_two_known_columns_and_another():
    for known in ((), ("age",), ("age", "weight", "income", "town", "job")):
        risk = run(a_case(known=known))
        assert risk.outcome == "not applicable"
        assert "two quasi-identifiers" in risk.note


def test_few_targets_are_tried_where_a_limit_says_so():
    case = a_case("copies")
    case = replace(case, limits=replace(case.limits, linked=50))
    assert run(case).n == 50


def test_controls_decide():
    case = a_case("copies")
    positive, negative = run(case.positive_control()).headline, run(case.negative_control()).headline
    assert run(case).judged(positive, negative).outcome == "disclosure"
    assert run(a_case()).judged(positive, negative).outcome == "no disclosure found"
