"""What `evaluate` and `compare` share: options, progress, writing what was found, and the exit code of the verdict."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from synthkit.cli.common import PATH, SOURCE, Source
from synthkit.errors import GateError, InputError

if TYPE_CHECKING:
    from synthkit.evaluation import Comparison, Evaluation

    Judged = Evaluation | Comparison

# Narrower than this, the columns fall apart; wider, sentences are hard to read.
_NARROWEST = 90
_WIDEST = 120
# Without a terminal a line is written this often at most.
_SECONDS_BETWEEN_LINES = 10.0
_MOST_NAMED = 4

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--test", "test_path", metavar="HOLDOUT", type=SOURCE, help="Real rows that the generator never saw."),
    click.option("--target", metavar="COL", help="The column that models trained on either table predict."),
    click.option(
        "--sensitive",
        metavar="COL",
        multiple=True,
        help="Compare the fairness of models for this column. May be given several times.",
    ),
    click.option(
        "--group",
        "groups",
        metavar="COL",
        multiple=True,
        help="Compare margins within the values of this column. May be given several times.",
    ),
    click.option(
        "--suite",
        metavar="NAME|FILE",
        default="standard",
        show_default=True,
        help="Metrics and gates: standard, quick, scores-only or a YAML file.",
    ),
    click.option(
        "--report",
        "reports",
        metavar="FILE",
        type=PATH,
        multiple=True,
        help="Write a report: .html, .md or .json. May be given several times.",
    ),
    click.option("--json", "json_path", metavar="FILE", type=PATH, help="Write the scores as JSON too."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every draw."),
)


def judging_options(command: F) -> F:
    """Add the options that both verbs have."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_outputs(reports: Sequence[Path], json_path: Path | None, inputs: Sequence[Source]) -> None:
    """Refuse outputs that cannot be written, are inputs, or are named twice, before any work is done."""
    from synthkit.archive import check_output
    from synthkit.evaluation.report import check_suffix

    outputs = [*reports, *([json_path] if json_path is not None else [])]
    for report in reports:
        check_suffix(report)
    for position, output in enumerate(outputs):
        check_output(output, inputs=inputs)
        if output in outputs[:position]:
            raise InputError(f"'{output}' is named as an output twice", remedy="Name another file.")


def words() -> list[str]:
    """Return the command line of this run."""
    found = click.get_current_context().find_root().obj
    return ["synthkit", *(found["words"] if found else [])]


@contextmanager
def metric_progress(*, quiet: bool, doing: str = "evaluating") -> Iterator[Callable[[str], None]]:
    """Give a function that is told what is computed next: a spinner on a terminal, now and then a line elsewhere.

    Parameters
    ----------
    quiet
        Show nothing.
    doing
        What a line says is done.
    """
    if quiet:
        yield lambda title: None
        return
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("reading") as status:
            yield lambda title: status.update(title)
        return
    last = time.monotonic()

    def line(title: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            click.echo(f"{doing}: {title}", err=True)

    yield line


def text_width() -> int:
    """Return the width of what is printed."""
    return min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size().columns))


def publish(judged: Judged, reports: Sequence[Path], json_path: Path | None, *, quiet: bool) -> None:
    """Write what was found to every file that was asked for, and show it unless quiet.

    Parameters
    ----------
    judged
        An evaluation or a comparison, with its provenance.
    reports
        Files of the reports.
    json_path
        File of the scores, whatever its suffix.
    quiet
        Show nothing.
    """
    from synthkit.archive import atomic_path
    from synthkit.evaluation.report import write_report

    for report in reports:
        write_report(judged, report)
    if json_path is not None:
        with atomic_path(json_path) as temporary:
            temporary.write_text(judged.to_json(), encoding="utf-8")
    if not quiet:
        click.echo(judged.to_text(width=text_width()), nl=False)


def refuse(failed: Mapping[str, Sequence[str]], suite: str) -> None:
    """Raise with exit code 3 when gates are not met.

    Parameters
    ----------
    failed
        For each table (its name is left out when there is one only), the titles of the gates that it fails.
    suite
        Name of the suite.
    """
    said = []
    for name, titles in failed.items():
        if titles:
            more = f" and {len(titles) - _MOST_NAMED} more" if len(titles) > _MOST_NAMED else ""
            listed = ", ".join(titles[:_MOST_NAMED]) + more
            said.append(f"{name}: {listed}" if len(failed) > 1 else listed)
    if said:
        count = sum(map(len, failed.values()))
        raise GateError(
            f"{count} gate{'s' if count > 1 else ''} of the suite {suite!r} {'are' if count > 1 else 'is'} not met:"
            f" {'; '.join(said)}",
            remedy="See the verdict above, or pass --suite scores-only for scores without one.",
        )
