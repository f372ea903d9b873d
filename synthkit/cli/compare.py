"""``synthkit compare``: several synthetic tables side by side, so that any tool's output can be ranked."""

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
@click.argument("synthetic_paths", metavar="SYNTHETIC...", type=SOURCE, nargs=-1, required=True)
@query_option
@judging_options
@quiet_option
def command(
    real_path: Source,
    synthetic_paths: tuple[Source, ...],
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
    """Score several SYNTHETIC tables against REAL, with the same controls for all of them.

    One line for each score: the best table is marked, and every other that is not clearly worse. The exit code is 3
    when a table fails a gate of the suite.

    \b
    synthkit compare train.csv ours.csv ctgan.csv --test holdout.csv --target income --report comparison.html
    """
    names = _names(synthetic_paths)
    inputs = {"real": real_path} | dict(zip(names, synthetic_paths, strict=True))
    inputs |= {"held-out": test_path} if test_path else {}
    check_outputs(reports, json_path, list(inputs.values()))

    from synthkit.evaluation.suite import load_suite

    gates = load_suite(suite)

    from synthkit.io import read_table

    real = read_table(real_path)
    test = read_table(test_path) if test_path is not None else None
    synthetic = {name: read_table(path) for name, path in zip(names, synthetic_paths, strict=True)}

    import dataclasses

    from synthkit.evaluation.compare import compare
    from synthkit.evaluation.metrics import METRICS
    from synthkit.evaluation.provenance import describe_run

    with metric_progress(quiet=quiet) as progress:
        comparison = compare(
            real,
            synthetic,
            test=test,
            target=target,
            sensitive=sensitive,
            groups=groups,
            suite=gates,
            seed=seed,
            progress=progress,
        )
    comparison = dataclasses.replace(comparison, provenance=describe_run(words(), inputs, seed=seed))
    publish(comparison, reports, json_path, quiet=quiet)
    failed = {
        name: [METRICS[verdict.metric].title for verdict in evaluation.failed]
        for name, evaluation in comparison.evaluations.items()
    }
    refuse(failed, gates.name)


def _names(paths: tuple[Source, ...]) -> list[str]:
    """Return a short name for each file, all different: the file name, or the path where two are alike."""
    short = [path.name for path in paths]
    named = [path.name if short.count(path.name) == 1 else str(path) for path in paths]
    taken = {"real", "held-out"}
    found = []
    for position, name in enumerate(named):
        while name in taken:
            name = f"{name} ({position + 1})"
        taken.add(name)
        found.append(name)
    return found
