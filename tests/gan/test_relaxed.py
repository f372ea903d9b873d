from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.gan.relaxed import Segments, gumbel, straight_through

sizes_of_columns = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@given(sizes=sizes_of_columns, seed=st.integers(0, 99))
def test_one_symbol_per_column_and_exact_zeros_and_ones(sizes, seed):
    rng = torch.Generator().manual_seed(seed)
    segments = Segments(sizes)
    hard = segments.straight_through(torch.randn(7, sum(sizes), generator=rng), rng)
    assert set(hard.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(segments.sum(hard), torch.ones(7, len(sizes)))
    assert torch.equal(segments.one_hot(segments.argmax(hard)), hard)


@given(sizes=sizes_of_columns, seed=st.integers(0, 99))
def test_softmax_agrees_with_torch_per_column(sizes, seed):
    logits = torch.randn(3, sum(sizes), generator=torch.Generator().manual_seed(seed)) * 30
    parts = [part.softmax(1) for part in logits.split(sizes, 1)]
    assert torch.equal(Segments(sizes).softmax(logits), torch.cat(parts, 1))


@settings(max_examples=5)
@given(st.integers(0, 10))
def test_drawn_shares_are_the_softmax(seed):
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 5, generator=rng).expand(20_000, 5)
    segments = Segments([2, 3])
    share = segments.straight_through(logits, rng).mean(0)
    assert torch.allclose(share, segments.softmax(logits)[0], atol=0.02)
    chosen = segments.choose(logits, rng)
    assert torch.allclose(segments.one_hot(chosen).mean(0), segments.softmax(logits)[0], atol=0.02)


def test_gradient_points_to_the_symbols_that_are_rewarded():
    rng = torch.Generator().manual_seed(0)
    logits = torch.zeros(4, requires_grad=True)
    reward = torch.tensor([0.0, 1.0, 0.0, 2.0])
    (Segments([2, 2]).straight_through(logits.expand(2000, 4), rng) @ reward).mean().backward()
    assert logits.grad[1] > 0 > logits.grad[0]
    assert logits.grad[3] > 0 > logits.grad[2]


def test_straight_through_keeps_the_value_to_the_last_bit():
    soft = torch.tensor([1 / 3, 0.1], requires_grad=True)
    hard = torch.tensor([1.0, 0.0])
    result = straight_through(hard, soft)
    (result * torch.tensor([2.0, 3.0])).sum().backward()
    assert torch.equal(result.detach(), hard)
    assert soft.grad.tolist() == [2.0, 3.0]


def test_gumbel_noise_is_finite_with_the_right_mean():
    noise = gumbel(torch.empty(200_000), torch.Generator().manual_seed(3))
    assert torch.isfinite(noise).all()
    assert noise.mean().item() == pytest.approx(np.euler_gamma, abs=0.01)
