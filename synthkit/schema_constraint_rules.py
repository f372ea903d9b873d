"""Constraints as they come from a schema file: their keys, and whether they fit the columns and each other."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from synthkit.errors import SchemaError, unknown_name
from synthkit.schema import Column
from synthkit.schema_cells import CellTest, cell_test, label_key, line_kind, place_on_line
from synthkit.schema_constraints import (
    KINDS,
    Combinations,
    Constraint,
    Inequality,
    NotApplicable,
    Range,
    Regex,
    Total,
    Unique,
)

MAX_COMBINATIONS = 100_000
Place = tuple[str | int, ...]


class MisplacedError(SchemaError):
    """An entry of a schema that is wrong, with the keys that lead to it: whoever reads a file can say its line."""

    def __init__(self, what: str, *, remedy: str | None = None, place: Place = ()) -> None:
        super().__init__(what, remedy=remedy)
        self.place = place


# ---------------------------------------------------------------------- from plain content
def read_constraints(content: Any) -> tuple[Constraint, ...]:
    """The constraints of a schema document.

    Raises
    ------
    SchemaError
        An unknown kind or key, a missing key, or a value of the wrong type.
    """
    if content is None:
        return ()
    if isinstance(content, str | Mapping) or not isinstance(content, Sequence):
        raise MisplacedError(
            f"constraints must be a list of entries such as '- kind: inequality', got {type(content).__name__}",
            place=("constraints",),
        )
    return tuple(_read(entry, ("constraints", number)) for number, entry in enumerate(content))


def _read(entry: Any, place: Place) -> Constraint:
    where = f"constraint {int(place[-1]) + 1}"
    if not isinstance(entry, Mapping):
        raise MisplacedError(f"{where} is {entry!r}, expected keys such as 'kind: inequality'", place=place)
    kind = entry.get("kind")
    if kind is None:
        raise MisplacedError(f"{where} has no 'kind'", remedy=f"Add one of {', '.join(KINDS)}", place=place)
    if not isinstance(kind, str) or kind not in KINDS:
        raise MisplacedError(f"{where}: {unknown_name('kind', str(kind), KINDS)}", place=(*place, "kind"))
    found = KINDS[kind]
    where += f" ({kind})"
    fields = {one.name: one for one in dataclasses.fields(found) if not one.name.startswith("_")}
    for key in entry:
        if key != "kind" and key not in fields:
            raise MisplacedError(
                f"{where}: {unknown_name('key', str(key), ('kind', *fields))}", place=(*place, str(key))
            )
    for name, one in fields.items():
        if one.default is dataclasses.MISSING and entry.get(name) is None:
            raise MisplacedError(f"{where}: the key {name!r} is missing", remedy=f"Add '{name}: ...'", place=place)
    values = {
        key: _value(where, str(key), value, (*place, str(key)))
        for key, value in entry.items()
        if key != "kind" and not (value is None and fields[key].default is None)
    }
    return found(**values)


def _value(where: str, key: str, value: Any, place: Place) -> Any:
    expected = ""
    if key in ("checked", "strict", "present_otherwise"):
        expected = "" if isinstance(value, bool) else "true or false"
    elif key in ("low", "high", "column", "pattern"):
        expected = "" if isinstance(value, str) else "text"
    elif key == "tolerance":
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
        expected = "" if fits else "a number from 0"
    elif key in ("minimum", "maximum"):
        expected = "" if isinstance(value, int | float | str) and not isinstance(value, bool) else "a number or a date"
    elif key in ("columns", "parts"):
        expected = "" if _is_list(value) and all(isinstance(name, str) for name in value) else "a list of column names"
        value = value if expected else tuple(value)
    elif key == "values":
        expected = "" if _is_list(value) and all(_is_label(one) for one in value) else "a list of values"
        value = value if expected else tuple(value)
    elif key == "allowed" and value != "seen":
        lists = _is_list(value) and all(_is_list(row) and all(_is_label(one, True) for one in row) for row in value)
        expected = "" if lists else "'seen' or a list of lists of values"
        value = value if expected else tuple(tuple(row) for row in value)
    elif key == "when":
        if not isinstance(value, Mapping) or not value or not all(isinstance(name, str) for name in value):
            expected = "a condition such as {sex: [Male]}"
        else:
            value = tuple(_test(where, name, plain, (*place, name)) for name, plain in value.items())
    if expected:
        raise MisplacedError(f"{where}: {key} must be {expected}, got {value!r}", place=place)
    return value


def _test(where: str, name: str, plain: Any, place: Place) -> CellTest:
    try:
        return cell_test(name, plain)
    except SchemaError as error:
        raise MisplacedError(f"{where}: {error.what}", remedy=error.remedy, place=place) from error


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_label(value: Any, missing: bool = False) -> bool:
    return isinstance(value, str | int | float | bool) or (missing and value is None)


# ---------------------------------------------------------------------- beside the columns
def bind_constraints(constraints: Iterable[Constraint], columns: Mapping[str, Column]) -> tuple[Constraint, ...]:
    """The constraints, reading cells as the columns say.

    Raises
    ------
    SchemaError
        One names an unknown column or value, or a column of a type that it cannot be about, or two contradict each
        other.
    """
    bound = []
    for number, one in enumerate(constraints):
        place: Place = ("constraints", number)
        where = f"constraint {number + 1}"
        if not isinstance(one, Constraint):
            raise MisplacedError(f"{where} is {one!r}, expected a constraint such as Inequality(low=..., high=...)")
        where += f" ({one.kind})"
        _check_names(one, columns, where, place)
        try:
            _check_fit(one, columns)
        except SchemaError as error:
            raise MisplacedError(f"{where}: {error.what}", remedy=error.remedy, place=place) from error
        bound.append(one.bound_to(columns))
    _check_together(bound, columns)
    return tuple(bound)


def _check_names(one: Constraint, columns: Mapping[str, Column], where: str, place: Place) -> None:
    for name in one.names:
        if name not in columns:
            raise MisplacedError(
                f"{where}: {unknown_name('column', name, columns)}", place=(*place, _key_of(one, name))
            )
        if columns[name].type == "text":
            raise MisplacedError(
                f"{where}: column {name!r} is free text, which is left out of synthetic tables",
                remedy="Take the constraint out, or set another type",
                place=(*place, _key_of(one, name)),
            )
        if columns[name].type == "identifier" and not isinstance(one, Unique | Regex):
            raise MisplacedError(
                f"{where}: column {name!r} is an identifier, whose values are made up",
                remedy="Set another type for it, or use the kinds unique and regex",
                place=(*place, _key_of(one, name)),
            )
        if one.names.count(name) > 1:
            raise MisplacedError(f"{where}: column {name!r} is named twice", place=(*place, _key_of(one, name)))


def _key_of(one: Constraint, name: str) -> str:
    for field in dataclasses.fields(one):
        value = getattr(one, field.name)
        if value == name or (isinstance(value, tuple) and name in value):
            return field.name
    return "when"


def _check_fit(one: Constraint, columns: Mapping[str, Column]) -> None:
    match one:
        case Inequality():
            _need_line(columns, one.names)
            low, high = columns[one.low], columns[one.high]
            if line_kind(low) != line_kind(high):
                raise SchemaError(f"{one.low!r} and {one.high!r} cannot be compared: one holds dates, one numbers")
            if low.timezone != high.timezone:
                raise SchemaError(
                    f"{one.low!r} is in the time zone {low.timezone}, {one.high!r} in {high.timezone}",
                    remedy="Convert one of them",
                )
        case Total():
            _need_line(columns, one.names, numbers=True)
            if not one.parts:
                raise SchemaError("it has no parts", remedy="Name the columns that are added up")
        case Range():
            _check_test(one.test, columns[one.column])
        case NotApplicable():
            if not columns[one.column].nullable:
                raise SchemaError(
                    f"column {one.column!r} has no missing cells",
                    remedy="Set 'nullable: true' for it, or take this out",
                )
            for test in one.when:
                _check_test(test, columns[test.column])
        case Combinations():
            _check_combinations(one, columns)
        case Unique():
            if not one.columns:
                raise SchemaError("it names no columns", remedy="Name at least one")
        case Regex():
            try:
                re.compile(one.pattern)
            except re.error as error:
                raise SchemaError(
                    f"{one.pattern!r} is not a regular expression: {error}", remedy="Correct it"
                ) from error


def _need_line(columns: Mapping[str, Column], names: Iterable[str], *, numbers: bool = False) -> None:
    for name in names:
        kind = line_kind(columns[name])
        if kind is None or (numbers and kind != "number"):
            expected = "numbers" if numbers else "numbers or dates"
            raise SchemaError(f"column {name!r} is {columns[name].type}, expected {expected}")


def _check_test(test: CellTest, column: Column) -> None:
    if test.values is not None:
        if test.minimum is not None or test.maximum is not None:
            raise SchemaError(f"{test.column!r} has both values and bounds", remedy="Keep one of them")
        if not test.values:
            raise SchemaError(f"the list of values of {test.column!r} is empty", remedy="Name at least one")
        _check_labels(column, test.values)
        return
    if test.minimum is None and test.maximum is None:
        raise SchemaError(f"{test.column!r} has neither bounds nor values", remedy="Give minimum, maximum or values")
    if line_kind(column) is None:
        raise SchemaError(
            f"column {column.name!r} is {column.type} and takes no minimum or maximum", remedy="List values instead"
        )
    try:
        low, high = (None if end is None else place_on_line(end, column) for end in (test.minimum, test.maximum))
    except ValueError as error:
        kind = "dates" if line_kind(column) == "date" else "numbers"
        raise SchemaError(f"column {column.name!r} holds {kind}, but {error}") from error
    if low is not None and high is not None and low > high:
        raise SchemaError(f"the range of {column.name!r} ends ({test.maximum}) before it begins ({test.minimum})")


def _check_labels(column: Column, values: Iterable[Any]) -> None:
    if column.type not in ("categorical", "ordinal", "boolean") or column.categories is None:
        return
    known = {label_key(label) for label in column.categories}
    for value in values:
        if value is not None and label_key(value) not in known:
            raise SchemaError(
                f"column {column.name!r}: {unknown_name('value', str(value), map(str, column.categories))}"
            )
        if value is None and not column.nullable:
            raise SchemaError(f"column {column.name!r} has no missing cells, but the list names one")


def _check_combinations(one: Combinations, columns: Mapping[str, Column]) -> None:
    if len(one.columns) < 2:
        raise SchemaError("it names fewer than two columns", remedy="Use the kind range for one column")
    if isinstance(one.allowed, str):
        if one.allowed != "seen":
            raise SchemaError(f"allowed is {one.allowed!r}, expected 'seen' or a list of lists of values")
        return
    if not one.allowed:
        raise SchemaError("it allows no combination", remedy="List at least one, or write 'allowed: seen'")
    if len(one.allowed) > MAX_COMBINATIONS:
        raise SchemaError(f"it lists {len(one.allowed):,} combinations, expected at most {MAX_COMBINATIONS:,}")
    for row in one.allowed:
        if len(row) != len(one.columns):
            raise SchemaError(f"the combination {list(row)!r} has {len(row)} values for {len(one.columns)} columns")
    for place, name in enumerate(one.columns):
        _check_labels(columns[name], dict.fromkeys(row[place] for row in one.allowed))


# ---------------------------------------------------------------------- beside each other
def _check_together(constraints: Sequence[Constraint], columns: Mapping[str, Column]) -> None:
    _check_ranges([one for one in constraints if isinstance(one, Range)], columns)
    numbered = list(enumerate(constraints))
    edges = [(number, one.low, one.high, one.strict) for number, one in numbered if isinstance(one, Inequality)]
    for number, low, high, strict in edges:
        path = _path(high, low, edges)
        if path is not None and (strict or any(step[3] for step in path)):
            raise MisplacedError(
                f"constraint {number + 1} ({low} {'<' if strict else '<='} {high}) contradicts "
                + " and ".join(f"{one[1]} {'<' if one[3] else '<='} {one[2]}" for one in path),
                remedy="Take one of them out",
                place=("constraints", number),
            )
    sums = [
        (number, part, one.column, True) for number, one in numbered if isinstance(one, Total) for part in one.parts
    ]
    for number, part, total, _ in sums:
        if _path(total, part, sums) is not None:
            raise MisplacedError(
                f"constraint {number + 1} (total) adds up {part!r}, which is itself a sum of {total!r}",
                remedy="Take one of the two out",
                place=("constraints", number),
            )


def _path(start: str, end: str, edges: Sequence[tuple[int, str, str, bool]]) -> list[tuple[int, str, str, bool]] | None:
    """Steps that lead from one column to another, strict ones first; None where there are none."""
    onward: dict[str, list[tuple[int, str, str, bool]]] = defaultdict(list)
    for edge in sorted(edges, key=lambda edge: not edge[3]):
        onward[edge[1]].append(edge)
    reached: dict[str, list[tuple[int, str, str, bool]]] = {start: []}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        for edge in onward[here]:
            if edge[2] not in reached:
                reached[edge[2]] = [*reached[here], edge]
                waiting.append(edge[2])
    return reached.get(end)


def _check_ranges(ranges: Sequence[Range], columns: Mapping[str, Column]) -> None:
    """Refuse ranges of one column that have nothing in common with each other or with the column's own bounds."""
    by_column: dict[str, list[CellTest]] = defaultdict(list)
    for one in ranges:
        by_column[one.column].append(one.test)
    for name, tests in by_column.items():
        column = columns[name]
        listed = [{label_key(value) for value in test.values} for test in tests if test.values is not None]
        if listed and not set.intersection(*listed):
            raise SchemaError(f"the ranges of {name!r} have no value in common", remedy="Take one of them out")
        if line_kind(column) is None:
            continue
        own = [end for end in (column.minimum, column.maximum) if end is None]
        bounds = [] if own else [CellTest(column=name, minimum=column.minimum, maximum=column.maximum)]
        both = [test for test in tests if test.values is None] + (bounds if column.type != "constant" else [])
        try:
            lows = [place_on_line(test.minimum, column) for test in both if test.minimum is not None]
            highs = [place_on_line(test.maximum, column) for test in both if test.maximum is not None]
        except ValueError:  # bounds of the column that are no values of it are told elsewhere
            continue
        if lows and highs and max(lows) > min(highs):
            raise SchemaError(
                f"the ranges of {name!r} have nothing in common: one begins at {max(lows)}, one ends at {min(highs)}",
                remedy="Correct the constraint, or the column's minimum and maximum",
            )
