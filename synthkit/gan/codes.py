"""The latent-code generator: finitely many codes, each a product of one distribution per column.

A row is a code and a draw: ``p(x) = sum_k pi_k prod_c theta_kc(x_c)``. Because the codes are finite, the likelihood of
a row, every marginal and the posterior of the code given any subset of cells are exact and cost one matrix product.
A missing cell is a symbol of its own, so its value is integrated out.

Within a code, the log-weights of the ordered bins of a column are its log-marginal plus a few cosines: neighbouring
bins share what they learn. Without that smoothness the held-out likelihood peaks after a hundred steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synthkit.gan.layout import Layout
from synthkit.gan.relaxed import RelaxedBatch, Segments
from synthkit.gan.state import Tensors, Values, pack_optimizer, unpack_optimizer
from synthkit.random import RandomSource

_DENSE_BASIS = 4_000_000  # entries of a basis matrix up to which it is worth having
_DENSE = 6_000  # symbols up to which one-hot rows and a matrix product beat gathering


@dataclass(frozen=True)
class CodeSettings:
    """How the codes are fitted.

    Attributes
    ----------
    codes
        K, the number of codes.
    steps, batch, learning_rate
        Plan of the optimiser (Adam).
    cosines
        Coefficients of an ordered column with more than twice as many bins.
    shrinkage
        Weight of the mean square of all coefficients: codes stay near the marginals.
    start
        How strongly a code starts at the training row it is given.
    """

    codes: int = 1000
    steps: int = 400
    batch: int = 1000
    learning_rate: float = 0.02
    cosines: int = 10
    shrinkage: float = 0.2
    start: float = 2.0


class LatentCodes:
    """Parameters of the latent-code generator.

    Parameters
    ----------
    layout
        Columns in symbol space; the marginals are the start.
    codes
        K.
    cosines
        Number of cosine coefficients of a long ordered column.
    device
        Where the parameters live.

    Attributes
    ----------
    coefficients
        ``[K, P]``: of each column its atoms and the cosines of its bins, or all its symbols when there are few bins.
    code_logits
        ``[K]``.
    """

    def __init__(self, layout: Layout, codes: int, *, cosines: int = 10, device: str = "cpu") -> None:
        self.layout, self.codes, self.device = layout, codes, device
        self._segments = Segments(layout.sizes.tolist(), device)
        share = torch.tensor(layout.share, dtype=torch.float32, device=device)
        self._base = (share + 1e-6).log()
        self._waves = [
            _cosines(int(bins), cosines).to(device) if bins > 2 * cosines else None for bins in layout.n_bins
        ]
        self._atoms = [int(n) for n in layout.n_atoms]
        self._widths = [
            int(size) if waves is None else atoms + len(waves)
            for size, waves, atoms in zip(layout.sizes, self._waves, self._atoms, strict=True)
        ]
        self._dense = self._dense_basis() if sum(self._widths) * layout.width <= _DENSE_BASIS else None
        self.coefficients = torch.zeros(codes, sum(self._widths), device=device, requires_grad=True)
        self.code_logits = torch.zeros(codes, device=device, requires_grad=True)

    def _dense_basis(self) -> Tensor:
        """All columns' bases in one matrix ``[P, D]``: for tables of usual width one product beats many small ones."""
        blocks: list[Tensor] = []
        for waves, atoms, size in zip(self._waves, self._atoms, self.layout.sizes, strict=True):
            eye = torch.eye(int(size) if waves is None else atoms, device=self.device)
            blocks += [eye] if waves is None else [eye, waves] if atoms else [waves]
        basis: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
        return basis

    def start_at(self, symbols: Tensor, rng: torch.Generator, *, strength: float, noise: float = 0.3) -> None:
        """Let code k lean towards row k of ``symbols`` [K, C], plus noise; the usual start of a mixture."""
        parts = []
        for c, waves in enumerate(self._waves):
            hot = functional.one_hot(symbols[:, c].long(), int(self.layout.sizes[c])).float()
            if waves is not None:
                atoms = self._atoms[c]
                norm = waves / waves.square().sum(1, keepdim=True)
                hot = torch.cat([hot[:, :atoms], hot[:, atoms:] @ norm.T], 1)
            parts.append(hot)
        random = torch.randn(self.coefficients.shape, generator=rng, device=self.device)
        with torch.no_grad():
            self.coefficients.copy_(strength * torch.cat(parts, 1) + noise * random)

    def parameters(self) -> list[Tensor]:
        """All tensors to train, code weights last."""
        return [self.coefficients, self.code_logits]

    def logits(self, coefficients: Tensor) -> Tensor:
        """Unnormalised log-probabilities ``[B, D]`` of all columns from coefficients ``[B, P]``."""
        if self._dense is not None:
            return coefficients @ self._dense + self._base
        parts = []
        for own, waves, atoms in zip(
            coefficients.split_with_sizes(self._widths, 1), self._waves, self._atoms, strict=True
        ):
            parts.append(own if waves is None else torch.cat([own[:, :atoms], own[:, atoms:] @ waves], 1))
        return torch.cat(parts, 1) + self._base

    def log_theta(self) -> Tensor:
        """Log-probabilities of all symbols in all codes, ``[K, D]``; each column of each code sums to one."""
        return self._segments.log_softmax(self.logits(self.coefficients))

    def log_likelihood(self, symbols: Tensor, log_theta: Tensor | None = None) -> Tensor:
        """Exact log-likelihood ``[B]`` of rows ``[B, C]``, in nats; symbols below zero are integrated out."""
        theta = self.log_theta() if log_theta is None else log_theta
        joint = joint_log_likelihood(symbols, theta, self._segments) + functional.log_softmax(self.code_logits, 0)
        return torch.logsumexp(joint, 1)

    def penalty(self) -> Tensor:
        """Mean square of all coefficients."""
        return self.coefficients.square().mean()

    def frozen(self) -> tuple[Tensor, Tensor]:
        """Log-probabilities ``[K, D]`` and log-weights of the codes ``[K]``, without gradient, on the CPU."""
        with torch.no_grad():
            return self.log_theta().cpu(), functional.log_softmax(self.code_logits, 0).cpu()


class CodeSampler:
    """Draws rows from latent codes with gradients for the adversary (a `RelaxedGenerator`)."""

    def __init__(self, codes: LatentCodes, temperature: float = 0.5) -> None:
        self._codes, self._temperature = codes, temperature
        self._segments = Segments(codes.layout.sizes.tolist(), codes.device)

    def parameters(self) -> Iterable[Tensor]:
        """The coefficients; the weights of the codes stay as the likelihood left them."""
        return [self._codes.coefficients]

    def draw(self, n: int, rng: torch.Generator) -> RelaxedBatch:
        """Draw ``n`` rows: codes by their weights, symbols straight-through, positions uniform."""
        codes = self._codes
        weights = codes.code_logits.detach().softmax(0)
        picked = torch.multinomial(weights, n, replacement=True, generator=rng)
        logits = codes.logits(codes.coefficients[picked])
        symbols = self._segments.straight_through(logits, rng, self._temperature)
        shape = (n, len(codes.layout.sizes))
        return RelaxedBatch(symbols, torch.rand(shape, generator=rng, device=codes.device))


def _cosines(bins: int, count: int) -> Tensor:
    """Cosines over the bins ``[count, bins]``: the constant, then ever faster ones."""
    place = (torch.arange(bins) + 0.5) / bins
    waves = torch.cos(math.pi * torch.arange(count)[:, None] * place)
    waves[1:] *= 1.4
    return waves


def joint_log_likelihood(symbols: Tensor, log_theta: Tensor, segments: Segments) -> Tensor:
    """Sum over columns of the log-probability of each row in each code.

    Parameters
    ----------
    symbols
        Rows ``[B, C]``; a negative symbol is an unknown cell and adds nothing.
    log_theta
        ``[K, D]``.
    segments
        Blocks of D.

    Returns
    -------
    Tensor
        ``[B, K]``.
    """
    rows = symbols.long()
    known = rows >= 0
    places = rows.clamp_min(0) + segments.starts
    if segments.width <= _DENSE:
        hot = torch.zeros(len(rows), segments.width, device=log_theta.device, dtype=log_theta.dtype)
        hot.scatter_(1, places, known.to(log_theta.dtype))
        return hot @ log_theta.T
    weights = known.to(log_theta.dtype)
    return functional.embedding_bag(places, log_theta.T.contiguous(), mode="sum", per_sample_weights=weights)


class LikelihoodStage:
    """Fits the codes by maximum likelihood, as a stage of the trainer.

    Parameters
    ----------
    codes
        What to fit.
    training, held_out
        Symbols ``[N, C]`` and ``[M, C]``.
    settings
        How.
    random
        Source of all random numbers of the stage.
    """

    name = "likelihood"

    def __init__(
        self, codes: LatentCodes, training: Tensor, held_out: Tensor, settings: CodeSettings, random: RandomSource
    ) -> None:
        self.total_steps, self.evaluate_every = settings.steps, max(1, min(50, settings.steps // 8))
        self._codes, self._training, self._held_out, self._settings = codes, training, held_out, settings
        self._rng = random.torch("likelihood", codes.device)
        self._scale = 1.0
        rows = torch.randint(len(training), (codes.codes,), generator=self._rng, device=codes.device)
        codes.start_at(training[rows], self._rng, strength=settings.start)
        self._optimizer = torch.optim.Adam(codes.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99), fused=True)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """One step of Adam on the negative log-likelihood of a batch."""
        settings = self._settings
        done = index / settings.steps
        fall = 1.0 if done < 0.4 else max(0.02, (1 - done) / 0.6)
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * min(1.0, (index + 1) / 30) * fall * self._scale
        size = min(settings.batch, len(self._training))
        rows = torch.randint(len(self._training), (size,), generator=self._rng, device=self._training.device)
        nats = -self._codes.log_likelihood(self._training[rows]).mean()
        loss = nats + settings.shrinkage * self._codes.penalty()
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        return {"nats": nats.detach()}

    @torch.no_grad()
    def evaluate(self) -> float:
        """Mean held-out log-likelihood in nats a row."""
        theta = self._codes.log_theta()
        parts = [self._codes.log_likelihood(rows, theta) for rows in torch.split(self._held_out, 4096)]
        return float(torch.cat(parts).mean())

    def snapshot(self) -> Tensors:
        """Copies of all parameters."""
        return {str(i): tensor.detach().clone() for i, tensor in enumerate(self._codes.parameters())}

    @torch.no_grad()
    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put copies back."""
        for i, tensor in enumerate(self._codes.parameters()):
            tensor.copy_(weights[str(i)])

    def state(self) -> tuple[Values, Tensors]:
        """Parameters, moments and the position in the stream of random numbers."""
        tensors = {f"codes.{name}": tensor for name, tensor in self.snapshot().items()}
        tensors |= pack_optimizer("optimizer", self._optimizer)
        tensors["random"] = self._rng.get_state()
        return {"scale": self._scale}, tensors

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._scale = float(values["scale"])
        prefix = "codes."
        self.restore({name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)})
        unpack_optimizer("optimizer", self._optimizer, tensors)
        self._rng.set_state(tensors["random"])

    def recover(self) -> None:
        """Halve the learning rate and forget the moments."""
        self._scale /= 2
        self._optimizer = torch.optim.Adam(
            self._codes.parameters(), lr=self._settings.learning_rate, betas=(0.9, 0.99), fused=True
        )


def split_rows(rows: int, share: float, rng: np.random.Generator, most: int = 5_000) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers for training and for validation: a random ``share`` of the rows, at most ``most``, at least one."""
    order = rng.permutation(rows)
    held = max(1, min(most, round(rows * share)))
    return np.sort(order[held:]), np.sort(order[:held])
