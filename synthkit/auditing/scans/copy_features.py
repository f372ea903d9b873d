"""Features by which a copy is known again: a small network that learned to tell training scans apart, however changed.

It sees two changed versions of each scan (turned, enlarged, moved, mirrored, noisy, blurred, with another gamma) and
learns to find the pairs among all others. So its features keep what makes a scan that scan, and forget what a copier
may change. Networks that learned classes or quality do the opposite: they see noise first.

References
----------
Chen, Kornblith, Norouzi and Hinton (2020), A Simple Framework for Contrastive Learning, ICML. Dar et al. (2025),
Unconditional latent diffusion models memorize patient imaging data, Nature Biomedical Engineering: contrastive features
find copies of volumes that pixels miss.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource

STEPS = 300
BATCH = {2: 64, 3: 24}
SIDE = {2: 32, 3: 20}
"""Samples along an axis at most: larger scans are averaged first."""
DIMENSIONS = 64
_WIDTHS = (16, 32, 64, 96)
_TEMPERATURE = 0.1
_RATE = 2e-3
_MOST_TURNED = 0.2  # radians, about 11 degrees
_MOST_SCALED = 0.12
_MOST_MOVED = 0.1  # of half an axis
_MOST_NOISE = 0.3  # of the standard deviation of the scan
_MOST_GAMMA = 0.3


class _Halved(nn.Module):
    """Averages neighbouring samples along each axis, down to one."""

    def forward(self, scans: Tensor) -> Tensor:
        size = [-(-length // 2) for length in scans.shape[2:]]
        return _pooled(scans, tuple(size))


class _Net(nn.Module):
    """Scans ``[B, channels, *size]`` to features ``[B, DIMENSIONS]`` of length one."""

    def __init__(self, channels: int, axes: int) -> None:
        super().__init__()
        conv = nn.Conv2d if axes == 2 else nn.Conv3d
        widths = (channels, *_WIDTHS)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [conv(before, after, 3, padding=1), nn.GroupNorm(8, after), nn.ReLU(), _Halved()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(_WIDTHS[-1] * 2**axes, DIMENSIONS)
        self.pool = nn.AdaptiveAvgPool2d(2) if axes == 2 else nn.AdaptiveAvgPool3d(2)

    def forward(self, scans: Tensor) -> Tensor:
        return functional.normalize(self.head(self.pool(self.body(scans)).flatten(1)), dim=1)


def _new_net(channels: int, axes: int, generator: torch.Generator) -> _Net:
    """Return a network with weights of this generator alone (He 2015), leaving torch's global one as it is."""
    with torch.device("meta"):
        net = _Net(channels, axes)
    net = net.to_empty(device="cpu")
    for name, parameter in net.named_parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_uniform_(parameter, nonlinearity="relu", generator=generator)
        else:
            nn.init.constant_(parameter, 1.0 if name.endswith("weight") else 0.0)
    return net


@dataclass(frozen=True)
class CopyFeatures:
    """The trained network; `features` is what extractors of the evaluation have too.

    Attributes
    ----------
    net
        The network.
    size
        Samples along each axis that it sees.
    """

    net: nn.Module
    size: tuple[int, ...]
    name: str = "copies"

    def features(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return features ``[n, DIMENSIONS]`` of scans ``[n, channels, *size]``."""
        parts = []
        with torch.no_grad():
            for start in range(0, len(images), 256):
                parts.append(self.net(standardised(images[start : start + 256], self.size)).numpy())
        return np.concatenate(parts) if parts else np.empty((0, DIMENSIONS), dtype=np.float32)

    def describe(self) -> dict[str, Any]:
        """Return what it is, as plain values."""
        return {"extractor": self.name, "what": "a network that learned to know training scans again", "steps": STEPS}


def learn_copy_features(train: ScanSet, random: RandomSource, *, steps: int = STEPS) -> CopyFeatures:
    """Train a network to know scans again.

    Parameters
    ----------
    train
        The training scans.
    random
        Where randomness comes from.
    steps
        Batches that it learns from.
    """
    axes = len(train.size)
    size = tuple(min(length, SIDE[axes]) for length in train.size)
    net = _new_net(train.channels, axes, random.torch("weights"))
    generator = random.torch("views")
    draws = random.numpy("batches")
    optimiser = torch.optim.Adam(net.parameters(), lr=_RATE)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * 0.5 * (1 + float(np.cos(np.pi * step / steps)))
        rows = draws.permutation(len(train))[: BATCH[axes]]
        scans = standardised(train.images[rows], size)
        loss = _loss(net(changed(scans, generator)), net(changed(scans, generator)))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    net.eval()
    return CopyFeatures(net, size)


def standardised(images: npt.NDArray[Any], size: tuple[int, ...]) -> Tensor:
    """Return scans of mean 0 and standard deviation 1 each, averaged to a size: brightness and contrast are gone."""
    scans = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
    if tuple(scans.shape[2:]) != size:
        scans = _pooled(scans, size)
    dims = tuple(range(1, scans.ndim))
    centred = scans - scans.mean(dims, keepdim=True)
    return centred / centred.std(dims, keepdim=True).clamp_min(1e-6)


def _pooled(scans: Tensor, size: tuple[int, ...]) -> Tensor:
    if len(size) == 2:
        return functional.adaptive_avg_pool2d(scans, (size[0], size[1]))
    return functional.adaptive_avg_pool3d(scans, (size[0], size[1], size[2]))


def changed(scans: Tensor, generator: torch.Generator) -> Tensor:
    """Return scans as a copier may change them, each in its own way.

    Parameters
    ----------
    scans
        As `standardised` returns them, ``[B, channels, *size]``.
    generator
        Draws the changes.
    """
    n, axes = len(scans), scans.ndim - 2

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, *(1,) * (scans.ndim - 1), generator=generator)

    grid = functional.affine_grid(_affine(n, axes, generator), list(scans.shape), align_corners=False)
    moved = functional.grid_sample(scans, grid, padding_mode="border", align_corners=False)
    moved = torch.where(drawn(0, 1) < 0.5, moved, moved.flip(-1))
    pool = functional.avg_pool2d if axes == 2 else functional.avg_pool3d
    smooth = pool(functional.pad(moved, (1,) * (2 * axes), mode="replicate"), 3, stride=1)
    moved = torch.lerp(moved, smooth, drawn(0, 1) * (drawn(0, 1) < 0.3))
    curved = moved.sign() * moved.abs().clamp_min(1e-4) ** (1 + drawn(-_MOST_GAMMA, _MOST_GAMMA))
    return curved + torch.randn(scans.shape, generator=generator) * drawn(0, _MOST_NOISE)


def _affine(n: int, axes: int, generator: torch.Generator) -> Tensor:
    """Return small turns in the plane of rows and columns, changes of size and shifts, ``[n, axes, axes + 1]``."""
    uniform = 2 * torch.rand(n, 2 + axes, generator=generator) - 1
    turn, scale = _MOST_TURNED * uniform[:, 0], 1 + _MOST_SCALED * uniform[:, 1]
    found = torch.zeros(n, axes, axes + 1)
    found[:, range(axes), range(axes)] = scale[:, None].expand(n, axes)
    # the first two axes of a grid are columns and rows
    found[:, 0, 0], found[:, 0, 1] = scale * turn.cos(), -scale * turn.sin()
    found[:, 1, 0], found[:, 1, 1] = scale * turn.sin(), scale * turn.cos()
    found[:, :, -1] = _MOST_MOVED * uniform[:, 2:]
    return found


def _loss(first: Tensor, second: Tensor) -> Tensor:
    """Return how badly pairs are found among all others (normalised temperature-scaled cross-entropy)."""
    both = torch.cat([first, second])
    likeness = both @ both.T / _TEMPERATURE
    likeness = likeness.masked_fill(torch.eye(len(both), dtype=torch.bool), -torch.inf)
    n = len(first)
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return functional.cross_entropy(likeness, partner)
