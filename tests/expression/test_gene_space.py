from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from synthkit.expression.gene_space import GeneSpaceStage, fit_gene_space
from synthkit.expression.gene_space_nets import LATENT, GeneCritic, GeneGenerator
from synthkit.expression.model import Training, Wanted
from synthkit.gan.budget import Budget
from synthkit.gan.trainer import Trainer
from synthkit.random import RandomSource


def blocks(n=240, genes=16):
    """Class 0 has the counts in the first half of the genes, class 1 in the second half."""
    rng = RandomSource(3).numpy("blocks")
    classes = np.arange(n) % 2
    rates = np.where((np.arange(genes) < genes // 2) == (classes[:, None] == 0), 9.0, 1.0)
    values = sparse.csr_matrix(rng.poisson(rates).astype(np.float32))
    wanted = Wanted(classes.astype(np.int64), np.zeros(n, np.int64), np.zeros((n, 0), np.float32))
    return Training(values, wanted, "counts", 2, 1)


def stage_of(steps=4):
    training = blocks()
    net = GeneGenerator(16, 2, "counts", 80.0, RandomSource(0).torch("net"))
    values = training.values.log1p()
    score = lambda: 0.0  # noqa: E731
    return GeneSpaceStage(net, values, training.conditions.classes, 2, score, RandomSource(1), total_steps=steps)


def test_training_finds_the_classes_and_improves_the_held_out_score():
    training = blocks()
    with Trainer(Budget()) as trainer:
        model, report = fit_gene_space(training, RandomSource(0), trainer, 60.0, steps=60)
    assert report.improved
    drawn = model.draw(training.conditions, RandomSource(1)).toarray()
    halves = drawn.reshape(len(drawn), 2, -1).sum(2)
    own = halves[np.arange(len(drawn)), training.conditions.classes]
    assert own.sum() > 1.2 * (halves.sum() - own.sum())


def test_a_stage_goes_on_exactly_where_its_state_was_taken():
    stage = stage_of()
    stage.step(0)
    values, tensors = stage.state()
    stage.step(1)
    other = stage_of()
    other.load_state(values, tensors)
    other.step(1)
    for name, tensor in stage.state()[1].items():
        torch.testing.assert_close(other.state()[1][name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("measure", ["counts", "log", "rates", "intensities"])
def test_generator_keeps_the_range_of_the_measure_and_no_cell_depends_on_another(measure):
    net = GeneGenerator(16, 2, measure, 80.0, RandomSource(0).torch("net"), torch.ones(16))
    noise = torch.randn(6, LATENT, generator=RandomSource(0).torch("noise"))
    classes = torch.tensor([0, 1] * 3)
    made = net(noise, classes)
    if measure == "counts":
        torch.testing.assert_close(made.expm1().sum(1), torch.full((6,), 80.0), rtol=1e-3, atol=0.1)
    if measure != "intensities":
        assert made.min() >= 0
    torch.testing.assert_close(net(noise[:2], classes[:2]), made[:2], rtol=1e-2, atol=1e-2)


def test_the_critic_scores_the_class_by_projection():
    critic = GeneCritic(16, 2, RandomSource(0).torch("critic"))
    cells = torch.ones(2, 16)
    classes = torch.tensor([0, 1])
    before = critic(cells, classes)
    assert before[0] == before[1]
    with torch.no_grad():
        critic.projection[1] += 1
    assert critic(cells, classes)[0] == before[0]
    assert critic(cells, classes)[1] != before[1]
