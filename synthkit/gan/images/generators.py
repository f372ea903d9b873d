"""Nets from noise to images.

Each has ``noise_maps``, the sizes of the noise maps it takes, and maps ``(given [B, G], maps, context)`` to
``[B, outputs, *size]`` before the last squashing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from synthkit.gan.images.blocks import (
    Attention,
    Constant,
    Conv,
    Group,
    Linear,
    Modulated,
    Residual,
    active,
    enlarged,
)
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec

Maps = Sequence[Tensor | None]

_NARROWEST = 4  # channels


class Body(nn.Module):
    """What `Generator` expects of the net inside."""

    noise_maps: Sequence[tuple[int, ...]] = ()


class Perceptron(Body):
    """Three hidden layers and every sample an output (Goodfellow 2014); no notion of neighbourhood."""

    def __init__(self, spec: ImageSpec, recipe: Recipe, given: int) -> None:
        super().__init__()
        self.form = (spec.outputs, *spec.size)
        width = 2 * recipe.widths(spec.nd, 1)[0] if spec.nd == 3 else 8 * recipe.widths(2, 1)[0]
        sizes = (given, width, width, width)
        self.hidden = nn.ModuleList(Linear(i, o) for i, o in itertools.pairwise(sizes))
        self.out = Linear(width, math.prod(self.form), gain=0.3)

    def forward(self, given: Tensor, maps: Maps, context: Tensor | None) -> Tensor:
        """Make images; the context is not used."""
        values = given
        for layer in self.hidden:
            values = active(layer(values))
        made: Tensor = self.out(values)
        return made.reshape(-1, *self.form)


class _Levels(Body):
    """What convolutional generators share: sizes and widths from coarse to fine, and the last convolution.

    The finest level is the full resolution, with few channels (half as many as the level before for images, a quarter
    for volumes, so that it costs no more than that one): samples that come from one place of a coarser level show as a
    grid.
    """

    def __init__(self, spec: ImageSpec, recipe: Recipe) -> None:
        super().__init__()
        self.spec = spec
        self.sizes = spec.levels()
        coarse = len(spec.levels(int(math.log2(recipe.patch))))
        widths = spec.widths or recipe.widths(spec.nd, coarse)
        share = 2 ** (spec.nd - 1)
        finer = [max(_NARROWEST, widths[-1] // share**times) for times in range(1, len(self.sizes) - coarse + 1)]
        self.widths = (*widths, *finer)
        self.out = Conv(spec.nd, self.widths[-1], spec.outputs, gain=0.5)
        self.context = Conv(spec.nd, spec.context_channels, self.widths[-1]) if spec.context_channels else None

    def full(self, values: Tensor, context: Tensor | None) -> Tensor:
        """From the finest level to the image."""
        if self.context is not None and context is not None:
            values = values + self.context(enlarged(context, self.sizes[-1]))
        made: Tensor = self.out(active(values))
        return made


class Plain(_Levels):
    """DCGAN (Radford 2016) with resizing instead of transposed convolutions and group norm instead of batch norm."""

    def __init__(self, spec: ImageSpec, recipe: Recipe, given: int) -> None:
        super().__init__(spec, recipe)
        nd, widths = spec.nd, self.widths
        self.first = Linear(given, widths[0] * math.prod(self.sizes[0]))
        self.steps = nn.ModuleList(Conv(nd, i, o) for i, o in itertools.pairwise(widths))
        self.norms = nn.ModuleList(Group(width) if recipe.norm else nn.Identity() for width in widths)

    def forward(self, given: Tensor, maps: Maps, context: Tensor | None) -> Tensor:
        """Make images."""
        values = self.norms[0](self.first(given).reshape(-1, self.widths[0], *self.sizes[0]))
        for size, step, norm in zip(self.sizes[1:], self.steps, self.norms[1:], strict=True):
            values = norm(step(enlarged(active(values), size)))
        return self.full(values, context)


class Residuals(_Levels):
    """Residual blocks per level, scaled by a style that noise and class make (R3GAN; WGAN-GP and SAGAN with norm)."""

    def __init__(self, spec: ImageSpec, recipe: Recipe, given: int) -> None:
        super().__init__(spec, recipe)
        nd, widths, style = spec.nd, self.widths, 128
        self.style = Linear(given, style)
        self.first = Linear(style, widths[0] * math.prod(self.sizes[0]))
        self.steps = nn.ModuleList(Conv(nd, i, o, 1, gain=1.0) for i, o in itertools.pairwise(widths))
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                Residual(nd, width, style=style, noise=True, grouped=recipe.block == "grouped", norm=recipe.norm)
                for _ in range(recipe.depth)
            )
            for width in widths
        )
        self.attention = nn.ModuleList(
            Attention(nd, width) if min(size) in recipe.attention else nn.Identity()
            for size, width in zip(self.sizes, widths, strict=True)
        )
        self.noise_maps = self.sizes

    def forward(self, given: Tensor, maps: Maps, context: Tensor | None) -> Tensor:
        """Make images."""
        style = active(self.style(given))
        values = self.first(style).reshape(-1, self.widths[0], *self.sizes[0])
        for level, size in enumerate(self.sizes):
            if level:
                values = enlarged(self.steps[level - 1](values), size)
            for block in cast("nn.ModuleList", self.blocks[level]):
                values = block(values, style, maps[level])
            values = self.attention[level](values)
        return self.full(values, context)


class Styled(_Levels):
    """StyleGAN2 (Karras 2020): a mapping net, modulated convolutions, noise maps and output skips."""

    def __init__(self, spec: ImageSpec, recipe: Recipe, given: int) -> None:
        super().__init__(spec, recipe)
        nd, widths, style = spec.nd, self.widths, 128
        self.mapping = nn.ModuleList([Linear(given, style), Linear(style, style), Linear(style, style)])
        self.constant = Constant(widths[0], self.sizes[0])
        self.first = nn.ModuleList(Modulated(nd, i, o, style) for i, o in itertools.pairwise((widths[0], *widths)))
        self.second = nn.ModuleList(Modulated(nd, width, width, style) for width in widths)
        self.strength = nn.ParameterList(torch.zeros(1) for _ in widths)
        self.skips = nn.ModuleList(Modulated(nd, width, spec.outputs, style, 1, demodulate=False) for width in widths)
        self.noise_maps = self.sizes

    def forward(self, given: Tensor, maps: Maps, context: Tensor | None) -> Tensor:
        """Make images."""
        style = given / (given.square().mean(1, keepdim=True) + 1e-8).sqrt()
        for layer in self.mapping:
            style = active(layer(style))
        values = self.constant().expand(len(given), *[-1] * (self.spec.nd + 1))
        total: Tensor | None = None
        for level, size in enumerate(self.sizes):
            values = active(self.first[level](enlarged(values, size), style)) * math.sqrt(2)
            noise = maps[level]
            if noise is not None:
                values = values + self.strength[level] * noise
            values = active(self.second[level](values, style)) * math.sqrt(2)
            made = self.skips[level](values, style)
            total = made if total is None else enlarged(total, size) + made
        joined = torch.zeros(()) if total is None else total
        return joined if self.context is None else joined + self.full(values, context)


class Pyramid(Body):
    """LAPGAN (Denton 2015): a small image first, then for each level the detail that the enlarged image lacks.

    All levels are trained at once, against a critic that looks at the levels (`synthkit.gan.images.critics`).
    """

    def __init__(self, spec: ImageSpec, recipe: Recipe, given: int) -> None:
        super().__init__()
        nd = spec.nd
        self.sizes = spec.levels()[1:] or spec.levels()
        widths = recipe.widths(nd, len(self.sizes))
        self.width = widths
        self.first = Linear(given, widths[0] * math.prod(self.sizes[0]))
        self.base = Residual(nd, widths[0], norm=recipe.norm)
        self.small = Conv(nd, widths[0], spec.outputs, gain=0.5)
        self.enter = nn.ModuleList(Conv(nd, spec.outputs + 1, width) for width in widths[1:])
        self.styles = nn.ModuleList(Linear(given, width, gain=0.5) for width in widths[1:])
        self.middle = nn.ModuleList(Conv(nd, width, width) for width in widths[1:])
        self.leave = nn.ModuleList(Conv(nd, width, spec.outputs, gain=0.1) for width in widths[1:])
        self.noise_maps = self.sizes[1:]

    def forward(self, given: Tensor, maps: Maps, context: Tensor | None) -> Tensor:
        """Make images; the context is not used."""
        values = self.first(given).reshape(-1, self.width[0], *self.sizes[0])
        image: Tensor = self.small(active(self.base(values)))
        for level, size in enumerate(self.sizes[1:]):
            image = enlarged(image, size)
            noise = maps[level]
            if noise is None:
                noise = torch.zeros_like(image[:, :1])
            values = self.enter[level](torch.cat([image, noise], 1))
            style = self.styles[level](given)
            values = active(values * (1 + style.reshape(*style.shape, *[1] * len(size))))
            image = image + self.leave[level](active(self.middle[level](values)))
        return image


GENERATORS: dict[str, Callable[[ImageSpec, Recipe, int], Body]] = {
    "perceptron": Perceptron,
    "plain": Plain,
    "residual": Residuals,
    "style": Styled,
    "pyramid": Pyramid,
}
