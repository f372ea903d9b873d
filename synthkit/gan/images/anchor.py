"""The anchor: the generator learns to give back real images before it plays, and does not forget it while it plays.

An encoder finds a noise vector for every image and the generator makes the image again (Kingma 2014; Rezende 2014).
Both learn in a tenth of the work of the game what scans look like, every kind of them; the game only has to sharpen
it. In the game a share of the fakes are images given back (Larsen 2016, with the encoder frozen), each paired with its
original: what the generator leaves out, it pays for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synthkit.errors import InputError
from synthkit.gan.ema import WeightAverage
from synthkit.gan.game import falling_rate, set_rate
from synthkit.gan.images.batches import Batch, ImageBatches
from synthkit.gan.images.nets import Critic, Generator
from synthkit.gan.images.recipe import Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.images.translators import Encoder
from synthkit.gan.layers import reduced_precision
from synthkit.gan.state import Tensors, Values, copy_into, pack_optimizer, pack_tensors, pick_tensors, unpack_optimizer
from synthkit.random import RandomSource

_LIMITS = (-6.0, 3.0)  # of the logarithm of a spread
_NARROWEST = 1e-3  # of the errors of an image
_CONTRAST = 0.5  # spread of an image whose distance counts as it is
_SCORED = 256  # held-out images per score
_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Latents:
    """Where the encoder sees each training image in the space of noise vectors.

    Attributes
    ----------
    means, spreads
        ``[n, latent]``: of a normal distribution with independent coordinates.
    """

    means: Tensor
    spreads: Tensor

    def draw(self, rows: Tensor, random: torch.Generator) -> Tensor:
        """Draw a noise vector ``[B, latent]`` for each of some row numbers."""
        means = self.means[rows]
        noise = torch.randn(means.shape, generator=random, device=means.device)
        return means + self.spreads[rows] * noise


def negative_evidence(images: Tensor, made: Tensor, means: Tensor, log_spreads: Tensor) -> Tensor:
    """Negative evidence lower bound per sample value, with Laplacian errors of the width that fits each image best.

    Parameters
    ----------
    images, made
        ``[B, C, *size]``.
    means, log_spreads
        Of the posterior, ``[B, latent]``; the prior is the standard normal distribution.

    References
    ----------
    Rybkin et al. 2021, Simple and Effective VAE Training with Calibrated Decoders: with the best width no weight
    between the two parts has to be chosen. With one per image, images of little contrast count as much as others.
    """
    divergence = (0.5 * (means.square() + (2 * log_spreads).exp() - 1) - log_spreads).sum(1).mean()
    widths = (images - made).abs().flatten(1).mean(1) + _NARROWEST
    return widths.log().mean() + divergence / images[0].numel()


def normal_of(means: Tensor, spreads: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and lower root of the covariance of a mixture of normal distributions; standard without any.

    Parameters
    ----------
    means, spreads
        ``[n, latent]``, of the parts.
    """
    n, width = means.shape
    if n == 0:
        return means.new_zeros(width), torch.eye(width, device=means.device)
    mean = means.mean(0)
    apart = (means - mean).double()
    covariance = apart.T @ apart / n + torch.diag(spreads.double().square().mean(0) + 1e-4)
    return mean, torch.linalg.cholesky(covariance).to(means.dtype)


class AnchorStage:
    """A variational autoencoder whose decoder is the generator.

    Parameters
    ----------
    spec, recipe
        Form of the images, and settings of the nets.
    generator
        What to train.
    batches, held_out
        Training images, and images that decide which state is kept.
    random
        Source of all random numbers of the stage.
    total_steps, evaluate_every
        Length of the plan, and steps between two held-out scores.
    device
        Where nets and images live.
    name
        Of the stage.
    """

    def __init__(
        self,
        spec: ImageSpec,
        recipe: Recipe,
        generator: Generator,
        batches: ImageBatches,
        held_out: ImageBatches,
        random: RandomSource,
        *,
        total_steps: int,
        evaluate_every: int = 200,
        device: str | torch.device = "cpu",
        name: str = "anchor",
    ) -> None:
        self.name, self.total_steps, self.evaluate_every = name, total_steps, evaluate_every
        self._latent, self._recipe, self._random = spec.latent, recipe, random
        self._generator, self._batches, self._held_out = generator, batches, held_out
        self._device = torch.device(device)
        self._n = min(recipe.batch_of(spec.nd), max(2, len(batches)))
        self._rng = random.torch("anchor", self._device)
        self._encoder = Encoder(replace(spec, latent=2 * spec.latent), recipe, random.torch("encoder", self._device))
        self._trained = [*generator.parameters(), *self._encoder.parameters()]
        self._average = WeightAverage(self._trained, 0.99)
        self._scale = 1.0
        self._start_optimizer()

    def _start_optimizer(self) -> None:
        rate = self._recipe.anchor_rate
        self._optimizer = torch.optim.Adam(self._trained, lr=rate, betas=(0.9, 0.99), fused=True)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Give a batch back, and learn from the difference."""
        done = index / self.total_steps
        rise = min(1.0, (index + 1) / 50)
        set_rate(self._optimizer, self._scale * self._recipe.anchor_rate * rise * falling_rate(done, 0.4, 0.05))
        loss = self._loss(self._batches.draw(self._n, self._rng), self._rng)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._trained, 1.0)
        self._optimizer.step()
        self._average.update(index)
        return {"anchor": loss.detach()}

    def _encoded(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self._encoder(images)
        return found[:, : self._latent], found[:, self._latent :].clamp(*_LIMITS)

    def _loss(self, batch: Batch, random: torch.Generator) -> Tensor:
        with reduced_precision(self._device, self._device.type == "cuda"):
            means, log_spreads = self._encoded(batch.images)
            noise = torch.randn(means.shape, generator=random, device=self._device)
            made = self._generator(means + log_spreads.exp() * noise, batch.labels, batch.context)
        return negative_evidence(batch.images, made.float(), means.float(), log_spreads.float())

    def evaluate(self) -> float:
        """Mean evidence of held-out images per sample value, with the averaged weights; the same noise every time."""
        random = self._random.torch("held-out", self._device)
        rows = torch.arange(min(_SCORED, len(self._held_out)), device=self._device)
        with self._average.applied(), torch.no_grad():
            losses = [
                (self._loss(self._held_out.at(part, random), random), len(part)) for part in torch.split(rows, _CHUNK)
            ]
        return -sum(float(loss) * n for loss, n in losses) / len(rows)

    @torch.no_grad()
    def finish(self) -> Latents:
        """Find where the training images are, with the weights as they are, and move the generator's noise there.

        The prior of an autoencoder never fits the places of real images well. Where a class has many, a normal
        distribution with their mean and covariance does it better, and holds nothing of a single image.
        """
        random = self._random.torch("latents", self._device)
        rows = torch.arange(len(self._batches), device=self._device)
        parts = [self._encoded(self._batches.at(part, random).images) for part in torch.split(rows, _CHUNK)]
        means = torch.cat([part for part, _ in parts])
        spreads = torch.cat([part for _, part in parts]).exp()
        generator, labels = self._generator, self._batches.labels
        if len(generator.centres):
            kinds = torch.zeros_like(rows) if labels is None or generator.table is None else labels
            found = [normal_of(means[kinds == k], spreads[kinds == k]) for k in range(len(generator.centres))]
            generator.place(torch.stack([mean for mean, _ in found]), torch.stack([root for _, root in found]))
        return Latents(means, spreads)

    # -- the rest of the Stage protocol -------------------------------------------------------------------------------

    def snapshot(self) -> Tensors:
        """Copy the averaged weights."""
        return self._average.weights()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Make a snapshot both the weights and their average."""
        self._average.reset(weights)

    def state(self) -> tuple[Values, Tensors]:
        """Return weights, average, moments and the position in the stream of random numbers."""
        tensors = pack_tensors("trained", self._numbered())
        tensors |= pack_tensors("average", self._average.weights().items())
        tensors |= pack_optimizer("optimizer", self._optimizer)
        tensors["random"] = self._rng.get_state()
        return {"scale": self._scale}, tensors

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._scale = float(values["scale"])
        copy_into(self._numbered(), pick_tensors("trained", tensors))
        self._average.load(pick_tensors("average", tensors))
        unpack_optimizer("optimizer", self._optimizer, tensors)
        self._rng.set_state(tensors["random"])

    def recover(self) -> None:
        """Halve the learning rate and forget the moments."""
        self._scale /= 2
        self._start_optimizer()

    def _numbered(self) -> list[tuple[str, Tensor]]:
        return [(str(i), tensor.detach()) for i, tensor in enumerate(self._trained)]


class Anchored:
    """Fakes that are in part images given back, and what the generator pays for the difference.

    Parameters
    ----------
    generator
        As in the game.
    latents
        Of the training images, by row number.
    share
        Share of each batch that is given back.

    Raises
    ------
    InputError
        The share is not between 0 and 1.
    """

    def __init__(self, generator: Generator, latents: Latents, share: float) -> None:
        if not 0 <= share <= 1:
            raise InputError(f"the anchored share of a batch is {share}, expected a number from 0 to 1")
        self._generator, self._latents, self._share = generator, latents, share

    def kept(self, n: int) -> int:
        """Images of a batch of ``n`` that are given back: the first ones."""
        return math.floor(self._share * n)

    def draw(self, batch: Batch, random: torch.Generator) -> Tensor:
        """Make fakes: the first ones from the latents of the batch's own images, the others from noise."""
        noise = self._generator.draw(len(batch), random)
        n = self.kept(len(batch))
        if n and batch.rows is not None:
            labels = None if batch.labels is None else batch.labels[:n]
            own = self._generator.unplaced(self._latents.draw(batch.rows[:n], random), labels)
            noise = torch.cat([torch.cat([own, noise[:n, own.shape[1] :]], 1), noise[n:]])
        made: Tensor = self._generator(noise, batch.labels, batch.context)
        return made

    def difference(self, critic: Critic, batch: Batch, fake: Tensor) -> Tensor:
        """Distance of what is given back from its originals, in values and in features of the critic."""
        n = self.kept(len(batch))
        if not n:
            return fake.new_zeros(())
        real, made = batch.images[:n], fake[:n]
        context = None if batch.context is None else batch.context[:n]
        seen = critic.features(made, context)
        with torch.no_grad():
            wanted = critic.features(real, context)
        scale = wanted.abs().mean().clamp(min=1e-3)
        contrast = real.flatten(1).std(1) + 0.1 * _CONTRAST
        apart = (real - made).abs().flatten(1).mean(1) * _CONTRAST / contrast
        return apart.mean() + 0.3 * (wanted - seen).abs().mean() / scale
