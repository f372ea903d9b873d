"""Nets from images to features. Each has a ``width`` and maps ``(images, context) -> [B, width]``.

None of them has batch norm. Only the spread within a batch mixes images, and a recipe can leave it out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthkit.gan.images.blocks import (
    Attention,
    Conv,
    Linear,
    Residual,
    active,
    enlarged,
    halve,
    split_pixels,
    spread,
)
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec


class Body(nn.Module):
    """What `Critic` expects of the net inside."""

    width: int = 0


def with_context(images: Tensor, context: Tensor | None) -> Tensor:
    """Append a context as further channels, enlarged to the size of the images."""
    if context is None:
        return images
    return torch.cat([images, enlarged(context, tuple(images.shape[2:]))], 1)


class Perceptron(Body):
    """Two hidden layers over all samples (Goodfellow 2014)."""

    def __init__(self, spec: ImageSpec, recipe: Recipe) -> None:
        super().__init__()
        inputs = (spec.outputs + spec.context_channels) * math.prod(spec.size)
        self.width = 2 * recipe.widths(spec.nd, 1)[0] if spec.nd == 3 else 8 * recipe.widths(2, 1)[0]
        self.hidden = nn.ModuleList([Linear(inputs, self.width), Linear(self.width, self.width)])

    def forward(self, images: Tensor, context: Tensor | None) -> Tensor:
        """Find features."""
        values = with_context(images, context).flatten(1)
        for layer in self.hidden:
            values = active(layer(values))
        return values


class Convolutional(Body):
    """Levels from fine to coarse, then one layer over what is left (DCGAN without blocks; R3GAN, SAGAN with them)."""

    def __init__(self, spec: ImageSpec, recipe: Recipe) -> None:
        super().__init__()
        nd, spectral = spec.nd, recipe.spectral
        self.patch, self.spread = recipe.patch, recipe.spread
        self.sizes = spec.levels(int(math.log2(recipe.patch)))[::-1]
        widths = (spec.widths or recipe.widths(nd, len(self.sizes)))[::-1]
        inputs = (spec.outputs + spec.context_channels) * recipe.patch**nd
        self.enter = Conv(nd, inputs, widths[0], gain=1.0, spectral=spectral)
        blocks = recipe.critic != "plain"
        kernel = 1 if blocks else 3
        self.steps = nn.ModuleList(
            Conv(nd, i, o, kernel, gain=1.0 if blocks else 1.4, spectral=spectral)
            for i, o in itertools.pairwise(widths)
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                Residual(nd, width, grouped=recipe.block == "grouped", spectral=spectral)
                for _ in range(recipe.depth if blocks else 0)
            )
            for width in widths
        )
        self.attention = nn.ModuleList(
            Attention(nd, width, spectral=spectral) if min(size) in recipe.attention else nn.Identity()
            for size, width in zip(self.sizes, widths, strict=True)
        )
        self.width = widths[-1]
        last = widths[-1] + (1 if recipe.spread else 0)
        self.last = Conv(nd, last, widths[-1], spectral=spectral)
        self.leave = Linear(widths[-1] * math.prod(self.sizes[-1]), self.width, spectral=spectral)

    def forward(self, images: Tensor, context: Tensor | None) -> Tensor:
        """Find features."""
        values = self.enter(split_pixels(with_context(images, context), self.patch))
        for level, part in enumerate(self.blocks):
            blocks = cast("nn.ModuleList", part)
            if level:
                values = self.steps[level - 1](halve(active(values) if not blocks else values))
            for block in blocks:
                values = block(values)
            values = self.attention[level](values)
        values = active(values)
        if self.spread:
            values = spread(values)
        return active(self.leave(active(self.last(values)).flatten(1)))


class Patches(Body):
    """PatchGAN (Isola 2017): features of overlapping patches, ``[B, P, width]``, for scores of each patch."""

    def __init__(self, spec: ImageSpec, recipe: Recipe) -> None:
        super().__init__()
        nd, spectral = spec.nd, recipe.spectral
        widths = recipe.widths(nd, 3)[::-1]
        self.enter = Conv(nd, spec.outputs + spec.context_channels, widths[0], spectral=spectral)
        self.steps = nn.ModuleList(Conv(nd, i, o, spectral=spectral) for i, o in itertools.pairwise(widths))
        self.last = Conv(nd, widths[-1], widths[-1], spectral=spectral)
        self.width = widths[-1]

    def forward(self, images: Tensor, context: Tensor | None) -> Tensor:
        """Find features of the patches."""
        values = active(self.enter(with_context(images, context)))
        for step in self.steps:
            values = active(step(halve(values)))
        return active(self.last(values)).flatten(2).transpose(1, 2)


class PyramidCritic(Body):
    """One small critic per level of a Laplacian pyramid, each given the enlarged coarser image (Denton 2015)."""

    def __init__(self, spec: ImageSpec, recipe: Recipe) -> None:
        super().__init__()
        nd = spec.nd
        self.levels = len(spec.levels()[1:] or spec.levels())
        width = recipe.widths(nd, 1)[0]
        self.width = 64
        channels = spec.outputs
        inputs = [channels if level == self.levels - 1 else 2 * channels for level in range(self.levels)]
        self.enter = nn.ModuleList(Conv(nd, count + spec.context_channels, width) for count in inputs)
        self.middle = nn.ModuleList(Conv(nd, width, 2 * width) for _ in inputs)
        self.last = nn.ModuleList(Conv(nd, 2 * width, 2 * width) for _ in inputs)
        self.leave = nn.ModuleList(Linear(2 * width * 4**nd, self.width) for _ in inputs)

    def forward(self, images: Tensor, context: Tensor | None) -> Tensor:
        """Find features: the mean over the levels."""
        total: Tensor | None = None
        pool = functional.adaptive_avg_pool2d if images.dim() == 4 else functional.adaptive_avg_pool3d
        for level in range(self.levels):
            if level < self.levels - 1:
                small = halve(images)
                coarse = enlarged(small, tuple(images.shape[2:]))
                seen = torch.cat([images - coarse, coarse], 1)
            else:
                small, seen = images, images
            values = active(self.enter[level](with_context(seen, context)))
            values = active(self.middle[level](halve(values)))
            values = active(self.last[level](halve(values)))
            found = active(self.leave[level](pool(values, 4).flatten(1)))
            total = found if total is None else total + found
            images = small
        return images.new_zeros(len(images), self.width) if total is None else total / self.levels


CRITICS: dict[str, Callable[[ImageSpec, Recipe], Body]] = {
    "perceptron": Perceptron,
    "plain": Convolutional,
    "residual": Convolutional,
    "patch": Patches,
    "pyramid": PyramidCritic,
}
