"""What ``synthkit fit`` does with scans."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthkit.cli.common import INTERRUPTED, Interrupted, print_facts
from synthkit.errors import InputError

if TYPE_CHECKING:
    from synthkit.cli.budget import BudgetOptions
    from synthkit.cli.scan_options import ScanOptions

# what the verb has for scans alone, and for tables alone; names of its parameters
SCANS: dict[str, str] = dict.fromkeys(
    (
        "recipe",
        "size",
        "window",
        "into",
        "paired",
        "factor",
        "class_balance",
        "flip",
        "steps",
        "step_batch",
        "widths",
        "pictures",
        "classes",
    ),
    "scans",
)
TABLES: dict[str, str] = dict.fromkeys(
    ("query", "schema_path", "target", "generator", "adversary", "no_refine", "buy"), "table"
)

RECIPES: dict[str, str] = {
    "r3": "relativistic pairs with R1 and R2",
    "stylegan": "styles and adaptive changes",
    "sagan": "self-attention and spectral norm",
    "wgan-gp": "Wasserstein, gradient penalty",
    "wgan": "Wasserstein, clipped weights",
    "lapgan": "detail by detail",
    "dcgan": "plain convolutions, no classes",
    "cgan": "plain convolutions with classes",
    "vanilla": "the first GAN, no classes",
    "srgan": "super-resolution",
    "cyclegan": "translation, with --into",
    "inpaint": "fills holes",
    "fanogan": "anomaly scores; fit it to normal scans",
}


@dataclass(frozen=True)
class ScanFitOptions:
    """What the command line says about a fit of scans."""

    recipe: str
    size: str
    window: str | None
    into: Path | None
    paired: bool
    factor: int
    class_balance: bool
    flip: bool
    steps: int | None
    batch: int | None
    widths: str | None
    pictures: Path | None
    classes: str | None
    loss: str | None
    time_budget: str
    resume: bool
    log: Path | None
    ledger: Path | None
    reproducible_noise: int | None
    device: str
    seed: int | None
    quiet: bool


def fit_scans(data: Path, output: Path, reading: ScanOptions, asked: BudgetOptions, options: ScanFitOptions) -> int:
    """Fit a generator to scans, write the model file and say what was done.

    Returns
    -------
    int
        Exit code: 0, or 130 when the fit was interrupted and kept what it had.
    """
    from synthkit.archive import check_output

    checkpoint = output.with_name(output.name + ".checkpoint")
    places = (output, checkpoint, *(place for place in (options.log, options.ledger) if place is not None))
    for place in places:
        check_output(place, inputs=[data, *([options.into] if options.into else [])])

    from synthkit.cli.scan_options import asked_size, told_report
    from synthkit.scans.gan import ScanGAN
    from synthkit.scans.plan import ScanPlan, parse_size, parse_window

    size = parse_size(options.size)
    budget = asked.budget()
    model = ScanGAN(
        options.recipe,
        size=size,
        window=None if options.window is None else parse_window(options.window),
        loss=options.loss,
        class_balance=options.class_balance,
        flip=options.flip,
        factor=options.factor,
        paired=options.paired,
        steps="auto" if options.steps is None else options.steps,
        batch="auto" if options.batch is None else options.batch,
        widths=None if options.widths is None else _widths(options.widths),
        time_budget=options.time_budget,
        random_state=options.seed,
        device=options.device,
        privacy=budget,
        privacy_engine=asked.engine or "auto",  # type: ignore[arg-type]
        classes=None if options.classes is None else parse_classes(options.classes),
        records=asked.records,
        ledger=options.ledger,
        reproducible_noise=options.reproducible_noise,
        pictures=options.pictures,
        verbose=not options.quiet,
        log=options.log,
    )
    ScanPlan.of(model.get_params(deep=False))  # a wrong setting is told before anything is read
    if options.into is None and options.recipe == "cyclegan":
        raise InputError("the recipe cyclegan translates scans", remedy="Say into which with --into TARGET.")
    more: dict[str, Any] = {}
    if budget is not None:
        from synthkit.scans.private_fit import check_private

        check_private(model.get_params(deep=False))  # before anything is read
    scans = reading.read(data, size=asked_size(size), quiet=options.quiet)
    if options.into is not None:
        more["target"] = reading.read(options.into, size=scans.size, quiet=options.quiet)
    try:
        model.fit(scans, checkpoint=None if budget else checkpoint, resume=options.resume, **more)
    except KeyboardInterrupt as error:
        kept = (
            f"The checkpoint '{checkpoint}' is kept: go on with --resume."
            if checkpoint.exists()
            else "Nothing was written."
        )
        raise Interrupted("interrupted before there was a model", remedy=kept) from error
    model.read_as(data)
    model.save(output)
    interrupted = bool(model.report_.get("interrupted"))
    if not interrupted:
        checkpoint.unlink(missing_ok=True)
    if not options.quiet:
        print_facts({"model": output, **told_report(model.report_)})
        if interrupted and checkpoint.exists():
            click.echo(f"interrupted: the model is as far as it came; --resume goes on from '{checkpoint}'.", err=True)
    return INTERRUPTED if interrupted else 0


def parse_classes(text: str) -> dict[str, int] | tuple[str, ...]:
    """Read declared classes, ``a=100,b=200`` or ``a,b``.

    Raises
    ------
    InputError
        If the text is of neither form, or names a class twice.
    """
    parts = [part.strip() for part in text.split(",")]
    names = [part.rpartition("=")[0].strip() or part for part in parts]
    counts = [part.rpartition("=")[2].strip() for part in parts if "=" in part]
    counted = len(counts) == len(parts) and all(count.isdigit() for count in counts)
    if not all(names) or (counts and not counted):
        raise InputError(f"--classes {text!r} is not a list of classes", remedy="Write a=100,b=200, or a,b.")
    if len(set(names)) < len(names):
        raise InputError(f"--classes {text!r} names a class twice", remedy="Name each class once.")
    return dict(zip(names, map(int, counts), strict=True)) if counts else tuple(names)


def _widths(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdigit() for part in parts):
        raise InputError(f"--widths {text!r} is not a list of numbers", remedy="Write 128,64,32.")
    return tuple(int(part) for part in parts)
