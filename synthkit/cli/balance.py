"""``synthkit balance``: synthetic rows or scans until the classes have the wanted sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from synthkit.cli.common import (
    PATH,
    SOURCE,
    Source,
    json_option,
    output_option,
    query_option,
    quiet_option,
    seed_option,
)
from synthkit.cli.expression_options import EXPRESSION, ExpressionOptions, expression_options, kind_of_input
from synthkit.cli.expression_sample import BALANCE, balance_cells
from synthkit.cli.kinds import refuse_options
from synthkit.cli.scan_balance import SCANS, TABLES, balance_scans
from synthkit.cli.scan_options import SCANS as READING
from synthkit.cli.scan_options import ScanOptions, scan_options
from synthkit.cli.scan_sample import FORMATS, folder_of
from synthkit.errors import InputError, SchemaError, unknown_name

_COUNT = re.compile(r"\s*(.+?)\s*=\s*(\d+)\s*(?:,|$)", re.DOTALL)


@click.command()
@click.argument("data", type=SOURCE)
@query_option
@click.option("--target", metavar="COL", help="The column whose classes are balanced; needed for a table.")
@output_option
@click.option(
    "--ratio", type=click.FloatRange(0, 1, min_open=True), help="Size of every class against the largest; 1.0."
)
@click.option("--counts", metavar="a=100,b=200", help="Rows of each class in the output, instead of a ratio.")
@click.option(
    "--quantiles", metavar="0.1,0.9", help="Cut a numeric target here, and balance the ranges as if they were classes."
)
@click.option("--model", "model_path", type=PATH, help="A model of the same table; one is fitted when left out.")
@click.option("--schema", "schema_path", type=PATH, help="A schema from `synthkit inspect`, instead of a proposed one.")
@click.option(
    "--time-budget",
    help="The most time for a fit: 90s, 1h.  [default: 2m for a table, 10m for scans, 5m for expression]",
)
@click.option(
    "--smallest",
    type=click.IntRange(min=2),
    default=50,
    show_default=True,
    help="Classes of fewer real rows are interpolated between neighbours.",
)
@click.option(
    "--rejection",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.2,
    show_default=True,
    help="New rows are rejected that are less like their class than this share of its real rows; 0 for none.",
)
@click.option("--mark", metavar="COLUMN", help="Add a column that says which rows are synthetic.")
@click.option(
    "--save-model", type=PATH, metavar="MODEL", help="Scans, gene expression: keep the model that is fitted here."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="Scans: of the files; auto is that of DATA.",
)
@click.option("--replace", is_flag=True, help="Scans, gene expression: replace a folder OUT that synthkit wrote.")
@click.option("--label", multiple=True, metavar="COL", help="Gene expression: the column whose classes are balanced.")
@scan_options
@expression_options
@json_option
@seed_option
@quiet_option
def command(
    data: Source,
    target: str | None,
    output: Source,
    ratio: float | None,
    counts: str | None,
    quantiles: str | None,
    model_path: Path | None,
    schema_path: Path | None,
    time_budget: str | None,
    smallest: int,
    rejection: float,
    mark: str | None,
    save_model: Path | None,
    format_: str,
    replace: bool,
    label: tuple[str, ...],
    as_json: bool,
    seed: int | None,
    quiet: bool,
    reading: ScanOptions,
    expression: ExpressionOptions,
) -> None:
    """Bring the classes of a column of DATA to a ratio. Real rows come first and stay untouched.

    Of scans, the synthetic ones that the classes lack are written into a new folder, and the real ones stay in theirs.

    New rows start at real ones of their class and move under the law of the model. Rows that a classifier finds unlike
    their class, and copies of real rows, are rejected and drawn again.

    \b
    synthkit balance people.csv --target income -o balanced.csv
    synthkit balance people.csv --target income -o balanced.csv --counts '<=50K=30000,>50K=20000'
    synthkit balance air.csv --target pm25 -o balanced.csv --quantiles 0.1,0.9
    synthkit balance chest/ -o added --model chest.synth
    synthkit balance pbmc.h5ad -o balanced.h5ad --label cell_type --ratio 0.2
    """
    kind = kind_of_input(data)
    other = {**TABLES, **SCANS, **READING, **BALANCE, **EXPRESSION}
    shared = ("replace", "save_model") if kind == "expression" else ()
    refuse_options(kind, data, {name: of for name, of in other.items() if name not in shared})
    if ratio is not None and counts is not None:
        raise InputError("--ratio and --counts both say how many rows are wanted", remedy="Give one of them.")
    if kind == "scans":
        balance_scans(
            Path(str(data)),
            folder_of(output),
            reading,
            ratio=ratio,
            counts=counts,
            model_path=model_path,
            save_model=save_model,
            format=format_,
            replace=replace,
            time_budget=time_budget or "10m",
            as_json=as_json,
            seed=seed,
            quiet=quiet,
        )
        return
    if kind == "expression":
        balance_cells(
            Path(str(data)),
            output,
            expression,
            label=label,
            ratio=ratio,
            counts=counts,
            model_path=model_path,
            save_model=save_model,
            replace=replace,
            time_budget=time_budget or "5m",
            as_json=as_json,
            seed=seed,
            quiet=quiet,
        )
        return
    if target is None:
        raise click.UsageError("Missing option '--target'.")
    _balance_table(
        data,
        target,
        output,
        ratio=ratio,
        counts=counts,
        quantiles=quantiles,
        model_path=model_path,
        schema_path=schema_path,
        time_budget=time_budget or "2m",
        smallest=smallest,
        rejection=rejection,
        mark=mark,
        as_json=as_json,
        seed=seed,
        quiet=quiet,
    )


def _balance_table(
    data: Source,
    target: str,
    output: Source,
    *,
    ratio: float | None,
    counts: str | None,
    quantiles: str | None,
    model_path: Path | None,
    schema_path: Path | None,
    time_budget: str,
    smallest: int,
    rejection: float,
    mark: str | None,
    as_json: bool,
    seed: int | None,
    quiet: bool,
) -> None:
    from synthkit.io import check_target

    _check_options(counts, quantiles, model_path, schema_path)
    inputs = [place for place in (data, model_path, schema_path) if place is not None]
    check_target(output, inputs=inputs)

    from synthkit import load
    from synthkit.balance.groups import check_quantiles
    from synthkit.gan.budget import Budget
    from synthkit.io import read_table, write_table
    from synthkit.schema import Schema

    Budget.parse(time_budget)
    cuts = None if quantiles is None else check_quantiles(parse_numbers(quantiles))
    schema = None if schema_path is None else Schema.load(schema_path)
    frame = read_table(data)
    names = [str(name) for name in frame.columns]
    if target not in names:
        raise SchemaError(
            f"the table '{data}' has an {unknown_name('column', target, names)}", remedy="Choose one with --target."
        )
    if mark in names:
        raise InputError(f"the table has a column {mark!r} already", remedy="Choose another name with --mark.")
    wanted = None if counts is None else parse_counts(counts, frame[target].dropna().unique().tolist())

    from synthkit.balance.table import balance_table

    found = balance_table(
        frame,
        target,
        model=None if model_path is None else load(model_path),
        ratio=ratio,
        counts=wanted,
        quantiles=cuts,
        schema=schema,
        smallest=smallest,
        rejection=rejection,
        time_budget=time_budget,
        random_state=seed,
        verbose=not quiet,
    )
    balanced = found.frame
    if mark is not None:
        balanced[mark] = found.synthetic
    write_table(balanced, output)
    if as_json:
        import json

        click.echo(json.dumps(found.report, indent=2, allow_nan=False))
    if not quiet:
        for line in told(found.report):
            click.echo(line, err=True)


def told(report: Mapping[str, Any]) -> list[str]:
    """Return what happened to each class, and to rows that were not good enough, in lines."""
    target, groups = report["target"], report["groups"]
    lines = [f"{target}={one['name']}: {one['rows']:,} -> {one['rows'] + one['added']:,}" for one in groups]
    drawn, unlike, copies = (sum(one[name] for one in groups) for name in ("drawn", "unlike", "copies"))
    if drawn:
        lines.append(
            f"{drawn:,} rows drawn for {report['synthetic']:,}; rejected: {unlike:,} unlike their class, "
            f"{copies:,} copies of real rows"
        )
    if report["without_target"]:
        lines.append(f"{report['without_target']:,} rows have no {target}: they are kept and not counted")
    return lines


def _check_options(counts: str | None, quantiles: str | None, model: Path | None, schema: Path | None) -> None:
    if counts is not None and quantiles is not None:
        raise InputError("--counts are of classes, and --quantiles are for a number", remedy="Give one of them.")
    if model is not None and schema is not None:
        raise InputError("the model of --model has a schema of its own", remedy="Leave --schema out.")


def parse_numbers(text: str) -> list[float]:
    """Read ``0.1,0.9``.

    Raises
    ------
    InputError
        If the text is not of this form.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--quantiles {text!r} is not a list of numbers", remedy="Write 0.1,0.9.") from None


def parse_counts(text: str, labels: Iterable[Any]) -> dict[Any, int]:
    """Read ``a=100,b=200`` as rows by class; classes may hold "=" and ",", the last "=" before a number counts.

    Raises
    ------
    InputError
        If the text is not of this form, or names an unknown class or one twice.
    """
    by_text = {str(label): label for label in labels}
    wanted: dict[Any, int] = {}
    position = 0
    while position < len(text) or not wanted:
        match = _COUNT.match(text, position)
        if match is None:
            raise InputError(f"--counts {text!r} is not a list of classes and rows", remedy="Write a=100,b=200.")
        name = match.group(1)
        if name not in by_text:
            raise InputError(
                f"--counts names an {unknown_name('class', name, by_text)}", remedy="Choose one that the table has."
            )
        if by_text[name] in wanted:
            raise InputError(f"--counts names the class {name!r} twice", remedy="Name each class once.")
        wanted[by_text[name]] = int(match.group(2))
        position = match.end()
    return wanted
