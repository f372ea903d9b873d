from __future__ import annotations

import pytest
import torch

from synthkit.gan.critics import Critic
from synthkit.gan.penalties import clip_weights, input_gradient, interpolated_gradient, squared_gradient


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def test_squared_gradient_of_a_linear_critic_is_its_squared_weight(rng):
    weight = torch.tensor([3.0, -4.0])
    assert squared_gradient(lambda x: x @ weight, torch.randn(7, 2, generator=rng)).item() == pytest.approx(25.0)


@pytest.mark.parametrize(("weight", "expected"), [([0.6, 0.8], 0.0), ([3.0, 4.0], 16.0), ([0.0, 0.0], 1.0)])
def test_interpolated_gradient_asks_for_norm_one(rng, weight, expected):
    real, fake = torch.randn(6, 2, generator=rng), torch.randn(6, 2, generator=rng)
    critic = torch.tensor(weight)
    assert interpolated_gradient(lambda x: x @ critic, real, fake, rng).item() == pytest.approx(expected, abs=1e-5)


def test_interpolated_gradient_is_taken_between_real_and_fake(rng):
    seen = []
    real, fake = torch.zeros(50, 1), torch.ones(50, 1)

    def critic(x):
        seen.append(x.detach())
        return x.squeeze(1)

    interpolated_gradient(critic, real, fake, rng)
    assert seen[0].min() > 0
    assert seen[0].max() < 1
    assert seen[0].std() > 0.1


def test_input_gradient_matches_finite_differences(rng):
    critic = Critic(4, generator=rng, width=8, fast=False).double()
    points = torch.randn(5, 4, generator=rng, dtype=torch.double)
    gradient = input_gradient(critic, points)
    for k in range(4):
        step = torch.zeros(4, dtype=torch.double)
        step[k] = 1e-3
        # the network is linear between kinks and its scores come back in single precision
        difference = (critic(points + step) - critic(points - step)) / 2e-3
        assert torch.allclose(gradient[:, k], difference.double(), atol=2e-3)


def test_penalty_reaches_the_critics_weights(rng):
    critic = Critic(3, generator=rng, width=8, fast=False)
    squared_gradient(critic, torch.randn(5, 3, generator=rng)).backward()
    assert critic.hidden[0].weight.grad.abs().sum() > 0


def test_clipping_bounds_every_weight(rng):
    critic = Critic(3, generator=rng, width=8)
    clip_weights(critic.parameters(), 0.01)
    assert max(parameter.abs().max().item() for parameter in critic.parameters()) <= 0.01
