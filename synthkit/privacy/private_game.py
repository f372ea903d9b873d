"""What games under a budget share: a critic that sees real records through noise only, a generator that sees none.

A step of such a stage is one critic step, because critic steps are what the budget was planned for: their number is
fixed before anything runs. When a generator step happens in between is decided by what the critic says about fakes.
Nothing here looks at real records: not the clipping norm, not the pace, not the choice of what is kept.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from synthkit.gan.ema import WeightAverage
from synthkit.gan.game import Players, falling_rate, set_rate
from synthkit.gan.losses import loss_named
from synthkit.gan.penalties import clip_weights
from synthkit.gan.state import Tensors, Values
from synthkit.privacy.pace import Pace, PaceSettings
from synthkit.privacy.record_loss import RecordLoss
from synthkit.random import RandomSource

CriticFactory = Callable[[torch.Generator], nn.Module]
_SMALLEST_CLIP = 1e-6


@dataclass(frozen=True)
class PrivateGameSettings:
    """How a game is played under a budget.

    Attributes
    ----------
    loss
        Loss of a record (of a pair of scans).
    optimizer, learning_rate, betas
        Of the critic, on noisy gradients. RMSprop has no use for betas.
    generator_rate, generator_betas
        Of the generator's Adam.
    pace
        Critic steps per generator step.
    fakes
        Fakes per generator step, whatever the sizes of the samples.
    clip
        C; None for a rule that sees fakes only: ``clip_share`` of the median norm of a record's gradient where other
        fakes stand in for the real records, measured anew every ``clip_every`` critic steps.
    flat, last
        Share of the plan until which learning rates stay; after that they fall along a cosine to ``last`` of their
        height.
    average
        Decay of the moving average of the generator's weights, per generator step.
    """

    loss: RecordLoss = field(default_factory=RecordLoss)
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.99)
    generator_rate: float = 1e-3
    generator_betas: tuple[float, float] = (0.0, 0.99)
    pace: PaceSettings = field(default_factory=PaceSettings)
    fakes: int = 64
    clip: float | None = None
    clip_share: float = 0.5
    clip_every: int = 50
    flat: float = 0.5
    last: float = 0.05
    average: float = 0.995

    def rate(self, done: float) -> float:
        """Learning rate as a share of its height, when ``done`` (0 to 1) of the plan is done."""
        return falling_rate(done, self.flat, self.last)


class PrivateGame(ABC):
    """One critic under DP-SGD and one generator, as a stage for the trainer.

    The trainer keeps the last averaged weights: `evaluate` returns how far the plan has come, since any score on real
    records would be one more release. Run it without patience.

    A subclass sets `_gradient` (which spends the event, after the critic was accepted), then calls
    `_start_optimizers`, and says how fakes are made, scored and compared with each other.

    Parameters
    ----------
    trained
        Parameters of the generator; those that need a gradient are trained.
    settings
        How to train.
    random
        Source of all random numbers but samples and noise: starting weights and fakes.
    steps, evaluate_every
        Critic steps, and those between two looks of the trainer.
    critic
        Makes a critic with starting weights from a generator of random numbers; None for `_usual_critic`.
    device
        Where critic and generator live.
    stream, name
        Of the random numbers, and of the stage.
    """

    scored_by = "steps"
    _gradient: Any

    def __init__(
        self,
        trained: Iterable[Tensor],
        settings: PrivateGameSettings,
        random: RandomSource,
        *,
        steps: int,
        evaluate_every: int,
        critic: CriticFactory | None,
        device: str,
        stream: str,
        name: str,
    ) -> None:
        self.name, self.total_steps, self.evaluate_every = name, steps, evaluate_every
        self._game_settings, self._random, self._device, self._factory = settings, random, device, critic
        self._rng = random.torch(stream, device)
        self._scale, self._taken, self._moved, self._clip = 1.0, 0, 0, 0.0
        self._pace = Pace(settings.pace)
        self._trained = [parameter for parameter in trained if parameter.requires_grad]
        self._average = WeightAverage(self._trained, settings.average)
        self._critic = self._new_critic("critic")

    # -- what a subclass says -----------------------------------------------------------------------------------------

    @abstractmethod
    def _usual_critic(self, random: torch.Generator) -> nn.Module:
        """Return a critic with starting weights."""

    @abstractmethod
    def _fakes(self, n: int, rng: torch.Generator, *labels: Any) -> Tensor:
        """Return fakes without gradient, for a critic step."""

    @abstractmethod
    def _norms_among_fakes(self) -> Tensor:
        """Return norms of the critic's gradients where other fakes stand in for real records."""

    @abstractmethod
    def _shown(self) -> tuple[Tensor, Tensor | None]:
        """Return fakes with gradient, for a generator step, and their classes."""

    def _scores(self, fakes: Tensor, labels: Tensor | None) -> Tensor:
        scores: Tensor = self._critic(fakes)
        return scores

    def _further(self, fakes: Tensor, labels: Tensor | None) -> Sequence[tuple[str, float, Tensor]]:
        """Return further losses of the generator: name, weight and value."""
        return ()

    def _waits(self, index: int) -> bool:
        """Return whether the generator waits at a step, whatever the pace."""
        return False

    # -- one step -----------------------------------------------------------------------------------------------------

    def _new_critic(self, name: str) -> nn.Module:
        source = self._random.torch(name, self._device)
        return self._usual_critic(source) if self._factory is None else self._factory(source)

    def _start_optimizers(self) -> None:
        settings, parameters = self._game_settings, list(self._critic.parameters())
        self._critic_optimizer: torch.optim.Optimizer
        if settings.optimizer == "rmsprop":
            self._critic_optimizer = torch.optim.RMSprop(parameters, lr=settings.learning_rate)
        else:
            self._critic_optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, betas=settings.betas)
        self._generator_optimizer: torch.optim.Optimizer = torch.optim.Adam(
            self._trained, lr=settings.generator_rate, betas=settings.generator_betas
        )

    def step(self, index: int) -> Mapping[str, float | Tensor]:
        """Take one critic step and, when the pace says so, one generator step; what is returned is public."""
        settings = self._game_settings
        share = settings.rate(index / self.total_steps) * self._scale
        set_rate(self._critic_optimizer, settings.learning_rate * share)
        set_rate(self._generator_optimizer, settings.generator_rate * share)
        if self._clip == 0 or index % settings.clip_every == 0:
            self._clip = self._choose_clip()
        gradients = self._gradient(self._critic, self._fakes, self._clip)
        for parameter, gradient in zip(self._critic.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self._critic_optimizer.step()
        if settings.loss.penalty == "clipping":
            clip_weights(self._critic.parameters(), settings.loss.weight)
        self._taken += 1
        if self._waits(index) or not self._pace.after_critic_step():
            return {}
        losses, known = self._improve_generator()
        self._pace.after_generator_step(known)
        self._average.update(self._moved)
        self._moved += 1
        return {**losses, "fakes known": known}

    def _choose_clip(self) -> float:
        """Clipping norm: as set, or from gradients of fakes against fakes."""
        settings = self._game_settings
        if settings.clip is not None:
            return settings.clip
        found = settings.clip_share * float(self._norms_among_fakes().median())
        if not math.isfinite(found):
            return self._clip or 1.0
        mixed = found if self._clip == 0 else 0.7 * self._clip + 0.3 * found
        return max(mixed, _SMALLEST_CLIP)

    def _improve_generator(self) -> tuple[dict[str, Tensor], float]:
        """Take one generator step; its losses, and the share of fakes that the critic knew for what they are."""
        fakes, labels = self._shown()
        self._critic.requires_grad_(False)
        scores = self._scores(fakes, labels)
        self._critic.requires_grad_(True)
        game = loss_named(self._game_settings.loss.game)
        # a paired game would compare with scores of real records, which are private
        total = -scores.mean() if game.paired else game.generator_loss(scores.detach(), scores)
        losses = {"generator": total.detach()}
        for name, weight, value in self._further(fakes, labels):
            losses[name] = value.detach()
            total = total + weight * value
        self._generator_optimizer.zero_grad()
        torch.autograd.backward(total)
        self._generator_optimizer.step()
        return losses, float((scores < 0).float().mean())

    # -- the rest of the Stage protocol -------------------------------------------------------------------------------

    def evaluate(self) -> float:
        """Return the critic steps taken so far, so that the latest weights are always the best ones."""
        return float(self._taken)

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
        """Return weights, averages, moments, the pace and the public random numbers; no noise and nothing private."""
        pace = self._pace
        values = {
            "scale": self._scale,
            "taken": self._taken,
            "moved": self._moved,
            "clip": self._clip,
            "pace": {"rung": pace.rung, "known": pace.known, "waited": pace.waited, "since": pace.since},
        }
        return values, self._players().tensors()

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue where `state` was taken, with fresh noise: steps taken before count against the plan."""
        self._scale, self._clip = float(values["scale"]), float(values["clip"])
        self._taken, self._moved = int(values["taken"]), int(values["moved"])
        self._pace = Pace(self._game_settings.pace, **values["pace"])
        self._gradient.skip(self._taken)
        self._players().load(tensors)

    def recover(self) -> None:
        """Halve the learning rate and start again with a new critic; steps already taken stay spent."""
        self._scale /= 2
        self._critic = self._new_critic("critic-after-recovery")
        self._clip = 0.0
        self._start_optimizers()
