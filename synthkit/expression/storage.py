"""The model file of a generator of expression: one archive of JSON and arrays; nothing in it is executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthkit.archive import read_archive, write_archive
from synthkit.errors import ModelFileError, unknown_name
from synthkit.expression.fitted import FittedExpression
from synthkit.expression.models import READ
from synthkit.expression.space import ExpressionSpace

KIND = "expression"
VERSION = 3
"""Of the part of the file that is about expression; the archive around it has a version of its own.

Since 2 the margins of values that are no counts say which share of them is zero, and covariates whether they are whole;
since 3 the margins of bulk counts are those of counts and shares, as those of single cells are.
"""


def save(fitted: FittedExpression, settings: Mapping[str, Any], path: str | Path) -> None:
    """Write a model file, whole or not at all.

    Raises
    ------
    OutputError
        The path cannot be written.
    """
    values, arrays = fitted.model.state()
    manifest: dict[str, Any] = {
        "kind": KIND,
        "expression_version": VERSION,
        "settings": dict(settings),
        "space": fitted.space.to_dict(),
        "model": {"name": fitted.model.name, "values": values},
        "report": fitted.report,
    }
    if fitted.privacy is not None:
        manifest["privacy"] = fitted.privacy
    tensors = {"model": {name: np.ascontiguousarray(array) for name, array in arrays.items()}}
    write_archive(path, manifest, tensors=tensors, texts={})


def load(path: str | Path) -> tuple[FittedExpression, dict[str, Any]]:
    """Read a model file: what was fitted, and the settings of the estimator.

    Raises
    ------
    ModelFileError
        Not a model of expression, truncated, changed, or from a newer version.
    """
    archive = read_archive(path)
    manifest = archive.manifest
    if manifest.get("kind") != KIND:
        raise ModelFileError(
            f"'{path}' holds a {manifest.get('kind')!r}, expected a model of gene expression",
            remedy="Open it with synthkit.load.",
        )
    version = manifest.get("expression_version")
    if not isinstance(version, int) or version > VERSION:
        raise ModelFileError(
            f"the model file '{path}' has version {version} of expression, written with synthkit "
            f"{manifest.get('created_with')}, but this synthkit reads versions up to {VERSION}",
            remedy="Upgrade synthkit.",
        )
    try:
        name = manifest["model"]["name"]
        if name not in READ:
            raise ModelFileError(
                f"the model file '{path}' holds an {unknown_name('model', str(name), READ)}", remedy="Upgrade synthkit."
            )
        model = READ[name].from_state(manifest["model"]["values"], archive.tensors["model"])
        space = ExpressionSpace.from_dict(manifest["space"])
        return FittedExpression(space, model, dict(manifest["report"]), manifest.get("privacy")), dict(
            manifest["settings"]
        )
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        # torch says with a RuntimeError that weights do not fit the networks
        said = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"'{path}' lacks a part of the model ({type(error).__name__}: {said})", remedy="Fit the model again."
        ) from error
