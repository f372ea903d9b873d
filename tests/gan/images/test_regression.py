from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from synthkit.gan.budget import Budget
from synthkit.gan.images.batches import ImageBatches
from synthkit.gan.images.nets import Translator
from synthkit.gan.images.regression import RegressionStage
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.trainer import Trainer
from synthkit.random import RandomSource
from synthkit.scans.recipes import RECIPES

SPEC = ImageSpec((8, 8), context_channels=1)
RECIPE = RECIPES["srgan"].changed(widths_2d=(8, 8, 8), depth=1, learning_rate=5e-3)


def stage_of(steps=30, broken_at=None, seed=0):
    """Learn to turn pictures into their negatives."""
    random = RandomSource(seed)
    images = random.numpy("images").uniform(-0.9, 0.9, (40, 1, 8, 8)).astype(np.float32)
    network = Translator(SPEC, RECIPE, random.torch("network"), halvings=1)
    batches = ImageBatches(images, context=lambda real, _: -real)
    judged = torch.from_numpy(images[:8])
    calls = []

    def loss(batch):
        calls.append(len(batch))
        value = functional.mse_loss(network(batch.context), batch.images)
        return value * float("nan") if len(calls) == broken_at else value

    def score():
        return -float(functional.mse_loss(network(-judged), judged))

    stage = RegressionStage(
        network, RECIPE, batches, loss, score, random.child("stage"), total_steps=steps, evaluate_every=10, n=8
    )
    return stage, network


def test_the_loss_goes_down_and_the_best_is_kept():
    stage, _ = stage_of(60)
    report = Trainer(Budget()).run(stage)
    assert report.improved
    assert report.best_score > report.initial_score / 2
    assert stage.evaluate() == report.best_score  # the network is left in its best state


def test_same_seed_same_network():
    first, second = (stage_of(5) for _ in range(2))
    for stage, _ in (first, second):
        Trainer(Budget()).run(stage)
    for one, other in zip(first[1].parameters(), second[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_it_goes_on_exactly_where_it_stopped():
    whole, network = stage_of(12)
    for index in range(12):
        whole.step(index)
    half, _ = stage_of(12)
    for index in range(6):
        half.step(index)
    values, tensors = half.state()
    rest, again = stage_of(12, seed=1)
    # other batches of other images would be another problem: only weights, moments and random numbers are taken over
    rest._batches, images = half._batches, None
    rest.load_state(values, tensors)
    assert images is None
    for index in range(6, 12):
        rest.step(index)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_it_recovers_from_a_loss_that_is_no_number():
    stage, network = stage_of(20, broken_at=10)
    report = Trainer(Budget(), check_every=1).run(stage)
    assert report.recovered
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())
