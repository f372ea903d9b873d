"""Holding out patients, and the held-out score: laws that hold for any scans."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from phantoms import shapes
from scipy.ndimage import gaussian_filter

from synthkit.random import RandomSource
from synthkit.scans.held_out import FixedFeatures, HeldOutScore, held_out_share, split_by_patient
from synthkit.scans.intensity import Intensity
from synthkit.scans.unit_images import UnitImages


@given(
    groups=st.lists(st.integers(0, 12), min_size=2, max_size=60),
    share=st.floats(0.05, 0.5),
    seed=st.integers(0, 5),
    classes=st.integers(1, 3),
)
def test_no_patient_is_on_both_sides(groups: list[int], share: float, seed: int, classes: int) -> None:
    numbers = np.unique(groups, return_inverse=True)[1]
    labels = np.array(groups) % classes
    training, held = split_by_patient(numbers, share, np.random.default_rng(seed), labels)
    assert sorted([*training, *held]) == list(range(len(groups)))
    assert not set(numbers[training]) & set(numbers[held])
    assert len(training)
    if len(set(groups)) > 1:
        assert len(held)


def test_every_class_is_held_out_in_proportion() -> None:
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    _, held = split_by_patient(np.arange(160), 0.1, np.random.default_rng(0), labels)
    assert np.bincount(labels[held]).tolist() == [10, 5, 1]


@pytest.mark.parametrize(("n", "share"), [(100, 0.1), (5_000, 0.1), (10_000, 0.05), (1_000_000, 0.05)])
def test_the_share_falls_with_the_number(n: int, share: float) -> None:
    assert held_out_share(n) == pytest.approx(share)


def units(n: int, seed: int, **more: object) -> UnitImages:
    return UnitImages.of(shapes(n, 16, seed=seed, **more), Intensity(0, 255))


@pytest.fixture(scope="module")
def score() -> HeldOutScore:
    return HeldOutScore(units(60, 1), RandomSource(0))


class TestTheScore:
    def changed(self, score: HeldOutScore, change) -> float:
        other = units(60, 2)
        images = torch.cat([other.batch(np.array([i])) for i in range(60)])
        labels = torch.from_numpy(other.labels)
        own = torch.cat([change(images[labels == label]) for label in range(3)])
        order = torch.argsort(torch.cat([torch.where(score.labels == label)[0] for label in range(3)]))
        drawn = own[order]
        at = iter(range(0, 60, 50))

        def draw(n: int, given: torch.Tensor | None) -> torch.Tensor:
            start = next(at)
            return drawn[start : start + n]

        return score(draw)

    def test_other_real_scans_score_about_zero(self, score: HeldOutScore) -> None:
        assert abs(score.of_real(units(60, 3), np.random.default_rng(0))) < 0.02
        assert abs(self.changed(score, lambda images: images)) < 0.02

    def test_blur_noise_and_constants_score_less_in_this_order(self, score: HeldOutScore) -> None:
        blurred = self.changed(score, lambda x: torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, 1, 1))))
        noisy = self.changed(score, lambda x: (x + 0.5 * torch.sin(1e4 * x)).clamp(-1, 1))
        constant = self.changed(score, torch.zeros_like)
        assert -0.01 > blurred > constant
        assert -0.01 > noisy > constant

    def test_a_collapsed_generator_scores_less(self, score: HeldOutScore) -> None:
        assert self.changed(score, lambda x: x[:1].expand_as(x)) < -0.05

    def test_scans_of_the_wrong_class_score_less(self, score: HeldOutScore) -> None:
        right = self.changed(score, lambda x: x)
        other = units(60, 2)
        images = torch.cat([other.batch(np.array([i])) for i in range(60)])
        by_class = [images[other.labels == label] for label in range(3)]
        turn = iter((1, 2, 0))
        assert self.changed(score, lambda x: by_class[next(turn)]) < right - 0.02

    def test_it_repeats(self) -> None:
        one, two = (HeldOutScore(units(20, 1), RandomSource(0)) for _ in range(2))
        assert one.of_real(units(30, 3), np.random.default_rng(0)) == two.of_real(
            units(30, 3), np.random.default_rng(0)
        )


@pytest.mark.parametrize("size", [(4, 4), (5, 33), (4, 4, 4), (6, 20, 9)])
def test_features_of_any_size(size: tuple[int, ...]) -> None:
    features = FixedFeatures(2, len(size), RandomSource(0))
    found = features(torch.randn(3, 2, *size, generator=RandomSource(1).torch("x")))
    assert found.shape[0] == 3
    assert torch.isfinite(found).all()
    assert found.std() > 0
