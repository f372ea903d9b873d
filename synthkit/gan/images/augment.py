"""Changes that real and fake images both go through before the critic sees them.

All are differentiable in the images, so the generator learns through them (Zhao 2020), and each can be undone as a
distribution, so they do not leak into what is generated (Karras 2020). Nothing mirrors or turns unless it is asked for:
left and right are clinical content.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synthkit.gan.images.recipe import AugmentSettings


def shifted(images: Tensor, shifts: Tensor) -> Tensor:
    """Roll each image by its own whole number of samples along each axis.

    Parameters
    ----------
    images
        ``[B, C, *size]``.
    shifts
        ``[B, nd]``, whole numbers.
    """
    for axis in range(shifts.shape[1]):
        length = images.shape[axis + 2]
        source = (torch.arange(length, device=images.device) - shifts[:, axis, None]) % length
        form = [len(images), 1, *[1] * shifts.shape[1]]
        form[axis + 2] = length
        images = images.gather(axis + 2, source.reshape(form).expand_as(images))
    return images


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """Mirror left and right (the last axis) where ``which`` ``[B]`` is true."""
    return torch.where(which.reshape(-1, *[1] * (images.dim() - 1)), images.flip(-1), images)


def rescaled(images: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Multiply by ``exp(contrast)`` and add ``brightness``, both ``[B]``."""
    form = (-1, *[1] * (images.dim() - 1))
    return images * contrast.exp().reshape(form) + brightness.reshape(form)


def erased(images: Tensor, centres: Tensor, share: float) -> Tensor:
    """Set a box to 0 around ``centres`` ``[B, nd]`` (as shares of the lengths), ``share`` of each length wide.

    A centre that is not a number leaves the image as it is.
    """
    inside = torch.ones((), dtype=torch.bool, device=images.device)
    for axis in range(centres.shape[1]):
        length = images.shape[axis + 2]
        places = (torch.arange(length, device=images.device) + 0.5) / length
        form = [len(images), 1, *[1] * centres.shape[1]]
        form[axis + 2] = length
        inside = inside & ((places - centres[:, axis, None]).abs() < share / 2).reshape(form)
    return images.masked_fill(inside, 0.0)


def augmented(
    images: Tensor, settings: AugmentSettings, probability: float, random: torch.Generator, n_image: int | None = None
) -> Tensor:
    """Change each image at random.

    Parameters
    ----------
    images
        ``[B, C, *size]``.
    settings, probability
        What may be changed, and how probable each change is.
    random
        On the device of the images.
    n_image
        Leading channels that intensity applies to; region maps after them are only moved. None for all.
    """
    if probability <= 0:
        return images
    n, nd, device = len(images), images.dim() - 2, images.device

    def chosen() -> Tensor:
        return torch.rand(n, generator=random, device=device) < probability

    if settings.flip:
        images = mirrored(images, chosen() & (torch.rand(n, generator=random, device=device) < 0.5))
    if settings.shift:
        lengths = torch.tensor(images.shape[2:], device=device)
        reach = (lengths * settings.shift).floor()
        draws = torch.rand(n, nd, generator=random, device=device)
        shifts = ((2 * reach + 1) * draws).floor() - reach
        images = shifted(images, (shifts * chosen()[:, None]).long())
    if settings.intensity:
        brightness, contrast = torch.randn(2, n, generator=random, device=device) * settings.intensity * chosen()
        kept = images.shape[1] if n_image is None else n_image
        images = torch.cat([rescaled(images[:, :kept], brightness, contrast), images[:, kept:]], 1)
    if settings.erase:
        centres = torch.rand(n, nd, generator=random, device=device)
        nowhere = torch.full_like(centres, torch.nan)
        images = erased(images, torch.where(chosen()[:, None], centres, nowhere), settings.erase)
    return images


def adapted(probability: float, sureness: float, target: float, images: int, *, reach: float = 1e5) -> float:
    """Move the probability of changes up when the critic is too sure of real images, down when it is not.

    Parameters
    ----------
    sureness
        Mean sign of the critic's scores of real images: 0 when it cannot tell, 1 when it overfits.
    target
        Where that should be (0.6 in the paper).
    images
        Images shown since the last change; ``reach`` of them take the probability from 0 to 1.
    """
    step = images / reach if sureness > target else -images / reach
    return min(max(probability + step, 0.0), 0.85)
