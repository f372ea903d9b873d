"""What rows must look like: like rows of a given table, and as a condition asks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synthkit.schema import Column, Schema
from synthkit.testing.checks import require


def check_domain(real: pd.DataFrame, synthetic: pd.DataFrame, schema: Schema) -> None:
    """Check that synthetic rows could have come from the source of the real ones, column by column.

    Same columns in the same order without free text, same dtypes and categories, missing cells only where they may be,
    values inside the training range and of the training decimals, labels and time zones, identifiers unique. Where the
    schema is declared, labels may be any declared ones.

    Raises
    ------
    AssertionError
        Naming the column.
    """
    expected = [column.name for column in schema if column.type != "text"]
    require(list(synthetic.columns) == expected, f"columns are {list(synthetic.columns)}, expected {expected}")
    require(synthetic.index.equals(pd.RangeIndex(len(synthetic))), "the index is not 0, 1, 2, ...")
    for name in expected:
        column = schema[name]
        others = column.categories if schema.domain == "declared" else None
        _check_cells(real[name], synthetic[name], column, set(others or ()))


def _check_cells(real: pd.Series[Any], synthetic: pd.Series[Any], column: Column, others: set[Any]) -> None:
    name = column.name
    require(synthetic.dtype == real.dtype, f"{name!r} has dtype {synthetic.dtype}, expected {real.dtype}")
    if not real.isna().any():
        require(not synthetic.isna().any(), f"{name!r} has missing cells, expected none")
    known, found = real.dropna(), synthetic.dropna()
    if not len(found):
        return
    kinds = {type(value) for value in known}
    odd = {type(value) for value in found} - kinds
    require(not odd, f"{name!r} holds {odd}, expected {kinds}")
    if column.type in ("categorical", "ordinal", "boolean", "constant"):
        strange = set(found) - set(known) - others
        require(not strange, f"{name!r} has values that the table has not: {sorted(map(str, strange))[:5]}")
    elif column.type in ("continuous", "integer", "datetime") and column.text_format is None:
        require(
            known.min() <= found.min() and found.max() <= known.max(),
            f"{name!r} runs from {found.min()} to {found.max()}, the table from {known.min()} to {known.max()}",
        )
    if column.type == "continuous" and column.decimals is not None:
        numbers = found.to_numpy(dtype=np.float64)
        require((np.round(numbers, column.decimals) == numbers).all(), f"{name!r} has too many decimals")
    if column.type == "datetime" and column.granularity and isinstance(known.iloc[0], pd.Timestamp):
        wall = found.dt.tz_localize(None)
        require((wall.dt.floor(column.granularity) == wall).all(), f"{name!r} is finer than {column.granularity}")
    if column.type == "identifier" and known.is_unique:
        require(found.is_unique, f"{name!r} repeats identifiers")


def condition_holds(cells: pd.Series[Any], condition: Any) -> bool:
    """Whether every cell satisfies a condition as `sample(where=...)` takes it."""
    if condition is None:
        return bool(cells.isna().all())
    if isinstance(condition, list):
        return bool(
            (cells.isin([value for value in condition if value is not None]) | _missing(cells, condition)).all()
        )
    if isinstance(condition, tuple):
        low, high = condition
        present = cells.dropna()
        fits = [low is None or (present >= low).all(), high is None or (present <= high).all()]
        return len(present) == len(cells) and all(map(bool, fits))
    return bool((cells == condition).fillna(False).all())


def _missing(cells: pd.Series[Any], condition: list[Any]) -> pd.Series[bool]:
    return cells.isna() & (None in condition)
