"""``synthkit impute``: missing cells filled given the observed ones, once or several times; holes in scans."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthkit.cli.common import (
    PATH,
    SOURCE,
    Interrupted,
    Source,
    output_option,
    query_option,
    quiet_option,
    seed_option,
)
from synthkit.cli.kinds import refuse_options
from synthkit.cli.scan_impute import SCANS, TABLES, impute_scans
from synthkit.cli.scan_options import SCANS as READING
from synthkit.cli.scan_options import scan_options
from synthkit.cli.scan_sample import FORMATS
from synthkit.errors import InputError
from synthkit.io.kinds import kind_of

if TYPE_CHECKING:
    import pandas as pd

    from synthkit.cli.scan_options import ScanOptions


@click.command()
@click.argument("data", type=SOURCE)
@query_option
@output_option
@click.option(
    "--multiple",
    type=click.IntRange(min=1),
    help="So many completed tables, each drawn anew: OUT-1.csv, OUT-2.csv and so on.",
)
@click.option("--point", is_flag=True, help="The best single guess of each cell (mean or most likely label), no draw.")
@click.option("--raw", is_flag=True, help="From the codes of the model alone: faster, and blind to what they miss.")
@click.option("--model", "model_path", type=PATH, help="A model of the same table; one is fitted when left out.")
@click.option("--schema", "schema_path", type=PATH, help="A schema from `synthkit inspect`, instead of a proposed one.")
@click.option("--target", metavar="COL", help="The column that is predicted from the others later on.")
@click.option("--time-budget", default="2m", show_default=True, help="The most time for fitting: 90s, 2m, 1h.")
@click.option("--holes", type=PATH, metavar="MASKS", help="Scans: a folder with a mask for each, not 0 in its holes.")
@click.option(
    "--faithful", is_flag=True, help="Scans: without the critic's sharpening: nearer on average, and smoother."
)
@click.option("--native", is_flag=True, help="Scans: keep their size, instead of the one that the model was fitted to.")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default="auto", show_default=True, help="Scans: of the files."
)
@click.option("--replace", is_flag=True, help="Scans: replace a folder OUT that synthkit wrote.")
@scan_options
@seed_option
@quiet_option
def command(
    data: Source,
    output: Source,
    multiple: int | None,
    point: bool,
    raw: bool,
    model_path: Path | None,
    schema_path: Path | None,
    target: str | None,
    time_budget: str,
    holes: Path | None,
    faithful: bool,
    native: bool,
    format_: str,
    replace: bool,
    seed: int | None,
    quiet: bool,
    reading: ScanOptions,
) -> None:
    """Fill the missing cells of DATA given the observed ones, which come back unchanged; or the holes of scans.

    Cells are drawn from their law, so that a completed table varies as a real one does. One draw hides that cells were
    unknown: for intervals and tests make several tables with --multiple, analyse each and pool the results.

    \b
    synthkit impute people.csv -o complete.csv
    synthkit impute people.csv -o complete.csv --multiple 5 --seed 0
    synthkit impute damaged/ --holes masks/ --model inpaint.synth -o restored
    """
    kind = kind_of(data)
    refuse_options(kind, data, {**SCANS, **READING, **TABLES})
    if kind == "scans" and isinstance(data, Path):
        impute_scans(
            data,
            output,
            model_path,
            reading,
            holes=holes,
            faithful=faithful,
            native=native,
            format=format_,
            replace=replace,
            quiet=quiet,
        )
        return
    from synthkit.io import check_target

    _check_options(multiple, point, model_path, schema_path, target)
    places = targets(output, multiple)
    for place in places:
        check_target(place, inputs=[given for given in (data, model_path, schema_path) if given is not None])

    from synthkit import load
    from synthkit.gan.budget import Budget
    from synthkit.io import read_table
    from synthkit.schema import Schema

    Budget.parse(time_budget)
    schema = None if schema_path is None else Schema.load(schema_path)
    model = None if model_path is None else load(model_path)
    frame = read_table(data)
    gaps = int(frame.isna().to_numpy().sum())
    if not gaps:
        click.echo(f"'{data}' has no missing cells: the output is the same table", err=True)
        _write([frame] * len(places), places)
        return
    if model is None:
        from synthkit.tables.gan import TableGAN

        # what fills cells are the codes and trees grown for each column, not the refinement of whole rows
        model = TableGAN(refine=False, adversary="off", time_budget=time_budget, random_state=seed, verbose=not quiet)
        model.fit(frame, schema=schema, target=target)
        if model.report_.get("interrupted"):
            raise Interrupted("interrupted before there was a model", remedy="Nothing was written.")
    strategy: Any = "mean" if point else "draw"
    tables = model.impute(frame, multiple=len(places), strategy=strategy, refined=not raw, random_state=seed)
    _write(tables, places)
    if not quiet:
        left = int(tables[0].isna().to_numpy().sum())
        filled = f"{gaps - left:,} of {gaps:,} missing cells filled"
        click.echo(f"{filled}, in {len(places)} tables" if len(places) > 1 else filled, err=True)


def _check_options(
    multiple: int | None, point: bool, model_path: Path | None, schema_path: Path | None, target: str | None
) -> None:
    if point and multiple is not None and multiple > 1:
        raise InputError("--point gives the same table every time", remedy="Leave out --multiple, or --point.")
    if model_path is not None and (schema_path is not None or target is not None):
        raise InputError("a model knows its schema and its target", remedy="Leave out --schema and --target.")


def targets(output: Source, multiple: int | None) -> list[Source]:
    """Where the completed tables go: ``people.csv.gz`` becomes ``people-1.csv.gz`` and so on.

    Raises
    ------
    InputError
        Several tables, and the output is the address of a database.
    """
    if multiple is None:
        return [output]
    if not isinstance(output, Path):
        raise InputError("several completed tables are written to files", remedy="Name a file with -o.")
    suffixes = "".join(suffix for suffix in output.suffixes[-2:] if not suffix[1:].isdigit())
    stem = output.name.removesuffix(suffixes)
    return [output.with_name(f"{stem}-{number}{suffixes}") for number in range(1, multiple + 1)]


def _write(tables: list[pd.DataFrame], places: list[Source]) -> None:
    """Write all tables or none."""
    from synthkit.archive import atomic_path
    from synthkit.io import write_table

    if len(places) == 1:
        write_table(tables[0], places[0])
        return
    with ExitStack() as stack:
        for table, place in zip(tables, places, strict=True):
            write_table(table, stack.enter_context(atomic_path(place)) if isinstance(place, Path) else place)
