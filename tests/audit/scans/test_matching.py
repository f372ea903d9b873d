from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patients_scans import scans_of

from synthkit.auditing.scans.matching import Search, aligned, nearest_scans
from synthkit.errors import InputError


def slow_distance(query: np.ndarray, other: np.ndarray, shift: int, *, mirrored: bool) -> float:
    """The definition: one less the largest correlation of the middle of a scan with any part of the other."""
    space = query.shape[1:]
    margin = [min(shift, length // 8) for length in space]
    best = -1.0
    for own in (query, query[..., ::-1]) if mirrored else (query,):
        middle = own[(slice(None), *(slice(m, n - m) for m, n in zip(margin, space, strict=True)))].ravel()
        for moved in product(*(range(-m, m + 1) for m in margin)):
            place = (slice(m + by, n - m + by) for m, n, by in zip(margin, space, moved, strict=True))
            part = other[(slice(None), *place)].ravel()
            best = max(best, float(np.corrcoef(middle.astype(float), part.astype(float))[0, 1]))
    return 1 - best


@pytest.mark.parametrize("size", [(20, 20), (16, 25), (8, 16, 10)])
@pytest.mark.parametrize("mirrored", [True, False])
def test_distances_are_those_of_the_definition(size: tuple[int, ...], mirrored: bool) -> None:
    queries, base = scans_of(2, 1, size=size).images, scans_of(6, 2, size=size).images
    found = nearest_scans(queries, base, 6, search=Search(mirrored=mirrored))
    for query, distances, rows in zip(queries, found.distances, found.rows, strict=True):
        expected = np.array([slow_distance(query, base[row], 2, mirrored=mirrored) for row in rows])
        assert np.allclose(distances, expected, atol=2e-5)
        assert np.all(np.diff(distances) >= 0)
        assert sorted(rows) == list(range(6))


def test_the_screen_loses_no_nearest_scan() -> None:
    queries, base = scans_of(6, 3).images, scans_of(200, 4).images
    found = nearest_scans(queries, base, 1)
    slow = np.array([[slow_distance(query, other, 2, mirrored=True) for other in base[:40]] for query in queries])
    few = nearest_scans(queries, base[:40], 1)
    assert np.array_equal(few.rows[:, 0], slow.argmin(axis=1))
    assert np.all(found.distances <= few.distances + 1e-6)


@settings(max_examples=12, deadline=None)
@given(
    st.tuples(st.integers(-2, 2), st.integers(-2, 2)),
    st.booleans(),
    st.floats(0.2, 5),
    st.floats(-1000, 1000),
    st.integers(0, 29),
)
def test_a_moved_mirrored_scaled_copy_is_at_no_distance(
    moved: tuple[int, int], mirrored: bool, gain: float, offset: float, row: int
) -> None:
    base = scans_of(30, 5).images
    copy = np.roll(base[row : row + 1].astype(np.float64), moved, axis=(2, 3)) * gain + offset
    found = nearest_scans(copy[..., ::-1] if mirrored else copy, base, 1)
    assert found.rows[0, 0] == row
    assert found.distances[0, 0] < 1e-4


def test_noisy_copies_are_found() -> None:
    base = scans_of(200, 6).images
    noisy = base[:50] + np.random.default_rng(0).normal(0, 10, base[:50].shape)
    assert np.array_equal(nearest_scans(noisy, base, 1).rows[:, 0], np.arange(50))


def test_a_mirrored_copy_is_another_scan_when_mirroring_is_off() -> None:
    base = scans_of(30, 5).images
    assert np.all(nearest_scans(base[:5, ..., ::-1], base, 1, search=Search(mirrored=False)).distances > 0.05)


def test_scans_of_one_value_are_near_each_other_only() -> None:
    base = np.concatenate([scans_of(5, 7).images, np.full((1, 1, 20, 20), 9, np.uint8)])
    found = nearest_scans(np.full((1, 1, 20, 20), 200, np.uint8), base, 6)
    assert found.rows[0, 0] == 5
    assert found.distances[0].tolist() == [0, 1, 1, 1, 1, 1]


def test_scans_of_one_patient_are_kept_apart() -> None:
    scans = scans_of(20, 8, per_patient=3)
    groups = scans.groups
    free = nearest_scans(scans.images, scans.images, 1)
    apart = nearest_scans(scans.images, scans.images, 1, apart=(groups, groups))
    assert np.all(free.distances == 0)
    assert np.all(groups[apart.rows[:, 0]] != groups)
    assert np.all(apart.distances > 0.01)


def test_a_patient_without_any_other_scan_has_no_neighbour() -> None:
    scans = scans_of(1, 8, per_patient=3)
    found = nearest_scans(scans.images, scans.images, 2, apart=(scans.groups, scans.groups))
    assert np.all(found.distances == 2)
    assert np.all(found.rows == -1)


def test_large_scans_are_averaged_and_copies_still_found() -> None:
    base = scans_of(12, 9, size=(20, 20)).images.repeat(15, axis=2).repeat(15, axis=3)
    found = nearest_scans(base[:4], base, 1)
    assert np.array_equal(found.rows[:, 0], np.arange(4))
    assert np.all(found.distances == 0)


def test_an_offset_of_thousands_changes_nothing() -> None:
    queries, base = scans_of(5, 1).images, scans_of(40, 2).images
    near = nearest_scans(queries, base, 3)
    far = nearest_scans(queries.astype(np.float32) - 1024, base.astype(np.int16) + 20_000, 3)
    assert np.allclose(near.distances, far.distances, atol=1e-4)


def test_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="same shape"):
        nearest_scans(scans_of(2, 1).images, scans_of(2, 1, size=(20, 21)).images)


def test_alignment_undoes_what_the_distance_does_not_see() -> None:
    image = scans_of(1, 3).images[0].astype(np.float64)
    changed = np.roll(image, (1, -2), axis=(1, 2))[..., ::-1] * 0.5 + 70
    back = aligned(image, changed)
    assert np.abs(back - image)[:, 2:-2, 2:-2].max() < 1e-6
