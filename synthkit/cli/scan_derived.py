"""What the verbs that make scans from scans share: options, reading, writing, and what they say of the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from synthkit.cli.common import PATH
from synthkit.cli.scan_sample import FORMATS
from synthkit.errors import InputError

if TYPE_CHECKING:
    from synthkit.cli.scan_options import ScanOptions
    from synthkit.io.scan_set import ScanSet
    from synthkit.scans.gan import ScanGAN

Command = TypeVar("Command", bound=Callable[..., Any])
STILL_OF = "derived from given scans: they still show the patients of these, and are to be protected as those are"

_OPTIONS = (
    click.option("-o", "--output", "output", type=PATH, required=True, metavar="OUT", help="The folder to write."),
    click.option(
        "--format",
        "format_",
        type=click.Choice(FORMATS),
        default="auto",
        show_default=True,
        help="Of the files; auto is that of SCANS.",
    ),
    click.option("--replace", is_flag=True, help="Replace a folder OUT that synthkit wrote."),
    click.option("--faithful", is_flag=True, help="Without the critic's sharpening: nearer on average, and smoother."),
)


def derived_options(*left_out: str) -> Callable[[Command], Command]:
    """Add the options of writing scans that were made from scans.

    Parameters
    ----------
    left_out
        Names of options that the verb does not have.
    """

    def add(command: Command) -> Command:
        for option in reversed(_OPTIONS):
            changed = option(command)
            names = {name for parameter in changed.__click_params__[-1:] for name in [parameter.name]}  # type: ignore[attr-defined]
            if names & set(left_out):
                changed.__click_params__.pop()  # type: ignore[attr-defined]
            command = changed
        return command

    return add


def model_of_scans(path: Path, verb: str) -> ScanGAN:
    """Open a model of scans.

    Raises
    ------
    InputError
        It is a model of something else.
    """
    from synthkit.cli.kinds import ARE_FOR, HOLDS, kind_of_model

    kind = kind_of_model(path)
    if kind != "scans":
        raise InputError(
            f"{verb} is for {ARE_FOR['scans']}, and '{path}' is a model of {HOLDS[kind]}",
            remedy="Fit one to scans: synthkit fit FOLDER -o MODEL.",
        )
    from synthkit.scans.gan import ScanGAN

    return ScanGAN.load(path)


def require_recipe(model: ScanGAN, family: str, verb: str, recipe: str) -> None:
    """Refuse a model that cannot do this, before scans are read."""
    from synthkit.scans.from_scans import require_family

    require_family(model._learned(), family, verb, recipe)


def read_like(model: ScanGAN, data: Path, reading: ScanOptions, *, native: bool, quiet: bool) -> ScanSet:
    """Read scans, at the size that the model was fitted to unless they are to keep their own."""
    from synthkit.cli.kinds import HOLDS
    from synthkit.io.kinds import kind_of

    kind = kind_of(data)
    if kind != "scans":
        raise InputError(f"'{data}' holds {HOLDS[kind]}, expected scans", remedy="Name a folder of scans.")
    return reading.read(data, size=None if native else model.size_, quiet=quiet)


def write_derived(
    scans: ScanSet, output: Path, model: ScanGAN, model_path: Path, data: Path, *, format: str, replace_folder: bool
) -> str:
    """Write scans that were made from scans, and which file came from which scan.

    Returns
    -------
    str
        The format.
    """
    import hashlib

    import numpy as np

    from synthkit.cli.scan_sample import provenance_of
    from synthkit.io.scan_write import scan_format, write_scans
    from synthkit.scans.reading import format_of

    chosen = format
    if format == "auto":
        chosen = format_of(data) or "auto"
    if chosen == "auto":
        chosen = scan_format(scans, chosen)
    # no draw has a seed here: what is written is told apart by what it was made from
    seed = int.from_bytes(hashlib.sha256(np.ascontiguousarray(scans.images).data).digest()[:4], "big") >> 1
    provenance = provenance_of(model, model_path, seed, from_scans=True)
    write_scans(scans, output, format=chosen, provenance=provenance, replace=replace_folder)
    return chosen
