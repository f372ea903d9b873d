"""``synthkit fit``: from a table or scans to a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

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
from synthkit.cli.expression_fit import CELLS, MODELS, SHARED, ExpressionFitOptions, fit_cells
from synthkit.cli.expression_options import EXPRESSION, ExpressionOptions, expression_options, kind_of_input
from synthkit.cli.kinds import given, refuse_options
from synthkit.cli.scan_fit import RECIPES, SCANS, TABLES, ScanFitOptions, fit_scans
from synthkit.cli.scan_options import SCANS as READING
from synthkit.cli.scan_options import ScanOptions, scan_options
from synthkit.errors import InputError, unknown_name

Loss = Literal["relativistic", "wgan-gp", "wgan", "vanilla"]
_TABLE_LOSSES = ("relativistic", "wgan-gp", "wgan", "vanilla")
_TIME = {"table": "2m", "scans": "10m", "expression": "5m"}


@click.command()
@click.argument("data", type=SOURCE)
@query_option
@click.option("-o", "--output", "output", type=PATH, required=True, metavar="MODEL", help="The model file to write.")
@click.option("--schema", "schema_path", type=PATH, help="A schema from `synthkit inspect`, instead of a proposed one.")
@click.option("--target", metavar="COL", help="The column that will be predicted from the others.")
@click.option(
    "--time-budget", help="The most time: 90s, 2m, 1h.  [default: 2m for a table, 10m for scans, 5m for expression]"
)
@click.option(
    "--loss",
    type=click.Choice([*_TABLE_LOSSES, "hinge", "least-squares"]),
    help="What the adversary is trained with.  [default: relativistic; for scans that of the recipe, for gene "
    "expression wgan-gp]",
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
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="r3",
    show_default=True,
    help="Scans: which GAN. " + "; ".join(f"{name}: {text}" for name, text in RECIPES.items()) + ".",
)
@click.option(
    "--size",
    default="auto",
    show_default=True,
    metavar="SIZE",
    help="Scans: samples along each axis (64, 128x96, 40x56x40), native, or auto: native up to 128 (volumes 64).",
)
@click.option(
    "--window",
    "--intensity",
    "window",
    metavar="LOW..HIGH",
    help="Scans: smallest and largest value that is learned, in real units, such as -1024..3071.",
)
@click.option("--into", type=PATH, metavar="TARGET", help="Scans: what to translate into, for the recipe cyclegan.")
@click.option("--paired", is_flag=True, help="Scans: DATA and TARGET show the same, scan by scan.")
@click.option(
    "--factor", type=click.IntRange(min=2), default=2, show_default=True, help="Scans: of super-resolution (srgan)."
)
@click.option("--class-balance", is_flag=True, help="Scans: see every class equally often in training.")
@click.option("--flip", is_flag=True, help="Scans: mirror left and right in training; never where laterality matters.")
@click.option("--steps", type=click.IntRange(min=1), help="Scans, gene expression: length of the game.")
@click.option(
    "--batch",
    "step_batch",
    metavar="N|COL",
    help="Scans: how many for each step, instead of the recipe's. Gene expression: the column of batches.",
)
@click.option("--widths", metavar="128,64,32", help="Scans: channels of the networks from coarse to fine.")
@click.option("--pictures", type=PATH, metavar="FOLDER", help="Scans: put a grid of drawn scans here while training.")
@click.option(
    "--classes",
    metavar="a=100,b=200",
    help="Scans and gene expression, with --epsilon: the declared classes, with the public number of patients (cells) "
    "of each, or without: a,b.",
)
@click.option(
    "--model",
    "model_name",
    type=click.Choice(list(MODELS)),
    default="auto",
    show_default=True,
    help="Gene expression: " + "; ".join(f"{name}: {text}" for name, text in MODELS.items()) + ".",
)
@click.option("--label", multiple=True, metavar="COL", help="Gene expression: a column with the types of cells.")
@click.option("--donor", metavar="COL", help="Gene expression: the column that names the person of each cell.")
@click.option("--covariate", "covariates", multiple=True, metavar="COL", help="Gene expression: a column of numbers.")
@click.option(
    "--genes", default="all", show_default=True, metavar="all|hvg:N", help="Gene expression: all, or the most variable."
)
@click.option(
    "--fewest-cells", type=click.IntRange(min=1), help="Gene expression: cells that a type must have.  [default: 3]"
)
@click.option("--factors", type=click.IntRange(min=1), help="Gene expression: latent dimensions of cwgan.")
@click.option(
    "--loadings",
    metavar="PUBLIC",
    help="Gene expression, with --epsilon: public directions: a GMT file, a table, a public .h5ad, or random:32.",
)
@scan_options
@expression_options
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
    time_budget: str | None,
    loss: str | None,
    generator: Literal["codes", "network"],
    adversary: Literal["auto", "on", "off"],
    no_refine: bool,
    resume: bool,
    log: Path | None,
    recipe: str,
    size: str,
    window: str | None,
    into: Path | None,
    paired: bool,
    factor: int,
    class_balance: bool,
    flip: bool,
    steps: int | None,
    step_batch: str | None,
    widths: str | None,
    pictures: Path | None,
    classes: str | None,
    model_name: str,
    label: tuple[str, ...],
    donor: str | None,
    covariates: tuple[str, ...],
    genes: str,
    fewest_cells: int | None,
    factors: int | None,
    loadings: str | None,
    ledger: Path | None,
    reproducible_noise: int | None,
    device: str,
    seed: int | None,
    quiet: bool,
    asked: BudgetOptions,
    reading: ScanOptions,
    expression: ExpressionOptions,
) -> int:
    """Fit a generator to the table, the scans or the gene expression in DATA and write it to a model file.

    Ctrl-C stops early and keeps the best so far. After a crash or a kill, the same command with --resume goes on where
    the last checkpoint was taken; it lies beside the output as MODEL.checkpoint until the model is written.

    \b
    synthkit fit people.csv -o people.synth --target income
    synthkit fit people.csv -o people.synth --schema declared.yaml --epsilon 1 --delta 1e-6
    synthkit fit chest/ -o chest.synth --size 64 --time-budget 1h
    synthkit fit pbmc.h5ad -o pbmc.synth --label cell_type --batch donor

    With --epsilon the fit keeps differential privacy: the schema (of scans --size, --window, --classes and --records)
    must be declared, and noise never depends on the seed.

    Options that begin with "Scans:" are for a folder of DICOM, NIfTI or pictures, or an .npz file; those of gene
    expression for .h5ad, .zarr and what 10x writes, or a CSV with --measure.
    """
    kind = kind_of_input(data)
    other = {**TABLES, **SCANS, **READING, **CELLS, **EXPRESSION}
    refuse_options(kind, data, {name: of for name, of in other.items() if kind != "expression" or name not in SHARED})
    budgeted = time_budget or _TIME[kind]
    if kind == "expression":
        if loss is not None and loss not in _TABLE_LOSSES:
            raise InputError(f"for gene expression, {unknown_name('loss', loss, _TABLE_LOSSES)}", remedy="Choose one.")
        cells = ExpressionFitOptions(
            model=model_name,
            label=label,
            batch=step_batch,
            donor=donor,
            covariates=covariates,
            genes=genes,
            fewest_cells=fewest_cells,
            factors=factors,
            loadings=loadings,
            classes=classes,
            loss=loss,
            steps=steps,
            time_budget=budgeted,
            resume=resume,
            log=log,
            ledger=ledger,
            reproducible_noise=reproducible_noise,
            device=device if given("device") else "auto",
            seed=seed,
            quiet=quiet,
        )
        return fit_cells(Path(str(data)), output, expression, asked, cells)
    if kind == "scans":
        options = ScanFitOptions(
            recipe=recipe,
            size=size,
            window=window,
            into=into,
            paired=paired,
            factor=factor,
            class_balance=class_balance,
            flip=flip,
            steps=steps,
            batch=None if step_batch is None else _whole_batch(step_batch),
            widths=widths,
            pictures=pictures,
            classes=classes,
            loss=loss,
            time_budget=budgeted,
            resume=resume,
            log=log,
            ledger=ledger,
            reproducible_noise=reproducible_noise,
            device=device if given("device") else "auto",
            seed=seed,
            quiet=quiet,
        )
        return fit_scans(Path(str(data)), output, reading, asked, options)
    if loss is not None and loss not in _TABLE_LOSSES:
        raise InputError(f"for tables, {unknown_name('loss', loss, _TABLE_LOSSES)}", remedy="Choose one of them.")
    return _fit_table(
        data,
        output,
        schema_path=schema_path,
        target=target,
        time_budget=budgeted,
        loss=cast("Loss", loss or "relativistic"),
        generator=generator,
        adversary=adversary,
        no_refine=no_refine,
        resume=resume,
        log=log,
        ledger=ledger,
        reproducible_noise=reproducible_noise,
        device=device,
        seed=seed,
        quiet=quiet,
        asked=asked,
    )


def _whole_batch(text: str) -> int:
    if not text.isdigit() or int(text) < 2:
        raise InputError(
            f"--batch is {text!r}, expected a whole number from 2 for scans", remedy="Give for example 64."
        )
    return int(text)


def _fit_table(
    data: Source,
    output: Path,
    *,
    schema_path: Path | None,
    target: str | None,
    time_budget: str,
    loss: Loss,
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
    from synthkit.archive import check_output

    checkpoint = output.with_name(output.name + ".checkpoint")
    inputs = [data, *([schema_path] if schema_path else [])]
    for place in (output, checkpoint, *([log] if log else []), *([ledger] if ledger else [])):
        check_output(place, inputs=inputs)

    from synthkit.gan.budget import Budget
    from synthkit.io import read_table
    from synthkit.schema import Schema
    from synthkit.tables.showing import summary

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
