from __future__ import annotations

import numpy as np
import pytest
from patients_scans import scans_of
from scipy.ndimage import gaussian_filter

from synthkit.auditing.scans.sharpness import as_sharp_as, band_power


@pytest.mark.parametrize("size", [(20, 20), (15, 18), (8, 12, 10)])
def test_scans_get_the_spectrum_of_the_release(size: tuple[int, ...]) -> None:
    real = scans_of(40, 1, size=size).images
    blurred = gaussian_filter(scans_of(40, 2, size=size).images.astype(float), (0, 0, *(1.0 for _ in size)))
    changed = as_sharp_as(real, blurred)
    wanted = band_power(blurred)[1:]
    seen = wanted > 1e-4
    assert np.abs(np.log(band_power(changed)[1:][seen] / wanted[seen])).max() < 0.5
    assert changed.shape == real.shape


def test_scans_as_sharp_as_themselves_stay_as_they_are() -> None:
    real = scans_of(20, 1).images
    assert np.allclose(as_sharp_as(real, real), real, atol=1e-3)


def test_the_mean_of_each_scan_stays() -> None:
    real = scans_of(10, 1).images
    noisy = real + np.random.default_rng(0).normal(0, 20, real.shape)
    means = as_sharp_as(real, noisy).mean(axis=(1, 2, 3))
    assert np.allclose(means, real.mean(axis=(1, 2, 3)), atol=1e-2)


def test_powers_of_a_scan_sum_to_one_without_its_brightness() -> None:
    assert band_power(scans_of(3, 1).images)[1:].sum() == pytest.approx(1)


def test_scans_of_one_value_have_no_power() -> None:
    assert np.all(band_power(np.full((2, 1, 8, 8), 7.0))[1:] == 0)
