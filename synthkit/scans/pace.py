"""How long a plan is: steps that fit into the time budget at a nominal speed.

The learning rate falls towards the end of the plan, so the plan must end about when the time does. It is not measured,
because then another load of the machine would give another model: operations of a step are counted, and the speed is
taken to be that of a usual core. A slower machine is cut short by the budget; a faster one is done earlier.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from synthkit.gan.images.blocks import Conv, Linear

if TYPE_CHECKING:
    from synthkit.gan.images.recipe import Recipe
    from synthkit.scans.context import FitContext

_OPERATIONS = {"cpu": 65e9, "cuda": 8e12}
"""Floating-point operations per second of one thread, and of a GPU, with small convolutions."""
# forward passes' worth of work per step: of the generator; of the critic (three batches, forth and back)
_PASSES = (3.0, 8.0)
ANCHOR_PASSES = (3.0, 3.0)  # of an anchor, whose encoder costs what the critic does
_PENALTY_PASSES = 6.0  # of a gradient penalty on one batch: forth, back, and back through both
_USED = 0.9  # of the time, the rest is for held-out scores
_FEWEST, _MOST_IMAGES = 200, 4_000_000
_WITHOUT_BUDGET = 1_800.0
_EVALUATIONS = 20


def game_passes(recipe: Recipe, nd: int) -> tuple[float, float]:
    """Return the forward passes' worth of work of one step of a game: of the generator, and of the critic.

    `nd` says whether of images (2) or volumes (3).
    """
    smooth = 0.0
    for term in recipe.penalties:
        if term.name != "clipping":
            sides = 2 if term.name == "zero-centred" else 1
            smooth += _PENALTY_PASSES * sides * term.share / term.interval(nd)
    given_back = 2.0 * recipe.anchored if recipe.anchor else 0.0
    return _PASSES[0], (_PASSES[1] - 2.0 + smooth) * recipe.critic_steps + 2.0 + given_back


def steps_for(
    context: FitContext,
    generator: nn.Module,
    critic: nn.Module,
    share: float = 1.0,
    *,
    passes: tuple[float, float] | None = None,
) -> int:
    """Return the length of the plan: what was asked for, or what fits into a share of the time budget.

    Parameters
    ----------
    context
        Recipe, size, settings and trainer.
    generator, critic
        Whose operations are counted, on one image.
    share
        Of the budget.
    passes
        Forward passes' worth of work per step, of the generator and of the critic; None for those of the game.
    """
    batch = context.recipe.batch_of(context.spec.nd)
    made, scored = passes or game_passes(context.recipe, context.spec.nd)
    work = batch * (
        made * _operations(generator, context, noise=True) + scored * _operations(critic, context, noise=False)
    )
    steps = steps_of_work(context, work, share)
    asked = context.settings.get("steps")
    # what is asked for are the steps of the game; the anchor takes its share of them
    return max(1, round(share * asked)) if passes is not None and isinstance(asked, int) else steps


def steps_of_work(context: FitContext, work: float, share: float = 1.0) -> int:
    """Return the length of a plan whose steps take so many floating-point operations each; see `steps_for`."""
    asked = context.settings.get("steps")
    if isinstance(asked, int):
        return asked
    seconds = context.budget if math.isfinite(context.budget) else _WITHOUT_BUDGET
    kind = torch.device(context.device).type
    speed = _OPERATIONS["cuda"] if kind == "cuda" else _OPERATIONS["cpu"] * torch.get_num_threads()
    steps = _USED * share * seconds * speed / max(work, 1.0)
    most = _MOST_IMAGES // context.recipe.batch_of(context.spec.nd)
    return int(min(max(_FEWEST, steps), max(_FEWEST, most)))


def operations_of(network: nn.Module, *inputs: Tensor | None) -> float:
    """Return the floating-point operations of the convolutions and linear layers of one pass through a network."""
    found = 0.0

    def count(layer: nn.Module, _: object, made: Tensor) -> None:
        nonlocal found
        # every output sample of a channel takes the weights of that channel once
        weight = layer.get_parameter("weight")
        found += 2.0 * weight.numel() * made.numel() / len(weight)

    hooks = [part.register_forward_hook(count) for part in network.modules() if isinstance(part, Conv | Linear)]
    try:
        with torch.no_grad():
            network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def evaluations(steps: int) -> int:
    """Steps between two held-out scores: about twenty of them."""
    return max(1, math.ceil(steps / _EVALUATIONS))


def _operations(network: nn.Module, context: FitContext, *, noise: bool) -> float:
    spec, device = context.spec, context.device
    labels = torch.zeros(1, dtype=torch.int64, device=device) if spec.n_classes else None
    if noise:
        given = network.draw(1, context.random.torch("counted", device))  # type: ignore[operator]
    else:
        given = torch.zeros(1, spec.outputs, *spec.size, device=device)
    return operations_of(network, given, labels)
