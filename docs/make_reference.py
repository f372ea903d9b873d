"""Write docs/reference/cli.md from the command line itself, and docs/reference/metrics/ from the metrics.

    python docs/make_reference.py

`tests/repo/test_docs.py` fails when a page is out of step.
"""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import click

from synthkit.archive import atomic_path
from synthkit.cli import VERBS, group
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.suite import NEEDED

REFERENCE = Path(__file__).resolve().parent / "reference"
PAGE = REFERENCE / "cli.md"
METRIC_PAGES = REFERENCE / "metrics"
METRICS_HEAD = """\
# Reference: metrics

<!-- Written by docs/make_reference.py from the metrics. Do not edit. -->

Every score of `synthkit evaluate`, with a page each: what the number is, when it misleads, what good looks like. How
they work together is told in [how to read an evaluation](../../explanation/evaluation.md)."""
DIRECTIONS = {"lower": "lower is better", "higher": "higher is better", "half": "nearest to 0.5 is best"}
INTERVALS = {
    "all rows": "95 %, for other rows from the same sources",
    "held-out rows": "95 %, for other held-out rows, with the models as they are",
}
CEILINGS = {
    "held-out": "real held-out rows in place of the synthetic ones",
    "halves": "one half of the held-out rows in place of the synthetic ones, the other half held out",
    "training": "training rows in place of the synthetic ones, as many as there are of these",
    "none": "none",
}
HEAD = """\
# Reference: command line

<!-- Written by docs/make_reference.py from the commands. Do not edit. -->

`synthkit VERB INPUT [-o OUTPUT] [options]`. Tables are files, known by their suffix, or addresses of databases: see
[files and databases](../how-to/sources.md). Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 3 a gate or
policy not met, 130 interrupted.
[Pipelines](../how-to/pipelines-cli.md) tells how to build on them.

Before the verb: `--debug` (or `SYNTHKIT_DEBUG=1`) shows the full traceback of an error, `--version` the version."""


def page() -> str:
    """Return the whole page as Markdown."""
    return "\n\n".join([HEAD, *(section(verb) for verb in VERBS)]) + "\n"


def metric_pages() -> dict[str, str]:
    """Return the page of each metric and their list, by file name."""
    rows = [
        f"| [{metric.title}]({metric.name}.md) | `{metric.name}` | {metric.theme} | {DIRECTIONS[metric.direction]} |"
        for metric in METRICS.values()
    ]
    contents = "\n".join(["| score | name | theme | |", "|---|---|---|---|", *rows])
    pages = {"index.md": f"{METRICS_HEAD}\n\n{contents}\n"}
    return pages | {f"{metric.name}.md": metric_page(metric) for metric in METRICS.values()}


def metric_page(metric: Metric) -> str:
    """Return the page of a metric."""
    low, high = (f"{bound:g}" if math.isfinite(bound) else "no bound" for bound in metric.bounds)
    ideal = "depends on the table" if metric.ideal is None else f"{metric.ideal:g}"
    facts = {
        "name": f"`{metric.name}`",
        "theme": metric.theme,
        "direction": DIRECTIONS[metric.direction],
        "range": f"{low} to {high}",
        "ideal": ideal,
        "needs": " and ".join(NEEDED[need] for need in metric.needs) or "nothing beside the tables",
        "rows": metric.rows,
        "interval": INTERVALS[metric.interval],
        "ceiling": CEILINGS[metric.ceiling],
        "floor": "columns drawn independently" if metric.floor else "none",
        "source": metric.source,
    }
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {cell(text)} |" for name, text in facts.items())])
    said = metric.meaning
    for placeholder, text in (
        ("{value}", "..."),
        ("{percent}", "... %"),
        ("{measure}", "ROC AUC" if metric.theme == "utility" else "..."),
    ):
        said = said.replace(placeholder, text)
    parts = [
        f"# {metric.title[0].upper()}{metric.title[1:]}",
        "<!-- Written by docs/make_reference.py from the metric. Do not edit. -->",
        f"> {said}",
        f"**What the number is.** {metric.reading}",
        f"**When it misleads.** {metric.lies}",
        f"**What good looks like.** {metric.good}",
        table,
        "[All metrics](index.md)",
    ]
    return "\n\n".join(parts) + "\n"


def section(verb: str) -> str:
    """Return what is to be said about one verb."""
    command = group.get_command(click.Context(group), verb)
    if command is None:
        raise SystemExit(f"the verb {verb!r} has no command")
    parts = [f"## {verb}", *told(command, f"synthkit {verb}")]
    if isinstance(command, click.Group):
        for name, subcommand in command.commands.items():
            parts += [f"### {verb} {name}", *told(subcommand, f"synthkit {verb} {name}")]
    return "\n\n".join(parts)


def told(command: click.Command, spelling: str) -> list[str]:
    """Return usage, help and options of a command, one paragraph each."""
    with click.Context(command, info_name=spelling) as context:
        usage = " ".join([spelling, *command.collect_usage_pieces(context)])
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    rows = [f"| {names(option)} | {default(option)} | {cell(option.help or '')} |" for option in options]
    table = ["\n".join(["| option | default | |", "|---|---|---|", *rows])] if rows else []
    return [f"```text\n{usage}\n```", *paragraphs(command.help or ""), *table]


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a help text; those that click must not rewrap are commands."""
    found = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        kept = paragraph.removeprefix("\b\n")
        found.append(paragraph if kept == paragraph else f"```bash\n{kept}\n```")
    return found


def names(option: click.Option) -> str:
    """Return the spellings of an option with the form of its value."""
    if option.is_flag:
        value = ""
    elif isinstance(option.type, click.Choice):
        value = " " + "\\|".join(map(str, option.type.choices))
    else:
        value = f" {option.metavar or option.type.name.upper().replace(' RANGE', '')}"
    return ", ".join(f"`{spelling}`" for spelling in option.opts) + cell(value, escape=False)


def default(option: click.Option) -> str:
    """Return the default of an option, "required", or nothing."""
    if option.required:
        return "required"
    return f"`{option.default}`" if option.show_default and option.default is not None else ""


def cell(text: str, *, escape: bool = True) -> str:
    """Return a text that may stand in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|") if escape else text.rstrip()


def write(path: Path, text: str) -> None:
    """Write a page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(PAGE, page())
    pages = metric_pages()
    for name, text in pages.items():
        write(METRIC_PAGES / name, text)
    for path in METRIC_PAGES.glob("*.md"):
        if path.name not in pages:
            path.unlink()
