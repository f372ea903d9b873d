"""Masks as channels that networks can draw: signed distance to the border of each region, and back without loss.

A critic would tell a drawn mask from a real one by its edges alone if masks were given as zeros and ones, and a
generator would first learn that nearly everything is background. The distance to the border, cut off some samples away
from it, changes gently everywhere near it, and its sign is the mask again.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# where the distance is cut off: a share of the shortest axis, and at least so many samples
_SHARE, _LEAST = 0.25, 3.0
_SCALE = 127.0


def region_values(masks: np.ndarray) -> tuple[int, ...]:
    """Return the values of masks other than the background, ascending."""
    return tuple(int(value) for value in np.unique(masks) if value != 0)


def reach_of(size: tuple[int, ...]) -> float:
    """Return the distance from a border, in samples, at which it is cut off in scans of a size."""
    return min(max(_LEAST, _SHARE * min(size)), _SCALE / 4)


def distance_channels(masks: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    """Return signed distances to the border of each region.

    Parameters
    ----------
    masks
        ``[n, *size]``, whole numbers, 0 for the background.
    values
        The regions, one channel each.

    Returns
    -------
    ndarray of int8 [n, len(values), *size]
        Positive inside; 127 is `reach_of` the size or more from the border.
    """
    from scipy.ndimage import distance_transform_edt

    channels = np.empty((len(masks), len(values), *masks.shape[1:]), np.int8)
    reach = reach_of(masks.shape[1:])
    for i, mask in enumerate(masks):
        for c, value in enumerate(values):
            inside = mask == value
            if not inside.any():
                channels[i, c] = -_SCALE
                continue
            if inside.all():
                channels[i, c] = _SCALE
                continue
            signed = distance_transform_edt(inside) - distance_transform_edt(~inside)
            # the border lies half a sample from the nearest sample on either side
            signed -= np.sign(signed) * 0.5
            channels[i, c] = np.rint(np.clip(signed / reach, -1.0, 1.0) * _SCALE)
    return channels


def unit_distances(distances: Tensor) -> Tensor:
    """Return stored distances as float32 in [-1, 1]."""
    return distances.to(torch.float32) / _SCALE


def drawn_masks(distances: Tensor, values: tuple[int, ...]) -> np.ndarray:
    """Return masks from drawn distances.

    Parameters
    ----------
    distances
        ``[b, len(values), *size]``; the region with the largest positive distance holds a sample.
    values
        The regions.

    Returns
    -------
    ndarray of uint8 (int16 for values beyond 255) [b, *size]
    """
    largest, which = distances.detach().float().max(dim=1)
    table = np.asarray(values, np.uint8 if 0 <= min(values) <= max(values) <= 255 else np.int16)
    masks: np.ndarray = np.where(largest.cpu().numpy() > 0, table[which.cpu().numpy()], table.dtype.type(0))
    return masks
