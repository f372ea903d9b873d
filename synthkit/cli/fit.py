"""``synthkit fit``: from a table to a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from synthkit.cli.budget import BudgetOptions, budget_options, ledger_option, noise_option
from synthkit.cli.common import (
    INTERRUPTED,
    PATH,
    SOURCE,
    Interrupted,
    Source,
    device_option,
    print_facts,
    query_option,
    quiet_option,
    seed_option,
)
from synthkit.tables.showing import summary


@click.command()
@click.argument("data", type=SOURCE)
@query_option
@click.option("-o", "--output", "output", type=PATH, required=True, metavar="MODEL", help="The model file to write.")
@click.option("--schema", "schema_path", type=PATH, help="A schema from `synthkit inspect`, instead of a proposed one.")
@click.option("--target", metavar="COL", help="The column that will be predicted from the others.")
@click.option("--time-budget", default="2m", show_default=True, help="The most time to take: 90s, 2m, 1h.")
@click.option(
    "--loss",
    type=click.Choice(["relativistic", "wgan-gp", "wgan", "vanilla"]),
    default="relativistic",
    show_default=True,
    help="What the adversary is trained with.",
)
@click.option(
    "--generator",
    type=click.Choice(["codes", "network"]),
    default="codes",
    show_default=True,
    help="Latent codes, or the classical conditional GAN from noise.",
)
@click.option(
    "--adversary",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Whether a critic challenges the generator; auto keeps it only where it helps.",
)
@click.option("--no-refine", is_flag=True, help="Leave out the reweighting by boosted trees.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of an interrupted fit.")
@click.option("--log", "log", type=PATH, help="Write figures here while training, one JSON object per line.")
@budget_options
@ledger_option
@noise_option
@device_option
@seed_option
@quiet_option
def command(
    data: Source,
    output: Path,
    schema_path: Path | None,
    target: str | None,
    time_budget: str,
    loss: Literal["relativistic", "wgan-gp", "wgan", "vanilla"],
    generator: Literal["codes", "network"],
    adversary: Literal["auto", "on", "off"],
    no_refine: bool,
    resume: bool,
    log: Path | None,
    ledger: Path | None,
    reproducible_noise: int | None,
    device: str,
    seed: int | None,
    quiet: bool,
    asked: BudgetOptions,
) -> int:
    """Fit a generator to the table DATA and write it to a model file.

    Ctrl-C stops early and keeps the best so far. After a crash or a kill, the same command with --resume goes on where
    the last checkpoint was taken; it lies beside the output as MODEL.checkpoint until the model is written.

    \b
    synthkit fit people.csv -o people.synth --target income
    synthkit fit people.csv -o people.synth --schema declared.yaml --epsilon 1 --delta 1e-6

    With --epsilon the fit keeps differential privacy: the schema must be declared, and noise never depends on the seed.
    """
    from synthkit.archive import check_output

    checkpoint = output.with_name(output.name + ".checkpoint")
    inputs = [data, *([schema_path] if schema_path else [])]
    for place in (output, checkpoint, *([log] if log else []), *([ledger] if ledger else [])):
        check_output(place, inputs=inputs)

    from synthkit.gan.budget import Budget
    from synthkit.io import read_table
    from synthkit.schema import Schema

    Budget.parse(time_budget)
    schema = Schema.load(schema_path) if schema_path else None
    budget = asked.budget()
    if budget is not None:
        schema = asked.declared(schema)

    from synthkit.tables.gan import TableGAN

    model = TableGAN(
        generator=generator,
        loss=loss,
        adversary=adversary,
        refine=not no_refine,
        time_budget=time_budget,
        random_state=seed,
        device=device,
        privacy=budget,
        privacy_engine=asked.engine or "auto",  # type: ignore[arg-type]
        buy=asked.buy,
        ledger=ledger,
        reproducible_noise=reproducible_noise,
        verbose=not quiet,
        log=log,
    )
    if budget is not None:
        from synthkit.tables.private import check_private

        check_private(model.get_params(), schema)  # before anything is read
    frame = read_table(data)
    try:
        model.fit(frame, schema=schema, target=target, checkpoint=checkpoint, resume=resume)
    except KeyboardInterrupt as error:
        kept = (
            f"The checkpoint '{checkpoint}' is kept: go on with --resume."
            if checkpoint.exists()
            else "Nothing was written."
        )
        raise Interrupted("interrupted before there was a model", remedy=kept) from error
    model.save(output)
    checkpoint.unlink(missing_ok=True)
    if not quiet:
        print_facts({"model": output, **summary(model.report_)})
    return INTERRUPTED if model.report_.get("interrupted") else 0
