"""One adversarial stage for any generator that can draw rows with gradient.

The critic learns to tell real rows from generated ones, the generator learns to be told apart less. What is kept is
decided by a held-out score that the caller supplies, starting from the generator as it came: an adversary that does
not help leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from synthkit.gan.conditions import ConditionSampler
from synthkit.gan.critics import Critic
from synthkit.gan.ema import WeightAverage
from synthkit.gan.features import FeatureMap
from synthkit.gan.game import Players, changed_settings, falling_rate, set_rate
from synthkit.gan.kept_critic import KeptCritic
from synthkit.gan.losses import loss_named
from synthkit.gan.penalties import clip_weights, interpolated_gradient, squared_gradient
from synthkit.gan.relaxed import ConditionalGenerator, RelaxedBatch, RelaxedGenerator
from synthkit.gan.state import Tensors, Values
from synthkit.random import RandomSource

Penalty = Literal["zero-centred", "interpolated", "clipping", "none"]


@dataclass(frozen=True)
class AdversarySettings:
    """How an adversarial loss is usually trained.

    Attributes
    ----------
    optimizer, learning_rate, betas
        Of critic and generator alike. RMSprop has no use for betas.
    critic_steps
        Critic steps per generator step.
    penalty, penalty_weight
        What keeps the critic smooth and how strongly: gamma of R1 + R2, lambda of the interpolated penalty, or the
        bound of weight clipping.
    penalty_share
        Share of the batch on which a gradient penalty is computed.
    batch
        Rows per step; small tables use what they have.
    warm_up, flat
        Shares of the plan in which the learning rate rises and until which it stays; after that it falls along a
        cosine to ``last`` of its height.
    average
        Decay of the moving average of the generator's weights.
    """

    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.0, 0.95)
    critic_steps: int = 1
    penalty: Penalty = "zero-centred"
    penalty_weight: float = 0.3
    penalty_share: float = 0.25
    batch: int = 250
    warm_up: float = 0.02
    flat: float = 0.3
    last: float = 0.02
    average: float = 0.999

    def rate(self, done: float) -> float:
        """Learning rate as a share of its height, when ``done`` (0 to 1) of the plan is done."""
        rising = min(1.0, done / self.warm_up + 0.01) if self.warm_up > 0 else 1.0
        return rising * falling_rate(done, self.flat, self.last)


# The first is tuned for tables (a study of about 60 runs); the others follow their papers in optimiser, betas, critic
# steps and penalty, with learning rates raised for plans of hundreds of steps instead of hundreds of thousands.
SETTINGS: dict[str, AdversarySettings] = {
    "relativistic": AdversarySettings(),
    "wgan-gp": AdversarySettings(
        learning_rate=1e-3,
        betas=(0.0, 0.9),
        critic_steps=3,
        penalty="interpolated",
        penalty_weight=10.0,
        penalty_share=1.0,
    ),
    "wgan": AdversarySettings(
        optimizer="rmsprop",
        learning_rate=1e-3,
        critic_steps=5,
        penalty="clipping",
        penalty_weight=0.03,
    ),
    "vanilla": AdversarySettings(
        learning_rate=5e-4,
        betas=(0.5, 0.999),
        penalty="none",
        penalty_weight=0.0,
    ),
}


def settings_for(loss: str, **changes: object) -> AdversarySettings:
    """Return the usual settings of a loss with some of them changed.

    Raises
    ------
    InputError
        When there is no such loss or no such setting.
    """
    return changed_settings(SETTINGS, loss, changes, of="the adversary")


class AdversaryStage:
    """The game between one critic and one generator, as a stage for the trainer.

    Parameters
    ----------
    generator
        What to train; a `ConditionalGenerator` when ``conditional``.
    features
        What the critic sees.
    symbols, positions
        Real training rows, ``[N, C]``, on the device of the generator.
    score
        Held-out score of the generator as it is at the time of the call, higher is better. It must bring its own
        random numbers, the same ones every time.
    random
        Source of all random numbers of the stage.
    loss
        A name in `LOSSES`.
    total_steps, evaluate_every
        Length of the plan in generator steps, and steps between two held-out scores.
    settings
        How to train; `SETTINGS` of the loss when None.
    generator_rate
        Learning rate of the generator where it differs from the critic's.
    head_start
        Steps in which only the critic learns: a generator that is already good must not follow an ignorant critic.
    weights
        Relative weight of each real row, ``[N]``; rows are drawn in proportion. Not with ``conditional``.
    anchor, anchor_weight
        A further loss of the generator, given the row numbers of the real batch (such as the negative log-likelihood
        of these rows), and its weight.
    conditional
        Train with any subset of cells given.
    width, depth
        Size of the critic.
    device
        Where rows and generator live.
    name
        Of the stage.
    """

    def __init__(
        self,
        generator: RelaxedGenerator,
        features: FeatureMap,
        symbols: Tensor,
        positions: Tensor,
        score: Callable[[], float],
        random: RandomSource,
        *,
        loss: str = "relativistic",
        total_steps: int = 1800,
        evaluate_every: int = 100,
        settings: AdversarySettings | None = None,
        generator_rate: float | None = None,
        head_start: int = 0,
        weights: Tensor | None = None,
        anchor: Callable[[Tensor], Tensor] | None = None,
        anchor_weight: float = 1.0,
        conditional: bool = False,
        width: int = 256,
        depth: int = 2,
        device: str = "cpu",
        name: str = "adversary",
    ) -> None:
        self.name, self.total_steps, self.evaluate_every = name, total_steps, evaluate_every
        self._loss = loss_named(loss)
        self._settings = settings or settings_for(loss)
        self._generator, self._features, self._score = generator, features, score
        self._symbols, self._positions = symbols, positions
        self._batch = min(self._settings.batch, len(symbols))
        self._ratio = (generator_rate or self._settings.learning_rate) / self._settings.learning_rate
        self._head_start = head_start
        self._cumulative = None if weights is None else weights.double().cumsum(0)
        self._anchor, self._anchor_weight = anchor, anchor_weight
        self._given = ConditionSampler(symbols, features.layout.sizes.tolist()) if conditional else None
        self._random, self._device = random, device
        self._size = (width, depth)
        self._rng = random.torch("adversary", device)
        self._scale = 1.0
        self._trained = [parameter for parameter in generator.parameters() if parameter.requires_grad]
        self._average = WeightAverage(self._trained, self._settings.average)
        self._critic = self._new_critic("critic")
        self._start_optimizers()

    def _new_critic(self, name: str) -> Critic:
        conditions = self._symbols.shape[1] if self._given else 0
        width, depth = self._size
        source = self._random.torch(name, self._device)
        return Critic(self._features.width, generator=source, conditions=conditions, width=width, depth=depth)

    def _start_optimizers(self) -> None:
        self._critic_optimizer = self._optimizer(list(self._critic.parameters()))
        self._generator_optimizer = self._optimizer(self._trained)

    def _optimizer(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        settings = self._settings
        if settings.optimizer == "rmsprop":
            return torch.optim.RMSprop(parameters, lr=settings.learning_rate)
        return torch.optim.Adam(parameters, lr=settings.learning_rate, betas=settings.betas, fused=True)

    # -- one step -----------------------------------------------------------------------------------------------------

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take ``critic_steps`` critic steps and one generator step; both see the last batch of fakes."""
        settings = self._settings
        rate = settings.learning_rate * settings.rate(index / self.total_steps) * self._scale
        set_rate(self._critic_optimizer, rate)
        set_rate(self._generator_optimizer, rate * self._ratio)
        for turn in range(settings.critic_steps):
            rows, mask = self._rows()
            last = turn == settings.critic_steps - 1
            with torch.set_grad_enabled(last and index >= self._head_start):
                fake = self._features.relaxed(self._draw(rows, mask))
            real = self._features.real(self._symbols[rows], self._positions[rows])
            condition = None if mask is None else mask.to(real.dtype)
            critic_loss, real_scores = self._improve_critic(real, fake.detach(), condition)
        losses = {"critic": critic_loss}
        if index >= self._head_start:
            losses["generator"] = self._improve_generator(fake, real_scores, condition, rows)
            self._average.update(index - self._head_start)
        return losses

    def _rows(self) -> tuple[Tensor, Tensor | None]:
        """Numbers of the real rows of a batch and, for conditional generators, the mask of given cells."""
        if self._given is not None:
            return self._given.draw(self._batch, self._rng)
        if self._cumulative is None:
            rows = torch.randint(len(self._symbols), (self._batch,), generator=self._rng, device=self._device)
            return rows, None
        total = self._cumulative[-1]
        marks = torch.rand(self._batch, generator=self._rng, device=self._device, dtype=torch.float64) * total
        return torch.searchsorted(self._cumulative, marks, right=True).clamp(max=len(self._symbols) - 1), None

    def _draw(self, rows: Tensor, mask: Tensor | None) -> RelaxedBatch:
        if mask is None:
            return self._generator.draw(len(rows), self._rng)
        # __init__ was told that the generator is conditional
        generator = cast("ConditionalGenerator", self._generator)
        return generator.draw_given(self._symbols[rows].long(), self._positions[rows], mask, self._rng)

    def _improve_critic(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Take one critic step; its loss and the real scores it had, both without gradient."""
        settings, critic, n = self._settings, self._critic, len(real)
        both = None if condition is None else torch.cat([condition, condition])
        scores = critic(torch.cat([real, fake]), both)
        loss = self._loss.critic_loss(scores[:n], scores[n:])
        some = max(1, round(settings.penalty_share * n))
        part = None if condition is None else condition[:some]
        if settings.penalty == "zero-centred":
            twice = None if part is None else torch.cat([part, part])
            # the mean over real and fake together is (R1 + R2) / 2
            mean = squared_gradient(lambda x: critic(x, twice), torch.cat([real[:some], fake[:some]]))
            loss = loss + settings.penalty_weight * mean
        elif settings.penalty == "interpolated":
            mean = interpolated_gradient(lambda x: critic(x, part), real[:some], fake[:some], self._rng)
            loss = loss + settings.penalty_weight * mean
        self._critic_optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._critic_optimizer.step()
        if settings.penalty == "clipping":
            clip_weights(critic.parameters(), settings.penalty_weight)
        return loss.detach(), scores[:n].detach()

    def _improve_generator(self, fake: Tensor, real_scores: Tensor, condition: Tensor | None, rows: Tensor) -> Tensor:
        """Take one generator step against the critic as it is now; its adversarial loss without gradient."""
        self._critic.requires_grad_(False)
        loss = self._loss.generator_loss(real_scores, self._critic(fake, condition))
        self._critic.requires_grad_(True)
        total = loss if self._anchor is None else loss + self._anchor_weight * self._anchor(rows)
        self._generator_optimizer.zero_grad()
        torch.autograd.backward(total)
        self._generator_optimizer.step()
        return loss.detach()

    def _players(self) -> Players:
        return Players(
            self._trained, self._average, self._critic, self._critic_optimizer, self._generator_optimizer, self._rng
        )

    # -- the rest of the Stage protocol -------------------------------------------------------------------------------

    def evaluate(self) -> float:
        """Score the averaged weights with the caller's held-out score."""
        with self._average.applied():
            return self._score()

    def kept_critic(self) -> KeptCritic:
        """A copy of the critic as it is, to score rows with after the game."""
        critic = Critic(
            self._features.width,
            generator=self._random.torch("replaced", self._device),
            conditions=self._symbols.shape[1] if self._given else 0,
            width=self._size[0],
            depth=self._size[1],
        )
        critic.load_state_dict(self._critic.state_dict())
        return KeptCritic(self._features.layout, critic, self._symbols.shape[1] if self._given else 0)

    def snapshot(self) -> Tensors:
        """Copy the averaged weights of the generator."""
        return self._average.weights()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Make a snapshot both the weights and their average."""
        self._average.reset(weights)

    def state(self) -> tuple[Values, Tensors]:
        """Return weights, averages, moments and the position in the stream of random numbers."""
        return {"scale": self._scale}, self._players().tensors()

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._scale = float(values["scale"])
        self._players().load(tensors)

    def recover(self) -> None:
        """Halve the learning rate and start again with a new critic: the old one may hold the broken numbers."""
        self._scale /= 2
        self._critic = self._new_critic("critic-after-recovery")
        self._start_optimizers()
