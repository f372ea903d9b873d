"""A fitted generator of scans: its networks and the space they draw in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthkit.errors import InputError
from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource
from synthkit.scans.conditions import allowed_classes, drawn_labels
from synthkit.scans.context import Learned
from synthkit.scans.space import ScanSpace

if TYPE_CHECKING:
    from synthkit.gan.images.recipe import Recipe
    from synthkit.gan.images.spec import ImageSpec

_SAMPLES = 2**22  # that one batch of drawn scans may have, over all channels
_MOST_AT_ONCE = 100
GENERATOR = "generator"


@dataclass(eq=False)
class FittedScans:
    """What a fit leaves.

    Attributes
    ----------
    recipe, spec
        What the networks are.
    learned
        Networks and values of the family.
    space
        Size, units, classes and regions of the scans.
    target
        For translation: the space that scans are translated into.
    report
        What the fit did.
    privacy
        JSON-safe record of what the fit spent; None without a budget.
    device
        Where scans are drawn.
    read_as
        Format that the training scans were read from ("dicom", "nifti", "png", "npz"), or empty: scans are written in
        the same one.
    """

    recipe: Recipe
    spec: ImageSpec
    learned: Learned
    space: ScanSpace
    target: ScanSpace | None = None
    report: dict[str, Any] = field(default_factory=dict)
    privacy: dict[str, Any] | None = None
    device: str = "cpu"
    read_as: str = ""

    @property
    def draws(self) -> bool:
        """Whether scans can be drawn from noise; a family with an image as input needs one."""
        return GENERATOR in self.learned.networks and self.recipe.family in ("noise", "anomaly")

    @property
    def batch(self) -> int:
        """Scans that are drawn at once when nothing else is asked for."""
        return max(1, min(_MOST_AT_ONCE, _SAMPLES // (self.spec.outputs * math.prod(self.spec.size))))

    def network(self, name: str) -> torch.nn.Module:
        """Return a network, ready to be used on the device of the model."""
        return self.learned.networks[name].to(self.device).eval()

    @torch.no_grad()
    def drawn(self, labels: Tensor | None, n: int, generator: torch.Generator) -> Tensor:
        """Draw scans in [-1, 1], ``[n, outputs, *size]``, on the host; noise comes from a generator on the host."""
        network = self.network(GENERATOR)
        noise = network.draw(n, generator).to(self.device)  # type: ignore[operator]
        given = labels.to(self.device) if labels is not None and self.recipe.conditional else None
        result: Tensor = network(noise, given).float().cpu()
        return result


def drawn_scans(
    fitted: FittedScans,
    n: int,
    where: Mapping[str, Any] | None,
    random: RandomSource,
    *,
    batch: int | None = None,
    first: int = 0,
) -> Iterator[ScanSet]:
    """Draw scans in batches, with flat memory.

    Parameters
    ----------
    fitted
        A model that draws from noise.
    n
        Number of scans.
    where
        Conditions, checked before anything is drawn.
    random
        Source of noise and classes.
    batch
        Scans at a time.
    first
        Number of the first scan, for the names.

    Raises
    ------
    ConditionError
        An unknown condition or class.
    InputError
        The model needs a scan as input.
    """
    allowed = allowed_classes(where, fitted.space.classes)
    if not fitted.draws:
        raise InputError(
            f"a model of the recipe {fitted.recipe.name!r} makes scans from scans, and cannot draw them from noise",
            remedy=_INSTEAD.get(fitted.recipe.family, "fit a recipe that starts from noise, such as r3"),
        )
    return _batches(fitted, n, allowed, random, batch or fitted.batch, first)


_INSTEAD = {
    "superresolution": "use superresolve",
    "translation": "use translate",
    "inpainting": "use impute",
}


def _batches(
    fitted: FittedScans, n: int, allowed: tuple[int, ...] | None, random: RandomSource, batch: int, first: int
) -> Iterator[ScanSet]:
    rng, generator = random.numpy("classes"), random.torch("noise")
    for start in range(0, n, batch):
        size = min(batch, n - start)
        labels: NDArray[np.int64] | None = None
        if fitted.space.classes:
            labels = drawn_labels(size, fitted.space.shares, allowed, rng)
        drawn = fitted.drawn(None if labels is None else torch.from_numpy(labels), size, generator)
        names = [f"synthetic-{first + start + i + 1:06d}" for i in range(size)]
        yield fitted.space.scans(drawn, labels, names)


def joined(parts: list[ScanSet], empty: ScanSet) -> ScanSet:
    """Return batches as one set; `empty` where there are none."""
    if not parts:
        return empty
    head = parts[0]
    return replace(
        head,
        images=np.concatenate([part.images for part in parts]),
        labels=None
        if head.labels is None
        else np.concatenate([part.labels for part in parts if part.labels is not None]),
        masks=None if head.masks is None else np.concatenate([part.masks for part in parts if part.masks is not None]),
        patients=None,
        names=tuple(name for part in parts for name in part.names),
    )


def no_scans(space: ScanSpace) -> ScanSet:
    """Return a set without scans, of the form that the space gives."""
    return space.scans(
        torch.empty(0, space.network_channels, *space.size), np.empty(0, np.int64) if space.classes else None
    )
