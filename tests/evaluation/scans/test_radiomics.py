"""Radiomic features, counted for all scans at once, against a slow and obvious count of one scan."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from synthkit.evaluation.scans import radiomics
from synthkit.evaluation.scans.radiomics import LEVELS
from synthkit.random import RandomSource


def levels(shape: tuple[int, ...], *, seed: int, most: int = LEVELS) -> np.ndarray:
    return RandomSource(seed).numpy("levels").integers(0, most, size=shape)


def inside(place: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return all(0 <= part < length for part, length in zip(place, shape, strict=True))


def moved(place: tuple[int, ...], step: tuple[int, ...], times: int = 1) -> tuple[int, ...]:
    return tuple(part + times * one for part, one in zip(place, step, strict=True))


def slow_cooccurrence(scan: np.ndarray, step: tuple[int, ...]) -> np.ndarray:
    counts = np.zeros((LEVELS, LEVELS))
    for place in np.ndindex(scan.shape):
        for sign in (1, -1):
            other = moved(place, step, sign)
            if inside(other, scan.shape):
                counts[scan[place], scan[other]] += 1
    return counts


def slow_runs(scan: np.ndarray, step: tuple[int, ...]) -> np.ndarray:
    counts = np.zeros((LEVELS, max(scan.shape)))
    for place in np.ndindex(scan.shape):
        before = moved(place, step, -1)
        if inside(before, scan.shape) and scan[before] == scan[place]:
            continue
        length, other = 1, moved(place, step)
        while inside(other, scan.shape) and scan[other] == scan[place]:
            length, other = length + 1, moved(other, step)
        counts[scan[place], length - 1] += 1
    return counts


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 4, 3, 5)])
@given(seed=st.integers(0, 200), most=st.sampled_from([1, 2, 3, LEVELS]))
def test_counts_agree_with_those_of_one_scan_after_the_other(shape: tuple[int, ...], seed: int, most: int) -> None:
    scans = levels(shape, seed=seed, most=most)
    for step in radiomics.directions(len(shape) - 1):
        np.testing.assert_array_equal(
            radiomics.cooccurrence(scans, step), [slow_cooccurrence(scan, step) for scan in scans]
        )
        np.testing.assert_array_equal(radiomics.run_lengths(scans, step), [slow_runs(scan, step) for scan in scans])


@pytest.mark.parametrize(("dimensions", "n"), [(2, 4), (3, 13)])
def test_directions_are_one_of_each_opposite_pair(dimensions: int, n: int) -> None:
    found = radiomics.directions(dimensions)
    assert len(found) == n
    every = {step for step in itertools.product((-1, 0, 1), repeat=dimensions) if any(step)}
    assert {*found, *(tuple(-part for part in step) for step in found)} == every


def test_first_order_features_are_what_their_names_say() -> None:
    values = RandomSource(0).numpy("values").normal(size=(2, 9, 11))
    found = radiomics.first_order(values, radiomics.quantised(values, -3, 3))
    for row, scan in zip(found, values, strict=True):
        named = dict(zip(radiomics.FIRST_ORDER, row, strict=True))
        assert named["mean"] == pytest.approx(scan.mean())
        assert named["variance"] == pytest.approx(scan.var())
        assert named["skewness"] == pytest.approx(stats.skew(scan.ravel()))
        assert named["kurtosis"] == pytest.approx(stats.kurtosis(scan.ravel(), fisher=False))
        assert named["interquartile range"] == pytest.approx(stats.iqr(scan))
        counts = np.bincount(radiomics.quantised(scan, -3, 3).ravel(), minlength=LEVELS)
        assert named["entropy"] == pytest.approx(stats.entropy(counts, base=2))


def test_texture_features_of_a_checkerboard_by_hand() -> None:
    board = np.indices((4, 4)).sum(axis=0)[None] % 2
    named = dict(zip(radiomics.COOCCURRENCE, radiomics.cooccurrence_features(board)[0], strict=True))
    # Along rows and columns neighbours differ by 1, along diagonals they are equal.
    assert named["contrast"] == pytest.approx(0.5)
    assert named["inverse difference"] == pytest.approx(0.75)
    assert named["correlation"] == pytest.approx(0, abs=1e-12)
    runs = dict(zip(radiomics.RUNS, radiomics.run_features(board)[0], strict=True))
    # 16 runs of one sample along rows and columns; 7 diagonals are one run each.
    assert runs["run percentage"] == pytest.approx((1 + 1 + 7 / 16 + 7 / 16) / 4)


def test_a_constant_scan_has_features_that_are_numbers() -> None:
    found = radiomics.radiomic_features(np.full((2, 8, 8), 5.0), 0.0, 10.0)
    assert found.shape == (2, len(radiomics.names()))
    assert np.isfinite(found).all()


def test_features_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    scans = RandomSource(1).numpy("scans").uniform(size=(5, 6, 6, 6))
    whole = radiomics.radiomic_features(scans, 0, 1)
    monkeypatch.setattr(radiomics, "_BATCH_SAMPLES", 300)
    np.testing.assert_array_equal(radiomics.radiomic_features(scans, 0, 1), whole)
