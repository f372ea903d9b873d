"""The map of values at the end of a generator: laws of the map, and when it is kept."""

from __future__ import annotations

import types

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from synthkit.gan.images.nets import TONES, Generator
from synthkit.gan.images.spec import ImageSpec
from synthkit.random import RandomSource
from synthkit.scans.intensity import Intensity
from synthkit.scans.recipes import RECIPES
from synthkit.scans.tones import fit_tones, rising_map
from synthkit.scans.unit_images import UnitImages

values = arrays(np.float32, st.integers(1, 60), elements=st.floats(-1, 1, width=32))
KNOTS = np.linspace(-1, 1, 257)


@given(real=values, drawn=values)
def test_a_map_never_falls_and_stays_within_the_real_values(real, drawn):
    found = rising_map(real, drawn, KNOTS)
    assert (np.diff(found) >= 0).all()
    assert found.min() >= real.min()
    assert found.max() <= real.max()


@given(real=values, drawn=values)
def test_a_map_gives_drawn_values_the_real_ranks(real, drawn):
    """Against the definition, value by value."""
    found = rising_map(real, drawn, drawn.astype(np.float64))
    for value, moved in zip(drawn, found, strict=True):
        rank = (drawn < value).mean() / 2 + (drawn <= value).mean() / 2
        assert moved in real
        below, upto = (real < moved).mean(), (real <= moved).mean()
        assert below - 1e-6 <= rank <= upto + 1e-6


def test_grain_around_a_value_that_many_have_becomes_that_value():
    rng = np.random.default_rng(0)
    real = np.concatenate([np.full(6_000, -0.8), rng.uniform(-0.7, 1, 4_000)]).astype(np.float32)
    drawn = np.concatenate([rng.normal(-0.79, 0.01, 6_000), rng.uniform(-0.7, 1, 4_000)]).astype(np.float32)
    found = rising_map(real, drawn, np.linspace(-0.81, -0.78, 9))
    assert found == pytest.approx(-0.8)
    elsewhere = np.linspace(-0.5, 0.9, 9)
    assert rising_map(real, drawn, elsewhere) == pytest.approx(elsewhere, abs=0.06)


@pytest.fixture
def generator():
    spec = ImageSpec((8, 8), n_classes=2, mask_classes=2, latent=4)
    return Generator(spec, RECIPES["r3"].changed(widths_2d=(8, 8)), torch.Generator().manual_seed(0)).eval()


def test_without_tones_values_are_untouched_and_with_them_they_are_interpolated(generator):
    noise, labels = generator.draw(4, torch.Generator().manual_seed(1)), torch.tensor([0, 1, 0, 1])
    plain = generator(noise, labels)
    assert torch.equal(plain, generator.train()(noise, labels))
    generator.eval().tones[1] = torch.linspace(0.0, 0.2, TONES)
    moved = generator(noise, labels)
    assert torch.equal(moved[::2], plain[::2])  # of the other class
    assert torch.equal(moved[:, 1:], plain[:, 1:])  # regions
    assert torch.allclose(moved[1::2, :1], (plain[1::2, :1] * 1.1 + 0.1).clamp(-1, 1), atol=1e-6)
    assert torch.equal(generator.train()(noise, labels), plain)  # the game is played without


@pytest.mark.parametrize("better", [True, False])
def test_tones_are_kept_where_held_out_scans_say_so(generator, better):
    images = np.where(np.random.default_rng(0).random((60, 1, 8, 8)) < 0.7, 20, 200).astype(np.uint8)
    labels = np.zeros(60, np.int64)  # class 1 has no scans: it is left alone
    training = UnitImages(images, labels, None, np.arange(60), Intensity(0.0, 255.0))
    context = types.SimpleNamespace(training=training, random=RandomSource(0))
    report = fit_tones(context, generator, lambda _: 1.0 if better else -1.0, 0.0)
    assert report == {"before": 0.0, "after": 1.0 if better else -1.0, "kept": float(better)}
    assert generator.training
    assert bool(generator.tones[0].any()) is better
    assert not generator.tones[1].any()
    if better:
        noise = generator.draw(200, torch.Generator().manual_seed(3))
        drawn = generator.eval()(noise, torch.zeros(200, dtype=torch.int64))[:, 0]
        share = ((drawn + 1) * 127.5 - 20).abs().lt(0.5).float().mean()
        assert share == pytest.approx(0.7, abs=0.05)
