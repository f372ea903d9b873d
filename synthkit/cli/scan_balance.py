"""What ``synthkit balance`` does with scans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthkit.errors import InputError

if TYPE_CHECKING:
    from synthkit.cli.scan_options import ScanOptions

SCANS: dict[str, str] = dict.fromkeys(("format_", "replace", "save_model"), "scans")
TABLES: dict[str, str] = dict.fromkeys(
    ("query", "target", "quantiles", "schema_path", "smallest", "rejection", "mark"), "table"
)


def balance_scans(
    data: Path,
    output: Path,
    reading: ScanOptions,
    *,
    ratio: float | None,
    counts: str | None,
    model_path: Path | None,
    save_model: Path | None,
    format: str,
    replace: bool,
    time_budget: str,
    as_json: bool,
    seed: int | None,
    quiet: bool,
) -> None:
    """Write the synthetic scans that the classes of DATA lack into a new folder; the real ones stay where they are."""
    from synthkit.archive import check_output
    from synthkit.io.scan_folder import check_scan_folder

    if model_path is not None and save_model is not None:
        raise InputError("--save-model is for a model that is fitted here, and --model names one", remedy="Give one.")
    check_scan_folder(output, replace=replace)
    if save_model is not None:
        check_output(save_model, inputs=[data])

    import tempfile

    import numpy as np

    from synthkit.balance.scans import balance_scans as fill_up
    from synthkit.cli.balance import parse_counts
    from synthkit.cli.scan_sample import write_synthetic
    from synthkit.gan.budget import Budget
    from synthkit.random import RandomSource
    from synthkit.scans.balancing import scans_to_add
    from synthkit.scans.gan import ScanGAN

    Budget.parse(time_budget)
    seed = RandomSource(seed).seed
    model = None if model_path is None else ScanGAN.load(model_path)
    scans = reading.read(data, size=None if model is None else model.size_, quiet=quiet, needed=True)
    wanted = None if counts is None else parse_counts(counts, scans.classes)
    share = 1.0 if ratio is None else ratio
    if not scans_to_add(scans, ratio=share, counts=wanted):
        raise InputError("every class has the wanted number of scans already", remedy="Ask for more with --counts.")
    found = fill_up(
        scans, model=model, ratio=share, counts=wanted, random_state=seed, time_budget=time_budget, verbose=not quiet
    )
    with tempfile.TemporaryDirectory() as folder:
        fitted_path = model_path or save_model or Path(folder) / "model.synth"
        if model_path is None:
            found.model.read_as(data)
            found.model.save(fitted_path)
        added = found.scans.take(np.flatnonzero(found.synthetic))
        written = write_synthetic(added, output, found.model, fitted_path, seed, format=format, replace=replace)
    if as_json:
        click.echo(json.dumps(found.report, indent=2, allow_nan=False))
    if not quiet:
        for one in found.report["groups"]:
            click.echo(f"{one['name']}: {one['scans']:,} -> {one['scans'] + one['added']:,}", err=True)
        click.echo(f"{len(added):,} synthetic scans in '{output}', as {written}; real ones stay in '{data}'", err=True)
