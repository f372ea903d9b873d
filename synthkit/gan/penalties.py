"""What keeps a critic smooth: gradient penalties and weight clipping."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

Critic = Callable[[Tensor], Tensor]


def input_gradient(critic: Critic, inputs: Tensor) -> Tensor:
    """Gradient of each record's score with respect to the record, differentiable itself.

    Parameters
    ----------
    critic
        Scores ``[B]`` of inputs ``[B, ...]``; a record's score must not depend on the other records of the batch.
    inputs
        Where to take the gradient, ``[B, ...]``.
    """
    points = inputs.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(points).float().sum(), points, create_graph=True)
    return gradient


def squared_gradient(critic: Critic, inputs: Tensor) -> Tensor:
    """Mean squared norm of the input gradient (Mescheder 2018): R1 on real records, R2 on fakes.

    Multiply by gamma / 2 and add to the critic's loss. R3GAN (Huang 2024) adds R1 and R2.
    """
    return input_gradient(critic, inputs).square().flatten(1).sum(1).mean()


def interpolated_gradient(critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    """Mean squared distance of the gradient norm from 1 on lines between real and fake (Gulrajani 2017).

    Multiply by lambda (10 in the paper) and add to the critic's loss.
    """
    share = torch.rand(len(real), generator=generator, device=real.device, dtype=real.dtype)
    share = share.reshape(-1, *[1] * (real.dim() - 1))
    gradient = input_gradient(critic, torch.lerp(fake.detach(), real.detach(), share))
    # a small constant under the root: the norm has no derivative where the gradient is exactly zero
    return ((gradient.square().flatten(1).sum(1) + 1e-12).sqrt() - 1).square().mean()


@torch.no_grad()
def clip_weights(parameters: Iterable[Tensor], bound: float) -> None:
    """Clamp every weight into [-bound, bound], in place (Arjovsky 2017)."""
    for parameter in parameters:
        parameter.clamp_(-bound, bound)
