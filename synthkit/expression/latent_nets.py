"""Generator and critic of latent coordinates, conditional on class, batch and covariates."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthkit.gan.layers import linear

EXTRA_NOISE = 16
"""Noise of the generator beyond one number for each coordinate."""
GROUP = 8
"""Cells of one class that the critic sees together: it reacts where they are too much alike."""
_EMBEDDING = 32


class Conditions(nn.Module):
    """A vector for the conditions of a cell: class, batch and covariates.

    Parameters
    ----------
    sizes
        How many classes, batches and covariates there are.
    width
        Length of the vector.
    generator
        Source of the initial weights.
    """

    def __init__(self, sizes: tuple[int, int, int], width: int, generator: torch.Generator) -> None:
        super().__init__()
        classes, batches, covariates = sizes
        self.classes = nn.Parameter(torch.randn(classes, width, generator=generator))
        own = torch.randn(batches, width, generator=generator) if batches > 1 else torch.zeros(1, 0)
        self.batches = nn.Parameter(own)
        self.covariates = linear(covariates, width, generator) if covariates else None

    def forward(self, classes: Tensor, batches: Tensor, covariates: Tensor) -> Tensor:
        """Return ``[B, width]``."""
        result = self.classes[classes]
        if self.batches.shape[1]:
            result = result + self.batches[batches]
        if self.covariates is not None:
            result = result + self.covariates(covariates)
        return result


class LatentGenerator(nn.Module):
    """Moves whitened coordinates: what starts as standard normal becomes what the critic cannot tell from real cells.

    It starts as the identity, so that the game begins at the anchor (the moments of each class).

    Parameters
    ----------
    dimensions
        Coordinates, the library size among them.
    sizes
        How many classes, batches and covariates there are.
    generator
        Source of the initial weights.
    width
        Of the hidden layers.
    """

    def __init__(
        self, dimensions: int, sizes: tuple[int, int, int], generator: torch.Generator, width: int = 256
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.conditions = Conditions(sizes, _EMBEDDING, generator)
        self.first = linear(dimensions + EXTRA_NOISE + _EMBEDDING, width, generator)
        self.second, self.third = linear(width, width, generator), linear(width, width, generator)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.move = linear(width, dimensions, generator)
        nn.init.zeros_(self.move.weight)
        nn.init.zeros_(self.move.bias)

    def forward(self, noise: Tensor, classes: Tensor, batches: Tensor, covariates: Tensor) -> Tensor:
        """Return coordinates ``[B, dimensions]`` for noise ``[B, dimensions + EXTRA_NOISE]``."""
        given = self.conditions(classes, batches, covariates)
        hidden = functional.silu(self.norms[0](self.first(torch.cat([noise, given], 1))))
        hidden = hidden + functional.silu(self.norms[1](self.second(hidden)))
        hidden = hidden + functional.silu(self.norms[2](self.third(hidden)))
        moved: Tensor = noise[:, : self.dimensions] + self.move(hidden)
        return moved


class LatentCritic(nn.Module):
    """Scores coordinates given their conditions, by projection (Miyato and Koyama 2018).

    The spread inside groups of cells of one class is a feature (Karras 2018), against collapse inside classes. There
    is no batch norm.

    Parameters
    ----------
    dimensions, sizes, generator, width
        As for `LatentGenerator`.
    """

    def __init__(
        self, dimensions: int, sizes: tuple[int, int, int], generator: torch.Generator, width: int = 256
    ) -> None:
        super().__init__()
        self.conditions = Conditions(sizes, width, generator)
        self.projection = Conditions(sizes, width, generator)
        for weight in self.projection.parameters():
            nn.init.zeros_(weight)
        self.first, self.second = linear(dimensions, width, generator), linear(width, width, generator)
        self.third, self.score = linear(width + 1, width, generator), linear(width, 1, generator)

    def forward(self, values: Tensor, classes: Tensor, batches: Tensor, covariates: Tensor) -> Tensor:
        """Score coordinates ``[B, dimensions]``, in groups of `GROUP` of one class; ``[B]``."""
        hidden = functional.leaky_relu(self.first(values) + self.conditions(classes, batches, covariates), 0.2)
        hidden = functional.leaky_relu(self.second(hidden), 0.2)
        groups = hidden.view(-1, GROUP, hidden.shape[1])
        # torch's own variance along this axis takes twenty times as long
        variance = (groups - groups.mean(1, keepdim=True)).square().sum(1) / (GROUP - 1)
        spread = (variance + 1e-6).sqrt().mean(1).repeat_interleave(GROUP)[:, None]
        hidden = functional.leaky_relu(self.third(torch.cat([hidden, spread], 1)), 0.2)
        scores: Tensor = self.score(hidden)[:, 0] + (hidden * self.projection(classes, batches, covariates)).sum(1)
        return scores
