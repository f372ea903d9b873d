"""In-painting: holes in scans filled from what surrounds them.

A network is given the scan with its holes filled smoothly, and where they are; what it makes is used inside the holes
alone. How it is fitted is in `synthkit.scans.two_stages`; the holes of training are boxes and ellipsoids at random
places, different ones every time.

References
----------
Pathak et al. (2016), Context encoders: feature learning by inpainting; Iizuka et al. (2017), Globally and locally
consistent image completion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synthkit.errors import DataError
from synthkit.gan.images.batches import Batch
from synthkit.gan.images.blocks import enlarged, halve
from synthkit.gan.images.nets import Translator
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.io.scan_set import ScanSet
from synthkit.scans.batches import readable
from synthkit.scans.context import FitContext, Learned
from synthkit.scans.fitted import FittedScans
from synthkit.scans.from_scans import (
    batches_of,
    cut,
    halvings_of,
    image_spec,
    of_size,
    parts_of,
    require_family,
    require_likeness,
    smallest,
    some,
    unit_tensor,
    with_widths,
)
from synthkit.scans.two_stages import FAITHFUL, SHARP, Restoration, fit_two_stages

_HALVINGS = 2
_SHORTEST, _LONGEST = 0.15, 0.5  # of each length of the scan, that a hole takes
_MOST_HOLES = 2


def drawn_holes(n: int, size: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Draw where scans have holes: one or two boxes or ellipsoids each.

    Returns
    -------
    Tensor, float32 [n, 1, *size]
        1 inside a hole.
    """
    device = random.device
    holes = torch.zeros(n, *size, dtype=torch.bool, device=device)
    for number in range(_MOST_HOLES):
        lengths = _SHORTEST + (_LONGEST - _SHORTEST) * torch.rand(n, len(size), generator=random, device=device)
        centres = torch.rand(n, len(size), generator=random, device=device)
        round_ones = torch.rand(n, generator=random, device=device) < 0.5
        there = torch.rand(n, generator=random, device=device) < (1.0 if number == 0 else 0.5)
        square = torch.zeros(n, *size, device=device)
        largest = torch.zeros(n, *size, device=device)
        for axis, length in enumerate(size):
            places = (torch.arange(length, device=device) + 0.5) / length
            away = ((places - centres[:, axis, None]) / (lengths[:, axis, None] / 2)).abs()
            form = [n, *[1] * len(size)]
            form[axis + 1] = length
            away = away.reshape(form)
            square, largest = square + away.square(), torch.maximum(largest, away.expand_as(largest))
        own = [n, *[1] * len(size)]
        inside = torch.where(round_ones.reshape(own), square < 1, largest < 1)
        holes |= inside & there.reshape(own)
    return holes[:, None].float()


def filled_smoothly(images: Tensor, holes: Tensor) -> Tensor:
    """Fill holes with means of what surrounds them, from coarser and coarser versions of the image.

    Parameters
    ----------
    images
        ``[n, channels, *size]``; what is inside the holes is not looked at.
    holes
        ``[n, 1, *size]``, 1 inside.

    References
    ----------
    Gortler et al. (1996), The lumigraph (push-pull).
    """
    weight = 1 - holes
    return _pulled(images * weight, weight)


def _pulled(values: Tensor, weight: Tensor) -> Tensor:
    """Return ``values / weight`` where there is weight, and that of a coarser version elsewhere."""
    own = values / weight.clamp(min=1e-8)
    if max(values.shape[2:]) == 1:
        return torch.where(weight > 0, own, torch.zeros_like(own))
    coarse = _pulled(halve(values), halve(weight))
    share = (4 * weight).clamp(max=1)
    return own * share + enlarged(coarse, tuple(values.shape[2:])) * (1 - share)


def given(images: Tensor, holes: Tensor) -> Tensor:
    """Return what the network is given, ``[n, channels + 1, ...]``: the image filled smoothly, and where it was."""
    return torch.cat([filled_smoothly(images, holes), 2 * holes - 1], 1)


def networks(spec: ImageSpec, recipe: Recipe, values: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Return networks of the form that a fit left."""
    return {name: _network(_form(spec), recipe, spec) for name in (FAITHFUL, SHARP)}


def fit_inpainting(context: FitContext) -> Learned:
    """Learn to fill holes."""
    spec, device = _form(context.spec), context.device
    recipe = with_widths(context.recipe, context.spec)
    network = _network(spec, recipe, context.spec, context.random.torch("network", device))
    training = cut(context.training, spec.size)
    judged = some(cut(context.held_out, spec.size), context.random.numpy("scored"))
    held_out = unit_tensor(judged)
    holes = drawn_holes(len(held_out), spec.size, context.random.torch("held-out holes"))

    def made() -> Tensor:
        return _completed(network, held_out, holes, device)

    def make(batch: Batch) -> Tensor:
        asked = batch.context if batch.context is not None else batch.images
        hole = (asked[:, -1:] + 1) / 2
        fake: Tensor = network(asked)
        return batch.images * (1 - hole) + fake * hole

    def distance(batch: Batch, fake: Tensor) -> Tensor:
        asked = batch.context if batch.context is not None else batch.images
        inside = ((asked[:, -1:] + 1) / 2).mean().clamp(min=1e-3)
        # outside of the holes there is no difference
        return (fake - batch.images).abs().mean() / inside

    task = Restoration(
        spec,
        recipe,
        network,
        batches_of(
            training,
            context=lambda images, random: given(images, drawn_holes(len(images), spec.size, random)),
            device=device,
        ),
        make=make,
        distance=distance,
        nearness=lambda: _nearness(made(), held_out, holes),
        made=made,
        judged=judged,
    )
    learned = fit_two_stages(context, task, given(held_out[:1], holes[:1]).to(device), {})
    context.report["held_out_psnr"]["smooth"] = _nearness(filled_smoothly(held_out, holes), held_out, holes)
    return learned


def impute(fitted: FittedScans, scans: ScanSet, holes: NDArray[Any], *, sharp: bool = True) -> ScanSet:
    """Fill holes in scans.

    Parameters
    ----------
    fitted
        A model of the recipe inpaint.
    scans
        Of any size. What is inside the holes is not looked at, so it may be no number there.
    holes
        ``[n, *size]``; true or above 0 where a sample is missing.
    sharp
        Whether the network that was trained against a critic fills them; otherwise the faithful one, which is nearer
        to the truth on average and smoother.

    Returns
    -------
    ScanSet
        The same scans; every sample outside the holes has the value that it had.

    Raises
    ------
    InputError
        A model of another recipe.
    DataError
        Scans of another kind, holes of another shape, or a scan that is nothing but a hole.
    """
    require_family(fitted, "inpainting", "fill holes in", "inpaint")
    where = np.asarray(holes) > 0
    if where.shape != (len(scans), *scans.size):
        raise DataError(
            f"the holes have the shape {where.shape}, and the scans need {(len(scans), *scans.size)}",
            remedy="Give a mask of the size of the scan for each scan.",
        )
    empty = [i for i in range(len(scans)) if where[i].all()]
    if empty:
        named = scans.names[empty[0]] if scans.names else f"scan {empty[0]}"
        raise DataError(f"{named} is nothing but a hole", remedy="Leave it out.")
    inside = np.broadcast_to(where[:, None], scans.images.shape)
    cleared = np.where(inside, scans.images.dtype.type(0), scans.images)
    least = smallest(fitted.spec, fitted.recipe, _HALVINGS)
    require_likeness(replace(scans, images=cleared), fitted.space, least=least)
    intensity = fitted.space.intensity

    def build(form: ImageSpec) -> Translator:
        return _network(form, fitted.recipe, fitted.spec)

    network = of_size(fitted.network(SHARP if sharp else FAITHFUL), scans.size, build)
    unit = intensity.to_unit(readable(cleared))
    made = _completed(network, unit, torch.from_numpy(where[:, None].astype(np.float32)), fitted.device)
    return replace(scans, images=np.where(inside, intensity.to_real(made, scans.images.dtype), scans.images))


@torch.no_grad()
def _completed(network: nn.Module, images: Tensor, holes: Tensor, device: str) -> Tensor:
    """Return images with what a network makes inside their holes, on the host."""
    filled = images.clone()
    for part in parts_of(tuple(images.shape)):
        some_images, some_holes = images[part].to(device), holes[part].to(device)
        made = network(given(some_images, some_holes))
        filled[part] = torch.where(some_holes > 0, made, some_images).cpu()
    return filled


def _nearness(made: Tensor, true: Tensor, holes: Tensor) -> float:
    """Return the mean peak signal-to-noise ratio inside the holes, in dB."""
    inside = holes.flatten(1).sum(1) * true.shape[1]
    error = ((made - true) * holes).square().flatten(1).sum(1) / inside.clamp(min=1)
    return float((10 * torch.log10(4 / error.clamp(min=1e-10))).mean())


def _form(spec: ImageSpec) -> ImageSpec:
    return image_spec(spec, context_channels=spec.channels + 1)


def _network(form: ImageSpec, recipe: Recipe, asked: ImageSpec, random: torch.Generator | None = None) -> Translator:
    """Return a network of a form; how it is built follows from the size that was asked for in training."""
    own = with_widths(recipe, asked)
    return Translator(form, own, random, halvings=halvings_of(asked, own, _HALVINGS))
