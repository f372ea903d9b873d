"""The contract of a generator of scans, for every recipe."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import pytest
from phantoms import heads, shapes

from synthkit import ScanGAN, ScanSet
from synthkit.gan.images.recipe import Recipe
from synthkit.scans.recipes import RECIPES
from synthkit.testing import check_scan_synthesizer, scan_synthesizer_checks

QUICK = {"steps": 2, "batch": 4, "widths": (8, 8), "random_state": 0, "verbose": False, "time_budget": None}
FROM_NOISE = [name for name, recipe in RECIPES.items() if recipe.family == "noise"]
FROM_SCANS = [name for name, recipe in RECIPES.items() if recipe.family != "noise"]
pytestmark = pytest.mark.filterwarnings("ignore:there are only")


def small(n: int = 24, size: int = 8, **more: object) -> ScanSet:
    return shapes(n, size, **more)


CHECKS = {
    name: check for name, check in scan_synthesizer_checks(lambda: ScanGAN(**QUICK), replace(small(), masks=None))
}


@pytest.mark.parametrize("name", CHECKS)
def test_default_recipe(name: str) -> None:
    CHECKS[name]()


@pytest.mark.parametrize("recipe", [name for name in FROM_NOISE if name != "r3"])
def test_recipes_from_noise(recipe: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="there are only")
        check_scan_synthesizer(lambda: ScanGAN(recipe, **QUICK), small())


@pytest.mark.parametrize("recipe", FROM_SCANS)
def test_recipes_from_scans(recipe: str) -> None:
    more = {"target": small(24, 16, seed=3)} if RECIPES[recipe].family == "translation" else {}
    check_scan_synthesizer(lambda: ScanGAN(recipe, **QUICK), replace(small(24, 16), masks=None), **more)


def test_volumes_with_masks_in_hu() -> None:
    check_scan_synthesizer(lambda: ScanGAN(**QUICK), heads(20, (4, 8, 6)))


def test_without_classes() -> None:
    plain = small()
    check_scan_synthesizer(lambda: ScanGAN(**QUICK), replace(plain, labels=None, classes=(), masks=None, patients=None))


class Changed(ScanGAN):
    """A generator that breaks one rule."""

    def fit(self, scans: ScanSet, y: None = None, **more: object) -> ScanGAN:
        super().fit(scans, y, **more)
        return self


def broken(**methods: Callable[..., object]) -> Callable[[], ScanGAN]:
    kind = type("Changed", (Changed,), {"__init__": ScanGAN.__init__, **methods})
    return lambda: kind(**QUICK)


def _other_dtype(self: ScanGAN, n: int, **more: object) -> ScanSet:
    drawn = ScanGAN.sample(self, n, **more)
    return replace(drawn, images=drawn.images.astype("float32"))


def _ignores_the_seed(self: ScanGAN, n: int, *, where: object = None, random_state: int | None = None) -> ScanSet:
    return ScanGAN.sample(self, n, where=where, random_state=None)


def _ignores_conditions(self: ScanGAN, n: int, *, where: object = None, random_state: int | None = None) -> ScanSet:
    return ScanGAN.sample(self, n, random_state=random_state)


def _changes_real_scans(self: ScanGAN, scans: ScanSet, **more: object) -> ScanSet:
    found = ScanGAN.balance(self, scans, **more)
    images = found.images.copy()
    images[0] += 1
    return replace(found, images=images)


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ({"sample": _other_dtype}, "the dtype is float32"),
        ({"sample": _ignores_the_seed}, "the same seed gives other scans"),
        ({"sample": _ignores_conditions}, "does not hold"),
        ({"balance": _changes_real_scans}, "changes the real scans"),
    ],
)
def test_the_checks_see_what_is_broken(methods: dict[str, Callable[..., object]], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_scan_synthesizer(broken(**methods), replace(small(), masks=None))


def test_every_recipe_is_one_of_a_known_family() -> None:
    assert len(RECIPES) == 13
    assert all(isinstance(recipe, Recipe) and recipe.name == name for name, recipe in RECIPES.items())
