"""Nearest rows: against brute force in double precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import synthkit.auditing.neighbours as module
from synthkit.auditing.neighbours import nearest, within

# Few distinct values, so that equal rows and equal distances are frequent.
grids = st.integers(1, 4).flatmap(
    lambda features: st.tuples(
        *(
            hnp.arrays(
                np.float32,
                st.tuples(st.integers(1, 25), st.just(features)),
                elements=st.sampled_from([-1.5, 0.0, 0.25, 1.0, 3.0]),
            )
            for _ in range(2)
        )
    )
)


def brute(points, base):
    return np.sqrt(((points[:, None].astype(float) - base[None].astype(float)) ** 2).sum(2))


@given(grids, st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_the_nearest_rows_are_those_of_brute_force(tables, k):
    points, base = tables
    found, all_distances = nearest(points, base, k), brute(points, base)
    assert found.size == len(base)
    assert found.rows.shape == (len(points), min(k, len(base)))
    np.testing.assert_allclose(found.distances, np.sort(all_distances, axis=1)[:, :k], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(all_distances, found.rows, 1), found.distances, atol=1e-5)
    assert all(len(set(row)) == len(row) for row in found.rows.tolist())


@given(grids, st.sampled_from([0.0, 0.25, 1.25, 2.0**0.5, 4.5]))
@settings(deadline=None, max_examples=60)
def test_rows_within_a_radius_are_those_of_brute_force(tables, radius):
    points, base = tables
    expected = (brute(points, base) <= radius + 1e-5).sum(1)
    assert within(points, base, radius).tolist() == expected.tolist()


@pytest.mark.parametrize("cells", [1, 7, 100])
def test_blocks_change_nothing(cells, monkeypatch):
    rng = np.random.default_rng(0)
    points, base = rng.normal(size=(23, 3)).astype(np.float32), rng.normal(size=(31, 3)).astype(np.float32)
    whole, counts = nearest(points, base, 5), within(points, base, 1.0)
    monkeypatch.setattr(module, "_CELLS", cells)
    blocks = nearest(points, base, 5)
    np.testing.assert_array_equal(whole.rows, blocks.rows)
    np.testing.assert_array_equal(whole.distances, blocks.distances)
    np.testing.assert_array_equal(counts, within(points, base, 1.0))


def test_an_equal_row_is_at_distance_zero_even_far_from_the_middle():
    rng = np.random.default_rng(1)
    base = (rng.normal(size=(500, 20)) + 1000).astype(np.float32)
    found = nearest(base[::7], base, 3)
    assert (found.distances[:, 0] == 0).all()
    np.testing.assert_array_equal(found.rows[:, 0], np.arange(500)[::7])


def test_on_many_features_distances_are_those_of_brute_force():
    rng = np.random.default_rng(2)
    points, base = (rng.normal(size=(n, 60)).astype(np.float32) for n in (50, 400))
    found = nearest(points, base)
    np.testing.assert_allclose(found.distances, np.sort(brute(points, base), axis=1)[:, :10], rtol=1e-6)


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(3)
    points, base = (rng.normal(size=(n, 4)).astype(np.float32) for n in (40, 90))
    order = rng.permutation(len(base))
    first, second = nearest(points, base), nearest(points, base[order])
    np.testing.assert_allclose(first.distances, second.distances, rtol=1e-5)
    np.testing.assert_array_equal(first.rows, order[second.rows])


def test_tables_without_features_have_no_distance():
    nothing = np.empty((6, 0), dtype=np.float32)
    assert (nearest(nothing[:4], nothing, 2).distances == 0).all()
    assert within(nothing[:4], nothing, 0.0).tolist() == [6] * 4


def test_the_order_of_the_base_does_not_change_distances():
    rng = np.random.default_rng(0)
    points, base = (rng.lognormal(0, 3, (n, 7)).astype(np.float32) for n in (40, 3_000))
    expected = nearest(points, base).distances
    for seed in range(5):
        mixed = base[np.random.default_rng(seed).permutation(len(base))]
        np.testing.assert_array_equal(nearest(points, mixed).distances, expected)
