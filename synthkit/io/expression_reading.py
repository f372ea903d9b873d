"""What reading gene expression gives, and what the readers of the formats hand to the one that checks."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from synthkit.io.expression_set import ExpressionSet, Measure, Values


@dataclass(frozen=True)
class ExpressionReading:
    """Gene expression, and what was found on the way.

    Attributes
    ----------
    data
        Cells by genes.
    notes
        What was found and done, a sentence each.
    told
        How it was told what the values are: the sentence among `notes` that says so.
    n_empty
        Cells without any expression that were left out.
    """

    data: ExpressionSet
    notes: tuple[str, ...] = ()
    told: str = ""
    n_empty: int = 0

    def describe(self) -> str:
        """Return the notes, a line each."""
        return "\n".join(f"note: {note}" for note in self.notes)


@dataclass(frozen=True)
class Found:
    """A matrix as it lies in a file, before anything is checked.

    Attributes
    ----------
    values
        ``[cells, genes]``: a CSR matrix or an array.
    genes, cells
        As in `ExpressionSet`; the index holds text.
    where
        Which matrix of the file it is, such as ``layers['counts']``; empty where there is only one.
    promised
        What the name of the matrix says that it holds; None where it says nothing.
    notes
        What was found and done.
    others
        Other matrices that the file holds.
    """

    values: Values
    genes: pd.DataFrame
    cells: pd.DataFrame
    where: str = ""
    promised: Measure | None = None
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
