"""Nets that start from an image: translation at the same size, enlargement, and the way back to noise."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from synthkit.gan.images.blocks import (
    Conv,
    Group,
    Linear,
    Residual,
    active,
    enlarged,
    halve,
    initialise,
    join_pixels,
    split_pixels,
)
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec


class Translator(nn.Module):
    """From an image to an image: down, residual blocks, up, with a connection at every level.

    What it puts out is a change of what came in where both have the same channels, so an untrained one is close to
    linear interpolation. A source smaller than ``spec.size`` is enlarged first (super-resolution).

    Parameters
    ----------
    spec
        ``context_channels`` is the source, ``outputs`` what is made.
    recipe
        Widths, depth (residual blocks at the coarsest level) and norm.
    random
        Where the initial weights come from.
    halvings
        Times the size is halved on the way.
    residual
        Whether the source is added to what is made (first channels), where both have them.
    """

    def __init__(
        self,
        spec: ImageSpec,
        recipe: Recipe,
        random: torch.Generator | None = None,
        *,
        halvings: int = 2,
        residual: bool = True,
    ) -> None:
        super().__init__()
        nd = spec.nd
        self.spec, self.patch = spec, recipe.patch
        widths = recipe.widths(nd, halvings + 1)[::-1]
        self.residual = residual and spec.context_channels >= spec.channels
        self.enter = Conv(nd, spec.context_channels * recipe.patch**nd, widths[0])
        self.down = nn.ModuleList(Conv(nd, i, o) for i, o in itertools.pairwise(widths))
        self.middle = nn.ModuleList(Residual(nd, widths[-1], norm=recipe.norm) for _ in range(max(1, recipe.depth)))
        back = widths[::-1]
        self.up = nn.ModuleList(Conv(nd, i, o) for i, o in itertools.pairwise(back))
        self.norms = nn.ModuleList(Group(width) if recipe.norm else nn.Identity() for width in back[1:])
        self.out = Conv(nd, widths[0], spec.outputs * recipe.patch**nd, gain=0.05)
        if random is not None:
            self.to(random.device)
            initialise(self, random)

    def forward(self, source: Tensor) -> Tensor:
        """Translate ``[B, context_channels, ...]`` to ``[B, outputs, *size]`` in [-1, 1]."""
        source = enlarged(source, self.spec.size)
        values = self.enter(split_pixels(source, self.patch))
        kept = []
        for step in self.down:
            kept.append(values)
            values = step(halve(active(values)))
        for block in self.middle:
            values = block(values)
        for step, norm, skip in zip(self.up, self.norms, reversed(kept), strict=True):
            values = norm(enlarged(step(active(values)), tuple(skip.shape[2:]))) + skip
        made = join_pixels(self.out(active(values)), self.patch, self.spec.size).float()
        n = self.spec.channels
        image = made[:, :n]
        # the inverse of tanh, held where it is finite, so that no change gives back the source
        image = torch.tanh(image + torch.atanh(0.999 * source[:, :n].clamp(-1, 1)) if self.residual else image)
        if not self.spec.mask_classes:
            return image
        return torch.cat([image, 2 * torch.softmax(made[:, n:], 1) - 1], 1)


class Encoder(nn.Module):
    """From an image back to the noise vector that makes it (f-AnoGAN, Schlegl 2019), ``[B, latent]``."""

    def __init__(self, spec: ImageSpec, recipe: Recipe, random: torch.Generator | None = None) -> None:
        super().__init__()
        nd = spec.nd
        self.patch = recipe.patch
        sizes = spec.levels(int(math.log2(recipe.patch)))[::-1]
        widths = (spec.widths or recipe.widths(nd, len(sizes)))[::-1]
        self.enter = Conv(nd, spec.outputs * recipe.patch**nd, widths[0])
        self.steps = nn.ModuleList(Conv(nd, i, o, 1, gain=1.0) for i, o in itertools.pairwise(widths))
        self.blocks = nn.ModuleList(Residual(nd, width) for width in widths)
        self.leave = Linear(widths[-1] * math.prod(sizes[-1]), spec.latent, gain=1.0)
        if random is not None:
            self.to(random.device)
            initialise(self, random)

    def forward(self, images: Tensor) -> Tensor:
        """Find the noise."""
        values = self.enter(split_pixels(images, self.patch))
        for level, block in enumerate(self.blocks):
            if level:
                values = self.steps[level - 1](halve(values))
            values = block(values)
        found: Tensor = self.leave(active(values).flatten(1))
        return found.float()
