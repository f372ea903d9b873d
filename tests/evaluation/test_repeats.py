from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.evaluation.repeats import _to_another, repeated_score
from synthkit.evaluation.view import TableView


def people(rows, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 6))
    numbers[:, 1:] += numbers[:, :1]
    frame = pd.DataFrame(numbers, columns=list("abcdef"))
    return frame.assign(town=rng.choice(["Bern", "Basel", "Thun"], rows))


def score(real, synthetic, **options):
    view = TableView(real)
    coded = [view.code(frame) for frame in (real, synthetic)]
    return repeated_score(view, *coded, np.random.default_rng(0), **{"most_rows": 5_000} | options)


def varied(frame, noise, seed=0):
    """The rows with one number changed a little."""
    return frame.assign(a=frame["a"] + np.random.default_rng(seed).normal(0, noise, len(frame)))


def test_other_real_rows_score_about_one_in_a_hundred():
    found = [score(people(1_500, seed), people(1_500, seed + 50)) for seed in range(6)]
    assert np.mean([one.value for one in found]) == pytest.approx(0.01, abs=0.006)
    assert all(one.low <= one.value <= one.high for one in found)


def test_rows_that_come_twice_with_a_cell_changed_are_found():
    half = people(700, 3)
    found = score(people(1_400, 1), pd.concat([half, varied(half, 0.01)], ignore_index=True))
    assert found.value > 0.98
    assert found.low > 0.9


def test_the_share_of_families_is_the_score():
    rows = people(1_200, 5)
    found = score(people(1_600, 1), pd.concat([rows, varied(rows.head(400), 1e-3)], ignore_index=True))
    assert found.value == pytest.approx(0.5, abs=0.02)
    assert found.low < 0.5 < found.high


def test_copies_of_real_rows_are_no_repeats():
    real = people(1_000, 1)
    assert score(real, real.sample(frac=1, random_state=0)).value < 0.03


def test_a_family_counts_once_in_the_interval():
    """Two hundred pairs say less than four hundred rows that have nothing to do with each other."""
    pairs = pd.concat([people(200, 3), varied(people(200, 3), 1e-3), people(400, 4)], ignore_index=True)
    found = score(people(800, 1), pairs)
    independent = 2 * 1.96 * np.sqrt(0.25 / 800)
    assert found.high - found.low > 1.25 * independent


def test_where_real_rows_repeat_only_equal_rows_count():
    real = people(500, 1)
    real = pd.concat([real, real.head(200)], ignore_index=True)
    close = pd.concat([people(300, 2), varied(people(300, 2), 1e-3)], ignore_index=True)
    found = score(real, close)
    assert found.value == 0
    assert "real rows equal another one" in found.note
    assert score(real, real).value == pytest.approx(400 / 700, abs=1e-9)


@pytest.mark.parametrize("rows", [0, 1])
def test_it_needs_two_rows(rows):
    found = score(people(20, 1), people(20, 2).head(rows))
    assert not found.applies
    assert "two rows" in found.note


@given(st.integers(2, 40), st.integers(1, 40), st.integers(0, 2**16))
@settings(deadline=None)
def test_the_nearest_other_point_is_the_nearest_by_hand(n, most, seed):
    points = np.random.default_rng(seed).integers(0, 3, (n, 3)).astype(np.float32)  # with equal ones
    found, families = _to_another(points, most)
    by_hand = np.linalg.norm(points[:, None] - points[None], axis=2)
    by_hand[np.arange(n), np.arange(n)] = np.inf
    np.testing.assert_allclose(found, by_hand.min(axis=1)[:most], atol=1e-6)
    assert len(families) == min(n, most)


def test_pairs_are_families():
    points = np.array([[0.0], [0.1], [5.0], [5.1], [9.0], [9.2], [9.3]], np.float32)
    families = _to_another(points, 7)[1]
    assert [families[i] == families[j] for i, j in ((0, 1), (2, 3), (4, 5), (5, 6), (1, 2), (3, 4))] == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]
