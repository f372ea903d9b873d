"""What ``synthkit impute`` does with scans: holes filled from what surrounds them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthkit.cli.scan_derived import STILL_OF, model_of_scans, read_like, require_recipe, write_derived
from synthkit.errors import InputError

if TYPE_CHECKING:
    from synthkit.cli.scan_options import ScanOptions

SCANS: dict[str, str] = dict.fromkeys(("holes", "faithful", "native", "format_", "replace"), "scans")
TABLES: dict[str, str] = dict.fromkeys(
    ("query", "multiple", "point", "raw", "schema_path", "target", "time_budget", "seed"), "table"
)


def impute_scans(
    data: Path,
    output: object,
    model_path: Path | None,
    reading: ScanOptions,
    *,
    holes: Path | None,
    faithful: bool,
    native: bool,
    format: str,
    replace: bool,
    quiet: bool,
) -> None:
    """Fill the holes of scans and write them into a new folder.

    Raises
    ------
    InputError
        No model, no holes, or the model was not fitted for this.
    """
    if model_path is None:
        raise InputError(
            "scans are filled by a model of other scans",
            remedy="Fit one with --recipe inpaint, and give it as --model.",
        )
    if holes is None:
        raise InputError("it is not said where the scans have holes", remedy="Give --holes MASKS.")

    from synthkit.cli.scan_sample import folder_of
    from synthkit.io.scan_folder import check_scan_folder

    folder = folder_of(output)  # type: ignore[arg-type]
    check_scan_folder(folder, replace=replace)
    model = model_of_scans(model_path, "impute")
    require_recipe(model, "inpainting", "fill holes in", "inpaint")
    scans = read_like(model, data, dataclasses.replace(reading, masks=str(holes)), native=native, quiet=quiet)
    if scans.masks is None:
        raise InputError(f"there are no masks in '{holes}'", remedy="Give a mask for each scan, called as the scan is.")
    where = scans.masks > 0
    made = dataclasses.replace(model.impute(scans, where, sharp=not faithful), masks=None)
    written = write_derived(made, folder, model, model_path, data, format=format, replace_folder=replace)
    if not quiet:
        share = float(where.mean())
        click.echo(
            f"{len(made):,} scans in '{folder}', as {written}, {share:.1%} of their samples filled; {STILL_OF}",
            err=True,
        )
