from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from synthkit.errors import InputError
from synthkit.gan.budget import Budget
from synthkit.gan.images.batches import ImageBatches
from synthkit.gan.images.nets import Critic, Generator
from synthkit.gan.images.pool import ImagePool
from synthkit.gan.images.recipe import AugmentSettings
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.images.stage import ImageStage, automatic_gamma
from synthkit.gan.trainer import Trainer
from synthkit.random import RandomSource
from synthkit.scans.recipes import RECIPES

SMALL = {"widths_2d": (16, 8, 8, 8), "widths_3d": (8, 8, 8, 8), "batch": 8}
FROM_NOISE = [name for name, recipe in RECIPES.items() if recipe.family == "noise"]


def blobs(n=64, size=(8, 8), seed=0):
    """A bright half on the left (class 0) or on the right (class 1), with a little noise."""
    rng = RandomSource(seed).numpy("blobs")
    labels = np.arange(n) % 2
    images = np.full((n, 1, *size), 40, np.uint8)
    half = size[-1] // 2
    images[labels == 0, ..., :half] = 210
    images[labels == 1, ..., half:] = 210
    return images + rng.integers(0, 20, images.shape, dtype=np.uint8), labels


def to_unit(images):
    return images.float() / 127.5 - 1


def stage_of(recipe, *, size=(8, 8), steps=20, seed=0, score=None, samples=None, **settings):
    images, labels = blobs(size=size)
    spec = ImageSpec(size, n_classes=2, latent=8)
    random = RandomSource(seed)
    return ImageStage(
        spec,
        recipe,
        Generator(spec, recipe, random.torch("generator")),
        lambda generator: Critic(spec, recipe, generator),
        ImageBatches(images, labels, to_unit=to_unit),
        score or (lambda generator: 0.0),
        random,
        total_steps=steps,
        evaluate_every=10,
        samples=samples,
        **settings,
    )


def bytes_of(tensors):
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


@pytest.mark.parametrize("size", [(8, 8), (6, 8, 6)], ids=str)
@pytest.mark.parametrize("name", FROM_NOISE)
def test_every_recipe_takes_steps_and_resumes_with_identical_bytes(name, size):
    recipe = RECIPES[name].changed(**SMALL)
    whole = stage_of(recipe, size=size)
    for step in range(6):
        losses = whole.step(step)
    assert all(np.isfinite(float(value)) for value in losses.values())

    first = stage_of(recipe, size=size)
    for step in range(3):
        first.step(step)
    values, tensors = first.state()
    second = stage_of(recipe, size=size, seed=1)
    second.load_state(values, tensors)
    for step in range(3, 6):
        second.step(step)
    assert bytes_of(second.state()[1]) == bytes_of(whole.state()[1])
    assert second.state()[0] == whole.state()[0]


def test_pool_and_adaptive_changes_are_part_of_the_state():
    recipe = RECIPES["r3"].changed(**SMALL, pool=6)
    recipe = recipe.changed(augment=AugmentSettings(shift=0.2, probability=None))
    whole, first, second = (stage_of(recipe, seed=seed) for seed in (0, 0, 1))
    for step in range(12):
        whole.step(step)
    for step in range(5):
        first.step(step)
    second.load_state(*first.state())
    for step in range(5, 12):
        second.step(step)
    assert bytes_of(second.state()[1]) == bytes_of(whole.state()[1])
    assert second.state()[0] == whole.state()[0]
    assert "pool" in whole.state()[1]


def test_a_short_run_learns_two_blobs_and_their_classes():
    recipe = RECIPES["r3"].changed(
        **SMALL | {"batch": 16}, learning_rate=2e-3, average=200.0, augment=AugmentSettings()
    )
    images, labels = blobs()
    real = to_unit(torch.from_numpy(images))
    targets = torch.stack([real[labels == k].mean(0) for k in (0, 1)])
    noise = RandomSource(5).torch("noise")

    def distance(generator):
        kept = noise.get_state()
        wanted = torch.tensor([0, 1]).repeat_interleave(16)
        made = generator(generator.draw(32, noise), wanted)
        noise.set_state(kept)
        return -float((made.reshape(2, 16, 1, 8, 8).mean(1) - targets).abs().mean())

    stage = stage_of(recipe, steps=160, score=distance)
    with Trainer(Budget()) as trainer:
        report = trainer.run(stage)
    assert report.improved
    assert report.initial_score < -0.4
    assert report.best_score > -0.2


def test_divergence_is_recovered_from_once():
    recipe = RECIPES["r3"].changed(**SMALL)
    stage = stage_of(recipe, steps=20)
    broken = []
    step = stage.step

    def sometimes_broken(index):
        losses = dict(step(index))
        if index == 9 and not broken:
            broken.append(index)
            losses["critic"] = torch.tensor(float("nan"))
            with torch.no_grad():
                next(stage.critic.parameters()).fill_(float("nan"))
        return losses

    stage.step = sometimes_broken
    with Trainer(Budget()) as trainer:
        report = trainer.run(stage)
    assert report.recovered
    assert all(torch.isfinite(parameter).all() for parameter in stage.critic.parameters())
    assert stage.state()[0]["scale"] == 0.5


def test_samples_are_shown_with_the_averaged_weights_at_every_score():
    seen = []

    def look(step, generator):
        seen.append((step, next(generator.parameters()).detach().clone()))

    stage = stage_of(RECIPES["r3"].changed(**SMALL), steps=20, samples=look)
    with Trainer(Budget()) as trainer:
        trainer.run(stage)
    assert [step for step, _ in seen] == [0, 10, 20]
    assert not torch.equal(seen[0][1], seen[2][1])


def test_further_losses_of_the_generator_are_weighted_by_the_recipe():
    recipe = RECIPES["r3"].changed(**SMALL, auxiliary=(("distance", 1000.0),))
    pulled = stage_of(recipe, auxiliary={"distance": lambda batch, fake: (fake - 0.3).square().mean()})
    free = stage_of(RECIPES["r3"].changed(**SMALL))
    for step in range(20):
        losses = pulled.step(step)
        free.step(step)
    assert set(losses) == {"critic", "generator", "distance"}
    with torch.no_grad():
        noise, labels = torch.zeros(2, 8), torch.tensor([0, 1])
        pulled_, free_ = (stage._generator(noise, labels) for stage in (pulled, free))
    assert (pulled_ - 0.3).square().mean() < (free_ - 0.3).square().mean()


def test_one_critic_step_follows_from_loss_and_penalty_by_hand():
    # plain gradient descent in place of Adam, so that the change of the weights is the gradient
    recipe = RECIPES["r3"].changed(**SMALL, augment=AugmentSettings(), spread=False)
    recipe = recipe.changed(penalties=(dataclasses.replace(recipe.penalties[0], weight=0.7, every=1, share=1.0),))
    stage = stage_of(recipe)
    batch = stage._batches.draw(8, RandomSource(3).torch("batch"))
    fake = torch.rand(8, 1, 8, 8, generator=RandomSource(4).torch("fake")) * 2 - 1
    critic = stage.critic
    parameters = list(critic.parameters())
    before = [parameter.detach().clone() for parameter in parameters]

    def gradient_norms(images):
        points = images.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(points, batch.labels).sum(), points, create_graph=True)
        return gradient.square().flatten(1).sum(1).mean()

    scores = critic(batch.images, batch.labels) - critic(fake, batch.labels)
    loss = torch.log1p(torch.exp(-scores)).mean() + 0.35 * (gradient_norms(batch.images) + gradient_norms(fake))
    wanted = torch.autograd.grad(loss, parameters, allow_unused=True)
    stage._critic_optimizer = torch.optim.SGD(parameters, lr=1.0)
    stage._improve_critic(batch, fake)
    for parameter, was, gradient in zip(parameters, before, wanted, strict=True):
        if gradient is not None:
            assert torch.allclose(parameter, was - gradient, atol=1e-4)


def test_weighted_drawing_masks_and_context():
    images, labels = blobs(n=10)
    masks = (images[:, 0] > 100).astype(np.uint8)
    batches = ImageBatches(
        images,
        labels,
        to_unit=to_unit,
        masks=masks,
        mask_classes=2,
        weights=np.array([1.0] + [0.0] * 9),
        context=lambda real, random: real[:, :1, ::2, ::2],
    )
    batch = batches.draw(50, RandomSource(0).torch("draw"))
    assert len(batch) == 50
    assert set(batch.labels.tolist()) == {0}
    assert batch.images.shape == (50, 3, 8, 8)
    assert torch.equal(batch.images[:, 2] > 0, batch.images[:, 0] > 100 / 127.5 - 1)
    assert torch.equal(batch.images[:, 1], -batch.images[:, 2])
    assert torch.equal(batch.context, batch.images[:, :1, ::2, ::2])
    with pytest.raises(InputError, match="lengths"):
        ImageBatches(images, labels[:3])


def test_a_pool_shows_half_former_fakes():
    pool = ImagePool(100, (1, 2, 2), torch.device("cpu"))
    random = RandomSource(0).torch("pool")
    first = torch.zeros(50, 1, 2, 2)
    assert torch.equal(pool.exchanged(first, random), first)
    pool.exchanged(first, random)
    shown = pool.exchanged(torch.ones(50, 1, 2, 2), random)
    assert 0.3 < shown.mean() < 0.7
    again = ImagePool(100, (1, 2, 2), torch.device("cpu"))
    again.load(pool.tensors())
    one, two = RandomSource(1).torch("x"), RandomSource(1).torch("x")
    assert torch.equal(pool.exchanged(shown, one), again.exchanged(shown, two))


def test_automatic_gamma_is_the_rule_of_stylegan2_ada():
    assert automatic_gamma((256, 256), 64) == pytest.approx(0.2048)
    assert automatic_gamma((40, 64, 64), 8) == pytest.approx(0.1024)
