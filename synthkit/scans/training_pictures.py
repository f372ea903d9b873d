"""Pictures of what a generator draws while it is trained: the same noise every time, one grid per held-out score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from synthkit.archive import atomic_path
from synthkit.io.png import png_bytes
from synthkit.random import RandomSource
from synthkit.scans.space import ScanSpace

_COLUMNS, _ROWS = 8, 4


class TrainingPictures:
    """Writes ``step-000500.png`` and so on into a folder.

    Parameters
    ----------
    folder
        Made if it is not there.
    space
        Of the scans. Volumes are shown by their middle slice.
    random
        Source of the noise.
    """

    def __init__(self, folder: str | Path, space: ScanSpace, random: RandomSource) -> None:
        self._folder, self._space, self._random = Path(folder), space, random.child("pictures")
        self._folder.mkdir(parents=True, exist_ok=True)

    @torch.no_grad()
    def __call__(self, step: int, generator: nn.Module) -> None:
        """Draw and write one picture; classes go by column."""
        device = next(generator.parameters()).device
        n = _COLUMNS * _ROWS
        noise = generator.draw(n, self._random.torch("noise")).to(device)  # type: ignore[operator]
        labels = None
        if self._space.classes:
            labels = torch.arange(n, device=device) % _COLUMNS % len(self._space.classes)
        drawn = generator(noise, labels).float().cpu()[:, 0]
        if drawn.dim() == 4:
            drawn = drawn[:, drawn.shape[1] // 2]
        grey = ((drawn.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
        rows, columns = grey.shape[1:]
        grid = grey.reshape(_ROWS, _COLUMNS, rows, columns).transpose(0, 2, 1, 3).reshape(_ROWS * rows, -1)
        path = self._folder / f"step-{step:06d}.png"
        with atomic_path(path) as temporary:
            temporary.write_bytes(png_bytes(np.ascontiguousarray(grid)))
