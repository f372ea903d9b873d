"""Super-resolution: from scans of a lower resolution to the resolution of the training scans (SRGAN).

The lower resolution is made by averaging neighbouring samples, as a coarser scanner does. How the network is fitted is
in `synthkit.scans.two_stages`.

References
----------
Ledig et al. (2017), Photo-realistic single image super-resolution using a generative adversarial network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthkit.errors import InputError
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
    mapped,
    of_size,
    require_family,
    require_likeness,
    smallest,
    some,
    unit_tensor,
    with_widths,
)
from synthkit.scans.similarity import psnr
from synthkit.scans.two_stages import FAITHFUL, SHARP, Restoration, fit_two_stages, l1

FACTORS = (2, 3, 4)
_HALVINGS = 1


def lowered(images: Tensor, factor: int) -> Tensor:
    """Return images of a lower resolution: means over ``factor`` samples along each axis, as a coarser scanner has.

    Parameters
    ----------
    images
        ``[n, channels, *size]``; each length a multiple of the factor.
    factor
        How many times coarser.
    """
    mean = functional.avg_pool2d if images.dim() == 4 else functional.avg_pool3d
    return mean(images, factor)


def enlarged_plainly(images: Tensor, factor: int) -> Tensor:
    """Return images interpolated to a higher resolution: by cubic splines, volumes linearly. Networks start from it."""
    mode = "bicubic" if images.dim() == 4 else "trilinear"
    wide = functional.interpolate(images, scale_factor=factor, mode=mode, align_corners=False)
    return wide.clamp(-1, 1)


def networks(spec: ImageSpec, recipe: Recipe, values: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Return networks of the form that a fit left."""
    form = _form(spec, int(values["factor"]))
    return {name: _network(form, recipe, spec) for name in (FAITHFUL, SHARP)}


def fit_superresolution(context: FitContext) -> Learned:
    """Learn to undo the loss of resolution.

    Raises
    ------
    InputError
        A factor other than 2, 3 or 4, or scans too small for it.
    """
    factor = int(context.settings.get("factor") or 2)
    spec, device = _form(context.spec, factor), context.device
    recipe = with_widths(context.recipe, context.spec)
    network = _network(spec, recipe, context.spec, context.random.torch("network", device))
    training = cut(context.training, spec.size)
    judged = some(cut(context.held_out, spec.size), context.random.numpy("scored"))
    held_out = unit_tensor(judged)
    plain = enlarged_plainly(lowered(held_out, factor), factor)

    def made() -> Tensor:
        return mapped(lambda part: network(part.to(device)), plain)

    task = Restoration(
        spec,
        recipe,
        network,
        batches_of(
            training, context=lambda images, _: enlarged_plainly(lowered(images, factor), factor), device=device
        ),
        make=lambda batch: network(batch.context),
        distance=l1,
        nearness=lambda: float(psnr(made().numpy(), held_out.numpy(), 2.0).mean()),
        made=made,
        judged=judged,
    )
    learned = fit_two_stages(context, task, plain[:1].to(device), {"factor": factor})
    context.report["held_out_psnr"]["interpolation"] = float(psnr(plain.numpy(), held_out.numpy(), 2.0).mean())
    return learned


def superresolve(fitted: FittedScans, scans: ScanSet, *, sharp: bool = True) -> ScanSet:
    """Return scans at a resolution higher by the factor of the model.

    Parameters
    ----------
    fitted
        A model of the recipe srgan.
    scans
        Of the lower resolution, of any size.
    sharp
        Whether the network that was trained against a critic makes them; otherwise the faithful one, which is nearer
        to the true scan on average and smoother.

    Returns
    -------
    ScanSet
        The same scans in the same order, with names, labels and patients, and the spacing divided by the factor. Masks
        are repeated. They are still scans of the same patients.

    Raises
    ------
    InputError
        A model of another recipe.
    DataError
        Scans of another kind.
    """
    require_family(fitted, "superresolution", "super-resolve", "srgan")
    factor, intensity = int(fitted.learned.values["factor"]), fitted.space.intensity
    least = -(-smallest(fitted.spec, fitted.recipe, _HALVINGS) // factor)
    require_likeness(scans, fitted.space, least=least)
    size = tuple(length * factor for length in scans.size)

    def build(form: ImageSpec) -> Translator:
        return _network(form, fitted.recipe, fitted.spec)

    network = of_size(fitted.network(SHARP if sharp else FAITHFUL), size, build)
    stored = torch.from_numpy(readable(scans.images))
    made = mapped(lambda part: network(enlarged_plainly(intensity.to_unit(part).to(fitted.device), factor)), stored)
    spacing, masks = scans.form.spacing, scans.masks
    if masks is not None:
        for axis in range(1, masks.ndim):
            masks = masks.repeat(factor, axis=axis)
    return replace(
        scans,
        images=intensity.to_real(made.reshape(len(scans), scans.channels, *size), scans.images.dtype),
        masks=masks,
        form=replace(scans.form, spacing=None if spacing is None else tuple(one / factor for one in spacing)),
    )


def _form(spec: ImageSpec, factor: int) -> ImageSpec:
    """Return the form of the networks: as much of each axis as fills samples of the lower resolution."""
    if factor not in FACTORS:
        raise InputError(f"the factor is {factor}, expected 2, 3 or 4", remedy="Give a factor of 2, 3 or 4.")
    size = tuple(length // factor * factor for length in spec.size)
    if min(size) < 4 * factor:
        raise InputError(
            f"scans of the size {spec.size} leave fewer than 4 samples when their resolution is lowered by {factor}",
            remedy="Choose a smaller factor, or train on larger scans.",
        )
    return image_spec(spec, size=size, context_channels=spec.channels)


def _network(form: ImageSpec, recipe: Recipe, asked: ImageSpec, random: torch.Generator | None = None) -> Translator:
    """Return a network of a form; how it is built follows from the size that was asked for in training."""
    own = with_widths(recipe, asked)
    return Translator(form, own, random, halvings=halvings_of(asked, own, _HALVINGS))
