from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from synthkit.errors import InputError
from synthkit.gan.budget import Budget
from synthkit.gan.images.anchor import Anchored, AnchorStage, Latents, negative_evidence, normal_of
from synthkit.gan.images.batches import ImageBatches
from synthkit.gan.images.nets import Critic, Generator
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.images.stage import ImageStage
from synthkit.gan.trainer import Trainer
from synthkit.random import RandomSource
from synthkit.scans.recipes import RECIPES

SPEC = ImageSpec((8, 8), n_classes=2, latent=6)
RECIPE = RECIPES["r3"].changed(widths_2d=(16, 8, 8, 8), batch=8, anchor=0.3, anchored=0.5, auxiliary=(("anchor", 2.0),))


def images(n=40, seed=0):
    """Squares of any brightness on the left (class 0) or on the right (class 1)."""
    rng = RandomSource(seed).numpy("images")
    labels = np.arange(n) % 2
    found = np.full((n, 1, 8, 8), -0.8, np.float32)
    bright = rng.uniform(-0.2, 0.9, n).astype(np.float32)
    for i in range(n):
        found[i, 0, 2:6, 4 * labels[i] : 4 * labels[i] + 4] = bright[i]
    return ImageBatches(found, labels)


def anchor_stage(seed=0, steps=40):
    random = RandomSource(seed)
    generator = Generator(SPEC, RECIPE, random.torch("generator"))
    stage = AnchorStage(SPEC, RECIPE, generator, images(), images(seed=1), random, total_steps=steps, evaluate_every=20)
    return stage, generator


def bytes_of(tensors):
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def test_negative_evidence_by_hand():
    real, made = torch.zeros(2, 1, 2, 2), torch.full((2, 1, 2, 2), 0.5)
    means, log_spreads = torch.tensor([[1.0], [1.0]]), torch.zeros(2, 1)
    assert negative_evidence(real, made, means, log_spreads).item() == pytest.approx(math.log(0.501) + 0.5 / 4)
    # each image has errors of a width of its own
    uneven = torch.stack([torch.full((1, 2, 2), 0.5), torch.full((1, 2, 2), 0.01)])
    found = negative_evidence(real, uneven, torch.zeros(2, 1), log_spreads).item()
    assert found == pytest.approx((math.log(0.501) + math.log(0.011)) / 2)


def test_the_anchor_learns_to_give_images_back_and_tells_where_they_are():
    stage, generator = anchor_stage(steps=100)
    with Trainer(Budget()) as trainer:
        report = trainer.run(stage)
    assert report.best_score > report.initial_score + 0.5
    latents = stage.finish()
    assert latents.means.shape == latents.spreads.shape == (40, 6)
    batch = images().at(torch.arange(40), RandomSource(0).torch("at"))
    with torch.no_grad():
        made = generator(generator.unplaced(latents.means, batch.labels), batch.labels)
    assert generator.centres.abs().max() > 0

    assert (made - batch.images).abs().mean() < 0.15


def test_noise_is_placed_where_the_classes_are():
    random = RandomSource(0)
    generator = Generator(SPEC, RECIPE, random.torch("generator"))
    means = torch.randn(500, 6, generator=random.torch("means")) @ torch.randn(6, 6, generator=random.torch("mix")) + 3
    mean, root = normal_of(means, torch.full((500, 6), 0.2))
    assert torch.allclose(mean, means.mean(0))
    assert torch.allclose(root @ root.T, torch.cov(means.T, correction=0) + (0.04 + 1e-4) * torch.eye(6), atol=1e-3)
    generator.place(torch.stack([mean, -mean]), torch.stack([root, torch.eye(6)]))
    noise, labels = torch.randn(4000, 6, generator=random.torch("noise")), torch.arange(4000) % 2
    placed = generator.placed(noise, labels)
    assert torch.allclose(generator.unplaced(placed, labels), noise, atol=1e-4)
    assert torch.allclose(placed[labels == 1], noise[labels == 1] - mean)
    assert torch.allclose(torch.cov(placed[labels == 0].T), root @ root.T, rtol=0.2, atol=1.5)
    empty, standard = normal_of(means[:0], means[:0])
    assert torch.equal(empty, torch.zeros(6))
    assert torch.equal(standard, torch.eye(6))


def test_the_anchor_resumes_with_identical_bytes():
    whole, first, second = (anchor_stage(seed)[0] for seed in (0, 0, 1))
    for step in range(6):
        whole.step(step)
    for step in range(3):
        first.step(step)
    second.load_state(*first.state())
    for step in range(3, 6):
        second.step(step)
    assert bytes_of(second.state()[1]) == bytes_of(whole.state()[1])


def test_scoring_uses_no_random_numbers_of_the_training():
    stage, _ = anchor_stage()
    stage.step(0)
    before = bytes_of(stage.state()[1])
    assert stage.evaluate() == stage.evaluate()
    assert bytes_of(stage.state()[1]) == before


def test_a_share_of_the_fakes_is_given_back_and_pays_for_the_difference():
    random = RandomSource(0)
    generator = Generator(SPEC, RECIPE, random.torch("generator"))
    critic = Critic(SPEC, RECIPE, random.torch("critic"))
    source = images()
    latents = Latents(torch.full((40, 6), 5.0), torch.zeros(40, 6))
    anchored = Anchored(generator, latents, 0.5)
    batch = source.draw(8, random.torch("batch"))
    assert batch.rows is not None
    fake = anchored.draw(batch, random.torch("noise"))
    noise = generator.draw(8, random.torch("noise"))
    # two images are given back from the same latents: they differ only in class and noise maps, which start at zero
    own = generator(torch.full((4, 6), 5.0), batch.labels[:4])
    assert torch.allclose(fake[:4], own, atol=1e-6)
    rest = fake[4:]
    assert rest.shape == (4, 1, 8, 8)
    assert not torch.allclose(rest, own, atol=1e-3)
    assert noise.shape[1] == generator.noise_size
    assert anchored.difference(critic, batch, batch.images).item() == pytest.approx(0.0, abs=1e-6)
    assert anchored.difference(critic, batch, fake) > 0.1
    assert Anchored(generator, latents, 0.0).difference(critic, batch, fake).item() == 0
    with pytest.raises(InputError, match="from 0 to 1"):
        Anchored(generator, latents, 1.5)


def test_the_game_reports_the_anchor_and_plays_with_it():
    random = RandomSource(0)
    generator = Generator(SPEC, RECIPE, random.torch("generator"))
    latents = Latents(torch.randn(40, 6, generator=random.torch("means")), torch.full((40, 6), 0.1))
    stage = ImageStage(
        SPEC,
        RECIPE,
        generator,
        lambda source: Critic(SPEC, RECIPE, source),
        images(),
        lambda generator: 0.0,
        random,
        total_steps=40,
        latents=latents,
    )
    first = float(stage.step(0)["anchor"])
    for step in range(1, 40):
        last = float(stage.step(step)["anchor"])
    assert last < 0.8 * first
