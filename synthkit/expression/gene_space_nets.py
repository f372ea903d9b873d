"""Generator and critic in the space of genes, as published for scGAN and cscGAN (Marouf 2020)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthkit.gan.layers import linear, reduced_precision
from synthkit.io.expression_set import Measure

LATENT = 128
_WIDTHS = (256, 512, 1024)


class ConditionalNorm(nn.Module):
    """Layer norm whose scale and shift belong to the class, for ``[B, width]``.

    The paper has conditional batch norm here; layer norm does the same for a class and makes no cell depend on the
    others that are drawn with it.
    """

    def __init__(self, width: int, n_classes: int, device: torch.device) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_classes, width, device=device))
        self.shift = nn.Parameter(torch.zeros(n_classes, width, device=device))

    def forward(self, inputs: Tensor, classes: Tensor) -> Tensor:
        """Normalise each record, then apply what belongs to its class ``[B]``."""
        return functional.layer_norm(inputs, inputs.shape[1:]) * self.scale[classes] + self.shift[classes]


class GeneGenerator(nn.Module):
    """Noise ``[B, 128]`` and classes ``[B]`` to cells ``[B, genes]``, through 256, 512 and 1024 units.

    Counts leave it through a rectifier and a layer that brings every cell to the library size `target`, then as
    logarithms of 1 + value; other measures that never fall below zero through the rectifier; intensities as they are.

    Parameters
    ----------
    genes, n_classes
        Widths.
    measure
        What the values are.
    target
        Library size of counts.
    start
        Bias of the last layer, ``[genes]``: the mean cell, so that training begins near the data. None leaves it at 0.
    generator
        Source of the initial weights.
    """

    def __init__(
        self,
        genes: int,
        n_classes: int,
        measure: Measure,
        target: float,
        generator: torch.Generator,
        start: Tensor | None = None,
    ) -> None:
        super().__init__()
        widths = (LATENT, *_WIDTHS)
        self.hidden = nn.ModuleList(linear(i, o, generator) for i, o in pairwise(widths))
        self.norms = nn.ModuleList(ConditionalNorm(width, n_classes, generator.device) for width in _WIDTHS)
        self.out = linear(_WIDTHS[-1], genes, generator)
        with torch.no_grad():
            self.out.bias.copy_(torch.zeros_like(self.out.bias) if start is None else start)
        self._measure, self._target = measure, target

    def forward(self, noise: Tensor, classes: Tensor) -> Tensor:
        """Return cells ``[B, genes]`` on the scale that the critic sees."""
        values = noise
        with reduced_precision(noise.device):
            for layer, norm in zip(self.hidden, self.norms, strict=True):
                values = functional.relu(norm(layer(values), classes))
            values = self.out(values)
        cells: Tensor = values.float()
        if self._measure == "intensities":
            return cells
        cells = functional.relu(cells)
        if self._measure != "counts":
            return cells
        return torch.log1p(cells * (self._target / (cells.sum(1, keepdim=True) + 1e-6)))


class GeneCritic(nn.Module):
    """Cells ``[B, genes]`` and classes ``[B]`` to scores ``[B]``, through 1024, 512 and 256 units; no norm.

    The class enters by projection: its vector times the last hidden units (Miyato & Koyama 2018).
    """

    def __init__(self, genes: int, n_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = (genes, *reversed(_WIDTHS))
        self.hidden = nn.ModuleList(linear(i, o, generator) for i, o in pairwise(widths))
        self.score = linear(widths[-1], 1, generator)
        self.projection = nn.Parameter(torch.zeros(n_classes, widths[-1], device=generator.device))

    def forward(self, cells: Tensor, classes: Tensor) -> Tensor:
        """Return scores, float32."""
        values = cells
        with reduced_precision(cells.device):
            for layer in self.hidden:
                values = functional.leaky_relu(layer(values), 0.2)
            score: Tensor = self.score(values).squeeze(1).float()
        total: Tensor = score + (values.float() * self.projection[classes]).sum(1)
        return total
