"""The game between a critic that sees real scans through noise only and a generator of scans that sees none.

What it shares with the one of rows is in `synthkit.privacy.private_game`. There is no augmentation that adapts to how
sure the critic is of real scans.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from synthkit.gan.images.nets import Critic, Generator
from synthkit.gan.images.recipe import AugmentSettings, Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.privacy.events import Event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.image_clipping import Pairs, clipped_pair_sum, require_scan_wise
from synthkit.privacy.image_critic import NoisyImageGradient, Seen
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.pace import PaceSettings
from synthkit.privacy.private_game import CriticFactory, PrivateGame, PrivateGameSettings
from synthkit.privacy.record_loss import RecordLoss
from synthkit.random import RandomSource

Labels = Callable[[int, torch.Generator], Tensor | None]
"""Draws the classes of so many fakes, from public or noisy shares."""
Anchor = Callable[[Tensor, Tensor | None], Tensor]
"""What else the generator minimises: a function of fakes and their classes, made of what was released before."""

_PAIRS = 64  # fakes against fakes, for the clipping norm
_PATCH = 2  # keeps the critic's convolutions off the full resolution
_REST = 10  # the generator waits for a part of the plan at most


@dataclass(frozen=True)
class PrivateImageSettings(PrivateGameSettings):
    """How the game of images is played under a budget; what is not listed here is that of `PrivateGameSettings`.

    Attributes
    ----------
    loss
        Loss of a pair. Games that only compare need a little drift, so that a fake that scores below zero is one that
        the critic knows.
    rest
        Critic steps at the start during which the generator waits: a new critic knows nothing.
    anchor
        Weight of the further loss of the generator, where there is one.
    widths
        Channels of the critic from the coarsest level to the finest: noise grows with the number of its weights.
    """

    loss: RecordLoss = field(default_factory=lambda: RecordLoss("vanilla", "none", 0.0))
    generator_rate: float = 3e-4
    pace: PaceSettings = field(default_factory=lambda: PaceSettings((2, 5, 10, 20, 50), 0.55, 0.8))
    rest: int = 100
    anchor: float = 0.0
    widths: tuple[int, ...] = (64, 32, 16)


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


class PrivateImageStage(PrivateGame):
    """One critic of scans under DP-SGD and one generator; see `PrivateGame`.

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
        self._settings = settings or PrivateImageSettings()
        self._generator, self._recipe, self._labels, self._anchor = generator, recipe, labels, anchor
        super().__init__(
            generator.parameters(),
            self._settings,
            random,
            steps=event.count,
            evaluate_every=evaluate_every,
            critic=critic,
            device=device,
            stream="private-images",
            name=name,
        )
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

    def _usual_critic(self, random: torch.Generator) -> nn.Module:
        spec = self._generator.spec
        return Critic(spec, private_critic_recipe(self._recipe, self._settings, spec), random)

    @torch.no_grad()
    def _fakes(self, n: int, rng: torch.Generator, *labels: Any) -> Tensor:
        made: Tensor = self._generator(self._generator.draw(n, rng), *labels)
        return made

    def _norms_among_fakes(self) -> Tensor:
        labels = self._labels(_PAIRS, self._rng)
        fakes, others = (self._fakes(_PAIRS, self._rng, labels) for _ in range(2))
        shares = torch.rand(_PAIRS, generator=self._rng, device=self._device)
        pairs = Pairs(fakes, others, shares, labels, torch.arange(_PAIRS, device=self._device))
        return clipped_pair_sum(self._critic, self._settings.loss, pairs, 1.0).norms

    def _shown(self) -> tuple[Tensor, Tensor | None]:
        labels = self._labels(self._settings.fakes, self._rng)
        return self._generator(self._generator.draw(self._settings.fakes, self._rng), labels), labels

    def _scores(self, fakes: Tensor, labels: Tensor | None) -> Tensor:
        scores: Tensor = self._critic(fakes, labels)
        return scores

    def _further(self, fakes: Tensor, labels: Tensor | None) -> Sequence[tuple[str, float, Tensor]]:
        if self._anchor is None or not self._settings.anchor:
            return ()
        return [("anchor", self._settings.anchor, self._anchor(fakes, labels))]

    def _waits(self, index: int) -> bool:
        return index < min(self._settings.rest, self.total_steps // _REST)
