"""From YAML and ``--set`` to a checked recipe; every mistake is one sentence with file, line and key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from synthkit.errors import InputError, unknown_name
from synthkit.pipelines.settings import STAGES, Recipe
from synthkit.schema_yaml import line_of, parse_yaml, read_named

RECIPES: Mapping[str, str] = MappingProxyType(
    {name: f"{name}.yaml" for name in ("balance", "augment", "private-release")}
)
"""Recipes that come with the package, by name."""
SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"
_EXPLAINED = "docs/how-to/pipelines.md explains every key"
_MOST_SHOWN = 60
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Source:
    """The text of a recipe and what was changed on the command line.

    Attributes
    ----------
    text
        The YAML text.
    name
        What to call it: a path, or the name of a shipped recipe.
    changes
        Values that were set, by the place of their key.
    """

    text: str
    name: str
    changes: Mapping[Place, Any]


def load_recipe(name: str | Path, sets: Sequence[str] = (), *, seed: int | None = None) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    name
        Name of a recipe that comes with the package, or path of a YAML file.
    sets
        Changes such as ``fit.time_budget=30s``; values are read as YAML.
    seed
        Takes the place of the recipe's seed.

    Raises
    ------
    InputError
        No such recipe, or one that is wrong: says in which line and at which key, and what was expected.
    """
    text, shown = read_named(name, "recipe", RECIPES, files("synthkit.pipelines") / "recipes")
    return parse_recipe(text, shown, [*sets, *([] if seed is None else [f"seed={seed}"])])


def parse_recipe(text: str, source: str = "recipe", sets: Sequence[str] = ()) -> Recipe:
    """Return the recipe that a YAML text describes, with changes; InputError where it is none."""
    content = parse_yaml(text, f"recipe '{source}'")
    if not isinstance(content, dict):
        raise InputError(f"the recipe '{source}' holds no settings", remedy=f"{_EXPLAINED}.")
    changes: dict[Place, Any] = {}
    for change in sets:
        place, value = _parsed_set(change)
        changes[place] = value
        _put(content, place, value, change)
    origin = Source(text, source, changes)
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise _wrong(origin, content, error) from error
    recipe._origin = origin
    return recipe


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a recipe, with which editors complete and check keys."""
    schema = Recipe.model_json_schema(by_alias=True)
    for stage in STAGES:
        entry = schema["properties"][stage]
        branches = entry.pop("anyOf", None) or [{"$ref": entry.pop("$ref")}]
        kept = [branch for branch in branches if branch.get("type") != "null"]
        # `stage:` alone asks for it with its usual settings, `stage: false` leaves it out
        entry["anyOf"] = [*kept, {"type": ["null", "boolean"] if stage != "load" else "null"}]
        entry["description"] = _settings_of(stage).__doc__ or ""
        entry.pop("default", None)
    return {"$schema": SCHEMA_ID, **schema}


def json_schema_text() -> str:
    """Return `json_schema` as the text of its file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


# -------------------- changes on the command line


def _parsed_set(change: str) -> tuple[Place, Any]:
    """Return the place and the value of ``key=value``; the place must be one that a recipe has."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {change!r} is no change", remedy="Write --set KEY=VALUE, for example data=people.csv.")
    place = tuple(part.strip() for part in key.split("."))
    known: Any = Recipe
    for depth, part in enumerate(place):
        if known is None:
            break  # below this anything goes, as in balance.counts.yes=100
        names = _keys(known)
        if part not in names:
            where = f" of {'.'.join(place[:depth])}" if depth else ""
            raise InputError(f"--set {change!r} names an {unknown_name(f'key{where}', part, names)}")
        known = names[part]
    return place, _value(text, change)


def _value(text: str, change: str) -> Any:
    """Return a value as YAML reads it."""
    if not text.strip():
        return None
    try:
        return parse_yaml(text, f"value of --set {change!r}")
    except InputError as error:
        raise InputError(error.what, remedy="Put quotes around a text, as in KEY='\"a: b\"'.") from error


def _put(content: dict[Any, Any], place: Place, value: Any, change: str) -> None:
    """Set an entry, making what it lies in."""
    inner = content
    for depth, part in enumerate(place[:-1]):
        entry = inner.get(part)
        if entry is None or isinstance(entry, bool):  # `stage:` and `stage: true` are stages without settings
            entry = inner[part] = {}
        if not isinstance(entry, dict):
            key = ".".join(map(str, place[: depth + 1]))
            raise InputError(f"--set {change!r} goes below {key}, which is {entry!r}", remedy=f"Set {key} itself.")
        inner = entry
    inner[place[-1]] = value


def _keys(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """Return the keys of a part of a recipe, each with the part below it."""
    return {field.alias or name: _part(field.annotation) for name, field in model.model_fields.items()}


def _part(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation, through optional ones."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _settings_of(stage: str) -> type[BaseModel]:
    part = _part(Recipe.model_fields[stage].annotation)
    return part if part is not None else Recipe


# -------------------- what is wrong, and where


def _wrong(origin: Source, content: Mapping[str, Any], error: ValidationError) -> InputError:
    """Return the first mistake as one sentence; an unknown key before what it may have caused."""
    first = sorted(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")[0]
    if first["type"] == "invalid_key":
        place = _inside(content, first["loc"][:-1])
        return _wrong_at(origin, place, f"it has the key {_shown(first['input'])}, expected text as a key")
    place = _inside(content, first["loc"])
    message = _message(first, place)
    return _wrong_at(origin, place, message)


def wrong_entry(recipe: Recipe, place: Place, message: str) -> InputError:
    """Return the error for an entry that is found to be wrong after the recipe was read.

    Parameters
    ----------
    recipe
        As `load_recipe` returned it, or made in Python.
    place
        Where: keys, and positions in lists from 0.
    message
        What is wrong.
    """
    origin = recipe._origin
    return _wrong_at(origin if isinstance(origin, Source) else Source("", recipe.name, {}), place, message)


def _wrong_at(origin: Source, place: Place, message: str) -> InputError:
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in place)
    changed = next((one for one in origin.changes if one == place[: len(one)]), None)
    where = f" in line {line_of(origin.text, place)}, at {key}" if key and origin.text else f" at {key}" if key else ""
    if changed is not None:
        where = f" at {key} (--set {'.'.join(map(str, changed))})"
    return InputError(f"the recipe '{origin.name}' is wrong{where}: {message}", remedy=f"Correct it; {_EXPLAINED}.")


def _inside(content: Any, place: Sequence[str | int]) -> Place:
    """Return the part of a place that the content has: pydantic adds the names of alternatives.

    A key that is missing is kept, if what it belongs to is there.
    """
    found: list[str | int] = []
    for position, part in enumerate(place):
        there = (isinstance(content, Mapping) and part in content) or (
            isinstance(content, list) and isinstance(part, int) and part < len(content)
        )
        if not there:
            missing = isinstance(content, Mapping) and position == len(place) - 1
            return (*found, part) if missing else tuple(found)
        content = content[part]
        found.append(part)
    return tuple(found)


def _message(error: ErrorDetails, place: Place) -> str:
    """Return what is wrong with an entry, in plain words."""
    match error["type"]:
        case "extra_forbidden":
            above: Any = Recipe
            for part in place[:-1]:
                above = _keys(above).get(str(part)) if above is not None else None
            return unknown_name("key", str(place[-1]), _keys(above) if above is not None else ())
        case "missing":
            return "this key is missing"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
    return f"got {_shown(error['input'])}, expected {_expected(place)}"


def _shown(value: Any) -> str:
    """Return a value as it would stand in JSON, not too long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def _expected(place: Place) -> str:
    """Say what an entry may be, from the JSON schema of the recipe."""
    schema = Recipe.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    entry: Mapping[str, Any] = schema
    for part in place:
        options = [_resolved(one, definitions) for one in entry.get("anyOf", [entry])]
        below: list[Mapping[str, Any]] = []
        for option in options:
            rest = option.get("additionalProperties")
            if isinstance(part, int) and "items" in option:
                below.append(option["items"])
            elif str(part) in option.get("properties", {}):
                below.append(option["properties"][str(part)])
            elif isinstance(rest, Mapping):
                below.append(rest)
        if not below:
            break
        entry = _resolved(below[0], definitions)
    words = list(dict.fromkeys(_in_words(entry, definitions)))
    return " or ".join(words) or "something else"


def _resolved(entry: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    return definitions[entry["$ref"].rpartition("/")[2]] if "$ref" in entry else entry


_TYPES = {
    "string": "text",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys and values",
    "null": "null",
}
_LIMITS = {
    "minimum": "of at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "of at most {}",
    "exclusiveMaximum": "below {}",
    "pattern": "that matches {}",
}


def _in_words(entry: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    entry = _resolved(entry, definitions)
    if "anyOf" in entry:
        for option in entry["anyOf"]:
            yield from _in_words(option, definitions)
        return
    for value in entry.get("enum", [entry["const"]] if "const" in entry else []):
        yield _shown(value)
    kind = entry.get("type")
    if "enum" in entry or "const" in entry or kind is None:
        return
    limits = " and ".join(text.format(entry[name]) for name, text in _LIMITS.items() if name in entry)
    word = "a whole number" if kind == "integer" else _TYPES.get(str(kind), str(kind))
    yield f"{word} {limits}".strip()
