"""``synthkit push``: synthetic DICOM files into a PACS."""

from __future__ import annotations

import json
from pathlib import Path

import click

from synthkit.cli.common import PATH, json_option, quiet_option, row_progress


@click.command()
@click.argument("folder", metavar="OUT", type=PATH)
@click.option("--to", "address", metavar="HOST:PORT", required=True, help="Where the PACS listens.")
@click.option("--aet", metavar="TITLE", default="ANY-SCP", show_default=True, help="AE title of the PACS.")
@click.option("--calling", metavar="TITLE", default="SYNTHKIT", show_default=True, help="AE title of this side.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=float,
    default=30.0,
    show_default=True,
    help="How long to wait for a connection, and for each answer.",
)
@click.option("--any", "any_file", is_flag=True, help="Send files that do not say SyntheticData=YES too.")
@json_option
@quiet_option
def command(
    folder: Path, address: str, aet: str, calling: str, timeout: float, any_file: bool, as_json: bool, quiet: bool
) -> None:
    """Send the DICOM files in OUT, and in the folders in it, to a PACS (C-STORE).

    Nothing is sent unless every DICOM file says SyntheticData=YES, as those that synthkit writes do. A file that the
    PACS refuses does not keep the rest back; the exit code is then 1, and what was refused is named. Sending again is
    harmless: the same scans have the same identifiers.

    \b
    synthkit sample model.synth -n 200 -o out --format dicom
    synthkit push out --to pacs.example.org:104 --aet RESEARCH
    """
    from synthkit.io.pacs import check_address, parse_address, push

    host, port = parse_address(address)
    check_address(host, port, aet, calling, timeout)
    with row_progress(_files(folder), quiet=quiet or as_json, unit="files") as advance:
        report = push(folder, host, port, aet, calling=calling, timeout=timeout, any_file=any_file, progress=advance)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=1))
    elif not quiet:
        click.echo(report.describe())
    report.check()


def _files(folder: Path) -> int:
    """Return how many files there are, for the bar."""
    return sum(1 for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 1
