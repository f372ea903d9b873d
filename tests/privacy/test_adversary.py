from __future__ import annotations

import numpy as np
import pytest
import torch
from private_tables import FreeTable, private, public_features, steps_of, two_columns
from record_losses import TwoHeads
from torch import nn

from synthkit.errors import InputError, PrivacyError
from synthkit.gan.budget import Budget
from synthkit.gan.losses import LOSSES
from synthkit.gan.trainer import Trainer
from synthkit.privacy.adversary import PRIVATE_SETTINGS, PrivateAdversaryStage, private_settings_for
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.pace import PaceSettings
from synthkit.random import RandomSource

FIXED = PaceSettings(ladder=(1,))


def stage_for(generator, loss="wgan-gp", *, steps=200, multiplier=1.0, rows=3000, seed=1, secret=1, **options):
    guarded, _ = private(two_columns(rows))
    # the smallest generator and critic move faster than those of a table
    changes = {"learning_rate": 0.01, "generator_rate": 0.02, "width": 32, "fakes": 300} | options.pop("changes", {})
    return PrivateAdversaryStage(
        generator,
        public_features(),
        guarded,
        steps_of(multiplier, 0.1, steps),
        NoiseSource(reproducible_seed=secret),
        RandomSource(seed),
        records=3000,
        settings=private_settings_for(loss, **changes),
        **options,
    )


def test_every_loss_has_settings_and_the_other_way_round():
    assert list(PRIVATE_SETTINGS) == list(LOSSES)
    assert all(settings.loss.game == name for name, settings in PRIVATE_SETTINGS.items())


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_teaches_a_joint_distribution_through_noise(loss):
    generator = FreeTable()
    report = Trainer(Budget()).run(stage_for(generator, loss, steps=300, changes={"pace": FIXED}))
    assert report.steps == report.best_step == 300  # the last weights are kept
    assert generator.distance() < 0.175


def test_noise_alone_teaches_nothing():
    generator = FreeTable()
    Trainer(Budget()).run(stage_for(generator, multiplier=1000.0, changes={"pace": FIXED}))
    assert generator.distance() > 0.2


def test_any_record_wise_critic_will_do():
    generator = FreeTable()
    width = public_features().width
    stage = stage_for(generator, critic=lambda source: TwoHeads(width, width=16), changes={"pace": FIXED})
    Trainer(Budget()).run(stage)
    assert generator.distance() < 0.25


def test_critics_that_mix_records_are_refused():
    mixing = nn.Sequential(nn.Linear(public_features().width, 8), nn.BatchNorm1d(8), nn.Linear(8, 1), nn.Flatten(0))
    with pytest.raises(PrivacyError, match="BatchNorm1d"):
        stage_for(FreeTable(), critic=lambda source: mixing)


def test_no_step_more_than_planned():
    stage = stage_for(FreeTable(), steps=3)
    for index in range(3):
        stage.step(index)
    with pytest.raises(PrivacyError):
        stage.step(3)


def test_public_randomness_does_not_depend_on_the_rows():
    """Neither the number of rows nor the sizes of samples may move the stream that generator steps draw from."""
    states = []
    for rows in (0, 10, 3000):
        stage = stage_for(FreeTable(), rows=rows, changes={"pace": PaceSettings(ladder=(5,))})
        for index in range(4):
            assert stage.step(index) == {}
        states.append(stage.state()[1]["random"])
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


def test_what_a_step_reports_comes_from_fakes():
    """With the critic's update the same, other rows change nothing that is reported."""
    reported = []
    for seed in (0, 1):
        guarded, _ = private(two_columns(500, seed=seed))
        stage = PrivateAdversaryStage(
            FreeTable(),
            public_features(),
            guarded,
            steps_of(1.0, 1e-12, 4),  # nobody is ever sampled
            NoiseSource(reproducible_seed=0),
            RandomSource(0),
            records=10**12,
            settings=private_settings_for("relativistic", pace=FIXED),
        )
        assert stage.evaluate() == 0
        reported.append([{name: float(value) for name, value in stage.step(i).items()} for i in range(4)])
        assert stage.evaluate() == 4
    assert reported[0] == reported[1]
    assert set(reported[0][0]) == {"generator", "fakes known"}


def test_clipping_norm_is_chosen_from_fakes():
    clips = []
    for rows in (0, 3000):
        stage = stage_for(FreeTable(), rows=rows)
        stage.step(0)
        clips.append(stage.state()[0]["clip"])
    assert clips[0] == clips[1] > 0
    fixed = stage_for(FreeTable(), changes={"clip": 0.25})
    fixed.step(0)
    assert fixed.state()[0]["clip"] == 0.25


def test_slow_critics_get_more_steps():
    pace = PaceSettings(ladder=(1, 2, 5), low=0.99, high=1.0, memory=0.0, grace=0)
    stage = stage_for(FreeTable(), multiplier=1000.0, steps=60, changes={"pace": pace})
    Trainer(Budget()).run(stage)
    assert stage.state()[0]["pace"]["rung"] == 2


def test_same_seeds_same_weights_and_other_noise_other_weights():
    found = []
    for secret in (1, 1, 2):
        generator = FreeTable()
        Trainer(Budget()).run(stage_for(generator, steps=20, secret=secret))
        found.append(generator.logits.detach().clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_resumed_stage_continues_and_its_steps_stay_counted():
    stage = stage_for(FreeTable(), steps=10, changes={"pace": FIXED})
    for index in range(6):
        stage.step(index)
    values, tensors = stage.state()
    generator = FreeTable()
    again = stage_for(generator, steps=10, seed=5, changes={"pace": FIXED})
    again.load_state(values, tensors)
    assert again.evaluate() == 6
    for name, tensor in again.state()[1].items():
        assert torch.equal(tensor, tensors[name]), name
    assert again.state()[0] == values
    for index in range(6, 10):
        again.step(index)
    with pytest.raises(PrivacyError):
        again.step(10)


def test_recovery_spends_nothing_back():
    stage = stage_for(FreeTable(), steps=3)
    stage.step(0)
    stage.recover()
    stage.step(1)
    stage.step(2)
    with pytest.raises(PrivacyError):
        stage.step(3)


def test_snapshots_are_averages():
    generator = FreeTable()
    stage = stage_for(generator, steps=10, changes={"pace": FIXED})
    start = generator.logits.detach().clone()
    for index in range(10):
        stage.step(index)
    live = generator.logits.detach().clone()
    stage.restore(stage.snapshot())
    kept = generator.logits.detach()
    assert 0 < float((kept - start).norm()) < float((live - start).norm())


def test_weights_are_bounded_where_that_is_the_penalty():
    stage = stage_for(FreeTable(), "wgan", steps=3)
    for index in range(3):
        stage.step(index)
    bound = PRIVATE_SETTINGS["wgan"].loss.weight
    critic = [tensor for name, tensor in stage.state()[1].items() if name.startswith("critic/")]
    assert max(float(tensor.abs().max()) for tensor in critic) <= np.float32(bound)


def test_unknown_names():
    with pytest.raises(InputError, match="wgan-gp"):
        private_settings_for("wgan-pg")
    with pytest.raises(InputError, match="learning_rate"):
        private_settings_for("wgan", learning_rat=1.0)


def test_a_critic_that_is_refused_spends_nothing():
    rows, ledger = private(two_columns(30))
    width = public_features().width
    with pytest.raises(PrivacyError, match="BatchNorm1d"):
        PrivateAdversaryStage(
            FreeTable(),
            public_features(),
            rows,
            steps_of(),
            NoiseSource(),
            RandomSource(1),
            records=30,
            critic=lambda _: nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, 1), nn.Flatten(0)),
        )
    assert ledger.spent == []
