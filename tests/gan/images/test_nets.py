from __future__ import annotations

import pytest
import torch
from torch import nn

from synthkit.errors import InputError
from synthkit.gan.images.critics import CRITICS
from synthkit.gan.images.generators import GENERATORS
from synthkit.gan.images.nets import Critic, Encoder, Generator, Translator
from synthkit.gan.images.spec import ImageSpec
from synthkit.scans.recipes import RECIPES, recipe_named

SMALL = {"widths_2d": (16, 12, 8, 8), "widths_3d": (12, 8, 8, 4)}
SIZES = [(16, 16), (28, 28), (17, 11), (8, 12, 8), (9, 7, 5)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small(name):
    return RECIPES[name].changed(**SMALL)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_makes_and_scores_scans_of_any_size(name, size):
    recipe, n_masks = small(name), 0 if len(size) == 2 else 3
    context = 1 if recipe.family in ("superresolution", "translation", "inpainting") else 0
    spec = ImageSpec(size, n_classes=2, mask_classes=n_masks, context_channels=context)
    generator, critic = Generator(spec, recipe, seeded()), Critic(spec, recipe, seeded(1))
    labels = torch.tensor([0, 1])
    source = torch.rand(2, 1, *size) if context else None
    made = generator(generator.draw(2, seeded(2)), labels, source)
    assert made.shape == (2, 1 + n_masks, *size)
    assert made.abs().max() <= 1
    scores = critic(made, labels, source)
    assert scores.shape[0] == 2
    assert scores.dim() == (2 if recipe.critic == "patch" else 1)
    (gradient,) = torch.autograd.grad(scores.sum(), made)
    assert torch.isfinite(gradient).all()
    assert gradient.flatten(1).abs().sum(1).min() > 0


@pytest.mark.parametrize("name", RECIPES)
def test_no_net_has_batch_norm_and_a_score_without_spread_is_of_one_image(name):
    recipe = small(name).changed(spread=False)
    spec = ImageSpec((16, 16), n_classes=2)
    critic = Critic(spec, recipe, seeded()).eval()
    assert not [part for part in critic.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    images, labels = torch.rand(4, 1, 16, 16, generator=seeded(3)), torch.tensor([0, 1, 1, 0])
    together = critic(images, labels)
    alone = torch.cat([critic(images[i : i + 1], labels[i : i + 1]) for i in range(4)])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.conditional])
def test_class_and_noise_change_the_scan_and_class_changes_the_score(name):
    spec, recipe = ImageSpec((16, 16), n_classes=3), small(name)
    generator, critic = Generator(spec, recipe, seeded()).eval(), Critic(spec, recipe, seeded(1)).eval()
    noise = generator.draw(1, seeded(2)).repeat(3, 1)
    made = generator(noise, torch.tensor([0, 1, 2]))
    assert (made[0] - made[1]).abs().max() > 1e-3
    other = generator(generator.draw(3, seeded(4)), torch.tensor([0, 1, 2]))
    assert (made - other).abs().max() > 1e-3
    scores = critic(made[:1].repeat(3, 1, 1, 1), torch.tensor([0, 1, 2]))
    assert scores.std() > 1e-4


def test_classes_must_be_given_where_there_are_any():
    spec = ImageSpec((16, 16), n_classes=3)
    generator, critic = Generator(spec, small("r3"), seeded()), Critic(spec, small("r3"), seeded())
    with pytest.raises(InputError, match="got none"):
        generator(generator.draw(1, seeded()))
    with pytest.raises(InputError, match="got none"):
        critic(torch.zeros(1, 1, 16, 16))


def test_regions_are_probabilities_of_every_sample():
    spec = ImageSpec((8, 8, 8), mask_classes=3)
    generator = Generator(spec, small("r3"), seeded())
    regions = (generator(generator.draw(2, seeded(1)))[:, 1:] + 1) / 2
    assert torch.allclose(regions.sum(1), torch.ones(2, 8, 8, 8), atol=1e-5)
    assert regions.min() >= 0


def test_the_same_generator_of_random_numbers_gives_the_same_weights():
    spec = ImageSpec((16, 16))
    one, two, other = (Generator(spec, small("r3"), seeded(seed)) for seed in (0, 0, 1))
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(first, second)
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_an_untrained_translator_gives_back_its_source():
    source = torch.rand(2, 1, 8, 8, generator=seeded()) * 1.6 - 0.8
    spec = ImageSpec((16, 16), context_channels=1)
    made = Translator(spec, small("srgan"), seeded())(source)
    enlarged = nn.functional.interpolate(source, size=(16, 16), mode="bilinear")
    assert (made - enlarged).abs().mean() < 0.1


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_translator_and_encoder_take_any_size(size):
    spec = ImageSpec(size, context_channels=2, mask_classes=2, latent=5)
    made = Translator(spec, small("cyclegan"), seeded())(torch.zeros(2, 2, *size))
    assert made.shape == (2, 3, *size)
    assert Encoder(spec, small("fanogan"), seeded())(made).shape == (2, 5)


@pytest.mark.parametrize("size", [(3, 20), (20,), (4, 4, 4, 4)])
def test_sizes_that_no_net_can_make_are_refused(size):
    with pytest.raises(InputError, match="at least 4"):
        ImageSpec(size)


def test_levels_halve_from_the_full_size_to_about_four():
    assert ImageSpec((64, 64)).levels() == ((4, 4), (8, 8), (16, 16), (32, 32), (64, 64))
    assert ImageSpec((64, 64)).levels(1)[-1] == (32, 32)
    assert ImageSpec((40, 56, 40)).levels(1) == ((5, 7, 5), (10, 14, 10), (20, 28, 20))
    assert ImageSpec((33, 21)).levels() == ((9, 6), (17, 11), (33, 21))


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'stylegan'"):
        recipe_named("stylgan")
    with pytest.raises(InputError, match="did you mean 'learning_rate'"):
        RECIPES["r3"].changed(learning_rat=1.0)
    spec = ImageSpec((16, 16))
    with pytest.raises(InputError, match="did you mean 'residual'"):
        Generator(spec, RECIPES["r3"].changed(generator="residul"))
    with pytest.raises(InputError, match="did you mean 'patch'"):
        Critic(spec, RECIPES["r3"].changed(critic="patches"))


def test_recipes_name_nets_that_exist_and_themselves():
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.generator in GENERATORS
        assert recipe.critic in CRITICS
