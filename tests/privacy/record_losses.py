"""Slow, obvious per-record gradients to compare the fast ones with, and critics to try them on."""

from __future__ import annotations

import copy

import torch
from torch import nn

from synthkit.gan.critics import Critic
from synthkit.gan.losses import loss_named
from synthkit.privacy.record_loss import RecordLoss

# every game with every penalty that goes with it
RECORD_LOSSES = {
    "wgan-gp": RecordLoss("wgan-gp", "interpolated", 10.0, slack=float("inf")),
    "wgan-gp, bounded": RecordLoss("wgan-gp", "interpolated", 10.0, slack=0.3),
    "wgan": RecordLoss("wgan", "clipping", 0.03),
    "relativistic, R1 + R2": RecordLoss("relativistic", "zero-centred", 0.3),
    "relativistic, interpolated": RecordLoss("relativistic", "interpolated", 1.0),
    "vanilla": RecordLoss("vanilla", "none", 0.0),
    "vanilla, R1 + R2": RecordLoss("vanilla", "zero-centred", 5.0),
    "wgan-gp, drift": RecordLoss("wgan-gp", "interpolated", 10.0, drift=0.1),
}


def a_critic(features, width=16, depth=2, seed=0, scale=2.0):
    """A critic with weights large enough for steep and flat places."""
    critic = Critic(features, generator=torch.Generator().manual_seed(seed), width=width, depth=depth, fast=False)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.mul_(scale)
    return critic


def a_batch(records, features, seed=0):
    """Real rows, fakes and shares."""
    source = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(2, records, features, generator=source)
    return real, fake, torch.rand(records, 1, generator=source)


def loss_of_record(critic, loss, real, fake, share):
    """The loss of one record ``[1, F]`` as papers write it, by autograd with a double backward."""
    value = loss_named(loss.game).critic_loss(critic(real), critic(fake))
    if loss.drift:
        value = value + loss.drift * ((critic(real) + critic(fake)) / 2).square().sum()
    if loss.penalty == "interpolated":
        point = (share * real + (1 - share) * fake).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(point).sum(), point, create_graph=True)
        off = (slope.square().sum() + 1e-12).sqrt() - 1
        steep = loss.slack * (2 * off.abs() - loss.slack) if off.abs() > loss.slack else off.square()
        value = value + loss.weight * steep
    if loss.penalty == "zero-centred":
        for row in (real, fake):
            point = row.clone().requires_grad_(True)
            (slope,) = torch.autograd.grad(critic(point).sum(), point, create_graph=True)
            value = value + loss.weight / 2 * slope.square().sum()
    return value


def gradients_by_loop(critic, loss, real, fake, share):
    """Gradient of every record, ``[B, *shape]`` per parameter, one backward pass per record."""
    parameters = list(critic.parameters())
    rows = []
    for i in range(len(real)):
        one = slice(i, i + 1)
        value = loss_of_record(critic, loss, real[one], fake[one], share[one])
        found = torch.autograd.grad(value, parameters, allow_unused=True)
        rows.append([torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)])
    return [torch.stack([row[k] for row in rows]) for k in range(len(parameters))]


def norms_of(gradients):
    """Norm of every record's gradient ``[B]``."""
    return torch.stack([tensor.double().flatten(1).square().sum(1) for tensor in gradients]).sum(0).sqrt()


def relative_error(found, expected):
    """Distance of two lists of tensors, relative to the second."""
    apart = sum(float((a.double() - b.double()).square().sum()) for a, b in zip(found, expected, strict=True))
    length = sum(float(b.double().square().sum()) for b in expected)
    return (apart / max(length, 1e-300)) ** 0.5


class Sequential(nn.Sequential):
    """Layers in a row, with scores ``[B]``."""

    def forward(self, rows):
        return super().forward(rows).squeeze(1)


def perceptron_like(critic, dtype=torch.float32):
    """The same function as a critic, of a type that does not take the ghost path, in any precision."""
    layers = []
    for layer in critic.hidden:
        layers += [layer, nn.LeakyReLU(0.2)]
    return copy.deepcopy(Sequential(*layers, critic.score)).to(dtype)


class TwoHeads(nn.Module):
    """A critic that is no plain perceptron: layer norm, a smooth activation and a product of two branches."""

    def __init__(self, features, width=8, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first = nn.Linear(features, width)
            self.norm = nn.LayerNorm(width)
            self.left = nn.Linear(width, 1)
            self.right = nn.Linear(width, 1)

    def forward(self, rows):
        hidden = nn.functional.silu(self.norm(self.first(rows)))
        return (self.left(hidden) * torch.tanh(self.right(hidden))).squeeze(1)
