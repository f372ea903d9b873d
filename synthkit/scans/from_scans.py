"""What the families with a scan as input share: super-resolution, translation, in-painting, anomaly scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from synthkit.errors import DataError, InputError
from synthkit.gan.images.batches import Batch, ImageBatches, MakeContext
from synthkit.gan.images.nets import Translator
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.io.scan_set import ScanForm, ScanSet
from synthkit.phrases import by
from synthkit.random import RandomSource
from synthkit.scans.batches import readable
from synthkit.scans.held_out import HeldOutScore
from synthkit.scans.unit_images import UnitImages

if TYPE_CHECKING:
    from synthkit.scans.context import FitContext
    from synthkit.scans.fitted import FittedScans
    from synthkit.scans.space import ScanSpace

_SAMPLES = 2**21  # that are mapped at once, over all channels
_MOST_AT_ONCE = 200
_BEHIND = 0.1  # share of the time that a stage may be late before its learning rate goes by the clock
_LEAST = 4
SCORED = 100
"""Held-out scans that a stage is scored on."""


# ------------------------------------------------------------------------------------------------------------ training


def image_spec(spec: ImageSpec, **changes: Any) -> ImageSpec:
    """Return the form of the images alone: without classes and masks, which a given scan already has."""
    return replace(spec, n_classes=0, distance_channels=0, mask_classes=0, widths=(), **changes)


def with_widths(recipe: Recipe, spec: ImageSpec) -> Recipe:
    """Return the recipe with the channels that were asked for in a spec, where some were."""
    return recipe.changed(widths_2d=spec.widths, widths_3d=spec.widths) if spec.widths else recipe


def halvings_of(spec: ImageSpec, recipe: Recipe, most: int) -> int:
    """Return how often a translator halves scans of the training size: at least two samples are left of each axis."""
    halvings = 0
    while halvings < most and min(spec.size) >= 2 * recipe.patch * 2 ** (halvings + 1):
        halvings += 1
    return halvings


def smallest(spec: ImageSpec, recipe: Recipe, most: int) -> int:
    """Return the samples that a scan needs along each axis for the translator of a model."""
    return int(max(_LEAST, 2 * recipe.patch * 2 ** halvings_of(spec, recipe, most)))


def batches_of(units: UnitImages, *, context: MakeContext | None = None, device: str = "cpu") -> ImageBatches:
    """Return training images without their masks, as a stage takes them."""
    return ImageBatches(readable(units.stored), to_unit=units.intensity.to_unit, context=context, device=device)


def cut(units: UnitImages, size: tuple[int, ...]) -> UnitImages:
    """Return scans cut to a size, without masks and classes."""
    part: tuple[Any, ...] = (..., *(slice(length) for length in size))
    return replace(units, stored=units.stored[part], regions=None, labels=None)


def some(units: UnitImages, rng: np.random.Generator, most: int = SCORED) -> UnitImages:
    """Return at most so many scans, drawn once, for held-out scores."""
    return units if len(units) <= most else units.take(np.sort(rng.permutation(len(units))[:most]))


def paced(context: FitContext, share: float = 1.0) -> Callable[[float], float]:
    """Return a function of the share of a stage's steps that are done: the share that its learning rate goes by.

    As `FitContext.pace`, but for a stage that starts now and has a share of the time that is left.
    """
    began, limit = context.trainer.seconds, context.trainer.time_left * share

    def pace(done: float) -> float:
        if not 0 < limit < np.inf:
            return done
        return min(1.0, max(done, (context.trainer.seconds - began) / limit - _BEHIND))

    return pace


def unit_tensor(units: UnitImages) -> Tensor:
    """Return all scans in [-1, 1] without their masks, ``[n, channels, *size]`` on the host."""
    return units.intensity.to_unit(np.ascontiguousarray(units.stored))


def feature_distance(critic: nn.Module, batch: Batch, fake: Tensor) -> Tensor:
    """Mean difference of what the critic finds in a fake and in the real image it stands for (Larsen 2016)."""
    with torch.no_grad():
        wanted = critic.features(batch.images, batch.context)  # type: ignore[operator]
    found: Tensor = critic.features(fake, batch.context)  # type: ignore[operator]
    scale = wanted.square().mean().sqrt().clamp(min=1e-3)
    apart: Tensor = functional.l1_loss(found, wanted) / scale
    return apart


class Likeness:
    """How like held-out scans other scans are as a whole: `HeldOutScore` of scans that are given, not drawn.

    Parameters
    ----------
    held_out
        Scans that training does not see.
    random
        Source of the filters.
    """

    def __init__(self, held_out: UnitImages, random: RandomSource) -> None:
        self._score = HeldOutScore(replace(held_out, labels=None, regions=None), random)

    def __call__(self, images: Tensor) -> float:
        """Score ``[n, channels, *size]`` in [-1, 1], of which there are as many as held-out scans."""
        at = 0

        def next_ones(n: int, _: Tensor | None) -> Tensor:
            nonlocal at
            at += n
            return images[at - n : at]

        return self._score(next_ones)


# ------------------------------------------------------------------------------------------------------------- mapping


@torch.no_grad()
def mapped(function: Callable[..., Tensor], *arrays: Tensor) -> Tensor:
    """Apply a function to tensors ``[n, ...]`` a few at a time; the results on the host."""
    parts = [function(*(array[part] for array in arrays)).float().cpu() for part in parts_of(arrays[0].shape)]
    return torch.cat(parts) if parts else arrays[0][:0].float().cpu()


def parts_of(shape: tuple[int, ...]) -> Iterator[slice]:
    """Go through ``shape[0]`` scans, as many at a time as fit into a bounded memory."""
    step = max(1, min(_MOST_AT_ONCE, _SAMPLES // max(1, math.prod(shape[1:]))))
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def of_size(network: nn.Module, size: tuple[int, ...], build: Callable[[ImageSpec], Translator]) -> nn.Module:
    """Return a convolutional network for another size of scans, with the same weights.

    Parameters
    ----------
    network
        A `Translator`.
    size
        Of what it shall put out.
    build
        Makes one of the same form from a spec.
    """
    spec: ImageSpec = network.spec  # type: ignore[assignment]
    if size == spec.size:
        return network
    other = build(replace(spec, size=size))
    other.load_state_dict(network.state_dict())
    return other.to(next(network.parameters()).device).eval()


# ------------------------------------------------------------------------------------------------------------- refusing


def require_family(fitted: FittedScans, family: str, verb: str, recipe: str) -> None:
    """Refuse a model that was not fitted for this.

    Raises
    ------
    InputError
        With the recipe to fit instead.
    """
    if fitted.recipe.family != family:
        raise InputError(
            f"a model of the recipe {fitted.recipe.name!r} cannot {verb} scans",
            remedy=f"Fit one with the recipe {recipe}.",
        )


def require_likeness(scans: ScanSet, space: ScanSpace, *, size: bool = False, least: int = _LEAST) -> None:
    """Refuse scans that the model cannot know what to do with.

    Parameters
    ----------
    scans
        What is to be mapped.
    space
        What the model learned from.
    size
        Whether the size must be the same as well; otherwise only the number of axes.
    least
        Samples that are needed along each axis.

    Raises
    ------
    DataError
        Other channels, axes, size or units, or values that are no numbers.
    """
    if scans.channels != space.channels or len(scans.size) != len(space.size) or (size and scans.size != space.size):
        raise DataError(
            f"the scans have {_form(scans.channels, scans.size)} samples, and the model was fitted to "
            f"{_form(space.channels, space.size)}",
            remedy=f"Read them with size={space.size}." if size else "Give scans of the same kind.",
        )
    if scans.form.units != space.form.units:
        raise DataError(
            f"the scans are in {_units(scans.form)} and the model was fitted to scans in {_units(space.form)}",
            remedy="Give scans of the same modality.",
        )
    if min(scans.size) < least:
        raise DataError(
            f"the scans have {_form(scans.channels, scans.size)} samples, expected at least {least} along each axis",
            remedy="Give larger scans.",
        )
    if np.issubdtype(scans.images.dtype, np.floating):
        bad = [i for i in range(len(scans)) if not np.isfinite(scans.images[i]).all()]
        if bad:
            named = scans.names[bad[0]] if scans.names else f"scan {bad[0]}"
            raise DataError(
                f"{len(bad)} of {len(scans)} scans have values that are infinite or no numbers, first {named}",
                remedy="Leave them out, or fill these values.",
            )


def _form(channels: int, size: tuple[int, ...]) -> str:
    return by((channels, *size))


def _units(form: ScanForm) -> str:
    return form.units or f"no units ({form.modality})"
