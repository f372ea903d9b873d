from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from free_table import FreeTable, two_columns

from synthkit.errors import InputError
from synthkit.gan.adversary import SETTINGS, AdversarySettings, AdversaryStage, settings_for
from synthkit.gan.budget import Budget
from synthkit.gan.features import FeatureMap
from synthkit.gan.layout import Layout
from synthkit.gan.losses import LOSSES
from synthkit.gan.network import NetworkGenerator
from synthkit.gan.trainer import Trainer
from synthkit.random import RandomSource


def encoded():
    """Features of the table, its symbols and positions."""
    symbols = two_columns(2000)
    positions = np.full(symbols.shape, 0.5, np.float32)
    layout = Layout.from_data([2, 3], [2, 3], symbols, positions)
    return FeatureMap(layout), torch.tensor(symbols), torch.tensor(positions)


def stage_for(generator, loss="relativistic", seed=1, **options):
    features, symbols, positions = encoded()
    options = {"total_steps": 150, "evaluate_every": 25, "width": 32, "generator_rate": 0.03} | options
    score = options.pop("score", lambda: -generator.distance())
    return AdversaryStage(generator, features, symbols, positions, score, RandomSource(seed), loss=loss, **options)


def test_every_loss_has_settings_and_the_other_way_round():
    assert list(SETTINGS) == list(LOSSES)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_teaches_a_joint_distribution(loss):
    generator = FreeTable()
    report = Trainer(Budget()).run(stage_for(generator, loss))
    assert report.initial_score == pytest.approx(-0.35)
    assert generator.distance() < 0.175


def test_same_seed_same_weights_and_other_seed_other_weights():
    logits = []
    for seed in (1, 1, 2):
        generator = FreeTable()
        Trainer(Budget()).run(stage_for(generator, seed=seed, total_steps=30))
        logits.append(generator.logits.detach().clone())
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])


def test_global_random_state_is_neither_used_nor_changed():
    before = torch.random.get_rng_state()
    Trainer(Budget()).run(stage_for(FreeTable(), total_steps=5))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_adversary_that_does_not_help_leaves_no_trace():
    generator = FreeTable()
    report = Trainer(Budget()).run(stage_for(generator, score=lambda: 0.0, total_steps=20))
    assert not report.improved
    assert generator.logits.tolist() == [0.0] * 6


@pytest.mark.parametrize("loss", ["relativistic", "wgan"])
def test_state_continues_bit_for_bit(loss):
    whole, cut, rest = FreeTable(), FreeTable(), FreeTable()
    first, second, third = (stage_for(g, loss, total_steps=20) for g in (whole, cut, rest))
    for index in range(20):
        first.step(index)
    for index in range(9):
        second.step(index)
    third.load_state(*second.state())
    for index in range(9, 20):
        third.step(index)
    assert torch.equal(whole.logits, rest.logits)
    assert all(torch.equal(a, b) for a, b in zip(first.snapshot().values(), third.snapshot().values(), strict=True))


def test_head_start_teaches_only_the_critic():
    generator = FreeTable()
    stage = stage_for(generator, head_start=5)
    assert "generator" not in stage.step(0)
    assert generator.logits.tolist() == [0.0] * 6
    assert "generator" in stage.step(5)
    assert generator.logits.abs().sum() > 0


def test_weights_of_real_rows_change_what_is_learned():
    generator = FreeTable()
    _, symbols, _ = encoded()
    weights = torch.where(symbols[:, 0] == 0, 1.0, 0.0)
    Trainer(Budget()).run(
        stage_for(generator, weights=weights, score=lambda: float(generator.logits.detach().softmax(0)[:3].sum()))
    )
    assert generator.logits.detach().softmax(0)[:3].sum() > 0.8


def test_anchor_adds_its_gradient():
    generator = FreeTable()
    _, symbols, _ = encoded()
    cells = symbols[:, 0].long() * 3 + symbols[:, 1].long()
    rows_seen = []

    def negative_log_likelihood(rows):
        rows_seen.append(rows)
        return -generator.logits.log_softmax(0)[cells[rows]].mean()

    Trainer(Budget()).run(stage_for(generator, anchor=negative_log_likelihood, anchor_weight=10.0))
    assert generator.distance() < 0.05
    assert all(len(rows) == 250 for rows in rows_seen)


def test_recovery_halves_the_rate_and_replaces_a_broken_critic():
    generator = FreeTable()
    stage = stage_for(generator)
    for parameter in stage._critic.parameters():
        parameter.data.fill_(math.nan)
    assert not math.isfinite(stage.step(0)["critic"])
    stage.restore({"0": torch.zeros(6)})
    stage.recover()
    assert all(math.isfinite(value) for value in stage.step(1).values())
    assert stage.state()[0]["scale"] == 0.5


def test_rate_rises_stays_and_falls():
    settings = AdversarySettings(warm_up=0.1, flat=0.5, last=0.02)
    assert settings.rate(0.0) < 0.02
    assert settings.rate(0.2) == settings.rate(0.49) == 1.0
    assert settings.rate(0.75) == pytest.approx(0.5)
    assert settings.rate(1.0) == 0.02


def test_unknown_loss_and_setting_are_named():
    with pytest.raises(InputError, match="did you mean 'vanilla'"):
        settings_for("vanila")
    with pytest.raises(InputError, match="critic_steps"):
        settings_for("wgan", critic_step=3)
    assert settings_for("wgan", critic_steps=2).critic_steps == 2


def near_copies(rows=3000):
    """Two numbers that are nearly equal, ten per cent missing in the first, and whether the first is large."""
    rng = np.random.default_rng(3)
    x = rng.random(rows)
    y = x + 0.1 * rng.standard_normal(rows)
    edges = np.quantile(y, np.linspace(0, 1, 41))
    y_bin = np.clip(np.searchsorted(edges, y, "right") - 1, 0, 39)
    y_position = (y - edges[y_bin]) / (edges[y_bin + 1] - edges[y_bin])
    missing = rng.random(rows) < 0.1
    symbols = np.stack([np.where(missing, 0, 1 + (x * 40).astype(int)), y_bin, x > 0.5], 1).astype(np.int32)
    positions = np.stack([np.where(missing, 0.5, x * 40 % 1), y_position, np.full(rows, 0.5)], 1)
    positions = np.clip(positions, 1e-3, 1 - 1e-3).astype(np.float32)
    layout = Layout.from_data([41, 40, 2], [1, 0, 2], symbols, positions)
    return layout, torch.tensor(symbols), torch.tensor(positions)


def summary(symbols, positions):
    """Correlation of the numbers, of number and class, and share missing."""
    present = symbols[:, 0] > 0
    x, y = (symbols + positions)[:, 0] / 40, (symbols + positions)[:, 1] / 40
    relation = torch.corrcoef(torch.stack([x[present], y[present]]))[0, 1]
    with_class = torch.corrcoef(torch.stack([y, symbols[:, 2].float()]))[0, 1]
    return torch.stack([relation, with_class, 1 - present.float().mean()])


def test_network_learns_relations_of_numbers_and_conditions():
    layout, symbols, positions = near_copies()
    generator = NetworkGenerator(layout, generator=RandomSource(3).torch("network"), noise=16, width=64)
    truth = summary(symbols, positions)

    def score():
        drawn = generator.sample(1000, RandomSource(5).torch("score"))
        return -float((summary(*drawn) - truth).abs().sum())

    stage = AdversaryStage(
        generator,
        FeatureMap(layout),
        symbols,
        positions,
        score,
        RandomSource(1),
        total_steps=400,
        evaluate_every=100,
        width=64,
        conditional=True,
    )
    report = Trainer(Budget()).run(stage)
    assert report.initial_score < -1
    assert report.best_score > -0.25
    generator.calibrate(RandomSource(6).torch("calibrate"), 4000)
    mask = torch.zeros(2000, 3, dtype=torch.bool)
    mask[:, 2] = True
    asked = torch.zeros(2000, 3, dtype=torch.int32)
    drawn, _ = generator.sample(
        2000, RandomSource(7).torch("given"), symbols=asked, positions=torch.full((2000, 3), 0.5), mask=mask
    )
    real = symbols[symbols[:, 2] == 0, 1].float().mean()
    assert (drawn[:, 2] == 0).all()
    assert drawn[:, 1].float().mean().item() == pytest.approx(real.item(), abs=5)
