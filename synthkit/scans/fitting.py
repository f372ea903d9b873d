"""From scans and the settings of a `ScanGAN` to what was fitted: one family of networks, chosen by the recipe."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from synthkit.errors import InputError, unknown_name
from synthkit.scans.context import FitContext, Learned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    from synthkit.gan.images.recipe import Recipe
    from synthkit.gan.images.spec import ImageSpec

__all__ = ["FAMILIES", "FitContext", "Learned", "fit_family", "networks_of"]

# what a recipe's family is -> (module, its function of a fit)
FAMILIES: dict[str, tuple[str, str]] = {
    "noise": ("synthkit.scans.from_noise", "fit_from_noise"),
    "superresolution": ("synthkit.scans.superresolution", "fit_superresolution"),
    "translation": ("synthkit.scans.translation", "fit_translation"),
    "inpainting": ("synthkit.scans.inpainting", "fit_inpainting"),
    "anomaly": ("synthkit.scans.anomaly", "fit_anomaly"),
}


def fit_family(context: FitContext) -> Learned:
    """Fit the family of the recipe."""
    module, function = _place_of(context.recipe.family)
    fit: Callable[[FitContext], Learned] = getattr(import_module(module), function)
    return fit(context)


def networks_of(spec: ImageSpec, recipe: Recipe, values: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Return networks of the form that a fit left, for a model file whose weights are then loaded."""
    module, _ = _place_of(recipe.family)
    networks: dict[str, nn.Module] = import_module(module).networks(spec, recipe, values)
    return networks


def _place_of(family: str) -> tuple[str, str]:
    if family not in FAMILIES:
        raise InputError(unknown_name("family of recipes", family, FAMILIES))
    return FAMILIES[family]
