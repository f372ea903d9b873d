"""The record of an audit of scans: that of tables, with what was found twice, the nearest pairs, and their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from synthkit.auditing.release_metadata import MetadataAudit
from synthkit.auditing.result import Audit
from synthkit.auditing.scans.duplicates import ScanDuplicates
from synthkit.evaluation.records import Score

_PICTURES = "pictures"


@dataclass(frozen=True)
class NearestPair:
    """A synthetic scan with the real scans nearest to it.

    Attributes
    ----------
    synthetic
        Position of the synthetic scan, from 1.
    to_training, to_holdout
        Distance to the nearest training and to the nearest held-out scan: one less the correlation.
    training, holdout
        Positions of these two, from 1.
    name
        Name of the synthetic scan; empty without names.
    real_names
        Names of the training and the held-out scan, only where they were asked for.
    """

    synthetic: int
    to_training: float
    to_holdout: float
    training: int
    holdout: int
    name: str = ""
    real_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScanPictures:
    """What the report shows, as PNG files. Not part of the JSON.

    Attributes
    ----------
    worst
        A row for each of the nearest pairs: synthetic scan, nearest training scan, nearest held-out scan, difference of
        the first two; of volumes below each other, with three planes and a projection of each.
    released
        A grid of the first synthetic scans.
    window
        The values that all of them show black and white.
    volumes
        Whether the scans are volumes.
    """

    worst: tuple[bytes, ...]
    released: bytes
    window: tuple[float, float]
    volumes: bool = False


@dataclass(frozen=True)
class ScanAudit(Audit):
    """What was found about a release of scans.

    `rows` counts scans, and `overlap` held-out scans that are among the training scans.

    Attributes
    ----------
    duplicates
        Scans that are there more than once, or None without held-out scans.
    distances
        Scores of the distances to training scans: "authenticity" and "nearer" (the two-sample test), by pixels and by
        features, with the same score of held-out scans as ceiling.
    worst
        The synthetic scans nearest to a training scan, by pixels.
    metadata
        What the released files say besides the picture; None where they were no files.
    patients
        Number of patients of the "real" and the "held-out" scans; 0 where they are unknown.
    pictures
        What the report shows.
    """

    thing: ClassVar[str] = "scan"

    duplicates: ScanDuplicates | None = None
    distances: Mapping[str, Score] = field(default_factory=dict)
    worst: tuple[NearestPair, ...] = ()
    metadata: MetadataAudit | None = None
    patients: Mapping[str, int] = field(default_factory=dict)
    pictures: ScanPictures | None = field(default=None, compare=False, repr=False)

    @property
    def knows_persons(self) -> bool:
        """Whether it is known of which patient each real scan is."""
        return bool(self.patients) and all(self.patients.values())

    def __repr__(self) -> str:
        from synthkit.auditing.scans.text import audit_text

        return audit_text(self)

    def _repr_html_(self) -> str:
        from synthkit.auditing.scans.report.html import audit_html

        return audit_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures as plain values that JSON can hold; None in place of NaN."""
        # Audit.to_dict copies every field, which pictures need not be
        bare = self if self.pictures is None else replace(self, pictures=None)
        found = super(ScanAudit, bare).to_dict()
        found.pop(_PICTURES)
        return {"kind": "scans", **found}

    def to_text(self, *, width: int = 100) -> str:
        """Return the findings and verdicts for a terminal.

        Parameters
        ----------
        width
            Width of the text in characters.
        """
        from synthkit.auditing.scans.text import as_text

        return as_text(self, width=width)
