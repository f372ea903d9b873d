"""What every stage with a critic and a generator shares: settings by the name of a loss, learning rates and state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from synthkit.errors import InputError, unknown_name
from synthkit.gan.ema import WeightAverage
from synthkit.gan.losses import LOSSES
from synthkit.gan.state import (
    Tensors,
    copy_into,
    pack_module,
    pack_optimizer,
    pack_tensors,
    pick_tensors,
    unpack_module,
    unpack_optimizer,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)


def changed_settings(known: Mapping[str, Settings], loss: str, changes: Mapping[str, Any], *, of: str) -> Settings:
    """Return the usual settings of a loss with some of them changed.

    Parameters
    ----------
    known
        Usual settings of every loss.
    loss
        A name in `LOSSES`.
    changes
        New values by the name of the setting.
    of
        Whose settings they are, for messages.

    Raises
    ------
    InputError
        When there is no such loss or no such setting.
    """
    if loss not in known:
        raise InputError(unknown_name("loss", loss, LOSSES))
    usual = known[loss]
    names = [field.name for field in fields(usual)]
    for name in changes:
        if name not in names:
            raise InputError(unknown_name(f"setting of {of}", name, names))
    return replace(usual, **changes)


def falling_rate(done: float, flat: float, last: float) -> float:
    """Share of its height that a learning rate has: 1 until ``flat`` of the plan is done, then a cosine to ``last``."""
    if done < flat or flat >= 1:
        return 1.0
    return max(last, 0.5 * (1 + math.cos(math.pi * (done - flat) / (1 - flat))))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


@dataclass
class Players:
    """Everything of a game that a checkpoint keeps as tensors.

    Attributes
    ----------
    trained
        Parameters of the generator.
    average
        Moving average of these.
    critic
        Critic.
    critic_optimizer, generator_optimizer
        Their optimisers.
    random
        Generator of public random numbers.
    """

    trained: Sequence[Tensor]
    average: WeightAverage
    critic: nn.Module
    critic_optimizer: torch.optim.Optimizer
    generator_optimizer: torch.optim.Optimizer
    random: torch.Generator

    def tensors(self) -> Tensors:
        """Return weights, averages, moments and the position in the stream of random numbers."""
        numbered = [(str(i), tensor) for i, tensor in enumerate(self.trained)]
        tensors = pack_tensors("generator", numbered) | pack_module("critic", self.critic)
        tensors |= pack_tensors("average", self.average.weights().items())
        tensors |= pack_optimizer("critic-optimizer", self.critic_optimizer)
        tensors |= pack_optimizer("generator-optimizer", self.generator_optimizer)
        tensors["random"] = self.random.get_state()
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `tensors` was called."""
        numbered = [(str(i), tensor.detach()) for i, tensor in enumerate(self.trained)]
        copy_into(numbered, pick_tensors("generator", tensors))
        unpack_module("critic", self.critic, tensors)
        self.average.load(pick_tensors("average", tensors))
        unpack_optimizer("critic-optimizer", self.critic_optimizer, tensors)
        unpack_optimizer("generator-optimizer", self.generator_optimizer, tensors)
        self.random.set_state(tensors["random"])
