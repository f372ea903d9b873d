"""What a guarantee calls things, by the kind of data."""

from __future__ import annotations

from dataclasses import dataclass

from synthkit.privacy.budget import ROW

PATIENT, SCAN = "patient", "scan"
"""Units of privacy of scans: a patient with all scans, or a single scan."""
DONOR, CELL = "donor", "cell"
"""Units of privacy of gene expression: a donor with all cells, or a single cell (or sample)."""


@dataclass(frozen=True)
class Wording:
    """Words for one kind of data.

    Attributes
    ----------
    record, records
        One thing that the data consists of, and several.
    data
        Two neighbours.
    own
        Names of units that are single records.
    named
        Whether any other unit is the name of a column, and stands in quotation marks.
    public
        What is taken as public and stands in the model as declared.
    all_records
        Whether all records of a unit are used, averaged, so that their number does not matter.
    """

    record: str
    records: str
    data: str
    own: tuple[str, ...]
    named: bool
    public: str
    all_records: bool = False

    def is_record(self, unit: str) -> bool:
        """Whether a unit of privacy is a single record."""
        return unit in self.own

    def one(self, unit: str) -> str:
        """Return a unit with "one" before it."""
        if self.is_record(unit):
            return f"one {self.record}"
        return f"one '{unit}'" if self.named else f"one {unit}"

    def value(self, unit: str) -> str:
        """Return a unit as the head of a certificate names it."""
        return f"one value of '{unit}'" if self.named and not self.is_record(unit) else self.one(unit)


TABLE = Wording(
    record="row",
    records="rows",
    data="tables",
    own=(ROW,),
    named=True,
    public="The schema. Names of columns, bounds, categories and the number of records are taken as public and stand "
    "in the model as declared. Whatever of them was read from the data is outside the guarantee.",
)
SCANS = Wording(
    record="scan",
    records="scans",
    data="sets of scans",
    own=(SCAN, ROW),
    named=False,
    public="What is declared. Size, range of intensities, classes, modality and the number of patients are taken as "
    "public and stand in the model as declared. Whatever of them was read from the scans is outside the guarantee.",
)
EXPRESSION = Wording(
    record="cell",
    records="cells",
    data="sets of cells",
    own=(CELL, ROW),
    named=False,
    public="What is declared. Ids of genes, classes, loadings, dispersion and the number of donors are taken as public "
    "and stand in the model as declared. Whatever of them was read from the cells is outside the guarantee.",
    all_records=True,
)
WORDINGS: dict[str, Wording] = {"table": TABLE, "scans": SCANS, "expression": EXPRESSION}


def wording_of(kind: str) -> Wording:
    """Return the words for a kind of data; those of tables for one that has none."""
    return WORDINGS.get(kind, TABLE)
