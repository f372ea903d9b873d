"""Former fakes that the critic is shown again, so that it does not forget them (Shrivastava 2017)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from synthkit.gan.state import Tensors


class ImagePool:
    """Keeps some fakes; half of each batch is exchanged for kept ones.

    Parameters
    ----------
    size
        Fakes kept.
    form
        Shape of one, ``(channels, *size)``.
    device
        Where they are kept.
    """

    def __init__(self, size: int, form: tuple[int, ...], device: torch.device) -> None:
        self._kept = torch.zeros(size, *form, device=device)
        self._filled = torch.zeros((), dtype=torch.int64)

    def exchanged(self, fake: Tensor, random: torch.Generator) -> Tensor:
        """Return a batch in which about half are former fakes, and keep what was left out."""
        filled, size = int(self._filled), len(self._kept)
        room = min(size - filled, len(fake))
        if room:
            self._kept[filled : filled + room] = fake[:room]
            self._filled += room
            if filled == 0:
                return fake
        n = min(len(fake), max(filled, 1))
        places = torch.randperm(max(filled, 1), generator=random, device=fake.device)[:n]
        swap = torch.nonzero(torch.rand(n, generator=random, device=fake.device) < 0.5).squeeze(1)
        shown = fake.clone()
        shown[swap] = self._kept[places[swap]]
        self._kept[places[swap]] = fake[swap]
        return shown

    def tensors(self) -> Tensors:
        """Return what a checkpoint keeps."""
        return {"pool": self._kept.clone(), "pool-filled": self._filled.clone()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue with what `tensors` returned."""
        self._kept.copy_(tensors["pool"])
        self._filled.copy_(tensors["pool-filled"].reshape(()))
