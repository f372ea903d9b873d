"""What the verbs share: options, how errors are told, and what is shown while something runs."""

from __future__ import annotations

import errno
import math
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TextIO

import click

from synthkit.errors import InputError, SynthkitError

INTERRUPTED = 130
_PACKAGE = str(Path(__file__).resolve().parent.parent)

# ------------------------------------------------------------ options

# Existence and readability are checked by the readers, which say more than click can.
PATH = click.Path(path_type=Path)
# A table to read: a path now, and what else `synthkit.io.read_table` understands.
SOURCE = PATH

seed_option = click.option(
    "--seed", type=click.IntRange(min=0), help="Repeat a run exactly: same seed, same bytes. Drawn anew when left out."
)
quiet_option = click.option("--quiet", is_flag=True, help="Show no progress; errors are still shown.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
where_option = click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Only rows with COL=VALUE, COL=a|b (any of them), COL=lo..hi, COL>=5 or COL<=5; COL= means missing. "
    "May be given several times: all of them hold.",
)
device_option = click.option("--device", default="cpu", show_default=True, help="Where to train: cpu, cuda, cuda:1.")


class Interrupted(SynthkitError):
    """Ctrl-C, with what was kept."""

    exit_code: ClassVar[int] = INTERRUPTED


# ------------------------------------------------------------ errors


def one_line_errors(action: Callable[[], object], arguments: Sequence[str]) -> int:
    """Run an action of the command line, tell any expected error in one line, and return the exit code.

    A mistake of the toolkit itself (any other exception) keeps its traceback, because it is needed to mend it.

    Parameters
    ----------
    action
        What to do. A returned whole number is the exit code.
    arguments
        The words of the command line; ``--debug`` before the verb asks for tracebacks.
    """
    debug = os.environ.get("SYNTHKIT_DEBUG", "").lower() not in ("", "0", "false", "no", "off")
    for word in arguments:
        if not word.startswith("-"):
            break
        debug = debug or word == "--debug"
    try:
        with plain_warnings(debug):
            result = action()
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output (head, less) has seen enough; what is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (
        SynthkitError,
        click.ClickException,
        click.Abort,
        KeyboardInterrupt,
        MemoryError,
        OSError,
        RuntimeError,
    ) as error:
        described = describe_error(error)
        if described is None:
            raise
        if debug:
            traceback.print_exception(error)
        message, exit_code = described
        click.echo(f"synthkit: error: {message}" if exit_code != INTERRUPTED else f"synthkit: {message}", err=True)
        return exit_code
    return result if isinstance(result, int) else 0


def describe_error(error: BaseException) -> tuple[str, int] | None:
    """Return the sentence and the exit code for an error that can be expected, or None for one that cannot."""
    match error:
        case SynthkitError():
            return str(error), error.exit_code
        case click.UsageError(ctx=click.Context() as context):
            return f"{_sentence(error.format_message())} See `{context.command_path} --help`.", error.exit_code
        case click.ClickException():
            return error.format_message(), error.exit_code
        case click.Abort() | KeyboardInterrupt():
            return "interrupted; nothing was written.", INTERRUPTED
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return (
                "the disk is full; nothing was written. Free some space or choose another place.",
                InputError.exit_code,
            )
        case OSError():
            where = f" '{error.filename}'" if error.filename else ""
            return (
                f"the operating system refused{where}: {(error.strerror or str(error)).lower()}.",
                SynthkitError.exit_code,
            )
        case MemoryError():
            return _OUT_OF_MEMORY, SynthkitError.exit_code
        case RuntimeError() if "allocate memory" in str(error) or "out of memory" in str(
            error
        ):  # torch's way to say it
            return _OUT_OF_MEMORY, SynthkitError.exit_code
    return None


_OUT_OF_MEMORY = "there is not enough memory; nothing was written. Use fewer rows or columns, or a larger machine."


@contextmanager
def plain_warnings(debug: bool = False) -> Iterator[None]:
    """Show the toolkit's own warnings as one line each, and those of libraries only when debugging."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if debug or filename.startswith(_PACKAGE):
            click.echo(f"synthkit: warning: {' '.join(str(message).split())}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        # shown, whatever the environment says about warnings: they tell what happened to the user's data
        warnings.filterwarnings("default", category=UserWarning)
        yield


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else text + "."


# ------------------------------------------------------------ showing


@contextmanager
def row_progress(total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how many more rows are done, and show a bar on a terminal.

    Parameters
    ----------
    total
        Rows to come.
    quiet
        Show nothing. Without a terminal nothing is shown either.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.completed:,.0f} rows"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rows", total=total)
        yield lambda rows: progress.update(task, advance=rows)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values in two columns, leaving out values that are None."""
    shown = {name: str(value) for name, value in facts.items() if value is not None}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        first, *rest = value.splitlines() or [""]
        click.echo(f"{name:<{width}}  {first}".rstrip())
        for line in rest:
            click.echo(f"{'':<{width}}  {line}".rstrip())


def json_safe(value: Any) -> Any:
    """Return a value that JSON can hold: NaN and infinities become null, numpy becomes plain Python."""
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_safe(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [json_safe(entry) for entry in value]
    return value if value is None or isinstance(value, str | int) else str(value)
