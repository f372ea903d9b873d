"""What an evaluation of scans returns: scores that carry their interval and their controls, and what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synthkit.evaluation.intervals import Floats
from synthkit.evaluation.records import Judged, Score, Verdict
from synthkit.plain_json import plain_json

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Curve:
    """A curve for each kind of scans over a common axis.

    Attributes
    ----------
    x
        Places, ``[bins]``.
    real, held_out, synthetic
        Values there, ``[bins]``.
    """

    x: Floats
    real: Floats
    held_out: Floats
    synthetic: Floats


@dataclass(frozen=True)
class ClassGrids:
    """Real and synthetic scans of a class at the same window, as PNG files."""

    name: str
    real: bytes
    synthetic: bytes


@dataclass(frozen=True)
class ScanPictures:
    """What the report shows; not part of the JSON.

    Attributes
    ----------
    grids
        Class by class.
    neighbours
        A synthetic scan, its nearest training scan, its nearest held-out scan and a difference, as PNG files: one for
        each volume, one with a row for each image. Those that lie nearest to a training scan in comparison to a
        held-out one come first.
    neighbour_texts
        For each of these scans, how far its neighbours are.
    window
        The values that are shown black and white.
    histogram
        Share of all values by intensity, in real units.
    spectrum
        Radial power in decibels by frequency in cycles per sample.
    """

    grids: tuple[ClassGrids, ...]
    neighbours: tuple[bytes, ...]
    neighbour_texts: tuple[str, ...]
    window: tuple[float, float]
    histogram: Curve
    spectrum: Curve


@dataclass(frozen=True)
class ScanEvaluation(Judged):
    """The scores of synthetic scans against real ones.

    Attributes
    ----------
    scores
        Score by name; the names are explained in `synthkit.evaluation.scans.metrics`. `ceiling` is the score of
        held-out real scans, `floor` that of the same scans blurred.
    classes
        For each class, numbers by name: how many scans there are, and scores of that class alone.
    scans
        Number of "real", "held-out" and "synthetic" scans as scored.
    form
        Size, modality and units.
    extractor
        Which extractor, and what it learned.
    seed
        Seed of every draw.
    notes
        What was done to the scans before scoring, in sentences.
    suite
        Name of the suite.
    verdicts
        One for each gate of the suite.
    left_out
        Scores that were not computed, with what they need.
    pictures
        What the report draws.
    provenance
        Command, versions and hashes of the inputs, where the caller knows them.
    """

    scores: Mapping[str, Score]
    classes: Mapping[str, Mapping[str, float]]
    scans: Mapping[str, int]
    form: Mapping[str, Any]
    extractor: Mapping[str, Any]
    seed: int
    notes: tuple[str, ...] = ()
    suite: str = ""
    verdicts: tuple[Verdict, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    pictures: ScanPictures | None = field(default=None, compare=False, repr=False)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return one line: what was compared, and whether the suite is passed."""
        from synthkit.evaluation.scans.text import one_line

        return one_line(self)

    def _repr_html_(self) -> str:
        from synthkit.evaluation.scans.text import as_html

        return as_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures as plain values that JSON can hold."""
        from synthkit import __version__

        content: dict[str, Any] = plain_json(
            {
                "format": "synthkit-scan-evaluation",
                "format_version": FORMAT_VERSION,
                "created_with": __version__,
                "scans": dict(self.scans),
                "form": dict(self.form),
                "extractor": dict(self.extractor),
                "seed": self.seed,
                "notes": list(self.notes),
                "scores": {name: score.to_dict() for name, score in self.scores.items()},
                "classes": {name: dict(row) for name, row in self.classes.items()},
                "suite": self.suite,
                "passed": self.passed,
                "verdicts": [verdict.to_dict() for verdict in self.verdicts],
                "left_out": dict(self.left_out),
                "provenance": dict(self.provenance),
            }
        )
        return content

    def to_text(self, *, width: int = 100) -> str:
        """Return a table of the scores with their controls, and what they say in plain words.

        Parameters
        ----------
        width
            Width of the text in characters.
        """
        from synthkit.evaluation.scans.text import as_text

        return as_text(self, width=width)
