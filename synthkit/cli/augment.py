"""``synthkit augment``: an experiment that tells whether synthetic rows, or anything simpler, help a model."""

from __future__ import annotations

from pathlib import Path

import click

from synthkit.cli.common import INTERRUPTED, PATH, SOURCE, Source, json_option, query_option, quiet_option
from synthkit.cli.judging import metric_progress, text_width, words


def _names(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """Read names with commas between them; None where the option was left out."""
    if text is None:
        return None
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


@click.command()
@click.argument("data", type=SOURCE)
@query_option
@click.option("--target", required=True, metavar="COL", help="The column that the models predict.")
@click.option(
    "--test", "test_path", metavar="HOLDOUT", type=SOURCE, help="Real rows to judge by; else a fifth of DATA."
)
@click.option(
    "--treatments",
    metavar="NAMES",
    callback=_names,
    help="Of none, weights, oversampling, smote-nc, adasyn, tablegan-balance, tablegan-augment, with commas.  "
    "[default: all that apply]",
)
@click.option("--models", metavar="NAMES", callback=_names, help="Of linear, forest, boosted.  [default: all]")
@click.option("--repeats", type=click.IntRange(min=2), default=5, show_default=True, help="Random splits.")
@click.option("--metric", metavar="NAME", help="What decides.  [default: average_precision, or r2 for a number]")
@click.option(
    "--precision",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Share of alarms that must be right where recall is measured.",
)
@click.option(
    "--max-rows", type=click.IntRange(min=50), default=50_000, show_default=True, help="Most rows that are used."
)
@click.option("--time-budget", default="1m", show_default=True, help="The most time for each fit of TableGAN.")
@click.option(
    "--report", "report", metavar="FILE", type=PATH, help="Write a report: .html, .md or .json, by its suffix."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every draw.")
@json_option
@quiet_option
def command(
    data: Source,
    target: str,
    test_path: Source | None,
    treatments: tuple[str, ...] | None,
    models: tuple[str, ...] | None,
    repeats: int,
    metric: str | None,
    precision: float,
    max_rows: int,
    time_budget: str,
    report: Path | None,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Find out whether class weights, over-sampling, SMOTE or synthetic rows help models to predict a column of DATA.

    Every treatment sees training rows only; all are judged on the same real rows. Recommended is the simplest treatment
    that is not significantly worse than the best, which may be to do nothing. Ctrl-C keeps the repeats that are done.

    \b
    synthkit augment people.csv --target income
    synthkit augment people.csv --target income --test holdout.csv --treatments weights,smote-nc,tablegan-balance
    """
    inputs: dict[str, Source] = {"table": data} | ({"test": test_path} if test_path is not None else {})
    if report is not None:
        from synthkit.cli.judging import check_outputs

        check_outputs([report], None, list(inputs.values()))

    import dataclasses

    from synthkit.balance.augment import augment
    from synthkit.evaluation.provenance import describe_run
    from synthkit.io import read_table

    origin = describe_run(words(), inputs, seed=seed)  # before anything is read: what changes meanwhile differs
    tables = {part: read_table(path) for part, path in inputs.items()}
    with metric_progress(quiet=quiet, doing="augment") as progress:
        result = augment(
            tables["table"],
            target,
            test=tables.get("test"),
            treatments=treatments,
            models=models,
            repeats=repeats,
            metric=metric,
            precision=precision,
            max_rows=max_rows,
            time_budget=time_budget,
            random_state=seed,
            progress=progress,
        )
    result = dataclasses.replace(result, provenance=origin)
    if report is not None:
        from synthkit.balance.augment_report import write_report

        write_report(result, report)
    if as_json:
        click.echo(result.to_json(), nl=False)
    else:
        click.echo(result.to_text(width=text_width()), nl=False)
    return INTERRUPTED if result.interrupted else 0
