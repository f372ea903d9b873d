"""The families from noise: a generator and a critic on scans, kept at its best held-out score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from synthkit.gan.images.anchor import AnchorStage
from synthkit.gan.images.nets import Critic, Generator
from synthkit.gan.images.stage import ImageStage
from synthkit.scans.batches import ScanBatches
from synthkit.scans.context import FitContext, Learned
from synthkit.scans.held_out import HeldOutScore
from synthkit.scans.pace import ANCHOR_PASSES, evaluations, steps_for
from synthkit.scans.tones import fit_tones

if TYPE_CHECKING:
    from synthkit.gan.images.recipe import Recipe
    from synthkit.gan.images.spec import ImageSpec


def fit_from_noise(
    context: FitContext,
    *,
    share: float = 1.0,
    samples: Callable[[int, nn.Module], None] | None = None,
    keep_critic: bool = False,
) -> Learned:
    """Train a generator from noise.

    Parameters
    ----------
    context
        What to learn from.
    share
        Share of the time that is left.
    samples
        Called with the step and the averaged generator at every held-out score.
    keep_critic
        Whether the critic is returned as well. It has seen the scans themselves and is of no use for drawing.
    """
    spec, recipe, device = context.spec, context.recipe, context.device
    generator = Generator(spec, recipe, context.random.torch("generator", device))

    def critic(random: torch.Generator) -> nn.Module:
        return Critic(spec, recipe, random)

    balanced = bool(context.settings.get("class_balance"))
    batches = ScanBatches(context.training, class_balance=balanced, device=device)
    measured = critic(context.random.torch("measured", device))
    latents, game = None, share * (1.0 - recipe.anchor)
    if recipe.anchor:
        steps = steps_for(context, generator, measured, share * recipe.anchor, passes=ANCHOR_PASSES)
        anchor = AnchorStage(
            spec,
            recipe,
            generator,
            batches,
            ScanBatches(context.held_out, device=device),
            context.random.child("anchor"),
            total_steps=steps,
            evaluate_every=evaluations(steps),
            device=device,
        )
        context.run(anchor, share=share * recipe.anchor)
        latents = anchor.finish()
    steps = steps_for(context, generator, measured, game)
    score = NoiseScore(
        HeldOutScore(context.held_out, context.random.child("held-out"), like=context.training), context, device
    )
    stage = ImageStage(
        spec,
        recipe,
        generator,
        critic,
        batches,
        score,
        context.random.child("game"),
        total_steps=steps,
        evaluate_every=evaluations(steps),
        latents=latents,
        samples=samples or context.pictures,
        device=device,
        name="critic and generator",
        pace=(lambda done: context.pace(done, since=recipe.anchor)) if share >= 1.0 else None,
    )
    report = context.run(stage, share=share)
    context.report.update(
        held_out_before=report.initial_score,
        held_out_after=report.best_score,
        held_out_real=score.reference(context),
        steps=report.steps,
        planned_steps=steps,
        best_step=report.best_step,
        parameters=sum(one.numel() for one in generator.parameters()),
    )
    if recipe.tones and report.stopped_because != "interrupted":
        context.report["tones"] = fit_tones(context, generator, score, report.best_score)
    return Learned({"generator": generator, "critic": stage.critic} if keep_critic else {"generator": generator})


def networks(spec: ImageSpec, recipe: Recipe, values: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Return networks of the form that `fit_from_noise` leaves."""
    return {"generator": Generator(spec, recipe)}


class NoiseScore:
    """Held-out score of a generator, with the same noise every time."""

    def __init__(self, score: HeldOutScore, context: FitContext, device: str) -> None:
        self._score, self._random, self._device = score, context.random.child("held-out noise"), device
        self._conditional = bool(context.spec.n_classes) and context.recipe.conditional

    def __call__(self, generator: nn.Module) -> float:
        """Score a generator; higher is better, about 0 is as near as other real scans come."""
        noise = self._random.torch("noise")

        def draw(n: int, labels: Tensor | None) -> Tensor:
            given = labels.to(self._device) if labels is not None and self._conditional else None
            drawn: Tensor = generator(generator.draw(n, noise).to(self._device), given)  # type: ignore[operator]
            return drawn

        with torch.no_grad():
            return self._score(draw)

    def reference(self, context: FitContext) -> float:
        """Score of training scans of the same classes: what a perfect generator would get, up to chance."""
        return self._score.of_real(context.training, context.random.numpy("reference"))
