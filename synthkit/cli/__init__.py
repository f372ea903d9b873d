"""The command line: one thin file per verb, loaded only when the verb is used.

Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 3 a gate or policy not met, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from synthkit import __version__
from synthkit.cli.common import one_line_errors
from synthkit.errors import InputError, unknown_name

# verb -> (module with a click command named `command`, one line of help); in the order in which a user meets them
VERBS: dict[str, tuple[str, str]] = {
    "inspect": ("synthkit.cli.inspect", "Propose a schema for a table, or say what a folder of scans holds."),
    "fit": ("synthkit.cli.fit", "Fit a generator to a table or to scans and write a model file."),
    "sample": ("synthkit.cli.sample", "Draw synthetic rows or scans from a model, also under conditions."),
    "balance": ("synthkit.cli.balance", "Add synthetic rows or scans until the classes have the wanted sizes."),
    "augment": ("synthkit.cli.augment", "Find out whether balancing or synthetic rows help a model, by experiment."),
    "impute": ("synthkit.cli.impute", "Fill missing cells given the observed ones, once or several times."),
    "score": ("synthkit.cli.score", "Score rows or scans by how unusual they are for a model, and say why."),
    "translate": ("synthkit.cli.translate", "Translate scans of one kind into another."),
    "superresolve": ("synthkit.cli.superresolve", "Bring scans to a higher resolution."),
    "evaluate": ("synthkit.cli.evaluate", "Judge a synthetic table against the real one."),
    "compare": ("synthkit.cli.compare", "Judge several synthetic tables side by side."),
    "audit": ("synthkit.cli.audit", "Attack a synthetic table and hold what it discloses against a policy."),
    "run": ("synthkit.cli.run_pipeline", "Run a pipeline from a recipe, with gates before anything is published."),
    "info": ("synthkit.cli.info", "Show what is in a model file."),
    "privacy": ("synthkit.cli.privacy", "Plan a privacy budget, check a private model, print its certificate."),
    "push": ("synthkit.cli.push", "Send synthetic DICOM files to a PACS."),
    "demo": ("synthkit.cli.demo", "Fit, balance and evaluate a real imbalanced table, in two minutes."),
}


class VerbGroup(click.Group):
    """A group that knows its verbs by name and imports a verb's module when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the verbs in the order of the registry."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and return its command; None for an unknown verb."""
        if cmd_name not in VERBS:
            return None
        command = import_module(VERBS[cmd_name][0]).command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or name the nearest one."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise InputError(unknown_name("verb", args[0], VERBS), remedy="See `synthkit --help`.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs from the registry, so that help imports none of them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])


@click.group(
    cls=VerbGroup, subcommand_metavar="VERB [ARGS]...", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="synthkit")
@click.option("--debug", is_flag=True, envvar="SYNTHKIT_DEBUG", help="Show the full traceback of an error.")
def group(debug: bool) -> None:
    """Make synthetic tables that keep the shape of the real ones.

    \b
    synthkit fit people.csv -o people.synth
    synthkit sample people.synth -n 10000 -o synthetic.csv

    Each verb explains itself: synthkit VERB --help.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; errors are one sentence on standard error.

    Parameters
    ----------
    arguments
        What follows ``synthkit`` on the command line; that of this process when None.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    return one_line_errors(
        lambda: group.main(words, prog_name="synthkit", standalone_mode=False, obj={"words": words}), words
    )


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(run())
