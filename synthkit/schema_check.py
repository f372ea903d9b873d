"""Whether a table conforms to a schema, and if not, which cells do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.errors import DataError, SchemaError, unknown_name
from synthkit.schema import Column, Schema
from synthkit.schema_facts import describe_rows, plain
from synthkit.schema_values import as_dates, as_numbers

_MOST_LISTED = 5


def check_frame(schema: Schema, frame: pd.DataFrame, *, new_categories: bool) -> None:
    """Raise where a table does not conform; see `Schema.check`."""
    names = [str(name) for name in frame.columns]
    missing = [name for name in schema.names if name not in names]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SchemaError(
            f"the table lacks the column {missing[0]!r}{more} of the schema; it has {_listed(names)}",
            remedy="Take the column out of the schema, or put it into the table.",
        )
    for name in names:
        if name not in schema:
            raise SchemaError(
                f"the table has an {unknown_name('column', name, schema.names)}",
                remedy="Describe it in the schema, or leave it out of the table.",
            )
        if names.count(name) > 1:
            raise DataError(f"the column name {name!r} appears twice", remedy="Give every column its own name.")
    for column in schema:
        _check_column(column, frame[column.name], new_categories)


def _check_column(column: Column, series: pd.Series[Any], new_categories: bool) -> None:
    if column.type == "text":
        return
    gaps = series.isna().to_numpy()
    if gaps.any() and not column.nullable:
        rows = np.flatnonzero(gaps) + 1
        shown = ", ".join(f"{row:,}" for row in rows[:3])
        raise DataError(
            f"column {column.name!r} has {len(rows):,} missing cells (row {shown}{', ...' if len(rows) > 3 else ''}), "
            "but the schema says that it has none",
            remedy="Set 'nullable: true' in the schema, or fill the cells.",
        )
    if column.is_numeric:
        _check_numbers(column, series, gaps)
    elif column.type == "datetime":
        if series.dtype.kind in "iufb":
            raise DataError(
                f"column {column.name!r} has the dtype {series.dtype}, expected dates",
                remedy="Convert it with pandas.to_datetime, or change its type in the schema.",
            )
        bad = np.isnat(as_dates(series, column)) & ~gaps
        expected = "dates" if column.text_format is None else f"dates written as {column.text_format}"
        _refuse(column, series, bad, expected)
    elif column.type in ("categorical", "ordinal", "boolean") and column.categories is not None and not new_categories:
        _check_labels(column, series)


def _check_numbers(column: Column, series: pd.Series[Any], gaps: npt.NDArray[np.bool_]) -> None:
    if series.dtype.kind in "Mm" or isinstance(series.dtype, pd.DatetimeTZDtype):
        raise DataError(
            f"column {column.name!r} has the dtype {series.dtype}, expected numbers",
            remedy="Change its type in the schema.",
        )
    values = as_numbers(series, column)
    _refuse(column, series, np.isnan(values) & ~gaps, "numbers")
    _refuse(column, series, np.isinf(values), "finite numbers")
    if column.type == "integer":
        # Missing cells compare unequal to themselves, so they are no fractions.
        with np.errstate(invalid="ignore"):
            _refuse(column, series, np.abs(values - np.rint(values)) > 0, "whole numbers")


def _check_labels(column: Column, series: pd.Series[Any]) -> None:
    known = set(column.categories or ())
    as_text = {str(label) for label in known}
    cells = series.astype(object)
    unseen = [value for value in cells.dropna().unique() if plain(value) not in known and str(value) not in as_text]
    if not unseen:
        return
    more = f" and {len(unseen) - _MOST_LISTED:,} more" if len(unseen) > _MOST_LISTED else ""
    listed = ", ".join(repr(plain(value)) for value in unseen[:_MOST_LISTED])
    row = int(np.flatnonzero(cells.isin([unseen[0]]).to_numpy())[0]) + 1
    raise DataError(
        f"column {column.name!r} holds values that are not among its {len(known):,} categories: {listed}{more} "
        f"(first in row {row:,}); known: {_listed([str(label) for label in column.categories or ()])}",
        remedy="Add them to 'categories' in the schema, or correct the cells.",
    )


def _refuse(column: Column, series: pd.Series[Any], bad: npt.NDArray[np.bool_], expected: str) -> None:
    if bad.any():
        raise DataError(
            f"column {column.name!r} should hold {expected}, but not {describe_rows(series[bad], bad)}",
            remedy="Correct those cells, or change the column's type in the schema.",
        )


def _listed(names: list[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
