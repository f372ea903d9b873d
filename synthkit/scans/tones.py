"""Tones: the last small step of a generator, which gives its values the distribution that those of real scans have.

A generator draws the background of a scan within a grey level or two of its true value, and nothing makes it exact; in
real scans it *is* exact (air in a reconstruction, padding, black film). A rising map of values, one for each class and
channel, takes drawn values to the real ones of the same rank: what lies around a value that many samples have becomes
that value, and everything else hardly moves. It is the raking of margins of tables, for intensities.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from synthkit.gan.images.nets import TONES

if TYPE_CHECKING:
    from collections.abc import Callable

    from synthkit.gan.images.nets import Generator
    from synthkit.random import RandomSource
    from synthkit.scans.context import FitContext
    from synthkit.scans.unit_images import UnitImages

_VALUES = 2**20  # of each class and channel, on either side
_LEAST, _MOST = 32, 256  # scans of a class
_AT_ONCE = 2**21  # samples


def rising_map(
    real: NDArray[np.float32], drawn: NDArray[np.float32], knots: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return where values have to go, so that drawn ones get the distribution of real ones.

    Parameters
    ----------
    real, drawn
        Values of any number, one axis each, not empty.
    knots
        Rising values ``[q]`` at which the map is wanted.

    Returns
    -------
    ndarray
        ``[q]``, never falling, within the range of the real values: the real value of the rank (the mean of those of
        ties) that each knot has among the drawn ones.
    """
    ordered, target = np.sort(drawn), np.sort(real)
    ranks = (np.searchsorted(ordered, knots, "left") + np.searchsorted(ordered, knots, "right")) / (2 * len(ordered))
    wanted: NDArray[np.float32] = target[np.minimum((ranks * len(target)).astype(np.int64), len(target) - 1)]
    return wanted


def fit_tones(
    context: FitContext, generator: Generator, score: Callable[[Generator], float], before: float
) -> dict[str, float]:
    """Give a generator its tones, if held-out scans then look more like its own.

    Parameters
    ----------
    context
        The training scans; where to work.
    generator
        Trained. It is changed in place.
    score
        Held-out score, higher is better.
    before
        That of the generator as it is.

    Returns
    -------
    dict
        The held-out score ``before`` and ``after``, and whether the tones were ``kept``.
    """
    generator.eval()
    generator.tones.copy_(torch.from_numpy(_found(context.training, generator, context.random.child("tones"))))
    after = score(generator)
    kept = after > before
    if not kept:
        generator.tones.zero_()
    generator.train()
    return {"before": before, "after": after, "kept": float(kept)}


@torch.no_grad()
def _found(training: UnitImages, generator: Generator, random: RandomSource) -> NDArray[np.float32]:
    """Return the differences between the rising maps and their knots, ``[kinds, channels, knots]``."""
    kinds, channels, size = len(generator.tones), generator.spec.channels, math.prod(training.size)
    knots = np.linspace(-1, 1, TONES)
    rng, noise = random.numpy("scans"), random.torch("noise")
    n = max(_LEAST, min(_MOST, _AT_ONCE // size))
    found = np.zeros((kinds, channels, TONES), np.float32)
    for kind in range(kinds):
        rows = np.arange(len(training))
        if generator.table is not None and training.labels is not None:
            rows = rows[training.labels == kind]
        if not len(rows):
            continue
        chosen = rng.permutation(rows)[:n]
        real = training.batch(chosen)[:, :channels].numpy()
        labels = None if generator.table is None else torch.full((n,), kind)
        drawn = _drawn(generator, n, labels, noise, max(1, _AT_ONCE // (4 * size)))
        for channel in range(channels):
            own, made = (_some(part[:, channel].reshape(-1), rng) for part in (real, drawn))
            found[kind, channel] = rising_map(own, made, knots) - knots
    return found


def _drawn(
    generator: Generator, n: int, labels: torch.Tensor | None, noise: torch.Generator, batch: int
) -> NDArray[np.float32]:
    device = generator.tones.device
    parts = []
    for start in range(0, n, batch):
        given = generator.draw(min(batch, n - start), noise).to(device)
        own = None if labels is None else labels[start : start + batch].to(device)
        parts.append(generator(given, own).float().cpu().numpy())
    return np.concatenate(parts)[:, : generator.spec.channels]


def _some(values: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    return values if len(values) <= _VALUES else rng.choice(values, _VALUES, replace=False)
