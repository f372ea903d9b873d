"""Between living training objects and what a checkpoint can hold: JSON-safe values and plain tensors.

Every pair here is exact: unpacking what was packed continues bit for bit (same parameters, same optimiser moments,
same position in every stream of random numbers).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthkit.plain_json import plain_json

Values = dict[str, Any]
Tensors = dict[str, Tensor]


def pack_tensors(prefix: str, tensors: Iterable[tuple[str, Tensor]]) -> Tensors:
    """Copy named tensors, detached, under ``prefix/name``."""
    return {f"{prefix}/{name}": tensor.detach().clone() for name, tensor in tensors}


def pick_tensors(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """Return the tensors that `pack_tensors` stored under ``prefix``, by their own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


@torch.no_grad()
def copy_into(targets: Iterable[tuple[str, Tensor]], source: Mapping[str, Tensor]) -> None:
    """Overwrite named tensors in place, so that optimisers and views that refer to them stay valid."""
    for name, target in targets:
        target.copy_(source[name].reshape(target.shape))


def module_tensors(module: torch.nn.Module) -> list[tuple[str, Tensor]]:
    """List parameters and persistent buffers of a module by name."""
    return list(module.state_dict(keep_vars=True).items())


def pack_module(prefix: str, module: torch.nn.Module) -> Tensors:
    """Copy all parameters and buffers of a module under ``prefix``."""
    return pack_tensors(prefix, module_tensors(module))


def unpack_module(prefix: str, module: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load what `pack_module` stored, in place."""
    copy_into(module_tensors(module), pick_tensors(prefix, tensors))


def pack_optimizer(prefix: str, optimizer: torch.optim.Optimizer) -> Tensors:
    """Copy moments and step counts of an optimiser; its settings (learning rate, betas) belong to the stage."""
    packed: Tensors = {}
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            packed[f"{prefix}/{index}/{name}"] = torch.as_tensor(value).detach().clone()
    return packed


def unpack_optimizer(prefix: str, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load what `pack_optimizer` stored into an optimiser over the same parameters in the same order."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in pick_tensors(prefix, tensors).items():
        index, name = key.split("/", 1)
        if name == "step":
            kept = tensor.detach().clone().reshape(())
        else:
            # moments lie in memory as their parameter does (channels last): fused optimisers go by that
            like = parameters[int(index)].detach()
            kept = torch.empty_like(like).copy_(tensor.reshape(like.shape))
        state.setdefault(int(index), {})[name] = kept
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def pack_generator(generator: np.random.Generator) -> Values:
    """Return the state of a numpy generator as JSON-safe values (its 128-bit integers are plain Python integers)."""
    state: Values = plain_json(generator.bit_generator.state)
    return state


def unpack_generator(generator: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Put a numpy generator of the same kind where `pack_generator` found it."""
    generator.bit_generator.state = dict(state)


def to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Return tensors as numpy arrays on the host, for the archive."""
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}


def to_tensors(arrays: Mapping[str, np.ndarray]) -> Tensors:
    """Return arrays of an archive as tensors of their own memory."""
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
