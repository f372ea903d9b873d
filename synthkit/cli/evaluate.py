"""``synthkit evaluate``: whether a synthetic table is as good as it looks, whoever made it."""

from __future__ import annotations

from pathlib import Path

import click

from synthkit.cli.common import SOURCE, Source, query_option, quiet_option
from synthkit.cli.judging import (
    check_outputs,
    judging_options,
    metric_progress,
    publish,
    refuse,
    words,
)


@click.command()
@click.argument("real_path", metavar="REAL", type=SOURCE)
@click.argument("synthetic_path", metavar="SYNTHETIC", type=SOURCE)
@query_option
@judging_options
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
    quiet: bool,
) -> None:
    """Score SYNTHETIC against REAL, the rows it was made from, with controls that tell how to read each score.

    Without HOLDOUT a fifth of REAL is split off, and the scores of copies say less. The exit code is 3 when a gate of
    the suite is not met.

    \b
    synthkit evaluate train.csv synthetic.csv --test holdout.csv --target income --report report.html
    """
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
