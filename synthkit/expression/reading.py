"""Cells that are given as a set, a path or an AnnData."""

from __future__ import annotations

from pathlib import Path

from synthkit.errors import InputError
from synthkit.io.expression_set import ExpressionSet, Measure


def cells_of(cells: object, measure: Measure | None = None) -> ExpressionSet:
    """Return cells, reading them where a path or an AnnData is given: then `measure` is said rather than told.

    Raises
    ------
    InputError
        None of these, or nothing usable at the path.
    """
    if isinstance(cells, ExpressionSet):
        return cells
    if isinstance(cells, str | Path) or type(cells).__name__ == "AnnData":
        from synthkit.io.expression import read_expression

        return read_expression(cells, measure=measure).data
    raise InputError(
        f"expected cells (an ExpressionSet, an AnnData or a path), got {type(cells).__name__}",
        remedy="Read them with synthkit.read_expression, or put arrays into synthkit.ExpressionSet.",
    )
