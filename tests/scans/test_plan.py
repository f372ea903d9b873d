"""What a fit is asked to do: every wrong setting is one sentence, and sizes follow stated rules."""

from __future__ import annotations

from typing import Any

import pytest

from synthkit.errors import InputError
from synthkit.scans.gan import ScanGAN
from synthkit.scans.plan import ScanPlan, check_number, parse_size, parse_window


def plan(**settings: Any) -> ScanPlan:
    return ScanPlan.of(ScanGAN(**settings).get_params(deep=False))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"recipe": "r33"}, "did you mean 'r3'"),
        ({"loss": "hing"}, "did you mean 'hinge'"),
        ({"size": "nativ"}, "did you mean 'native'"),
        ({"size": 3}, "from 4 to 4096"),
        ({"size": (64, 64, 64, 64)}, "one to three lengths"),
        ({"size": 64.5}, "one to three lengths"),
        ({"window": (5, 5)}, "the smaller first"),
        ({"window": 5}, "expected two numbers"),
        ({"steps": 0}, "steps is 0"),
        ({"batch": "many"}, "batch is 'many'"),
        ({"widths": ()}, "widths is"),
        ({"widths": (64, 0)}, "widths is"),
        ({"factor": -1}, "factor is -1"),
        ({"validation_share": 1.0}, "validation_share is 1.0"),
        ({"device": "gpu0"}, "device 'gpu0'"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        plan(**settings)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "own", "expected"),
    [
        ("auto", (64, 64), (64, 64)),
        ("auto", (512, 512), (128, 128)),
        ("auto", (512, 256), (128, 64)),
        ("auto", (2000, 20), (128, 4)),
        ("auto", (40, 56, 40), (40, 56, 40)),
        ("auto", (30, 512, 512), (4, 64, 64)),
        ("native", (512, 512), (512, 512)),
        (32, (512, 256), (32, 32)),
        (32, (10, 512, 256), (32, 32, 32)),
        ((32, 16), (512, 256), (32, 16)),
    ],
)
def test_the_size_follows_a_rule(asked: Any, own: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert plan(size=asked).size_for(own) == expected


def test_a_size_with_other_axes_is_refused() -> None:
    with pytest.raises(InputError, match="2 lengths, and the scans have 3 axes"):
        plan(size=(64, 64)).size_for((30, 64, 64))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("auto", "auto"), ("native", "native"), ("64", (64,)), ("128x96", (128, 96)), ("40X56x40", (40, 56, 40))],
)
def test_sizes_are_read(text: str, expected: object) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "x", "64x", "large", "-64", "2", "64,64"])
def test_other_texts_are_no_size(text: str) -> None:
    with pytest.raises(InputError, match="size"):
        parse_size(text)


def test_windows_are_read() -> None:
    assert parse_window("-1000,400") == (-1000.0, 400.0)


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "2,1", "nan,1"])
def test_other_texts_are_no_window(text: str) -> None:
    with pytest.raises(InputError, match="window"):
        parse_window(text)


def test_the_recipe_takes_what_was_asked() -> None:
    recipe = plan(recipe="sagan", loss="hinge", batch=6, flip=True).chosen_recipe()
    assert (recipe.loss, recipe.batch, recipe.augment.flip) == ("hinge", 6, True)
    assert plan().chosen_recipe().augment.flip is False


@pytest.mark.parametrize("n", [0, 1, 19])
def test_too_few_scans(n: int) -> None:
    with pytest.raises(InputError, match=f"there are {n} scans, and a generator needs at least 20"):
        check_number(n)
