"""The marginal attack: against counting one target at a time, and on a leak that no distance sees."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

import synthkit.auditing.attacks.membership_marginals as module
from synthkit.auditing.attacks.membership_marginals import PSEUDO, log_ratio, marginal_scores
from synthkit.auditing.case import AuditCase
from synthkit.auditing.intervals import auc_estimate
from synthkit.evaluation.case import Rows
from synthkit.evaluation.controls import independent_columns
from synthkit.evaluation.view import TableView


def table(n, seed, columns=2):
    rng = np.random.default_rng(seed)
    numbers = {f"x{position}": np.round(rng.normal(size=n), 4) for position in range(columns)}
    return pd.DataFrame({**numbers, "kind": rng.choice(["a", "b", "c"], n)})


def make_case(train, holdout, synthetic, seed=0):
    view = TableView(train)

    def rows(frame):
        frame = frame.reset_index(drop=True)
        return Rows(frame, view.code(frame))

    half = len(holdout) // 2
    parts = (train, holdout, synthetic, train[:half], holdout[:half], holdout[half:])
    return AuditCase(view, *(rows(part) for part in parts), seed=seed)


def counted(case):
    """Return the scores by counting, one target and one marginal at a time."""
    frames = [case.synthetic.frame, case.reference.frame]
    targets = pd.concat([case.members.frame, case.nonmembers.frame])
    names = list(targets.columns)

    def ratio(target, key):
        shares = []
        for frame in frames:
            same = np.ones(len(frame), dtype=bool)
            for name in key:
                same &= (frame[name] == target[name]).to_numpy()
            shares.append(same.sum() / len(frame) + PSEUDO / len(frames[1]))
        return max(0.0, math.log(shares[0] / shares[1]))

    found = []
    for _, target in targets.iterrows():
        single = sum(ratio(target, (name,)) for name in names)
        joint = sum(ratio(target, pair) for pair in combinations(names, 2))
        found.append(single + 2 / (len(names) - 1) * joint)
    return np.array(found)


def test_scores_are_those_of_counting():
    people = table(160, 0).round(1)
    case = make_case(people[:40], people[40:120], people[20:60])
    np.testing.assert_allclose(marginal_scores(case), counted(case), atol=1e-9)


def test_values_drawn_from_the_training_rows_are_found_though_no_distance_sees_them():
    people = table(1200, 1)
    train, holdout = people[:400], people[400:]
    case = make_case(train, holdout, independent_columns(train, 400, np.random.default_rng(0)))
    found, near = marginal_scores(case), -case.to_synthetic().distances[:, 0]
    assert auc_estimate(found[case.is_member], found[~case.is_member], 0.999).above
    assert not auc_estimate(near[case.is_member], near[~case.is_member], 0.999).above


def test_a_cell_counts_where_the_release_has_it_too_often():
    synthetic, reference = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 2])
    found = log_ratio(synthetic, reference, np.array([0, 1, 2, 3, 0]), pseudo=0.4)
    assert found.tolist() == pytest.approx([math.log(0.85 / 0.35), 0, 0, 0, math.log(0.85 / 0.35)])


def test_of_many_pairs_some_are_drawn_and_scaled(monkeypatch):
    people = table(300, 2, columns=5).round(1)
    case = make_case(people[:100], people[100:], people[:100])
    whole = marginal_scores(case)
    monkeypatch.setattr(module, "MOST_PAIRS", 8)
    some = marginal_scores(case)
    np.testing.assert_array_equal(some, marginal_scores(case))
    assert np.corrcoef(whole, some)[0, 1] > 0.9
    assert some.mean() == pytest.approx(whole.mean(), rel=0.2)


def test_one_column_has_no_pairs():
    people = table(300, 3)[["x0"]]
    case = make_case(people[:100], people[100:], people[:100])
    assert marginal_scores(case)[case.is_member].min() > 0


def test_missing_values_are_a_value():
    people = table(300, 4)
    people.loc[::3, "x0"] = np.nan
    case = make_case(people[:100], people[100:], people[:100].assign(x0=np.nan))
    missing = np.isnan(np.concatenate([rows.coded.numbers[:, 0] for rows in (case.members, case.nonmembers)]))
    found = marginal_scores(case)
    assert np.isfinite(found).all()
    assert found[missing].mean() > found[~missing].mean()
