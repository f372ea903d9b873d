"""The game between a critic that sees real scans through noise only and a generator of scans that sees none.

A step of this stage is one critic step, because critic steps are what the budget was planned for: their number is
fixed before anything runs. Nothing here looks at real scans: not the clipping norm, not the pace, not the choice of
what is kept, and there is no augmentation that adapts to how sure the critic is of real scans.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from synthkit.gan.ema import WeightAverage
from synthkit.gan.game import Players, falling_rate, set_rate
from synthkit.gan.images.nets import Critic, Generator
from synthkit.gan.images.recipe import AugmentSettings, Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.losses import loss_named
from synthkit.gan.penalties import clip_weights
from synthkit.gan.state import Tensors, Values
from synthkit.privacy.events import Event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.image_clipping import Pairs, clipped_pair_sum, require_scan_wise
from synthkit.privacy.image_critic import NoisyImageGradient, Seen
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.pace import Pace, PaceSettings
from synthkit.privacy.record_loss import RecordLoss
from synthkit.random import RandomSource

CriticFactory = Callable[[torch.Generator], nn.Module]
Labels = Callable[[int, torch.Generator], Tensor | None]
"""Draws the classes of so many fakes, from public or noisy shares."""
Anchor = Callable[[Tensor, Tensor | None], Tensor]
"""What else the generator minimises: a function of fakes and their classes, made of what was released before."""

_PAIRS = 64  # fakes against fakes, for the clipping norm
_SMALLEST_CLIP = 1e-6
_PATCH = 2  # keeps the critic's convolutions off the full resolution
_REST = 10  # the generator waits for a part of the plan at most


@dataclass(frozen=True)
class PrivateImageSettings:
    """How the game is played under a budget.

    Attributes
    ----------
    loss
        Loss of a pair. Games that only compare need a little drift, so that a fake that scores below zero is one that
        the critic knows.
    learning_rate, betas
        Of the critic's Adam, on noisy gradients.
    generator_rate, generator_betas
        Of the generator's Adam.
    pace
        Critic steps per generator step.
    rest
        Critic steps at the start during which the generator waits: a new critic knows nothing.
    fakes
        Fakes per generator step, whatever the sizes of the samples.
    clip
        C; None for a rule that sees fakes only: ``clip_share`` of the median norm of a pair's gradient where other
        fakes stand in for the real scans, measured anew every ``clip_every`` critic steps.
    flat, last
        Share of the plan until which learning rates stay; after that they fall along a cosine to ``last`` of their
        height.
    average
        Decay of the moving average of the generator's weights, per generator step.
    anchor
        Weight of the further loss of the generator, where there is one.
    widths
        Channels of the critic from the coarsest level to the finest: noise grows with the number of its weights.
    """

    loss: RecordLoss = field(default_factory=lambda: RecordLoss("vanilla", "none", 0.0))
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.99)
    generator_rate: float = 3e-4
    generator_betas: tuple[float, float] = (0.0, 0.99)
    pace: PaceSettings = field(default_factory=lambda: PaceSettings((2, 5, 10, 20, 50), 0.55, 0.8))
    rest: int = 100
    fakes: int = 64
    clip: float | None = None
    clip_share: float = 0.5
    clip_every: int = 50
    flat: float = 0.5
    last: float = 0.05
    average: float = 0.995
    anchor: float = 0.0
    widths: tuple[int, ...] = (64, 32, 16)

    def rate(self, done: float) -> float:
        """Learning rate as a share of its height, when ``done`` (0 to 1) of the plan is done."""
        return falling_rate(done, self.flat, self.last)


def private_critic_recipe(recipe: Recipe, settings: PrivateImageSettings, spec: ImageSpec) -> Recipe:
    """Return a recipe whose critic can be trained under a budget, for scans of a form.

    A plain convolutional critic with few weights and without normalisation, spread within the batch, spectral norm,
    attention, pool of former fakes and augmentation, whatever the recipe of the generator has. Small scans have fewer
    levels, and leave out the widest.
    """
    levels = len(spec.levels(int(math.log2(_PATCH))))
    widths = settings.widths[-levels:]
    return recipe.changed(
        critic="plain",
        widths_2d=widths,
        widths_3d=widths,
        norm=False,
        spectral=False,
        spread=False,
        attention=(),
        patch=_PATCH,
        pool=0,
        augment=AugmentSettings(),
        penalties=(),
    )


class PrivateImageStage:
    """One image critic under DP-SGD and one generator, as a stage for the trainer.

    The trainer keeps the last averaged weights: `evaluate` returns how far the plan has come, since any score on real
    scans would be one more release. Run it without patience.

    Parameters
    ----------
    generator
        What to train. It must know nothing private but what was bought with noise.
    recipe
        Of the generator; its critic is replaced (`private_critic_recipe`).
    rows, event, see
        Private scans, the sampled Gaussian event that plans all critic steps, and how stored scans become what the
        critic sees (`NoisyImageGradient`).
    noise
        Source of samples, noise and everything else that must stay secret.
    random
        Source of all other random numbers: starting weights and the fakes of the generator's steps.
    labels
        Classes of the generator's fakes, from public or noisy shares.
    records
        n0, the public number of units.
    settings
        How to train.
    rows_per_unit
        Most scans of one unit in a step.
    anchor
        A further loss of the generator; its weight is that of the settings.
    critic
        Makes a critic with starting weights; the recipe's private one when None.
    evaluate_every
        Critic steps between two looks of the trainer.
    device
        Where critic and generator live.
    name
        Of the stage.

    Raises
    ------
    PrivacyError
        When the critic mixes scans, or the event is of another kind.

    Privacy
    -------
    The averaged weights, the critic and everything the stage reports keep the guarantee of the event under its
    adjacency (add or remove one unit). The generator minimises a function of the scores of its own fakes; relativistic
    games, whose generator would compare fakes with real scans, use the mean score instead.
    """

    scored_by = "steps"

    def __init__(
        self,
        generator: Generator,
        recipe: Recipe,
        rows: PrivateRows,
        event: Event,
        see: Seen,
        noise: NoiseSource,
        random: RandomSource,
        labels: Labels,
        *,
        records: int,
        settings: PrivateImageSettings | None = None,
        rows_per_unit: int = 1,
        anchor: Anchor | None = None,
        critic: CriticFactory | None = None,
        evaluate_every: int = 100,
        device: str = "cpu",
        name: str = "private-images",
    ) -> None:
        self.name, self.total_steps, self.evaluate_every = name, event.count, evaluate_every
        self._settings = settings or PrivateImageSettings()
        self._generator, self._recipe, self._labels, self._anchor = generator, recipe, labels, anchor
        self._random, self._device = random, device
        self._rng = random.torch("private-images", device)
        self._factory = critic
        self._scale, self._taken, self._moved, self._clip = 1.0, 0, 0, 0.0
        self._pace = Pace(self._settings.pace)
        self._trained = [parameter for parameter in generator.parameters() if parameter.requires_grad]
        self._average = WeightAverage(self._trained, self._settings.average)
        self._critic = self._new_critic("critic")
        spec = generator.spec
        require_scan_wise(self._critic, (spec.outputs, *spec.size), spec.n_classes)
        # after the critic is accepted: this spends the event
        self._gradient = NoisyImageGradient(
            rows,
            event,
            see,
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
        return Critic(
            self._generator.spec, private_critic_recipe(self._recipe, self._settings, self._generator.spec), source
        )

    def _start_optimizers(self) -> None:
        settings = self._settings
        self._critic_optimizer: torch.optim.Optimizer = torch.optim.Adam(
            self._critic.parameters(), lr=settings.learning_rate, betas=settings.betas
        )
        self._generator_optimizer: torch.optim.Optimizer = torch.optim.Adam(
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
        if index < min(settings.rest, self.total_steps // _REST) or not self._pace.after_critic_step():
            return {}
        losses, known = self._improve_generator()
        self._pace.after_generator_step(known)
        self._average.update(self._moved)
        self._moved += 1
        return {**losses, "fakes known": known}

    @torch.no_grad()
    def _fakes(self, n: int, rng: torch.Generator, labels: Tensor | None) -> Tensor:
        made: Tensor = self._generator(self._generator.draw(n, rng), labels)
        return made

    def _choose_clip(self) -> float:
        """Clipping norm: as set, or from gradients of fakes against fakes."""
        settings = self._settings
        if settings.clip is not None:
            return settings.clip
        labels = self._labels(_PAIRS, self._rng)
        fakes, others = (self._fakes(_PAIRS, self._rng, labels) for _ in range(2))
        shares = torch.rand(_PAIRS, generator=self._rng, device=self._device)
        pairs = Pairs(fakes, others, shares, labels, torch.arange(_PAIRS, device=self._device))
        norms = clipped_pair_sum(self._critic, settings.loss, pairs, 1.0).norms
        found = settings.clip_share * float(norms.median())
        if not math.isfinite(found):
            return self._clip or 1.0
        mixed = found if self._clip == 0 else 0.7 * self._clip + 0.3 * found
        return max(mixed, _SMALLEST_CLIP)

    def _improve_generator(self) -> tuple[dict[str, Tensor], float]:
        """Take one generator step; its losses, and the share of fakes that the critic knew for what they are."""
        settings = self._settings
        labels = self._labels(settings.fakes, self._rng)
        fakes = self._generator(self._generator.draw(settings.fakes, self._rng), labels)
        self._critic.requires_grad_(False)
        scores = self._critic(fakes, labels)
        self._critic.requires_grad_(True)
        game = loss_named(settings.loss.game)
        # a paired game would compare with scores of real scans, which are private
        loss = -scores.mean() if game.paired else game.generator_loss(scores.detach(), scores)
        losses = {"generator": loss.detach()}
        if self._anchor is not None and settings.anchor:
            held = self._anchor(fakes, labels)
            losses["anchor"] = held.detach()
            loss = loss + settings.anchor * held
        self._generator_optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._generator_optimizer.step()
        return losses, float((scores < 0).float().mean())

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
