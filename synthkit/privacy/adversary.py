"""The game between a critic that sees real records through noise only and a generator that sees none.

A step of this stage is one critic step, because critic steps are what the budget was planned for: their number is
fixed before anything runs. When a generator step happens in between is decided by what the critic says about fakes.
Nothing here looks at real records: not the clipping norm, not the pace, not the choice of what is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from synthkit.gan.critics import Critic
from synthkit.gan.ema import WeightAverage
from synthkit.gan.features import FeatureMap
from synthkit.gan.game import Players, changed_settings, falling_rate, set_rate
from synthkit.gan.losses import loss_named
from synthkit.gan.penalties import clip_weights
from synthkit.gan.relaxed import RelaxedGenerator
from synthkit.gan.state import Tensors, Values
from synthkit.privacy.clipping import clipped_sum, require_record_wise
from synthkit.privacy.critic_step import NoisyCriticGradient
from synthkit.privacy.events import Event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.pace import Pace, PaceSettings
from synthkit.privacy.record_loss import RecordLoss
from synthkit.random import RandomSource

CriticFactory = Callable[[torch.Generator], nn.Module]
_PAIRS = 512  # fakes against fakes, for the clipping norm
_SMALLEST_CLIP = 1e-6


@dataclass(frozen=True)
class PrivateSettings:
    """How an adversarial loss is trained under a budget.

    Attributes
    ----------
    loss
        Loss of a record.
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
    width, depth
        Size of the critic: the noise grows with the number of its weights, what it has to learn does not.
    """

    loss: RecordLoss = field(default_factory=RecordLoss)
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.5, 0.95)
    generator_rate: float = 0.02
    generator_betas: tuple[float, float] = (0.0, 0.95)
    pace: PaceSettings = field(default_factory=PaceSettings)
    fakes: int = 1000
    clip: float | None = None
    clip_share: float = 0.3
    clip_every: int = 50
    flat: float = 0.5
    last: float = 0.02
    average: float = 0.995
    width: int = 64
    depth: int = 1

    def rate(self, done: float) -> float:
        """Learning rate as a share of its height, when ``done`` (0 to 1) of the plan is done."""
        return falling_rate(done, self.flat, self.last)


# Comparing games get a little drift, so that "scores below zero" means something for the pace.
PRIVATE_SETTINGS: dict[str, PrivateSettings] = {
    "relativistic": PrivateSettings(RecordLoss("relativistic", "interpolated", 1.0, drift=0.01)),
    "wgan-gp": PrivateSettings(RecordLoss("wgan-gp", "interpolated", 10.0, drift=0.01)),
    "wgan": PrivateSettings(RecordLoss("wgan", "clipping", 0.1, drift=0.01), optimizer="rmsprop", learning_rate=1e-3),
    "vanilla": PrivateSettings(RecordLoss("vanilla", "zero-centred", 0.3)),
}


def private_settings_for(loss: str, **changes: object) -> PrivateSettings:
    """Return the usual settings of a loss under a budget with some of them changed.

    Raises
    ------
    InputError
        When there is no such loss or no such setting.
    """
    return changed_settings(PRIVATE_SETTINGS, loss, changes, of="the private adversary")


class PrivateAdversaryStage:
    """One critic under DP-SGD and one generator, as a stage for the trainer.

    The trainer keeps the last averaged weights: `evaluate` returns how far the plan has come, since any score on real
    rows would be one more release. Run it without patience.

    Parameters
    ----------
    generator
        What to train. It must know nothing private but what was bought with noise; its random numbers come from what
        is passed to its ``draw``.
    features
        What the critic sees, built from public or noisy numbers.
    rows, event
        Private rows and the sampled Gaussian event that plans all critic steps (see `NoisyCriticGradient`).
    noise
        Source of samples, noise and everything else that must stay secret.
    random
        Source of all other random numbers: starting weights and the fakes of the generator's steps.
    records
        n0, the public number of units.
    loss
        A name in `LOSSES`.
    settings
        How to train; `PRIVATE_SETTINGS` of the loss when None.
    rows_per_unit
        Most rows of one unit in a step.
    critic
        Makes a critic with starting weights from a generator of random numbers; a perceptron when None.
    evaluate_every
        Critic steps between two looks of the trainer.
    device
        Where critic and generator live.
    name
        Of the stage.

    Raises
    ------
    PrivacyError
        When the critic mixes records, or the event is of another kind.

    Privacy
    -------
    The averaged weights, the critic and everything the stage reports keep the guarantee of the event under its
    adjacency. The generator minimises a function of the scores of its own fakes; relativistic games, whose generator
    would compare fakes with real records, use the mean score instead.
    """

    scored_by = "steps"

    def __init__(
        self,
        generator: RelaxedGenerator,
        features: FeatureMap,
        rows: PrivateRows,
        event: Event,
        noise: NoiseSource,
        random: RandomSource,
        *,
        records: int,
        loss: str = "wgan-gp",
        settings: PrivateSettings | None = None,
        rows_per_unit: int = 1,
        critic: CriticFactory | None = None,
        evaluate_every: int = 100,
        device: str = "cpu",
        name: str = "private-adversary",
    ) -> None:
        self.name, self.total_steps, self.evaluate_every = name, event.count, evaluate_every
        self._settings = settings or private_settings_for(loss)
        self._generator, self._features = generator, features
        self._random, self._device = random, device
        self._rng = random.torch("private-adversary", device)
        self._factory = critic
        self._scale, self._taken, self._moved, self._clip = 1.0, 0, 0, 0.0
        self._pace = Pace(self._settings.pace)
        self._trained = [parameter for parameter in generator.parameters() if parameter.requires_grad]
        self._average = WeightAverage(self._trained, self._settings.average)
        self._critic = self._new_critic("critic")
        require_record_wise(self._critic, features.width)
        # after the critic is accepted: this spends the event
        self._gradient = NoisyCriticGradient(
            rows,
            event,
            features,
            self._settings.loss,
            records=records,
            noise=noise,
            rows_per_unit=rows_per_unit,
            device=device,
        )
        self._start_optimizers()

    def _new_critic(self, name: str) -> nn.Module:
        source = self._random.torch(name, self._device)
        if self._factory is not None:
            return self._factory(source)
        settings = self._settings
        return Critic(self._features.width, generator=source, width=settings.width, depth=settings.depth, fast=False)

    def _start_optimizers(self) -> None:
        settings, parameters = self._settings, list(self._critic.parameters())
        self._critic_optimizer: torch.optim.Optimizer
        if settings.optimizer == "rmsprop":
            self._critic_optimizer = torch.optim.RMSprop(parameters, lr=settings.learning_rate)
        else:
            self._critic_optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, betas=settings.betas)
        self._generator_optimizer = torch.optim.Adam(
            self._trained, lr=settings.generator_rate, betas=settings.generator_betas
        )

    # -- one step -----------------------------------------------------------------------------------------------------

    def step(self, index: int) -> Mapping[str, float | Tensor]:
        """Take one critic step and, when the pace says so, one generator step; what is returned is public."""
        settings = self._settings
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
        if not self._pace.after_critic_step():
            return {}
        loss, known = self._improve_generator()
        self._pace.after_generator_step(known)
        self._average.update(self._moved)
        self._moved += 1
        return {"generator": loss, "fakes known": known}

    @torch.no_grad()
    def _fakes(self, n: int, rng: torch.Generator) -> Tensor:
        return self._features.relaxed(self._generator.draw(n, rng))

    def _choose_clip(self) -> float:
        """Clipping norm: as set, or from gradients of fakes against fakes."""
        settings = self._settings
        if settings.clip is not None:
            return settings.clip
        fakes = self._fakes(2 * _PAIRS, self._rng)
        shares = torch.rand(_PAIRS, 1, generator=self._rng, device=self._device)
        norms = clipped_sum(self._critic, settings.loss, fakes[:_PAIRS], fakes[_PAIRS:], shares, 1.0).norms
        found = settings.clip_share * float(norms.median())
        if not math.isfinite(found):
            return self._clip or 1.0
        mixed = found if self._clip == 0 else 0.7 * self._clip + 0.3 * found
        return max(mixed, _SMALLEST_CLIP)

    def _improve_generator(self) -> tuple[Tensor, float]:
        """Take one generator step; its loss, and the share of fakes that the critic knew for what they are."""
        self._critic.requires_grad_(False)
        scores = self._critic(self._features.relaxed(self._generator.draw(self._settings.fakes, self._rng)))
        self._critic.requires_grad_(True)
        game = loss_named(self._settings.loss.game)
        # a paired game would compare with scores of real records, which are private
        loss = -scores.mean() if game.paired else game.generator_loss(scores.detach(), scores)
        self._generator_optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._generator_optimizer.step()
        return loss.detach(), float((scores < 0).float().mean())

    def _players(self) -> Players:
        return Players(
            self._trained, self._average, self._critic, self._critic_optimizer, self._generator_optimizer, self._rng
        )

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
        self._pace = Pace(self._settings.pace, **values["pace"])
        self._gradient.skip(self._taken)
        self._players().load(tensors)

    def recover(self) -> None:
        """Halve the learning rate and start again with a new critic; steps already taken stay spent."""
        self._scale /= 2
        self._critic = self._new_critic("critic-after-recovery")
        self._clip = 0.0
        self._start_optimizers()
