"""A network that is trained by a loss alone, as one stage for the trainer: before the game, or after it.

Super-resolution and in-painting start from it, because a game is only worth playing once the rough answer is right
(Ledig 2017), and the encoder of f-AnoGAN is trained by it against a frozen generator and critic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from synthkit.gan.ema import WeightAverage
from synthkit.gan.game import falling_rate, set_rate
from synthkit.gan.images.batches import Batch, ImageBatches
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.layers import reduced_precision
from synthkit.gan.state import (
    Tensors,
    Values,
    copy_into,
    pack_optimizer,
    pack_tensors,
    pick_tensors,
    unpack_optimizer,
)
from synthkit.random import RandomSource


class RegressionStage:
    """One network against a loss.

    Parameters
    ----------
    network
        What to train.
    recipe
        Learning rate, its course, and the half-life of the average.
    batches
        Training images.
    loss
        Of a batch, a scalar with gradient.
    score
        Held-out score of the network as it is, higher is better.
    random
        Source of all random numbers of the stage.
    total_steps, evaluate_every
        Length of the plan, and steps between two held-out scores.
    n
        Images per step.
    device
        Where network and images live.
    name
        Of the stage.
    pace
        From the share of the steps that are done to the share of the plan that the learning rate goes by.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        batches: ImageBatches,
        loss: Callable[[Batch], Tensor],
        score: Callable[[], float],
        random: RandomSource,
        *,
        total_steps: int,
        evaluate_every: int = 500,
        n: int = 32,
        device: str | torch.device = "cpu",
        name: str = "distance",
        pace: Callable[[float], float] | None = None,
    ) -> None:
        self._pace = pace
        self.name, self.total_steps, self.evaluate_every = name, total_steps, evaluate_every
        self._network, self._recipe, self._batches = network, recipe, batches
        self._loss, self._score, self._n = loss, score, min(n, max(2, len(batches)))
        self._device = torch.device(device)
        self._rng = random.torch("batches", self._device)
        self._trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._average = WeightAverage(self._trained, recipe.decay(self._n, total_steps))
        self._scale = 1.0
        self._start_optimizer()

    def _start_optimizer(self) -> None:
        rate = self._recipe.learning_rate
        self._optimizer = torch.optim.Adam(self._trained, lr=rate, betas=(0.9, 0.99), fused=True)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take one step down the loss."""
        recipe = self._recipe
        done = index / self.total_steps
        if self._pace is not None:
            done = self._pace(done)
        rise = min(1.0, done / recipe.warm_up + 0.01) if recipe.warm_up else 1.0
        set_rate(
            self._optimizer, self._scale * recipe.learning_rate * rise * falling_rate(done, recipe.flat, recipe.last)
        )
        with reduced_precision(self._device, self._device.type == "cuda"):
            loss = self._loss(self._batches.draw(self._n, self._rng))
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        self._average.update(index)
        return {self.name: loss.detach()}

    # -- the rest of the Stage protocol -------------------------------------------------------------------------------

    def evaluate(self) -> float:
        """Score the averaged weights with the caller's held-out score."""
        with self._average.applied(), torch.no_grad():
            self._network.eval()
            score = self._score()
            self._network.train()
        return score

    def snapshot(self) -> Tensors:
        """Copy the averaged weights."""
        return self._average.weights()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Make a snapshot both the weights and their average."""
        self._average.reset(weights)

    def state(self) -> tuple[Values, Tensors]:
        """Return weights, average, moments and the position in the stream of random numbers."""
        numbered = [(str(i), tensor) for i, tensor in enumerate(self._trained)]
        tensors = pack_tensors("network", numbered) | pack_tensors("average", self._average.weights().items())
        tensors |= pack_optimizer("optimizer", self._optimizer)
        tensors["random"] = self._rng.get_state()
        return {"scale": self._scale}, tensors

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._scale = float(values["scale"])
        copy_into([(str(i), t.detach()) for i, t in enumerate(self._trained)], pick_tensors("network", tensors))
        self._average.load(pick_tensors("average", tensors))
        unpack_optimizer("optimizer", self._optimizer, tensors)
        self._rng.set_state(tensors["random"])

    def recover(self) -> None:
        """Halve the learning rate and forget the moments."""
        self._scale /= 2
        self._start_optimizer()
