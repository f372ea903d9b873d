"""One verb for three kinds of data: options of another kind are refused, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from synthkit.errors import InputError

if TYPE_CHECKING:
    from synthkit.io.kinds import Kind

HOLDS: dict[str, str] = {"table": "a table", "scans": "scans", "expression": "gene expression"}
ARE_FOR: dict[str, str] = {"table": "tables", "scans": "scans", "expression": "gene expression"}


def refuse_options(kind: Kind, place: object, other: Mapping[str, str]) -> None:
    """Refuse options that the command line gives and that mean something for another kind of data only.

    Parameters
    ----------
    kind
        What the data is, from `synthkit.io.kinds.kind_of` or the manifest of a model.
    place
        Where it lies, for the message.
    other
        Name of the parameter of the command (as in its function) to the kind that it is for; those of `kind` itself are
        let through.

    Raises
    ------
    InputError
        Naming the first option that was given, on the command line or by the environment, and is for another kind.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        wanted = other.get(name)
        if wanted is None or wanted == kind:
            continue
        if context.get_parameter_source(name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
            option = max(parameter.opts, key=len)
            raise InputError(
                f"{option} is for {ARE_FOR[wanted]}, and '{place}' holds {HOLDS[kind]}", remedy=f"Leave {option} out."
            )


def given(name: str) -> bool:
    """Whether an option was given, rather than left at its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def kind_of_model(path: Path) -> Kind:
    """Return what a model file is a model of.

    Raises
    ------
    ModelFileError
        No model file, or one of an unknown kind.
    """
    from synthkit.archive import read_manifest
    from synthkit.errors import ModelFileError, unknown_name

    kind = read_manifest(path).get("kind")
    known: tuple[Kind, ...] = ("table", "scans", "expression")
    for name in known:
        if kind == name:
            return name
    raise ModelFileError(
        f"the model file '{path}' has an {unknown_name('kind of model', str(kind), HOLDS)}",
        remedy="Open it with the version of synthkit that wrote it.",
    )
