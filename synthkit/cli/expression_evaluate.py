"""What ``synthkit evaluate`` does with gene expression."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthkit.cli.judging import check_outputs, metric_progress, refuse, text_width, words
from synthkit.errors import InputError

if TYPE_CHECKING:
    from synthkit.cli.common import Source
    from synthkit.cli.expression_options import ExpressionOptions

COLUMNS: dict[str, str] = dict.fromkeys(("label", "batch", "donor"), "expression")
"""Names of the parameters that say type, batch and donor, for `synthkit.cli.kinds.refuse_options`."""


def evaluate_expression_files(
    real_path: Source,
    synthetic_path: Source,
    test_path: Source | None,
    reading: ExpressionOptions,
    *,
    label: str | None,
    batch: str | None,
    donor: str | None,
    suite: str,
    reports: tuple[Path, ...],
    json_path: Path | None,
    seed: int,
    quiet: bool,
) -> None:
    """Score gene expression, write the reports asked for, show the scores, and fail where a gate is not met."""
    from synthkit.cli.expression_options import kind_of_input

    places: dict[str, Path] = {}
    for part, source in {"real": real_path, "synthetic": synthetic_path, "held-out": test_path}.items():
        if source is None:
            continue
        if not isinstance(source, Path) or (source.exists() and kind_of_input(source) != "expression"):
            raise InputError(
                f"the {part} data '{source}' hold no gene expression, and '{real_path}' does",
                remedy="Name gene expression in all places.",
            )
        places[part] = source
    check_outputs(reports, json_path, list(places.values()))

    from synthkit.evaluation.expression.suite import load_expression_suite

    gates = load_expression_suite(suite)
    # A table of labels describes the real cells it was made for: synthetic cells carry their own.
    own = {part: dataclasses.replace(reading, cells=None) if part == "synthetic" else reading for part in places}
    sets = {part: own[part].read(place, quiet=quiet) for part, place in places.items()}

    from synthkit.evaluation.expression.evaluate import evaluate_expression
    from synthkit.evaluation.expression.metrics import METRICS
    from synthkit.evaluation.expression.report import write_expression_report
    from synthkit.evaluation.provenance import describe_run

    with metric_progress(quiet=quiet) as progress:
        evaluation = evaluate_expression(
            sets["real"],
            sets["synthetic"],
            sets.get("held-out"),
            label=label,
            batch=batch,
            donor=donor,
            suite=gates,
            seed=seed,
            progress=progress,
        )
    evaluation = dataclasses.replace(evaluation, provenance=describe_run(words(), places, seed=seed))
    for report in reports:
        write_expression_report(evaluation, report)
    if json_path is not None:
        from synthkit.archive import atomic_path

        with atomic_path(json_path) as temporary:
            temporary.write_text(evaluation.to_json(), encoding="utf-8")
    if not quiet:
        click.echo(evaluation.to_text(width=text_width()), nl=False)
    refuse({"": [METRICS[verdict.metric].title for verdict in evaluation.failed]}, evaluation.suite)
