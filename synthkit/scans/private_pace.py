"""How many steps fit into the time of a private fit, worked out before anything is read.

The steps of a critic are what a budget is planned for, so that they must be known beforehand. They follow from public
facts alone: the time budget, and how much the networks compute for a scan of the declared size. As for open fits
(`synthkit.scans.pace`) the speed is not measured but taken to be that of a usual core.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from synthkit.gan.images.nets import Critic, Generator
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.privacy.image_stage import PrivateImageSettings, private_critic_recipe
from synthkit.random import RandomSource
from synthkit.scans.domain import ScanDomain
from synthkit.scans.embedding import RandomFeatures
from synthkit.scans.matching import MatchSettings

SHARE_OF_TIME = 0.5
"""For the embedding, where a critic follows."""

_OPERATIONS = {"cpu": 30e9, "cuda": 8e12}
_USED = 0.9  # of the time
_GAME = PrivateImageSettings()
_PER_GENERATOR_STEP = 3.0  # critic steps, about
_SLOWER = 2.0  # gradients of single pairs, against those of a batch
_STEPS = (100, 4_000)
_WITHOUT_BUDGET = 900.0


@dataclass(frozen=True)
class PrivatePace:
    """Steps of a private fit.

    Attributes
    ----------
    match
        Steps of the generator against the embedding; 0 without.
    critic
        Steps of the critic; 0 without.
    """

    match: int
    critic: int


def private_pace(
    domain: ScanDomain, recipe: Recipe, engine: str, seconds: float, batch: int, device: str = "cpu"
) -> PrivatePace:
    """Return the steps that fit into a time budget.

    Parameters
    ----------
    domain
        What is declared.
    recipe
        Of the generator (`synthkit.scans.private_fit.private_recipe`).
    engine
        "embedding", "critic" or "hybrid".
    seconds
        The time budget; infinite for none.
    batch
        Units in a step of the critic.
    device
        Where networks are trained.
    """
    time = (seconds if math.isfinite(seconds) else _WITHOUT_BUDGET) * _USED
    speed = _OPERATIONS["cuda"] if torch.device(device).type == "cuda" else _OPERATIONS["cpu"] * torch.get_num_threads()
    spec = ImageSpec(domain.size, domain.channels, n_classes=len(domain.classes))
    image = torch.zeros(1, domain.channels, *domain.size)
    label = torch.zeros(1, dtype=torch.int64) if domain.classes else None
    generator = Generator(spec, recipe)
    fake = _operations(lambda: generator(torch.zeros(1, generator.noise_size), label))
    seen = _operations(lambda: RandomFeatures(tuple(image.shape[1:]), RandomSource(0))(image))
    critic = Critic(spec, private_critic_recipe(recipe, _GAME, spec))
    scored = _operations(lambda: critic(image, label))
    share = {"embedding": 1.0, "critic": 0.0}.get(engine, SHARE_OF_TIME)
    matching = 3 * MatchSettings().fakes * (fake + seen)
    playing = batch * (fake + 2 * 3 * _SLOWER * scored)
    playing += 3 * _GAME.fakes * (fake + scored + (seen if share else 0.0)) / _PER_GENERATOR_STEP
    return PrivatePace(_rounded(share * time * speed / matching), _rounded((1 - share) * time * speed / playing))


def _operations(run: Callable[[], Tensor]) -> float:
    """Count the floating-point operations of a call."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def _rounded(steps: float) -> int:
    """Return steps in hundreds, within bounds; 0 for none."""
    if steps <= 0:
        return 0
    return int(min(max(steps // 100 * 100, _STEPS[0]), _STEPS[1]))
