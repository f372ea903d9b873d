"""What every family of scan generators is given by the fit, and what it gives back.

A family (from noise, super-resolution, translation, in-painting, anomaly) is a module with two functions, which
`synthkit.scans.fitting.FAMILIES` names:

- ``fit_...(context: FitContext) -> Learned``
- ``networks(spec, recipe, values) -> dict[str, nn.Module]``: the same networks again, for a model file whose weights
  are then loaded. ``values`` are the `Learned.values` of the fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from synthkit.gan.stage import StageReport
from synthkit.random import RandomSource
from synthkit.scans.unit_images import UnitImages

if TYPE_CHECKING:
    from synthkit.gan.images.recipe import Recipe
    from synthkit.gan.images.spec import ImageSpec
    from synthkit.gan.trainer import Trainer

_BEHIND = 0.08  # share of the time budget


@dataclass(frozen=True, eq=False)
class FitContext:
    """All that a family needs to learn from scans.

    Attributes
    ----------
    training, held_out
        The scans; no patient is in both. ``training.batch(positions)`` gives float32 in [-1, 1],
        ``[b, spec.outputs, *size]``: the image and, where there are masks, the distance to the border of each region.
    target, held_out_target
        For translation: the scans to translate into, paired with `training` by position where ``settings["paired"]``.
    spec
        Size, channels and classes of the networks.
    recipe
        What is played for.
    settings
        Arguments of the `ScanGAN` by name (``factor``, ``paired``, ``steps``, ``batch``, ``flip``, ...).
    trainer
        Runs stages: ``report = context.run(stage)``. It has the time budget, checkpoints and Ctrl-C.
    random
        Source of all random numbers.
    device
        Where to train.
    budget
        Time budget of the whole fit in seconds; ``inf`` without one. Plans follow from it (`synthkit.scans.pace`).
    pictures
        Called with the step and the averaged generator when the held-out score is taken; None for no pictures.
    report
        Figures that the family wants to have in ``report_``; JSON-safe.
    stages
        Reports of the stages that ran.
    """

    training: UnitImages
    held_out: UnitImages
    spec: ImageSpec
    recipe: Recipe
    settings: Mapping[str, Any]
    trainer: Trainer
    random: RandomSource
    device: str
    target: UnitImages | None = None
    held_out_target: UnitImages | None = None
    budget: float = math.inf
    pictures: Callable[[int, nn.Module], None] | None = None
    report: dict[str, Any] = field(default_factory=dict)
    stages: list[StageReport] = field(default_factory=list)

    def pace(self, done: float, *, since: float = 0.0) -> float:
        """Return the share of the plan that learning rates go by: that of the time where the machine is too slow.

        The plan alone decides unless it is clearly behind the clock, so that a seed repeats a fit that is in time. A
        plan that starts later than the fit says ``since`` which share of the budget.
        """
        if not math.isfinite(self.budget):
            return done
        clock = (self.trainer.seconds / self.budget - since) / (1.0 - since)
        return min(1.0, max(done, clock - _BEHIND))

    def run(self, stage: Any, patience: int | None = None, *, share: float = 1.0) -> StageReport:
        """Train a stage with a share of the time that is left, and remember its report."""
        left = self.trainer.time_left
        done = self.trainer.run(stage, patience, seconds=left * share if share < 1.0 else np.inf)
        self.stages.append(done)
        return done


@dataclass(frozen=True, eq=False)
class Learned:
    """What a family learned.

    Attributes
    ----------
    networks
        Networks by name, with the weights that are to be kept. A family from noise calls its generator "generator".
    values
        JSON-safe values that rebuild them and use them.
    arrays
        Further arrays for the model file.
    """

    networks: dict[str, nn.Module]
    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Weights of each network by name, on the host."""
        return {
            name: {key: tensor.detach().cpu() for key, tensor in network.state_dict().items()}
            for name, network in self.networks.items()
        }
