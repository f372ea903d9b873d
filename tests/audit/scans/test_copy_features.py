from __future__ import annotations

import numpy as np
import pytest
import torch
from patients_scans import scans_of
from scipy.ndimage import rotate

from synthkit.auditing.neighbours import nearest
from synthkit.auditing.scans.case import planted
from synthkit.auditing.scans.copy_features import CopyFeatures, changed, learn_copy_features, standardised
from synthkit.random import RandomSource

TRAIN = scans_of(120, 1)


@pytest.fixture(scope="module")
def learned() -> CopyFeatures:
    return learn_copy_features(TRAIN, RandomSource(0), steps=80)


def test_copies_are_known_again(learned: CopyFeatures) -> None:
    copies = planted(TRAIN.take(np.arange(40)), np.random.default_rng(0)).images
    found = nearest(learned.features(copies), learned.features(TRAIN.images), 1)
    assert (found.rows[:, 0] == np.arange(40)).mean() > 0.85


def test_turned_copies_are_known_again(learned: CopyFeatures) -> None:
    turned = rotate(TRAIN.images[:40].astype(np.float32), 8, axes=(2, 3), reshape=False, mode="nearest")
    found = nearest(learned.features(turned), learned.features(TRAIN.images), 1)
    assert (found.rows[:, 0] == np.arange(40)).mean() > 0.85


def test_features_have_length_one_and_forget_brightness_and_contrast(learned: CopyFeatures) -> None:
    features = learned.features(TRAIN.images[:10])
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    assert np.allclose(learned.features(3 * TRAIN.images[:10].astype(float) - 500), features, atol=1e-3)


def test_the_same_source_learns_the_same() -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, again = (learn_copy_features(TRAIN, RandomSource(3), steps=2) for _ in range(2))
    assert np.array_equal(first.features(TRAIN.images[:5]), again.features(TRAIN.images[:5]))
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody else's stream is touched


@pytest.mark.parametrize("size", [(9, 14), (6, 9, 8), (70, 40)])
def test_scans_of_any_size_have_features(size: tuple[int, ...]) -> None:
    scans = scans_of(6, 1, size=size)
    assert learn_copy_features(scans, RandomSource(0), steps=1).features(scans.images).shape == (6, 64)


def test_changes_keep_the_shape_and_differ_between_scans() -> None:
    scans = standardised(TRAIN.images[:1].repeat(3, axis=0), (20, 20))
    views = changed(scans, RandomSource(0).torch("views"))
    assert views.shape == scans.shape
    assert not torch.allclose(views[0], views[1])


def test_scans_of_one_value_stay_finite(learned: CopyFeatures) -> None:
    assert np.isfinite(learned.features(np.full((2, 1, 20, 20), 7.0))).all()
