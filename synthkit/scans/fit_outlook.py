"""What a fit of scans will be like, before it is started: its size, its steps, and how often each scan is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

from synthkit.phrases import by
from synthkit.scans.plan import FEW, FEWEST

_WELL = 100  # passes over the scans after which pictures are usually good, if there are many scans
_RARE = 20  # scans of a class below which it is hardly learned
_PLENTY = 500_000  # scans looked at, beyond which more passes change little


@dataclass(frozen=True)
class FitOutlook:
    """What a fit will do.

    Attributes
    ----------
    recipe
        Name of the recipe.
    size
        Samples along each axis that it learns.
    n_scans
        Scans that it learns from, held-out ones included.
    steps
        Length of the plan at the nominal speed; a slower machine makes fewer.
    images
        Scans that are looked at, with repetition.
    seconds
        The time budget.
    threads, device
        Where.
    warnings
        Why it may not turn out well.
    """

    recipe: str
    size: tuple[int, ...]
    n_scans: int
    steps: int
    images: int
    seconds: float
    threads: int
    device: str
    warnings: tuple[str, ...] = ()

    @property
    def passes(self) -> float:
        """How often each scan is seen."""
        return self.images / max(self.n_scans, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form."""
        return {**vars(self), "size": list(self.size), "warnings": list(self.warnings), "passes": round(self.passes, 1)}

    def describe(self) -> str:
        """Return one sentence."""
        size = by(self.size)
        where = self.device if self.device != "cpu" else f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        seen = (
            f"about {self.passes:,.0f} times" if self.passes >= 1.5 else "about once" if self.passes > 0.5 else "rarely"
        )
        return (
            f"a fit with recipe {self.recipe} at {size} takes {_time(self.seconds)} on {where}: about {self.steps:,} "
            f"steps, in which each scan is seen {seen}"
        )


def fit_outlook(
    n_scans: int,
    size: tuple[int, ...],
    *,
    channels: int = 1,
    counts: dict[str, int] | None = None,
    regions: int = 0,
    recipe: str = "r3",
    fit_size: str | tuple[int, ...] = "auto",
    time_budget: str = "10m",
    device: str = "auto",
) -> FitOutlook:
    """Say what a fit will be like; networks are built and their operations counted, and nothing is trained.

    Parameters
    ----------
    n_scans, size, channels
        The scans.
    counts
        Scans of each class; empty without classes.
    regions
        Regions of masks, background included; 0 without masks.
    recipe
        A recipe from noise.
    fit_size
        As `synthkit.ScanGAN` takes it.
    time_budget
        As `synthkit.ScanGAN` takes it, such as "10m".
    device
        Where to train.

    Raises
    ------
    InputError
        An unknown recipe or device, a size or budget that is none.
    """
    import torch

    from synthkit.gan.budget import Budget
    from synthkit.gan.images.nets import Critic, Generator
    from synthkit.gan.images.spec import ImageSpec
    from synthkit.random import RandomSource
    from synthkit.scans.context import FitContext
    from synthkit.scans.pace import steps_for
    from synthkit.scans.plan import ScanPlan, device_named

    counts = counts or {}
    place = device_named(device)
    plan = ScanPlan(recipe=recipe, size=fit_size, device=place)
    chosen = plan.chosen_recipe()
    n_classes = len(counts) if len(counts) > 1 else 0
    spec = ImageSpec(plan.size_for(size), channels, n_classes=n_classes, distance_channels=regions)
    seconds = Budget.parse(time_budget).seconds
    random = RandomSource(0)
    # Only what the length of a plan follows from: there are no scans yet, and nothing is trained.
    nothing = cast(Any, None)
    context = FitContext(nothing, nothing, spec, chosen, {}, nothing, random, place, budget=seconds)
    generator = Generator(spec, chosen, random.torch("generator", place))
    steps = steps_for(context, generator, Critic(spec, chosen, random.torch("critic", place)))
    images = steps * chosen.batch_of(spec.nd)
    warnings = tuple(_warnings(n_scans, counts, images))
    return FitOutlook(recipe, spec.size, n_scans, steps, images, seconds, torch.get_num_threads(), place, warnings)


def _warnings(n_scans: int, counts: dict[str, int], images: int) -> list[str]:
    found = []
    if n_scans < FEWEST:
        few = f"{_are(n_scans)} too few: a generator needs at least {FEWEST}"
        found.append(f"{few} (--slices each makes more of volumes)")
    elif n_scans < FEW:
        found.append(f"{_are(n_scans)} few: a generator repeats what it saw; hold the result against `audit`")
    rare = {name: n for name, n in counts.items() if n < _RARE}
    if rare:
        listed = ", ".join(f"{name!r} ({n})" for name, n in list(rare.items())[:5])
        found.append(f"classes of fewer than {_RARE} scans are hardly learned: {listed}")
    if n_scans and images < min(_WELL * n_scans, _PLENTY):
        longer = min(_WELL * n_scans, _PLENTY) / max(images, 1)
        found.append(f"that is short: with {longer:.1f} times the time, scans are seen as often as they should be")
    return found


def _are(n: int) -> str:
    return "1 scan is" if n == 1 else f"{n:,} scans are"


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "as long as it needs"
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
