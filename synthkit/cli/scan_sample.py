"""What ``synthkit sample`` does with a model of scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthkit.cli.common import row_progress
from synthkit.errors import InputError

if TYPE_CHECKING:
    from synthkit.io.provenance import Provenance
    from synthkit.io.scan_set import ScanSet
    from synthkit.io.source import Address

FORMATS = ("auto", "dicom", "nifti", "png", "npz")
SCANS: dict[str, str] = dict.fromkeys(("format_", "transfer_syntax", "replace"), "scans")
TABLES: dict[str, str] = {"raw": "table"}


def sample_scans(
    model_path: Path,
    n: int,
    output: Path | Address,
    conditions: Sequence[str],
    *,
    format: str,
    transfer_syntax: str | None,
    replace: bool,
    seed: int | None,
    quiet: bool,
) -> None:
    """Draw scans from a model into a new folder, all of them or nothing."""
    from synthkit.io.scan_folder import check_scan_folder

    output = folder_of(output)
    check_scan_folder(output, replace=replace)  # what cannot be written is told before the model is read

    from synthkit.random import RandomSource
    from synthkit.scans.conditions import parse_scan_conditions
    from synthkit.scans.fitted import joined
    from synthkit.scans.gan import ScanGAN

    model = ScanGAN.load(model_path)
    where = parse_scan_conditions(conditions, model.classes_) or None
    seed = RandomSource(seed).seed  # drawn anew without one, and told in what is written
    parts = []
    with row_progress(n, quiet=quiet, unit="scans") as advance:
        for part in model.iter_sample(n, where=where, random_state=seed):
            parts.append(part)
            advance(len(part))
    scans = joined(parts, parts[0])
    written = write_synthetic(
        scans, output, model, model_path, seed, format=format, transfer_syntax=transfer_syntax, replace=replace
    )
    if not quiet:
        click.echo(f"{len(scans):,} scans in '{output}', as {written}", err=True)


def folder_of(output: Path | Address) -> Path:
    """Return the folder that scans are written to; a database takes none."""
    if not isinstance(output, Path):
        raise InputError("scans cannot be written into a database", remedy="Name a folder.")
    return output


def provenance_of(model: Any, model_path: Path, seed: int, *, from_scans: bool = False) -> Provenance:
    """Return what written scans say of the model and the draw.

    Parameters
    ----------
    model
        A fitted `ScanGAN`.
    model_path
        Its file, whose SHA-256 is told.
    seed
        Of the draw.
    from_scans
        Whether the scans were made from given ones.
    """
    import hashlib

    from synthkit.io.provenance import Provenance

    with open(model_path, "rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    budget = model.privacy
    return Provenance(
        recipe=model.recipe,
        seed=seed,
        weights_sha256=content,
        epsilon=None if budget is None else budget.epsilon,
        delta=None if budget is None else budget.delta,
        from_scans=from_scans,
    )


def write_synthetic(
    scans: ScanSet,
    output: Path,
    model: Any,
    model_path: Path,
    seed: int,
    *,
    format: str = "auto",
    transfer_syntax: str | None = None,
    replace: bool = False,
    from_scans: bool = False,
) -> str:
    """Write scans that a model made; "auto" is the format that its training scans were read from.

    Returns
    -------
    str
        The format.
    """
    from synthkit.io.scan_write import scan_format, write_scans

    chosen = scan_format(scans, format)
    if format == "auto" and model.read_as_:
        chosen = model.read_as_
    write_scans(
        scans,
        output,
        format=chosen,
        provenance=provenance_of(model, model_path, seed, from_scans=from_scans),
        transfer_syntax=transfer_syntax,
        replace=replace,
    )
    return chosen
