"""The model file of a generator of scans: one archive of JSON and arrays; nothing in it is executed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthkit.archive import Archive, read_archive, write_archive
from synthkit.errors import InputError, ModelFileError
from synthkit.gan.images.recipe import AugmentSettings, PenaltyTerm, Recipe
from synthkit.gan.images.spec import ImageSpec
from synthkit.scans.context import Learned
from synthkit.scans.fitted import FittedScans
from synthkit.scans.fitting import networks_of
from synthkit.scans.space import ScanSpace

KIND = "scans"
VERSION = 1
"""Of the part of the file that is about scans; the archive around it has a version of its own."""
_NETWORK = "network-"


def save(fitted: FittedScans, settings: Mapping[str, Any], path: str | Path) -> None:
    """Write a model file, whole or not at all.

    Raises
    ------
    OutputError
        The path cannot be written.
    """
    learned = fitted.learned
    manifest: dict[str, Any] = {
        "kind": KIND,
        "scans_version": VERSION,
        "settings": dict(settings),
        "recipe": dataclasses.asdict(fitted.recipe),
        "spec": dataclasses.asdict(fitted.spec),
        "space": fitted.space.to_dict(),
        "target": None if fitted.target is None else fitted.target.to_dict(),
        "read_as": fitted.read_as,
        "networks": list(learned.networks),
        "values": learned.values,
        "report": fitted.report,
    }
    if fitted.privacy is not None:
        manifest["privacy"] = fitted.privacy
    tensors = {
        f"{_NETWORK}{name}": {key: tensor.contiguous().numpy() for key, tensor in weights.items()}
        for name, weights in learned.weights().items()
    }
    if learned.arrays:
        tensors["arrays"] = learned.arrays
    write_archive(path, manifest, tensors=tensors, texts={})


def load(path: str | Path, device: str = "cpu") -> tuple[FittedScans, dict[str, Any]]:
    """Read a model file: what was fitted, and the settings of the estimator.

    Raises
    ------
    ModelFileError
        Not a model of scans, truncated, changed, or from a newer version.
    """
    archive = read_archive(path)
    manifest = archive.manifest
    if manifest.get("kind") != KIND:
        raise ModelFileError(
            f"'{path}' holds a {manifest.get('kind')!r}, expected a model of scans", remedy="open it with synthkit.load"
        )
    version = manifest.get("scans_version")
    if not isinstance(version, int) or version > VERSION:
        raise ModelFileError(
            f"the model file '{path}' has version {version} of scans, written with synthkit "
            f"{manifest.get('created_with')}, but this synthkit reads versions up to {VERSION}",
            remedy="Upgrade synthkit.",
        )
    try:
        return _fitted(archive, device), dict(manifest["settings"])
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError, InputError) as error:
        # torch says with a RuntimeError that weights do not fit the networks
        said = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"'{path}' lacks a part of the model ({type(error).__name__}: {said})", remedy="fit the model again"
        ) from error


def _fitted(archive: Archive, device: str) -> FittedScans:
    manifest = archive.manifest
    recipe, spec = recipe_from(manifest["recipe"]), spec_from(manifest["spec"])
    values = dict(manifest["values"])
    networks = networks_of(spec, recipe, values)
    if set(networks) != set(manifest["networks"]):
        raise ValueError(f"networks {sorted(manifest['networks'])}, expected {sorted(networks)}")
    for name, network in networks.items():
        weights = archive.tensors[f"{_NETWORK}{name}"]
        network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in weights.items()})
        network.eval()
    target = manifest["target"]
    return FittedScans(
        recipe,
        spec,
        Learned(networks, values, dict(archive.tensors.get("arrays", {}))),
        ScanSpace.from_dict(manifest["space"]),
        None if target is None else ScanSpace.from_dict(target),
        report=dict(manifest["report"]),
        privacy=manifest.get("privacy"),
        device=device,
        read_as=str(manifest["read_as"]),
    )


def recipe_from(content: Mapping[str, Any]) -> Recipe:
    """Return a recipe from its JSON-safe form: an old model keeps the recipe that it was fitted with."""
    values = {name: _tuples(value) for name, value in content.items()}
    values["penalties"] = tuple(PenaltyTerm(**term) for term in content["penalties"])
    values["augment"] = AugmentSettings(**content["augment"])
    return Recipe(**values)


def spec_from(content: Mapping[str, Any]) -> ImageSpec:
    """Return the form of the images from its JSON-safe form."""
    return ImageSpec(**{name: _tuples(value) for name, value in content.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
