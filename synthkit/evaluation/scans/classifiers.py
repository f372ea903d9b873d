"""Classifiers of scans for the utility scores: small networks, trained the same way on real and on synthetic scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from synthkit.evaluation.intervals import Floats
from synthkit.evaluation.scans.domain import DomainNet, at_size, fitting_size
from synthkit.evaluation.scans.extractors import Window
from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource

STEPS = 300
_BATCH = 64
_RATE = 3e-3
_HALVED = 16
_MOST_SHIFT = 0.07
_BATCH_SAMPLES = 1 << 20


@dataclass(frozen=True)
class LabelledScans:
    """Scans as a classifier sees them.

    Attributes
    ----------
    unit
        ``[n, channels, *size]`` in [-1, 1], as bytes where they are many.
    labels
        ``[n]``.
    n_classes
        Number of classes.
    """

    unit: Tensor
    labels: npt.NDArray[np.int64]
    n_classes: int

    def __len__(self) -> int:
        """Return the number of scans."""
        return len(self.unit)

    def take(self, rows: npt.NDArray[np.int64]) -> LabelledScans:
        """Return some of the scans."""
        return LabelledScans(self.unit[torch.as_tensor(rows)], self.labels[rows], self.n_classes)

    def joined(self, other: LabelledScans) -> LabelledScans:
        """Return these scans followed by others."""
        return LabelledScans(
            torch.cat([self.unit, other.unit]), np.concatenate([self.labels, other.labels]), self.n_classes
        )


def labelled(scans: ScanSet, window: Window) -> LabelledScans:
    """Return scans as a classifier sees them.

    Parameters
    ----------
    scans
        With labels.
    window
        The range of real values that is mapped to [-1, 1].
    """
    size = fitting_size(scans.size)
    batch = max(1, _BATCH_SAMPLES // int(np.prod(scans.images.shape[1:])))
    parts = [
        at_size(torch.from_numpy(np.ascontiguousarray(window.to_unit(scans.images[start : start + batch]))), size)
        for start in range(0, len(scans), batch)
    ]
    return LabelledScans(torch.cat(parts), np.asarray(scans.labels, dtype=np.int64), len(scans.classes))


def train_classifier(
    scans: LabelledScans,
    random: RandomSource,
    *,
    steps: int = STEPS,
    shares: Floats | None = None,
    device: str | torch.device = "cpu",
) -> DomainNet:
    """Train a network to name the class of a scan.

    Every class is drawn equally often. Scans are shifted by up to 7 % of a side; they are never mirrored.

    Parameters
    ----------
    scans
        What it learns from.
    random
        Where randomness comes from.
    steps
        Number of batches, the same whatever the number of scans.
    shares
        Weight of each scan within its class, ``[n]``; equal when None.
    device
        Where to compute.
    """
    generator = random.torch("classifier")
    place = torch.device(device)
    size = tuple(scans.unit.shape[2:])
    net = DomainNet(size, scans.unit.shape[1], scans.n_classes, generator=generator, halved_above=_HALVED).to(place)
    weights = np.ones(len(scans)) if shares is None else np.asarray(shares, dtype=np.float64)
    totals = np.bincount(scans.labels, weights=weights, minlength=scans.n_classes)
    drawn = torch.as_tensor(weights / totals[scans.labels])
    labels = torch.as_tensor(scans.labels)
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=max(2, steps), pct_start=0.2)
    net.train()
    for _ in range(steps):
        rows = torch.multinomial(drawn, _BATCH, replacement=True, generator=generator)
        answers = class_scores(net, _shifted(scans.unit[rows], generator).to(place))
        loss = functional.cross_entropy(answers, labels[rows].to(place), label_smoothing=0.02)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return net.eval().requires_grad_(False)


def class_scores(net: DomainNet, scans: Tensor) -> Tensor:
    """Return the logit of each class, ``[n, classes]``."""
    answers: Tensor = net.head(net(scans))
    return answers[:, -net.n_classes :]


@torch.no_grad()
def probabilities(net: DomainNet, scans: LabelledScans) -> Floats:
    """Return the probability of each class for each scan, ``[n, classes]``."""
    device = next(net.parameters()).device
    batch = max(1, _BATCH_SAMPLES // (8 * int(np.prod(scans.unit.shape[1:]))))
    parts = [
        class_scores(net, scans.unit[start : start + batch].to(device)).double().softmax(dim=1).cpu().numpy()
        for start in range(0, len(scans), batch)
    ]
    return np.concatenate(parts)


def _shifted(scans: Tensor, generator: torch.Generator) -> Tensor:
    """Return scans each moved by its own whole number of samples; the border is repeated."""
    n, _, *size = scans.shape
    made: Any = scans
    for axis, length in enumerate(size):
        most = max(1, round(_MOST_SHIFT * length))
        shift = torch.randint(-most, most + 1, (n, 1), generator=generator)
        index = (torch.arange(length) + shift).clamp(0, length - 1)
        shape = [n, 1, *(1,) * len(size)]
        shape[2 + axis] = length
        made = made.gather(2 + axis, index.view(shape).expand_as(made))
    return torch.as_tensor(made)
