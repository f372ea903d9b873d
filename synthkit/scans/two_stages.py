"""A network from a scan to a scan, fitted twice: by distance to the true scan alone, then against a critic.

The first is the faithful one: the nearest on average, and smooth where the input does not say. The second goes on from
there (Ledig 2017): it looks like a real scan, and what it adds for that is likely, not measured. What the critic
changes is kept only where it makes the results more like held-out scans as a whole. Both are stored.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from synthkit.gan.images.batches import Batch, ImageBatches
from synthkit.gan.images.nets import Critic
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.regression import RegressionStage
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.images.stage import ImageStage
from synthkit.scans.context import FitContext, Learned
from synthkit.scans.from_scans import Likeness, feature_distance, paced
from synthkit.scans.pace import evaluations, operations_of, steps_of_work
from synthkit.scans.unit_images import UnitImages

FAITHFUL, SHARP = "faithful", "sharp"
_SHARP_SHARE = 0.4  # of the steps and of the time, for the game against the critic
_PASSES = 3.0  # forward passes' worth of work of a training step of the network; the critic sees three batches
_CRITIC_PASSES = 9.0
_GENTLE = 0.2  # of the learning rate of the first stage
_WARM_UP = 0.1


@dataclass(frozen=True, eq=False)
class Restoration:
    """What is to be restored, and how near a result is.

    Attributes
    ----------
    spec, recipe
        Form of the networks (``context_channels`` is what they are given), and the game.
    network
        What to train.
    batches
        Real images with what the network is given as their context.
    make
        Makes the fakes of a batch, with gradient.
    distance
        Distance of fakes to the real images of their batch.
    nearness
        Mean held-out peak signal-to-noise ratio of the network as it is, in dB.
    made
        What the network makes of the held-out scans, ``[n, channels, *size]``.
    judged
        These held-out scans.
    """

    spec: ImageSpec
    recipe: Recipe
    network: nn.Module
    batches: ImageBatches
    make: Callable[[Batch], Tensor]
    distance: Callable[[Batch, Tensor], Tensor]
    nearness: Callable[[], float]
    made: Callable[[], Tensor]
    judged: UnitImages


def fit_two_stages(context: FitContext, task: Restoration, example: Tensor, values: dict[str, object]) -> Learned:
    """Fit the faithful network and then the sharp one.

    Parameters
    ----------
    context
        Trainer, random numbers, device.
    task
        What to restore.
    example
        One input of the network ``[1, context_channels, ...]``, whose operations are counted.
    values
        What rebuilds the networks.
    """
    recipe, device = task.recipe, context.device

    def critic(random: object) -> nn.Module:
        return Critic(task.spec, recipe, random)  # type: ignore[arg-type]

    image = example.new_zeros(1, task.spec.outputs, *task.spec.size)
    per_image = operations_of(task.network, example)
    judge = operations_of(critic(context.random.torch("counted", device)), image, None, example)
    n = recipe.batch_of(task.spec.nd)
    game = n * (_PASSES * per_image + _CRITIC_PASSES * judge)
    first_steps = steps_of_work(context, n * _PASSES * per_image, 1 - _SHARP_SHARE)
    second_steps = steps_of_work(context, game, _SHARP_SHARE)
    if isinstance(context.settings.get("steps"), int):
        first_steps, second_steps = _divided(first_steps)
    first = RegressionStage(
        task.network,
        recipe,
        task.batches,
        lambda batch: task.distance(batch, task.make(batch)),
        task.nearness,
        context.random.child(FAITHFUL),
        total_steps=first_steps,
        evaluate_every=evaluations(first_steps),
        n=n,
        device=device,
        name="distance",
        pace=paced(context, 1 - _SHARP_SHARE),
    )
    context.run(first, share=1 - _SHARP_SHARE)
    faithful, near = deepcopy(task.network).cpu(), task.nearness()
    likeness = Likeness(task.judged, context.random.child("likeness"))
    # what is right already is changed slowly, by a critic that learns at its full rate
    gentle = recipe.changed(
        learning_rate=_GENTLE * recipe.learning_rate, critic_rate=recipe.critic_rate, warm_up=_WARM_UP
    )
    second = ImageStage(
        task.spec,
        gentle,
        task.network,
        critic,
        task.batches,
        lambda _: likeness(task.made()),
        context.random.child(SHARP),
        total_steps=second_steps,
        evaluate_every=evaluations(second_steps),
        draw=lambda batch, _: task.make(batch),
        auxiliary={
            "distance": task.distance,
            "features": lambda batch, fake: feature_distance(second.critic, batch, fake),
        },
        device=device,
        name="sharpness",
        pace=paced(context),
    )
    before = likeness(task.made())
    context.run(second)
    context.report["held_out_psnr"] = {FAITHFUL: near, SHARP: task.nearness()}
    context.report["held_out_likeness"] = {FAITHFUL: before, SHARP: likeness(task.made())}
    return Learned({FAITHFUL: faithful, SHARP: task.network.cpu()}, dict(values))


def _divided(steps: int) -> tuple[int, int]:
    second = round(steps * _SHARP_SHARE)
    return max(1, steps - second), max(1, second)


def l1(batch: Batch, fake: Tensor) -> Tensor:
    """Mean absolute difference of fakes and the real images they stand for."""
    return functional.l1_loss(fake, batch.images)
