"""What a private step of the critic costs: time and memory beside a plain step, and beside per-record gradients.

    python evaluation/benchmarks/ghost.py

One step of a WGAN-GP critic (two hidden layers of 256 units, about 100 features, batches of 1,024) three ways:

- plain: a batch of fixed size, autograd with a double backward, Adam;
- ghost: a Poisson sample of the same expected size, clipping without per-record gradients, noise from the operating
  system, Adam: everything a private step does;
- materialised: the same, with one gradient per record in memory (`torch.func.vmap`).

Rows are made up, because none of the three looks at what is in them. Fakes are drawn from the margins and cost the same
everywhere. Peak memory is that of a process of its own, above what it needed before the step. The result is
`evaluation/baselines/ghost.json`; about two minutes.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap

from synthkit.archive import atomic_path
from synthkit.gan.codes import CodeSampler, LatentCodes
from synthkit.gan.critics import Critic
from synthkit.gan.features import FeatureMap
from synthkit.gan.layout import Layout
from synthkit.gan.penalties import interpolated_gradient
from synthkit.privacy.clipping import clip_factors, clipped_sum, loss_of
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.record_loss import RecordLoss
from synthkit.privacy.sampling import PoissonSampler

OUT = Path(__file__).resolve().parent.parent / "baselines" / "ghost.json"
ROWS, BATCH, CLIP, SIGMA = 32_768, 1_024, 1.0, 4.0
LOSS = RecordLoss("wgan-gp", "interpolated", 10.0)


class Step:
    """One critic step of each kind on a made-up table of ten columns with ten categories each: 100 features."""

    def __init__(self, batch: int = BATCH) -> None:
        source = np.random.default_rng(0)
        symbols = source.integers(0, 10, (ROWS, 10)).astype(np.int32)
        positions = np.full(symbols.shape, 0.5, np.float32)
        self.features = FeatureMap(Layout.from_data([10] * 10, [10] * 10, symbols, positions))
        self.symbols, self.positions = torch.tensor(symbols), torch.tensor(positions)
        self.rng = torch.Generator().manual_seed(0)
        self.generator = CodeSampler(LatentCodes(self.features.layout, 100))
        self.critic = Critic(self.features.width, generator=self.rng, width=256, depth=2, fast=False)
        self.optimizer = torch.optim.Adam(self.critic.parameters(), lr=1e-3, betas=(0.0, 0.9), fused=True)
        self.noise, self.sampler, self.batch = NoiseSource(), PoissonSampler(ROWS), batch

    @torch.no_grad()
    def pair(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        real = self.features.real(self.symbols[rows], self.positions[rows])
        return real, self.features.relaxed(self.generator.draw(len(rows), self.rng))

    def plain(self) -> None:
        rows = torch.randint(ROWS, (self.batch,), generator=self.rng)
        real, fake = self.pair(rows)
        scores = self.critic(torch.cat([real, fake]))
        loss = scores[len(rows) :].mean() - scores[: len(rows)].mean()
        loss = loss + LOSS.weight * interpolated_gradient(self.critic, real, fake, self.rng)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()

    def sample(self) -> tuple[Tensor, Tensor, Tensor]:
        rows = torch.from_numpy(self.sampler.draw(self.batch / ROWS, self.noise))
        real, fake = self.pair(rows)
        return real, fake, torch.rand(len(rows), 1, generator=self.rng)

    def update(self, sums: list[Tensor]) -> None:
        for parameter, total in zip(self.critic.parameters(), sums, strict=True):
            noisy = total + torch.from_numpy(self.noise.gaussian(SIGMA * CLIP, tuple(total.shape)))
            parameter.grad = (noisy / self.batch).to(parameter.dtype)
        self.optimizer.step()

    def ghost(self) -> None:
        self.update(clipped_sum(self.critic, LOSS, *self.sample(), CLIP).sums)

    def materialised(self) -> None:
        real, fake, share = self.sample()
        named = {name: parameter.detach() for name, parameter in self.critic.named_parameters()}
        per_record = vmap(grad(loss_of(self.critic, LOSS)), in_dims=(None, 0, 0, 0))(named, real, fake, share[:, 0])
        gradients = list(per_record.values())
        norms = torch.stack([tensor.flatten(1).square().sum(1) for tensor in gradients]).sum(0).sqrt()
        factors = clip_factors(norms, CLIP)
        self.update([torch.einsum("b,b...->...", factors, tensor).double() for tensor in gradients])


KINDS: dict[str, Callable[[Step], None]] = {
    "plain": Step.plain,
    "ghost": Step.ghost,
    "materialised": Step.materialised,
}


def time_steps(repeats: int) -> dict[str, float]:
    """Median seconds of a step of each kind; the kinds take turns, so that other load hits all alike."""
    step = Step()
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for repeat in range(repeats + 3):
        for kind, run in KINDS.items():
            if kind == "materialised" and repeat % 10:
                continue
            begin = time.perf_counter()
            run(step)
            if repeat >= 3 or kind == "materialised":
                taken[kind].append(time.perf_counter() - begin)
    return {kind: statistics.median(seconds) for kind, seconds in taken.items()}


def peak_memory(kind: str) -> float:
    """MB that a step of this kind needs on top of what the process has, in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--memory-of", kind]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    return float(ran.stdout)


def own_peak(kind: str) -> float:
    """MB that steps of this kind need above what this process holds before them (Linux)."""
    small, large = Step(batch=8), Step()
    KINDS[kind](small)  # libraries, buffers of the matrix product, moments of the optimiser
    for parameter in large.critic.parameters():
        parameter.grad = torch.zeros_like(parameter)
    large.optimizer.step()
    ctypes.CDLL(None).malloc_trim(0)  # memory that was freed but not given back would hide what the steps need
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _resident("VmRSS")
    for _ in range(3):
        KINDS[kind](large)
    return (_resident("VmHWM") - before) / 1024


def _resident(field: str) -> int:
    """Resident memory of this process now (VmRSS) or at its peak (VmHWM), in KB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def main() -> None:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description="Cost of a private critic step.")
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--memory-of", choices=list(KINDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(own_peak(options.memory_of))
        return
    seconds = time_steps(options.repeats)
    memory = {kind: peak_memory(kind) for kind in KINDS}
    critic = Step().critic
    weights = sum(parameter.numel() for parameter in critic.parameters())
    result: dict[str, Any] = {
        "format_version": 1,
        "batch": BATCH,
        "weights": weights,
        "threads": options.threads,
        "torch": torch.__version__,
        "seconds": seconds,
        "peak_mb": memory,
        "per_record_gradients_mb": BATCH * weights * 4 / 2**20,
        "time_ghost_to_plain": seconds["ghost"] / seconds["plain"],
        "memory_ghost_to_materialised": memory["ghost"] / memory["materialised"],
    }
    for name, value in result.items():
        print(f"{name:30} {value}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(options.out) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
