"""Completed rows and the constraints of the schema: what follows is computed, what violates is drawn again."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.schema import Column, Schema
from synthkit.schema_cells import line_values
from synthkit.schema_constraints import Constraint, NotApplicable, Regex, Total, Unique
from synthkit.schema_values import from_numbers
from synthkit.tables.cells import put_cells

Bools = NDArray[np.bool_]
_TRIES = 20


def satisfying(
    schema: Schema,
    frame: pd.DataFrame,
    completed: pd.DataFrame,
    draw: Callable[[pd.DataFrame, int], pd.DataFrame],
) -> pd.DataFrame:
    """The completed table, its rows mended as far as their missing cells allow.

    A missing total, or the last missing part of one, is computed, and cells that do not apply stay missing. Rows
    that then violate a constraint are drawn anew, up to 20 times; how many still do is told in a warning. Rows without
    missing cells are never changed. Keys and identifiers are not looked at: they are not imputed.

    Parameters
    ----------
    schema
        With constraints.
    frame
        The table with missing cells ``[n, ...]``.
    completed
        The same with filled ones.
    draw
        Completes some rows of the frame in another way, given the number of the try.
    """
    constraints = [
        one
        for one in schema.constraints
        if not isinstance(one, Unique | Regex) and all(name in frame for name in one.names)
    ]
    if not constraints:
        return completed
    completed = determined(constraints, schema, frame, completed)
    open_rows = np.flatnonzero(frame.isna().any(axis=1).to_numpy())
    bad = open_rows[~_hold(constraints, completed.iloc[open_rows])]
    for attempt in range(_TRIES):
        if not len(bad):
            return completed
        part = frame.iloc[bad]
        anew = determined(constraints, schema, part, draw(part, attempt))
        good = _hold(constraints, anew)
        for name in frame:
            if part[name].isna().any():
                completed[name] = put_cells(completed[name], bad[good], anew[name][good])
        bad = bad[~good]
    if len(bad):
        warnings.warn(
            f"{len(bad):,} completed rows violate a constraint in spite of {_TRIES} tries: their observed cells leave "
            "no room, or the model knows no such rows",
            UserWarning,
            stacklevel=5,
        )
    return completed


def _hold(constraints: list[Constraint], frame: pd.DataFrame) -> Bools:
    good = np.ones(len(frame), dtype=bool)
    for one in constraints:
        good &= one.holds(frame)
    return good


def determined(
    constraints: list[Constraint], schema: Schema, frame: pd.DataFrame, completed: pd.DataFrame
) -> pd.DataFrame:
    """A copy of completed rows in which cells that a constraint determines are what it says."""
    completed = completed.copy()
    for one in constraints:
        if isinstance(one, NotApplicable):
            rows = one.applies(completed) & frame[one.column].isna().to_numpy()
            if rows.any():
                # as the table had them
                places = np.flatnonzero(rows)
                completed[one.column] = put_cells(completed[one.column], places, frame[one.column].iloc[places])
        elif isinstance(one, Total):
            _compute(one, schema, frame, completed)
    return completed


def _compute(one: Total, schema: Schema, frame: pd.DataFrame, completed: pd.DataFrame) -> None:
    """Compute a missing total from its parts, or the last missing part from the total and the others, in place.

    With several parts missing the others were drawn: what is left for the last one must be a value that the column can
    have, or the row is left as it is, to be drawn again.
    """
    gaps = frame[list(one.names)].isna().to_numpy()
    last = np.where(gaps[:, 0], 0, len(one.names) - 1 - np.argmax(gaps[:, :0:-1], axis=1))
    for place, name in enumerate(one.names):
        rows = np.flatnonzero(gaps[:, place] & (last == place))
        if not len(rows):
            continue
        part = completed.iloc[rows]
        if name == one.column:
            numbers = one.sums(part)
        else:
            numbers = line_values(part[one.column], schema[one.column])
            for other in one.parts:
                if other != name:
                    numbers = numbers - line_values(part[other], schema[other])
            possible = (gaps[rows].sum(axis=1) == 1) | _within(numbers, schema[name])
            rows, numbers = rows[possible], numbers[possible]
        completed[name] = put_cells(completed[name], rows, from_numbers(numbers, schema[name]))


def _within(numbers: NDArray[np.float64], column: Column) -> Bools:
    """Whether numbers lie in the range of a column, ``[n]``."""
    low = -np.inf if column.minimum is None else float(column.minimum)
    high = np.inf if column.maximum is None else float(column.maximum)
    return np.asarray((numbers >= low) & (numbers <= high), dtype=bool)
