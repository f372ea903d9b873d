"""How many synthetic rows each class needs, and the table with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from synthkit.errors import DataError, InputError, SchemaError, unknown_name
from synthkit.schema import Schema
from synthkit.tables.identifiers import TakenIdentifiers

DrawClass = Callable[[Any, int, TakenIdentifiers], pd.DataFrame]


def balance_column(frame: pd.DataFrame, schema: Schema, target: str | None) -> str:
    """Name of the column of classes: the one asked for, or the target of the schema.

    Raises
    ------
    InputError
        There is neither.
    SchemaError
        The table has no such column, or columns that the model never saw.
    """
    name = target if target is not None else schema.target
    if name is None:
        raise InputError("balance needs a column of classes", remedy="give target=COLUMN")
    if name not in frame:
        raise SchemaError(unknown_name("column", name, [str(column) for column in frame.columns]))
    unknown = [str(column) for column in frame.columns if column not in schema]
    if unknown:
        raise SchemaError(
            f"the model never saw the columns {', '.join(map(repr, unknown))}, so it has no values for new rows",
            remedy="drop them, or fit a model to the table with them",
        )
    return name


def balanced(
    frame: pd.DataFrame,
    name: str,
    schema: Schema,
    taken: TakenIdentifiers,
    draw: DrawClass,
    *,
    ratio: float,
    counts: Mapping[Any, int] | None,
) -> pd.DataFrame:
    """Real rows ``frame``, untouched and first, then as many drawn ones of each class as are missing; no free text."""
    missing = balance_counts(frame[name], name, ratio=ratio, counts=counts)
    kept = [column for column in frame.columns if schema[column].type != "text"]
    parts = [frame[kept], *(draw(label, rows, taken)[kept] for label, rows in missing.items())]
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else frame[kept].reset_index(drop=True)


def balance_counts(
    labels: pd.Series[Any], name: str, *, ratio: float = 1.0, counts: Mapping[Any, int] | None = None
) -> dict[Any, int]:
    """Rows to add to each class.

    Parameters
    ----------
    labels
        The column of classes.
    name
        Its name, for messages.
    ratio
        Rows of every class as a share of the largest class, in (0, 1].
    counts
        Rows that these classes shall have, instead of ``ratio``.

    Returns
    -------
    dict
        Class to a positive number of rows; classes that have enough are absent.

    Raises
    ------
    InputError
        A ratio outside (0, 1], an unknown class, or a count below what there is.
    DataError
        A single class, or none.
    """
    found = labels.value_counts(sort=False).to_dict()
    classes = sum(had > 0 for had in found.values())  # a dtype "category" also counts categories without rows
    if classes < 2:
        raise DataError(f"column {name!r} has {'a single class' if classes else 'no class'}, expected at least two")
    if counts is None:
        if not 0.0 < ratio <= 1.0:
            raise InputError(f"the ratio is {ratio!r}, expected more than 0 and at most 1")
        wanted = math.ceil(ratio * max(found.values()))
        return {label: wanted - had for label, had in found.items() if 0 < had < wanted}
    by_text = {str(label): label for label in found}
    added = {}
    for label, wanted in counts.items():
        if str(label) not in by_text:
            raise InputError(f"{unknown_name('class', str(label), by_text)} (column {name!r})")
        own = by_text[str(label)]
        if wanted < found[own]:
            raise InputError(
                f"class {str(label)!r} of column {name!r} has {found[own]} rows, more than the {wanted} asked for",
                remedy="real rows are never removed: ask for at least as many",
            )
        if wanted > found[own]:
            added[own] = int(wanted) - found[own]
    return added
