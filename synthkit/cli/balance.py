"""``synthkit balance``: real rows, and synthetic ones until the classes have the wanted sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from synthkit.cli.common import PATH, quiet_option, seed_option
from synthkit.errors import InputError, SchemaError, unknown_name

_COUNT = re.compile(r"\s*(.+?)\s*=\s*(\d+)\s*(?:,|$)", re.DOTALL)


@click.command()
@click.argument("data", type=PATH)
@click.option("--target", required=True, metavar="COL", help="The column whose classes are balanced.")
@click.option("-o", "--output", "output", type=PATH, required=True, metavar="OUT", help="CSV, Parquet or Feather file.")
@click.option(
    "--ratio", type=click.FloatRange(0, 1, min_open=True), help="Size of every class against the largest; 1.0."
)
@click.option("--counts", metavar="a=100,b=200", help="Rows of each class in the output, instead of a ratio.")
@click.option("--model", "model_path", type=PATH, help="A model of the same table; one is fitted when left out.")
@click.option("--time-budget", default="2m", show_default=True, help="The most time for fitting: 90s, 2m, 1h.")
@click.option("--mark", metavar="COLUMN", help="Add a column that says which rows are synthetic.")
@seed_option
@quiet_option
def command(
    data: Path,
    target: str,
    output: Path,
    ratio: float | None,
    counts: str | None,
    model_path: Path | None,
    time_budget: str,
    mark: str | None,
    seed: int | None,
    quiet: bool,
) -> None:
    """Bring the classes of a column of DATA to a ratio. Real rows come first and stay untouched.

    \b
    synthkit balance people.csv --target income -o balanced.csv
    synthkit balance people.csv --target income -o balanced.csv --counts '<=50K=30000,>50K=20000'
    """
    from synthkit.archive import check_output

    if ratio is not None and counts is not None:
        raise InputError("--ratio and --counts both say how many rows are wanted", remedy="Give one of them.")
    check_output(output, inputs=[data, *([model_path] if model_path else [])])

    from synthkit.gan.budget import Budget
    from synthkit.io import read_table, table_format, write_table

    table_format(output)
    Budget.parse(time_budget)
    frame = read_table(data)
    names = [str(name) for name in frame.columns]
    if target not in names:
        raise SchemaError(
            f"the table '{data}' has an {unknown_name('column', target, names)}", remedy="Choose one with --target."
        )
    if mark in names:
        raise InputError(f"the table has a column {mark!r} already", remedy="Choose another name with --mark.")
    wanted = None if counts is None else parse_counts(counts, frame[target].dropna().unique().tolist())

    if model_path is None:
        from synthkit.tables.gan import TableGAN

        model = TableGAN(time_budget=time_budget, random_state=seed, verbose=not quiet).fit(frame, target=target)
    else:
        from synthkit import load

        model = load(model_path)
    balanced = model.balance(frame, target, ratio=1.0 if ratio is None else ratio, counts=wanted, random_state=seed)
    if mark is not None:
        balanced[mark] = [False] * len(frame) + [True] * (len(balanced) - len(frame))
    write_table(balanced, output)
    if not quiet:
        before, after = (table[target].value_counts() for table in (frame, balanced))
        for label, count in after.items():
            click.echo(f"{target}={label}: {before.get(label, 0):,} -> {count:,}", err=True)


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
