"""Nearest scans by normalised cross-correlation, whatever small shift, mirroring, brightness and contrast lie between.

The distance of two scans is one less their largest correlation over shifts of up to two samples along each axis, and
over mirroring left to right. A correlation does not change with brightness and contrast, so that a copy that was
shifted, mirrored, scaled or made noisy stays near. A coarse screen on averaged samples picks candidates; these are
measured on every sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from synthkit.auditing.neighbours import Neighbours
from synthkit.errors import InputError

Images = npt.NDArray[np.generic]

NEIGHBOURS = 10
SHIFT = 2
"""Samples by which scans are moved against each other, along each axis."""
MOST_SAMPLES = {2: 128, 3: 32}
"""Samples along an axis at most, in two and in three dimensions: larger scans are averaged first."""
# A shift moves no more than so much of the shortest axis.
_MOST_MOVED = 1 / 8
# Samples along the shortest axis in the screen. Fewer lose scans that are alike but for details.
_SCREENED = {2: 15, 3: 9}
# Candidates beyond those that are asked for, which are measured on every sample.
_SPARE = 22
_CELLS = 4_000_000
_BLOCK = 256
# Correlations that differ by less are equal up to rounding of single precision.
_ROUNDING = 2e-6
# A scan whose standard deviation is below this share of its largest value has one value only, up to rounding.
_FLAT = 1e-6


@dataclass(frozen=True)
class Search:
    """How scans are compared.

    Attributes
    ----------
    shift
        Samples by which scans are moved against each other at most, along each axis.
    mirrored
        Whether a scan that is mirrored left to right counts as the same.
    """

    shift: int = SHIFT
    mirrored: bool = True


def nearest_scans(
    queries: Images,
    base: Images,
    k: int = NEIGHBOURS,
    *,
    search: Search | None = None,
    apart: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None,
) -> Neighbours:
    """Return the nearest scans of each scan.

    Parameters
    ----------
    queries
        What is looked for, ``[n, channels, (slices,) rows, columns]``.
    base
        Where it is looked for, at least one scan of the same size.
    k
        Number of neighbours; fewer where there are fewer scans.
    search
        How scans are compared.
    apart
        A number for each query and for each scan of the base: those with equal numbers (of one patient) are no
        neighbours. Queries without any other scan have the distance 2 and the row -1.

    Returns
    -------
    Neighbours
        Distances from 0 (equal but for shift, mirroring, brightness and contrast) over 1 (unrelated) to 2.

    Raises
    ------
    InputError
        The scans differ in size, or there is none to look among.

    Notes
    -----
    The middle of a query, without a margin as wide as the largest shift, is compared with every part of a scan of the
    base that has its size. Scans of one value only correlate with nothing: their distance is 0 from each other and 1
    from all others.
    """
    chosen = search or Search()
    if queries.shape[1:] != base.shape[1:] or not len(base):
        raise InputError(
            f"scans of the shape {queries.shape[1:]} are looked for among {len(base)} of the shape {base.shape[1:]}, "
            "expected at least one of the same shape",
            remedy="Resample them to one size first.",
        )
    k = min(k, len(base))
    small, table = measured(queries), measured(base)
    margin = _margin(table, chosen.shift)
    candidates = min(k + _SPARE, len(base))
    coarse = _Coarse.of(table, margin, chosen.mirrored)
    exact = _Exact.of(table, margin, chosen.mirrored)
    distances = np.full((len(queries), k), 2.0)
    rows = np.full((len(queries), k), -1, dtype=np.int64)
    most = max(candidates, len(list(_moves(margin)))) * table[0].numel()
    block = max(1, min(_CELLS // len(base), _CELLS // most))
    for start in range(0, len(small), block):
        part = small[start : start + block]
        forbidden = None
        if apart is not None:
            own = torch.from_numpy(np.asarray(apart[0])[start : start + block])
            forbidden = own[:, None] == torch.from_numpy(np.asarray(apart[1]))[None, :]
        found = coarse.candidates(part, candidates, forbidden)
        correlation = exact.correlations(part, found)
        if forbidden is not None:
            correlation = correlation.masked_fill(forbidden.gather(1, found), -torch.inf)
        stop = start + len(part)
        distances[start:stop], rows[start:stop] = _best(correlation, found, k)
    return Neighbours(distances, rows, len(base))


def aligned(image: Images, other: Images, search: Search | None = None) -> npt.NDArray[np.float64]:
    """Return another scan moved, mirrored and scaled onto a scan, as its distance has it.

    Parameters
    ----------
    image, other
        ``[channels, (slices,) rows, columns]`` each.
    search
        How scans are compared.

    Returns
    -------
    ndarray
        The other one, with borders repeated where it was moved, and with the brightness and contrast that bring it
        nearest to the scan.
    """
    chosen = search or Search()
    own, found = np.asarray(image, dtype=np.float64), np.asarray(other, dtype=np.float64)
    margin = _margin(torch.empty((1, *own.shape)), chosen.shift)
    inside = (slice(None), *(slice(border, n - border) for border, n in zip(margin, own.shape[1:], strict=True)))
    middle = own[inside] - own[inside].mean()
    best, least = found, np.inf
    for turned in (found, found[..., ::-1]) if chosen.mirrored else (found,):
        padded = np.pad(turned, [(0, 0), *((border, border) for border in margin)], mode="edge")
        for moved in _moves(margin):
            starts = [border + by for border, by in zip(margin, moved, strict=True)]
            place = (slice(at, at + n) for at, n in zip(starts, own.shape[1:], strict=True))
            part = padded[(slice(None), *place)]
            centred = part - part[inside].mean()
            square = float((centred[inside] ** 2).sum())
            gain = max(float((centred[inside] * middle).sum()) / square, 0.0) if square > 0 else 0.0
            error = float(((middle - gain * centred[inside]) ** 2).sum())
            if error < least:
                best, least = own[inside].mean() + gain * centred, error
    return best


def measured(images: Images) -> torch.Tensor:
    """Return scans as they are compared: in single precision, less their mean, of no more samples than are needed.

    Parameters
    ----------
    images
        ``[n, channels, (slices,) rows, columns]`` of any real type.
    """
    most = MOST_SAMPLES[images.ndim - 2]
    size = tuple(min(length, most) for length in images.shape[2:])
    parts = []
    step = max(1, _CELLS // max(1, int(np.prod(images.shape[1:]))))
    for start in range(0, len(images), step):
        part = torch.from_numpy(np.ascontiguousarray(images[start : start + step], dtype=np.float32))
        part = part - part.mean(dim=tuple(range(1, part.ndim)), keepdim=True)
        parts.append(part if size == images.shape[2:] else _averaged(part, size))
    return torch.cat(parts) if parts else torch.empty((0, images.shape[1], *size))


@dataclass(frozen=True)
class _Coarse:
    """The screen: averaged samples of the middles, compared by one matrix product per shift."""

    table: torch.Tensor
    margin: tuple[int, ...]
    size: tuple[int, ...]
    mirrored: bool

    @classmethod
    def of(cls, base: torch.Tensor, margin: tuple[int, ...], mirrored: bool) -> _Coarse:
        middle = [length - 2 * border for length, border in zip(base.shape[2:], margin, strict=True)]
        factor = max(1, min(middle) // _SCREENED[len(middle)])
        size = tuple(max(1, round(length / factor)) for length in middle)
        table = torch.cat(
            [_unit(_averaged(_window(part, margin, (0,) * len(margin)), size)) for part in torch.split(base, _BLOCK)]
        )
        return cls(table, margin, size, mirrored)

    def candidates(self, part: torch.Tensor, count: int, forbidden: torch.Tensor | None) -> torch.Tensor:
        """Return positions in the base of the most alike scans, shape [queries, count]."""
        best = self._best(part)
        if self.mirrored:
            best = torch.maximum(best, self._best(part.flip(-1)))
        if forbidden is not None:
            best = best.masked_fill(forbidden, -torch.inf)
        return best.topk(count, dim=1).indices

    def _best(self, part: torch.Tensor) -> torch.Tensor:
        """Return the largest coarse correlation over shifts, shape [queries, base]."""
        steps = product(*(sorted({-border, 0, border}) for border in self.margin))
        moved = (_unit(_averaged(_window(part, self.margin, step), self.size)) @ self.table.T for step in steps)
        return reduce(torch.maximum, moved)


@dataclass(frozen=True)
class _Exact:
    """Every sample of the base, with the norm of each part that a query may lie on."""

    base: torch.Tensor
    margin: tuple[int, ...]
    mirrored: bool
    norms: torch.Tensor
    flat: torch.Tensor

    @classmethod
    def of(cls, base: torch.Tensor, margin: tuple[int, ...], mirrored: bool) -> _Exact:
        norms = torch.cat([_window_norms(part, margin) for part in torch.split(base, _BLOCK)])
        samples = _window(base[:1], margin, (0,) * len(margin)).numel()
        largest = base.flatten(1).abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny)
        return cls(base, margin, mirrored, norms, norms <= _FLAT * largest[:, None] * samples**0.5)

    def correlations(self, part: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        """Return the largest correlation over shifts of each query with its candidates, shape [queries, candidates]."""
        middle = _window(part, self.margin, (0,) * len(self.margin))
        empty = (_unit(middle) == 0).all(1)
        others = self.base[found.flatten()].reshape(*found.shape, -1)
        flat, norms = self.flat[found], self.norms[found].clamp_min(torch.finfo(torch.float32).tiny)
        best = torch.full(found.shape, -torch.inf)
        for own in (middle, middle.flip(-1)) if self.mirrored else (middle,):
            # the query where each shift puts it, zero around it: one matrix product for all shifts and candidates
            placed = torch.zeros((len(part), norms.shape[2], *self.base.shape[1:]))
            unit = _unit(own).reshape(own.shape)
            for place, moved in enumerate(_moves(self.margin)):
                _window(placed[:, place], self.margin, moved).copy_(unit)
            correlation = torch.bmm(others, placed.flatten(2).transpose(1, 2)) / norms
            # two scans of one value each are equal but for brightness; one of them correlates with nothing
            correlation = torch.where(flat, empty[:, None, None].float(), correlation)
            best = torch.maximum(best, correlation.amax(2))
        return best


def _best(correlation: torch.Tensor, found: torch.Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and positions of the k nearest candidates; equally near ones in the order of rows."""
    values, places = correlation.double().numpy(), found.numpy()
    distances = np.clip(1.0 - values, 0.0, None)
    distances[distances <= _ROUNDING] = 0.0
    order = np.lexsort((places, distances), axis=1)
    distances, places = np.take_along_axis(distances, order, 1), np.take_along_axis(places, order, 1)
    distances, places = distances[:, :k], places[:, :k]
    none = ~np.isfinite(distances)
    return np.where(none, 2.0, distances), np.where(none, -1, places)


def _margin(images: torch.Tensor, shift: int) -> tuple[int, ...]:
    """Return how far scans are moved along each axis: not at all along one that is too short."""
    return tuple(min(shift, int(length * _MOST_MOVED)) for length in images.shape[2:])


def _moves(margin: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    yield from product(*(range(-border, border + 1) for border in margin))


def _window(images: torch.Tensor, margin: tuple[int, ...], moved: tuple[int, ...]) -> torch.Tensor:
    """Return the part of scans within the margin, moved by so many samples; the last axes are those of space."""
    place: list[slice] = []
    for length, border, by in zip(images.shape[images.ndim - len(margin) :], margin, moved, strict=True):
        place.append(slice(border + by, length - border + by))
    part: torch.Tensor = images[(Ellipsis, *place)]  # type: ignore[index]  # Ellipsis and slices are an index
    return part


def _window_norms(images: torch.Tensor, margin: tuple[int, ...]) -> torch.Tensor:
    """Return the norm of each part of scans that a query may lie on, less its mean, shape [n, moves]."""
    spread = []
    for values in (images.double(), images.double().square()):
        sums = values.sum(1)
        for axis, border in enumerate(margin, start=1):
            # sums over windows are differences of running sums
            running = functional.pad(sums.movedim(axis, -1).cumsum(-1), (1, 0))
            length = running.shape[-1] - 1 - 2 * border
            sums = (running[..., length:] - running[..., : 2 * border + 1]).movedim(-1, axis)
        spread.append(sums.flatten(1))
    samples = images.shape[1] * np.prod([size - 2 * by for size, by in zip(images.shape[2:], margin, strict=True)])
    return (spread[1] - spread[0].square() / float(samples)).clamp_min(0).sqrt().float()


def _averaged(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    if tuple(images.shape[2:]) == tuple(size):
        return images
    if len(size) == 2:
        return functional.adaptive_avg_pool2d(images, (size[0], size[1]))
    return functional.adaptive_avg_pool3d(images, (size[0], size[1], size[2]))


def _unit(images: torch.Tensor) -> torch.Tensor:
    """Return scans as rows less their mean and of length one, shape [n, samples]; zeros for scans of one value."""
    rows = images.flatten(1)
    centred = rows - rows.mean(1, keepdim=True)
    norm = centred.norm(dim=1, keepdim=True)
    least = _FLAT * rows.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) * rows.shape[1] ** 0.5
    return torch.where(norm > least, centred / norm.clamp_min(torch.finfo(torch.float32).tiny), 0.0)
