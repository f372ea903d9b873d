"""Small private scans, image critics with public weights, and models of scans that were fitted under a budget."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from private_tables import Written
from torch import nn

from synthkit import PrivacyBudget, ScanGAN
from synthkit.archive import Archive, read_archive, write_archive
from synthkit.gan.images.nets import Critic, Generator
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.image_clipping import Pairs
from synthkit.privacy.image_stage import PrivateImageSettings, private_critic_recipe
from synthkit.random import RandomSource

CLASSES = ("left", "right")
PLAIN = Recipe("cgan", generator="plain", critic="plain", norm=True, spread=False, widths_2d=(12, 8), widths_3d=(8, 6))
SETTINGS = PrivateImageSettings(widths=(8, 6))


def scans_of_patients(patients: int = 40, each: int = 3, side: int = 12, seed: int = 0) -> ScanSet:
    """Bright halves, left or right, several scans of each patient."""
    rng = np.random.default_rng(seed)
    n = patients * each
    labels = np.repeat(rng.integers(0, 2, patients), each)
    images = rng.integers(0, 60, (n, 1, side, side))
    images[labels == 0, :, :, : side // 2] += 150
    images[labels == 1, :, :, side // 2 :] += 150
    owners = np.array([f"P{i:03d}" for i in np.repeat(np.arange(patients), each)])
    form = ScanForm(modality="MR", spacing=(0.7, 0.7), body_part="KNEE")
    return ScanSet(images.astype(np.uint8), labels, CLASSES, patients=owners, form=form)


def spec_of(size: tuple[int, ...] = (12, 12), classes: int = 2) -> ImageSpec:
    return ImageSpec(size, 1, n_classes=classes, latent=8)


def a_generator(size: tuple[int, ...] = (12, 12), classes: int = 2) -> Generator:
    return Generator(spec_of(size, classes), PLAIN, RandomSource(1).torch("generator"))


def an_image_critic(size: tuple[int, ...] = (12, 12), classes: int = 2, scale: float = 1.0) -> Critic:
    spec = spec_of(size, classes)
    critic = Critic(spec, private_critic_recipe(PLAIN, SETTINGS, spec), RandomSource(2).torch("critic"))
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.mul_(scale)
    return critic


class Grouped(nn.Module):
    """A critic with group normalisation."""

    def __init__(self, nd: int = 2) -> None:
        super().__init__()
        convolution = nn.Conv2d if nd == 2 else nn.Conv3d
        rng = RandomSource(3).torch("grouped")
        self.body = nn.Sequential(convolution(1, 4, 3, 2, 1), nn.GroupNorm(2, 4), nn.ReLU(), convolution(4, 4, 3, 2, 1))
        self.score = nn.Linear(4, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=rng) * 0.1)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        found: torch.Tensor = self.score(self.body(images).flatten(2).mean(2)).squeeze(1)
        return found if labels is None else found * (1 + labels.to(found.dtype))


def some_pairs(n: int, size: tuple[int, ...] = (12, 12), *, units: list[int] | None = None, seed: int = 0) -> Pairs:
    rng = RandomSource(seed).torch("pairs")
    real, fake = (torch.rand(n, 1, *size, generator=rng) * 2 - 1 for _ in range(2))
    owners = torch.arange(n) if units is None else torch.tensor(units)
    return Pairs(real, fake, torch.rand(n, generator=rng), torch.arange(n) % 2, owners)


def guarded_scans(images: np.ndarray, labels: np.ndarray | None = None, units: np.ndarray | None = None) -> PrivateRows:
    columns = {"images": images, "parts": np.ones(len(images), np.int64)}
    if labels is not None:
        columns["labels"] = labels
    return PrivateRows(columns, Written(), units)


def flat(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.flatten().double() for tensor in tensors])


# -- models -----------------------------------------------------------------------------------------------------------

BUDGET = PrivacyBudget(10.0, 1e-4, unit="patient", rows_per_unit=2)
DECLARED: dict[str, Any] = {"size": (12, 12), "window": (0, 255), "classes": CLASSES, "records": 40}


def a_private_gan(**changes: Any) -> ScanGAN:
    settings: dict[str, Any] = {
        "recipe": "cgan", "privacy": BUDGET, "steps": 4, "batch": 8, "time_budget": "1s", "random_state": 0,
        "verbose": False, "widths": (12, 8), **DECLARED,
    }  # fmt: skip
    return ScanGAN(**{**settings, **changes})


@cache
def scan_model(engine: str) -> bytes:
    """The file of a model that was fitted with an engine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.synth"
        a_private_gan(privacy_engine=engine).fit(scans_of_patients()).save(path)
        return path.read_bytes()


def changed_model(engine: str, change: Callable[[Archive], None], folder: Path) -> Path:
    """Write a model file with a part of it changed."""
    path = folder / "model.synth"
    path.write_bytes(scan_model(engine))
    parts = copy.deepcopy(read_archive(path))
    change(parts)
    for name in ("format", "format_version", "created_with", "files", "checksum"):
        parts.manifest.pop(name, None)
    write_archive(path, parts.manifest, tensors=parts.tensors, texts=parts.texts)
    return path
