"""``synthkit run``: a whole pipeline from a recipe, resumable, with gates before anything is published."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthkit.cli.common import PATH, Interrupted, print_facts, quiet_option
from synthkit.errors import InputError

if TYPE_CHECKING:
    from synthkit.pipelines import Event, Planned, Recipe, RunResult

    Observer = Callable[[Event], None]

_SECONDS_BETWEEN_NOTES = 10.0


def _print_schema(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if not asked or context.resilient_parsing:
        return
    from synthkit.pipelines.reading import json_schema_text

    click.echo(json_schema_text(), nl=False)
    context.exit()


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change an entry of the recipe. May be given several times.",
)
@click.option("--workspace", type=PATH, metavar="FOLDER", help="Where everything is kept.  [default: runs/NAME]")
@click.option("--resume", is_flag=True, help="Go on in the middle of a fit that was killed.")
@click.option(
    "--dry-run", is_flag=True, help="Only say what would run; reads the recipe and what is known of the last run."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines for people on standard error, or one JSON object per line on standard output.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of every draw, instead of the recipe's.")
@click.option(
    "--json-schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON schema of recipes, for editors, and end.",
)
@quiet_option
def command(
    recipe_name: str,
    sets: tuple[str, ...],
    workspace: Path | None,
    resume: bool,
    dry_run: bool,
    log_format: str,
    seed: int | None,
    quiet: bool,
) -> None:
    """Run RECIPE: a YAML file, or the name of a shipped recipe: balance, augment or private-release.

    What every stage makes is kept, so a second run repeats only what was changed, and a killed one goes on. Gates of
    the evaluation and of the audit stop it with exit code 3 before anything is published.

    \b
    synthkit run balance --set data=people.csv --set target=income
    synthkit run pipelines/balance.yaml --set data=people.csv --set target=income --set fit.time_budget=30s
    """
    from synthkit.pipelines import load_recipe, plan_recipe, run_recipe
    from synthkit.pipelines.runner import workspace_of

    recipe = load_recipe(recipe_name, sets, seed=seed)
    if dry_run:
        if recipe.data is None:
            raise InputError(f"the recipe {recipe.name!r} names no data", remedy="Add --set data=TABLE.")
        _show_plan(recipe, plan_recipe(recipe, workspace), log_format, workspace_of(recipe, workspace).root)
        return
    as_json = log_format == "json"
    try:
        with _observer(as_json=as_json, quiet=quiet) as observe:
            result = run_recipe(
                recipe, workspace=workspace, resume=resume, verbose=not (quiet or as_json), observe=observe
            )
    except KeyboardInterrupt as error:
        root = workspace_of(recipe, workspace).root
        raise Interrupted(
            "interrupted", remedy=f"What is finished is kept in '{root}': go on with the same command and --resume."
        ) from error
    if not quiet and not as_json:
        _show_result(result)


# -------------------- while it runs


@contextmanager
def _observer(*, as_json: bool, quiet: bool) -> Iterator[Observer]:
    """Give what shows the events of a run: JSON lines, a spinner on a terminal, or plain lines."""
    if as_json:
        yield _json_line
    elif quiet:
        yield lambda event: None
    elif sys.stderr.isatty():
        with _on_terminal() as observe:
            yield observe
    else:
        yield _lines()


def _json_line(event: Event) -> None:
    content = {
        "time": _now(),
        "stage": event.stage or None,
        "status": event.status,
        "text": event.text,
        "seconds": round(event.seconds, 3),
        "artefacts": dict(event.artefacts),
        "gates": [{**vars(gate), "failed": gate.failed} for gate in event.gates],
    }
    click.echo(json.dumps(content, ensure_ascii=False))
    sys.stdout.flush()


def _lines() -> Observer:
    """Return what prints one line per event; notes only now and then."""
    import time

    last = time.monotonic()

    def line(event: Event) -> None:
        nonlocal last
        now = time.monotonic()
        if event.status == "note" and now - last < _SECONDS_BETWEEN_NOTES:
            return
        last = now
        for text in _told(event):
            click.echo(text, err=True)

    return line


@contextmanager
def _on_terminal() -> Iterator[Observer]:
    """Show what runs now on a last line that changes. A fit shows its own progress there."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    status = console.status("")
    showing = False

    def show(event: Event) -> None:
        nonlocal showing
        if event.status == "note" and showing:
            status.update(Text(f"{event.stage}: {event.text}"))  # names of columns are no markup
            return
        if event.status in ("running", "done") and showing:
            status.stop()
            showing = False
        for text in _told(event):
            console.print(text, markup=False)
        if event.status == "running" and event.stage not in ("fit", "balance"):
            status.update(event.stage)
            status.start()
            showing = True

    try:
        yield show
    finally:
        status.stop()


def _told(event: Event) -> list[str]:
    """Return an event as lines for people; the end of a run is told by its result or its error."""
    if not event.stage:
        return []
    match event.status:
        case "done":
            lines = [f"{event.stage}: done in {event.seconds:.1f} s"]
        case "reused":
            lines = [f"{event.stage}: unchanged, reused"]
        case "running":
            lines = [f"{event.stage}: running ({event.text})"]
        case _:
            lines = [f"{event.stage}: {event.text}"]
    return lines + [
        f"{gate.stage}: gate {gate.gate!r} {gate.status}: {gate.sentence}" for gate in event.gates if gate.failed
    ]


# -------------------- at the end, and instead


def _show_result(result: RunResult) -> None:
    gates = result.gates
    counts = {status: sum(gate.status == status for gate in gates) for status in dict.fromkeys(g.status for g in gates)}
    published = result.records["publish"].facts["published"] if "publish" in result.records else []
    reasons = "; ".join(dict(result.manifest["why not repeatable"]).values())
    print_facts(
        {
            "workspace": result.workspace,
            "stages": f"{len(result.records)}, of which {len(result.reused)} reused",
            "gates": ", ".join(f"{count} {status}" for status, count in counts.items()) or None,
            "recommended": result.records["augment"].facts["reason"] if "augment" in result.records else None,
            "published": "\n".join(f"{one['what']}: {one['to']}" for one in published) or None,
            "not repeatable": reasons or None,
            "seconds": f"{result.manifest['seconds']:.1f}",
        }
    )


def _show_plan(recipe: Recipe, planned: tuple[Planned, ...], log_format: str, workspace: Path) -> None:
    if log_format == "json":
        for one in planned:
            click.echo(json.dumps({"time": _now(), **vars(one)}, ensure_ascii=False))
        return
    click.echo(f"recipe {recipe.name}, workspace {workspace}, seed {recipe.seed}")
    width = max(len(one.stage) for one in planned)
    for one in planned:
        took = "" if one.seconds is None else f" (took {one.seconds:.1f} s)"
        click.echo(f"  {one.stage:<{width}}  {one.status:<7}  {one.why}{took}")
    expected = sum(one.seconds or 0.0 for one in planned if one.status != "reuse")
    if all(one.seconds is not None for one in planned):
        click.echo(f"about {expected:.0f} s, as long as the last time")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
