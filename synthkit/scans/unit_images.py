"""Scans on their way into networks: kept as they are stored, mapped to [-1, 1] batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from synthkit.io.scan_set import ScanSet
from synthkit.scans.intensity import Intensity
from synthkit.scans.regions import distance_channels, unit_distances


@dataclass(frozen=True, eq=False)
class UnitImages:
    """Scans in the dtype that they have on disk, and how a batch of them becomes what networks see.

    Attributes
    ----------
    stored
        ``[n, channels, *size]`` in real units.
    labels
        Class of each scan ``[n]`` int64; None without classes.
    regions
        Signed distances to the borders of the regions of a mask, int8 ``[n, regions, *size]``; None without masks.
    groups
        Patient of each scan as a number, ``[n]``.
    intensity
        The map to [-1, 1].
    """

    stored: np.ndarray
    labels: np.ndarray | None
    regions: np.ndarray | None
    groups: np.ndarray
    intensity: Intensity

    @classmethod
    def of(cls, scans: ScanSet, intensity: Intensity, regions: tuple[int, ...] = ()) -> Self:
        """Prepare scans; masks become channels where `regions` are named."""
        channels = distance_channels(scans.masks, regions) if regions and scans.masks is not None else None
        labels = None if scans.labels is None else scans.labels.astype(np.int64)
        return cls(scans.images, labels, channels, scans.groups, intensity)

    def __len__(self) -> int:
        """Return the number of scans."""
        return len(self.stored)

    @property
    def size(self) -> tuple[int, ...]:
        """Samples along each axis."""
        return tuple(int(length) for length in self.stored.shape[2:])

    @property
    def channels(self) -> int:
        """Channels that a batch has: those of the images, and then one for each region of the masks."""
        return self.image_channels + (0 if self.regions is None else int(self.regions.shape[1]))

    @property
    def image_channels(self) -> int:
        """Channels of the images alone."""
        return int(self.stored.shape[1])

    def take(self, positions: np.ndarray) -> Self:
        """Return some of the scans."""
        return replace(
            self,
            stored=self.stored[positions],
            labels=None if self.labels is None else self.labels[positions],
            regions=None if self.regions is None else self.regions[positions],
            groups=self.groups[positions],
        )

    def batch(self, positions: np.ndarray | Sequence[int] | Tensor, device: str | torch.device = "cpu") -> Tensor:
        """Return scans as networks see them, float32 ``[b, channels, *size]`` in [-1, 1]."""
        chosen = positions.cpu().numpy() if isinstance(positions, Tensor) else np.asarray(positions)
        images = self.intensity.to_unit(self.stored[chosen])
        if self.regions is not None:
            images = torch.cat([images, unit_distances(torch.from_numpy(self.regions[chosen]))], dim=1)
        return images.to(device)

    def labels_of(
        self, positions: np.ndarray | Sequence[int] | Tensor, device: str | torch.device = "cpu"
    ) -> Tensor | None:
        """Return classes of some scans, int64 ``[b]``; None without classes."""
        if self.labels is None:
            return None
        chosen = positions.cpu().numpy() if isinstance(positions, Tensor) else np.asarray(positions)
        return torch.from_numpy(self.labels[chosen]).to(device)
