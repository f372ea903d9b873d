"""``synthkit inspect``: what a table is made of, as a schema to read and edit; what scans or gene expression hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthkit.cli.common import PATH, SOURCE, Source, json_option, query_option
from synthkit.cli.expression_inspect import inspect_expression
from synthkit.cli.expression_options import EXPRESSION, ExpressionOptions, expression_options, kind_of_input
from synthkit.cli.kinds import refuse_options
from synthkit.cli.scan_inspect import SCANS, TABLES, inspect_scans
from synthkit.cli.scan_options import SCANS as READING
from synthkit.cli.scan_options import ScanOptions, scan_options
from synthkit.plain_json import plain_json
from synthkit.schema_showing import describe_values

if TYPE_CHECKING:
    import pandas as pd

    from synthkit.schema import Schema

_NARROWEST = 110


@click.command("inspect")
@click.argument("data", type=SOURCE)
@query_option
@click.option("-o", "--output", "output", type=PATH, metavar="SCHEMA", help="Write the schema here, as YAML to edit.")
@click.option("--target", metavar="COL", help="The column that will be predicted from the others.")
@click.option("--sensitive", multiple=True, metavar="COL", help="A column to be protected; may be given several times.")
@click.option(
    "--quasi-identifier",
    "quasi_identifiers",
    multiple=True,
    metavar="COL",
    help="A column that outsiders may know; may be given several times.",
)
@click.option("--person-key", metavar="COL", help="The column that says which rows belong to one person.")
@click.option(
    "--size",
    default="auto",
    show_default=True,
    metavar="SIZE",
    help="Scans: samples along each axis that a fit shall learn (64, 128x96), native, or auto.",
)
@click.option(
    "--time-budget", default="10m", show_default=True, help="Scans: what a fit shall take, to say what it gets done."
)
@click.option("--all", "show_all", is_flag=True, help="Scans: list every series and every file that is left out.")
@scan_options
@expression_options
@json_option
def command(
    data: Source,
    output: Path | None,
    target: str | None,
    sensitive: tuple[str, ...],
    quasi_identifiers: tuple[str, ...],
    person_key: str | None,
    size: str,
    time_budget: str,
    show_all: bool,
    as_json: bool,
    reading: ScanOptions,
    expression: ExpressionOptions,
) -> None:
    """Propose a schema for the table DATA, and say why; or say what scans or gene expression hold.

    Every choice can be changed in the file that -o writes; `synthkit fit --schema` reads it. Candidates are constraints
    that all rows satisfy; they are not applied unless you take the comment marks away.

    \b
    synthkit inspect people.csv --target income -o people.yaml

    Of scans only headers are read: which series and pictures there are, which are used, which are left out and why,
    classes, patients, and how long a fit takes.

    \b
    synthkit inspect scans/ --labels labels.csv

    Of gene expression (.h5ad, .zarr, what 10x writes; a CSV with --measure auto): which matrix is read, what its values
    are, labels, rare types, batches and donors, and what a fit takes.

    \b
    synthkit inspect cells.h5ad
    """
    kind = kind_of_input(data)
    refuse_options(kind, data, {**SCANS, **READING, **TABLES, **EXPRESSION})
    if kind == "scans" and isinstance(data, Path):
        inspect_scans(data, reading, size=size, time_budget=time_budget, show_all=show_all, as_json=as_json)
        return
    if kind == "expression" and isinstance(data, Path):
        inspect_expression(data, expression, as_json=as_json)
        return
    from synthkit.archive import check_output

    if output is not None:
        check_output(output, inputs=[data])

    from synthkit.io import read_table
    from synthkit.schema import Schema
    from synthkit.schema_candidates import as_comment, propose_constraints

    frame = read_table(data)
    schema = Schema.infer(frame, target=target).with_roles(
        sensitive=sensitive, quasi_identifiers=quasi_identifiers, person_key=person_key
    )
    candidates = propose_constraints(frame, schema)
    if output is not None:
        schema.save(output, comment=as_comment(candidates))
    notes = _notes(schema)
    if as_json:
        content = {
            "rows": len(frame),
            "missing": {column.name: int(frame[column.name].isna().sum()) for column in schema},
            "notes": notes,
            "schema": schema.to_dict(),
            "candidates": [one.to_json() for one in candidates],
        }
        click.echo(json.dumps(plain_json(content), indent=2, ensure_ascii=False))
        return
    click.echo(f"{data}: {len(frame):,} rows, {len(schema):,} columns")
    _print_columns(schema, frame)
    for note in notes:
        click.echo(f"note: {note}")
    for one in candidates:
        click.echo(f"candidate: {one.constraint.describe()} ({one.evidence})")
    if output is not None:
        click.echo(f"schema written to {output}" + ("; candidates are comments at its end" if candidates else ""))


def _notes(schema: Schema) -> list[str]:
    """What a reader should know beside the table of columns."""
    notes = []
    for kind, what in (
        ("text", "free text and will be left out"),
        ("identifier", "identifiers; new ones will be made up"),
    ):
        names = [column.name for column in schema if column.type == kind]
        if names:
            one = {"text": what, "identifier": "an identifier; new values will be made up"}[kind]
            listed = ", ".join(map(repr, names))
            notes.append(f"{listed} {'is ' + one if len(names) == 1 else 'are ' + what}")
    return notes


def _print_columns(schema: Schema, frame: pd.DataFrame) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if console.width < _NARROWEST:
        # Narrower than this the sentences become columns of single words; a wider line is wrapped by the terminal.
        console = Console(highlight=False, width=_NARROWEST)
    with_roles = any(column.roles for column in schema)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("column", style="bold", max_width=28, overflow="fold")
    table.add_column("type", no_wrap=True)
    table.add_column("missing", justify="right", no_wrap=True)
    table.add_column("values", max_width=34, overflow="fold")
    if with_roles:
        table.add_column("role")
    table.add_column("why")
    for column in schema:
        cells = [
            column.name,
            column.type,
            _share(float(frame[column.name].isna().mean())),
            describe_values(column),
            *([", ".join(column.roles)] if with_roles else []),
            column.reason,
        ]
        # Text, so that brackets in names and values are not taken for markup.
        table.add_row(*(Text(cell, style="dim" if column.type in ("text", "constant") else "") for cell in cells))
    console.print(table)


def _share(share: float) -> str:
    if share == 0:
        return ""
    return "< 0.1%" if share < 0.001 else f"{share:.1%}"
