"""``synthkit sample``: synthetic rows from a model file."""

from __future__ import annotations

from pathlib import Path

import click

from synthkit.cli.common import PATH, quiet_option, row_progress, seed_option, where_option


@click.command()
@click.argument("model_path", metavar="MODEL", type=PATH)
@click.option("-n", "--rows", "rows", type=click.IntRange(min=1), required=True, help="How many rows.")
@click.option("-o", "--output", "output", type=PATH, required=True, metavar="OUT", help="CSV, Parquet or Feather file.")
@where_option
@click.option("--raw", is_flag=True, help="Leave out the refinement: faster, a little easier to tell from real rows.")
@seed_option
@quiet_option
def command(
    model_path: Path, rows: int, output: Path, conditions: tuple[str, ...], raw: bool, seed: int | None, quiet: bool
) -> None:
    """Draw synthetic rows from MODEL into a table, in batches, so that memory stays flat.

    \b
    synthkit sample people.synth -n 10000 -o rich.csv --where 'income=>50K' --where 'age=30..40'
    """
    from synthkit.archive import check_output

    check_output(output, inputs=[model_path])

    from synthkit import load
    from synthkit.cli.where import parse_conditions
    from synthkit.io import TableWriter, table_format
    from synthkit.schema import Schema

    table_format(output)  # an unknown suffix is told before the model is read
    model = load(model_path)
    where = parse_conditions(conditions, model.schema_) or None
    written = Schema(tuple(column for column in model.schema_ if column.type != "text"))  # free text is never generated
    with TableWriter(output, written) as writer, row_progress(rows, quiet=quiet) as advance:
        for batch in model.iter_sample(rows, where=where, random_state=seed, refined=not raw):
            writer.write(batch)
            advance(batch.num_rows)
