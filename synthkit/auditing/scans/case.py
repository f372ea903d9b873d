"""What an audit of scans is given, what distances are measured in, and the controls that show that it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from synthkit.auditing import neighbours
from synthkit.auditing.neighbours import Neighbours
from synthkit.auditing.scans.matching import Search, nearest_scans
from synthkit.auditing.scans.sharpness import as_sharp_as
from synthkit.evaluation.case import Sharing
from synthkit.io.scan_set import ScanSet
from synthkit.random import RandomSource

Images = npt.NDArray[np.generic]
Numbers = npt.NDArray[np.int64]
Role = Literal["release", "positive control", "negative control"]
# Neighbours of a scan that are looked through for one of another patient in the space of features.
_SEARCHED = 64


@dataclass(frozen=True)
class ScanLimits:
    """At most how many scans are looked at, so that time and memory stay bounded.

    Attributes
    ----------
    train
        Training scans among which copies are looked for.
    synthetic, holdout
        Synthetic and held-out scans whose neighbours are looked for.
    targets
        Scans that an attack on membership accuses, of either kind.
    control
        Scans that a control releases, and its targets of either kind.
    """

    train: int = 50_000
    synthetic: int = 2_000
    holdout: int = 2_000
    targets: int = 1_000
    control: int = 300


class Space(Protocol):
    """Where distances between scans are measured."""

    @property
    def name(self) -> str:
        """Key in `ScanCase.spaces`."""

    def view(self, images: Images) -> Images:
        """Return scans as this space keeps them."""

    def nearest(self, queries: Images, base: Images, apart: tuple[Numbers, Numbers] | None = None) -> Neighbours:
        """Return the nearest scan of each; of another patient where their numbers are given."""


@dataclass(frozen=True)
class Pixels:
    """Distances by correlation of samples; see `synthkit.auditing.scans.matching`."""

    search: Search = field(default_factory=Search)
    name: str = "pixels"

    def view(self, images: Images) -> Images:
        """Return scans as they are."""
        return images

    def nearest(self, queries: Images, base: Images, apart: tuple[Numbers, Numbers] | None = None) -> Neighbours:
        """Return the nearest scan of each; see `Space`."""
        return nearest_scans(queries, base, 1, search=self.search, apart=apart)


@dataclass(frozen=True)
class Features:
    """Euclidean distances of features that an extractor computes."""

    extract: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
    name: str = "features"

    def view(self, images: Images) -> Images:
        """Return features ``[n, F]``."""
        return np.asarray(self.extract(images), dtype=np.float32)

    def nearest(self, queries: Images, base: Images, apart: tuple[Numbers, Numbers] | None = None) -> Neighbours:
        """Return the nearest scan of each; see `Space`."""
        points, rows = np.asarray(queries, dtype=np.float32), np.asarray(base, dtype=np.float32)
        if apart is None:
            return neighbours.nearest(points, rows, 1)
        found = neighbours.nearest(points, rows, _SEARCHED)
        own = apart[1][found.rows] == apart[0][:, None]
        first = np.argmin(own, axis=1)  # where all are of the same patient, the first: it is left out below
        every = np.arange(len(points))
        none = own[every, first]
        distances = np.where(none, found.distances[:, -1], found.distances[every, first])
        return Neighbours(distances[:, None], np.where(none, -1, found.rows[every, first])[:, None], found.size)


@dataclass(frozen=True)
class ScanCase(Sharing):
    """The scans of an audit, or of one of its controls.

    Attributes
    ----------
    train
        What the generator learned from.
    holdout
        Scans of the same source that it never saw, of other patients.
    synthetic
        What was released.
    members, nonmembers
        Positions in `train` and `holdout` of the targets of attacks on membership, at most one for each patient.
    spaces
        Where distances are measured, by name.
    seed
        Seed of every draw.
    confidence
        Level of every interval.
    role
        Whether the synthetic scans are what they are called, or those of a control.
    limits
        At most how many scans are looked at.
    """

    train: ScanSet
    holdout: ScanSet
    synthetic: ScanSet
    members: Numbers
    nonmembers: Numbers
    spaces: dict[str, Space]
    seed: int = 0
    confidence: float = 0.95
    role: Role = "release"
    limits: ScanLimits = field(default_factory=ScanLimits)
    _shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def generator(self, name: str) -> np.random.Generator:
        """Return a generator at the start of a stream of its own: each attack can be repeated alone."""
        return RandomSource(self.seed).child(self.role).numpy(name)

    def points(self, space: str, part: Literal["train", "holdout", "synthetic", "as sharp"]) -> Images:
        """Return the scans of a part as a space keeps them.

        "as sharp" are the held-out scans with the power spectrum of the synthetic ones.
        """
        return self.share(f"{space}: {part}", lambda: self.spaces[space].view(self._images(part)))

    def nearest(
        self, space: str, part: Literal["holdout", "synthetic", "as sharp"], other: Literal["train", "holdout"]
    ) -> Neighbours:
        """Return the nearest scan of another part for each of a part."""
        return self.share(
            f"{space}: {part} to {other}",
            lambda: self.spaces[space].nearest(self.points(space, part), self.points(space, other)),
        )

    def classes(self) -> tuple[Numbers, Numbers]:
        """Return the class of each synthetic and each held-out scan as numbers; all 0 where some have none."""
        synthetic, holdout = self.synthetic, self.holdout
        if synthetic.labels is None or holdout.labels is None:
            return np.zeros(len(synthetic), dtype=np.int64), np.zeros(len(holdout), dtype=np.int64)
        names = list(dict.fromkeys([*holdout.classes, *synthetic.classes]))
        own, others = (
            np.array([names.index(name) for name in scans.classes], dtype=np.int64)[scans.labels]
            for scans in (synthetic, holdout)
        )
        return own, others

    def positive_control(self) -> ScanCase:
        """Return the case in which changed copies of members are released: moved, mirrored, noisy, scaled."""
        members, nonmembers = self.members[: self.limits.control], self.nonmembers[: self.limits.control]
        random = self.generator("positive control")
        others = np.setdiff1d(random.permutation(len(self.holdout)), nonmembers)
        kept = np.concatenate([nonmembers, others[: max(0, 2 * self.limits.control - len(nonmembers))]])
        shared: dict[str, Any] = {}
        for space in self.spaces:
            shared[f"{space}: train"] = self.points(space, "train")
            shared[f"{space}: holdout"] = self.points(space, "holdout")[kept]
            shared[f"{space}: holdout to train"] = _part(self.nearest(space, "holdout", "train"), kept)
        return replace(
            self,
            synthetic=planted(self.train.take(members), random),
            holdout=self.holdout.take(kept),
            members=members,
            nonmembers=np.arange(len(nonmembers)),
            role="positive control",
            _shared=shared,
        )

    def negative_control(self) -> ScanCase:
        """Return the case in which the scans of one half of the held-out patients are released."""
        groups = self.holdout.groups
        patients = self.generator("negative control").permutation(np.unique(groups))
        released = np.isin(groups, patients[: len(patients) // 2])
        own, others = np.flatnonzero(released), np.flatnonzero(~released)
        place = np.full(len(self.holdout), -1)
        place[others] = np.arange(len(others))
        nonmembers = place[self.nonmembers]
        shared: dict[str, Any] = {}
        for space in self.spaces:
            shared[f"{space}: train"] = self.points(space, "train")
            points = self.points(space, "holdout")
            found = self.nearest(space, "holdout", "train")
            shared |= {
                f"{space}: synthetic": points[own],
                f"{space}: holdout": points[others],
                f"{space}: as sharp": points[others],  # real scans are as sharp as real ones
                f"{space}: synthetic to train": _part(found, own),
                f"{space}: holdout to train": _part(found, others),
                f"{space}: as sharp to train": _part(found, others),
            }
        return replace(
            self,
            synthetic=self.holdout.take(own),
            holdout=self.holdout.take(others),
            members=self.members[: self.limits.control],
            nonmembers=nonmembers[nonmembers >= 0][: self.limits.control],
            role="negative control",
            _shared=shared,
        )

    def _images(self, part: str) -> Images:
        if part == "as sharp":
            return as_sharp_as(self.holdout.images, self.synthetic.images)
        scans: ScanSet = getattr(self, part)
        return scans.images


def planted(scans: ScanSet, random: np.random.Generator) -> ScanSet:
    """Return copies of scans that were changed as a copier may change them.

    Each is moved by up to two samples, gets noise of 1 % of its range and another brightness and contrast; every second
    one is mirrored left to right.

    Parameters
    ----------
    scans
        What is copied.
    random
        Draws the changes.
    """
    changed = np.array(scans.images, dtype=np.float32)
    axes = tuple(range(1, changed.ndim - 1))
    spread = float(np.ptp(changed)) or 1.0
    for place in range(len(changed)):
        moves = random.integers(-2, 3, size=len(axes))
        moves[[2 * abs(int(by)) >= changed.shape[axis + 1] // 8 for by, axis in zip(moves, axes, strict=True)]] = 0
        image = np.roll(changed[place], moves, axis=axes)
        image = image * random.uniform(0.8, 1.25) + random.uniform(-0.1, 0.1) * spread
        changed[place] = image[..., ::-1] if place % 2 else image
    changed += random.normal(0, 0.01 * spread, changed.shape).astype(np.float32)
    return replace(scans, images=changed, patients=None, masks=None)


def _part(found: Neighbours, rows: Numbers) -> Neighbours:
    return Neighbours(found.distances[rows], found.rows[rows], found.size)
