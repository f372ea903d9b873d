"""The game between a critic that sees real records through noise only and a generator that sees none.

What it shares with the one of images is in `synthkit.privacy.private_game`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from synthkit.gan.critics import Critic
from synthkit.gan.features import FeatureMap
from synthkit.gan.game import changed_settings
from synthkit.gan.relaxed import RelaxedGenerator
from synthkit.privacy.clipping import clipped_sum, require_record_wise
from synthkit.privacy.critic_step import NoisyCriticGradient
from synthkit.privacy.events import Event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.private_game import CriticFactory, PrivateGame, PrivateGameSettings
from synthkit.privacy.record_loss import RecordLoss
from synthkit.random import RandomSource

_PAIRS = 512  # fakes against fakes, for the clipping norm


@dataclass(frozen=True)
class PrivateSettings(PrivateGameSettings):
    """How an adversarial loss is trained under a budget; what is not listed here is that of `PrivateGameSettings`.

    Attributes
    ----------
    width, depth
        Size of the critic: the noise grows with the number of its weights, what it has to learn does not.
    """

    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.5, 0.95)
    generator_rate: float = 0.02
    generator_betas: tuple[float, float] = (0.0, 0.95)
    fakes: int = 1000
    clip_share: float = 0.3
    last: float = 0.02
    width: int = 64
    depth: int = 1


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


class PrivateAdversaryStage(PrivateGame):
    """One critic of rows under DP-SGD and one generator; see `PrivateGame`.

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
        self._settings = settings or private_settings_for(loss)
        self._generator, self._features = generator, features
        super().__init__(
            generator.parameters(),
            self._settings,
            random,
            steps=event.count,
            evaluate_every=evaluate_every,
            critic=critic,
            device=device,
            stream="private-adversary",
            name=name,
        )
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

    def _usual_critic(self, random: torch.Generator) -> nn.Module:
        settings = self._settings
        return Critic(self._features.width, generator=random, width=settings.width, depth=settings.depth, fast=False)

    @torch.no_grad()
    def _fakes(self, n: int, rng: torch.Generator, *labels: Any) -> Tensor:
        return self._features.relaxed(self._generator.draw(n, rng))

    def _norms_among_fakes(self) -> Tensor:
        fakes = self._fakes(2 * _PAIRS, self._rng)
        shares = torch.rand(_PAIRS, 1, generator=self._rng, device=self._device)
        return clipped_sum(self._critic, self._settings.loss, fakes[:_PAIRS], fakes[_PAIRS:], shares, 1.0).norms

    def _shown(self) -> tuple[Tensor, Tensor | None]:
        return self._features.relaxed(self._generator.draw(self._settings.fakes, self._rng)), None
