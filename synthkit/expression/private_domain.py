"""What is declared of expression under a privacy budget, and what is refused as it would be read from the cells."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import InputError, PrivacyError, unknown_name
from synthkit.expression.private_plan import COVARIANCES, LEVELS, Covariances, Levels, Shape
from synthkit.expression.space import ExpressionSpace
from synthkit.privacy.budget import ROW, PrivacyBudget
from synthkit.privacy.wording import CELL, DONOR

UNITS = (DONOR, CELL)
_SHORT, _LONG = 45.0, 60.0  # usual lengths of a cell's vector of log expression, below and above this many genes
_MANY_GENES = 3_000


@dataclass(frozen=True)
class ExpressionDomain:
    """Public facts about expression, given by whoever answers for them and never read from the cells.

    Attributes
    ----------
    records
        Public number of units: donors, or cells where each is a unit.
    genes_sha256
        Digest of the ids of the genes, in their order; the ids are public.
    n_genes
        How many there are.
    label
        Column of the classes; None without.
    classes
        Their names; empty without.
    counts
        Public number of units of each class; empty where it is not public and is counted with noise.
    loadings, loadings_sha256, dimensions
        Where the public loadings come from, their digest, and how many directions there are.
    levels, covariance
        As in `synthkit.expression.private_plan.Shape`.
    longest
        Public bound on the length of a cell's vector of ``log(1 + counts per 10,000)``; longer ones are cut to it.
    dispersion
        Public dispersion of counts; None where it follows from what is bought.

    Raises
    ------
    PrivacyError
        A class without a name or named twice, counts that do not fit, or no units.
    """

    records: int
    genes_sha256: str
    n_genes: int
    label: str | None
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    loadings: str
    loadings_sha256: str
    dimensions: int
    levels: Levels
    covariance: Covariances
    longest: float
    dispersion: float | None

    def __post_init__(self) -> None:
        """Refuse what cannot be declared."""
        if isinstance(self.records, bool) or not isinstance(self.records, int) or self.records < 1:
            raise PrivacyError(
                f"the public number of units is {self.records!r}, expected a whole number from 1",
                remedy="Give records=N: donors, or cells where each is a unit; a rounded number will do.",
            )
        if len(set(self.classes)) < len(self.classes) or not all(name.strip() for name in self.classes):
            raise PrivacyError(
                f"the declared classes are {', '.join(map(repr, self.classes))}, expected different names",
                remedy="Name each class once.",
            )
        if self.counts and (len(self.counts) != len(self.classes) or min(self.counts) < 0 or not sum(self.counts)):
            raise PrivacyError(
                f"the public counts of {len(self.classes)} classes are {list(self.counts)}, expected a number from 0 "
                "for each and one above",
                remedy="Give a number for each class, or leave them out: they are then counted with noise.",
            )
        if self.levels not in LEVELS:
            raise PrivacyError(unknown_name("source of the levels of genes", str(self.levels), LEVELS))
        if self.covariance not in COVARIANCES:
            raise PrivacyError(unknown_name("private covariance", str(self.covariance), COVARIANCES))
        if self.dispersion is not None and not 0 <= self.dispersion < math.inf:
            raise PrivacyError(f"the dispersion is {self.dispersion!r}, expected a public number from 0")

    def shape(self, unit: str) -> Shape:
        """Return the public sizes of a release for a unit of privacy."""
        k = max(len(self.classes), 1)
        # donors share themselves among classes in a way that public counts do not tell
        counted = k > 1 and (not self.counts or unit == DONOR)
        return Shape(self.records, self.n_genes, self.dimensions, k, self.levels, self.covariance, counted)

    def codes_of(self, cells: pd.DataFrame) -> NDArray[np.int64]:
        """Return the number of the declared class of each cell; -1 for what is not declared, which counts nowhere.

        Raises
        ------
        PrivacyError
            There is no such column.
        """
        if self.label is None:
            return np.zeros(len(cells), np.int64)
        if self.label not in cells.columns:
            raise PrivacyError(
                unknown_name("column of cells", self.label, map(str, cells.columns)),
                remedy="Name a column of obs.",
            )
        number = {name: at for at, name in enumerate(self.classes)}
        return np.array([number.get(str(value), -1) for value in cells[self.label]], np.int64)

    def space(self, genes: pd.Index, joint: NDArray[np.int64]) -> ExpressionSpace:
        """Return the space that drawn cells live in: declared classes, ids of genes, noisy or public counts ``[K]``."""
        frame = pd.DataFrame(index=pd.Index([str(gene) for gene in genes]))
        if self.label is None:
            return ExpressionSpace(frame, "counts", joint=joint[:, None])
        values = pd.Categorical(list(self.classes), categories=list(self.classes))
        return ExpressionSpace(frame, "counts", (self.label,), pd.DataFrame({self.label: values}), joint=joint[:, None])

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form, for model files."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned.

        Raises
        ------
        PrivacyError
            It is not that.
        """
        try:
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
            }
            return cls(**values)
        except TypeError as error:
            raise PrivacyError(
                "what is declared of expression has other parts than a fit writes",
                remedy="Use the file as synthkit wrote it.",
            ) from error

    @property
    def sha256(self) -> str:
        """Digest of all that is declared."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def genes_sha256(genes: Sequence[str]) -> str:
    """Return the digest of ids of genes in their order: of public names, so that it tells nothing private."""
    return hashlib.sha256("\n".join(genes).encode()).hexdigest()


def usual_length(genes: int) -> float:
    """Return a public bound on the length of a cell's vector of ``log(1 + counts per 10,000)``.

    No such vector is longer than about 80, whatever the cell: its counts per 10,000 sum to 10,000. Lengths of real
    cells and samples are 30 to 60, more with more genes.
    """
    return _SHORT if genes <= _MANY_GENES else _LONG


def declared_longest(value: object, genes: int) -> float:
    """Return the bound that was declared, or the usual one.

    Raises
    ------
    PrivacyError
        A bound for each gene, or one that is to be found in the data.
    """
    if value is None:
        return usual_length(genes)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise PrivacyError(
            f"the bound on expression is {value if isinstance(value, str) else type(value).__name__!r}, and bounds of "
            f"genes are not bought: to find the range of {genes:,} genes costs more than any budget has, and to read "
            "it from the cells tells of them",
            remedy="Leave it out, or give one public number for the length of a cell's vector of logarithms.",
        )
    return float(value)


def declared_classes(value: object, label: str | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return declared classes and, where they are public, numbers of units of each.

    Raises
    ------
    PrivacyError
        There is a label and its classes are not declared, or the other way round.
    InputError
        They are no names.
    """
    if (value is None) != (label is None):
        missing = "its classes are not declared" if value is None else "no label says which class a cell has"
        raise PrivacyError(
            f"{missing}, and a list of labels that is read from the cells tells of them: a class that is absent, or "
            "that one donor has",
            remedy='Give label="cell_type" and classes=("B", "T"), or {"B": 100, "T": 300} with public numbers.',
        )
    if isinstance(value, Mapping):
        return tuple(map(str, value)), tuple(value.values())
    if value is None:
        return (), ()
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise InputError(f"classes is {value!r}, expected names", remedy='Give for example ("B", "T").')
    return tuple(map(str, value)), ()


def unit_of(budget: PrivacyBudget, donor: str | None) -> PrivacyBudget:
    """Return a budget for expression, whose unit is the donor wherever donors are known.

    Parameters
    ----------
    budget
        Of the unit "donor" or "cell", of the name of the column of donors, or of a table's usual unit, which stands for
        whichever there is.
    donor
        Column that says whose each cell is; None where each is its own.

    Raises
    ------
    PrivacyError
        Another unit, or donors that are not known.
    """
    if budget.unit == ROW or (donor is not None and budget.unit == donor):
        return replace(budget, unit=CELL if donor is None else DONOR, rows_per_unit=1)
    if budget.unit not in UNITS:
        raise PrivacyError(
            unknown_name("unit of privacy for expression", budget.unit, UNITS),
            remedy="Protect 'donor' (all cells of one), or 'cell' where each is somebody else's.",
        )
    if budget.unit == DONOR and donor is None:
        raise PrivacyError(
            "the budget protects donors, and nothing says whose each cell is",
            remedy="Name the column of donors, or protect each cell with the unit 'cell'.",
        )
    # all cells of a donor are averaged: their number changes nothing
    return replace(budget, rows_per_unit=1)
