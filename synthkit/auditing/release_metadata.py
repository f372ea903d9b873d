"""What released files say besides the data, as a record: whom they name, whether they say that they are synthetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from synthkit.auditing.intervals import share_estimate
from synthkit.auditing.records import Risk, not_applicable

Kind = Literal["named", "unmarked", "note"]
Said = Iterator[tuple[Kind, str]]


@dataclass(frozen=True)
class MetadataFinding:
    """Something that released files say.

    Attributes
    ----------
    kind
        "named": it names a patient, a person, a place or what it was made from; "unmarked": a mark of being synthetic
        is missing; "note": worth a look.
    what
        What it is.
    files
        In how many files.
    example
        One of them.
    """

    kind: Kind
    what: str
    files: int
    example: str


@dataclass(frozen=True)
class MetadataAudit:
    """What was found in released files.

    Attributes
    ----------
    files
        Files that were read.
    formats
        How many of each format.
    named, unmarked
        Files with at least one such finding.
    findings
        What was found, named things first.
    """

    files: int
    formats: dict[str, int]
    named: int
    unmarked: int
    findings: tuple[MetadataFinding, ...]

    def risk(self, name: str, always: str = "", confidence: float = 0.95) -> Risk:
        """Return it as the risk that a gate asks for: every file was read, so that no control is needed.

        Parameters
        ----------
        name
            Of the risk.
        always
            What its note says whatever was found.
        confidence
            Level of the intervals.
        """
        if not self.files:
            return not_applicable(name, "No file of a known format was released.")
        named = share_estimate(self.named, self.files, confidence, 0.0)
        unmarked = share_estimate(self.unmarked, self.files, confidence, 0.0)
        told = [one.what for one in self.findings if one.kind == "named"]
        return Risk(
            name,
            "",
            {"named": named, "unmarked": unmarked},
            self.files,
            "disclosure" if self.named else "no disclosure found",
            note=f"Found: {'; '.join(told[:3])}. {always}".strip() if told else always,
        )
