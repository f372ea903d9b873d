"""Layers for images and volumes alike: each takes the number of spatial axes and nothing else differs.

Weights are not drawn when a layer is made but by `initialise`, from the generator that is passed to it. There is no
transposed convolution (checkerboards) and no batch norm (a score must not depend on the other images of a batch).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
# so that a layer keeps the variance of what a leaky rectifier let through
_GAIN = math.sqrt(2 / (1 + SLOPE**2))
_CONVOLUTION = {2: functional.conv2d, 3: functional.conv3d}
_MEAN = {2: functional.avg_pool2d, 3: functional.avg_pool3d}
_LINEAR = {2: "bilinear", 3: "trilinear"}


def active(values: Tensor) -> Tensor:
    """Leaky rectifier."""
    return functional.leaky_relu(values, SLOPE)


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """Add spatial axes to ``[B, C]`` so that it broadcasts with ``like``, ``[B, C, ...]``."""
    return values.reshape(*values.shape, *[1] * (like.dim() - 2))


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights of a module from a generator, layer by layer, and lay them out for convolutions."""
    for part in module.modules():
        if isinstance(part, Conv | Linear | Table | Constant):
            part.reset(generator)


class _Weighted(nn.Module):
    """A weight with an optional bias and optional spectral norm (Miyato 2018), initialised by hand."""

    weight: nn.Parameter
    bias: nn.Parameter | None
    left: Tensor | None

    def __init__(self, shape: tuple[int, ...], gain: float, bias: bool, spectral: bool) -> None:
        super().__init__()
        self.gain, self.fan_in = gain, math.prod(shape[1:])
        self.weight = nn.Parameter(torch.zeros(shape))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None
        self.register_buffer("left", torch.ones(shape[0]) / math.sqrt(shape[0]) if spectral else None)

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """Draw the weight (He 2015); the bias is zero."""
        drawn = torch.randn(self.weight.shape, generator=generator, device=generator.device)
        self.weight.copy_(drawn * (self.gain / math.sqrt(self.fan_in)))

    def normed(self) -> Tensor:
        """The weight, divided by an estimate of its largest singular value where the layer has spectral norm.

        One step of the power iteration for each use in training, as in the paper.
        """
        if self.left is None:
            return self.weight
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            right = functional.normalize(matrix.T @ self.left, dim=0, eps=1e-12)
            left = functional.normalize(matrix @ right, dim=0, eps=1e-12)
            if self.training:
                self.left.copy_(left)
        return self.weight / torch.dot(left, matrix @ right)


class Conv(_Weighted):
    """A convolution that keeps the size, in two or three dimensions.

    Maps ``[B, inputs, ...]`` to ``[B, outputs, ...]``.
    """

    def __init__(
        self,
        nd: int,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        gain: float = _GAIN,
        bias: bool = True,
        groups: int = 1,
        spectral: bool = False,
    ) -> None:
        super().__init__((outputs, inputs // groups, *[kernel] * nd), gain, bias, spectral)
        self.nd, self.groups, self.padding = nd, groups, kernel // 2

    def forward(self, images: Tensor) -> Tensor:
        """Convolve."""
        convolve = _CONVOLUTION[self.nd]
        return convolve(images, self.normed(), self.bias, padding=self.padding, groups=self.groups)


class Linear(_Weighted):
    """An affine layer, ``[B, inputs]`` to ``[B, outputs]``."""

    def __init__(
        self, inputs: int, outputs: int, *, gain: float = _GAIN, bias: bool = True, spectral: bool = False
    ) -> None:
        super().__init__((outputs, inputs), gain, bias, spectral)

    def forward(self, values: Tensor) -> Tensor:
        """Apply the layer."""
        return functional.linear(values, self.normed(), self.bias)


class Table(nn.Module):
    """A vector of its own for each class: ``[B]`` whole numbers to ``[B, width]``."""

    def __init__(self, n_classes: int, width: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        self.weight = nn.Parameter(torch.zeros(n_classes, width))

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """Draw the vectors."""
        self.weight.copy_(torch.randn(self.weight.shape, generator=generator, device=generator.device) * self.gain)

    def forward(self, labels: Tensor) -> Tensor:
        """Look up the vectors; a product with indicators, which has deterministic gradients on every device."""
        known = torch.arange(len(self.weight), device=labels.device)  # one_hot has no rule for torch.func.vmap
        return (labels[..., None] == known).to(self.weight.dtype) @ self.weight


class Constant(nn.Module):
    """A learned image that is the same for every noise."""

    def __init__(self, channels: int, size: tuple[int, ...]) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1, channels, *size))

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """Draw the image."""
        self.value.copy_(torch.randn(self.value.shape, generator=generator, device=generator.device))

    def forward(self) -> Tensor:
        """Return it, ``[1, C, ...]``."""
        return self.value


def enlarged(images: Tensor, size: tuple[int, ...]) -> Tensor:
    """Interpolate linearly to a larger size."""
    if images.shape[2:] == torch.Size(size):
        return images
    return functional.interpolate(images, size=size, mode=_LINEAR[len(size)], align_corners=False)


def halve(images: Tensor) -> Tensor:
    """Mean of neighbours two by two; an odd border is a mean of what there is."""
    nd = images.dim() - 2
    return _MEAN[nd](images, 2, ceil_mode=True, count_include_pad=False)


def split_pixels(images: Tensor, factor: int) -> Tensor:
    """Move boxes of ``factor`` neighbours along each axis into channels, ``[B, C f^nd, ...]``; edges are repeated."""
    if factor == 1:
        return images
    nd = images.dim() - 2
    short = [-length % factor for length in images.shape[2:]]
    if any(short):
        edges = [edge for missing in reversed(short) for edge in (0, missing)]
        images = functional.pad(images, edges, mode="replicate")
    if nd == 2:
        return functional.pixel_unshuffle(images, factor)
    b, c = images.shape[:2]
    d, h, w = (length // factor for length in images.shape[2:])
    parts = images.reshape(b, c, d, factor, h, factor, w, factor).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return parts.reshape(b, c * factor**3, d, h, w)


def join_pixels(images: Tensor, factor: int, size: tuple[int, ...]) -> Tensor:
    """Undo `split_pixels`, cut to a size."""
    if factor == 1:
        return images
    if len(size) == 2:
        whole = functional.pixel_shuffle(images, factor)
        return whole[:, :, : size[0], : size[1]]
    b, c = images.shape[0], images.shape[1] // factor**3
    d, h, w = images.shape[2:]
    parts = images.reshape(b, c, factor, factor, factor, d, h, w).permute(0, 1, 5, 2, 6, 3, 7, 4)
    whole = parts.reshape(b, c, d * factor, h * factor, w * factor)
    return whole[:, :, : size[0], : size[1], : size[2]]


class Group(nn.Module):
    """Group normalisation with a scale and shift that may depend on a style ``[B, S]``."""

    def __init__(self, channels: int, style: int = 0) -> None:
        super().__init__()
        self.groups = next(groups for groups in (8, 4, 2, 1) if channels % groups == 0)
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.style = Linear(style, 2 * channels, gain=0.3) if style else None

    def forward(self, images: Tensor, style: Tensor | None = None) -> Tensor:
        """Normalise ``[B, C, ...]``."""
        values = functional.group_norm(images, self.groups, self.scale, self.shift)
        if self.style is None or style is None:
            return values
        scale, shift = self.style(style).chunk(2, 1)
        return values * (1 + per_channel(scale, values)) + per_channel(shift, values)


class Residual(nn.Module):
    """A residual block: two convolutions, the last one zero at the start (fix-up), optional style and noise.

    Parameters
    ----------
    channels
        In and out.
    style
        Length of a vector that scales the inner channels, ``[B, style]``; 0 for none.
    noise
        Whether a noise map is added between the convolutions.
    grouped
        A 1x1 convolution to twice the channels, a grouped 3x3 one and a 1x1 one back (R3GAN), which costs less.
    norm, spectral
        Group norm before each convolution; spectral norm of the weights.
    """

    def __init__(
        self,
        nd: int,
        channels: int,
        *,
        style: int = 0,
        noise: bool = False,
        grouped: bool = False,
        norm: bool = False,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        inner = 2 * channels if grouped else channels
        last = 1.0 if spectral else 0.0  # spectral norm cannot divide by zero
        if grouped:
            groups = max(1, inner // 16)
            self.first = Conv(nd, channels, inner, 1, spectral=spectral)
            self.middle: Conv | None = Conv(nd, inner, inner, groups=groups, spectral=spectral)
            self.last = Conv(nd, inner, channels, 1, gain=last, spectral=spectral)
        else:
            self.first = Conv(nd, channels, inner, spectral=spectral)
            self.middle = None
            self.last = Conv(nd, inner, channels, gain=last, spectral=spectral)
        self.style = Linear(style, inner, gain=0.3) if style else None
        self.noise = nn.Parameter(torch.zeros(inner)) if noise else None
        self.before = Group(channels, style) if norm else None
        self.between = Group(inner, style) if norm else None

    def forward(self, images: Tensor, style: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        """Apply the block to ``[B, C, ...]``, with a noise map ``[B, 1, ...]`` if it takes one."""
        values = images if self.before is None else self.before(images, style)
        values = self.first(active(values))
        if self.style is not None and style is not None:
            values = values * (1 + per_channel(self.style(style), values))
        if self.noise is not None and noise is not None:
            values = values + self.noise.reshape(1, -1, *[1] * (values.dim() - 2)) * noise
        if self.between is not None:
            values = self.between(values, style)
        if self.middle is not None:
            values = self.middle(active(values))
        changed: Tensor = images + self.last(active(values))
        return changed


class Modulated(nn.Module):
    """A convolution whose input channels a style scales and whose output is brought back to variance 1.

    Scaling inputs and outputs equals scaling each image's weights (StyleGAN2, Karras 2020) without a convolution of
    its own per image.
    """

    def __init__(self, nd: int, inputs: int, outputs: int, style: int, kernel: int = 3, *, demodulate: bool = True):
        super().__init__()
        self.convolve = Conv(nd, inputs, outputs, kernel, bias=False, gain=1.0)
        self.style = Linear(style, inputs, gain=1.0)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.demodulate = demodulate

    def forward(self, images: Tensor, style: Tensor) -> Tensor:
        """Convolve ``[B, inputs, ...]`` in the style ``[B, S]``."""
        scale = 1 + self.style(style)
        values = self.convolve(images * per_channel(scale, images))
        if self.demodulate:
            power = self.convolve.weight.flatten(2).square().sum(2)
            values = values * per_channel((scale.square() @ power.T + 1e-8).rsqrt(), values)
        shifted: Tensor = values + per_channel(self.bias[None], values)
        return shifted


class Attention(nn.Module):
    """Self-attention over all positions, added with a weight that starts at zero (SAGAN, Zhang 2019)."""

    def __init__(self, nd: int, channels: int, *, spectral: bool = False) -> None:
        super().__init__()
        inner = max(8, channels // 4)
        self.ask = Conv(nd, channels, inner, 1, gain=1.0, spectral=spectral)
        self.key = Conv(nd, channels, inner, 1, gain=1.0, spectral=spectral)
        self.value = Conv(nd, channels, inner, 1, gain=1.0, spectral=spectral)
        self.out = Conv(nd, inner, channels, 1, gain=1.0, spectral=spectral)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        """Apply to ``[B, C, ...]``; keys and values are taken at half the size, which costs a quarter or less."""
        small = halve(images)
        ask, key, value = (
            layer(source).flatten(2).transpose(1, 2)
            for layer, source in ((self.ask, images), (self.key, small), (self.value, small))
        )
        seen = torch.softmax(ask @ key.transpose(1, 2) / math.sqrt(ask.shape[2]), 2) @ value
        seen = seen.transpose(1, 2).reshape(len(images), -1, *images.shape[2:])
        changed: Tensor = images + self.weight * self.out(seen)
        return changed


def spread(features: Tensor, group: int = 4) -> Tensor:
    """Append the spread within groups of images as one channel (Karras 2018): a critic sees when all look alike.

    Groups are made of images ``n / group`` apart, so that neighbours need not be alike.
    """
    n = len(features)
    group = next(size for size in range(min(group, n), 0, -1) if n % size == 0)
    grouped = features.reshape(group, n // group, -1)
    apart = grouped - grouped.mean(0)
    deviation = (apart.square().mean(0) + 1e-8).sqrt().mean(1)
    deviation = deviation.repeat(group).reshape(n, *[1] * (features.dim() - 1))
    return torch.cat([features, deviation.expand(n, 1, *features.shape[2:])], 1)
