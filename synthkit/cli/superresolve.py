"""``synthkit superresolve``: scans at a higher resolution."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthkit.cli.common import PATH, quiet_option
from synthkit.cli.scan_derived import (
    STILL_OF,
    derived_options,
    model_of_scans,
    read_like,
    require_recipe,
    write_derived,
)
from synthkit.cli.scan_options import scan_options
from synthkit.phrases import by

if TYPE_CHECKING:
    from synthkit.cli.scan_options import ScanOptions


@click.command()
@click.argument("model_path", metavar="MODEL", type=PATH)
@click.argument("data", metavar="SCANS", type=PATH)
@derived_options()
@scan_options
@quiet_option
def command(
    model_path: Path,
    data: Path,
    output: Path,
    format_: str,
    replace: bool,
    faithful: bool,
    quiet: bool,
    reading: ScanOptions,
) -> None:
    """Bring SCANS to a resolution that is higher by the factor of MODEL, into a new folder.

    The scans keep their order and labels, and the spacing is divided by the factor; sources.csv says which file came
    from which scan. They still show the same patients. Detail that the critic adds is likely, not measured: use
    --faithful where values are to be measured.

    \b
    synthkit fit fine/ --recipe srgan --factor 2 -o finer.synth
    synthkit superresolve finer.synth coarse/ -o fine-again
    """
    from synthkit.io.scan_folder import check_scan_folder

    check_scan_folder(output, replace=replace)
    model = model_of_scans(model_path, "superresolve")
    require_recipe(model, "superresolution", "super-resolve", "srgan")
    scans = read_like(model, data, reading, native=True, quiet=quiet)
    made = model.superresolve(scans, sharp=not faithful)
    written = write_derived(made, output, model, model_path, data, format=format_, replace_folder=replace)
    if not quiet:
        size = by(made.size)
        click.echo(f"{len(made):,} scans of {size} in '{output}', as {written}, {STILL_OF}", err=True)
