"""The privacy budget: how much one unit of the data may matter to everything that is published."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from synthkit.errors import PrivacyError, unknown_name

Adjacency = Literal["add-remove", "replace-one"]
ADJACENCIES: tuple[str, ...] = get_args(Adjacency)

ROW = "row"


@dataclass(frozen=True)
class PrivacyBudget:
    """An (epsilon, delta) guarantee, the unit that it protects, and which data sets count as neighbours.

    Parameters
    ----------
    epsilon
        Largest privacy loss. Above 0 and finite.
    delta
        Probability with which the guarantee of epsilon may fail. Above 0 and below 1; it should be far below one over
        the number of units (:meth:`check_records`).
    unit
        What is protected: "row", or the name of the column that says whom a row belongs to, such as "patient_id".
    adjacency
        "add-remove": neighbours differ by the presence of one unit. "replace-one": neighbours have as many units and
        one of them differs; the number of units is then public.
    rows_per_unit
        Largest number of rows of one unit that are used; 1 when the unit is a row.

    Raises
    ------
    PrivacyError
        If one of them is outside these ranges.

    Privacy
    -------
    A mechanism M keeps the budget if P(M(D) in S) <= exp(epsilon) P(M(D') in S) + delta for every set S and all
    neighbours D, D' (Dwork, McSherry, Nissim and Smith, 2006).
    """

    epsilon: float
    delta: float
    unit: str = field(default=ROW, kw_only=True)
    adjacency: Adjacency = field(default="add-remove", kw_only=True)
    rows_per_unit: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what is no budget."""
        if not _is_number(self.epsilon) or not (self.epsilon > 0 and math.isfinite(self.epsilon)):
            raise PrivacyError(
                f"the privacy budget expects an epsilon above 0 and finite, got {self.epsilon!r}",
                remedy="Give an epsilon such as 1; smaller protects more.",
            )
        if not _is_number(self.delta) or not 0 < self.delta < 1:
            raise PrivacyError(
                f"the privacy budget expects a delta above 0 and below 1, got {self.delta!r}",
                remedy="Give at most a tenth of one over the number of units, such as 1e-6.",
            )
        object.__setattr__(self, "epsilon", float(self.epsilon))
        object.__setattr__(self, "delta", float(self.delta))
        if not isinstance(self.unit, str) or not self.unit.strip():
            raise PrivacyError(
                f"the unit of privacy is {self.unit!r}, expected 'row' or the name of a column",
                remedy="Name the column that says whom a row belongs to, or leave the unit out for single rows.",
            )
        if self.adjacency not in ADJACENCIES:
            raise PrivacyError(
                unknown_name("adjacency", str(self.adjacency), ADJACENCIES),
                remedy="Use 'add-remove' unless the number of units is public anyway.",
            )
        whole = isinstance(self.rows_per_unit, int) and not isinstance(self.rows_per_unit, bool)
        if not whole or self.rows_per_unit < 1:
            raise PrivacyError(
                f"the rows per unit are {self.rows_per_unit!r}, expected a whole number of at least 1",
                remedy="Give the largest number of rows that one unit may contribute.",
            )
        if self.unit == ROW and self.rows_per_unit != 1:
            raise PrivacyError(
                f"the unit of privacy is a row, but {self.rows_per_unit} rows per unit were asked for",
                remedy="Name the column of the unit, or leave the rows per unit out.",
            )

    def check_records(self, n_records: int) -> None:
        """Refuse a delta that would allow a mechanism to publish whole records.

        Publishing one unit drawn at random keeps (0, 1/n)-privacy, so a delta of that size promises nothing.

        Parameters
        ----------
        n_records
            Public number of units n0 (rows, when the unit is a row).

        Raises
        ------
        PrivacyError
            If `n_records` is no whole number of at least 1, or delta >= 1 / n0.
        """
        if isinstance(n_records, bool) or not isinstance(n_records, int) or n_records < 1:
            raise PrivacyError(
                f"the public number of records is {n_records!r}, expected a whole number of at least 1",
                remedy="Give the number of records that may be known to everybody.",
            )
        if self.delta >= 1 / n_records:
            raise PrivacyError(
                f"delta is {self.delta:g}, expected below 1/{n_records} = {1 / n_records:.3g}, because a larger one "
                "allows a whole record to be published",
                remedy=f"Give a delta of at most {1 / (10 * n_records):.3g}, a tenth of 1/{n_records}.",
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads."""
        return {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "unit": self.unit,
            "adjacency": self.adjacency,
            "rows_per_unit": self.rows_per_unit,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PrivacyBudget:
        """Return the budget that :meth:`to_json` wrote.

        Raises
        ------
        PrivacyError
            If it is not one.
        """
        names = ("epsilon", "delta", "unit", "adjacency", "rows_per_unit")
        if not isinstance(value, Mapping) or set(value) != set(names):
            raise PrivacyError(
                f"a stored privacy budget has {', '.join(names)}, got {_described(value)}",
                remedy="Use the file as synthkit wrote it.",
            )
        return cls(
            value["epsilon"],
            value["delta"],
            unit=value["unit"],
            adjacency=value["adjacency"],
            rows_per_unit=value["rows_per_unit"],
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _described(value: Any) -> str:
    """Return the keys of a mapping, or the type of anything else: never a content."""
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, Mapping) else type(value).__name__
