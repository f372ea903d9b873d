"""Options of reading gene expression, shared by the verbs that read some, and how a reading is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from synthkit.cli.kinds import given

if TYPE_CHECKING:
    from synthkit.io.expression_reading import ExpressionReading
    from synthkit.io.expression_set import ExpressionSet, Measure
    from synthkit.io.kinds import Kind

Command = TypeVar("Command", bound=Callable[..., Any])

EXPRESSION: dict[str, str] = dict.fromkeys(("layer", "measure", "transpose", "cells", "drop_empty"), "expression")
"""Names of the parameters of `ExpressionOptions`, for `synthkit.cli.kinds.refuse_options`."""

_TEXT = (".csv", ".tsv", ".parquet")
_OPTIONS = (
    click.option(
        "--layer",
        metavar="NAME",
        help="Gene expression: the matrix to read, X, raw or the name of a layer. Counts are looked for when left out.",
    ),
    click.option(
        "--measure",
        type=click.Choice(["auto", "counts", "log", "rates", "intensities"]),
        default="auto",
        show_default=True,
        help="Gene expression: what the values are. Given for a CSV, it says that this is gene expression.",
    ),
    click.option(
        "--transpose",
        type=click.Choice(["auto", "yes", "no"]),
        default="auto",
        show_default=True,
        help="Gene expression: whether rows are genes.",
    ),
    click.option(
        "--cells",
        metavar="TABLE",
        help="Gene expression: a table with a row per cell (labels, batches, donors); labels.csv?cell=barcode names "
        "the column of cells.",
    ),
    click.option("--drop-empty", is_flag=True, help="Gene expression: leave out cells that are zero in every gene."),
)


@dataclass(frozen=True)
class ExpressionOptions:
    """How gene expression is read, as on the command line."""

    layer: str | None
    measure: str
    transpose: str
    cells: str | None
    drop_empty: bool

    def reading(self, path: Path, *, drop_empty: bool | None = None) -> ExpressionReading:
        """Read gene expression, and say nothing.

        Parameters
        ----------
        path
            A file or folder.
        drop_empty
            Instead of what the command line says.

        Raises
        ------
        InputError
            As `synthkit.read_expression` does.
        """
        from synthkit.io.expression import read_expression

        return read_expression(
            path,
            layer=self.layer,
            measure=None if self.measure == "auto" else cast("Measure", self.measure),
            transpose="auto" if self.transpose == "auto" else self.transpose == "yes",
            cells=self.cells,
            drop_empty=self.drop_empty if drop_empty is None else drop_empty,
        )

    def read(self, path: Path, *, quiet: bool = False) -> ExpressionSet:
        """Read gene expression, and say on standard error what was found; cells that are left out even when quiet.

        Raises
        ------
        InputError
            As `synthkit.read_expression` does.
        """
        found = self.reading(path)
        if not quiet:
            click.echo(found.describe(), err=True)
        elif found.n_empty:
            click.echo(f"note: {found.notes[-1]}", err=True)
        return found.data


def expression_options(command: Command) -> Command:
    """Add the options of reading gene expression; the command gets them as one argument named ``expression``."""
    names = [field.name for field in dataclasses.fields(ExpressionOptions)]

    def gathered(*args: Any, **options: Any) -> Any:
        expression = ExpressionOptions(**{name: options.pop(name) for name in names})
        return command(*args, expression=expression, **options)

    gathered.__doc__, gathered.__name__ = command.__doc__, command.__name__
    # options that the command declared before this decorator was applied
    gathered.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


def kind_of_input(data: object) -> Kind:
    """Tell what kind of data an input holds; a CSV or Parquet file is expression if an option of reading such is given.

    Parameters
    ----------
    data
        As `synthkit.io.kinds.kind_of` takes it.
    """
    from synthkit.io.kinds import kind_of

    kind = kind_of(data)
    if kind == "table" and isinstance(data, Path) and any(given(name) for name in EXPRESSION):
        suffixes = Path(str(data).partition("?")[0]).suffixes[-2:]
        if any(suffix.lower() in _TEXT for suffix in suffixes) and not data.is_dir():
            return "expression"
    return kind
