"""Scans held out from training, by patient, and how far generated scans are from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as nn_functional
from numpy.typing import NDArray
from torch import Tensor

from synthkit.random import RandomSource
from synthkit.scans.unit_images import UnitImages

_FILTERS = 32
_COARSEST = 8  # samples along the longest axis below which there is no further scale
_MOST_SCALES = 3
_SPREADS = (0.5, 1.0, 2.0)  # of the kernel, against the median distance of real scans
_FEWEST = 2  # scans that are held out, where there are patients enough
_MOST_AT_ONCE, _VALUES = 50, 2**24  # scans, and filtered values, that are in memory at once
MOST_SCORED = 400  # scans of each side


def held_out_share(n: int) -> float:
    """Return the share of the scans to hold out: about 500 scans, at least a twentieth, at most a tenth."""
    return min(0.1, max(0.05, 500 / max(n, 1)))


def split_by_patient(
    groups: NDArray[np.int64], share: float, rng: np.random.Generator, labels: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out some patients with all of their scans.

    Parameters
    ----------
    groups
        Patient of each scan as a number, ``[n]``.
    share
        Share of the scans to hold out, about: at least two scans where there are patients enough, and never all.
    rng
        Source of random numbers.
    labels
        Class of each scan: the share is held out of the patients of each class, by their first scan, but never the
        only patient of a class.

    Returns
    -------
    training, held_out : ndarray of int64
        Positions of scans, ascending. No patient is on both sides.
    """
    patients, first = np.unique(groups, return_index=True)
    strata = np.zeros(len(patients), np.int64) if labels is None else np.asarray(labels)[first]
    order = rng.permutation(len(patients))
    held: list[int] = []
    for stratum in np.unique(strata):
        own = [int(place) for place in order if strata[place] == stratum]
        held.extend(own[: min(round(share * len(own)), len(own) - 1)])
    left = [int(place) for place in order if int(place) not in held]
    out = np.isin(groups, patients[held])
    while out.sum() < _FEWEST and len(left) > 1:
        held.append(left.pop(0))
        out = np.isin(groups, patients[held])
    return np.flatnonzero(~out), np.flatnonzero(out)


class FixedFeatures:
    """Features of scans by convolutions that are drawn once and never trained.

    At up to three scales, random filters see the scan; what they find is kept as mean and spread in each of a few
    parts of the picture. That needs no weights of anybody, is the same for every modality and in 2-D and 3-D, and is
    enough to see blur, noise, wrong anatomy and missing variety (Naeem et al. 2020 score with random networks too).

    Parameters
    ----------
    channels
        Of the images.
    dimensions
        2 or 3.
    random
        Source of the filters.
    """

    def __init__(self, channels: int, dimensions: int, random: RandomSource) -> None:
        self._conv: Callable[..., Tensor] = nn_functional.conv3d if dimensions == 3 else nn_functional.conv2d
        self._pool: Callable[..., Tensor] = (
            nn_functional.adaptive_avg_pool3d if dimensions == 3 else nn_functional.adaptive_avg_pool2d
        )
        self._shrink: Callable[..., Tensor] = nn_functional.avg_pool3d if dimensions == 3 else nn_functional.avg_pool2d
        self._parts = 3 if dimensions == 3 else 4
        generator = random.torch("filters")
        filters = torch.randn(_FILTERS, channels, *([3] * dimensions), generator=generator)
        # half of them look at differences alone: brightness would drown everything else
        filters[: _FILTERS // 2] -= filters[: _FILTERS // 2].flatten(1).mean(1).view(-1, *([1] * (dimensions + 1)))
        self._filters = filters / filters.flatten(1).norm(dim=1).view(-1, *([1] * (dimensions + 1)))
        self._axes = tuple(range(2, dimensions + 2))

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return features ``[b, f]`` of images ``[b, channels, *size]`` in [-1, 1]."""
        found = []
        current = images.float()
        for scale in range(_MOST_SCALES):
            seen = self._conv(current, self._filters.to(current.device), padding=1).relu_()
            mean = self._pool(seen, self._parts)
            square = self._pool(seen.square_(), self._parts)
            found += [mean.flatten(1), (square - mean.square()).clamp_(min=0).sqrt().flatten(1)]
            if scale + 1 == _MOST_SCALES or max(current.shape[2:]) < 2 * _COARSEST or min(current.shape[2:]) < 6:
                break
            current = self._shrink(current, 2)
        return torch.cat(found, dim=1)


class HeldOutScore:
    """Minus the squared kernel distance (MMD) of generated scans to held-out ones, class by class.

    Two scans are compared only where they are of one class, so that the score is about scans and classes together. It
    is unbiased: 0 is as near as other real scans come, and it may be a little above.

    Parameters
    ----------
    held_out
        Scans that training does not see.
    random
        Source of filters, and of the choice of scans.
    most
        Scans to compare on each side.
    like
        More real scans, from which the spread of each feature is taken too; few held-out ones do not tell it.

    References
    ----------
    Gretton et al. 2012, A Kernel Two-Sample Test; Binkowski et al. 2018, Demystifying MMD GANs (KID).
    """

    def __init__(
        self, held_out: UnitImages, random: RandomSource, most: int = MOST_SCORED, *, like: UnitImages | None = None
    ) -> None:
        order = random.numpy("scored").permutation(len(held_out))[:most]
        self._features = FixedFeatures(held_out.channels, len(held_out.size), random)
        self._batch = max(1, min(_MOST_AT_ONCE, _VALUES // (_FILTERS * math.prod(held_out.size))))
        self.labels = None if held_out.labels is None else torch.from_numpy(held_out.labels[order])
        real = torch.cat([self._of(held_out.batch(part)) for part in self._parts(order)])
        known = real
        if like is not None:
            chosen = random.numpy("spread").permutation(len(like))[:most]
            known = torch.cat([real, *(self._of(like.batch(part)) for part in self._parts(chosen))])
        self._centre, self._scale = known.mean(0), known.std(0).clamp_(min=1e-4)
        self._real = self._whitened(real)
        distances = _distances(self._real, self._real)
        among = _distances(self._whitened(known), self._whitened(known))
        off = ~torch.eye(len(known), dtype=torch.bool)
        self._spread = among[off].median().clamp_(min=1e-6) if len(known) > 1 else torch.tensor(1.0)
        self._same = self._same_class(self.labels)
        own = self._kernel(distances)
        self._within_real = _off_diagonal_mean(own, self._same)

    def __len__(self) -> int:
        """Return the number of scans on each side."""
        return len(self._real)

    def __call__(self, draw: Callable[[int, Tensor | None], Tensor]) -> float:
        """Score scans that are drawn here.

        Parameters
        ----------
        draw
            Given a number and the classes ``[b]`` (or None), returns scans ``[b, channels, *size]``; with the
            same random numbers at every call of the score.
        """
        found = []
        for start in range(0, len(self), self._batch):
            labels = None if self.labels is None else self.labels[start : start + self._batch]
            found.append(self._of(draw(min(self._batch, len(self) - start), labels).cpu()))
        return self.of_features(torch.cat(found))

    def of_real(self, real: UnitImages, rng: np.random.Generator) -> float:
        """Score other real scans, as many of each class: what a perfect generator gets, up to chance."""
        order = rng.permutation(len(real))
        if self.labels is None or real.labels is None:
            chosen = np.resize(order, len(self))
        else:
            own = {int(one): order[real.labels[order] == one] for one in torch.unique(self.labels)}
            chosen = np.empty(len(self), np.int64)
            for label, places in own.items():
                wanted = np.flatnonzero(self.labels.numpy() == label)
                chosen[wanted] = np.resize(places, len(wanted)) if len(places) else order[: len(wanted)]
        return self.of_features(torch.cat([self._of(real.batch(part)) for part in self._parts(chosen)]))

    def of_features(self, fake: Tensor) -> float:
        """Score features ``[len(self), f]`` of scans whose classes are `labels`."""
        seen = self._whitened(fake)
        across = self._kernel(_distances(self._real, seen))
        within = self._kernel(_distances(seen, seen))
        weight = self._same.float()
        between = float((across * weight).sum() / weight.sum())
        distance = self._within_real + _off_diagonal_mean(within, self._same) - 2 * between
        return -distance

    def _parts(self, positions: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        for start in range(0, len(positions), self._batch):
            yield positions[start : start + self._batch]

    def _of(self, images: Tensor) -> Tensor:
        return self._features(images)

    def _whitened(self, features: Tensor) -> Tensor:
        return (features - self._centre) / self._scale

    def _kernel(self, distances: Tensor) -> Tensor:
        """Return the sum of rational quadratic kernels, which are 1 at distance 0 and see far scans too."""
        relative = distances / self._spread
        kernels = torch.stack([1.0 / (1.0 + relative / spread) for spread in _SPREADS])
        return kernels.mean(0)

    def _same_class(self, labels: Tensor | None) -> Tensor:
        if labels is None:
            return torch.ones(len(self._real), len(self._real), dtype=torch.bool)
        return labels[:, None] == labels[None, :]


def _distances(one: Tensor, other: Tensor) -> Tensor:
    """Return squared distances ``[a, b]``."""
    return torch.cdist(one, other).square()


def _off_diagonal_mean(kernel: Tensor, same: Tensor) -> float:
    """Return the mean over pairs of different scans of one class; that of all pairs where there are no such pairs."""
    pairs = same & ~torch.eye(len(kernel), dtype=torch.bool)
    chosen = pairs if pairs.any() else same
    return float(kernel[chosen].mean())
