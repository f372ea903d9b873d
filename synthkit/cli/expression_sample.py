"""What ``synthkit sample`` and ``synthkit balance`` do with gene expression."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthkit.cli.common import row_progress
from synthkit.errors import ConditionError, InputError

if TYPE_CHECKING:
    from synthkit.cli.expression_options import ExpressionOptions
    from synthkit.expression.gan import ExpressionGAN
    from synthkit.io.expression_set import ExpressionSet
    from synthkit.io.source import Address

BALANCE: dict[str, str] = dict.fromkeys(("label",), "expression")
"""Parameters of ``balance`` that are for gene expression."""


def sample_cells(
    model_path: Path,
    n: int,
    output: Path | Address,
    conditions: Sequence[str],
    *,
    replace: bool,
    seed: int | None,
    quiet: bool,
) -> None:
    """Draw cells from a model into a file, batch by batch, all of them or nothing."""
    from synthkit.io.expression_write import check_expression_output, write_expression

    place = file_of(output)
    check_expression_output(place, inputs=[model_path], replace=replace)

    from synthkit.expression.gan import ExpressionGAN
    from synthkit.random import RandomSource

    model = ExpressionGAN.load(model_path)
    where = parse_cell_conditions(conditions) or None
    seed = RandomSource(seed).seed  # drawn anew without one, and told in what is written
    with row_progress(n, quiet=quiet, unit="cells") as advance:

        def parts() -> Iterator[ExpressionSet]:
            for part in model.iter_sample(n, where=where, random_state=seed):
                yield part
                advance(len(part))

        stream = parts()
        written = write_expression(stream, place, provenance=provenance_of(model, model_path, seed), replace=replace)
    if not quiet:
        click.echo(f"{written:,} cells by {len(model.genes_):,} genes in '{place}'", err=True)


def file_of(output: Path | Address) -> Path:
    """Return the file that cells are written to; a database takes none."""
    if not isinstance(output, Path):
        raise InputError("gene expression cannot be written into a database", remedy="Name a file such as out.h5ad.")
    return output


def parse_cell_conditions(conditions: Sequence[str]) -> dict[str, Any]:
    """Read ``COLUMN=VALUE`` or ``COLUMN=A|B``; a column that is named several times may have any of the values.

    Raises
    ------
    ConditionError
        A condition without "=".
    """
    found: dict[str, list[str]] = {}
    for text in conditions:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise ConditionError(f"--where {text!r} is no condition", remedy="Write COLUMN=VALUE, such as cell_type=B.")
        found.setdefault(name.strip(), []).extend(one.strip() for one in value.split("|"))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def provenance_of(model: ExpressionGAN, model_path: Path, seed: int) -> dict[str, Any]:
    """Return what written cells say of the model and the draw."""
    import hashlib

    from synthkit import __version__

    with open(model_path, "rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    budget = model.privacy
    return {
        "created_with": f"synthkit {__version__}",
        "model": model.model_,
        "model_sha256": content,
        "seed": seed,
        "measure": model.space_.measure,
        "labels": list(model.space_.labels),
        "epsilon": None if budget is None else budget.epsilon,
        "delta": None if budget is None else budget.delta,
        "unit": None if budget is None else budget.unit,
    }


def balance_cells(
    data: Path,
    output: Path | Address,
    reading: ExpressionOptions,
    *,
    label: Sequence[str],
    ratio: float | None,
    counts: str | None,
    model_path: Path | None,
    save_model: Path | None,
    replace: bool,
    time_budget: str,
    as_json: bool,
    seed: int | None,
    quiet: bool,
) -> None:
    """Write the cells of DATA, and synthetic ones of the classes that are too small, into one file."""
    from synthkit.archive import check_output
    from synthkit.io.expression_write import check_expression_output, write_expression

    place = file_of(output)
    inputs = [data, *([model_path] if model_path is not None else [])]
    check_expression_output(place, inputs=inputs, replace=replace)
    if model_path is not None and save_model is not None:
        raise InputError("--save-model is for a model that is fitted here, and --model names one", remedy="Give one.")
    if save_model is not None:
        check_output(save_model, inputs=inputs)
    if model_path is None and not label:
        raise InputError("classes are balanced, and no column of them is named", remedy="Name one with --label.")

    import tempfile

    from synthkit.cli.balance import parse_counts
    from synthkit.expression.balancing import cells_to_add, class_sizes
    from synthkit.expression.gan import ExpressionGAN
    from synthkit.gan.budget import Budget
    from synthkit.random import RandomSource

    Budget.parse(time_budget)
    cells = reading.read(data, quiet=quiet)
    seed = RandomSource(seed).seed
    if model_path is None:
        model = ExpressionGAN(time_budget=time_budget, random_state=seed, verbose=not quiet)
        model.fit(cells, label=tuple(label))
    else:
        model = ExpressionGAN.load(model_path)
    sizes = class_sizes(cells, model.space_)
    wanted = None if counts is None else parse_counts(counts, sizes)
    share = 1.0 if ratio is None else ratio
    added = cells_to_add(sizes, ratio=share, counts=wanted)
    if not added:
        raise InputError("every class has the wanted number of cells already", remedy="Ask for more with --counts.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        found = model.balance(cells, ratio=share, counts=wanted, random_state=seed)
    for one in caught:
        click.echo(f"warning: {one.message}", err=True)
    with tempfile.TemporaryDirectory() as folder:
        fitted = model_path or save_model or Path(folder) / "model.synth"
        if model_path is None:
            model.save(fitted)
        write_expression(found, place, provenance=provenance_of(model, fitted, seed), replace=replace)
    rows = [{"name": name, "cells": n, "added": added.get(name, 0)} for name, n in sizes.items()]
    if as_json:
        click.echo(json.dumps({"groups": rows, "synthetic": sum(added.values())}, indent=2, allow_nan=False))
    if not quiet:
        for row in rows:
            click.echo(f"{row['name']}: {row['cells']:,} -> {int(row['cells']) + int(row['added']):,}", err=True)  # type: ignore[call-overload]
        click.echo(f"{len(found):,} cells in '{place}'; the column 'synthetic' says which are drawn", err=True)
