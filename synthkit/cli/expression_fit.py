"""What ``synthkit fit`` does with gene expression."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthkit.cli.common import INTERRUPTED, Interrupted, print_facts

if TYPE_CHECKING:
    from synthkit.cli.budget import BudgetOptions
    from synthkit.cli.expression_options import ExpressionOptions

CELLS: dict[str, str] = dict.fromkeys(
    ("model_name", "label", "donor", "covariates", "genes", "fewest_cells", "factors", "loadings"), "expression"
)
"""Parameters of ``fit`` beside those of reading that are for gene expression, for `refuse_options`."""
SHARED = ("steps", "classes", "step_batch")
"""Parameters that are for scans and for gene expression."""
MODELS: dict[str, str] = {
    "auto": "the nearest to cells set aside",
    "cwgan": "conditional WGAN-GP in latent coordinates",
    "wgan-gp-genes": "conditional WGAN-GP on genes, as published",
    "nb": "negative binomial for each gene",
    "copula": "low-rank Gaussian copula",
    "mvn": "multivariate normal of logarithms",
}


@dataclass(frozen=True)
class ExpressionFitOptions:
    """What the command line says about a fit of gene expression."""

    model: str
    label: tuple[str, ...]
    batch: str | None
    donor: str | None
    covariates: tuple[str, ...]
    genes: str
    fewest_cells: int | None
    factors: int | None
    loadings: str | None
    classes: str | None
    loss: str | None
    steps: int | None
    time_budget: str
    resume: bool
    log: Path | None
    ledger: Path | None
    reproducible_noise: int | None
    device: str
    seed: int | None
    quiet: bool


def fit_cells(
    data: Path, output: Path, reading: ExpressionOptions, asked: BudgetOptions, options: ExpressionFitOptions
) -> int:
    """Fit a generator to cells, write the model file and say what was done.

    Returns
    -------
    int
        Exit code: 0, or 130 when the fit was interrupted and kept what it had.
    """
    from synthkit.archive import check_output

    checkpoint = output.with_name(output.name + ".checkpoint")
    for place in (output, checkpoint, *(one for one in (options.log, options.ledger) if one is not None)):
        check_output(place, inputs=[data])

    from synthkit.cli.scan_fit import parse_classes
    from synthkit.expression.estimation import check_settings
    from synthkit.expression.gan import ExpressionGAN
    from synthkit.expression.showing import summary
    from synthkit.gan.budget import Budget

    budget = asked.budget()
    model = ExpressionGAN(
        options.model,
        factors="auto" if options.factors is None else options.factors,
        loss=options.loss or "wgan-gp",
        genes=options.genes,
        **({} if options.fewest_cells is None else {"fewest_cells": options.fewest_cells}),
        steps="auto" if options.steps is None else options.steps,
        time_budget=options.time_budget,
        random_state=options.seed,
        device=options.device,
        privacy=budget,
        loadings=options.loadings,
        classes=None if options.classes is None else parse_classes(options.classes),
        records=asked.records,
        ledger=options.ledger,
        reproducible_noise=options.reproducible_noise,
        verbose=not options.quiet,
        log=options.log,
    )
    check_settings(model.get_params(deep=False))  # a wrong setting is told before anything is read
    Budget.parse(options.time_budget)
    if budget is not None and reading.measure == "auto":
        reading = replace(reading, measure="counts")  # it must not be told from private values
    cells = reading.read(data, quiet=options.quiet)
    try:
        model.fit(
            cells,
            label=options.label or None,
            batch=options.batch,
            donor=options.donor,
            covariates=options.covariates,
            checkpoint=None if budget else checkpoint,
            resume=options.resume,
        )
    except KeyboardInterrupt as error:
        kept = (
            f"The checkpoint '{checkpoint}' is kept: go on with --resume."
            if checkpoint.exists()
            else "Nothing was written."
        )
        raise Interrupted("interrupted before there was a model", remedy=kept) from error
    model.save(output)
    interrupted = bool(model.report_.get("interrupted"))
    if not interrupted:
        checkpoint.unlink(missing_ok=True)
    if not options.quiet:
        print_facts({"model": output, **summary({**model.report_, "model": model.model_})})
        if interrupted and checkpoint.exists():
            click.echo(f"interrupted: the model is as far as it came; --resume goes on from '{checkpoint}'.", err=True)
    return INTERRUPTED if interrupted else 0
