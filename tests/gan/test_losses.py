from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthkit.errors import InputError
from synthkit.gan.losses import LOSSES, loss_named

scores = st.lists(st.floats(-20, 20), min_size=1, max_size=8).map(
    lambda values: torch.tensor(values, dtype=torch.double)
)


@pytest.mark.parametrize("name", LOSSES)
@given(real=scores, shift=st.floats(0.01, 5))
def test_critic_prefers_real_above_fake(name, real, shift):
    loss = loss_named(name).critic_loss
    assert loss(real + shift, real) < loss(real, real + shift)


@pytest.mark.parametrize("name", LOSSES)
@given(fake=scores, shift=st.floats(0.01, 5))
def test_generator_prefers_higher_scores_for_its_fakes(name, fake, shift):
    loss = loss_named(name).generator_loss
    real = torch.zeros_like(fake)
    assert loss(real, fake + shift) < loss(real, fake)


@given(real=scores, shift=st.floats(-5, 5))
def test_comparing_losses_ignore_a_common_shift(real, shift):
    fake = real.flip(0) * 0.5
    for name in ("relativistic", "wgan", "wgan-gp"):
        loss = loss_named(name)
        assert torch.isclose(loss.critic_loss(real + shift, fake + shift), loss.critic_loss(real, fake))


def test_an_undecided_critic_pays_the_entropy_of_a_coin():
    zeros = torch.zeros(5)
    assert loss_named("relativistic").critic_loss(zeros, zeros).item() == pytest.approx(math.log(2))
    assert loss_named("vanilla").critic_loss(zeros, zeros).item() == pytest.approx(2 * math.log(2))
    assert loss_named("wgan").critic_loss(zeros, zeros).item() == 0


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_scores_stay_finite(name):
    extreme = torch.tensor([1e4, -1e4], requires_grad=True)
    loss = loss_named(name)
    total = loss.critic_loss(extreme, extreme.flip(0)) + loss.generator_loss(extreme, extreme.flip(0))
    (gradient,) = torch.autograd.grad(total, extreme)
    assert torch.isfinite(total)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
def test_paired_says_whether_the_generator_looks_at_real_scores(name):
    loss, fake = loss_named(name), torch.tensor([0.3, -0.2])
    depends = not torch.equal(loss.generator_loss(fake, fake), loss.generator_loss(fake + 1, fake))
    assert depends == loss.paired


def test_unknown_loss_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'wgan-gp'"):
        loss_named("wgangp")
