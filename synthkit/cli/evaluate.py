"""``synthkit evaluate``: whether synthetic rows, scans or cells are as good as they look, whoever made them."""

from __future__ import annotations

from pathlib import Path

import click

from synthkit.cli.common import SOURCE, Source, query_option, quiet_option
from synthkit.cli.expression_evaluate import COLUMNS, evaluate_expression_files
from synthkit.cli.expression_options import EXPRESSION, ExpressionOptions, expression_options, kind_of_input
from synthkit.cli.judging import (
    check_outputs,
    judging_options,
    metric_progress,
    publish,
    refuse,
    words,
)
from synthkit.cli.kinds import refuse_options
from synthkit.cli.scan_evaluate import EXTRACTORS, SCANS, TABLES, evaluate_folders
from synthkit.cli.scan_options import SCANS as READING
from synthkit.cli.scan_options import ScanOptions, scan_options


@click.command()
@click.argument("real_path", metavar="REAL", type=SOURCE)
@click.argument("synthetic_path", metavar="SYNTHETIC", type=SOURCE)
@query_option
@judging_options
@click.option(
    "--extractor",
    type=click.Choice(EXTRACTORS),
    default=EXTRACTORS[0],
    show_default=True,
    help="Scans: what they are compared by: a network trained on REAL, radiomic features, or ImageNet's MobileNetV2.",
)
@click.option("--size", type=click.IntRange(min=1), metavar="N", help="Scans: compare at N samples along each axis.")
@click.option("--label", metavar="COL", help="Gene expression: the column with the type of each cell.")
@click.option("--batch", metavar="COL", help="Gene expression: the column with the batch of each cell.")
@click.option("--donor", metavar="COL", help="Gene expression: the column with the donor; donors are held out whole.")
@scan_options
@expression_options
@quiet_option
def command(
    real_path: Source,
    synthetic_path: Source,
    test_path: Source | None,
    target: str | None,
    sensitive: tuple[str, ...],
    groups: tuple[str, ...],
    suite: str,
    reports: tuple[Path, ...],
    json_path: Path | None,
    seed: int,
    extractor: str,
    size: int | None,
    label: str | None,
    batch: str | None,
    donor: str | None,
    quiet: bool,
    reading: ScanOptions,
    expression: ExpressionOptions,
) -> None:
    """Score SYNTHETIC against REAL, what it was made from, with controls that tell how to read each score.

    Without HOLDOUT a fifth of REAL is split off, and the scores of copies say less. The exit code is 3 when a gate of
    the suite is not met.

    \b
    synthkit evaluate train.csv synthetic.csv --test holdout.csv --target income --report report.html
    synthkit evaluate scans/train/ synthetic/ --test scans/test/ --report report.html
    synthkit evaluate cells.h5ad synthetic.h5ad --test holdout.h5ad --label cell_type --report report.html
    """
    kind = kind_of_input(real_path)
    refuse_options(kind, real_path, {**SCANS, **READING, **TABLES, **EXPRESSION, **COLUMNS})
    if kind == "expression":
        evaluate_expression_files(
            real_path,
            synthetic_path,
            test_path,
            expression,
            label=label,
            batch=batch,
            donor=donor,
            suite=suite,
            reports=reports,
            json_path=json_path,
            seed=seed,
            quiet=quiet,
        )
        return
    if kind == "scans":
        evaluate_folders(
            real_path,
            synthetic_path,
            test_path,
            reading,
            extractor=extractor,
            size=size,
            suite=suite,
            reports=reports,
            json_path=json_path,
            seed=seed,
            quiet=quiet,
        )
        return
    inputs = {"real": real_path, "synthetic": synthetic_path} | ({"held-out": test_path} if test_path else {})
    check_outputs(reports, json_path, list(inputs.values()))

    from synthkit.evaluation.suite import load_suite

    gates = load_suite(suite)

    from synthkit.io import read_table

    tables = {part: read_table(path) for part, path in inputs.items()}

    import dataclasses

    from synthkit.evaluation import evaluate
    from synthkit.evaluation.metrics import METRICS
    from synthkit.evaluation.provenance import describe_run

    with metric_progress(quiet=quiet) as progress:
        evaluation = evaluate(
            tables["real"],
            tables["synthetic"],
            test=tables.get("held-out"),
            target=target,
            sensitive=sensitive,
            groups=groups,
            suite=gates,
            seed=seed,
            progress=progress,
        )
    evaluation = dataclasses.replace(evaluation, provenance=describe_run(words(), inputs, seed=seed))
    publish(evaluation, reports, json_path, quiet=quiet)
    refuse({"": [METRICS[verdict.metric].title for verdict in evaluation.failed]}, evaluation.suite)
