"""Translation: from one kind of scan to another and back, from scans that are not of the same patients (CycleGAN).

Both directions are one network with the channels of both kinds, and both critics are one critic, so that the game is
the same as everywhere else. Where source and target show the same thing scan by scan (``paired``), the distance to the
true target takes the place of the cycle, and the critics see the source too (pix2pix).

References
----------
Zhu et al. (2017), Unpaired image-to-image translation using cycle-consistent adversarial networks; Isola et al. (2017),
Image-to-image translation with conditional adversarial networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from synthkit.errors import InputError
from synthkit.gan.images.batches import Batch, ImageBatches
from synthkit.gan.images.nets import Critic, Translator
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.images.stage import ImageStage
from synthkit.io.scan_set import ScanSet
from synthkit.scans.batches import readable
from synthkit.scans.context import FitContext, Learned
from synthkit.scans.fitted import FittedScans
from synthkit.scans.from_scans import (
    SCORED,
    Likeness,
    batches_of,
    cut,
    halvings_of,
    image_spec,
    mapped,
    of_size,
    paced,
    require_family,
    require_likeness,
    smallest,
    unit_tensor,
    with_widths,
)
from synthkit.scans.pace import evaluations, operations_of, steps_of_work
from synthkit.scans.similarity import psnr
from synthkit.scans.unit_images import UnitImages

FORTH, BACK = "forth", "back"
_HALVINGS = 2
_PASSES = 3.0  # forward passes' worth of work of one training pass
_CRITIC_PASSES = 9.0


class BothWays(nn.Module):
    """Translators there and back as one: ``[source, target]`` channels to ``[target, source]`` channels."""

    def __init__(self, forth: Translator, back: Translator) -> None:
        super().__init__()
        self.forth, self.back = forth, back
        self.source = forth.spec.context_channels

    def forward(self, both: Tensor) -> Tensor:
        """Translate the leading channels forth and the others back."""
        return torch.cat([self.forth(both[:, : self.source]), self.back(both[:, self.source :])], 1)


class BothCritics(nn.Module):
    """A critic for each kind of scan as one: of ``[target, source]`` channels.

    If the kinds are paired, each also sees what it was made from (``[source, target]`` channels).
    """

    def __init__(self, of_target: Critic, of_source: Critic, *, paired: bool) -> None:
        super().__init__()
        self.of_target, self.of_source, self.paired = of_target, of_source, paired
        self.target = of_target.spec.channels

    def forward(self, images: Tensor, labels: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        """Score every patch of both, ``[B, P]``."""
        source = images.shape[1] - self.target
        given: list[Tensor | None] = [None, None]
        if self.paired and context is not None:
            given = [context[:, :source], context[:, source:]]
        scores = [
            self.of_target(images[:, : self.target], None, given[0]),
            self.of_source(images[:, self.target :], None, given[1]),
        ]
        return torch.cat([one.reshape(len(images), -1) for one in scores], 1)


class TwoKinds(ImageBatches):
    """Batches of both kinds: ``images`` are ``[target, source]`` channels, ``context`` ``[source, target]`` channels.

    Parameters
    ----------
    source, target
        Training images of either kind.
    paired
        Whether the two of a batch belong together; otherwise they are drawn independently.
    """

    def __init__(self, source: ImageBatches, target: ImageBatches, *, paired: bool) -> None:
        self.device = source.device
        self._source, self._target, self._paired = source, target, paired

    def __len__(self) -> int:
        """Return the number of scans of the kind that has fewer."""
        return min(len(self._source), len(self._target))

    def draw(self, n: int, random: torch.Generator) -> Batch:
        """Draw a batch of ``n`` of each kind."""
        rows = torch.randint(len(self._source), (n,), generator=random, device=self.device)
        others = rows
        if not self._paired:
            others = torch.randint(len(self._target), (n,), generator=random, device=self.device)
        source, target = self._source.at(rows, random).images, self._target.at(others, random).images
        return Batch(torch.cat([target, source], 1), None, torch.cat([source, target], 1))


def networks(spec: ImageSpec, recipe: Recipe, values: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Return networks of the form that a fit left."""
    both = _both_ways(spec, int(values["target_channels"]), recipe, lambda name: None)
    return {FORTH: both.forth, BACK: both.back}


def fit_translation(context: FitContext) -> Learned:
    """Learn to translate in both directions.

    Raises
    ------
    InputError
        There is nothing to translate into.
    """
    target, held_target = context.target, context.held_out_target
    if target is None or held_target is None:
        raise InputError(
            "there is nothing to translate into", remedy="Give the other scans, for example with --onto FOLDER."
        )
    paired, device = bool(context.settings.get("paired")), context.device
    recipe, n_target = with_widths(context.recipe, context.spec), target.image_channels
    both = _both_ways(context.spec, n_target, recipe, lambda name: context.random.torch(name, device)).to(device)
    spec = image_spec(context.spec, channels=context.spec.channels + n_target)

    def critics(random: torch.Generator) -> nn.Module:
        return _both_critics(context.spec, n_target, recipe, paired, random)

    kinds = TwoKinds(
        batches_of(cut(context.training, spec.size), device=device),
        batches_of(cut(target, spec.size), device=device),
        paired=paired,
    )
    score = _Score(context, both, cut(context.held_out, spec.size), cut(held_target, spec.size), paired)
    steps = _steps(context, both, critics, paired)
    terms: dict[str, Callable[[Batch, Tensor], Tensor]] = {}
    if paired:
        terms["paired"] = lambda batch, fake: functional.l1_loss(fake, batch.images)
    else:
        # what came there and back again, as [target, source] channels like the batch
        terms["cycle"] = lambda batch, fake: functional.l1_loss(both(_swapped(fake, n_target)), batch.images)
        if n_target == context.spec.channels and recipe.weight_of("identity"):
            terms["identity"] = lambda batch, fake: functional.l1_loss(both(batch.images), batch.images)
    stage = ImageStage(
        spec,
        recipe,
        both,
        critics,
        kinds,
        lambda _: score(),
        context.random.child("game"),
        total_steps=steps,
        evaluate_every=evaluations(steps),
        draw=lambda batch, _: both(batch.context),
        auxiliary=terms,
        device=device,
        name="paired translation" if paired else "translation",
        pace=paced(context),
    )
    report = context.run(stage)
    context.report.update(paired=paired, steps=report.steps, planned_steps=steps, **score.details())
    both.cpu()
    return Learned({FORTH: both.forth, BACK: both.back}, {"target_channels": n_target, "paired": paired})


def translate(fitted: FittedScans, scans: ScanSet, *, reverse: bool = False) -> ScanSet:
    """Translate scans into the other kind.

    Parameters
    ----------
    fitted
        A model of the recipe cyclegan.
    scans
        Of the kind that the model was fitted to (of the other kind with `reverse`), of any size.
    reverse
        Translate back.

    Returns
    -------
    ScanSet
        The same scans in the same order, with names, labels, masks, patients and spacing, in the units of the other
        kind. They are still scans of the same patients.

    Raises
    ------
    InputError
        A model of another recipe.
    DataError
        Scans of another kind.
    """
    require_family(fitted, "translation", "translate", "cyclegan")
    if fitted.target is None:
        raise InputError("the model does not know what it translates into", remedy="Fit it again.")
    own, other = (fitted.target, fitted.space) if reverse else (fitted.space, fitted.target)
    require_likeness(scans, own, least=smallest(fitted.spec, fitted.recipe, _HALVINGS))

    def build(form: ImageSpec) -> Translator:
        return _translator(form, fitted.recipe, fitted.spec)

    network = of_size(fitted.network(BACK if reverse else FORTH), scans.size, build)
    stored = torch.from_numpy(readable(scans.images))
    made = mapped(lambda part: network(own.intensity.to_unit(part).to(fitted.device)), stored)
    form = replace(
        other.form, spacing=scans.form.spacing, orientation=scans.form.orientation, body_part=scans.form.body_part
    )
    images = other.intensity.to_real(made.reshape(len(scans), other.channels, *scans.size), np.dtype(other.dtype))
    return replace(scans, images=images, form=form)


class _Score:
    """Held-out score: of pairs their peak signal-to-noise ratio in dB, else how like the other kind translations are.

    Without pairs, the mean difference after going there and back is subtracted: translations must keep what is shown.
    """

    def __init__(
        self, context: FitContext, both: BothWays, source: UnitImages, target: UnitImages, paired: bool
    ) -> None:
        n = min(len(source), len(target), SCORED)
        self._both, self._paired, self._device = both, paired, context.device
        kinds = []
        for units in (source, target):
            # pairs must stay pairs
            order = np.arange(len(units)) if paired else context.random.numpy("scored").permutation(len(units))
            kinds.append(units.take(order[:n]))
        self._units = tuple(kinds)
        self._source, self._target = (unit_tensor(units) for units in kinds)
        self._likeness = [Likeness(units, context.random.child("likeness")) for units in (kinds[1], kinds[0])]

    def made(self) -> tuple[Tensor, Tensor]:
        """Return the held-out scans translated, forth and back."""
        both, device = self._both, self._device
        forth = mapped(lambda part: both.forth(part.to(device)), self._source)
        return forth, mapped(lambda part: both.back(part.to(device)), self._target)

    def __call__(self) -> float:
        forth, back = self.made()
        if self._paired:
            pairs = ((forth, self._target), (back, self._source))
            return float(np.mean([psnr(one.numpy(), true.numpy(), 2.0).mean() for one, true in pairs]))
        return sum(like(made) for like, made in zip(self._likeness, (forth, back), strict=True)) - self._lost(
            forth, back
        )

    def _lost(self, forth: Tensor, back: Tensor) -> float:
        both, device = self._both, self._device
        again = mapped(lambda part: both.back(part.to(device)), forth)
        other = mapped(lambda part: both.forth(part.to(device)), back)
        return float((again - self._source).abs().mean() + (other - self._target).abs().mean()) / 2

    def details(self) -> dict[str, float]:
        """Return the parts of the score, for the report."""
        forth, back = self.made()
        return {
            "likeness_forth": self._likeness[0](forth),
            "likeness_back": self._likeness[1](back),
            "lost_there_and_back": self._lost(forth, back),
        }


def _swapped(images: Tensor, first: int) -> Tensor:
    """Put the channels after the first ones before them."""
    return torch.cat([images[:, first:], images[:, :first]], 1)


def _both_ways(
    spec: ImageSpec, n_target: int, recipe: Recipe, random: Callable[[str], torch.Generator | None]
) -> BothWays:
    forth = image_spec(spec, channels=n_target, context_channels=spec.channels)
    back = image_spec(spec, channels=spec.channels, context_channels=n_target)
    return BothWays(_translator(forth, recipe, spec, random(FORTH)), _translator(back, recipe, spec, random(BACK)))


def _translator(form: ImageSpec, recipe: Recipe, asked: ImageSpec, random: torch.Generator | None = None) -> Translator:
    """Return a network of a form; how it is built follows from the size that was asked for in training."""
    own = with_widths(recipe, asked)
    # not as a change of the source: the source itself would be where the game starts, and cycles hold it there
    return Translator(form, own, random, halvings=halvings_of(asked, own, _HALVINGS), residual=False)


def _both_critics(spec: ImageSpec, n_target: int, recipe: Recipe, paired: bool, random: torch.Generator) -> BothCritics:
    of_target = image_spec(spec, channels=n_target, context_channels=spec.channels if paired else 0)
    of_source = image_spec(spec, channels=spec.channels, context_channels=n_target if paired else 0)
    return BothCritics(Critic(of_target, recipe, random), Critic(of_source, recipe, random), paired=paired)


def _steps(context: FitContext, both: BothWays, critics: Callable[[torch.Generator], nn.Module], paired: bool) -> int:
    channels = both.source + both.back.spec.context_channels
    example = torch.zeros(1, channels, *context.spec.size, device=context.device)
    # there, back again, and of what is of the other kind already
    passes = 1.0 if paired else 2.0 + bool(context.recipe.weight_of("identity"))
    judge = operations_of(critics(context.random.torch("counted", context.device)), example, None, example)
    work = passes * _PASSES * operations_of(both, example) + _CRITIC_PASSES * judge
    return steps_of_work(context, context.recipe.batch_of(context.spec.nd) * work)
