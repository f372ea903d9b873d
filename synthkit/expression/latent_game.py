"""The game in latent coordinates: a conditional critic challenges the moments of the classes.

Real coordinates are drawn anew for every batch, from the posterior of a cell: what the factors do not know of a cell is
not taken for known, so that the generator cannot learn single cells by heart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthkit.errors import InputError, unknown_name
from synthkit.expression.anchor import Anchor, nearest_map
from synthkit.expression.latent_nets import EXTRA_NOISE, GROUP, LatentCritic, LatentGenerator
from synthkit.expression.model import Wanted
from synthkit.gan.ema import WeightAverage
from synthkit.gan.game import Players, falling_rate, set_rate
from synthkit.gan.losses import LOSSES, loss_named
from synthkit.gan.penalties import clip_weights, interpolated_gradient, squared_gradient
from synthkit.gan.state import Tensors, Values
from synthkit.random import RandomSource

BATCH = 256
_RATE, _CRITIC_RATE = 2e-4, 4e-4
_BETAS = (0.0, 0.9)
_CRITIC_STEPS = 2
_PENALTY = {"wgan-gp": 10.0, "relativistic": 1.0, "vanilla": 1.0, "wgan": 0.03}
_AVERAGE = 0.998
_TEMPER = 0.5  # classes are seen in proportion to this power of their size: a rare one is seen more often
_FLAT, _LAST = 0.5, 0.05
_FEWEST = 4  # held-out cells of a class below which it is not scored
_EVERY = 50  # steps between two scores
_RESTORED_BY = 4_000  # cells of a class by which moments are known
_TIMES, _DRAWN = 4, 3_000  # draws from the posterior of a held-out cell, and cells that are drawn for each class
_WIDTH = 0.9  # of the kernel, in units of the whitened coordinates


@dataclass(frozen=True, eq=False)
class LatentCells:
    """Whitened coordinates of cells, as far as they are known.

    Attributes
    ----------
    means
        ``[cells, dimensions]``.
    errors
        Roots of their posterior covariance, ``[cells, dimensions]``, before whitening.
    whiten
        For each class, what whitens a difference, ``[classes, dimensions, dimensions]``.
    conditions
        Of each cell.
    """

    means: Tensor
    errors: Tensor
    whiten: Tensor
    conditions: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def of(cls, means: np.ndarray, errors: np.ndarray, anchor: Anchor, conditions: Wanted, device: str) -> LatentCells:
        """Whiten coordinates by the anchor."""
        whiten = np.linalg.inv(anchor.roots)
        labels = conditions.classes
        centred = np.einsum("nij,nj->ni", whiten[labels], means - anchor.means[labels])
        classes, batches, covariates = (
            torch.from_numpy(np.ascontiguousarray(one)).to(device) for one in conditions.given()
        )
        own, error, root = (torch.from_numpy(one.astype(np.float32)).to(device) for one in (centred, errors, whiten))
        return cls(own, error, root, (classes, batches, covariates))

    def drawn(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the coordinates of some cells from their posterior, ``[rows, dimensions]``."""
        noise = torch.randn(len(rows), self.errors.shape[1], generator=generator, device=self.means.device)
        return self.means[rows] + turned(noise * self.errors[rows], self.whiten, self.conditions[0][rows])

    def given(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the conditions of some cells."""
        classes, batches, covariates = self.conditions
        return classes[rows], batches[rows], covariates[rows]


class LatentStage:
    """The game as a stage for the trainer.

    Parameters
    ----------
    cells
        Coordinates of all training cells.
    anchor
        What the generator starts from.
    held_out
        Positions of cells that the critic never sees; the score is taken against them.
    sizes
        Classes, batches and covariates.
    random
        Source of all random numbers.
    loss
        "wgan-gp", "relativistic", "vanilla" or "wgan".
    steps
        Length of the plan.
    device
        Where the game is played.
    """

    name = "critic and generator"

    def __init__(
        self,
        cells: LatentCells,
        anchor: Anchor,
        held_out: np.ndarray,
        sizes: tuple[int, int, int],
        random: RandomSource,
        *,
        loss: str = "wgan-gp",
        steps: int = 2_000,
        device: str = "cpu",
    ) -> None:
        if loss not in _PENALTY:
            raise InputError(unknown_name("loss", loss, LOSSES), remedy="Name a loss.")
        self.total_steps, self.evaluate_every = steps, max(1, min(_EVERY, steps))
        self._cells, self._sizes, self._device = cells, sizes, device
        self._parts, self._centres, self._roots = (
            torch.from_numpy(one.astype(np.float32)) for one in (anchor.weights, anchor.part_means, anchor.part_roots)
        )
        self._loss, self._loss_name, self._random = loss_named(loss), loss, random
        labels = cells.conditions[0].cpu().numpy()
        seen = np.setdiff1d(np.arange(len(labels)), held_out)
        self._by_class = [torch.from_numpy(seen[labels[seen] == label]) for label in range(sizes[0])]
        counts = np.array([len(own) for own in self._by_class], np.float64)
        self._shares = torch.from_numpy(counts**_TEMPER / (counts**_TEMPER).sum())
        self._held = {
            label: torch.from_numpy(own)
            for label in range(sizes[0])
            if len(own := held_out[labels[held_out] == label]) >= _FEWEST
        }
        self.generator = self._new_generator("generator")
        self._trained = list(self.generator.parameters())
        self._average = WeightAverage(self._trained, _AVERAGE)
        self._rng = random.torch("game")
        self._scale = 1.0
        self._start_critic("critic")

    def _new_generator(self, name: str) -> LatentGenerator:
        return LatentGenerator(self._cells.means.shape[1], self._sizes, self._random.torch(name)).to(self._device)

    def _start_critic(self, name: str) -> None:
        size = self._cells.means.shape[1]
        self._critic = LatentCritic(size, self._sizes, self._random.torch(name)).to(self._device)
        self._critic_optimizer = torch.optim.Adam(self._critic.parameters(), lr=_CRITIC_RATE, betas=_BETAS)
        self._generator_optimizer = torch.optim.Adam(self._trained, lr=_RATE, betas=_BETAS)

    # -- one step -----------------------------------------------------------------------------------------------------

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take two critic steps and one generator step."""
        rate = self._scale * falling_rate(index / self.total_steps, _FLAT, _LAST)
        set_rate(self._critic_optimizer, _CRITIC_RATE * rate)
        set_rate(self._generator_optimizer, _RATE * rate)
        for _ in range(_CRITIC_STEPS):
            critic_loss = self._improve_critic()
        rows = self._rows()
        given = self._cells.given(rows)
        fake = self.generator(self._noise(given[0], self._rng), *given)
        self._critic.requires_grad_(False)
        real_scores = self._critic(self._cells.drawn(rows, self._rng), *given) if self._loss.paired else fake[:, 0]
        loss = self._loss.generator_loss(real_scores, self._critic(fake, *given))
        self._critic.requires_grad_(True)
        self._generator_optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._generator_optimizer.step()
        self._average.update(index)
        return {"critic": critic_loss, "generator": loss.detach()}

    def _improve_critic(self) -> Tensor:
        rows = self._rows()
        given = self._cells.given(rows)
        real = self._cells.drawn(rows, self._rng)
        with torch.no_grad():
            fake = self.generator(self._noise(given[0], self._rng), *given)

        def score(values: Tensor) -> Tensor:
            scores: Tensor = self._critic(values, *given)
            return scores

        loss = self._loss.critic_loss(score(real), score(fake))
        weight = _PENALTY[self._loss_name]
        if self._loss_name == "wgan-gp":
            # a score depends on its group a little; the norm of a cell's own gradient is what the penalty holds
            loss = loss + weight * interpolated_gradient(score, real, fake, self._rng)
        elif self._loss_name != "wgan":
            loss = loss + weight / 2 * (squared_gradient(score, real) + squared_gradient(score, fake))
        self._critic_optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._critic_optimizer.step()
        if self._loss_name == "wgan":
            clip_weights(self._critic.parameters(), weight)
        return loss.detach()

    def _rows(self) -> Tensor:
        """Draw cells in groups of one class."""
        labels = torch.multinomial(self._shares, BATCH // GROUP, replacement=True, generator=self._rng)
        parts = []
        for label in labels.tolist():
            own = self._by_class[label]
            parts.append(own[torch.randint(len(own), (GROUP,), generator=self._rng)])
        return torch.cat(parts).to(self._device)

    def _noise(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the anchor's coordinates for classes, and further noise: ``[n, dimensions + EXTRA_NOISE]``."""
        labels, most, size = labels.cpu(), *self._centres.shape[1:]
        part = torch.multinomial(self._parts[labels], 1, replacement=True, generator=generator)[:, 0]
        own = torch.randn(len(labels), size + EXTRA_NOISE, generator=generator)
        spread = turned(own[:, :size], self._roots.flatten(0, 1), labels * most + part)
        return torch.cat([self._centres[labels, part] + spread, own[:, size:]], 1).to(self._device)

    # -- the rest of the Stage protocol -------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self) -> float:
        """Mean log-density of held-out cells under what is drawn, smoothed by a kernel; 0 where none is held out.

        A squared distance of means of kernels hardly sees draws that spread too much. A density does, and it falls as
        soon as draws gather around the cells that are learned. Each kernel adds its own width, which would make
        narrow draws the likeliest: draws are given the moments of the anchor first.
        """
        generator = self._random.torch("score")
        total, n = 0.0, 0
        with self._average.applied():
            for own in self._held.values():
                real = torch.cat([self._cells.drawn(own.to(self._device), generator) for _ in range(_TIMES)])
                anchored, drawn = self._drawn(own, _DRAWN, generator)
                if not np.isfinite(drawn).all():
                    return math.nan
                matrix, shift = nearest_map(drawn, anchored)
                restored = torch.from_numpy((drawn @ matrix + shift).astype(np.float32)).to(self._device)
                total += log_density(real, restored, _WIDTH) * len(own)
                n += len(own)
        return total / n if n else 0.0

    @torch.no_grad()
    def restored(self, anchor: Anchor) -> Anchor:
        """Return the anchor by which what the generator draws has the moments that the anchor's own draws have."""
        generator = self._random.torch("moments")
        labels = self._cells.conditions[0].cpu()
        for label in range(self._sizes[0]):
            anchored, drawn = self._drawn(torch.nonzero(labels == label)[:, 0], _RESTORED_BY, generator)
            anchor = anchor.restored(label, drawn, anchored)
        return anchor

    def _drawn(self, rows: Tensor, n: int, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw coordinates with the conditions of some cells: of the anchor, and what becomes of them."""
        given = self._cells.given(rows[torch.arange(n) % len(rows)].to(self._device))
        noise = self._noise(given[0], generator)
        anchored, drawn = noise[:, : self._centres.shape[2]], self.generator(noise, *given)
        return anchored.cpu().numpy().astype(np.float64), drawn.cpu().numpy().astype(np.float64)

    def snapshot(self) -> Tensors:
        """Copy the averaged weights of the generator."""
        return self._average.weights()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Make a snapshot both the weights and their average."""
        self._average.reset(weights)

    def _players(self) -> Players:
        return Players(
            self._trained, self._average, self._critic, self._critic_optimizer, self._generator_optimizer, self._rng
        )

    def state(self) -> tuple[Values, Tensors]:
        """Return weights, averages, moments and the position in the stream of random numbers."""
        return {"scale": self._scale}, self._players().tensors()

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._scale = float(values["scale"])
        self._players().load(tensors)

    def recover(self) -> None:
        """Halve the learning rate and start again with a new critic."""
        self._scale /= 2
        self._start_critic("critic-after-recovery")


def turned(values: Tensor, matrices: Tensor, which: Tensor) -> Tensor:
    """Multiply each of some vectors ``[n, d]`` by its own of a few matrices ``[m, d, d]``; `which` is ``[n]``."""
    result = torch.empty_like(values)
    # a matrix at a time: to gather one for each vector takes longer than a step of the game
    for one in torch.unique(which).tolist():
        own = which == one
        result[own] = values[own] @ matrices[one].T
    return result


def log_density(values: Tensor, drawn: Tensor, width: float) -> float:
    """Return the mean log-density of values ``[n, d]`` under normal kernels of a width around draws ``[m, d]``."""
    squared = torch.cdist(values, drawn).square()
    scale = 0.5 * values.shape[1] * math.log(2 * math.pi * width**2) + math.log(len(drawn))
    return float((torch.logsumexp(-squared / (2 * width**2), 1) - scale).mean())
