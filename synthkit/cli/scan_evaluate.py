"""What ``synthkit evaluate`` does with scans."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthkit.cli.judging import check_outputs, metric_progress, refuse, text_width, words
from synthkit.errors import InputError
from synthkit.io.kinds import kind_of

if TYPE_CHECKING:
    from synthkit.cli.common import Source
    from synthkit.cli.scan_options import ScanOptions
    from synthkit.io.scan_set import ScanSet

SCANS: dict[str, str] = dict.fromkeys(("extractor", "size"), "scans")
TABLES: dict[str, str] = dict.fromkeys(("query", "target", "sensitive", "groups"), "table")
EXTRACTORS = ("domain", "radiomic", "imagenet")


def evaluate_folders(
    real_path: Source,
    synthetic_path: Source,
    test_path: Source | None,
    reading: ScanOptions,
    *,
    extractor: str,
    size: int | None,
    suite: str,
    reports: tuple[Path, ...],
    json_path: Path | None,
    seed: int,
    quiet: bool,
) -> None:
    """Score scans, write the reports that were asked for, show the scores, and fail where a gate is not met."""
    places: dict[str, Path] = {}
    for part, source in {"real": real_path, "synthetic": synthetic_path, "held-out": test_path}.items():
        if source is None:
            continue
        if not isinstance(source, Path) or (source.exists() and kind_of(source) != "scans"):
            raise InputError(
                f"the {part} data '{source}' hold no scans, and '{real_path}' does", remedy="Name scans in all places."
            )
        places[part] = source
    check_outputs(reports, json_path, list(places.values()))

    from synthkit.evaluation.scans.suite import load_scan_suite

    gates = load_scan_suite(suite)
    sets = read_places(places, reading, size=size, quiet=quiet)

    from synthkit.evaluation.provenance import describe_run
    from synthkit.evaluation.scans.evaluate import evaluate_scans
    from synthkit.evaluation.scans.metrics import METRICS
    from synthkit.evaluation.scans.report import write_scan_report

    with metric_progress(quiet=quiet) as progress:
        evaluation = evaluate_scans(
            sets["real"],
            sets["synthetic"],
            sets.get("held-out"),
            extractor=extractor,
            suite=gates,
            seed=seed,
            progress=progress,
        )
    evaluation = dataclasses.replace(evaluation, provenance=describe_run(words(), places, seed=seed))
    for report in reports:
        write_scan_report(evaluation, report)
    if json_path is not None:
        from synthkit.archive import atomic_path

        with atomic_path(json_path) as temporary:
            temporary.write_text(evaluation.to_json(), encoding="utf-8")
    if not quiet:
        click.echo(evaluation.to_text(width=text_width()), nl=False)
    refuse({"": [METRICS[verdict.metric].title for verdict in evaluation.failed]}, evaluation.suite)


def read_places(places: dict[str, Path], reading: ScanOptions, *, size: int | None, quiet: bool) -> dict[str, ScanSet]:
    """Return the scans of each place at one size: that asked for, or that of the synthetic scans."""
    same = places.get("held-out") == places["real"]
    if same and reading.split not in (None, "train"):
        raise InputError(
            f"REAL and HOLDOUT are both '{places['real']}', and --split {reading.split} asks for one part of it",
            remedy="Leave --split out: the training part is REAL, the test part HOLDOUT.",
        )
    synthetic = dataclasses.replace(reading, labels=_labels_of_any(reading.labels), split=None, masks=None)
    sets = {"synthetic": synthetic.read(places["synthetic"], size=size, quiet=quiet)}
    # A model may have made its scans smaller than the real ones: both are compared at the size of what it makes.
    for part in (part for part in ("real", "held-out") if part in places):
        options = dataclasses.replace(reading, masks=None)
        if part == "held-out":
            options = dataclasses.replace(options, split="test" if same else reading.split)
        sets[part] = options.read(places[part], size=sets["synthetic"].size, quiet=quiet)
    return sets


def _labels_of_any(labels: str | None) -> str | None:
    """Return where the classes of synthetic scans come from: a table of files names the real ones only."""
    return labels if labels is not None and (labels in ("folders", "none") or labels.startswith("tag:")) else None
