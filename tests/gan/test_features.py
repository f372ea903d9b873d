from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.gan.features import FeatureMap
from synthkit.gan.layout import Layout
from synthkit.gan.relaxed import RelaxedBatch, Segments


def encoded(seed=0, rows=400):
    """A category, a long column with two spikes and a missing atom, a short ordered column, a long grid column."""
    rng = np.random.default_rng(seed)
    sizes, atoms = [3, 43, 5, 36], [3, 3, 0, 0]
    symbols = np.stack([rng.integers(0, size, rows) for size in sizes], 1).astype(np.int32)
    positions = np.full(symbols.shape, 0.5, np.float32)
    in_bins = symbols[:, 1] >= 3
    positions[in_bins, 1] = rng.uniform(0.01, 0.99, in_bins.sum())
    keys = [None, np.concatenate([[np.nan, 0.0, 100.0], np.arange(40) + 0.5]), None, None]
    return Layout.from_data(sizes, atoms, symbols, positions, keys), symbols, positions


def hot(layout, symbols):
    return Segments(layout.sizes.tolist()).one_hot(torch.tensor(symbols))


def test_a_hard_row_looks_the_same_real_or_generated():
    layout, symbols, positions = encoded()
    features = FeatureMap(layout)
    real = features.real(torch.tensor(symbols), torch.tensor(positions))
    fake = features.relaxed(RelaxedBatch(hot(layout, symbols), torch.tensor(positions)))
    assert real.shape == (len(symbols), features.width) == (len(symbols), len(features.columns))
    assert torch.allclose(real, fake, atol=1e-6)


def test_positions_in_symbols_without_an_inside_cannot_be_told_apart():
    layout, symbols, positions = encoded()
    features = FeatureMap(layout)
    noisy = np.where(layout.inside[layout.offsets[:-1] + symbols], positions, 0.123).astype(np.float32)
    fake = features.relaxed(RelaxedBatch(hot(layout, symbols), torch.tensor(noisy)))
    assert torch.allclose(features.real(torch.tensor(symbols), torch.tensor(positions)), fake, atol=1e-6)


def test_hats_sum_to_one_exactly_in_the_bins():
    layout, symbols, positions = encoded()
    features = FeatureMap(layout)
    part = features.real(torch.tensor(symbols), torch.tensor(positions))[:, features.columns == 1]
    hats = part[:, 4:12].sum(1)  # after three atoms and the scale
    assert torch.allclose(hats, torch.tensor(symbols[:, 1] >= 3).float(), atol=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_scale_rises_with_the_value_spikes_included(seed):
    layout, symbols, positions = encoded(seed)
    features = FeatureMap(layout)
    scale = features.real(torch.tensor(symbols), torch.tensor(positions))[:, features.columns == 1][:, 3].numpy()
    spikes = np.array([np.nan, 0.0, 100.0])
    bins = symbols[:, 1] >= 3
    values = np.where(bins, symbols[:, 1] - 3 + positions[:, 1], spikes[np.minimum(symbols[:, 1], 2)])
    known = ~np.isnan(values)
    order = np.argsort(values[known])
    assert np.all(np.diff(scale[known][order]) >= -1e-5)
    assert np.all(scale[~known] == 0)
    assert np.abs(scale).max() <= 1.7 + 1e-6


def test_gradient_flows_into_symbols_and_positions():
    layout, symbols, positions = encoded(rows=20)
    features = FeatureMap(layout)
    hard, where = hot(layout, symbols).requires_grad_(), torch.tensor(positions).requires_grad_()
    features.relaxed(RelaxedBatch(hard, where)).square().sum().backward()
    assert hard.grad.abs().sum(0).min() > 0
    # the grid column has no inside, but its position still tells the generator which way to move
    assert where.grad[:, 1].abs().sum() > 0
    assert where.grad[:, 3].abs().sum() > 0


def test_layout_survives_the_model_file():
    layout, symbols, positions = encoded()
    again = Layout.from_state(layout.state())
    rows = torch.tensor(symbols), torch.tensor(positions)
    assert torch.equal(FeatureMap(layout).real(*rows), FeatureMap(again).real(*rows))
    assert layout.width == sum(layout.sizes)
    assert layout.owner.tolist() == np.repeat(np.arange(4), layout.sizes).tolist()


@pytest.mark.parametrize("rows", [1, 2])
def test_tiny_tables_have_finite_features(rows):
    layout, symbols, positions = encoded(rows=rows)
    assert torch.isfinite(FeatureMap(layout).real(torch.tensor(symbols), torch.tensor(positions))).all()
