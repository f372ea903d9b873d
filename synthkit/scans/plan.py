"""What a fit of scans is asked to do, checked, and what follows from the number and size of the scans."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

from synthkit.errors import InputError, unknown_name
from synthkit.gan.estimator import is_whole

if TYPE_CHECKING:
    from synthkit.gan.images.recipe import Recipe

FEWEST = 20
"""Scans below which nothing can be learned but the scans themselves."""
FEW = 300
"""Scans below which a generator repeats what it saw."""
LONGEST = {2: 128, 3: 64}
"""Samples along the longest axis of images and of volumes, unless another size is asked for."""
SIZES = ("auto", "native")


@dataclass(frozen=True)
class ScanPlan:
    """What to do, as the user asked.

    Attributes
    ----------
    recipe
        Name in `synthkit.scans.recipes.RECIPES`.
    loss
        Another loss than that of the recipe, or None.
    size
        "auto", "native", or samples along each axis (one number for all of them).
    window
        Smallest and largest value in real units, or None to choose.
    steps, batch
        Length of the plan and scans per step, or None to choose.
    widths
        Channels of the networks from coarse to fine, or None for those of the recipe.
    class_balance
        Whether every class is seen equally often in training.
    flip
        Whether scans are mirrored left and right in training.
    factor, paired
        Of super-resolution and of translation.
    validation_share
        Share of the scans to hold out, or None to choose.
    device
        Where to train.
    """

    recipe: str = "r3"
    loss: str | None = None
    size: str | tuple[int, ...] = "auto"
    window: tuple[float, float] | None = None
    steps: int | None = None
    batch: int | None = None
    widths: tuple[int, ...] | None = None
    class_balance: bool = False
    flip: bool = False
    factor: int = 2
    paired: bool = False
    validation_share: float | None = None
    device: str = "cpu"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The settings of a `ScanGAN`, checked.

        Raises
        ------
        InputError
            An unknown name, or a value that is none or outside its range.
        """
        from synthkit.gan.losses import IMAGE_LOSSES
        from synthkit.scans.recipes import RECIPES

        if settings["recipe"] not in RECIPES:
            raise InputError(unknown_name("recipe", str(settings["recipe"]), RECIPES))
        if settings["loss"] is not None and settings["loss"] not in IMAGE_LOSSES:
            raise InputError(unknown_name("loss", str(settings["loss"]), IMAGE_LOSSES))
        share = settings["validation_share"]
        if share != "auto" and not (isinstance(share, Real) and 0.0 < float(share) < 1.0):
            raise InputError(f"validation_share is {share!r}, expected a number between 0 and 1 or 'auto'")
        return cls(
            recipe=settings["recipe"],
            loss=settings["loss"],
            size=_size(settings["size"]),
            window=_window(settings["window"]),
            steps=_positive(settings["steps"], "steps"),
            batch=_positive(settings["batch"], "batch"),
            widths=_widths(settings["widths"]),
            class_balance=bool(settings["class_balance"]),
            flip=bool(settings["flip"]),
            factor=_positive(settings["factor"], "factor") or 2,
            paired=bool(settings["paired"]),
            validation_share=None if share == "auto" else float(share),
            device=device_named(settings["device"]),
        )

    def chosen_recipe(self, dimensions: int = 2) -> Recipe:
        """The recipe with what was asked to be different, for images or volumes."""
        from synthkit.scans.recipes import RECIPES

        recipe: Recipe = RECIPES[self.recipe]
        changes: dict[str, Any] = {}
        if self.loss is not None:
            changes["loss"] = self.loss
        if self.batch is not None:
            changes["batch"] = self.batch if dimensions == 2 else 4 * self.batch  # a recipe takes a quarter of volumes
        if self.widths is not None:  # a recipe fits them to the number of levels that a size has
            changes |= {"widths_2d": self.widths, "widths_3d": self.widths}
        if self.flip:
            changes["augment"] = dataclasses.replace(recipe.augment, flip=True)
        return recipe.changed(**changes) if changes else recipe

    def size_for(self, own: tuple[int, ...]) -> tuple[int, ...]:
        """Size that scans of a size are brought to.

        Raises
        ------
        InputError
            Another number of axes than the scans have.
        """
        if self.size == "native":
            return own
        if self.size == "auto":
            longest = LONGEST[len(own)]
            if max(own) <= longest:
                return own
            scale = longest / max(own)
            return tuple(max(4, round(length * scale)) for length in own)
        asked = tuple(int(length) for length in self.size)
        if len(asked) == 1:
            asked = asked * len(own)
        if len(asked) != len(own):
            raise InputError(
                f"size has {len(asked)} lengths, and the scans have {len(own)} axes",
                remedy="Give one length for all axes, or one for each: rows and columns, volumes slices before them.",
            )
        return asked

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form, for the fingerprint of a checkpoint."""
        return dataclasses.asdict(self)


def device_named(name: object) -> str:
    """Return where to train: "auto" is a GPU where torch sees one.

    Raises
    ------
    InputError
        torch has no such device here.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(str(name))
    except RuntimeError as error:
        raise InputError(f"the device {name!r} is unknown", remedy="Choose cpu, cuda or cuda:1.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"the device {name!r} is not there: torch sees no GPU", remedy="Choose cpu or auto.")
    return str(device)


def parse_size(text: str) -> str | tuple[int, ...]:
    """Read a size as it is typed: ``auto``, ``native``, ``64``, ``128x96`` or ``40x56x40``.

    Raises
    ------
    InputError
        The text is no size.
    """
    if text in SIZES:
        return text
    parts = text.lower().replace("×", "x").split("x")
    if not all(part.strip().isdigit() for part in parts):
        raise InputError(f"the size {text!r} is none", remedy="Write auto, native, 64, 128x96 or 40x56x40.")
    return _size(tuple(int(part) for part in parts))


def parse_window(text: str) -> tuple[float, float]:
    """Read a window as it is typed: ``-1000,1000`` or ``-1000..1000``.

    Raises
    ------
    InputError
        The text is no window.
    """
    try:
        low, high = (float(part) for part in text.split(".." if ".." in text else ","))
    except ValueError:
        raise InputError(f"the window {text!r} is none", remedy="Write two numbers such as -1000,1000.") from None
    return _window((low, high)) or (low, high)


def check_number(n: int, of: str = "scans") -> None:
    """Refuse what is too little to learn from.

    Raises
    ------
    InputError
        Fewer than 20.
    """
    if n < FEWEST:
        raise InputError(
            f"there are {n} {of}, and a generator needs at least {FEWEST} to learn anything but the scans themselves",
            remedy="Collect more, or read the slices of volumes as scans of their own (slices=True).",
        )


def _positive(value: object, name: str) -> int | None:
    if value is None or value == "auto":
        return None
    number = int(value) if is_whole(value) else 0  # type: ignore[call-overload]
    if number < 1:
        raise InputError(f"{name} is {value!r}, expected a whole number from 1 or 'auto'")
    return number


def _size(value: object) -> str | tuple[int, ...]:
    if isinstance(value, str):
        if value not in SIZES:
            raise InputError(f"{unknown_name('size', value, SIZES)}, or lengths such as 64 or (40, 56, 40)")
        return value
    lengths = tuple(value) if isinstance(value, Sequence) else (value,)
    if not 1 <= len(lengths) <= 3 or not all(is_whole(one) and 4 <= one <= 4096 for one in lengths):
        raise InputError(
            f"size is {value!r}, expected 'auto', 'native', or one to three lengths from 4 to 4096",
            remedy="Give for example 64 or (40, 56, 40).",
        )
    return tuple(int(one) for one in lengths)


def _window(value: object) -> tuple[float, float] | None:
    if value is None:
        return None
    ends = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if len(ends) != 2 or not all(isinstance(end, Real) and math.isfinite(end) for end in ends) or not ends[0] < ends[1]:
        raise InputError(
            f"window is {value!r}, expected two numbers in real units, the smaller first",
            remedy="Give for example (-1000, 1000).",
        )
    return float(ends[0]), float(ends[1])


def _widths(value: object) -> tuple[int, ...] | None:
    if value is None or value == "auto":
        return None
    widths = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if not widths or not all(is_whole(one) and one >= 1 for one in widths):
        raise InputError(f"widths is {value!r}, expected whole numbers from 1 or None", remedy="Give e.g. (64, 32).")
    return tuple(int(one) for one in widths)
