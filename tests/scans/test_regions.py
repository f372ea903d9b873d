"""Masks as distances to borders: the sign is the mask again, whatever the mask."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from synthkit.scans.regions import distance_channels, drawn_masks, reach_of, region_values, unit_distances

sizes = st.one_of(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 5)] * 3))
masks = sizes.flatmap(lambda size: npst.arrays(np.uint8, (2, *size), elements=st.sampled_from([0, 1, 2, 7])))


@given(masks)
def test_every_mask_comes_back(mask: np.ndarray) -> None:
    values = (1, 2, 7)
    seen = unit_distances(torch.from_numpy(distance_channels(mask, values)))
    assert seen.shape == (2, 3, *mask.shape[1:])
    assert float(seen.abs().max()) <= 1
    np.testing.assert_array_equal(drawn_masks(seen, values), mask)


@given(masks)
def test_the_distance_is_that_to_the_nearest_sample_of_the_other_side(mask: np.ndarray) -> None:
    """Against brute force: half a sample short of the nearest sample that is in where this is out, or the reverse."""
    inside = mask[0] == 1
    reach = reach_of(inside.shape)
    found = distance_channels(mask[:1], (1,))[0, 0].astype(float) / 127 * reach
    places = np.stack(np.meshgrid(*(np.arange(length) for length in inside.shape), indexing="ij"), -1)
    for place, own in zip(places.reshape(-1, inside.ndim), inside.reshape(-1), strict=True):
        others = places[inside != own]
        nearest = np.sqrt(((others - place) ** 2).sum(-1)).min() - 0.5 if len(others) else np.inf
        expected = min(nearest, reach) * (1 if own else -1)
        assert abs(found[tuple(place)] - expected) < 0.02


def test_a_border_changes_gently() -> None:
    mask = np.zeros((1, 1, 12), np.uint8)
    mask[..., 6:] = 1
    seen = unit_distances(torch.from_numpy(distance_channels(mask, (1,))))[0, 0, 0]
    assert (seen.diff() >= 0).all()
    assert 0 < float(seen[6]) < 0.3
    assert float(seen[-1]) == 1


def test_the_reach_grows_with_the_size() -> None:
    assert reach_of((8, 8)) == 3
    assert reach_of((40, 56, 40)) == 10
    assert reach_of((512, 512)) < 32


def test_values_of_masks() -> None:
    assert region_values(np.array([[0, 3], [9, 3]])) == (3, 9)
    assert region_values(np.zeros((2, 2))) == ()


def test_large_values_keep_their_number() -> None:
    mask = np.array([[[0, 300]]], np.int16)
    seen = unit_distances(torch.from_numpy(distance_channels(mask, (300,))))
    assert drawn_masks(seen, (300,)).tolist() == mask.tolist()
