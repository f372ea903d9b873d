from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthkit.gan.images.augment import adapted, augmented, erased, mirrored, rescaled, shifted
from synthkit.gan.images.recipe import AugmentSettings

ALL = AugmentSettings(flip=True, shift=0.2, intensity=0.1, erase=0.3)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@settings(max_examples=30, deadline=None)
@given(shifts=st.lists(st.integers(-7, 7), min_size=2, max_size=3))
def test_a_shift_by_whole_samples_is_a_roll(shifts):
    size = (6, 5, 4)[: len(shifts)]
    images = torch.randn(2, 2, *size, generator=seeded())
    moved = shifted(images, torch.tensor([shifts, [0] * len(shifts)]))
    axes = tuple(range(1, len(shifts) + 1))
    assert torch.equal(moved[0], images[0].roll(tuple(shifts), axes))
    assert torch.equal(moved[1], images[1])
    assert torch.equal(shifted(moved, -torch.tensor([shifts, [0] * len(shifts)])), images)


def test_mirroring_is_along_the_last_axis_and_only_where_asked():
    images = torch.randn(2, 1, 3, 4, 5, generator=seeded())
    turned = mirrored(images, torch.tensor([True, False]))
    assert torch.equal(turned[0], images[0].flip(-1))
    assert torch.equal(turned[1], images[1])


def test_rescaling_and_erasing_by_hand():
    images = torch.ones(1, 1, 4, 4)
    assert torch.allclose(rescaled(images, torch.tensor([0.5]), torch.tensor([0.0])), torch.full((1, 1, 4, 4), 1.5))
    hole = erased(images, torch.tensor([[0.5, 0.5]]), 0.5)
    assert hole.sum() == 12
    assert hole[0, 0, 1:3, 1:3].abs().sum() == 0
    assert torch.equal(erased(images, torch.full((1, 2), torch.nan), 0.5), images)


@pytest.mark.parametrize("size", [(5, 5), (3, 4, 3)])
def test_changes_are_differentiable_twice(size):
    images = torch.randn(2, 1, *size, generator=seeded(), dtype=torch.double, requires_grad=True)

    def changed(values):
        return augmented(values, ALL, 1.0, seeded(1)).square().sum()

    assert torch.autograd.gradcheck(changed, images)
    assert torch.autograd.gradgradcheck(changed, images)


def test_by_default_nothing_is_mirrored_and_probability_zero_changes_nothing():
    images = torch.randn(16, 1, 8, 8, generator=seeded())
    assert torch.equal(augmented(images, AugmentSettings(), 1.0, seeded()), images)
    assert torch.equal(augmented(images, ALL, 0.0, seeded()), images)
    assert not torch.equal(augmented(images, ALL, 1.0, seeded()), images)


def test_regions_are_moved_but_keep_their_values():
    images = torch.cat([torch.randn(8, 1, 6, 6, generator=seeded()), torch.ones(8, 1, 6, 6)], 1)
    settings_ = AugmentSettings(shift=0.3, intensity=0.5)
    changed = augmented(images, settings_, 1.0, seeded(1), n_image=1)
    assert torch.equal(changed[:, 1], images[:, 1])
    assert not torch.allclose(changed[:, 0].mean((1, 2)), images[:, 0].mean((1, 2)))


def test_shifts_stay_within_their_reach():
    images = torch.zeros(200, 1, 9, 9)
    images[:, :, 4, 4] = 1
    rows, columns = torch.nonzero(augmented(images, AugmentSettings(shift=0.25), 1.0, seeded())[:, 0])[:, 1:].T
    assert set(rows.tolist()) == set(columns.tolist()) == {2, 3, 4, 5, 6}


@given(start=st.floats(0, 0.85), sureness=st.floats(-1, 1))
def test_probability_moves_towards_the_target_and_stays_in_range(start, sureness):
    after = adapted(start, sureness, 0.6, 1000)
    assert 0 <= after <= 0.85
    assert after <= start if sureness <= 0.6 else after >= start
