"""What ``synthkit inspect`` says of scans: what is there, what is left out and why, how long a fit takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthkit.cli.scan_options import ScanOptions
from synthkit.phrases import by
from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    from synthkit.io.scans import ScanSurvey
    from synthkit.scans.fit_outlook import FitOutlook

SCANS: dict[str, str] = dict.fromkeys(("size", "time_budget", "show_all"), "scans")
"""Parameters of the verb that are for scans alone; names as in `synthkit.cli.kinds.refuse_options`."""
TABLES: dict[str, str] = dict.fromkeys(
    ("output", "target", "sensitive", "quasi_identifiers", "person_key", "query"), "table"
)
"""Those that are for tables alone."""
_MOST_SHOWN = 20


def inspect_scans(
    data: Path, reading: ScanOptions, *, size: str, time_budget: str, show_all: bool, as_json: bool
) -> None:
    """Look at headers, without pixels, and say what `synthkit fit` would do with the scans.

    Parameters
    ----------
    data
        A file or folder.
    reading
        How it is read.
    size
        As ``fit --size`` takes it.
    time_budget
        As ``fit --time-budget`` takes it.
    show_all
        Whether every file that is left out is listed, instead of the first twenty.
    as_json
        Whether JSON is printed.

    Raises
    ------
    InputError
        Nothing is there, or nothing can be used: exit code 2. What was left out is on standard error then.
    """
    from synthkit.cli.scan_options import asked_size
    from synthkit.io.scans import survey_scans
    from synthkit.scans.fit_outlook import fit_outlook
    from synthkit.scans.plan import parse_size

    fit_size = parse_size(size)
    found = survey_scans(
        data,
        labels=reading.labels,
        masks=reading.masks,
        size=asked_size(fit_size),
        slices=reading.slices_wanted,
        split=reading.split,
        force_burned_in=reading.force_burned_in,
    )
    outlook = fit_outlook(
        found.n_scans, found.size, channels=found.channels, counts=found.counts,
        regions=2 if found.has_masks else 0, fit_size=fit_size, time_budget=time_budget,
    )  # fmt: skip
    if as_json:
        content = {**found.to_dict(), "outlook": outlook.to_dict()}
        click.echo(json.dumps(plain_json(content), indent=2, ensure_ascii=False))
        return
    _tell(found, outlook, 10**9 if show_all else _MOST_SHOWN)


def _tell(found: ScanSurvey, outlook: FitOutlook, most: int) -> None:
    from synthkit.phrases import counted

    click.echo(found.report.describe(most))
    size = by(found.size)
    click.echo(
        f"used: {counted(found.n_scans, 'scan')} of {size}, {'grey' if found.channels == 1 else 'colours'}, "
        f"{found.form.modality}{f' in {found.form.units}' if found.form.units else ''}, "
        f"{found.form.bits} bits, {found.n_bytes / 2**20:,.1f} MiB"
    )
    if found.form.spacing is not None:
        click.echo(f"spacing: {' x '.join(f'{one:.4g}' for one in found.form.spacing)} mm")
    if found.counts:
        click.echo("classes: " + ", ".join(f"{name} {n:,}" for name, n in found.counts.items()))
    if found.has_masks:
        click.echo("masks: one for each scan")
    patients = "unknown, so that each scan counts as one" if found.n_patients is None else f"{found.n_patients:,}"
    click.echo(f"patients: {patients}")
    click.echo(f"fit: {outlook.describe()}")
    for text in outlook.warnings:
        click.echo(f"warning: {text}")
