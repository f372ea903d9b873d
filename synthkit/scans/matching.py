"""Training of a generator until its fakes have the mean features that were released; it reads no scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from synthkit.gan.ema import WeightAverage
from synthkit.gan.game import falling_rate, set_rate
from synthkit.gan.images.nets import Generator
from synthkit.gan.state import Tensors, Values, copy_into, pack_optimizer, pack_tensors, pick_tensors, unpack_optimizer
from synthkit.random import RandomSource
from synthkit.scans.embedding import NoisyEmbedding, RandomFeatures


def mismatch(release: NoisyEmbedding, features: Tensor, labels: Tensor | None) -> Tensor:
    """Squared distance of the mean features of fakes to those that were released, summed over classes; a scalar.

    Parameters
    ----------
    release
        Means of the classes.
    features
        Of fakes ``[B, D]``.
    labels
        Their classes ``[B]``; None without classes.

    Returns
    -------
    Tensor
        Unbiased (the products of each fake with itself are left out), so that it is no reason for fakes to be all
        alike; it may be below zero. Classes with fewer than two fakes are left out, and noisy ones count less.
    """
    means, trust = release.means.to(features), release.trust.to(features)
    own = torch.zeros(len(features), dtype=torch.long, device=features.device) if labels is None else labels
    known = torch.arange(len(means), device=features.device)
    members = (own[:, None] == known).to(features.dtype)
    n = members.sum(0)
    sums = members.T @ features
    itself = members.T @ features.square().sum(1)
    pairs = (n * (n - 1)).clamp(min=1)
    within = (sums.square().sum(1) - itself) / pairs
    across = (sums * means).sum(1) / n.clamp(min=1)
    distance = within - 2 * across + means.square().sum(1)
    used = (n >= 2).to(features.dtype) * trust
    return (used * distance).sum() / used.sum().clamp(min=1e-9)


@dataclass(frozen=True)
class MatchSettings:
    """How a generator is trained to match a release.

    Attributes
    ----------
    steps
        Steps of Adam.
    fakes
        Fakes per step, the same number of each class.
    learning_rate, betas
        Of Adam.
    flat, last
        Share of the plan until which the rate stays; after that it falls along a cosine to ``last`` of its height.
    average
        Decay of the moving average of the weights, per step.
    """

    steps: int = 2_000
    fakes: int = 72
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.99)
    flat: float = 0.4
    last: float = 0.02
    average: float = 0.995


class EmbeddingStage:
    """Training of a generator to match a released embedding, as a stage for the trainer; it reads no scans.

    Parameters
    ----------
    generator
        What to train.
    release
        What to match.
    features
        The features that were released.
    random
        Source of noise for fakes.
    settings
        How to train.
    evaluate_every
        Steps between two scores.
    device
        Where the generator lives.
    """

    scored_by = "match of the release"
    name = "embedding"

    def __init__(
        self,
        generator: Generator,
        release: NoisyEmbedding,
        features: RandomFeatures,
        random: RandomSource,
        settings: MatchSettings | None = None,
        *,
        evaluate_every: int = 200,
        device: str = "cpu",
    ) -> None:
        self._settings = settings or MatchSettings()
        self.total_steps, self.evaluate_every = self._settings.steps, evaluate_every
        self._generator, self._release = generator, release
        self._features = features.to(device)
        self._random, self._device = random, device
        self._rng = random.torch("embedding", device)
        classes = generator.spec.n_classes
        each = max(2, self._settings.fakes // max(classes, 1))
        self._labels = torch.arange(classes, device=device).repeat_interleave(each) if classes else None
        self._fakes = each * max(classes, 1)
        self._scale, self._done = 1.0, 0
        self._trained = [parameter for parameter in generator.parameters() if parameter.requires_grad]
        self._average = WeightAverage(self._trained, self._settings.average)
        self._start_optimizer()

    def _start_optimizer(self) -> None:
        self._optimizer: torch.optim.Optimizer = torch.optim.Adam(
            self._trained, lr=self._settings.learning_rate, betas=self._settings.betas
        )

    def step(self, index: int) -> Mapping[str, float | Tensor]:
        """Take one step of the generator."""
        settings = self._settings
        share = falling_rate(index / self.total_steps, settings.flat, settings.last) * self._scale
        set_rate(self._optimizer, settings.learning_rate * share)
        loss = self._loss(self._rng)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        self._average.update(index)
        self._done = index + 1
        return {"mismatch": loss.detach()}

    def _loss(self, rng: torch.Generator) -> Tensor:
        fakes = self._generator(self._generator.draw(self._fakes, rng), self._labels)
        return mismatch(self._release, self._features(fakes), self._labels)

    def evaluate(self) -> float:
        """Return minus the mismatch of the averaged weights, on the same noise every time."""
        with self._average.applied(), torch.no_grad():
            rng = self._random.torch("scored", self._device)
            return -float(torch.stack([self._loss(rng) for _ in range(4)]).mean())

    def snapshot(self) -> Tensors:
        """Copy the averaged weights of the generator."""
        return self._average.weights()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Make a snapshot both the weights and their average."""
        self._average.reset(weights)

    def state(self) -> tuple[Values, Tensors]:
        """Return weights, average, moments and the position in the stream of random numbers."""
        tensors = pack_tensors("generator", [(str(i), one) for i, one in enumerate(self._trained)])
        tensors |= pack_tensors("average", self._average.weights().items())
        tensors |= pack_optimizer("optimizer", self._optimizer)
        tensors["random"] = self._rng.get_state()
        return {"scale": self._scale, "done": self._done}, tensors

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._scale, self._done = float(values["scale"]), int(values["done"])
        copy_into([(str(i), one.detach()) for i, one in enumerate(self._trained)], pick_tensors("generator", tensors))
        self._average.load(pick_tensors("average", tensors))
        unpack_optimizer("optimizer", self._optimizer, tensors)
        self._rng.set_state(tensors["random"])

    def recover(self) -> None:
        """Halve the learning rate."""
        self._scale /= 2
        self._start_optimizer()
