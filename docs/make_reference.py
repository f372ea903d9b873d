"""Write docs/reference/cli.md from the command line itself.

    python docs/make_reference.py

`tests/repo/test_docs.py` fails when the page is out of step.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import click

from synthkit.archive import atomic_path
from synthkit.cli import VERBS, group

PAGE = Path(__file__).resolve().parent / "reference" / "cli.md"
HEAD = """\
# Reference: command line

<!-- Written by docs/make_reference.py from the commands. Do not edit. -->

`synthkit VERB INPUT [-o OUTPUT] [options]`. Tables are CSV, TSV (also compressed), Parquet and Feather/Arrow, known by
their suffix. Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 3 a gate or policy not met, 130 interrupted.
[Pipelines](../how-to/pipelines-cli.md) tells how to build on them.

Before the verb: `--debug` (or `SYNTHKIT_DEBUG=1`) shows the full traceback of an error, `--version` the version."""


def page() -> str:
    """Return the whole page as Markdown."""
    return "\n\n".join([HEAD, *(section(verb) for verb in VERBS)]) + "\n"


def section(verb: str) -> str:
    """Return what is to be said about one verb."""
    command = group.get_command(click.Context(group), verb)
    if command is None:
        raise SystemExit(f"the verb {verb!r} has no command")
    with click.Context(command, info_name=f"synthkit {verb}") as context:
        usage = " ".join(["synthkit", verb, *command.collect_usage_pieces(context)])
    parts = [f"## {verb}", f"```text\n{usage}\n```", *paragraphs(command.help or "")]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    rows = [f"| {names(option)} | {default(option)} | {cell(option.help or '')} |" for option in options]
    return "\n\n".join([*parts, "\n".join(["| option | default | |", "|---|---|---|", *rows])])


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


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")
