"""Generated rows through which gradients flow: hard one-hot symbols with the gradient of soft ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

_DENSE_BLOCKS = 4_000_000  # entries of a symbols-by-columns matrix up to which it is worth having


@dataclass(frozen=True)
class RelaxedBatch:
    """Generated rows.

    Attributes
    ----------
    symbols
        One-hot symbols of all columns side by side, ``[B, D]``; exact zeros and ones going forward, with the gradient
        of a relaxation going back (straight-through, Bengio 2013).
    positions
        Position inside the symbol, in (0, 1), ``[B, C]``.
    """

    symbols: Tensor
    positions: Tensor


class RelaxedGenerator(Protocol):
    """What the adversary can train."""

    def draw(self, n: int, rng: torch.Generator) -> RelaxedBatch:
        """Draw ``n`` rows with gradient."""

    def parameters(self) -> Iterable[Tensor]:
        """Return the tensors to train, always the same ones in the same order."""


class ConditionalGenerator(RelaxedGenerator, Protocol):
    """A generator that draws rows given any subset of their cells."""

    def draw_given(self, symbols: Tensor, positions: Tensor, mask: Tensor, rng: torch.Generator) -> RelaxedBatch:
        """Draw one row for each given row.

        Parameters
        ----------
        symbols, positions
            Encoded rows ``[B, C]``, read only where ``mask`` is set.
        mask
            Which cells are given, ``[B, C]`` boolean; these are returned as they came.
        """


class Segments:
    """Softmax, arg max and sampling over the ragged blocks of a vector.

    Written as one small operation per block: on a CPU that is ten times faster than scatter operations over the whole
    vector, and it does not need a blocks-by-vector matrix for tables of a thousand columns.

    Parameters
    ----------
    sizes
        Length of each block.
    device
        Where the vectors live.
    """

    def __init__(self, sizes: Iterable[int], device: torch.device | str = "cpu") -> None:
        self.sizes = [int(size) for size in sizes]
        lengths = torch.tensor(self.sizes, dtype=torch.long)
        self.width = int(lengths.sum())
        self.starts = (torch.cumsum(lengths, 0) - lengths).to(device)
        self._blocks: Tensor | None = None

    def sum(self, values: Tensor) -> Tensor:
        """Sum over blocks: ``[B, D]`` to ``[B, C]``."""
        return torch.stack([part.sum(1) for part in values.split_with_sizes(self.sizes, 1)], 1)

    def softmax(self, logits: Tensor) -> Tensor:
        """Probabilities within each block, ``[B, D]``."""
        return torch.cat([part.softmax(1) for part in logits.split_with_sizes(self.sizes, 1)], 1)

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Log-probabilities within each block, ``[B, D]``; two products with the blocks unless there are very many."""
        if self.width * len(self.sizes) > _DENSE_BLOCKS:
            return torch.cat([part.log_softmax(1) for part in logits.split_with_sizes(self.sizes, 1)], 1)
        if self._blocks is None:
            ones = [torch.ones(size, 1) for size in self.sizes]
            self._blocks = torch.block_diag(*ones).to(logits)  # type: ignore[no-untyped-call]
        # single precision holds exp(80); logits are log-shares plus moderate coefficients
        sums = logits.clamp(max=80.0).exp() @ self._blocks
        return logits - (sums + 1e-30).log() @ self._blocks.T

    @torch.no_grad()
    def argmax(self, values: Tensor) -> Tensor:
        """Largest entry of each block, counted from the start of the block, ``[B, C]`` int64."""
        return torch.stack([part.argmax(1) for part in values.split_with_sizes(self.sizes, 1)], 1)

    @torch.no_grad()
    def choose(self, logits: Tensor, rng: torch.Generator) -> Tensor:
        """Draw one entry of each block with the probabilities of its softmax, by Gumbel's trick; ``[B, C]`` int64."""
        return self.argmax(logits.detach() + gumbel(logits, rng))

    def one_hot(self, entries: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """One-hot blocks ``[B, D]`` of entries ``[B, C]``."""
        hot = torch.zeros(len(entries), self.width, device=entries.device, dtype=dtype)
        return hot.scatter_(1, entries.long() + self.starts, 1.0)

    def straight_through(self, logits: Tensor, rng: torch.Generator, temperature: float = 0.5) -> Tensor:
        """Draw hard one-hots ``[B, D]`` with the gradient of a Gumbel-softmax (Jang 2017, Maddison 2017).

        Parameters
        ----------
        logits
            Unnormalised log-probabilities ``[B, D]``.
        rng
            Source of the Gumbel noise.
        temperature
            Softness of the relaxation that the gradient comes from; does not change what is drawn.
        """
        noisy = logits + gumbel(logits, rng)
        hard = self.one_hot(self.argmax(noisy.detach()), logits.dtype)
        return straight_through(hard, self.softmax(noisy / temperature))


class _StraightThrough(torch.autograd.Function):
    """Forward: the hard value. Backward: the gradient goes to the soft one."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, hard: Tensor, soft: Tensor) -> Tensor:
        return hard

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0]


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Give ``hard`` to the last bit, with the gradient of ``soft``; (hard - soft) + soft would be off by rounding."""
    return _StraightThrough.apply(hard, soft)  # type: ignore[no-any-return, no-untyped-call]


def gumbel(like: Tensor, rng: torch.Generator) -> Tensor:
    """Draw standard Gumbel noise in the shape of a tensor."""
    # a uniform draw can be exactly zero but never one: only the lower end needs care
    uniform = torch.rand(like.shape, generator=rng, device=like.device, dtype=like.dtype).clamp_min_(2**-25)
    return uniform.log_().neg_().log_().neg_()
