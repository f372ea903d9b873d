"""What an evaluation returns: scores that carry their interval and their controls."""

from __future__ import annotations

import dataclasses
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    from synthkit.evaluation.pictures import Pictures

Direction = Literal["lower", "higher", "half"]
Status = Literal["fail", "borderline", "pass", "not applicable"]
STATUSES: tuple[Status, ...] = get_args(Status)
"""What a verdict can be, in the order in which readers meet them."""

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Score:
    """One number, with what is needed to read it.

    Attributes
    ----------
    value
        The score of the synthetic table; NaN when it does not apply, and then `note` says why.
    low, high
        Ends of the 95 % interval for other rows from the same sources; NaN when there is none.
    ceiling
        The same score for real held-out rows in place of the synthetic ones: what a perfect generator gets.
    floor
        The same score for columns drawn independently: what a generator without any relation gets.
    n
        Number of synthetic rows that the score rests on (of held-out rows for the utility scores).
    direction
        Whether "lower" or "higher" is better, or "half": nearest to 0.5.
    note
        What a reader must know about this one value.
    details
        What the value is made of, by name: for example the error of each column. Plain values that JSON can hold.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    ceiling: float = math.nan
    floor: float = math.nan
    n: int = 0
    direction: Direction = "lower"
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def applies(self) -> bool:
        """Tell whether there is a value."""
        return not math.isnan(self.value)

    def with_controls(self, *, ceiling: float, floor: float) -> Score:
        """Return the score with its controls."""
        return dataclasses.replace(self, ceiling=ceiling, floor=floor)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them: None in place of NaN."""
        fields: dict[str, Any] = plain_json(dataclasses.asdict(self))
        return fields


@dataclass(frozen=True)
class Verdict:
    """Whether one gate of a suite is met.

    Attributes
    ----------
    metric
        Name of the score.
    status
        "pass"; "borderline": met, but the interval of the score reaches beyond the threshold; "fail"; "not applicable":
        there is no such score for these tables.
    sentence
        What was compared with what, in plain words.
    reason
        Why the suite has this gate.
    value, threshold
        The two numbers compared, in the unit of the score; NaN when not applicable.
    """

    metric: str
    status: Status
    sentence: str
    reason: str = ""
    value: float = math.nan
    threshold: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them: None in place of NaN."""
        fields: dict[str, Any] = plain_json(dataclasses.asdict(self))
        return fields


class Judged(ABC):
    """What evaluations of tables, scans and gene expression share: scores, verdicts, and how they are shown."""

    scores: Mapping[str, Score]
    suite: str
    verdicts: tuple[Verdict, ...]
    left_out: Mapping[str, str]

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The gates that are not met."""
        return tuple(verdict for verdict in self.verdicts if verdict.status == "fail")

    @property
    def passed(self) -> bool:
        """Whether every gate that applies is met."""
        return not self.failed

    def __getitem__(self, name: str) -> Score:
        """Return a score by name."""
        return self.scores[name]

    def __str__(self) -> str:
        """Return the readable table."""
        return self.to_text()

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""

    def to_json(self) -> str:
        """Return `to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    @abstractmethod
    def to_text(self, *, width: int = 100) -> str:
        """Return a table of the scores with their controls and their meaning in plain words."""


@dataclass(frozen=True)
class Evaluation(Judged):
    """The scores of a synthetic table against a real one.

    Attributes
    ----------
    scores
        Score by name; the names are explained in `synthkit.evaluation.metrics`.
    columns
        Distance of the margins of each column, worst first.
    rows
        Number of rows of the "real", "held-out" and "synthetic" table as scored.
    target
        The column that the utility scores predict, or None.
    seed
        Seed of every draw.
    notes
        What was done to the tables before scoring, in sentences.
    suite
        Name of the suite.
    verdicts
        One for each gate of the suite.
    left_out
        Metrics that were not computed, with the option that they need.
    pictures
        What the report draws: histograms, associations, a projection. Not part of the JSON.
    provenance
        Command, versions and hashes of the inputs, where the caller knows them.
    """

    scores: Mapping[str, Score]
    columns: Mapping[str, float]
    rows: Mapping[str, int]
    target: str | None
    seed: int
    notes: tuple[str, ...] = ()
    suite: str = ""
    verdicts: tuple[Verdict, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    pictures: Pictures | None = field(default=None, compare=False, repr=False)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        from synthkit.evaluation.showing import evaluation_text

        return evaluation_text(self)

    def _repr_html_(self) -> str:
        from synthkit.evaluation.showing import evaluation_html

        return evaluation_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        from synthkit import __version__

        return {
            "format": "synthkit-evaluation",
            "format_version": FORMAT_VERSION,
            "created_with": __version__,
            "rows": dict(self.rows),
            "target": self.target,
            "seed": self.seed,
            "notes": list(self.notes),
            "scores": {name: score.to_dict() for name, score in self.scores.items()},
            "columns": dict(self.columns),
            "suite": self.suite,
            "passed": self.passed,
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "left_out": dict(self.left_out),
            "provenance": dict(self.provenance),
        }

    def to_text(self, *, width: int = 100) -> str:
        """Return a table of the scores with their controls and their meaning in plain words.

        Parameters
        ----------
        width
            Width of the text in characters.
        """
        from synthkit.evaluation.text import as_text

        return as_text(self, width=width)
