"""Intensities, power spectrum and MS-SSIM against slow definitions and cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from synthkit.evaluation.scans import appearance
from synthkit.random import RandomSource


def scans(n: int = 12, size: tuple[int, ...] = (24, 24), *, seed: int = 0) -> np.ndarray:
    return RandomSource(seed).numpy("scans").integers(0, 256, size=(n, 1, *size)).astype(np.uint8)


@given(seed=st.integers(0, 100))
def test_gaps_of_intensities_are_those_of_scipy(seed: int) -> None:
    a, b = scans(4, (5, 6), seed=seed), (scans(5, (5, 6), seed=seed + 1) * 0.7).astype(np.uint8)
    edges = appearance.edges_of(a, b)
    found = appearance.intensity_scores(appearance.histogram(a, edges), appearance.histogram(b, edges), units="HU")
    assert found["intensity_ks"].value == pytest.approx(stats.ks_2samp(a.ravel(), b.ravel()).statistic)
    assert found["intensity_shift"].value == pytest.approx(stats.wasserstein_distance(a.ravel(), b.ravel()), rel=1e-5)
    assert found["intensity_shift"].note == "in HU"


def test_a_shift_in_hounsfield_units_is_told_in_hounsfield_units() -> None:
    rng = RandomSource(0).numpy("ct")
    a = rng.normal(0, 300, size=(10, 1, 16, 16)).astype(np.float32)
    b = rng.normal(0, 300, size=(10, 1, 16, 16)).astype(np.float32) + 50
    edges = appearance.edges_of(a, b)
    found = appearance.intensity_scores(appearance.histogram(a, edges), appearance.histogram(b, edges))
    assert found["intensity_shift"].low < 50 < found["intensity_shift"].high


def test_histograms_hold_every_value_once() -> None:
    images = scans()
    found = appearance.histogram(images, appearance.edges_of(images))
    np.testing.assert_allclose(found.shares.sum(axis=1), 1, rtol=1e-5)
    counts = np.bincount(images[3].ravel(), minlength=256)[images.min() :][: found.shares.shape[1]]
    np.testing.assert_allclose(found.shares[3] * images[3].size, counts, atol=1e-3)


@pytest.mark.parametrize("size", [(16, 16), (12, 20), (8, 10, 12)])
def test_the_radial_spectrum_is_the_mean_power_of_each_ring(size: tuple[int, ...]) -> None:
    images = scans(2, size).astype(float)
    frequencies, power = appearance.radial_power(images)
    window = np.ones(size)
    for axis, length in enumerate(size):
        fade = np.hanning(length + 2)[1:-1]
        window *= fade.reshape([-1 if axis == place else 1 for place in range(len(size))])
    squares = np.abs(np.fft.fftn((images[1, 0] - images[1, 0].mean()) * window)) ** 2 / (window**2).sum()
    grid = np.meshgrid(*(np.fft.fftfreq(length) for length in size), indexing="ij")
    radius = np.sqrt(sum(part**2 for part in grid))
    bins = len(frequencies)
    for place in range(bins):
        ring = (radius + 1e-9 >= place * 0.5 / bins) & (radius + 1e-9 < (place + 1) * 0.5 / bins)
        assert power[1, place] == pytest.approx(squares[ring].mean() if ring.any() else 0)


def test_white_noise_has_the_power_of_its_variance_at_every_frequency() -> None:
    noise = RandomSource(0).numpy("noise").normal(0, 3, size=(200, 1, 32, 32))
    _, power = appearance.radial_power(noise)
    np.testing.assert_allclose(power.mean(axis=0)[1:], 9, rtol=0.15)


def test_blur_is_seen_as_missing_power_at_high_frequencies() -> None:
    sharp = scans(40)
    powers = [appearance.radial_power(images)[1] for images in (sharp, scans(40, seed=1), appearance.blurred(sharp))]
    same, blurred = (appearance.spectrum_score(powers[0], other) for other in powers[1:])
    assert blurred.low > same.high
    assert next(iter(blurred.details.values())) < -10


def slow_ssim_parts(a: np.ndarray, b: np.ndarray, span: float) -> tuple[float, float]:
    radius, sigma = appearance.SSIM_RADIUS, appearance.SSIM_SIGMA
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = np.outer(taps, taps) / taps.sum() ** 2
    pads = [np.pad(one, radius, mode="edge") for one in (a, b)]
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    structures, luminances = [], []
    for row, column in np.ndindex(a.shape):
        x, y = (pad[row : row + 2 * radius + 1, column : column + 2 * radius + 1] for pad in pads)
        mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
        var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
        both = (weights * (x - mean_x) * (y - mean_y)).sum()
        structures.append((2 * both + c2) / (var_x + var_y + c2))
        luminances.append((2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1))
    return float(np.mean(structures)), float(np.mean(luminances))


def test_ms_ssim_is_what_it_says_over_two_scales() -> None:
    a, b = (one.astype(float) for one in (scans(1, (23, 26)), scans(1, (23, 26), seed=1)))
    b = 0.6 * a + 0.4 * b
    fine = slow_ssim_parts(a[0, 0], b[0, 0], 255)
    halves = [one[0, 0][:22, :26].reshape(11, 2, 13, 2).mean(axis=(1, 3)) for one in (a, b)]
    coarse = slow_ssim_parts(halves[0], halves[1], 255)
    weights = np.array(appearance.SSIM_WEIGHTS[:2]) / sum(appearance.SSIM_WEIGHTS[:2])
    expected = fine[0] ** weights[0] * (coarse[0] * coarse[1]) ** weights[1]
    assert appearance.ms_ssim(a, b, 255.0)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [(8, 8), (40, 33), (12, 14, 16)])
def test_equal_scans_are_alike_and_others_less(size: tuple[int, ...]) -> None:
    a, b = scans(4, size), scans(4, size, seed=1)
    np.testing.assert_allclose(appearance.ms_ssim(a, a, 255.0), 1)
    assert (appearance.ms_ssim(a, b, 255.0) < 0.9).all()
    np.testing.assert_allclose(appearance.ms_ssim(a, b, 255.0), appearance.ms_ssim(b, a, 255.0))


def test_a_repeated_scan_is_a_gap_of_likeness_with_its_sign() -> None:
    rng = RandomSource(0).numpy("pairs")
    real, one = scans(60), np.repeat(scans(1), 60, axis=0)
    pairs = {"all": appearance.likeness(real, 255.0, rng)}
    bad = appearance.diversity_score(pairs, {"all": appearance.likeness(one, 255.0, rng)})
    good = appearance.diversity_score(pairs, {"all": appearance.likeness(scans(60, seed=1), 255.0, rng)})
    assert bad.low > good.high
    assert bad.details["classes"]["all"]["difference"] > 0
    assert math.isnan(appearance.diversity_score(pairs, {"all": np.zeros(0)}).value)


def test_no_scan_is_in_two_pairs() -> None:
    marks = np.broadcast_to(np.arange(10.0)[:, None, None, None], (10, 1, 12, 12))
    found = appearance.likeness(marks, 10.0, RandomSource(0).numpy("pairs"))
    assert len(found) == 5
    assert (found < 1).all()
