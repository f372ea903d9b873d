"""A conditional Wasserstein GAN in the space of genes: scGAN and cscGAN (Marouf 2020, Nature Communications 11:166)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from synthkit.expression.class_moments import Depths, class_sums, drawn_in_chunks, totals_of
from synthkit.expression.factors import principal
from synthkit.expression.gene_space_nets import LATENT, GeneCritic, GeneGenerator
from synthkit.expression.model import Arrays, Training, Wanted
from synthkit.expression.normalise import CHUNK, Floats, log_normalised
from synthkit.gan.ema import WeightAverage
from synthkit.gan.game import Players, falling_rate, set_rate
from synthkit.gan.losses import loss_named
from synthkit.gan.penalties import interpolated_gradient
from synthkit.gan.stage import StageReport
from synthkit.gan.state import Tensors, pack_module, to_arrays, to_tensors, unpack_module
from synthkit.gan.state import Values as StateValues
from synthkit.gan.trainer import Trainer
from synthkit.io.expression_set import Measure, Values
from synthkit.random import RandomSource

BATCH = 64
_CRITIC_STEPS = 5
_PENALTY = 10.0
_RATE = 5e-4
_DIRECTIONS = 20
_HELD_OUT, _MOST_HELD_OUT = 0.1, 1000
# A rough rate of two processor cores, which only plans the length of the training; the time budget cuts it.
_FLOPS = 8e10


@dataclass(frozen=True, eq=False)
class GeneSpaceModel:
    """A generator of whole cells, and library sizes.

    As in the paper, except: conditional layer norm in place of conditional batch norm; the critic sees logarithms of
    1 + normalised count in place of normalised counts, which trains in minutes what took days; and counts come out,
    drawn from Poisson distributions, where the paper stops at normalised values.

    Batches and covariates change nothing here, except where they are part of the class.

    Attributes
    ----------
    measure
        What the values are.
    target
        Library size that counts are normalised to.
    generator
        The network.
    centre, scale
        Mean and standard deviation of intensities, ``[genes]``; 0 and 1 otherwise.
    depths
        Library sizes.
    """

    measure: Measure
    target: float
    generator: GeneGenerator
    centre: Floats
    scale: Floats
    depths: Depths
    name: ClassVar[str] = "wgan-gp-genes"

    def draw(self, wanted: Wanted, random: RandomSource) -> Values:
        """Draw values ``[n, genes]``, see `ExpressionModel.draw`."""
        rng, noise = random.numpy(self.name), random.torch(self.name)
        counts = self.measure == "counts"
        return drawn_in_chunks(wanted, len(self.centre), counts, lambda part: self._chunk(part, rng, noise))

    @torch.no_grad()
    def _chunk(self, wanted: Wanted, rng: np.random.Generator, random: torch.Generator) -> np.ndarray:
        device = self.generator.out.weight.device
        noise = torch.randn(len(wanted), LATENT, generator=random).to(device)
        made = self.generator(noise, torch.from_numpy(wanted.classes).to(device)).cpu().numpy()
        if self.measure == "counts":
            sizes = self.depths.draw(wanted, rng) / self.target
            return np.asarray(rng.poisson(np.expm1(made) * sizes[:, None]))
        if self.measure == "intensities":
            return np.asarray(made * self.scale + self.centre)
        return np.asarray(np.expm1(made) if self.measure == "rates" else made)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what rebuilds the model."""
        arrays = to_arrays(pack_module("generator", self.generator)) | self.depths.arrays()
        arrays |= {"centre": self.centre, "scale": self.scale}
        return {"measure": self.measure, "target": self.target}, arrays

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from what `state` returned."""
        centre, scale = np.array(arrays["centre"]), np.array(arrays["scale"])
        depths = Depths.from_arrays(arrays)
        measure, target = values["measure"], float(values["target"])
        n_classes = len(depths.quantiles)
        net = GeneGenerator(len(centre), n_classes, measure, target, RandomSource(0).torch("replaced"))
        unpack_module("generator", net, to_tensors({k: v for k, v in arrays.items() if k.startswith("generator/")}))
        return cls(measure, target, net, centre, scale, depths)


class GeneSpaceStage:
    """The game between `GeneCritic` and `GeneGenerator`, for the trainer.

    Parameters
    ----------
    generator
        What to train.
    values, classes
        Training cells on the scale that the critic sees: CSR or an array, ``[cells, genes]``, and their classes.
    n_classes
        How many classes there are.
    score
        Held-out score of the averaged weights, higher is better.
    random
        Source of all random numbers of the stage.
    total_steps
        Length of the plan, in steps of the generator.
    device
        Where the networks live.
    """

    name = "wgan-gp-genes"

    def __init__(
        self,
        generator: GeneGenerator,
        values: Values,
        classes: np.ndarray,
        n_classes: int,
        score: Callable[[], float],
        random: RandomSource,
        *,
        total_steps: int,
        device: str = "cpu",
    ) -> None:
        self.total_steps, self.evaluate_every = total_steps, max(10, total_steps // 20)
        self._generator, self._values, self._score, self._random = generator, values, score, random
        self._device = torch.device(device)
        self._classes = torch.from_numpy(classes)
        # small classes are seen more often than they occur, or a few hundred steps would not show them at all
        share = np.maximum(np.bincount(classes, minlength=n_classes), 1) ** -0.3
        self._weights = torch.from_numpy(share[classes])
        self._n_classes = n_classes
        self._loss = loss_named("wgan-gp")
        self._rng = random.torch("gene-space", self._device)
        self._scale = 1.0
        self._trained = list(generator.parameters())
        self._average = WeightAverage(self._trained, 1 - 10 / max(total_steps, 100))
        self._start("critic")

    def _start(self, critic: str) -> None:
        source = self._random.torch(critic, self._device)
        self._critic = GeneCritic(self._values.shape[1], self._n_classes, source)
        self._critic_optimizer = torch.optim.Adam(self._critic.parameters(), lr=_RATE, betas=(0.0, 0.9), fused=True)
        self._generator_optimizer = torch.optim.Adam(self._trained, lr=_RATE, betas=(0.0, 0.9), fused=True)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take five steps of the critic and one of the generator."""
        rate = _RATE * self._scale * falling_rate(index / self.total_steps, 0.5, 0.1)
        set_rate(self._critic_optimizer, rate)
        set_rate(self._generator_optimizer, rate)
        losses: dict[str, Tensor] = {}
        for _ in range(_CRITIC_STEPS):
            real, classes = self._batch()
            with torch.no_grad():
                fake = self._generator(self._noise(), classes)
            losses["critic"] = self._improve_critic(real, fake, classes)
        _, classes = self._batch(cells=False)
        self._critic.requires_grad_(False)
        scores = self._critic(self._generator(self._noise(), classes), classes)
        loss = self._loss.generator_loss(scores, scores)
        self._critic.requires_grad_(True)
        self._generator_optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._generator_optimizer.step()
        self._average.update(index)
        return losses | {"generator": loss.detach()}

    def _improve_critic(self, real: Tensor, fake: Tensor, classes: Tensor) -> Tensor:
        loss = self._loss.critic_loss(self._critic(real, classes), self._critic(fake, classes))
        penalty = interpolated_gradient(lambda cells: self._critic(cells, classes), real, fake, self._rng)
        self._critic_optimizer.zero_grad()
        torch.autograd.backward(loss + _PENALTY * penalty)
        self._critic_optimizer.step()
        return loss.detach()

    def _noise(self) -> Tensor:
        return torch.randn(BATCH, LATENT, generator=self._rng, device=self._device)

    def _batch(self, cells: bool = True) -> tuple[Tensor, Tensor]:
        """Return training cells ``[B, genes]``, none unless `cells`, and classes ``[B]``."""
        marks = torch.rand(BATCH, generator=self._rng, device=self._device, dtype=torch.float64).cpu()
        cumulative = self._weights.cumsum(0)
        rows = torch.searchsorted(cumulative, marks * cumulative[-1]).clamp(max=len(cumulative) - 1)
        classes = self._classes[rows].to(self._device)
        if not cells:
            return torch.zeros(0), classes
        return torch.from_numpy(_dense(self._values[rows.numpy()])).to(self._device), classes

    # -- the rest of the Stage protocol -------------------------------------------------------------------------------

    def evaluate(self) -> float:
        """Score the averaged weights with the caller's held-out score."""
        with self._average.applied():
            return self._score()

    def snapshot(self) -> Tensors:
        """Copy the averaged weights of the generator."""
        return self._average.weights()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Make a snapshot both the weights and their average."""
        self._average.reset(weights)

    def _players(self) -> Players:
        optimizers = self._critic_optimizer, self._generator_optimizer
        return Players(self._trained, self._average, self._critic, *optimizers, self._rng)

    def state(self) -> tuple[StateValues, Tensors]:
        """Return weights, averages, moments and the position in the stream of random numbers."""
        return {"scale": self._scale}, self._players().tensors()

    def load_state(self, values: StateValues, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._scale = float(values["scale"])
        self._players().load(tensors)

    def recover(self) -> None:
        """Halve the learning rate and start again with a new critic: the old one may hold the broken numbers."""
        self._scale /= 2
        self._start("critic-after-recovery")


def fit_gene_space(
    training: Training,
    random: RandomSource,
    trainer: Trainer,
    seconds: float,
    device: str = "cpu",
    steps: int | None = None,
) -> tuple[GeneSpaceModel, StageReport]:
    """Train the GAN and keep its best state by the discrepancy of its draws from held-out cells.

    Parameters
    ----------
    training
        Cells, of any measure.
    random
        Source of all random numbers.
    trainer
        Runs the stage.
    seconds
        Time budget: plans the steps, and is a ceiling on their wall time.
    device
        Where to train; the model that is returned is on the processor.
    steps
        Steps of the generator, instead of a plan from `seconds`.

    Raises
    ------
    TrainingError
        When losses stop being finite twice.
    """
    classes, n_classes = training.conditions.classes, training.n_classes
    totals = totals_of(training.values)
    counts = training.measure == "counts"
    genes = training.values.shape[1]
    target = float(np.median(np.maximum(totals, 1.0))) if counts else 1.0
    depths = Depths.of(totals, classes, n_classes) if counts else Depths(np.zeros((n_classes, 33)))
    centre, scale = np.zeros(genes), np.ones(genes)
    if training.measure == "intensities":
        sums = class_sums(training.values, np.zeros(len(training), np.int64), 1)
        centre = sums.first[0] / len(training)
        scale = np.sqrt(np.maximum(sums.second[0] / len(training) - centre**2, 1e-12))
    values = _seen(training.values, training.measure, totals, target, centre, scale)
    start = np.zeros(genes)
    if training.measure != "intensities":
        start = np.asarray(values.mean(axis=0), dtype=np.float64).ravel()
        start = np.expm1(start) if counts else start
    stream = random.child("gene-space")
    bias = torch.from_numpy(start.astype(np.float32)).to(device)
    net = GeneGenerator(genes, n_classes, training.measure, target, stream.torch("generator", device), bias)
    model = GeneSpaceModel(training.measure, target, net, centre, scale, depths)
    held = _held_out(classes, stream.numpy("held-out"))
    kept = np.setdiff1d(np.arange(len(training)), held)
    wanted = training.conditions.take(held)
    wanted = Wanted(wanted.classes, wanted.batches, wanted.covariates, totals[held] if counts else None)
    means = np.asarray(values[kept].mean(axis=0), dtype=np.float64).reshape(1, -1)
    zeros = np.zeros(len(kept), np.int64)
    directions = principal(values[kept], zeros, means, _DIRECTIONS, stream.numpy("directions"))
    directions /= np.maximum(np.linalg.norm(directions, axis=0), 1e-12)
    real = _projected(values[held], directions)

    def score() -> float:
        drawn = model.draw(wanted, stream.child("score"))
        made = _seen(drawn, training.measure, totals_of(drawn), target, centre, scale)
        return -_discrepancy(real, _projected(made, directions), wanted.classes)

    if steps is None:
        # a step multiplies a batch through the critic about 12 times per critic step, and twice through the generator
        weights = genes * 1024 + 1024 * 512 + 512 * 256
        steps = int(max(50, seconds * _FLOPS / (2 * BATCH * weights * (14 * _CRITIC_STEPS + 8))))
    stage = GeneSpaceStage(net, values[kept], classes[kept], n_classes, score, stream, total_steps=steps, device=device)
    report = trainer.run(stage, seconds=seconds)
    net.cpu()
    return model, report


def _seen(values: Values, measure: Measure, totals: Floats, target: float, centre: Floats, scale: Floats) -> Values:
    """Return values on the scale that the critic sees; sparse stays sparse."""
    if measure == "counts":
        return log_normalised(values, totals, target)
    if measure == "rates":
        return values.log1p() if sparse.issparse(values) else np.log1p(values)
    return values if measure == "log" else ((_dense(values) - centre) / scale).astype(np.float32)


def _dense(values: Values) -> np.ndarray:
    array = values.toarray() if sparse.issparse(values) else np.asarray(values)
    return array.astype(np.float32, copy=False)


def _projected(values: Values, directions: Floats) -> Floats:
    parts = [_dense(values[at : at + CHUNK]) @ directions for at in range(0, values.shape[0], CHUNK)]
    return np.concatenate(parts).astype(np.float64)


def _held_out(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions of a tenth of the cells; classes of fewer than twenty cells keep all of theirs."""
    large = np.bincount(classes)[classes] >= 20
    able = np.flatnonzero(large) if large.any() else np.arange(len(classes))
    n = int(np.clip(_HELD_OUT * len(able), min(4, len(able) - 1), _MOST_HELD_OUT))
    return np.sort(rng.permutation(able)[:n])


def _discrepancy(real: Floats, made: Floats, classes: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy (Gretton 2012), the mean over classes by their cells.

    Kernels are Gaussian, a quarter to four times the mean distance of real cells wide. Classes of fewer than four cells
    are taken together.
    """
    few = np.bincount(classes)[classes] < 4
    groups = np.where(few, -1, classes)
    total = weight = 0.0
    for group in np.unique(groups):
        a, b = real[groups == group], made[groups == group]
        n = len(a)
        if n < 2:
            continue
        distances = [_squared(a, a), _squared(b, b), _squared(a, b)]
        width = distances[0].sum() / (n * (n - 1)) + 1e-12
        within_a, within_b, between = (
            sum(np.exp(-d / (width * share)) for share in (0.25, 1.0, 4.0)) for d in distances
        )
        off = (within_a.sum() - np.trace(within_a) + within_b.sum() - np.trace(within_b)) / (n * (n - 1))
        total += n * float(off - 2 * between.mean())
        weight += n
    return total / max(weight, 1.0)


def _squared(a: Floats, b: Floats) -> Any:
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0)
