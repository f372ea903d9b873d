"""Options of a privacy budget, shared by the verbs that spend or plan one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from synthkit.cli.common import PATH
from synthkit.errors import PrivacyError

if TYPE_CHECKING:
    from synthkit.privacy.budget import PrivacyBudget
    from synthkit.schema import Schema

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--epsilon",
        type=float,
        help="Privacy budget; needs --delta and a declared --schema (scans: --size, --intensity, --records).",
    ),
    click.option("--delta", type=float, help="Chance that the guarantee fails; below one in ten times the records."),
    click.option(
        "--unit",
        metavar="COL",
        help="The column that names the person; each row is one when left out. Of scans: patient or scan.",
    ),
    click.option(
        "--rows-per-unit",
        type=click.IntRange(min=1),
        help="Rows or scans of one person that are used.  [default: 1]",
    ),
    click.option(
        "--adjacency",
        type=click.Choice(["add-remove", "replace-one"]),
        help="What neighbouring tables are.  [default: add-remove]",
    ),
    click.option(
        "--records",
        type=click.IntRange(min=1),
        help="The public number of records, if the schema has none; of scans that of patients.",
    ),
    click.option(
        "--buy",
        type=click.Choice(["records", "categories"]),
        multiple=True,
        help="Buy this from the budget instead of declaring it. May be given several times.",
    ),
    click.option(
        "--privacy-engine",
        "engine",
        type=click.Choice(["auto", "anchor", "dp-sgd", "hybrid", "embedding", "critic"]),
        help="Tables: noisy marginals (anchor), a critic under DP-SGD, or both (hybrid). Scans: one noisy mean of "
        "features (embedding), a critic under DP-SGD, or both (hybrid).  [default: auto]",
    ),
)


@dataclass(frozen=True)
class BudgetOptions:
    """What was asked for on the command line; None where an option was left out."""

    epsilon: float | None
    delta: float | None
    unit: str | None
    rows_per_unit: int | None
    adjacency: str | None
    records: int | None
    buy: tuple[str, ...]
    engine: str | None

    def budget(self) -> PrivacyBudget | None:
        """The budget, or None without one.

        Raises
        ------
        PrivacyError
            An option of privacy without a budget, or half a budget.
        """
        from synthkit.privacy.budget import PrivacyBudget

        if self.epsilon is None:
            given = [name for name, value in vars(self).items() if value not in (None, ())]
            if given:
                raise PrivacyError(f"--{given[0].replace('_', '-')} is given without --epsilon", remedy="add --epsilon")
            return None
        if self.delta is None:
            raise PrivacyError(
                "--epsilon is given without --delta", remedy="add --delta, at most 1 / (10 x number of records)"
            )
        return PrivacyBudget(
            self.epsilon,
            self.delta,
            unit=self.unit or "row",
            adjacency=self.adjacency or "add-remove",  # type: ignore[arg-type]
            rows_per_unit=self.rows_per_unit or 1,
        )

    def declared(self, schema: Schema | None) -> Schema:
        """The schema with the number of records of the command line.

        Raises
        ------
        PrivacyError
            There is no schema.
        """
        if schema is None:
            raise PrivacyError(
                "--epsilon is given without --schema: an inferred schema would read the data outside the budget",
                remedy="write one (`synthkit inspect` shows the form), check it and add --schema FILE",
            )
        return schema if self.records is None else dataclasses.replace(schema, records=self.records)


def budget_options(command: Command) -> Command:
    """Add the options of a budget; the command gets them as one `BudgetOptions` named ``asked``."""
    names = [field.name for field in dataclasses.fields(BudgetOptions)]

    def gathered(*args: Any, **options: Any) -> Any:
        asked = BudgetOptions(**{name: options.pop(name) for name in names})
        return command(*args, asked=asked, **options)

    gathered.__doc__, gathered.__name__ = command.__doc__, command.__name__
    # options that the command declared before this decorator was applied
    gathered.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


ledger_option = click.option(
    "--ledger", "ledger", type=PATH, help="File of all releases from this data; refuses to overspend them together."
)
noise_option = click.option(
    "--reproducible-noise",
    type=click.IntRange(min=0),
    metavar="SEED",
    help="For tests only: seeds the noise. The model is then NOT PRIVATE.",
)
