"""The critic's loss of one private record: real term, fake term and penalty in one number, so that it is clipped once.

A record is a triple: the real record, the one fake it is paired with, and a share that places its own interpolate on
the line between the two. Its loss depends on no other record of the batch, and so does its gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor
from torch.func import grad

from synthkit.errors import InputError, unknown_name
from synthkit.gan.adversary import Penalty
from synthkit.gan.losses import loss_named

ROOT = 1e-12  # under the root of a norm, which has no derivative at zero; the same as in gan/penalties.py


@dataclass(frozen=True)
class RecordLoss:
    """What the critic minimises on one record.

    Attributes
    ----------
    game
        A name in `synthkit.gan.losses.LOSSES`. All of them are means of one term per record.
    penalty, weight
        What keeps the critic smooth, as in `synthkit.gan.adversary.AdversarySettings`: "interpolated" is
        ``weight (|u| - 1)^2`` for the gradient u of the score at the record's interpolate; "zero-centred" is
        ``weight / 2`` times the squared gradient norms at the real record and at its fake (R1 + R2); "clipping" bounds
        all weights of the critic by ``weight`` after each step; "none".
    slack
        Where the interpolated penalty stops growing as a square and goes on as a straight line (Huber): a few steep
        records must not use up the clipping norm of all. ``inf`` is the plain penalty of Gulrajani (2017).
    drift
        Weight of the squared mean of real and fake score. It changes no difference of scores, but fixes where zero is
        for games that only compare, so that a fake that scores below zero is one that the critic knows.

    Raises
    ------
    InputError
        When a name is unknown or a weight is negative or not a number.
    """

    game: str = "wgan-gp"
    penalty: Penalty = "interpolated"
    weight: float = 10.0
    slack: float = 1.0
    drift: float = 0.0

    def __post_init__(self) -> None:
        loss_named(self.game)
        if self.penalty not in get_args(Penalty):
            raise InputError(unknown_name("penalty", self.penalty, get_args(Penalty)))
        for name, least in (("weight", 0.0), ("slack", 0.0), ("drift", 0.0)):
            value = getattr(self, name)
            if math.isnan(value) or value < least or (math.isinf(value) and name != "slack"):
                raise InputError(f"the {name} of a critic's loss must be a number >= {least:g}, got {value}")

    def of_scores(self, real: Tensor, fake: Tensor) -> Tensor:
        """Mean over records of what depends on the scores ``[B]`` alone."""
        value = loss_named(self.game).critic_loss(real, fake)
        if self.drift:
            value = value + self.drift * (0.5 * (real + fake)).square().mean()
        return value

    def of_gradient(self, squared_norm: Tensor) -> Tensor:
        """Penalty ``[...]`` of squared norms ``[...]`` of the input gradient at one point."""
        if self.penalty == "interpolated":
            off = (squared_norm + ROOT).sqrt() - 1
            inside = off.clamp(-self.slack, self.slack)
            return self.weight * (2 * off - inside) * inside
        return 0.5 * self.weight * squared_norm

    def score_slopes(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Derivatives ``[B]`` of each record's loss by its real and by its fake score."""
        with torch.enable_grad():
            leaves = real.detach().requires_grad_(True), fake.detach().requires_grad_(True)
            slopes = torch.autograd.grad(self.of_scores(*leaves) * len(real), leaves)
        return slopes[0], slopes[1]

    def gradient_slope(self, squared_norm: Tensor) -> Tensor:
        """Coefficient c ``[...]`` with ``d penalty = c <u, du>``, given the squared norm of u."""
        if self.penalty == "interpolated":
            norm = (squared_norm + ROOT).sqrt()
            return 2 * self.weight * (norm - 1).clamp(-self.slack, self.slack) / norm
        return torch.full_like(squared_norm, self.weight)

    def of_record(self, score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
        """Loss of one record, a scalar that `torch.func` can differentiate.

        Parameters
        ----------
        score
            Score, a scalar, of what a critic sees of one row ``[F]``.
        real, fake
            The record and its fake, ``[F]``.
        share
            Share of the real record in the interpolate, a scalar.
        """
        return self.of_scores(score(real)[None], score(fake)[None]) + self.of_points(score, real, fake, share)

    def of_points(self, score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
        """Penalty of one record, a scalar; parameters as in `of_record`, which adds it to what the scores cost."""
        if self.penalty == "interpolated":
            points = [torch.lerp(fake, real, share)]
        elif self.penalty == "zero-centred":
            points = [real, fake]
        else:
            points = []
        value = real.new_zeros(())
        for point in points:
            value = value + self.of_gradient(grad(score)(point).square().sum())
        return value
