"""What a column's fields may hold: names, types and the few combinations that make no sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthkit.errors import SchemaError, unknown_name

if TYPE_CHECKING:
    from synthkit.schema import Column

GRANULARITIES = ("D", "h", "min", "s", "ms", "us", "ns")

_TEXT = ("dtype", "timezone", "text_format", "pattern", "reason")
_FLAGS = ("nullable", "ordered")
_LISTS = ("categories", "sentinels", "roles")


def check_column(column: Column) -> None:
    """Raise SchemaError where a column's fields are unknown or contradict each other."""
    from synthkit.schema import COLUMN_TYPES, ROLES, is_finite_number

    where = f"column {column.name!r}"
    if not isinstance(column.name, str):
        raise SchemaError(f"column names must be text, got {column.name!r}", remedy="Put the name in quotes")
    if column.type not in COLUMN_TYPES:
        raise SchemaError(f"{where}: {unknown_name('type', str(column.type), COLUMN_TYPES)}")
    for role in column.roles:
        if role not in ROLES:
            raise SchemaError(f"{where}: {unknown_name('role', str(role), ROLES)}")
    if column.granularity is not None and column.granularity not in GRANULARITIES:
        raise SchemaError(f"{where}: {unknown_name('granularity', str(column.granularity), GRANULARITIES)}")
    if "target" in column.roles and column.type in ("constant", "text"):
        what = "has a single value" if column.type == "constant" else "is free text, which is not modelled"
        raise SchemaError(f"{where} cannot be the target: it {what}", remedy="Choose another target column")
    if column.decimals is not None and not 0 <= column.decimals <= 20:
        raise SchemaError(f"{where}: decimals must be between 0 and 20, got {column.decimals}")
    if column.categories is not None and column.type in ("categorical", "ordinal", "boolean"):
        kinds = {(type(value).__name__, value) for value in column.categories}
        if len(kinds) < len(column.categories):
            raise SchemaError(f"{where} lists a category twice", remedy="Keep each category once")
        if column.type == "boolean" and len(column.categories) > 2:
            raise SchemaError(
                f"{where} is boolean but lists {len(column.categories)} categories, expected two",
                remedy="Set its type to categorical",
            )
    low, high = column.minimum, column.maximum
    if is_finite_number(low) and is_finite_number(high) and low > high:  # type: ignore[operator]
        raise SchemaError(f"{where}: minimum {low} is above maximum {high}", remedy="Swap the two")


def clean_fields(fields: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """Check names and types of one column's fields as they come from a file or an argument; lists become tuples."""
    from synthkit.schema import COLUMN_FIELDS

    if not isinstance(fields, Mapping):
        raise SchemaError(
            f"expected a column entry such as 'name: age', got {fields!r}", remedy="Write one field per line"
        )
    name = fields.get("name")
    where = f"column {name!r}: " if name is not None else ""
    for key in fields:
        if key not in COLUMN_FIELDS:
            raise SchemaError(where + unknown_name("field", str(key), COLUMN_FIELDS))
    if not partial:
        for key in ("name", "type", "dtype"):
            if fields.get(key) is None:
                raise SchemaError(f"{where}the field {key!r} is missing", remedy=f"Add a line '{key}: ...'")
    return {key: _clean_value(where, key, value) for key, value in fields.items()}


def _clean_value(where: str, key: str, value: Any) -> Any:
    if key in _LISTS:
        if value is None:
            return None if key == "categories" else ()
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise SchemaError(f"{where}{key} must be a list, got {value!r}", remedy=f"Write {key}: [{value}]")
        items = tuple(value)
        allowed: tuple[type, ...] = {"categories": (str, int, float, bool), "sentinels": (int, float), "roles": (str,)}[
            key
        ]
        for item in items:
            if not isinstance(item, allowed) or (key == "sentinels" and isinstance(item, bool)):
                kind = {"categories": "text, numbers or true/false", "sentinels": "numbers", "roles": "text"}[key]
                raise SchemaError(f"{where}{key} must hold {kind}, got {item!r}", remedy="Put text in quotes")
        return items
    expected: tuple[tuple[type, ...], str] | None = None
    if key in _FLAGS:
        expected = ((bool,), "true or false")
    elif key == "decimals":
        expected = ((int,), "a whole number")
    elif key in ("minimum", "maximum"):
        expected = ((int, float, str), "a number, or a date as text")
    elif key in _TEXT or key in ("name", "type", "granularity"):
        expected = ((str,), "text")
    if value is None or expected is None:
        if value is None and key in (*_FLAGS, "reason"):
            return "" if key == "reason" else False
        return value
    if not isinstance(value, expected[0]) or (isinstance(value, bool) and key not in _FLAGS):
        raise SchemaError(f"{where}{key} must be {expected[1]}, got {value!r}", remedy="Put text in quotes")
    return value


def check_document(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The column entries of a schema document; SchemaError for unknown keys, a newer format or the wrong shape."""
    from synthkit.schema import CONSTRAINTS_VERSION, FORMAT_VERSION

    if not isinstance(content, Mapping):
        raise SchemaError(
            f"expected a schema with the keys 'format_version' and 'columns', got {type(content).__name__}",
            remedy="Write one with 'synthkit inspect DATA -o FILE'",
        )
    known = ("format_version", "domain", "records", "columns", "constraints")
    for key in content:
        if key not in known:
            raise SchemaError(unknown_name("key", str(key), known))
    version = content.get("format_version", FORMAT_VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise SchemaError(f"format_version must be a whole number, got {version!r}")
    if version > CONSTRAINTS_VERSION:
        raise SchemaError(
            f"the schema has format_version {version}, this synthkit reads up to {CONSTRAINTS_VERSION}",
            remedy="Update synthkit",
        )
    records = content.get("records")
    if records is not None and (not isinstance(records, int) or isinstance(records, bool)):
        raise SchemaError(f"records must be a whole number, got {records!r}")
    columns = content.get("columns")
    if not isinstance(columns, Sequence) or isinstance(columns, str):
        raise SchemaError("the schema has no list 'columns'", remedy="Write one with 'synthkit inspect DATA -o FILE'")
    return list(columns)
