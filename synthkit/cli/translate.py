"""``synthkit translate``: scans of one kind into another."""

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

if TYPE_CHECKING:
    from synthkit.cli.scan_options import ScanOptions


@click.command()
@click.argument("model_path", metavar="MODEL", type=PATH)
@click.argument("data", metavar="SCANS", type=PATH)
@click.option("--reverse", is_flag=True, help="From the kind that the model translates into, back.")
@click.option("--native", is_flag=True, help="Keep the size of SCANS, instead of the one that MODEL was fitted to.")
@derived_options("faithful")
@scan_options
@quiet_option
def command(
    model_path: Path,
    data: Path,
    reverse: bool,
    native: bool,
    output: Path,
    format_: str,
    replace: bool,
    quiet: bool,
    reading: ScanOptions,
) -> None:
    """Translate SCANS into the other kind that MODEL knows, into a new folder.

    The scans keep their order, labels and spacing; sources.csv says which file came from which scan. They still show
    the same patients. A translation is likely, not measured: it can leave out findings, and make some up.

    \b
    synthkit fit t1/ --recipe cyclegan --into t2/ -o t1-t2.synth
    synthkit translate t1-t2.synth other-t1/ -o as-t2
    synthkit translate t1-t2.synth other-t2/ -o as-t1 --reverse
    """
    from synthkit.io.scan_folder import check_scan_folder

    check_scan_folder(output, replace=replace)
    model = model_of_scans(model_path, "translate")
    require_recipe(model, "translation", "translate", "cyclegan")
    scans = read_like(model, data, reading, native=native, quiet=quiet)
    made = model.translate(scans, reverse=reverse)
    written = write_derived(made, output, model, model_path, data, format=format_, replace_folder=replace)
    if not quiet:
        click.echo(f"{len(made):,} translated scans in '{output}', as {written}, {STILL_OF}", err=True)
