"""Building blocks of critics and generators, initialised from a generator that is passed in."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Make an affine layer with PyTorch's own initialisation (He 2015, uniform), drawn from ``generator``."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device=generator.device)
    bound = 1 / math.sqrt(max(inputs, 1))
    with torch.no_grad():
        layer.weight.copy_((torch.rand(outputs, inputs, generator=generator, device=generator.device) * 2 - 1) * bound)
        layer.bias.copy_((torch.rand(outputs, generator=generator, device=generator.device) * 2 - 1) * bound)
    return layer


class GrowingBlock(nn.Module):
    """A residual block by concatenation (Xu 2019): affine, layer norm, SiLU, and the input appended.

    Maps ``[B, inputs]`` to ``[B, width + inputs]``. Layer norm, not batch norm: no record depends on another one.
    """

    def __init__(self, inputs: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.affine = linear(inputs, width, generator)
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the block."""
        return torch.cat([functional.silu(self.norm(self.affine(inputs))), inputs], 1)


def reduced_precision(device: torch.device, enabled: bool = True) -> AbstractContextManager[object]:
    """Autocast of matrix products to bfloat16 where the hardware multiplies it faster, else nothing.

    CUDA devices with bfloat16 and processors with AVX-512 BF16 or AMX gain about a third of a training step; others
    would emulate it and lose.
    """
    if enabled:
        if device.type == "cuda":
            enabled = torch.cuda.is_bf16_supported()
        elif device.type == "cpu":
            able = torch.cpu.get_capabilities()
            enabled = bool(able.get("avx512_bf16") or able.get("amx_bf16"))
        else:
            enabled = False
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
