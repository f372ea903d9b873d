"""``synthkit sample``: synthetic rows from a model file."""

from __future__ import annotations

from pathlib import Path

import click

from synthkit.cli.common import PATH, Source, output_option, quiet_option, row_progress, seed_option, where_option


@click.command()
@click.argument("model_path", metavar="MODEL", type=PATH)
@click.option("-n", "--rows", "rows", type=click.IntRange(min=1), required=True, help="How many rows.")
@output_option
@where_option
@click.option("--raw", is_flag=True, help="Leave out the refinement: faster, a little easier to tell from real rows.")
@seed_option
@quiet_option
def command(
    model_path: Path, rows: int, output: Source, conditions: tuple[str, ...], raw: bool, seed: int | None, quiet: bool
) -> None:
    """Draw synthetic rows from MODEL into a table, in batches, so that memory stays flat.

    All rows satisfy the constraints of the model's schema; how many were left out for that is told at the end.

    \b
    synthkit sample people.synth -n 10000 -o rich.csv --where 'income=>50K' --where 'age=30..40'
    synthkit sample people.synth -n 10000 --to 'postgresql://me@host/db?table=synthetic'
    """
    from synthkit.io import TableWriter, check_target

    check_target(output, inputs=[model_path])  # what cannot be written is told before the model is read

    from synthkit import load
    from synthkit.cli.where import parse_conditions
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
