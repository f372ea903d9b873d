"""A generator of scans from one noisy release: the mean of random features of each class, and how many scans it has.

Every scan is turned into a long vector of norm 1 at most by a network that is drawn once and never trained. The sums of
these vectors over the scans of each class are released with noise, once; then a generator is trained until its fakes
have the same means. Training is post-processing: it may take as long as it likes and look at the release as often as it
likes. With a kernel in place of the features this is a maximum mean discrepancy (Harder, Adamczewski and Park, 2021,
DP-MERF).

The noise is exact. Vectors are rounded towards zero to whole multiples of 2^-18, which never makes one longer, what is
longer than 1 all the same is left out, and the sums get the discrete Gaussian, whole numbers too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from synthkit.gan.images.blocks import halve
from synthkit.privacy.events import Event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.image_critic import Seen
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.scan_plan import COUNT_SHARE, STEPS_PER_SCAN
from synthkit.random import RandomSource

_AT_ONCE = 128  # scans whose features are computed at once
_CONVOLUTION = {2: functional.conv2d, 3: functional.conv3d}
_COARSE, _COARSER, _GRID = 16, 8, 4  # samples along the shortest axis of what the parts of a vector look at, at most


@dataclass(frozen=True)
class EmbeddingSettings:
    """What the random features look at.

    Attributes
    ----------
    filters
        Random filters in the first and in the second layer, at each scale of the scan.
    scales
        Scales of the scan that filters look at, each with half the samples of the one before.
    waves
        Random waves over the coarse scan: cosines of random directions, as in DP-MERF.
    widths
        Bandwidths of the waves, in turn.
    gains
        Length of the coarse scan, of the waves, and of what filters find: about, in a vector whose length is cut to 1.
    """

    filters: tuple[int, int] = (16, 32)
    scales: int = 3
    waves: int = 2_000
    widths: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    gains: tuple[float, float, float] = (0.3, 0.4, 0.8)


class RandomFeatures(nn.Module):
    """Random features of scans in two and three dimensions, drawn once from a public stream.

    Three parts: the scan itself, coarse; random waves over it, coarser still, which together tell distributions of
    coarse scans apart; and what two layers of random filters without a mean find at several scales, its modulus and its
    square in each part of the scan, as in a scattering transform: edges and texture.

    Parameters
    ----------
    shape
        ``(channels, *size)`` of a scan.
    random
        Where the weights come from. They are public: the same seed gives the same features, whatever the scans.
    settings
        What to look at.

    References
    ----------
    Rahimi and Recht (2007), Random features for large-scale kernel machines; Bruna and Mallat (2013), Invariant
    scattering convolution networks.
    """

    def __init__(self, shape: tuple[int, ...], random: RandomSource, settings: EmbeddingSettings | None = None) -> None:
        super().__init__()
        self._settings = settings = settings or EmbeddingSettings()
        channels, self._nd = shape[0], len(shape) - 1
        rng = random.torch("random features")
        inputs = _coarser(torch.zeros(1, *shape), _COARSER).numel()
        directions = torch.randn(inputs, settings.waves, generator=rng) / math.sqrt(inputs)
        widths = torch.tensor([settings.widths[i % len(settings.widths)] for i in range(settings.waves)])
        self.register_buffer("directions", directions * widths)
        self.register_buffer("phases", torch.rand(settings.waves, generator=rng) * 2 * math.pi)
        first, second = settings.filters
        for layer, (inputs, width) in enumerate(((channels, first), (first, second))):
            drawn = torch.randn(width, inputs, *[3] * self._nd, generator=rng)
            flat = drawn.flatten(2)
            drawn = (flat - flat.mean(2, keepdim=True)).reshape(drawn.shape)
            norms = drawn.flatten(1).norm(dim=1).view(-1, *[1] * (self._nd + 1))
            self.register_buffer(f"filter{layer}", drawn / norms)
        with torch.no_grad():
            self.dimensions = int(self(torch.zeros(1, *shape)).shape[1])

    def forward(self, images: Tensor) -> Tensor:
        """Return features ``[B, dimensions]`` of scans ``[B, channels, *size]``, of norm 1 at most up to rounding."""
        coarse, waves, filters = self._settings.gains
        seen = _coarser(images, _COARSE).flatten(1)
        parts = [seen * (coarse / math.sqrt(seen.shape[1]))]
        if waves:
            phases = _coarser(images, _COARSER).flatten(1) @ self.get_buffer("directions") + self.get_buffer("phases")
            parts.append(torch.cos(phases) * (waves * math.sqrt(2 / phases.shape[1])))
        if filters:
            found = self._filtered(images)
            parts += [part * (filters / math.sqrt(len(found) * part.shape[1])) for part in found]
        vectors = torch.cat(parts, 1)
        cut: Tensor = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1.0)
        return cut

    def _filtered(self, images: Tensor) -> list[Tensor]:
        """What random filters find in each part of the scan, ``[B, F]`` for each scale, layer and power."""
        convolve, found = _CONVOLUTION[self._nd], []
        for scale in range(self._settings.scales):
            if scale:
                images = halve(images)
            values = convolve(images, self.get_buffer("filter0"), padding=1).abs()
            found += self._parts(values)
            if min(images.shape[2:]) < 2 * _GRID:
                break
            found += self._parts(convolve(halve(values), self.get_buffer("filter1"), padding=1).abs())
        return found

    def _parts(self, values: Tensor) -> list[Tensor]:
        """Mean and mean square in each part of the scan; a response of 1/2 counts as 1."""
        return [_coarser(one, _GRID).flatten(1) for one in (2 * values, 4 * values.square())]


def _coarser(images: Tensor, most: int) -> Tensor:
    """Halve images until their shortest axis has at most so many samples."""
    while min(images.shape[2:]) > most:
        images = halve(images)
    return images


@dataclass(frozen=True)
class NoisyEmbedding:
    """What was released of the scans.

    Attributes
    ----------
    means
        Mean features of each class, ``[K, D]`` float32; one class where there are none.
    counts
        Noisy number of units of each class ``[K]``, at least 1; a unit with scans of several classes counts in parts.
    error
        Standard deviation of the noise in each coordinate of a class's mean ``[K]``.
    """

    means: Tensor
    counts: Tensor
    error: Tensor

    @property
    def trust(self) -> Tensor:
        """Weight of each class: near 1 where the noise is short against a vector of norm 1, near 0 where it is long."""
        noise = self.means.shape[1] * self.error.double().square()
        return (1 / (1 + noise)).float()


def release_embedding(
    rows: PrivateRows,
    event: Event,
    features: RandomFeatures,
    see: Seen,
    noise: NoiseSource,
    *,
    classes: int = 0,
    device: str = "cpu",
) -> NoisyEmbedding:
    """Release the mean features of each class and its number of units, with noise, once.

    Parameters
    ----------
    rows
        The private scans: "images" ``[n, channels, *size]``, "parts" ``[n]`` (of how many scans of its unit each is
        one) and, with classes, "labels" ``[n]``; a scan with a label below zero counts nowhere.
    event
        From `synthkit.privacy.scan_plan.embedding_event`.
    features
        Public random features.
    see
        From stored images to [-1, 1], scan by scan, from public facts.
    noise
        Where the noise comes from.
    classes
        Declared classes; 0 for none.
    device
        Where features are computed.

    Privacy
    -------
    Adjacency: add or remove one unit (a patient with all scans). Each scan contributes a vector of whole numbers of
    norm at most 2^18 over the number of scans of its unit, so that a unit contributes at most 2^18 to the sums of all
    classes together, counts included: the sensitivity that the event states. The noise is the discrete Gaussian.

    References
    ----------
    Harder, Adamczewski and Park (2021), DP-MERF; Canonne, Kamath and Steinke (2020), The discrete Gaussian.
    """
    rows_of = max(classes, 1)
    with rows.reading(event) as data:
        total = embedding_sums(data, features, see, rows_of, device)
        sigma = (event.noise_multiplier or math.inf) * event.sensitivity
        noisy = (total + noise.discrete_gaussian(sigma, total.shape)).astype(np.float64)
    return from_sums(noisy, sigma)


def embedding_sums(
    data: Mapping[str, NDArray[Any]], features: RandomFeatures, see: Seen, classes: int, device: str = "cpu"
) -> NDArray[np.int64]:
    """Sums over the scans of each class of whole-number vectors ``[K, D + 1]``; the last is the count. Private."""
    images, parts = data["images"], data["parts"]
    labels = data["labels"] if "labels" in data else np.zeros(len(images), np.int64)
    counted = np.flatnonzero((labels >= 0) & (labels < classes))
    total = np.zeros((classes, features.dimensions + 1), np.int64)
    for start in range(0, len(counted), _AT_ONCE):
        here = counted[start : start + _AT_ONCE]
        with torch.no_grad():
            found = features(see(images[here]).to(device)).cpu()
        np.add.at(total, labels[here], whole_vectors(found, parts[here]))
    return total


def whole_vectors(found: Tensor, parts: NDArray[Any]) -> NDArray[np.int64]:
    """Return features ``[B, D]`` and a count as whole numbers ``[B, D + 1]``, of norm at most 2^18 / parts.

    Parameters
    ----------
    found
        Of norm about 1.
    parts
        Number of scans of the unit that each belongs to ``[B]``, at least 1.

    Returns
    -------
    ndarray of int64
        Rounded towards zero, times 2^18 / parts. Zeros where that is longer than it may be or no number: the bound is
        checked in whole numbers, so that it holds for the program and not only on paper.
    """
    scaled = found.double().numpy() * math.sqrt(1 - COUNT_SHARE) * (1 - 1e-6)
    scaled = np.concatenate([scaled, np.full((len(scaled), 1), math.sqrt(COUNT_SHARE))], axis=1)
    scaled = np.where(np.isfinite(scaled).all(1, keepdims=True), scaled, 0.0)
    # a feature is 1 at most; a wild one would not fit whole numbers
    vectors = np.trunc(np.clip(scaled, -2.0, 2.0) * (STEPS_PER_SCAN / parts)[:, None]).astype(np.int64)
    times = parts.astype(np.int64)
    within = [int(own @ own) * int(n) ** 2 <= STEPS_PER_SCAN**2 for own, n in zip(vectors, times, strict=True)]
    vectors[~np.array(within, bool)] = 0
    return vectors


def from_sums(noisy: NDArray[np.float64], sigma: float) -> NoisyEmbedding:
    """Turn noisy sums ``[K, D + 1]`` into means and counts."""
    counts = np.maximum(noisy[:, -1] / (math.sqrt(COUNT_SHARE) * STEPS_PER_SCAN), 1.0)
    scale = counts * math.sqrt(1 - COUNT_SHARE) * STEPS_PER_SCAN
    means = noisy[:, :-1] / scale[:, None]
    return NoisyEmbedding(
        torch.from_numpy(means).float(), torch.from_numpy(counts).float(), torch.from_numpy(sigma / scale).float()
    )
