"""Tables under a privacy budget: cells become symbols by what the schema declares, never by what the data holds.

Every cell is mapped by itself: whatever one row contains, the others come out the same. A number outside its bounds
counts as the bound. A label that is not declared counts as missing; in a column that is not nullable, it and a missing
cell are counted nowhere. Nothing is raised over the content of a cell, because an error would tell of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import PrivacyError, SchemaError, unknown_name
from synthkit.privacy.edges import tree_levels
from synthkit.schema import Column, Schema
from synthkit.schema_values import as_dates, as_numbers
from synthkit.tables.cells import Bools, Integers, Numbers
from synthkit.tables.label_codec import LabelCodec
from synthkit.tables.number_codec import NumberCodec
from synthkit.tables.scale import NumberScale
from synthkit.tables.statistics import LabelStatistics, NumberStatistics, is_generated, is_number
from synthkit.tables.support import Support

Floats = NDArray[np.float64]
_OWN_BINS = 16  # whole numbers and ranks of at most so many values have a bin for each, which costs nothing
_FINE = 4096  # whole numbers beyond which zero and the bounds have a symbol of their own


@dataclass(frozen=True, eq=False)
class PlainColumn:
    """One column of a private table in plain numbers.

    Attributes
    ----------
    values : ndarray [n]
        Numbers on the scale of the column, position among the declared labels, or the labels themselves as text where
        they are not declared.
    missing : ndarray of bool [n]
        Cells without a declared value; the value is 0 or None there.
    """

    values: NDArray[Any]
    missing: Bools


def check_declared(schema: Schema, *, unit: str, buy: Sequence[str] = ()) -> None:
    """Check that everything a private fit needs to know beforehand is declared.

    Parameters
    ----------
    schema
        Description of the table.
    unit
        "row" or the column that names the unit of privacy.
    buy
        What is bought from the budget instead of declared.

    Raises
    ------
    PrivacyError
        Something is missing; the remedy is the line or option to add.
    SchemaError
        The unit is not a column.
    """
    if unit != "row" and unit not in schema:
        raise SchemaError(unknown_name("column", unit, schema.names), remedy="give the column that names the person")
    if schema.domain != "declared":
        raise PrivacyError(
            "the schema says 'domain: inferred': its bounds and categories were read from the data, outside any budget",
            remedy="check each of them against public knowledge, then write 'domain: declared' at its top",
        )
    for column in schema:
        if column.name == unit or column.type in ("text", "constant") or is_generated(column):
            continue
        missing = [field for field in ("minimum", "maximum") if getattr(column, field) is None]
        if needs_bounds(column) and missing:
            raise PrivacyError(
                f"column {column.name!r} is {column.type} and has no declared {' and '.join(missing)}",
                remedy=f"add 'minimum:' and 'maximum:' to column {column.name!r} in the schema",
            )
        if column.type == "ordinal" and not column.categories:
            raise PrivacyError(f"column {column.name!r} is ordinal and has no categories", remedy="list them in order")
        if needs_categories(column) and "categories" not in buy:
            raise PrivacyError(
                f"column {column.name!r} is {column.type} and has no declared categories",
                remedy=f"list them ('categories: [...]' of {column.name!r} in the schema), or add --buy categories",
            )


def needs_bounds(column: Column) -> bool:
    """Whether a column lies on a line whose ends must be declared."""
    return column.type in ("continuous", "integer", "datetime", "identifier") and not is_generated(column)


def needs_categories(column: Column) -> bool:
    """Whether the labels of a column must be declared or bought."""
    return column.type in ("categorical", "boolean") and column.categories is None


def with_public_domains(schema: Schema) -> Schema:
    """The schema with the values that follow from a dtype alone: cells of dtype bool are true or false."""
    for column in schema:
        if needs_categories(column) and column.dtype in ("bool", "boolean"):
            schema = schema.replace(column.name, categories=(False, True))
    return schema


def schema_digest(schema: Schema, bought: Collection[str]) -> str:
    """SHA-256 of a schema as it was declared: without the categories of columns whose categories were bought."""
    columns = tuple(replace(column, categories=None) if column.name in bought else column for column in schema)
    return hashlib.sha256(replace(schema, columns=columns).to_yaml().encode()).hexdigest()


def is_modelled(column: Column, unit: str) -> bool:
    """Whether a column is measured: not a constant, free text, an identifier or the unit of privacy."""
    return column.name != unit and column.type not in ("text", "constant", "identifier")


def bounds_of(column: Column) -> tuple[Any, Any]:
    """Declared smallest and largest number of a column on its scale, both inclusive.

    Raises
    ------
    SchemaError
        They are the wrong way round.
    """
    scale = NumberScale(column)
    if scale.kind == "rank":
        return 0, len(column.categories or ()) - 1
    low, high = scale.bounds(column.minimum, None)[0], scale.bounds(None, column.maximum)[1]
    if low is None or high is None or high < low:
        raise SchemaError(
            f"column {column.name!r} has the bounds {column.minimum!r} to {column.maximum!r}, expected a smaller and a "
            "larger value",
            remedy="correct them in the schema",
        )
    return low, high


def bought_levels(column: Column) -> tuple[int, ...]:
    """Levels of the tree in which the bins of a column are looked for; none where every value has its own bin."""
    low, high = bounds_of(column)
    scale = NumberScale(column)
    if (scale.integral and int(high) - int(low) < _OWN_BINS) or not high > low:
        return ()
    return tree_levels(low, high, scale.integral)


def special_numbers(column: Column) -> Numbers:
    """Numbers of a column with a symbol of their own, ascending, on its scale.

    Declared sentinels; and, by a public rule, zero and both bounds of columns whose range is too wide to look for
    single values: what many rows share there would otherwise be spread over a bin.
    """
    scale = NumberScale(column)
    low, high = bounds_of(column) if needs_bounds(column) and column.type != "identifier" else (0, 0)
    found = [scale.bounds(value, None)[0] for value in column.sentinels]
    if high - low > (_FINE if scale.integral else 0):
        found += [value for value in (low, 0, high) if low <= value <= high]
    return np.unique(np.array(found, dtype=scale.dtype))


def plain_column(series: pd.Series[Any], column: Column) -> PlainColumn:
    """Cells of one column in plain numbers, row by row.

    Parameters
    ----------
    series
        The cells ``[n]``.
    column
        Its description, with bounds or categories.
    """
    if is_number(column):
        return _plain_numbers(series, column)
    return _plain_labels(series, column)


def _plain_numbers(series: pd.Series[Any], column: Column) -> PlainColumn:
    scale = NumberScale(column)
    low, high = bounds_of(column)
    if scale.kind == "rank":
        return _plain_labels(series, column)
    sentinels = np.zeros(0, np.int64)
    if scale.kind == "date":
        dates = as_dates(series, column)
        missing = np.isnat(dates)
        granule = np.timedelta64(scale.granule, "ns").astype(np.int64)
        numbers: Numbers = np.where(missing, 0, dates.astype("datetime64[ns]").astype(np.int64) // granule)
    else:
        values = as_numbers(series, column)
        missing = np.isnan(values)
        values = np.where(missing, 0.0, values)
        sentinels = np.array([scale.bounds(value, None)[0] for value in column.sentinels], dtype=scale.dtype)
        if scale.integral:
            # beyond 2^62 a float has no exact whole number; the bounds are nearer
            scaled = np.clip(np.rint(values * 10.0**scale.decimals), -(2.0**62), 2.0**62)
            numbers = scaled.astype(np.int64)
        else:
            numbers = values + 0.0
    kept = np.isin(numbers, sentinels)
    numbers = np.where(kept, numbers, np.clip(numbers, low, high)).astype(scale.dtype)
    return PlainColumn(np.where(missing, np.asarray(0, scale.dtype), numbers), missing)


def _plain_labels(series: pd.Series[Any], column: Column) -> PlainColumn:
    cells = series.astype(object)
    missing = np.asarray(cells.isna(), dtype=bool)
    if column.categories is None:
        texts = np.array([_spelling(cell) for cell in cells.tolist()], dtype=object)
        texts[missing] = None
        return PlainColumn(texts, missing)
    place = {_spelling(label): position for position, label in reversed(list(enumerate(column.categories)))}
    codes, uniques = _factorized(cells)
    table = np.array([place.get(_spelling(label), -1) for label in uniques] + [-1], dtype=np.int64)
    found = table[codes]
    unknown = found < 0
    return PlainColumn(np.where(unknown, 0, found), unknown)


def unit_numbers(cells: pd.Series[Any]) -> Integers:
    """A number for each unit of privacy, ``[n]``: rows of the same unit share one, rows without a unit have -1."""
    return _factorized(cells.astype(object))[0].astype(np.int64)


def _factorized(cells: pd.Series[Any]) -> tuple[NDArray[np.intp], Any]:
    """Codes of cells of any kind ``[n]``, -1 where missing, and what they stand for."""
    try:
        return pd.factorize(cells, use_na_sentinel=True)
    except TypeError:
        # a list or a dict among them has no hash, and an error would tell that there is one
        spelled = [None if missing else _spelling(cell) for cell, missing in zip(cells, cells.isna(), strict=True)]
        return pd.factorize(np.array(spelled, dtype=object), use_na_sentinel=True)


def _spelling(label: Any) -> str:
    """One spelling of 1, 1.0, "1" and True alike, whatever a file made of a column."""
    if isinstance(label, bool | np.bool_):
        return str(bool(label))
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label)


# -- codecs -----------------------------------------------------------------------------------------------------------


def number_codec(
    column: Column, edges: Numbers, shares: Floats | None = None, *, distinct: bool = False
) -> NumberCodec:
    """Codec of a column with declared or bought bins.

    Parameters
    ----------
    column
        Its description.
    edges : ndarray [n_bins + 1]
        Ascending; bin b holds the numbers from edge b to below edge b + 1, the last edge is just above the declared
        maximum (whole numbers) or the maximum itself.
    shares
        Noisy share of each symbol ``[size]``: missing, sentinels, bins; equal ones when None.
    distinct
        Whether no two rows may have the same value.
    """
    scale = NumberScale(column)
    lowest = edges[:-1].astype(scale.dtype)
    if scale.integral:
        highest = (edges[1:] - 1).astype(scale.dtype)
    else:
        highest = np.append(np.nextafter(edges[1:-1], -np.inf), edges[-1])
    bins = len(lowest)
    specials = special_numbers(column)
    size = int(column.nullable) + len(specials) + bins
    filled = np.full(size, 1.0 / size) if shares is None else shares
    mass = np.concatenate([[0.0], np.cumsum(filled[size - bins :] + 1e-9)])
    support = Support(lowest, highest, mass / mass[-1], np.arange(bins + 1, dtype=np.int64))
    # sentinels stand for something else and are in no range of a condition; ordinary values are
    own = np.isin(specials, np.array([scale.bounds(value, None)[0] for value in column.sentinels], dtype=scale.dtype))
    order = np.argsort(~own, kind="stable")
    return NumberCodec(column, specials[order], int(own.sum()), support, filled, distinct, False)


def label_codec(column: Column, own: int, counts: Integers, missing: int, places: Integers) -> LabelCodec:
    """Codec of a column of labels from noisy counts.

    Parameters
    ----------
    column
        Its description, with all its labels.
    own
        How many of them, in the order of ``places``, have a symbol of their own; the others share one.
    counts
        Noisy counts in the order of ``places``, at least one ``[n_labels]``.
    missing
        Noisy count of missing cells, not negative.
    places
        Order of the labels ``[n_labels]``.
    """
    labels = list(column.categories or ())
    declared = labels if column.dtype == "category" else None
    kinds = {type(label) for label in labels}
    names = {int: "int64", float: "float64", bool: "bool"}
    declared_dtype = names.get(next(iter(kinds)), "object") if len(kinds) == 1 else "object"
    ordered = [labels[place] for place in places.tolist()]
    return LabelCodec(
        column, ordered, own, counts, missing, declared, declared_dtype if declared is not None else None, False
    )


def constant_codec(column: Column) -> NumberCodec | LabelCodec:
    """Codec of a column that the schema declares to be constant."""
    value = column.categories[0] if column.categories else None
    if is_number(column):
        scale = NumberScale(column)
        known = [] if value is None else [scale.bounds(value, None)[0]]
        numbers = NumberStatistics(
            np.array(known, dtype=scale.dtype), np.ones(len(known), np.int64), int(not known), len(known)
        )
        return NumberCodec.fit(column, numbers, max_bins=1, max_grid=1, spike_share=0.0)
    labels = [] if value is None else [value]
    return LabelCodec.fit(
        column, LabelStatistics(labels, np.ones(len(labels), np.int64), int(not labels)), max_categories=1
    )


def own_edges(column: Column) -> Numbers:
    """Edges that give every value of a short column its own bin."""
    low, high = bounds_of(column)
    if not NumberScale(column).integral:
        return np.array([low, high if high > low else np.nextafter(low, np.inf)], dtype=np.float64)
    return np.arange(int(low), int(high) + 2, dtype=np.int64)


def symbols_of_labels(codec: LabelCodec, column: Column, plain: PlainColumn, places: Integers) -> Integers:
    """Symbols of declared labels ``[n]``; shared labels get the last one, missing ones 0, or -1 where not nullable."""
    offset = int(column.nullable)
    position = np.empty(len(places), dtype=np.int64)
    position[places] = np.arange(len(places))
    # one entry more, for the missing cells of a column without any label
    table = np.append(offset + np.minimum(position, codec.code.size - offset - 1), -1)
    return np.where(plain.missing, offset - 1, table[plain.values.astype(np.int64)]).astype(np.int64)
