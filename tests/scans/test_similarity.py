from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError
from synthkit.random import RandomSource
from synthkit.scans.similarity import psnr, ssim


def pictures(shape=(3, 1, 20, 22), seed=0):
    return RandomSource(seed).numpy("pictures").uniform(0, 255, shape)


def test_psnr_of_a_known_error():
    one = np.zeros((2, 1, 4, 4))
    other = one.copy()
    other[0] += 10  # mean squared error 100: 10 log10(255^2 / 100) = 28.13
    other[1] += 1
    assert psnr(one, other, 255.0) == pytest.approx([28.1308, 48.1308], abs=1e-4)


@given(shift=st.floats(0.5, 100), scale=st.floats(0.1, 50))
def test_psnr_does_not_depend_on_units(shift, scale):
    one = pictures()
    other = one + shift
    assert psnr(one * scale, other * scale, 255 * scale) == pytest.approx(psnr(one, other, 255.0), abs=1e-6)


def plain_ssim(one, other, span):
    """The definition, sample by sample, with the window of the paper cut off at 5 samples and mirrored at the edge."""
    places = np.arange(-5, 6)
    weights = np.exp(-(places**2) / (2 * 1.5**2))
    window = np.outer(weights, weights) / weights.sum() ** 2
    padded = [np.pad(image, 5, mode="symmetric") for image in (one, other)]
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    total = 0.0
    for y in range(one.shape[0]):
        for x in range(one.shape[1]):
            a, b = (image[y : y + 11, x : x + 11] for image in padded)
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * a * a).sum() - ma**2, (window * b * b).sum() - mb**2
            ab = (window * a * b).sum() - ma * mb
            total += (2 * ma * mb + c1) * (2 * ab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return total / one.size


def test_ssim_is_its_definition():
    one = pictures((1, 1, 12, 13))
    other = one + pictures((1, 1, 12, 13), seed=1) * 0.3
    assert ssim(one, other, 255.0)[0] == pytest.approx(plain_ssim(one[0, 0], other[0, 0], 255.0), abs=1e-9)


@pytest.mark.parametrize("shape", [(3, 1, 20, 22), (2, 3, 16, 16), (2, 1, 8, 12, 10)])
def test_equal_scans_and_worse_ones(shape):
    one = pictures(shape)
    noise = RandomSource(2).numpy("noise").normal(0, 1, shape)
    assert ssim(one, one, 255.0) == pytest.approx(np.ones(shape[0]))
    assert (psnr(one, one, 255.0) == 200.0).all()
    little, much = one + 5 * noise, one + 50 * noise
    for measure in (psnr, ssim):
        assert (measure(one, little, 255.0) > measure(one, much, 255.0)).all()
        assert measure(one, much, 255.0) == pytest.approx(measure(much, one, 255.0))


def test_no_scans_and_other_shapes():
    assert len(psnr(np.zeros((0, 1, 4, 4)), np.zeros((0, 1, 4, 4)), 1.0)) == 0
    assert len(ssim(np.zeros((0, 1, 4, 4)), np.zeros((0, 1, 4, 4)), 1.0)) == 0
    with pytest.raises(InputError, match=r"\(1, 1, 4, 4\) and \(1, 1, 4, 5\)"):
        psnr(np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 4, 5)), 1.0)
