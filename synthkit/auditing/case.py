"""What an attack is given: targets that the generator learned from, targets that it did not, and what it released."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.auditing.neighbours import Neighbours, nearest
from synthkit.evaluation.case import Rows, Sharing
from synthkit.evaluation.controls import noisy_copies
from synthkit.evaluation.view import TableView
from synthkit.random import RandomSource

Role = Literal["release", "positive control", "negative control"]


@dataclass(frozen=True)
class AuditLimits:
    """At most how many rows an attack looks at, so that time and memory stay bounded.

    Attributes
    ----------
    targets
        Records that are attacked: at most so many members and as many non-members.
    control_targets
        The same on the controls, which only have to tell a leak from none.
    synthetic, reference
        Synthetic rows and reference rows in which neighbours are searched.
    predicates
        Predicates of a singling-out attack.
    linked
        Records that a linkability or attribute attack tries.
    """

    targets: int = 10_000
    control_targets: int = 2_000
    synthetic: int = 50_000
    reference: int = 50_000
    predicates: int = 2_000
    linked: int = 2_000


@dataclass(frozen=True)
class ShadowModels:
    """How to fit the generator of the release again.

    Attributes
    ----------
    models
        How many times.
    release
        Fits it to a table and returns so many rows; the third argument numbers the fits.
    """

    models: int
    release: Callable[[pd.DataFrame, int, int], pd.DataFrame]


@dataclass(frozen=True)
class AuditCase(Sharing):
    """The tables and options of an audit, or of one of its controls.

    Attributes
    ----------
    view
        How columns are read, learned from the training and the held-out rows.
    train
        All rows that the generator learned from; those of the positive control are the members.
    holdout
        Rows of the same source that it never saw: `nonmembers` and `reference` together.
    synthetic
        The released rows.
    members, nonmembers
        Equally many targets: drawn from the training rows, and from one half of the held-out rows. With a person key,
        at most one row of each person.
    reference
        The other half of the held-out rows: what the attacker knows of the population.
    quasi_identifiers
        Columns that an attacker may know of a person.
    sensitive
        Columns that an attacker wants to learn.
    seed
        Seed of every draw.
    confidence
        Level of every interval that an attack reports, beyond 95 % where several attacks are made (Bonferroni).
    role
        Whether the synthetic rows are what they are called, or those of a control.
    limits
        At most how many rows are looked at.
    shadow
        How the generator can be fitted again, or None.
    """

    view: TableView
    train: Rows
    holdout: Rows
    synthetic: Rows
    members: Rows
    nonmembers: Rows
    reference: Rows
    quasi_identifiers: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    seed: int = 0
    confidence: float = 0.95
    role: Role = "release"
    limits: AuditLimits = AuditLimits()
    shadow: ShadowModels | None = None
    _shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def generator(self, name: str) -> np.random.Generator:
        """Return a generator at the start of a stream of its own: each attack can be repeated alone."""
        return RandomSource(self.seed).child(self.role).numpy(name)

    @property
    def is_member(self) -> npt.NDArray[np.bool_]:
        """Of `targets`, which are members, shape [targets]."""
        return np.arange(len(self.members) + len(self.nonmembers)) < len(self.members)

    @property
    def points(self) -> npt.NDArray[np.float32]:
        """Targets (members, then non-members) in the view for distances, shape [targets, features]."""
        return self.share("points", lambda: self.view.linear(self.members.coded.above(self.nonmembers.coded)))

    @property
    def synthetic_points(self) -> npt.NDArray[np.float32]:
        """Synthetic rows in the view for distances, shape [rows, features]; at most `limits.synthetic`."""
        return self.share("synthetic points", lambda: self.view.linear(self.some("synthetic").coded))

    @property
    def reference_points(self) -> npt.NDArray[np.float32]:
        """Reference rows in the view for distances, shape [rows, features]; at most `limits.reference`."""
        return self.share("reference points", lambda: self.view.linear(self.some("reference").coded))

    def to_synthetic(self) -> Neighbours:
        """Return the nearest synthetic rows of each target; searched once for all attacks."""
        return self.share("to synthetic", lambda: nearest(self.points, self.synthetic_points))

    def to_reference(self) -> Neighbours:
        """Return the nearest reference rows of each target; searched once for all attacks."""
        return self.share("to reference", lambda: nearest(self.points, self.reference_points))

    def positive_control(self, noise: float = 0.01) -> AuditCase:
        """Return the case in which the members themselves, with a little noise, play the synthetic table.

        Parameters
        ----------
        noise
            On each number, in standard deviations of its column.
        """
        case = self._smaller()
        rng = self.generator("positive control")
        frame = noisy_copies(case.members.frame, len(case.members), rng, noise=noise)
        return replace(
            case,
            train=case.members,
            synthetic=Rows(frame, self.view.code(frame)),
            role="positive control",
            _shared={},
        )

    def negative_control(self) -> AuditCase:
        """Return the case in which one half of the reference rows plays the synthetic table."""
        order = self.generator("negative control").permutation(len(self.reference))
        half = len(order) // 2
        case = replace(
            self._smaller(),
            synthetic=self.reference.take(order[:half]),
            reference=self.reference.take(order[half:]),
            role="negative control",
            _shared={},
        )
        return replace(case, holdout=case.nonmembers)

    def _smaller(self) -> AuditCase:
        """Return the case with fewer targets, as the controls have."""
        most = self.limits.control_targets
        rng = self.generator("control targets")
        members, nonmembers = (
            rows.take(np.sort(rng.permutation(len(rows))[:most])) for rows in (self.members, self.nonmembers)
        )
        limits = replace(
            self.limits,
            predicates=min(self.limits.predicates, most),
            linked=min(self.limits.linked, most),
        )
        return replace(self, members=members, nonmembers=nonmembers, limits=limits, _shared={})

    def some(self, kind: Literal["synthetic", "reference"]) -> Rows:
        """Return the synthetic or reference rows in which neighbours are searched: at most as many as the limit."""
        rows: Rows = getattr(self, kind)
        most: int = getattr(self.limits, kind)
        if len(rows) <= most:
            return rows
        return rows.take(np.sort(self.generator(f"{kind} rows").permutation(len(rows))[:most]))
