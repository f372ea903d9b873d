"""``synthkit sample``: synthetic rows or scans from a model file."""

from __future__ import annotations

from pathlib import Path

import click

from synthkit.cli.common import PATH, Source, output_option, quiet_option, row_progress, seed_option, where_option
from synthkit.cli.expression_sample import sample_cells
from synthkit.cli.kinds import kind_of_model, refuse_options
from synthkit.cli.scan_sample import FORMATS, SCANS, TABLES, sample_scans
from synthkit.errors import ModelFileError


@click.command()
@click.argument("model_path", metavar="MODEL", type=PATH)
@click.option("-n", "--rows", "rows", type=click.IntRange(min=1), required=True, help="How many rows, scans or cells.")
@output_option
@where_option
@click.option("--raw", is_flag=True, help="Leave out the refinement: faster, a little easier to tell from real rows.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="Scans: of the files; auto is what the model was fitted to.",
)
@click.option(
    "--transfer-syntax",
    type=click.Choice(["explicit", "rle", "jpeg2000"]),
    help="Scans: compression of DICOM, always lossless.  [default: explicit, which is none]",
)
@click.option("--replace", is_flag=True, help="Scans, gene expression: replace a folder OUT that synthkit wrote.")
@seed_option
@quiet_option
def command(
    model_path: Path,
    rows: int,
    output: Source,
    conditions: tuple[str, ...],
    raw: bool,
    format_: str,
    transfer_syntax: str | None,
    replace: bool,
    seed: int | None,
    quiet: bool,
) -> None:
    """Draw synthetic rows from MODEL into a table, in batches, so that memory stays flat; or scans into a folder.

    Of gene expression, cells go into .h5ad, .zarr, a table, or a folder as 10x writes it.

    All rows satisfy the constraints of the model's schema; how many were left out for that is told at the end.

    \b
    synthkit sample people.synth -n 10000 -o rich.csv --where 'income=>50K' --where 'age=30..40'
    synthkit sample people.synth -n 10000 --to 'postgresql://me@host/db?table=synthetic'
    synthkit sample chest.synth -n 200 -o out --where label=pneumonia --format dicom
    synthkit sample pbmc.synth -n 500 -o rare.h5ad --where cell_type=pDC --where library_size=5000
    """
    try:
        kind = kind_of_model(model_path)
    except ModelFileError:
        # a folder is for scans, and these are for cells
        if not isinstance(output, Path) or output.suffix.lower() not in ("", ".h5ad", ".zarr"):
            _check_table(output, model_path)
        raise
    other = {**SCANS, **TABLES}
    if kind == "expression":
        del other["replace"]
    refuse_options(kind, model_path, other)
    if kind == "expression":
        sample_cells(model_path, rows, output, conditions, replace=replace, seed=seed, quiet=quiet)
        return
    if kind == "scans":
        sample_scans(
            model_path,
            rows,
            output,
            conditions,
            format=format_,
            transfer_syntax=transfer_syntax,
            replace=replace,
            seed=seed,
            quiet=quiet,
        )
        return
    _sample_table(model_path, rows, output, conditions, raw=raw, seed=seed, quiet=quiet)


def _check_table(output: Source, model_path: Path) -> None:
    """Refuse a table that cannot be written, which is told before anything of the model is."""
    from synthkit.io import check_target

    check_target(output, inputs=[model_path])


def _sample_table(
    model_path: Path,
    rows: int,
    output: Source,
    conditions: tuple[str, ...],
    *,
    raw: bool,
    seed: int | None,
    quiet: bool,
) -> None:
    _check_table(output, model_path)

    from synthkit import load
    from synthkit.cli.where import parse_conditions
    from synthkit.io import TableWriter
    from synthkit.schema import Schema

    model = load(model_path)
    where = parse_conditions(conditions, model.schema_) or None
    written = Schema(tuple(column for column in model.schema_ if column.type != "text"))  # free text is never generated
    with TableWriter(output, written) as writer, row_progress(rows, quiet=quiet) as advance:
        for batch in model.iter_sample(rows, where=where, random_state=seed, refined=not raw):
            writer.write(batch)
            advance(batch.num_rows)
    if model.schema_.constraints and not quiet:
        click.echo(f"{model.acceptance_.describe()}.", err=True)
