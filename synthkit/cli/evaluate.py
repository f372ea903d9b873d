"""``synthkit evaluate``: whether a synthetic table is as good as it looks, whoever made it."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from synthkit.cli.common import PATH, quiet_option

# Narrower than this, the columns fall apart; wider, sentences are hard to read.
_NARROWEST = 90
_WIDEST = 120


@click.command()
@click.argument("real_path", metavar="REAL", type=PATH)
@click.argument("synthetic_path", metavar="SYNTHETIC", type=PATH)
@click.option("--test", "test_path", metavar="HOLDOUT", type=PATH, help="Real rows that the generator never saw.")
@click.option("--target", metavar="COL", help="The column that models trained on either table predict.")
@click.option("--json", "json_path", metavar="FILE", type=PATH, help="Write the scores as JSON too.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every draw.")
@quiet_option
def command(
    real_path: Path,
    synthetic_path: Path,
    test_path: Path | None,
    target: str | None,
    json_path: Path | None,
    seed: int,
    quiet: bool,
) -> None:
    """Score SYNTHETIC against REAL, the rows it was made from, with controls that tell how to read each score.

    Without HOLDOUT a fifth of REAL is split off, and the scores of copies say less.

    \b
    synthkit evaluate train.csv synthetic.csv --test holdout.csv --target income --json scores.json
    """
    from synthkit.archive import check_output

    inputs = [real_path, synthetic_path, *([test_path] if test_path else [])]
    if json_path is not None:
        check_output(json_path, inputs=inputs)

    from synthkit.io import read_table

    real, synthetic = read_table(real_path), read_table(synthetic_path)
    test = read_table(test_path) if test_path is not None else None

    from synthkit.archive import atomic_path
    from synthkit.evaluation import evaluate

    evaluation = evaluate(real, synthetic, test=test, target=target, seed=seed)
    if json_path is not None:
        with atomic_path(json_path) as temporary:
            temporary.write_text(evaluation.to_json(), encoding="utf-8")
    if not quiet:
        width = min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size().columns))
        click.echo(evaluation.to_text(width=width), nl=False)
