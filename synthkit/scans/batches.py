"""Scans as the image engine draws them: kept in the dtype they are stored in, mapped to [-1, 1] batch by batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from synthkit.gan.images.batches import Batch, ImageBatches
from synthkit.scans.regions import unit_distances
from synthkit.scans.unit_images import UnitImages


class ScanBatches(ImageBatches):
    """Training scans that are drawn at random, with their classes and, where there are masks, their regions.

    Parameters
    ----------
    units
        The scans.
    class_balance
        Whether every class is drawn equally often, however many scans it has.
    device
        Where they are kept.
    """

    def __init__(self, units: UnitImages, *, class_balance: bool = False, device: str | torch.device = "cpu") -> None:
        weights = None
        if class_balance and units.labels is not None:
            weights = 1.0 / np.bincount(units.labels)[units.labels]
        super().__init__(
            readable(units.stored), units.labels, to_unit=units.intensity.to_unit, weights=weights, device=device
        )
        self._regions = None if units.regions is None else torch.as_tensor(readable(units.regions), device=device)

    def at(self, rows: Tensor, random: torch.Generator) -> Batch:
        """Return scans by their row numbers ``[B]``."""
        batch = super().at(rows, random)
        if self._regions is None:
            return batch
        images = torch.cat([batch.images, unit_distances(self._regions[rows])], 1)
        return replace(batch, images=images)


def readable(values: np.ndarray) -> np.ndarray:
    """Return an array of a dtype that torch indexes and that it may write to, without a copy where possible."""
    array = values
    if array.dtype == np.uint16:
        array = array.astype(np.int16 if not array.size or array.max() < 2**15 else np.int32)
    elif array.dtype in (np.uint32, np.uint64):
        array = array.astype(np.int64)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array if array.flags.writeable and array.flags.c_contiguous else np.array(array)
