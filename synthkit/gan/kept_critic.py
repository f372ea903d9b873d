"""A critic that outlives its game, to say of rows how far they look from real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from synthkit.gan.critics import Critic
from synthkit.gan.features import FeatureMap
from synthkit.gan.layout import Layout
from synthkit.random import RandomSource

_CHUNK = 8_192


class KeptCritic:
    """Scores rows with the critic of the last step of the game.

    Parameters
    ----------
    layout
        Columns in symbol space.
    critic
        Trained; on any device.
    conditions
        Columns that its condition input tells to be given; 0 for none. Rows are scored with nothing given.
    """

    def __init__(self, layout: Layout, critic: Critic, conditions: int) -> None:
        self._features = FeatureMap(layout)
        self._conditions = conditions
        self._critic = critic.cpu().eval()
        self._critic.fast = False

    @torch.no_grad()
    def scores(self, symbols: NDArray[np.int32], positions: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score of rows ``[n, C]``, higher for those that look real, ``[n]``."""
        found = np.empty(len(symbols))
        for start in range(0, len(symbols), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = torch.from_numpy(np.ascontiguousarray(symbols[part])).long()
            seen = self._features.real(rows, torch.from_numpy(np.ascontiguousarray(positions[part])))
            given = torch.zeros(len(rows), self._conditions) if self._conditions else None
            found[part] = self._critic(seen, given).double().numpy()
        return found

    def save_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings (JSON-safe) and arrays that rebuild it."""
        weights = {name: value.cpu().numpy() for name, value in self._critic.state_dict().items()}
        width = len(weights["hidden.0.bias"])
        settings = {"conditions": self._conditions, "width": width, "depth": len(self._critic.hidden)}
        return settings, weights

    @classmethod
    def from_saved(cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], layout: Layout) -> Self:
        """Inverse of `save_state`."""
        conditions = int(settings["conditions"])
        critic = Critic(
            FeatureMap(layout).width,
            # the starting weights are replaced at once, so any stream will do
            generator=RandomSource(0).torch("replaced"),
            conditions=conditions,
            width=int(settings["width"]),
            depth=int(settings["depth"]),
        )
        critic.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})
        return cls(layout, critic, conditions)
