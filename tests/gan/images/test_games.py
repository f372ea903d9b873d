"""Losses by hand and penalties against finite differences, on images."""

from __future__ import annotations

import math

import pytest
import torch

from synthkit.gan.images.nets import Critic
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.losses import IMAGE_LOSSES, LOSSES, loss_named
from synthkit.gan.penalties import clip_weights, input_gradient, interpolated_gradient, squared_gradient
from synthkit.scans.recipes import RECIPES


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def softplus(x):
    return math.log(1 + math.exp(x))


# real scores 2 and 0, fake scores 1 and -3
BY_HAND = {
    "relativistic": ((softplus(-1) + softplus(-3)) / 2, (softplus(1) + softplus(3)) / 2),
    "wgan-gp": (-1 - 1, 1),
    "wgan": (-1 - 1, 1),
    "vanilla": (
        (softplus(-2) + softplus(0)) / 2 + (softplus(1) + softplus(-3)) / 2,
        (softplus(-1) + softplus(3)) / 2,
    ),
    "hinge": ((0 + 1) / 2 + (2 + 0) / 2, 1),
    "least-squares": ((1 + 1) / 2 + (1 + 9) / 2, (0 + 16) / 2),
}


@pytest.mark.parametrize("name", IMAGE_LOSSES)
def test_every_loss_equals_its_hand_calculation(name):
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([1.0, -3.0])
    loss = loss_named(name, IMAGE_LOSSES)
    critic, generator = BY_HAND[name]
    assert loss.critic_loss(real, fake).item() == pytest.approx(critic, rel=1e-5)
    assert loss.generator_loss(real, fake).item() == pytest.approx(generator, rel=1e-5)
    # every entry of a map of scores counts the same
    assert loss.critic_loss(real[None], fake[None]).item() == pytest.approx(critic, rel=1e-5)


def test_losses_of_images_are_not_offered_to_tables():
    assert set(IMAGE_LOSSES) - set(LOSSES) == {"hinge", "least-squares"}


@pytest.mark.parametrize("size", [(8, 8), (4, 5, 6)])
def test_squared_gradient_of_a_linear_critic_is_its_squared_weight(size):
    weight = torch.randn(size, generator=seeded())
    images = torch.randn(3, 1, *size, generator=seeded(1))
    found = squared_gradient(lambda x: (x * weight).flatten(1).sum(1), images)
    assert found.item() == pytest.approx(weight.square().sum().item(), rel=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (4, 5, 6)])
def test_interpolated_gradient_asks_for_norm_one_over_all_axes(size):
    weight = torch.randn(size, generator=seeded())
    weight = 3 * weight / weight.norm()
    real, fake = torch.randn(2, 4, 1, *size, generator=seeded(1))
    found = interpolated_gradient(lambda x: (x * weight).flatten(1).sum(1), real, fake, seeded(2))
    assert found.item() == pytest.approx(4.0, rel=1e-5)


@pytest.mark.parametrize("name", ["r3", "sagan", "lapgan", "vanilla"])
def test_input_gradient_of_an_image_critic_matches_finite_differences(name):
    recipe = RECIPES[name].changed(widths_2d=(8, 8, 8, 8), spread=False)
    spec = ImageSpec((8, 8), n_classes=2)
    critic = Critic(spec, recipe, seeded()).double().eval()
    images = torch.randn(1, 1, 8, 8, generator=seeded(1), dtype=torch.double)
    labels = torch.tensor([1])

    def score(x):
        found = critic.features(x)
        return (
            critic.score(found).squeeze(-1) + (found * critic.table(labels)).sum(-1)
            if critic.table
            else (critic.score(found).squeeze(-1))
        )

    gradient = input_gradient(score, images)
    for row, column in ((0, 0), (3, 5), (7, 2)):
        step = torch.zeros_like(images)
        step[0, 0, row, column] = 1e-4
        # scores come back in double, input_gradient sums them in single precision
        difference = (score(images + step) - score(images - step)) / 2e-4
        assert gradient[0, 0, row, column].item() == pytest.approx(difference.item(), abs=2e-4)


@pytest.mark.parametrize("name", ["r3", "stylegan", "sagan", "lapgan", "cyclegan"])
@pytest.mark.parametrize("size", [(12, 12), (8, 8, 8)])
def test_penalties_reach_the_weights_of_every_critic(name, size):
    recipe = RECIPES[name].changed(widths_2d=(8, 8, 8, 8), widths_3d=(8, 8, 8, 8))
    critic = Critic(ImageSpec(size), recipe, seeded())
    images = torch.randn(4, 1, *size, generator=seeded(1))
    squared_gradient(
        lambda x: critic(x).flatten(1).mean(1) if recipe.critic == "patch" else critic(x), images
    ).backward()
    assert critic.body.enter.weight.grad.abs().sum() > 0 if name != "lapgan" else True
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in critic.parameters())


def test_clipping_bounds_every_weight_of_an_image_critic():
    critic = Critic(ImageSpec((12, 12)), RECIPES["wgan"].changed(widths_2d=(8, 8, 8, 8)), seeded())
    clip_weights(critic.parameters(), 0.02)
    assert max(parameter.abs().max().item() for parameter in critic.parameters()) <= 0.02


def test_the_average_forgets_half_in_a_fiftieth_of_the_plan_unless_the_recipe_says_otherwise():
    recipe = RECIPES["r3"].changed(average=0.0)
    assert recipe.decay(16, 5_000) ** 100 == pytest.approx(0.5)
    assert recipe.changed(average=1600.0).decay(16, 5_000) ** 100 == pytest.approx(0.5)


def test_widths_follow_the_number_of_levels():
    recipe = RECIPES["r3"].changed(widths_2d=(64, 32, 16, 8))
    assert recipe.widths(2, 4) == (64, 32, 16, 8)
    assert recipe.widths(2, 6) == (64, 64, 64, 32, 16, 8)
    assert recipe.widths(2, 2) == (32, 16)
    assert recipe.batch_of(3) == 4
