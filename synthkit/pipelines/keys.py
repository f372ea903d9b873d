"""What a stage depends on, as one hash: two runs with the same key make the same artefacts.

Only what a stage looks at is in its key, so that a changed setting redoes that stage and those after it, as far as its
artefacts come out differently. Nothing heavy is imported here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthkit import __version__
from synthkit.errors import InputError, SchemaError, unknown_name
from synthkit.io import is_address, source_path
from synthkit.pipelines.settings import Recipe
from synthkit.pipelines.workspace import StageRecord, content_hash, file_hash

ROW = "row"
# Raised when a stage would make something else of the same input, within one version of synthkit.
_CODE: Mapping[str, int] = {}
# Parts of a recipe that a stage looks at beside its own settings.
_ROLES = ("target", "sensitive", "quasi_identifiers", "person")
_LOOKS_AT: Mapping[str, tuple[str, ...]] = {
    "split": ("seed", "target", "person"),
    "inspect": _ROLES,
    "fit": ("seed", "target"),
    "sample": ("seed",),
    "balance": ("seed", "target"),
    "augment": ("seed", "target"),
    "evaluate": ("name", "seed", "target", "sensitive"),
    "audit": ("name", "seed", *_ROLES),
}
# Stages whose artefacts a stage reads, where the recipe has them; the rows to learn from are those of the split.
_READS: Mapping[str, tuple[str, ...]] = {
    "split": ("load",),
    "inspect": ("rows",),
    "fit": ("rows", "inspect"),
    "sample": ("fit",),
    "balance": ("rows", "inspect", "fit"),
    "augment": ("rows",),
    "evaluate": ("rows", "sample"),
    "audit": ("rows", "sample", "fit"),
}


def stage_parts(
    recipe: Recipe, stage: str, inputs: Mapping[str, StageRecord], source: str | None = None
) -> dict[str, Any]:
    """Return everything that a stage depends on, as plain values; their hash is its key.

    Parameters
    ----------
    recipe
        The whole recipe.
    stage
        Any stage but publish.
    inputs
        Records of the stages before it.
    source
        For the stage load: what `source_hash` returned.
    """
    settings = getattr(recipe, stage).model_dump(mode="json")
    parts: dict[str, Any] = {
        "stage": stage,
        "code": [__version__, _CODE.get(stage, 1)],
        "settings": settings,
        "recipe": {name: getattr(recipe, name) for name in _LOOKS_AT.get(stage, ())},
        "files": {str(file): file_hash(file) for file in _files(recipe, stage) if file.is_file()},
        "reads": {
            name: {what: one.content for what, one in sorted(inputs[name].artefacts.items())}
            for name in reads(recipe, stage)
        },
    }
    if stage == "load":
        parts["source"] = source
    privacy = recipe.privacy
    if privacy is not None:
        if stage == "fit":
            settings["privacy"].pop("total_epsilon")  # only the making of a ledger depends on it
        if stage == "split":
            parts["recipe"]["fit.privacy.unit"] = privacy.unit
        if stage == "inspect":
            parts["recipe"]["fit.privacy.records"] = privacy.records
            parts["recipe"]["split.test"] = None if recipe.split is None else recipe.split.test
        if stage == "sample":
            parts["recipe"]["fit.privacy"] = True
    # through JSON and back, so that it compares with what a record holds
    return dict(json.loads(json.dumps(parts)))


def reads(recipe: Recipe, stage: str) -> tuple[str, ...]:
    """Return the stages whose artefacts a stage reads."""
    rows = "load" if recipe.split is None else "split"
    named = (rows if name == "rows" else name for name in _READS.get(stage, ()))
    return tuple(name for name in named if name in recipe.stages)


def what_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say in a few words in what the parts of a stage differ from those of its record; empty where in nothing."""
    if before.get("code") != now.get("code"):
        return "another version of synthkit"
    if before.get("source") != now.get("source"):
        return "the data were changed"
    changed = {
        "settings": _differing(before, now, "settings"),
        "recipe": _differing(before, now, "recipe"),
        "files": _differing(before, now, "files"),
        "reads": _differing(before, now, "reads"),
    }
    stage = now.get("stage", "")
    named = [f"{stage}.{name}" for name in changed["settings"]] + changed["recipe"] + changed["files"]
    if named:
        return f"changed: {', '.join(named)}"
    if changed["reads"]:
        return f"it reads what {' and '.join(changed['reads'])} made"
    return "" if before == now else "something that it depends on was changed"


def _differing(before: Mapping[str, Any], now: Mapping[str, Any], part: str) -> list[str]:
    old, new = dict(before.get(part) or {}), dict(now.get(part) or {})
    return [str(name) for name in {**old, **new} if old.get(name) != new.get(name)]


def _files(recipe: Recipe, stage: str) -> list[Path]:
    """Return files beside the artefacts that a stage reads: those that are names of shipped ones do not exist."""
    named: list[str | None] = []
    if stage == "inspect" and recipe.inspect is not None:
        named = [recipe.inspect.schema_file]
    if stage == "evaluate" and recipe.evaluate is not None:
        named = [recipe.evaluate.suite]
    if stage == "audit" and recipe.audit is not None:
        named = [recipe.audit.policy, None if recipe.privacy is None else recipe.privacy.ledger]
    return [Path(name) for name in named if name is not None]


def source_hash(data: str) -> str | None:
    """Return the hash of the bytes of a table's source, or None for a database, which has to be read every time.

    Parameters
    ----------
    data
        As in the recipe: a file or a folder, perhaps with options, or an address.
    """
    if is_address(data):
        return None
    path = source_path(data)
    if path is None or not path.exists():
        raise InputError(f"there is no file '{path}'", remedy="Check data in the recipe, or add --set data=TABLE.")
    options = data.removeprefix(str(path))
    try:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file())
            content: Any = [[file.relative_to(path).as_posix(), file_hash(file)] for file in inside]
        else:
            content = file_hash(path)
    except OSError as error:
        raise InputError(
            f"cannot read '{path}': {(error.strerror or str(error)).lower()}", remedy="Check its permissions."
        ) from error
    return content_hash([content, path.suffixes, options])


def source_stamp(data: str) -> list[int] | None:
    """Return size and time of change of a source file, by which a dry run knows it again without reading it."""
    path = None if is_address(data) else source_path(data)
    if path is None or not path.is_file():
        return None
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def check_roles(recipe: Recipe, names: list[str]) -> None:
    """Refuse columns that the recipe names and the table does not have.

    Parameters
    ----------
    recipe
        The recipe.
    names
        Columns of the table.
    """
    privacy = recipe.privacy
    named = {
        "target": (recipe.target,),
        "sensitive": recipe.sensitive,
        "quasi_identifiers": recipe.quasi_identifiers,
        "person": (recipe.person,),
        "evaluate.groups": () if recipe.evaluate is None else recipe.evaluate.groups,
        "fit.privacy.unit": () if privacy is None or privacy.unit == ROW else (privacy.unit,),
    }
    for key, columns in named.items():
        for column in columns:
            if column is not None and column not in names:
                raise SchemaError(
                    f"{key} names an {unknown_name('column', column, names)}",
                    remedy=f"Correct it in the recipe or with --set {key}=COLUMN.",
                )
    mark = None if recipe.balance is None else recipe.balance.mark
    if mark in names:
        raise InputError(f"balance.mark is {mark!r}, and the table has that column already", remedy="Name another one.")
