from __future__ import annotations

import torch

from synthkit.gan.critics import Critic


def make(**settings):
    return Critic(5, generator=torch.Generator().manual_seed(1), width=16, **settings)


def test_a_score_does_not_depend_on_the_other_rows():
    critic = make(fast=False)
    rows = torch.randn(9, 5, generator=torch.Generator().manual_seed(2))
    alone = torch.cat([critic(rows[i : i + 1]) for i in range(9)])
    assert torch.allclose(critic(rows), alone, atol=1e-6)


def test_conditions_change_the_score():
    critic = make(conditions=2)
    rows = torch.randn(4, 5, generator=torch.Generator().manual_seed(2))
    assert not torch.equal(critic(rows, torch.zeros(4, 2)), critic(rows, torch.ones(4, 2)))


def test_initial_weights_come_from_the_generator_only():
    before = torch.random.get_rng_state()
    first, second = make(), make()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_fast_products_change_scores_little_and_stay_float32():
    rows = torch.randn(50, 5, generator=torch.Generator().manual_seed(2))
    fast, exact = make(fast=True)(rows), make(fast=False)(rows)
    assert fast.dtype == torch.float32
    assert torch.allclose(fast, exact, atol=0.02)
