"""What the verbs share: options, how errors are told, and what is shown while something runs."""

from __future__ import annotations

import errno
import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TextIO, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from synthkit.errors import InputError, SynthkitError
from synthkit.io.source import Address, is_address, masked

INTERRUPTED = 130
_PACKAGE = str(Path(__file__).resolve().parent.parent)
_QUERY = "synthkit.query"
_QUERY_USED = "synthkit.query_used"

F = TypeVar("F", bound=Callable[..., Any])

# ------------------------------------------------------------ options

# Existence and readability are checked by the readers, which say more than click can.
PATH = click.Path(path_type=Path)


class SourceType(click.ParamType[Path | Address]):
    """A table to read: a path, or an address of a database, to which a query of ``--query`` is added."""

    name = "source"
    _writes: ClassVar[bool] = False

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path | Address:
        """Return a path or an address; InputError for an address that makes no sense."""
        if isinstance(value, Path | Address):
            return value
        text = str(value)
        if not is_address(text):
            return Path(text)
        query = None if ctx is None or self._writes else ctx.meta.get(_QUERY)
        if query is None or "?table=" in text or "&table=" in text:
            return Address.parse(text)
        if ctx is not None:
            ctx.meta[_QUERY_USED] = True
        return Address.parse(text, query=query)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete names of files."""
        return [CompletionItem(incomplete, type="file")]


class SinkType(SourceType):
    """A table to write: a path, or an address of a database."""

    name = "sink"
    _writes: ClassVar[bool] = True


# A table to read and a table to write: a `Path`, or an `Address` where it lies in a database.
Source = Path | Address
SOURCE = SourceType()
SINK = SinkType()


def query_option(command: F) -> F:
    """Add ``--query SQL``, which says what is read from a DATA that is the address of a database."""

    def keep(ctx: click.Context, _: click.Parameter, query: str | None) -> None:
        if query is not None:
            ctx.meta[_QUERY] = query

    @functools.wraps(command)
    def checked(*arguments: Any, **options: Any) -> Any:
        meta = click.get_current_context().meta
        if _QUERY in meta and not meta.get(_QUERY_USED):
            raise InputError(
                "--query needs the address of a database without a table", remedy="Give it as in postgresql://host/db."
            )
        return command(*arguments, **options)

    option = click.option(
        "--query",
        metavar="SQL",
        is_eager=True,
        expose_value=False,
        callback=keep,
        help="Read what this query gives, where DATA is the address of a database without ?table=.",
    )
    return option(cast(F, checked))


def output_option(command: F) -> F:
    """Add ``-o OUT``, also called ``--to``: the table to write, as the argument `output` (a `Path` or an `Address`)."""
    return click.option(
        "-o",
        "--output",
        "--to",
        "output",
        type=SINK,
        required=True,
        metavar="OUT",
        help="A file (.csv, .tsv, .jsonl, .parquet, .feather, .arrow), or the address of a table in a database.",
    )(command)


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
        message = masked(message)  # click repeats words of the command line
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
def row_progress(total: int, *, quiet: bool = False, unit: str = "rows") -> Iterator[Callable[[int], None]]:
    """Give a function that is told how many more rows are done, and show a bar on a terminal.

    Parameters
    ----------
    total
        Rows to come.
    quiet
        Show nothing. Without a terminal nothing is shown either.
    unit
        What is counted, in the plural.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.completed:,.0f} " + unit), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(unit, total=total)
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
