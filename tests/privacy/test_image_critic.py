from __future__ import annotations

import numpy as np
import pytest
import torch
from private_scans import PLAIN, SETTINGS, a_generator, an_image_critic, flat, guarded_scans
from private_tables import Written, steps_of

from synthkit.errors import PrivacyError
from synthkit.gan.budget import Budget
from synthkit.gan.trainer import Trainer
from synthkit.privacy.critic_step import MARGIN
from synthkit.privacy.events import gaussian_event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.image_clipping import Pairs, clipped_pair_sum
from synthkit.privacy.image_critic import NoisyImageGradient
from synthkit.privacy.image_stage import PrivateImageSettings, PrivateImageStage
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.record_loss import RecordLoss
from synthkit.random import RandomSource

LOSS = RecordLoss("vanilla", "none", 0.0)


def images_of(n, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 1, 12, 12)).astype(np.float32)


def same_fakes(n, rng, labels):
    """A fake that needs no random numbers; its class shows."""
    return torch.zeros(n, 1, 12, 12) + (0.0 if labels is None else 0.1 * labels.view(-1, 1, 1, 1))


def gradient(images, event, *, labels=None, units=None, noise=None, records=100, **options):
    own = np.zeros(len(images), np.int64) if labels is None else labels
    rows = guarded_scans(images, own, units)
    return NoisyImageGradient(
        rows, event, torch.from_numpy, LOSS, records=records, noise=noise or NoiseSource(), **options
    )


def test_without_noise_it_is_the_clipped_sum_over_a_public_number():
    critic, images, labels = an_image_critic(), images_of(20), np.arange(20) % 2
    found = gradient(images, steps_of(1e-12, 1.0), labels=labels)(critic, same_fakes, 0.3)
    kept = torch.from_numpy(labels)
    pairs = Pairs(torch.from_numpy(images), same_fakes(20, None, kept), torch.rand(20), kept, torch.arange(20))
    expected = flat(clipped_pair_sum(critic, LOSS, pairs, 0.3 * (1 - MARGIN)).sums) / 100
    assert torch.allclose(flat(found), expected, rtol=1e-4, atol=1e-7)
    assert [tensor.shape for tensor in found] == [parameter.shape for parameter in critic.parameters()]


def test_the_noise_has_the_stated_scale():
    critic = an_image_critic()
    step = gradient(images_of(0), steps_of(2.5, 0.2, 6), noise=NoiseSource(reproducible_seed=3))
    drawn = torch.cat([flat(step(critic, same_fakes, 0.5)) for _ in range(6)])
    expected = 2.5 * 0.5 / 20
    assert float(drawn.std()) == pytest.approx(expected, rel=5 / np.sqrt(2 * len(drawn)))
    assert abs(float(drawn.mean())) < 5 * expected / np.sqrt(len(drawn))


def test_a_patient_with_many_scans_counts_as_one():
    critic, clip = an_image_critic(scale=3.0), 0.05
    images = np.concatenate([images_of(10), np.repeat(images_of(1, 5), 30, axis=0)])
    units = np.append(np.arange(10), np.full(30, 99))
    sums = []
    for kept in (slice(None), slice(10)):
        step = gradient(images[kept], steps_of(1e-12, 1.0, 1), units=units[kept], rows_per_unit=4, records=1)
        sums.append(flat(step(critic, same_fakes, clip)))
    moved = float((sums[0] - sums[1]).norm())
    assert 0.9 * clip < moved <= clip


def test_samples_are_of_patients_and_take_few_scans_of_each():
    seen = []

    def watching(n, rng, labels):
        seen.append(labels.tolist())
        return same_fakes(n, rng, None)

    # the class says whose a scan is
    owners = np.repeat(np.arange(60), 5)
    step = NoisyImageGradient(
        guarded_scans(images_of(300), owners, owners),
        steps_of(1.0, 0.5, 12),
        torch.from_numpy,
        LOSS,
        records=60,
        noise=NoiseSource(reproducible_seed=1),
        rows_per_unit=2,
    )
    critic = an_image_critic(classes=0)
    for _ in range(12):
        step(critic, watching, 1.0)
    counts = [np.bincount(labels, minlength=60) for labels in seen]
    assert all(set(own.tolist()) <= {0, 2} for own in counts)  # whole patients, two scans of each
    sampled = np.array([(own > 0).sum() for own in counts])
    assert 20 < sampled.mean() < 40
    assert len(set(sampled.tolist())) > 3  # not batches of one size
    assert len({tuple(own) for own in counts}) == 12


def test_scans_of_no_declared_class_are_not_seen():
    critic, images = an_image_critic(), images_of(8)
    labels = np.array([0, 1, -1, 0, -1, 1, 0, 1])
    found = gradient(images, steps_of(1e-12, 1.0), labels=labels)(critic, same_fakes, 0.3)
    kept = labels >= 0
    expected = gradient(images[kept], steps_of(1e-12, 1.0), labels=labels[kept])(critic, same_fakes, 0.3)
    assert torch.allclose(flat(found), flat(expected), atol=1e-9)


def test_empty_samples_are_noise_alone():
    step = gradient(images_of(5), steps_of(1.0, 1e-9, 3), records=10**9)
    for _ in range(3):
        assert bool(flat(step(an_image_critic(), same_fakes, 1.0)).isfinite().all())


def test_no_step_more_than_planned():
    rows, ledger = PrivateRows({"images": images_of(5)}, ledger := Written()), ledger
    event = steps_of(steps=1)
    step = NoisyImageGradient(rows, event, torch.from_numpy, LOSS, records=5, noise=NoiseSource())
    assert ledger.spent == [event]
    step(an_image_critic(classes=0), same_fakes, 1.0)
    with pytest.raises(PrivacyError, match="planned"):
        step(an_image_critic(classes=0), same_fakes, 1.0)


def test_other_events_and_bounds_are_refused_before_anything_is_spent():
    with pytest.raises(PrivacyError, match="gaussian event"):
        gradient(images_of(5), gaussian_event("counts", "all", 1.0))
    with pytest.raises(PrivacyError, match="at least one row"):
        gradient(images_of(5), steps_of(), rows_per_unit=0)


# -- the game ---------------------------------------------------------------------------------------------------------


def stage(event=None, critic=None, settings=None, images=None, noise=None):
    data = images_of(40) if images is None else images
    return PrivateImageStage(
        a_generator(),
        PLAIN,
        guarded_scans(data, np.arange(len(data)) % 2),
        event or steps_of(1.0, 0.3, 8),
        torch.from_numpy,
        noise or NoiseSource(reproducible_seed=0),
        RandomSource(0),
        lambda n, rng: torch.randint(2, (n,), generator=rng),
        records=40,
        settings=settings or PrivateImageSettings(widths=SETTINGS.widths, rest=1, fakes=8),
        critic=critic,
        evaluate_every=4,
    )


def test_the_game_takes_as_many_critic_steps_as_were_planned():
    played = stage()
    before = played.snapshot()
    report = Trainer(Budget.parse(None)).run(played)
    assert report.steps == 8
    assert report.scored_by == "steps"
    assert report.best_step == 8  # the last weights, never a choice by real scans
    moved = [float((played.snapshot()[name] - before[name]).abs().max()) for name in before]
    assert max(moved) > 0


def test_the_noise_is_not_that_of_the_seed():
    found = []
    for _ in range(2):
        played = stage(noise=NoiseSource())
        Trainer(Budget.parse(None)).run(played)
        found.append(torch.cat([tensor.flatten() for tensor in played.snapshot().values()]))
    assert float((found[0] - found[1]).abs().max()) > 0


def test_a_game_can_be_taken_up_where_it_was_and_its_steps_stay_spent():
    first = stage()
    for index in range(5):
        first.step(index)
    values, tensors = first.state()
    second = stage()
    second.load_state(values, tensors)
    assert second.evaluate() == 5.0
    for index in range(5, 8):
        second.step(index)
    with pytest.raises(PrivacyError, match="planned"):
        second.step(8)


def test_a_critic_that_mixes_scans_is_refused_before_the_event_is_spent():
    ledger = Written()
    rows = PrivateRows({"images": images_of(10), "labels": np.zeros(10, np.int64)}, ledger)

    class Mixing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.score = torch.nn.BatchNorm2d(1), torch.nn.Linear(144, 1)

        def forward(self, images, labels=None):
            return self.score(self.norm(images).flatten(1)).squeeze(1)

    with pytest.raises(PrivacyError, match="BatchNorm2d"):
        PrivateImageStage(
            a_generator(), PLAIN, rows, steps_of(), torch.from_numpy, NoiseSource(), RandomSource(0),
            lambda n, rng: torch.zeros(n, dtype=torch.long), records=10, critic=lambda random: Mixing(),
        )  # fmt: skip
    assert ledger.spent == []


def test_the_clipping_norm_follows_fakes_alone():
    """Scans of any brightness leave the norm as it is; it is read from pairs of fakes."""
    found = []
    for scale in (0.0, 1.0):
        played = stage(images=images_of(30) * scale)
        played.step(0)
        found.append(played.state()[0]["clip"])
    assert found[0] == found[1] > 0


def test_recovery_makes_a_new_critic_and_gives_no_step_back():
    played = stage()
    played.step(0)
    played.recover()
    assert played.evaluate() == 1.0
    for index in range(1, 8):
        played.step(index)
    with pytest.raises(PrivacyError):
        played.step(8)
