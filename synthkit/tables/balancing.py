"""How many synthetic rows each class needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from synthkit.errors import DataError, InputError, unknown_name


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
        raise DataError(f"column {name!r} has {classes} classes, expected at least two to balance")
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
