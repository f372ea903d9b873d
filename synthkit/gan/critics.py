"""Critics: functions from what a critic sees to one score per record."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthkit.gan.layers import linear, reduced_precision


class Critic(nn.Module):
    """A plain perceptron with leaky rectifiers.

    There is no batch norm and nothing else that mixes the records of a batch: gradient penalties need a score per
    record, and per-record clipping (differential privacy) needs a gradient per record.

    Parameters
    ----------
    features
        Width of what the critic sees.
    conditions
        Width of the condition input (which columns were given); 0 for none.
    width, depth
        Units per hidden layer; number of hidden layers.
    generator
        Source of the initial weights.
    fast
        Use bfloat16 products where the hardware is faster with them.
    """

    def __init__(
        self,
        features: int,
        *,
        generator: torch.Generator,
        conditions: int = 0,
        width: int = 256,
        depth: int = 2,
        fast: bool = True,
    ) -> None:
        super().__init__()
        widths = [features + conditions, *[width] * depth]
        self.hidden = nn.ModuleList(linear(i, o, generator) for i, o in pairwise(widths))
        self.score = linear(widths[-1], 1, generator)
        self.fast = fast

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """Score records ``[B, F]``, given conditions ``[B, Q]`` if the critic has them; scores ``[B]``, float32."""
        values = features if condition is None else torch.cat([features, condition], 1)
        with reduced_precision(values.device, self.fast):
            for layer in self.hidden:
                values = functional.leaky_relu(layer(values), 0.2)
            scores: Tensor = self.score(values)
        return scores.squeeze(1).float()
