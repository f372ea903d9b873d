from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from synthkit.gan.images.blocks import (
    Attention,
    Conv,
    Linear,
    Modulated,
    Residual,
    enlarged,
    halve,
    initialise,
    join_pixels,
    split_pixels,
    spread,
)

sizes = st.lists(st.integers(3, 9), min_size=2, max_size=3).map(tuple)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@settings(max_examples=30, deadline=None)
@given(size=sizes, factor=st.sampled_from([1, 2, 4]))
def test_joining_pixels_undoes_splitting_them(size, factor):
    images = torch.randn(2, 3, *size, generator=seeded())
    parts = split_pixels(images, factor)
    assert parts.shape[2:] == torch.Size(-(-length // factor) for length in size)
    assert torch.equal(join_pixels(parts, factor, size), images)


def test_splitting_volumes_follows_the_order_of_torch_for_images():
    volume = torch.randn(1, 2, 4, 4, 4, generator=seeded())
    parts = split_pixels(volume, 2).reshape(1, 2, 2, 4, 2, 2, 2)
    plane = functional.pixel_unshuffle(volume[:, :, 0], 2).reshape(1, 2, 4, 2, 2)
    assert torch.equal(parts[:, :, 0, :, 0], plane)


@settings(max_examples=20, deadline=None)
@given(size=sizes)
def test_halving_keeps_a_constant_and_enlarging_gives_the_size_back(size):
    images = torch.full((1, 1, *size), 0.7)
    small = halve(images)
    assert small.shape[2:] == torch.Size(-(-length // 2) for length in size)
    assert torch.allclose(small, torch.full_like(small, 0.7))
    assert torch.allclose(enlarged(small, size), images)


@pytest.mark.parametrize("nd", [2, 3])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_new_residual_block_changes_nothing(nd, grouped):
    block = Residual(nd, 8, style=4, noise=True, grouped=grouped)
    initialise(block, seeded())
    size = (6, 5, 4)[:nd]
    images = torch.randn(2, 8, *size, generator=seeded(1))
    assert torch.equal(block(images, torch.randn(2, 4, generator=seeded(2)), torch.randn(2, 1, *size)), images)


def test_modulating_equals_a_convolution_with_weights_of_its_own_for_each_image():
    layer = Modulated(2, 3, 5, style=4)
    initialise(layer, seeded())
    images, style = torch.randn(2, 3, 6, 6, generator=seeded(1)), torch.randn(2, 4, generator=seeded(2))
    made = layer(images, style)
    scale = 1 + layer.style(style)
    for i in range(2):
        weight = layer.convolve.weight * scale[i][None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        assert torch.allclose(made[i], functional.conv2d(images[i : i + 1], weight, padding=1)[0], atol=1e-5)


def test_spectral_norm_brings_the_largest_singular_value_to_one():
    layer = Linear(7, 5, spectral=True)
    initialise(layer, seeded())
    for _ in range(50):
        layer.normed()
    assert torch.linalg.matrix_norm(layer.normed(), 2).item() == pytest.approx(1.0, abs=1e-3)
    left = layer.left.clone()
    layer.eval()
    layer.normed()
    assert torch.equal(layer.left, left)


def test_attention_starts_as_the_identity_and_sees_everything_after_that():
    layer = Attention(3, 8)
    initialise(layer, seeded())
    images = torch.randn(1, 8, 4, 4, 4, generator=seeded(1))
    assert torch.equal(layer(images), images)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    changed = images.clone()
    changed[0, :, 0, 0, 0] += 3
    assert (layer(changed) - layer(images))[0, :, 3, 3, 3].abs().max() > 1e-6


def test_spread_is_zero_for_copies_and_counts_within_groups():
    copies = torch.ones(8, 2, 3, 3)
    assert spread(copies)[:, 2].max() == pytest.approx(1e-4)
    images = torch.zeros(4, 1, 2, 2)
    images[0] = 2.0
    # values 2, 0, 0, 0: variance 3/4
    assert spread(images)[:, 1].unique().item() == pytest.approx(0.75**0.5, abs=1e-4)
    assert spread(torch.randn(6, 2, 3, 3)).shape == (6, 3, 3, 3)


def test_he_initialisation_keeps_the_variance():
    layer = Conv(2, 32, 64)
    initialise(layer, seeded())
    images = functional.leaky_relu(torch.randn(4, 32, 16, 16, generator=seeded(1)), 0.2)
    assert layer(images)[:, :, 1:-1, 1:-1].var().item() == pytest.approx(1.0, abs=0.15)
