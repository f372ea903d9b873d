"""Label cells (text, categories, booleans) as codes, and codes as cells again: one pass, no loop over rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Numbers = NDArray[Any]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]


def codes_of(series: pd.Series[Any]) -> tuple[Integers, list[Any]]:
    """Distinct non-missing values of a column as plain Python values, and the position of each cell's value in them.

    Parameters
    ----------
    series
        A column of labels: object, string, category, boolean or number dtype.

    Returns
    -------
    codes : ndarray of int64 [n_rows]
        Position in `uniques`, -1 where missing.
    uniques : list
        `str`, `int`, `float` or `bool`; anything else, and any mixture of text with something else, becomes text.
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.int64)
        values = series.cat.categories.tolist()
    else:
        raw, found = pd.factorize(series.to_numpy() if series.dtype == object else series, use_na_sentinel=True)
        codes, values = np.asarray(raw, dtype=np.int64), list(found.tolist())
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    kinds = {type(value) for value in plain}
    if len(kinds) > 1 or not kinds <= {str, int, float, bool}:
        if not kinds <= {int, float}:
            return _merge_equal(codes, [str(value) for value in plain])
    return codes, plain


def _merge_equal(codes: Integers, texts: list[str]) -> tuple[Integers, list[Any]]:
    """Give values that became equal as text (1 and "1") the same code."""
    positions, uniques = pd.factorize(np.array(texts, dtype=object))
    table = np.append(np.asarray(positions, dtype=np.int64), -1)
    return table[codes], list(uniques)


def cells_from(
    values: Sequence[Any],
    codes: Integers,
    dtype: str,
    declared: Sequence[Any] | None = None,
    ordered: bool = False,
    declared_dtype: str | None = None,
    blank: float | None = np.nan,
) -> pd.Series[Any]:
    """A column in its dtype from positions in a list of values; -1 is missing.

    Parameters
    ----------
    values
        The values that codes refer to.
    codes
        Positions in `values`, -1 where missing.
    dtype
        The pandas dtype of the column, as text.
    declared, ordered, declared_dtype
        For dtype "category": all its categories in order, the order flag, and the dtype of its categories.
    blank
        What a missing cell of dtype "object" is: NaN, as in tables read from CSV, or None, as in those from Parquet.
    """
    if dtype == "category":
        listed = list(declared if declared is not None else values)
        categories = pd.Index(listed, dtype=declared_dtype if listed and declared_dtype else None)
        position = {value: index for index, value in enumerate(listed)}
        table = np.array([position[value] for value in values] + [-1], dtype=np.int64)
        category = pd.CategoricalDtype(categories, ordered=ordered)
        return pd.Series(pd.Categorical.from_codes(table[codes], dtype=category))
    if dtype in ("object", "date"):
        objects = np.empty(len(values) + 1, dtype=object)
        objects[:-1] = values
        objects[-1] = blank
        return pd.Series(objects[codes], dtype="object")
    missing = bool((codes < 0).any())
    if missing and dtype.startswith(("int", "uint", "bool")) and "[" not in dtype and dtype != "boolean":
        dtype = "object" if dtype == "bool" else "float64"
    source = pd.Series(list(values), dtype=dtype_of(dtype)).array
    if missing:
        return pd.Series(source.take(codes, allow_fill=True))
    return pd.Series(source.take(codes))


def dtype_of(name: str) -> Any:
    """The dtype that prints as `name`; pandas itself reads "string[pyarrow]" as another one than it prints."""
    if name == "string[pyarrow]":
        import pyarrow

        return pd.ArrowDtype(pyarrow.string())
    return pd.api.types.pandas_dtype(name)


def put_cells(column: pd.Series[Any], rows: Integers, cells: pd.Series[Any]) -> pd.Series[Any]:
    """A copy of a column with some cells replaced; its dtype stays unless it cannot hold them.

    Parameters
    ----------
    column
        ``[n_rows]``.
    rows
        Places of the cells ``[m]``.
    cells
        ``[m]``.
    """
    if len(rows) == len(column):
        # nothing was observed, so that the dtype says nothing either
        whole = cells.iloc[np.argsort(rows, kind="stable")]
        return pd.Series(whole.array, index=column.index, name=column.name)
    put = column.copy()
    if isinstance(column.dtype, pd.CategoricalDtype):
        new = [label for label in pd.unique(cells.dropna()) if label not in column.cat.categories]
        put = put.cat.add_categories(new) if new else put
    put.iloc[rows] = cells.to_numpy()
    return put
