"""How a schema is shown: what a column holds in a few words, and the page for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synthkit.html_table import Html, bullets, folded, page, table

if TYPE_CHECKING:
    from synthkit.schema import Column, Schema

_FEW = 4
_MOST_NAMED = 4


def describe_values(column: Column) -> str:
    """The range or the first categories of a column, short enough for one cell."""
    if column.pattern is not None:
        return column.pattern
    if column.minimum is not None:
        return f"{_number(column.minimum)} to {_number(column.maximum)}"
    if column.categories is None:
        return ""
    shown = ", ".join(str(value) for value in column.categories[:_FEW])
    more = len(column.categories) - _FEW
    return f"{shown} and {more:,} more" if more > 0 else shown


def schema_text(schema: Schema) -> str:
    """One line: the number of columns, the first names, the target."""
    named = ", ".join(schema.names[:_MOST_NAMED]) + (", ..." if len(schema) > _MOST_NAMED else "")
    target = "" if schema.target is None else f"; target {schema.target!r}"
    rules = f"; {len(schema.constraints)} constraints" if schema.constraints else ""
    return f"Schema({len(schema):,} columns: {named}{target}{rules})"


def schema_html(schema: Schema) -> str:
    """The page of a schema: one row per column with its type, values, roles and the reason for the type."""
    domain = "" if schema.domain == "inferred" else ", declared"
    return page(f"Schema of {len(schema):,} columns{domain}", columns_table(schema, reasons=True), rules_of(schema))


def columns_table(schema: Schema, *, reasons: bool = False) -> Html:
    """The columns of a schema as a table; parts that no column has are left out.

    Parameters
    ----------
    schema : Schema
    reasons : bool
        Whether to say why the types were chosen.
    """
    columns: dict[str, list[str]] = {
        "column": schema.names,
        "type": [column.type for column in schema],
        "values": [describe_values(column) for column in schema],
        "missing": ["may be" if column.nullable else "" for column in schema],
        "role": [", ".join(column.roles) for column in schema],
        "why": [column.reason for column in schema] if reasons else [],
    }
    kept = {heading: cells for heading, cells in columns.items() if any(cells)}
    return table(tuple(kept), list(zip(*kept.values(), strict=True)))


def rules_of(schema: Schema) -> Html:
    """The constraints of a schema, folded; nothing where there are none."""
    if not schema.constraints:
        return Html()
    count = len(schema.constraints)
    heading = "1 constraint that every row satisfies" if count == 1 else f"{count} constraints that every row satisfies"
    return folded(heading, bullets(one.describe() for one in schema.constraints))


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
