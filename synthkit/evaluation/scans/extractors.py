"""What scans are compared by: extractors of features, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from synthkit.errors import InputError, unknown_name
from synthkit.evaluation.scans import imagenet, radiomics
from synthkit.evaluation.scans.distances import Features
from synthkit.evaluation.scans.domain import Learned, at_size, fitting_size, train_domain_net
from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource

EXTRACTORS: Mapping[str, str] = {
    "domain": "a small network trained on the real training scans",
    "radiomic": "first-order, co-occurrence and run-length features of each scan and its Laplacian of Gaussian",
    "imagenet": "MobileNetV2 trained on ImageNet photographs, from an installed package",
}
"""Every extractor with what it is."""

STEPS = 400
_MOST_LEARNED = 6000
_MOST_SCALED = 2000
_BATCH_SAMPLES = 1 << 20
_WINDOW = (0.1, 99.9)
_RADIOMIC_LONGEST = {2: 128, 3: 64}


@dataclass(frozen=True)
class Window:
    """The range of real values that extractors map to [-1, 1]; values outside are cut."""

    low: float
    high: float

    def to_unit(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return values in [-1, 1]."""
        unit: npt.NDArray[np.float32] = np.asarray(images, dtype=np.float32) - np.float32(self.low)
        unit *= np.float32(2 / (self.high - self.low))
        unit -= 1
        return np.clip(unit, -1, 1, out=unit)


def window_of(scans: ScanSet) -> Window:
    """Return the range of nearly all values of scans: from their 0.1 to their 99.9 percentile."""
    step = max(1, len(scans) // _MOST_SCALED)
    low, high = np.percentile(np.asarray(scans.images[::step]).ravel()[:: max(1, step // 4)], _WINDOW)
    if not high > low:
        low, high = float(scans.images.min()), float(scans.images.max())
    return Window(float(low), float(high) if high > low else float(low) + 1.0)


class Extractor(Protocol):
    """Turns scans into features that can be compared."""

    @property
    def name(self) -> str:
        """Name in `EXTRACTORS`."""

    def features(self, images: npt.NDArray[Any]) -> Features:
        """Return features ``[n, F]`` of images ``[n, channels, *size]`` in the real units of the training scans."""

    def describe(self) -> dict[str, Any]:
        """Return what it is and what it learned, as plain values."""


@dataclass(frozen=True)
class DomainExtractor:
    """The network of `synthkit.evaluation.scans.domain`, with features standardised on the training scans."""

    net: nn.Module
    window: Window
    size: tuple[int, ...]
    learned: Learned
    device: torch.device
    centre: npt.NDArray[np.float32] = field(repr=False)
    scale: npt.NDArray[np.float32] = field(repr=False)
    name: str = "domain"

    def features(self, images: npt.NDArray[Any]) -> Features:
        """Return features ``[n, F]``; see `Extractor`."""
        return (_pooled(self.net, images, self.window, self.size, self.device) - self.centre) / self.scale

    def describe(self) -> dict[str, Any]:
        """Return what the network learned."""
        return {
            "extractor": self.name,
            "what": EXTRACTORS[self.name],
            "features": len(self.centre),
            "batches": self.learned.steps,
            "class accuracy on real scans set aside": round(self.learned.accuracy, 4),
            "error of damages as a share of their variance": round(self.learned.damage_error, 4),
        }


@dataclass(frozen=True)
class RadiomicExtractor:
    """Radiomic features, standardised on the training scans and drawn in; colours count as their mean."""

    window: Window
    centre: npt.NDArray[np.float32] = field(repr=False)
    scale: npt.NDArray[np.float32] = field(repr=False)
    name: str = "radiomic"

    def features(self, images: npt.NDArray[Any]) -> Features:
        """Return features ``[n, F]``; see `Extractor`."""
        scaled = (_radiomic(images, self.window) - self.centre) / self.scale
        # A few scans with extreme texture would decide a distance with a cubic kernel: their features are drawn in.
        features: Features = np.arcsinh(scaled)
        return features

    def describe(self) -> dict[str, Any]:
        """Return what the features are."""
        return {"extractor": self.name, "what": EXTRACTORS[self.name], "features": len(self.centre)}


@dataclass(frozen=True)
class ImagenetExtractor:
    """Pooled features of MobileNetV2; of volumes, the mean over three planes along each axis."""

    net: nn.Module
    window: Window
    device: torch.device
    name: str = "imagenet"

    def features(self, images: npt.NDArray[Any]) -> Features:
        """Return features ``[n, 1280]``; see `Extractor`."""
        side = (imagenet.SIDE, imagenet.SIDE)
        if images.ndim == 4:
            return _pooled(_Photograph(self.net), images, self.window, side, self.device)
        planes = []
        for axis in (2, 3, 4):
            length = images.shape[axis]
            for place in (length // 3, length // 2, (2 * length) // 3):
                plane = np.take(images, place, axis=axis)
                planes.append(_pooled(_Photograph(self.net), plane, self.window, side, self.device))
        features: Features = np.mean(planes, axis=0, dtype=np.float32)
        return features

    def describe(self) -> dict[str, Any]:
        """Return which weights the network has."""
        return {
            "extractor": self.name,
            "what": EXTRACTORS[self.name],
            "features": imagenet.DIMENSIONS,
            "weights sha256": imagenet.SHA256,
        }


class _Photograph(nn.Module):
    """Shows grey values in [-1, 1] as three colours in [0, 1]."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, scans: Tensor) -> Tensor:
        colours = scans if scans.shape[1] == 3 else scans[:, :1].expand(-1, 3, -1, -1)
        features: Tensor = self.net((colours + 1) / 2)
        return features


def extractor_named(
    name: str,
    train: ScanSet,
    random: RandomSource,
    *,
    device: str | torch.device = "cpu",
    steps: int = STEPS,
) -> Extractor:
    """Return an extractor, fitted to the real training scans where it has something to learn.

    Parameters
    ----------
    name
        "domain", "radiomic" or "imagenet".
    train
        The real training scans; held-out scans must not be among them.
    random
        Where randomness comes from: the same source and scans give the same features.
    device
        Where networks compute.
    steps
        Batches that the network of "domain" learns from.

    Raises
    ------
    InputError
        An unknown name, no scans, or weights that are missing.
    """
    if name not in EXTRACTORS:
        raise InputError(unknown_name("extractor", name, EXTRACTORS))
    if len(train) == 0:
        raise InputError("there are no training scans to fit an extractor to", remedy="Pass real scans.")
    place = torch.device(device)
    window = window_of(train)
    if name == "imagenet":
        return ImagenetExtractor(imagenet.load_mobilenet().to(place), window, place)
    kept = np.sort(random.numpy("extractor").permutation(len(train))[:_MOST_LEARNED])
    if name == "radiomic":
        return RadiomicExtractor(window, *_scaling(_radiomic(train.images[kept[:_MOST_SCALED]], window)))
    some = train.take(kept)
    size = fitting_size(train.size)
    unit = torch.cat([at_size(part, size) for part in _batches(some.images, window)])
    net, learned = train_domain_net(
        unit,
        None if some.labels is None else np.asarray(some.labels, dtype=np.int64),
        some.groups,
        len(train.classes),
        steps=steps,
        random=random,
        device=place,
    )
    scaled = _pooled(net, some.images[:: max(1, len(some) // _MOST_SCALED)], window, size, place)
    return DomainExtractor(net, window, size, learned, place, *_scaling(scaled))


def _scaling(features: Features) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return mean and standard deviation of each feature; one that never varies is left as it is."""
    spread = features.std(axis=0, dtype=np.float64)
    floor = 1e-6 * np.maximum(1.0, np.abs(features).max(axis=0))
    return features.mean(axis=0, dtype=np.float64).astype(np.float32), np.where(spread > floor, spread, 1.0).astype(
        np.float32
    )


def _batches(images: npt.NDArray[Any], window: Window) -> list[Tensor]:
    batch = max(1, _BATCH_SAMPLES // int(np.prod(images.shape[1:])))
    return [
        torch.from_numpy(np.ascontiguousarray(window.to_unit(images[start : start + batch])))
        for start in range(0, len(images), batch)
    ]


@torch.no_grad()
def _pooled(
    net: nn.Module, images: npt.NDArray[Any], window: Window, size: tuple[int, ...], device: torch.device
) -> Features:
    """Return features of scans, in bounded memory."""
    batch = max(1, _BATCH_SAMPLES // max(int(np.prod(images.shape[1:])), int(np.prod(size)) * 8))
    found = []
    for start in range(0, len(images), batch):
        part = torch.from_numpy(np.ascontiguousarray(window.to_unit(images[start : start + batch]))).to(device)
        found.append(net(at_size(part, size)).float().cpu().numpy())
    return np.concatenate(found)


def _radiomic(images: npt.NDArray[Any], window: Window) -> Features:
    """Return radiomic features, of scans resampled to a bounded size."""
    dimensions = images.ndim - 2
    share = min(1.0, _RADIOMIC_LONGEST[dimensions] / max(images.shape[2:]))
    size = tuple(max(1, round(length * share)) for length in images.shape[2:])
    batch = max(1, _BATCH_SAMPLES // int(np.prod(images.shape[1:])))
    found = []
    for start in range(0, len(images), batch):
        unit = at_size(torch.from_numpy(window.to_unit(images[start : start + batch])), size).numpy().mean(axis=1)
        found.append(radiomics.radiomic_features(unit, -1.0, 1.0))
    return np.concatenate(found)
