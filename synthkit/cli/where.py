"""Conditions as they are typed on the command line, turned into what `TableGAN.sample` takes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from synthkit.errors import ConditionError, unknown_name

if TYPE_CHECKING:
    from synthkit.schema import Column, Schema

_OPERATORS = (">=", "<=", "=")
_OPERATOR = re.compile(r">=|<=|[=<>]")
_EXAMPLES = "Write COL=VALUE, COL=a|b, COL=lo..hi, COL>=5 or COL<=5, in quotes."
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ON_A_LINE = ("continuous", "integer", "datetime")


def parse_conditions(texts: Iterable[str], schema: Schema) -> dict[str, Any]:
    """Read conditions such as ``income=>50K``, ``sex=Female|Male``, ``age=30..40`` or ``age>=5``.

    Column names come first, so a name may hold an operator, and a value may start with one: ``income=>50K`` is the
    column `income` with the value ``>50K``.

    Parameters
    ----------
    texts
        One condition each; those on one column must be a lower and an upper bound.
    schema
        The columns of the model; values take their types.

    Returns
    -------
    dict
        By column name: a value, a list of values, a closed range (low, high) with None for an open end, or None for
        missing.

    Raises
    ------
    ConditionError
        If a text is not a condition, names an unknown column or value, or contradicts another one.
    """
    where: dict[str, Any] = {}
    for text in texts:
        name, operator, value = _split(text, schema.names)
        condition = _condition(schema[name], operator, value, text)
        where[name] = _both(name, where[name], condition) if name in where else condition
    return where


def _split(text: str, names: Sequence[str]) -> tuple[str, str, str]:
    """Split a condition into column, operator and value; the longest column name that fits wins."""
    fitting = [
        (name, operator)
        for name in names
        for operator in _OPERATORS
        if text.startswith(name) and text[len(name) :].lstrip().startswith(operator)
    ]
    if fitting:
        # ">=" stands before "=" in _OPERATORS, and max keeps the first of equals
        name, operator = max(fitting, key=lambda pair: len(pair[0]))
        return name, operator, text[len(name) :].lstrip().removeprefix(operator).strip()
    match = _OPERATOR.search(text)
    if match is None or not text[: match.start()].strip():
        raise ConditionError(f"{text!r} is not a condition", remedy=_EXAMPLES)
    name = text[: match.start()].strip()
    if name not in names:
        raise ConditionError(
            f"{unknown_name('column', name, names)} in the condition {text!r}", remedy="Choose one of the columns."
        )
    raise ConditionError(f"the condition {text!r} uses {match.group()!r}, which is not known", remedy=_EXAMPLES)


def _condition(column: Column, operator: str, value: str, text: str) -> Any:
    """Return the condition on one column."""
    if operator == "=":
        if value == "":
            return None
        if _is_label(column, value):
            return _value(column, value, text)
        if column.type in _ON_A_LINE and ".." in value:
            low, high = (end.strip() for end in value.split("..", 1))
            if not low and not high:
                raise ConditionError(f"the range in {text!r} has no end", remedy=_EXAMPLES)
            return (_value(column, low, text) if low else None, _value(column, high, text) if high else None)
        if "|" in value:
            return [_value(column, part.strip(), text) for part in value.split("|")]
        return _value(column, value, text)
    if column.type not in _ON_A_LINE:
        raise ConditionError(
            f"the condition {text!r} compares, but the column {column.name!r} is {column.type}",
            remedy=f"Name values: {column.name}=a|b.",
        )
    bound = _value(column, value, text)
    return (bound, None) if operator == ">=" else (None, bound)


def _is_label(column: Column, value: str) -> bool:
    """Whether the whole text is a category of the column, which then may hold "|" or ".."."""
    return column.categories is not None and any(str(category) == value for category in column.categories)


def _value(column: Column, text: str, condition: str) -> Any:
    """Return the text as a value of the column."""
    if column.is_numeric:
        return _number(column, text, condition)
    if column.categories is None or column.type == "datetime":
        return text
    for category in column.categories:
        if str(category) == text:
            return category
    if column.type == "boolean" and text.lower() in _YES_NO:
        wanted = _YES_NO[text.lower()]
        if wanted in column.categories:
            return wanted
    number = _as_number(text)
    for category in column.categories:
        if number is not None and not isinstance(category, str | bool) and category == number:
            return category
    labels = [str(category) for category in column.categories]
    raise ConditionError(
        f"{unknown_name('value', text, labels)} in the condition {condition!r} on the column {column.name!r}",
        remedy="Choose a value that the column has.",
    )


def _number(column: Column, text: str, condition: str) -> int | float:
    """Return the text as a whole or decimal number, or say that it is none."""
    number = _as_number(text)
    if number is None:
        raise ConditionError(
            f"the column {column.name!r} holds numbers, but the condition {condition!r} names {text!r}",
            remedy=f"Write for example {column.name}=1..5.",
        )
    return number


def _as_number(text: str) -> int | float | None:
    """Return the text as a finite number, or None."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return None


def _both(name: str, first: Any, second: Any) -> tuple[Any, Any]:
    """Join a lower and an upper bound on one column."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        ends = [[end for end in pair if end is not None] for pair in zip(first, second, strict=True)]
        if all(len(end) <= 1 for end in ends):
            low, high = ((end[0] if end else None) for end in ends)
            return low, high
    raise ConditionError(
        f"the column {name!r} has two conditions that cannot be joined",
        remedy=f"Give one: {name}=a|b, or {name}=lo..hi.",
    )
