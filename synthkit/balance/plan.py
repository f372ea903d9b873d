"""How many rows of each class to add."""

from __future__ import annotations

import math
from collections.abc import Hashable

import pandas as pd

from synthkit.errors import InputError, SchemaError, unknown_name


def rows_to_add(frame: pd.DataFrame, target: str, *, ratio: float = 1.0) -> dict[Hashable, int]:
    """Count the rows that each class lacks until it has `ratio` times as many as the largest one.

    Parameters
    ----------
    frame
        The real table.
    target
        The column that holds the class; rows in which it is missing belong to none.
    ratio
        Wanted size of every class relative to the largest, in (0, 1].

    Returns
    -------
    dict
        Number of rows to add for each class, in order of size, largest class first; 0 where there are enough.

    Raises
    ------
    SchemaError
        If the target is unknown.
    InputError
        If the ratio is outside (0, 1] or the target has fewer than two classes.

    Examples
    --------
    >>> rows_to_add(pd.DataFrame({"ill": ["no"] * 8 + ["yes"] * 2}), "ill", ratio=0.5)
    {'no': 0, 'yes': 2}
    """
    if target not in frame.columns:
        raise SchemaError(unknown_name("target column", target, [str(name) for name in frame.columns]))
    if not 0 < ratio <= 1:
        raise InputError(f"the ratio must lie in (0, 1], got {ratio}", remedy="Pass 1 for equally many of every class.")
    counts = frame[target].value_counts()
    counts = counts[counts > 0]
    if len(counts) < 2:
        raise InputError(
            f"the target {target!r} has {len(counts)} class{'es' if len(counts) != 1 else ''}, balancing needs two",
            remedy="Choose a column with at least two values.",
        )
    wanted = math.ceil(ratio * int(counts.max()) - 1e-9)
    return {label: max(0, wanted - int(count)) for label, count in counts.items()}
