"""Annotations of genes and cells as JSON: columns, dtypes and categories come back as they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from synthkit.errors import DataError


def frame_to_json(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the JSON-safe form of a table of annotations.

    Raises
    ------
    DataError
        A column of a dtype that cannot be kept, such as dates.
    """
    return {
        "index": _values(frame.index.to_series(), "index"),
        "index_name": None if frame.index.name is None else str(frame.index.name),
        "columns": [{"name": str(name), **_column(frame[name], str(name))} for name in frame.columns],
    }


def frame_from_json(content: Mapping[str, Any]) -> pd.DataFrame:
    """Read what `frame_to_json` returned."""
    index = pd.Index(content["index"], name=content["index_name"])
    columns = {column["name"]: _read(column) for column in content["columns"]}
    return pd.DataFrame(columns, index=index, columns=pd.Index(list(columns), dtype=object))


def _column(column: pd.Series, name: str) -> dict[str, Any]:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return {
            "dtype": "category",
            "values": column.cat.codes.tolist(),
            "categories": _values(pd.Series(dtype.categories), name),
            "categories_dtype": _named(dtype.categories.dtype),
            "ordered": bool(dtype.ordered),
        }
    return {"dtype": _named(dtype), "values": _values(column, name)}


def _named(dtype: Any) -> str:
    return "object" if str(dtype) in ("object", "str") else str(dtype)


def _values(column: pd.Series, name: str) -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype):
        raise DataError(f"the annotation {name!r} holds dates, which a model cannot keep", remedy="Leave it out.")
    return [_plain(value) for value in column.tolist()]


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _read(column: Mapping[str, Any]) -> Any:
    if column["dtype"] == "category":
        categories = pd.Index(np.array(column["categories"], dtype=column["categories_dtype"]))
        return pd.Categorical.from_codes(column["values"], categories=categories, ordered=column["ordered"])
    values = column["values"]
    if column["dtype"].startswith("float"):
        values = [np.nan if value is None else value for value in values]
    return pd.array(values, dtype=column["dtype"]) if column["dtype"] != "object" else np.array(values, dtype=object)
