"""Propose a schema from data: one look at every column, and one sentence that says why.

Choices err on the side of modelling: a column is only called an identifier, free text or a code for "missing" when a
person reading the sentence would agree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from synthkit.errors import DataError, SchemaError, unknown_name
from synthkit.schema import COLUMN_TYPES, Column, ColumnType, Schema
from synthkit.schema_facts import Facts, date_facts, describe_rows, gather, has_text_numbers
from synthkit.schema_numbers import number_column
from synthkit.schema_rules import clean_fields
from synthkit.schema_text import (
    boolean_pair,
    fallback_pattern,
    identifier_pattern,
    is_identifier_name,
    is_prose,
    ordered_scale,
)

_ENOUGH_FOR_IDENTIFIER = 50


def infer_schema(
    frame: pd.DataFrame,
    *,
    target: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Schema:
    """Propose a schema; see `Schema.infer`."""
    check_table(frame)
    names = [str(name) for name in frame.columns]
    if target is not None and target not in names:
        raise SchemaError(unknown_name("target column", target, names))
    changes: dict[str, dict[str, Any]] = {}
    for name, fields in (overrides or {}).items():
        if name not in names:
            raise SchemaError(unknown_name("column", name, names))
        changes[name] = clean_fields(fields, partial=True)
    columns = []
    for name in names:
        wanted = changes.get(name, {})
        column = infer_column(frame[name], as_type=wanted.get("type"))
        if wanted:
            column = dataclasses.replace(column, **wanted)
        if name == target and column.type == "constant":
            raise DataError(
                f"the target column {name!r} has a single value in all {len(frame):,} rows, expected at least two",
                remedy="Choose another target column",
            )
        columns.append(column)
    schema = Schema(tuple(columns))
    return schema if target is None else schema.with_roles(target=target)


def check_table(frame: pd.DataFrame) -> None:
    """Raise DataError for what cannot be described at all: no columns, odd or repeated names, fewer than two rows."""
    if frame.shape[1] == 0:
        raise DataError("the table has no columns, expected at least one", remedy="Check that this is the right file")
    for name in frame.columns:
        if not isinstance(name, str):
            raise DataError(
                f"the column name {name!r} is not text", remedy="Rename it: frame.columns = frame.columns.map(str)"
            )
    repeated = frame.columns[frame.columns.duplicated()].unique().tolist()
    if repeated:
        raise DataError(
            f"the column name {repeated[0]!r} appears {int((frame.columns == repeated[0]).sum())} times",
            remedy="Give every column its own name",
        )
    if len(frame) < 2:
        rows = "no rows" if len(frame) == 0 else "one row"
        raise DataError(
            f"the table has {rows} and {frame.shape[1]} columns, expected at least two rows",
            remedy="Check that this is the right file",
        )


def infer_column(series: pd.Series[Any], *, as_type: str | None = None) -> Column:
    """Describe one column.

    Parameters
    ----------
    series : pandas.Series of shape (n_rows,)
    as_type : ColumnType, optional
        The type to describe it as, instead of the one that fits best.

    Raises
    ------
    DataError
        Infinite numbers, mixed types, values that cannot be modelled or are not of the wanted type.
    SchemaError
        Unknown type.
    """
    if as_type is not None and as_type not in COLUMN_TYPES:
        raise SchemaError(f"column {series.name!r}: {unknown_name('type', as_type, COLUMN_TYPES)}")
    if as_type == "text":
        # Whatever the cells hold: this is how a column is left out.
        return Column(
            name=str(series.name),
            type="text",
            dtype=str(series.dtype),
            nullable=bool(series.isna().any()),
            reason="type set by hand",
        )
    facts = gather(series, as_labels=as_type in ("categorical", "ordinal", "boolean", "constant"))
    return _propose(facts) if as_type is None else _as_type(facts, cast(ColumnType, as_type))


# ---------------------------------------------------------------------- the proposal
def _propose(facts: Facts) -> Column:
    if facts.n_values == 0:
        return _base(facts, "constant", reason=f"all {facts.n_rows:,} cells are missing")
    if facts.kind == "category":
        return _category(facts)
    if facts.n_distinct == 1 and not facts.nullable:
        only = facts.uniques[0] if facts.kind != "date" else date_facts(facts)["minimum"]
        return _constant(facts, f"the only value is {only}")
    if facts.kind == "boolean":
        return _base(facts, "boolean", categories=(False, True), reason="true and false")
    if facts.kind == "date":
        return _dates(facts)
    if facts.kind == "number":
        return number_column(facts, _base)
    return _text(facts)


def _base(facts: Facts, type_: ColumnType, *, reason: str, **fields: Any) -> Column:
    numeric = type_ in ("integer", "continuous", "identifier")
    dtype = "object" if facts.dtype in ("number", "decimal") and not numeric else facts.dtype
    return Column(
        name=facts.name,
        type=type_,
        dtype=dtype,
        nullable=facts.nullable,
        reason=reason,
        **fields,
    )


def _constant(facts: Facts, reason: str) -> Column:
    if facts.kind == "date":
        return _base(facts, "constant", reason=reason, **date_facts(facts))
    return _base(facts, "constant", categories=facts.labels(), reason=reason)


def _dates(facts: Facts) -> Column:
    fields = date_facts(facts)
    low, high = fields["minimum"], fields["maximum"]
    zone = f" in the zone {facts.timezone}" if facts.timezone else ""
    grid = {"D": "dates", "h": "whole hours", "min": "whole minutes", "s": "whole seconds"}.get(
        fields["granularity"], "times"
    )
    form = f" written as {facts.text_format}{facts.note}" if facts.text_format else ""
    reason = f"{facts.n_distinct:,} distinct {grid}{zone} between {low} and {high}{form}"
    return _base(facts, "datetime", reason=reason, **fields)


def _category(facts: Facts) -> Column:
    n_declared = len(facts.categories)
    if facts.n_distinct == 1 and not facts.nullable and n_declared == 1:
        return _base(
            facts,
            "constant",
            categories=facts.listed(facts.categories),
            ordered=facts.ordered,
            reason=f"the only value is {facts.categories[0]}",
        )
    order = "ordered " if facts.ordered else ""
    unused = n_declared - facts.n_distinct
    reason = f"the table declares {n_declared:,} {order}categories"
    if unused:
        reason += f", {unused:,} of them unused"
    return _base(
        facts,
        "ordinal" if facts.ordered else "categorical",
        categories=facts.listed(facts.categories),
        ordered=facts.ordered,
        reason=reason,
    )


def _text(facts: Facts) -> Column:
    values = [str(value) for value in facts.uniques]
    n, n_distinct = facts.n_values, facts.n_distinct
    pair = boolean_pair(values)
    if pair is not None:
        return _base(facts, "boolean", categories=pair, reason=f"the two values {pair[0]} and {pair[1]}")
    scale = ordered_scale(values)
    if scale is not None:
        return _base(
            facts,
            "ordinal",
            categories=tuple(scale),
            reason=f"{n_distinct} steps of a scale from {scale[0]} to {scale[-1]}",
        )
    if n_distinct == n >= _ENOUGH_FOR_IDENTIFIER:
        named = is_identifier_name(facts.name)
        prose = is_prose(values, facts.n_rows)
        pattern = identifier_pattern(values)
        if pattern is not None and (named or not prose):
            # No value as an example: the sentence is kept in model files, and an identifier names a real record.
            reason = f"all {n:,} values are distinct and follow one pattern"
            return _base(facts, "identifier", pattern=pattern, reason=reason)
        if named and not prose:
            reason = f"all {n:,} values are distinct and the name says that it identifies records"
            return _base(facts, "identifier", pattern=fallback_pattern(values), reason=reason)
    if is_prose(values, facts.n_rows):
        length = sum(map(len, values)) / len(values)
        reason = f"{n_distinct:,} distinct values in {n:,} cells, on average {length:.0f} characters long: free text"
        return _base(facts, "text", reason=reason)
    return _categorical(facts)


def _categorical(facts: Facts) -> Column:
    reason = f"{facts.n_distinct:,} distinct values"
    if facts.n_distinct == 1:
        reason = f"the one value {facts.uniques[0]}, or missing"
    if facts.note:
        reason += facts.note
    elif facts.n_distinct > 0.5 * facts.n_values and facts.n_distinct > _ENOUGH_FOR_IDENTIFIER:
        reason += f" in {facts.n_values:,} cells, most of them only once"
    labels = facts.listed(facts.labels())
    if labels is None:
        reason += ": too many to list here"
    return _base(facts, "categorical", categories=labels, reason=reason)


# ---------------------------------------------------------------------- a type that was asked for
def _as_type(facts: Facts, wanted: ColumnType) -> Column:
    by_hand = "type set by hand"
    if facts.kind == "category" and wanted in ("categorical", "ordinal", "boolean"):
        return _base(facts, wanted, categories=facts.listed(facts.categories), ordered=facts.ordered, reason=by_hand)
    if wanted == "categorical":
        return dataclasses.replace(_categorical(facts), reason=f"{by_hand}, {facts.n_distinct:,} distinct values")
    if wanted == "ordinal":
        labels = facts.labels()
        if all(isinstance(label, str) for label in labels):
            order = ordered_scale([str(label) for label in labels])
            reason = (
                by_hand if order else f"{by_hand}; categories are in alphabetical order until they are put in order"
            )
            return _base(facts, wanted, categories=tuple(order or sorted(map(str, labels))), reason=reason)
        return _base(facts, wanted, categories=tuple(sorted(labels)), reason=by_hand)
    if wanted == "boolean":
        if facts.n_distinct > 2:
            raise _not_of_type(facts, wanted, f"it has {facts.n_distinct:,} distinct values, expected two")
        labels = facts.labels()
        pair = boolean_pair([str(label) for label in labels])
        if pair is not None and all(isinstance(label, str) for label in labels):
            labels = pair
        return _base(facts, wanted, categories=labels, reason=by_hand)
    if wanted == "constant":
        if facts.n_distinct > 1:
            raise _not_of_type(facts, wanted, f"it has {facts.n_distinct:,} distinct values, expected one")
        return dataclasses.replace(_constant(facts, by_hand), reason=by_hand)
    if wanted == "datetime":
        if facts.kind != "date":
            raise _not_of_type(facts, wanted, "its values are not dates in one format")
        return dataclasses.replace(_dates(facts), reason=by_hand)
    if wanted == "identifier":
        if facts.kind == "number":
            return number_column(facts, _base, as_type="identifier", reason=by_hand)
        values = [str(value) for value in facts.uniques]
        return _base(facts, wanted, pattern=identifier_pattern(values) or fallback_pattern(values), reason=by_hand)
    if facts.kind != "number":
        if not has_text_numbers(facts):
            raise _not_of_type(facts, wanted, f"its values are not numbers ({describe_rows(facts.series)})")
        facts = facts.as_text_numbers()
    return number_column(facts, _base, as_type=wanted, reason=by_hand)


def _not_of_type(facts: Facts, wanted: str, why: str) -> DataError:
    return DataError(f"column {facts.name!r} cannot be {wanted}: {why}", remedy="Choose another type for it")
