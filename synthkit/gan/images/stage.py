"""The game between an image generator and an image critic, as one stage for the trainer. Every recipe uses it.

Draw noise (or take an image), make a fake, score real and fake, take the loss and its penalties, average the weights.
What differs between recipes is in `Recipe`; what an image-to-image fit adds is in ``draw`` and ``auxiliary``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from synthkit.gan.ema import WeightAverage
from synthkit.gan.game import Players, falling_rate, set_rate
from synthkit.gan.images.anchor import Anchored, Latents
from synthkit.gan.images.augment import adapted, augmented
from synthkit.gan.images.batches import Batch, ImageBatches
from synthkit.gan.images.nets import Critic, Generator
from synthkit.gan.images.pool import ImagePool
from synthkit.gan.images.recipe import PenaltyTerm, Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.gan.layers import reduced_precision
from synthkit.gan.losses import IMAGE_LOSSES, loss_named
from synthkit.gan.penalties import clip_weights, interpolated_gradient, squared_gradient
from synthkit.gan.state import Tensors, Values
from synthkit.random import RandomSource

Draw = Callable[[Batch, torch.Generator], Tensor]
Auxiliary = Callable[[Batch, Tensor], Tensor]


def automatic_gamma(size: tuple[int, ...], batch: int) -> float:
    """Weight of a zero-centred penalty from the size of the images and of the batch.

    0.0002 samples / batch is the rule of StyleGAN2-ADA (Karras 2020); volumes count as one of their slices here, and
    `volume_share` makes up for the rest.
    """
    rows, columns = size[-2:]
    return 0.0002 * rows * columns / batch


def volume_share(spec: ImageSpec) -> float:
    """How much heavier zero-centred penalties weigh on volumes: by the number of their values, from 4,096 on.

    Real and made volumes differ in so many values that a critic with small gradients tells them apart. With the weight
    that suits 64 x 64 images the critic wins at once. Measured with two regions: at 20 x 28 x 20, 1 loses, 10 holds and
    100 is slow; at 40 x 56 x 40, 65 loses and 520 holds. The power is what joins the two.
    """
    if spec.nd == 2:
        return 1.0
    return float(max(1.0, spec.outputs * math.prod(spec.size) / 4096) ** 1.5)


class ImageStage:
    """One critic against one generator.

    Parameters
    ----------
    spec, recipe
        Form of the images; how the game is played.
    generator
        What to train. With the usual ``draw`` a `Generator`, else any module.
    critic
        Makes a critic from a generator of random numbers; also called once more after divergence.
    batches
        Real images.
    score
        Held-out score of a generator, higher is better. It must bring its own random numbers, the same every time.
    random
        Source of all random numbers of the stage.
    total_steps, evaluate_every
        Length of the plan in generator steps, and steps between two held-out scores.
    draw
        Makes the fakes of a batch, with gradient; None draws noise and gives the batch's classes and context.
    auxiliary
        Further losses of the generator, functions of the batch and its fakes, by name; their weights are the recipe's.
    latents
        Of the training images, from an `AnchorStage` that came before; a share of the fakes is made from them.
    samples
        Called with the step and the averaged generator at every held-out score, for pictures during training.
    device
        Where nets and images live.
    name
        Of the stage.
    pace
        Turns the share of the plan that is done into the share that learning rates go by, where a slow machine will be
        stopped before the end of the plan; None goes by the plan.
    """

    def __init__(
        self,
        spec: ImageSpec,
        recipe: Recipe,
        generator: nn.Module,
        critic: Callable[[torch.Generator], nn.Module],
        batches: ImageBatches,
        score: Callable[[nn.Module], float],
        random: RandomSource,
        *,
        total_steps: int,
        evaluate_every: int = 500,
        draw: Draw | None = None,
        auxiliary: Mapping[str, Auxiliary] | None = None,
        latents: Latents | None = None,
        samples: Callable[[int, nn.Module], None] | None = None,
        device: str | torch.device = "cpu",
        name: str = "images",
        pace: Callable[[float], float] | None = None,
    ) -> None:
        self._pace = pace
        self.name, self.total_steps, self.evaluate_every = name, total_steps, evaluate_every
        self._spec, self._recipe, self._random = spec, recipe, random
        self._generator, self._batches, self._score = generator, batches, score
        self._draw = draw or self._from_noise
        self._auxiliary = dict(auxiliary or {})
        if latents is not None:
            anchored = Anchored(cast("Generator", generator), latents, recipe.anchored)
            self._draw = anchored.draw
            self._auxiliary["anchor"] = lambda batch, fake: anchored.difference(
                cast("Critic", self._critic), batch, fake
            )
        self._samples = samples
        self._device = torch.device(device)
        self._loss = loss_named(recipe.loss, IMAGE_LOSSES)
        self._n = min(recipe.batch_of(spec.nd), max(2, len(batches)))
        self._rng = random.torch("images", self._device)
        self._make_critic = critic
        self._critic = critic(random.torch("critic", self._device))
        self._trained = [parameter for parameter in generator.parameters() if parameter.requires_grad]
        self._average = WeightAverage(self._trained, recipe.decay(self._n, total_steps))
        self._pool = ImagePool(recipe.pool, (spec.outputs, *spec.size), self._device) if recipe.pool else None
        self._scale, self._done, self._critic_done = 1.0, 0, 0
        self._progress = 0.0  # share of the plan that rates and weights go by; set at every step
        chance = recipe.augment.probability
        self._chance = 0.0 if chance is None else chance
        self._sureness: list[Tensor] = []
        self._start_optimizers()

    def _start_optimizers(self) -> None:
        self._critic_optimizer = self._optimizer(list(self._critic.parameters()))
        self._generator_optimizer = self._optimizer(self._trained)

    def _optimizer(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        if self._recipe.optimizer == "rmsprop":
            return torch.optim.RMSprop(parameters, lr=self._recipe.learning_rate)
        return torch.optim.Adam(parameters, lr=self._recipe.learning_rate, betas=self._recipe.betas, fused=True)

    def _from_noise(self, batch: Batch, random: torch.Generator) -> Tensor:
        noise = self._generator.draw(len(batch), random)  # type: ignore[operator]
        made: Tensor = self._generator(noise, batch.labels, batch.context)
        return made

    # -- one step -----------------------------------------------------------------------------------------------------

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take ``critic_steps`` critic steps and one generator step on the last batch of fakes."""
        recipe = self._recipe
        done = index / self.total_steps
        rise = min(1.0, done / recipe.warm_up + 0.01) if recipe.warm_up else 1.0
        if self._pace is not None:
            done = self._pace(done)
        self._progress = done
        share = rise * falling_rate(done, recipe.flat, recipe.last) * self._scale
        set_rate(self._generator_optimizer, share * recipe.learning_rate)
        set_rate(self._critic_optimizer, share * (recipe.critic_rate or recipe.learning_rate))
        losses: dict[str, Tensor] = {}
        for turn in range(recipe.critic_steps):
            batch = self._batches.draw(self._n, self._rng)
            with torch.set_grad_enabled(turn == recipe.critic_steps - 1), self._precision():
                fake = self._draw(batch, self._rng).float()
            shown = fake.detach() if self._pool is None else self._pool.exchanged(fake.detach(), self._rng)
            losses["critic"], real_scores = self._improve_critic(batch, shown)
        losses |= self._improve_generator(batch, fake, real_scores)
        self._average.update(index)
        self._adapt()
        self._done = index + 1
        return losses

    def _precision(self) -> torch.autograd.grad_mode.no_grad:
        # bfloat16 convolutions are slower than float32 ones on processors without matrix units (measured)
        return reduced_precision(self._device, self._device.type == "cuda")  # type: ignore[return-value]

    def _scores(self, images: Tensor, batch: Batch) -> Tensor:
        with self._precision():
            scores: Tensor = self._critic(images, batch.labels, batch.context)
        return scores.float()

    def _changed(self, images: Tensor) -> Tensor:
        return augmented(images, self._recipe.augment, self._chance, self._rng, self._spec.channels)

    def _improve_critic(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Take one critic step; its loss and the real scores it had, both without gradient."""
        real, fake = self._changed(batch.images), self._changed(fake)
        real_scores, fake_scores = self._scores(real, batch), self._scores(fake, batch)
        loss = self._loss.critic_loss(real_scores, fake_scores)
        total = loss
        for term in self._recipe.penalties:
            every = term.interval(self._spec.nd)
            if term.name != "clipping" and self._critic_done % every == 0:
                total = total + every * self._penalty(term, real, fake, batch)
        self._critic_optimizer.zero_grad()
        torch.autograd.backward(total)
        self._critic_optimizer.step()
        for term in self._recipe.penalties:
            if term.name == "clipping":
                clip_weights(self._critic.parameters(), term.weight)
        self._critic_done += 1
        if self._recipe.augment.probability is None:
            self._sureness.append(real_scores.detach().sign().mean())
        return loss.detach(), real_scores.detach()

    def _penalty(self, term: PenaltyTerm, real: Tensor, fake: Tensor, batch: Batch) -> Tensor:
        """Weighted penalty on a share of the batch, in float32."""
        some = max(1, round(term.share * len(real)))
        labels = None if batch.labels is None else batch.labels[:some]
        context = None if batch.context is None else batch.context[:some]

        def critic(images: Tensor) -> Tensor:
            scores: Tensor = self._critic(images, labels, context)
            return scores if scores.dim() == 1 else scores.mean(1)

        weight = term.weight or automatic_gamma(self._spec.size, self._n)
        weight *= float(term.last**self._progress)
        if term.name == "interpolated":
            return weight * interpolated_gradient(critic, real[:some], fake[:some], self._rng)
        weight *= volume_share(self._spec)
        mean = squared_gradient(critic, real[:some])
        if term.name == "zero-centred":
            mean = mean + squared_gradient(critic, fake[:some])
        return weight / 2 * mean

    def _improve_generator(self, batch: Batch, fake: Tensor, real_scores: Tensor) -> dict[str, Tensor]:
        """Take one generator step against the critic as it is now; its losses without gradient."""
        self._critic.requires_grad_(False)
        loss = self._loss.generator_loss(real_scores, self._scores(self._changed(fake), batch))
        losses, total = {"generator": loss.detach()}, loss
        for name, term in self._auxiliary.items():
            value = term(batch, fake)
            losses[name] = value.detach()
            total = total + self._recipe.weight_of(name) * value
        self._critic.requires_grad_(True)
        self._generator_optimizer.zero_grad()
        torch.autograd.backward(total)
        self._generator_optimizer.step()
        return losses

    def _adapt(self) -> None:
        """Adapt the probability of changes every few steps, from how sure the critic was."""
        if len(self._sureness) < 8:
            return
        sureness = float(torch.stack(self._sureness).mean())
        shown = len(self._sureness) * self._n
        self._chance = adapted(self._chance, sureness, self._recipe.augment.target, shown)
        self._sureness.clear()

    # -- the rest of the Stage protocol -------------------------------------------------------------------------------

    @property
    def critic(self) -> nn.Module:
        """The critic as it is."""
        return self._critic

    def evaluate(self) -> float:
        """Score the averaged weights with the caller's held-out score, and show samples of them."""
        with self._average.applied(), torch.no_grad():
            self._generator.eval()
            score = self._score(self._generator)
            if self._samples is not None:
                self._samples(self._done, self._generator)
            self._generator.train()
        return score

    def snapshot(self) -> Tensors:
        """Copy the averaged weights of the generator."""
        return self._average.weights()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Make a snapshot both the weights and their average."""
        self._average.reset(weights)

    def _players(self) -> Players:
        return Players(
            self._trained, self._average, self._critic, self._critic_optimizer, self._generator_optimizer, self._rng
        )

    def state(self) -> tuple[Values, Tensors]:
        """Return weights, averages, moments, former fakes and the position in the stream of random numbers."""
        values: Values = {
            "scale": self._scale,
            "done": self._done,
            "critic_done": self._critic_done,
            "chance": self._chance,
            "sureness": [float(value) for value in self._sureness],
        }
        tensors = self._players().tensors()
        if self._pool is not None:
            tensors |= self._pool.tensors()
        return values, tensors

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        self._scale, self._chance = float(values["scale"]), float(values["chance"])
        self._done, self._critic_done = int(values["done"]), int(values["critic_done"])
        self._sureness = [torch.tensor(value, device=self._device) for value in values["sureness"]]
        self._players().load(tensors)
        if self._pool is not None:
            self._pool.load(tensors)

    def recover(self) -> None:
        """Halve the learning rate and start again with a new critic: the old one may hold the broken numbers."""
        self._scale /= 2
        self._critic = self._make_critic(self._random.torch("critic-after-recovery", self._device))
        self._sureness.clear()
        self._start_optimizers()
