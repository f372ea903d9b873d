"""Exponential moving average of weights: what is evaluated and kept, while the raw weights play the game."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from synthkit.gan.state import Tensors


class WeightAverage:
    """A moving average of tensors that an optimiser changes in place.

    Parameters
    ----------
    parameters
        The tensors to follow.
    decay
        Weight of the past per step. Early steps forget faster, (1 + t) / (10 + t), so that the start does not linger.
    """

    def __init__(self, parameters: Iterable[Tensor], decay: float = 0.999) -> None:
        self._live = list(parameters)
        self._decay = decay
        self._average = [parameter.detach().clone() for parameter in self._live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the live weights after optimisation step ``step`` (0-based)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._average, [parameter.detach() for parameter in self._live], 1 - decay)

    @contextmanager
    @torch.no_grad()
    def applied(self) -> Iterator[None]:
        """Put the average in place of the live weights for a while."""
        kept = [parameter.detach().clone() for parameter in self._live]
        self._write(self._average)
        try:
            yield
        finally:
            self._write(kept)

    def weights(self) -> Tensors:
        """Copies of the averaged weights, by position."""
        return {str(index): tensor.clone() for index, tensor in enumerate(self._average)}

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the average with what `weights` returned."""
        for index, tensor in enumerate(self._average):
            tensor.copy_(weights[str(index)].reshape(tensor.shape))

    @torch.no_grad()
    def reset(self, weights: Mapping[str, Tensor]) -> None:
        """Make ``weights`` both the average and the live weights."""
        self.load(weights)
        self._write(self._average)

    def _write(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._live, values, strict=True):
            parameter.detach().copy_(value)
