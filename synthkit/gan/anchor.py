"""Latent codes fitted to one- and two-way marginals at once, by their exact expectation under the codes.

The marginals may be noisy: nothing here sees a record. Every code is a product distribution, so the joint distribution
of two columns under K codes with weights 1/K is ``theta_i.T @ theta_j / K``: all pairs together are one matrix product,
and its squared distance from the given marginals is minimised over full batches. Pairs that are split by a third
column, such as the target, cost one such product for each of its values.

The codes are the outputs of a network on K fixed noise vectors, as in GEM (Liu, Vietri and Wu 2021). A network ties the
codes together; on noisy marginals that was measured to be better than free codes (`docs/explanation/privacy.md`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from synthkit.gan.layers import linear
from synthkit.gan.relaxed import RelaxedBatch, Segments
from synthkit.gan.state import Tensors, Values, copy_into, pack_optimizer, pack_tensors, pick_tensors, unpack_optimizer

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Marginals:
    """What is known of a table: shares of its symbols and of pairs of symbols, each with its standard deviation.

    Attributes
    ----------
    sizes
        Symbols of each column, ``[C]``.
    singles
        Share of each symbol, columns side by side ``[D]``; each column sums to one.
    singles_deviation
        Standard deviation of the noise in each share, ``[D]``.
    pairs
        Pairs of columns ``(i, j)`` with i < j.
    tables
        Per pair the share of each pair of symbols, ``[size_i, size_j]``; noisy ones may be negative. See ``split_by``.
    pairs_deviation
        Standard deviation of the noise in the shares of each pair, ``[n_pairs]``.
    split_by
        Column that all tables are split by, which are then ``[size_split_by, size_i, size_j]``; None for plain pairs.
    """

    sizes: NDArray[np.int64]
    singles: Floats
    singles_deviation: Floats
    pairs: Sequence[tuple[int, int]]
    tables: Sequence[Floats]
    pairs_deviation: Floats
    split_by: int | None = None


@dataclass(frozen=True)
class AnchorSettings:
    """How codes are fitted to marginals.

    Attributes
    ----------
    codes
        K, the number of codes.
    steps, learning_rate
        Plan of the optimiser (Adam over full batches): the rate rises over 50 steps and falls in the second half. Steps
        are a regulariser: with many of them the codes learn the noise.
    noise, width
        Length of the fixed noise vectors; units of each of two residual blocks.
    """

    codes: int = 1_000
    steps: int = 600
    learning_rate: float = 1e-3
    noise: int = 64
    width: int = 256


class NetworkCodes(nn.Module):
    """K product distributions from a network on K fixed noise vectors.

    Parameters
    ----------
    sizes
        Symbols of each column.
    shares
        Where the codes start, ``[D]``: every code is near these margins.
    settings
        Size of the network.
    generator
        Source of the noise vectors and of the initial weights.
    """

    noise: Tensor

    def __init__(
        self, sizes: Sequence[int], shares: Floats, settings: AnchorSettings, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        device, width = generator.device, settings.width
        self.segments = Segments(sizes, device)
        start = torch.randn(settings.codes, settings.noise, generator=generator, device=device)
        self.register_buffer("noise", start)
        widths = [settings.noise, settings.noise + width]
        self.blocks = nn.ModuleList(linear(wide, width, generator) for wide in widths)
        self.norms = nn.ModuleList(nn.LayerNorm(width, device=device) for _ in widths)
        self.head = linear(settings.noise + 2 * width, len(shares), generator)
        with torch.no_grad():
            self.head.bias.copy_(torch.as_tensor(np.log(shares + 1e-5), dtype=torch.float32))
            self.head.weight.mul_(0.3)

    @property
    def codes(self) -> int:
        """K, the number of codes."""
        return len(self.noise)

    def logits(self) -> Tensor:
        """Unnormalised log-probabilities of the codes, ``[K, D]``."""
        values = self.noise
        for layer, norm in zip(self.blocks, self.norms, strict=True):
            values = torch.cat([functional.silu(norm(layer(values))), values], 1)
        found: Tensor = self.head(values)
        return found

    def theta(self) -> Tensor:
        """Probability of every symbol in every code, ``[K, D]``; each column of each code sums to one."""
        return _log_probabilities(self.segments, self.logits()).exp()

    @torch.no_grad()
    def frozen(self) -> tuple[Tensor, Tensor]:
        """Log-probabilities ``[K, D]`` and log-weights of the codes ``[K]``, without gradient, on the CPU."""
        return _equally_likely(_log_probabilities(self.segments, self.logits()))


class FreeCodes:
    """K product distributions with parameters of their own, starting at given ones: what an adversary moves.

    Parameters
    ----------
    sizes
        Symbols of each column.
    start
        Log-probabilities to start at, ``[K, D]``.
    """

    def __init__(self, sizes: Sequence[int], start: Tensor) -> None:
        self.segments = Segments(sizes, start.device)
        self._start = start
        self._moved = torch.zeros_like(start, requires_grad=True)

    def parameters(self) -> list[Tensor]:
        """How far each log-probability has moved, ``[K, D]``, before it is made a probability again."""
        return [self._moved]

    def draw(self, n: int, rng: torch.Generator, temperature: float = 0.5) -> RelaxedBatch:
        """Draw ``n`` rows with gradient: codes uniformly, symbols straight-through, positions uniform."""
        device = self._start.device
        picked = torch.randint(len(self._start), (n,), generator=rng, device=device)
        logits = self._start[picked] + self._moved[picked]
        symbols = self.segments.straight_through(logits, rng, temperature)
        return RelaxedBatch(symbols, torch.rand((n, len(self.segments.sizes)), generator=rng, device=device))

    @torch.no_grad()
    def frozen(self) -> tuple[Tensor, Tensor]:
        """Log-probabilities ``[K, D]`` and log-weights of the codes ``[K]``, without gradient, on the CPU."""
        return _equally_likely(_log_probabilities(self.segments, self._start + self._moved))


def _log_probabilities(segments: Segments, logits: Tensor) -> Tensor:
    """Log-probabilities within each column, ``[K, D]``, of logits so large that one symbol has all of them."""
    return segments.log_softmax(logits.clamp(-30.0, 30.0))


def _equally_likely(log_probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Codes on the CPU, ``[K, D]``, with their equal log-weights ``[K]``."""
    codes = len(log_probabilities)
    return log_probabilities.cpu(), torch.full((codes,), -math.log(codes))


class MarginalLoss:
    """Squared distance of the codes' marginals from given ones, weighted by their precision.

    Parameters
    ----------
    marginals
        What to meet: margins, and pairs of columns, which may all be split by a third one.
    device
        Where the codes live.
    """

    def __init__(self, marginals: Marginals, device: str | torch.device = "cpu") -> None:
        ends = np.concatenate([[0], np.cumsum(marginals.sizes)])
        width, by = int(ends[-1]), marginals.split_by
        self._split = range(1) if by is None else range(int(ends[by]), int(ends[by + 1]))
        self._is_split = by is not None
        shape = (len(self._split), width, width)
        target, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        cells = 0
        unit = float(marginals.pairs_deviation.mean()) if len(marginals.pairs) else 1.0
        for (i, j), table, deviation in zip(marginals.pairs, marginals.tables, marginals.pairs_deviation, strict=True):
            place = slice(None), slice(ends[i], ends[i + 1]), slice(ends[j], ends[j + 1])
            target[place], weight[place] = table, (unit / deviation) ** 2
            cells += table.size
        scale = 1e6 / max(cells, 1)
        self._target = torch.as_tensor(target, device=device)
        self._weight = torch.as_tensor(weight * scale, device=device)
        self._singles = torch.as_tensor(marginals.singles, dtype=torch.float32, device=device)
        precision = (unit / marginals.singles_deviation) ** 2 * scale
        self._singles_weight = torch.as_tensor(precision, dtype=torch.float32, device=device)

    def __call__(self, theta: Tensor) -> Tensor:
        """Loss of codes with these probabilities ``[K, D]`` and equal weights."""
        loss = (self._singles_weight * (theta.mean(0) - self._singles).square()).sum()
        for part, symbol in enumerate(self._split):
            # given a code the columns are independent: a table split by a third column is one more factor
            other = theta * theta[:, symbol : symbol + 1] if self._is_split else theta
            distance = theta.T @ other / len(theta) - self._target[part]
            loss = loss + (self._weight[part] * distance.square()).sum()
        return loss


class AnchorStage:
    """Fits network codes to marginals, as a stage for the trainer; its plan is fixed and its last step is kept.

    Parameters
    ----------
    codes
        What to fit.
    marginals
        What to meet.
    settings
        Plan.
    """

    name = "anchor"
    scored_by = "plan done"

    def __init__(self, codes: NetworkCodes, marginals: Marginals, settings: AnchorSettings) -> None:
        self.total_steps, self.evaluate_every = settings.steps, max(1, settings.steps // 6)
        self._codes, self._settings = codes, settings
        self._loss = MarginalLoss(marginals, codes.noise.device)
        self._scale, self._done = 1.0, 0
        self._start_optimizer()

    def _start_optimizer(self) -> None:
        self._optimizer = torch.optim.Adam(
            self._codes.parameters(), lr=self._settings.learning_rate, betas=(0.9, 0.99), fused=True
        )

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take one full-batch step."""
        settings = self._settings
        rising = min(1.0, (index + 1) / 50)
        falling = min(1.0, max(0.02, 2 * (1 - index / settings.steps)))
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * rising * falling * self._scale
        loss = self._loss(self._codes.theta())
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        self._done = index + 1
        return {"marginals": loss.detach()}

    def evaluate(self) -> float:
        """Return the share of the plan that is done: the noisy marginals themselves cannot tell fit from noise."""
        return self._done / self.total_steps

    def snapshot(self) -> Tensors:
        """Copy the weights."""
        return {name: value.detach().clone() for name, value in self._codes.named_parameters()}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put a snapshot back."""
        copy_into([(name, value.detach()) for name, value in self._codes.named_parameters()], weights)

    def state(self) -> tuple[Values, Tensors]:
        """Return weights, moments and progress."""
        tensors = pack_tensors("codes", self.snapshot().items()) | pack_optimizer("optimizer", self._optimizer)
        return {"scale": self._scale, "done": self._done}, tensors

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._scale, self._done = float(values["scale"]), int(values["done"])
        self.restore(pick_tensors("codes", tensors))
        unpack_optimizer("optimizer", self._optimizer, tensors)

    def recover(self) -> None:
        """Halve the learning rate and forget the moments."""
        self._scale *= 0.5
        self._start_optimizer()
