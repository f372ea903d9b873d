from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from private_scans import a_generator, guarded_scans
from private_tables import Written

from synthkit.gan.budget import Budget
from synthkit.gan.trainer import Trainer
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.scan_plan import COUNT_SHARE, STEPS_PER_SCAN, embedding_event
from synthkit.random import RandomSource
from synthkit.scans.embedding import (
    EmbeddingSettings,
    NoisyEmbedding,
    RandomFeatures,
    embedding_sums,
    from_sums,
    release_embedding,
    whole_vectors,
)
from synthkit.scans.matching import EmbeddingStage, MatchSettings, mismatch

SMALL = EmbeddingSettings(filters=(4, 6), scales=2, waves=20)


def features_of(shape=(1, 12, 12), seed=0, settings_=SMALL):
    return RandomFeatures(shape, RandomSource(seed), settings_)


def see(images):
    return torch.from_numpy(np.asarray(images, np.float32))


def images_of(n, seed=0, scale=1.0):
    return np.random.default_rng(seed).uniform(-scale, scale, (n, 1, 12, 12)).astype(np.float32)


# -- features ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 9, 14), (1, 6, 8, 7), (1, 40, 28)])
def test_features_are_at_most_as_long_as_one_and_repeat(shape):
    rng = RandomSource(1).torch("images")
    images = torch.rand(7, *shape, generator=rng) * 2 - 1
    images[0], images[1] = 1.0, torch.sign(images[1])
    found = features_of(shape)(images)
    assert found.shape == (7, features_of(shape).dimensions)
    assert float(found.norm(dim=1).max()) <= 1 + 1e-5
    assert torch.equal(found, features_of(shape)(images))
    # one by one: a scan's features do not depend on the others
    alone = torch.cat([features_of(shape)(images[i : i + 1]) for i in range(7)])
    assert torch.allclose(found, alone, atol=1e-6)


def test_other_seeds_give_other_features():
    images = see(images_of(3))
    assert not torch.allclose(features_of(seed=0)(images), features_of(seed=1)(images))


def test_features_see_blur_and_checkerboards():
    images = see(images_of(50, scale=0.8))
    blurred = torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    rows, columns = np.indices((12, 12))
    board = images + 0.2 * see(((rows + columns) % 2) * 2.0 - 1)
    features = features_of()
    mean = features(images).mean(0)
    same = features(see(images_of(50, seed=1, scale=0.8))).mean(0)
    for changed in (blurred, board):
        assert float((features(changed).mean(0) - mean).norm()) > 2 * float((same - mean).norm())


# -- whole numbers ----------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.floats(0.01, 3.0), st.integers(0, 10**6))
def test_the_bound_on_a_patient_holds_in_whole_numbers(dimensions, scans, length, seed):
    """Sensitivity: whatever the features are, all scans of one patient together add at most 2^18."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(scans, dimensions))
    found *= length / np.linalg.norm(found, axis=1, keepdims=True)
    vectors = whole_vectors(torch.from_numpy(found).float(), np.full(scans, scans))
    assert vectors.dtype == np.int64
    total = [int(value) for value in vectors.sum(0)]
    assert sum(value * value for value in total) <= STEPS_PER_SCAN**2
    if length <= 0.999:  # nothing that is short enough is left out
        assert (vectors[:, -1] > 0).all()
        expected = found * math.sqrt(1 - COUNT_SHARE) * STEPS_PER_SCAN / scans
        assert np.abs(vectors[:, :-1] - expected).max() <= 1 + 1e-5 * STEPS_PER_SCAN / scans


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), 1e30])
def test_wild_features_contribute_nothing(odd):
    found = torch.full((2, 5), 0.1)
    found[0, 2] = odd
    vectors = whole_vectors(found, np.ones(2, np.int64))
    assert (vectors[0, :-1] == 0).all()
    assert vectors[1].any()


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(0, 10**6))
def test_one_patient_more_moves_the_sums_by_at_most_the_sensitivity(scans, seed):
    features = features_of((1, 8, 8))
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(len(scans)), scans)
    data = {
        "images": np.sign(rng.normal(size=(len(owners), 1, 8, 8))).astype(np.float32),
        "labels": rng.integers(-1, 2, len(owners)),
        "parts": np.repeat(scans, scans),
    }
    whole = embedding_sums(data, features, see, 2)
    for gone in range(len(scans)):
        kept = owners != gone
        fewer = embedding_sums({name: own[kept] for name, own in data.items()}, features, see, 2)
        moved = sum(int(value) ** 2 for value in (whole - fewer).ravel())
        assert moved <= STEPS_PER_SCAN**2


# -- the release ------------------------------------------------------------------------------------------------------


class Silent(NoiseSource):
    def discrete_gaussian(self, sigma, shape):
        self.asked = sigma, shape
        return np.zeros(shape, np.int64)


def test_without_noise_it_is_the_mean_of_each_class():
    images, labels = images_of(60), np.arange(60) % 3 - 1  # a third counts nowhere
    event = embedding_event(PrivacyBudget(1.0, 1e-5, unit="scan"), 4.0)
    noise, features = Silent(), features_of()
    found = release_embedding(guarded_scans(images, labels), event, features, see, noise, classes=2)
    for place in range(2):
        own = features(see(images[labels == place]))
        assert torch.allclose(found.means[place], own.mean(0), atol=1e-4)
    assert found.counts.tolist() == pytest.approx([20, 20], rel=1e-3)
    sigma, shape = noise.asked
    assert sigma == pytest.approx(event.noise_multiplier * STEPS_PER_SCAN)
    assert shape == (2, features.dimensions + 1)
    error = event.noise_multiplier / math.sqrt(1 - COUNT_SHARE) / 20
    assert found.error.tolist() == pytest.approx([error] * 2, rel=1e-3)


def test_the_noise_is_there_in_every_number():
    event = embedding_event(PrivacyBudget(1.0, 1e-5, unit="scan"), 1.0)
    rows = [guarded_scans(images_of(40), np.zeros(40, np.int64)) for _ in range(2)]
    one, two = (release_embedding(own, event, features_of(), see, NoiseSource(), classes=1) for own in rows)
    spread = float((one.means - two.means).std())
    # each is divided by its own noisy count
    assert spread == pytest.approx(math.hypot(float(one.error[0]), float(two.error[0])), rel=0.25)
    assert bool((one.means != two.means).all())


def test_the_event_is_spent_before_anything_is_read():
    ledger = Written()
    event = embedding_event(PrivacyBudget(1.0, 1e-5, unit="scan"), 1.0)
    rows = PrivateRows({"images": images_of(30), "parts": np.ones(30, np.int64)}, ledger)
    release_embedding(rows, event, features_of(), see, NoiseSource())
    assert ledger.spent == [event]


def test_classes_that_are_mostly_noise_are_not_trusted():
    noisy = np.zeros((2, 101))
    noisy[:, -1] = np.array([2_000, 1]) * math.sqrt(COUNT_SHARE) * STEPS_PER_SCAN
    trust = from_sums(noisy, 2.0 * STEPS_PER_SCAN).trust
    assert float(trust[0]) > 0.99
    assert float(trust[1]) < 0.01


def test_counts_are_at_least_one_whatever_the_noise():
    found = from_sums(np.full((2, 5), -1e9), 1.0)
    assert found.counts.tolist() == [1.0, 1.0]
    assert bool(found.means.isfinite().all())


# -- matching ---------------------------------------------------------------------------------------------------------


def exactly(means):
    return NoisyEmbedding(means, torch.full((len(means),), 100.0), torch.zeros(len(means)))


def test_the_mismatch_is_that_of_all_pairs():
    rng = RandomSource(0).torch("features")
    fakes, labels = torch.randn(9, 4, generator=rng), torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 0])
    means = torch.randn(4, 4, generator=rng)
    expected = []
    for place in (0, 1):  # class 2 has one fake and class 3 none
        own = fakes[labels == place]
        pairs = [float(own[i] @ own[j]) for i in range(len(own)) for j in range(len(own)) if i != j]
        expected.append(np.mean(pairs) - 2 * float(own.mean(0) @ means[place]) + float(means[place] @ means[place]))
    assert float(mismatch(exactly(means), fakes, labels)) == pytest.approx(np.mean(expected), rel=1e-4)


def test_the_mismatch_is_unbiased():
    rng = RandomSource(0).torch("features")
    mean = torch.tensor([[0.3, -0.2, 0.5]])
    found = [float(mismatch(exactly(mean), torch.randn(6, 3, generator=rng) + mean, None)) for _ in range(4_000)]
    assert abs(np.mean(found)) < 5 * np.std(found) / math.sqrt(len(found))


def test_a_generator_learns_the_classes_of_a_release():
    images = np.full((80, 1, 12, 12), -0.9, np.float32)
    labels = np.arange(80) % 2
    images[labels == 0, :, :, :6], images[labels == 1, :, :, 6:] = 0.8, 0.8
    features = features_of()
    event = embedding_event(PrivacyBudget(1.0, 1e-5, unit="scan"), 100.0)
    release = release_embedding(guarded_scans(images, labels), event, features, see, NoiseSource(), classes=2)
    generator = a_generator()
    stage = EmbeddingStage(
        generator,
        release,
        features,
        RandomSource(0),
        MatchSettings(steps=120, fakes=16, learning_rate=1e-2, average=0.9),
    )
    report = Trainer(Budget.parse(None)).run(stage)
    assert report.best_score > report.initial_score + 0.05
    rng = RandomSource(1).torch("noise")
    with torch.no_grad():
        drawn = [generator(generator.draw(20, rng), torch.full((20,), place)).mean((0, 1, 2)) for place in (0, 1)]
    assert float(drawn[0][:6].mean() - drawn[0][6:].mean()) > 0.5
    assert float(drawn[1][6:].mean() - drawn[1][:6].mean()) > 0.5


def test_a_match_goes_on_exactly_where_it_was():
    def new():
        release = exactly(torch.zeros(2, features.dimensions))
        return EmbeddingStage(a_generator(), release, features, RandomSource(0), MatchSettings(steps=6, fakes=4))

    features = features_of()
    whole, first, second = new(), new(), new()
    for index in range(6):
        whole.step(index)
    for index in range(3):
        first.step(index)
    second.load_state(*first.state())
    for index in range(3, 6):
        second.step(index)
    for name, tensor in whole.snapshot().items():
        assert torch.equal(tensor, second.snapshot()[name])
    second.recover()
    assert second.state()[0]["scale"] == 0.5
