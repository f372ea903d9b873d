"""The record of an audit of cells: that of tables, with what was found twice, types at risk, planted copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from synthkit.auditing.expression.duplicates import ExpressionDuplicates
from synthkit.auditing.expression.types import TypeRisk
from synthkit.auditing.release_metadata import MetadataAudit
from synthkit.auditing.result import Audit


@dataclass(frozen=True)
class PlantedCopies:
    """What the audit finds in this release once copies of training cells were put into it.

    Attributes
    ----------
    share
        Of the accused training cells that were copied, each sequenced once more.
    cells
        How many these are.
    found_by
        Names of the attacks that then find a disclosure.
    """

    share: float
    cells: int
    found_by: tuple[str, ...]


@dataclass(frozen=True)
class NearestCell:
    """A training cell with the synthetic cell nearest to it.

    Attributes
    ----------
    training, synthetic
        Their positions in the sets that were handed in, from 1.
    correlation
        Of their log-normalised profiles.
    most_of_holdout
        The largest correlation of any accused held-out cell with the release.
    label
        Type of the training cell; empty where types are unknown.
    """

    training: int
    synthetic: int
    correlation: float
    most_of_holdout: float
    label: str = ""


@dataclass(frozen=True)
class ExpressionAuditResult(Audit):
    """What was found about a release of cells.

    `rows` counts cells, and `overlap` held-out cells that are among the training cells.

    Attributes
    ----------
    duplicates
        Cells that are there more than once, or None without held-out cells.
    types
        Risk by type, those with the fewest training cells first.
    planted
        What the audit would have found.
    worst
        The training cells nearest to the release.
    metadata
        What the released file says besides its values; None where it was no file.
    donors
        Number of donors of the "real" and the "held-out" cells; 0 where they are unknown.
    donor, label
        Columns of the donor and of the type, as asked for.
    """

    thing: ClassVar[str] = "cell"

    duplicates: ExpressionDuplicates | None = None
    types: tuple[TypeRisk, ...] = ()
    planted: tuple[PlantedCopies, ...] = ()
    worst: tuple[NearestCell, ...] = ()
    metadata: MetadataAudit | None = None
    donors: Mapping[str, int] = field(default_factory=dict)
    donor: str | None = None
    label: str | None = None

    @property
    def knows_persons(self) -> bool:
        """Whether it is known of which donor each real cell is."""
        return self.donor is not None

    def __repr__(self) -> str:
        from synthkit.auditing.expression.text import audit_text

        return audit_text(self)

    def _repr_html_(self) -> str:
        from synthkit.auditing.expression.report.html import audit_html

        return audit_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold; None in place of NaN."""
        return {"kind": "expression", **super().to_dict()}

    def to_text(self, *, width: int = 100) -> str:
        """Return the findings and verdicts for a terminal.

        Parameters
        ----------
        width
            Width of the text in characters.
        """
        from synthkit.auditing.expression.text import as_text

        return as_text(self, width=width)
