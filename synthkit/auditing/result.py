"""The record of an audit: what was tested, what was found, what was promised, and what a policy says to it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from synthkit.auditing.records import Risk
from synthkit.evaluation.records import Score
from synthkit.plain_json import plain_json

FORMAT = "synthkit-audit"
FORMAT_VERSION = 1
GateStatus = Literal["met", "not met", "not tested"]


@dataclass(frozen=True)
class Guarantee:
    """Differential privacy that was promised for the release: the proof, beside which attacks are evidence only.

    Attributes
    ----------
    source
        "model" or "ledger", and the name of the file.
    epsilon, delta
        Of the release, by its ledger; with a ledger file, of all releases together.
    unit, adjacency
        What is protected, and what neighbouring tables are.
    holds
        Whether the linter passed and the noise came from the operating system; None for a ledger alone.
    reasons
        Why it does not hold, one sentence each.
    releases
        How many releases from the same data the ledger counts.
    sha256
        Of the file.
    """

    source: str
    epsilon: float
    delta: float
    unit: str
    adjacency: str
    holds: bool | None = None
    reasons: tuple[str, ...] = ()
    releases: int = 1
    sha256: str = ""


@dataclass(frozen=True)
class Overlap:
    """Rows that are in the training table and among the held-out rows.

    Attributes
    ----------
    rows
        Held-out rows that equal a training row.
    share
        Their share of the held-out rows.
    expected
        The share of training rows that equal another training row: what chance and coarse columns explain.
    persons
        Persons with rows in both tables, where there is a person key.
    """

    rows: int
    share: float
    expected: float
    persons: int = 0


@dataclass(frozen=True)
class ExposedGroup:
    """A group of training records and how exposed it is.

    Attributes
    ----------
    by
        What makes the group: "rarity" or a column.
    label
        Which of them, in words.
    records
        Members of it among the targets.
    share_exposed
        Share of them among the most exposed hundredth of all members.
    auc
        Area under the curve of the membership attack within the group, with its interval; the baseline is 0.5.
    low, high
        Ends of that interval.
    """

    by: str
    label: str
    records: int
    share_exposed: float
    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class Exposure:
    """Who is most exposed, described by rarity and group.

    Attributes
    ----------
    attack
        The membership attack whose scores rank the records.
    groups
        Groups, the most exposed first.
    records
        The most exposed training rows themselves with their scores, only where they were asked for.
    note
        How to read it.
    """

    attack: str
    groups: tuple[ExposedGroup, ...]
    records: tuple[Mapping[str, Any], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class GateVerdict:
    """Whether one gate of a policy is met.

    Attributes
    ----------
    gate
        Its name in the policy.
    status
        "met", "not met", or "not tested" where the policy lets that pass.
    sentence
        What was compared with what, in plain words.
    reason
        Why the policy has this gate.
    value, threshold
        The two numbers compared; NaN where there are none.
    """

    gate: str
    status: GateStatus
    sentence: str
    reason: str = ""
    value: float = math.nan
    threshold: float = math.nan


@dataclass(frozen=True)
class Audit:
    """What was found about a release.

    Attributes
    ----------
    risks
        One for each attack and subject, by `Risk.name`, in the order of the registry; attacks that could not run are
        among them, with the reason.
    verdicts
        One for each gate of the policy; empty without a policy.
    policy
        The policy as plain values, or None.
    exposure
        Who is most exposed, or None without held-out rows.
    guarantee
        What a model or ledger promises, or None.
    utility
        A few scores of how good the table is, since privacy alone is easy.
    rows
        Number of rows: "real", "held-out", "synthetic", and the "targets" of either kind.
    left_out
        Columns that no attack looked at, with the reason.
    quasi_identifiers, sensitive, person, target
        As asked for.
    overlap
        Rows in both the training and the held-out table, or None without held-out rows.
    seed
        Seed of every draw.
    confidence
        Level with which all intervals of a family of attacks hold together.
    notes
        What was done to the tables, in sentences.
    provenance
        Command, versions, SHA-256 of the inputs.
    created
        Time in UTC (ISO 8601).
    """

    thing: ClassVar[str] = "row"
    """What was released, real and held out."""

    risks: Mapping[str, Risk]
    verdicts: tuple[GateVerdict, ...] = ()
    policy: Mapping[str, Any] | None = None
    exposure: Exposure | None = None
    guarantee: Guarantee | None = None
    utility: Mapping[str, Score] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    quasi_identifiers: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    person: str | None = None
    target: str | None = None
    overlap: Overlap | None = None
    seed: int = 0
    confidence: float = 0.95
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""

    @property
    def knows_persons(self) -> bool:
        """Whether it is known which rows are of one person."""
        return self.person is not None

    @property
    def failed(self) -> tuple[GateVerdict, ...]:
        """The gates that are not met."""
        return tuple(verdict for verdict in self.verdicts if verdict.status == "not met")

    @property
    def passed(self) -> bool:
        """Whether every gate of the policy is met or may be passed over."""
        return not self.failed

    @property
    def disclosures(self) -> tuple[Risk, ...]:
        """The attacks that succeeded."""
        return tuple(risk for risk in self.risks.values() if risk.outcome == "disclosure")

    def __getitem__(self, name: str) -> Risk:
        """Return a risk by name."""
        return self.risks[name]

    def __str__(self) -> str:
        """Return the readable table."""
        return self.to_text()

    def __repr__(self) -> str:
        from synthkit.auditing.showing import audit_text

        return audit_text(self)

    def _repr_html_(self) -> str:
        from synthkit.auditing.showing import audit_html

        return audit_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold; None in place of NaN."""
        from synthkit import __version__

        found: dict[str, Any] = plain_json(
            {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "created_with": __version__,
                "passed": self.passed,
                **asdict(self),
            }
        )
        return found

    def to_json(self) -> str:
        """Return `to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def to_text(self, *, width: int = 100) -> str:
        """Return the findings and verdicts for a terminal.

        Parameters
        ----------
        width
            Width of the text in characters.
        """
        from synthkit.auditing.text import as_text

        return as_text(self, width=width)
