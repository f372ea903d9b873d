"""``synthkit privacy``: what a budget buys, whether a private model is one, its certificate, its ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthkit.cli.budget import BudgetOptions, budget_options
from synthkit.cli.common import PATH, json_option, print_facts
from synthkit.errors import GateError, InputError, PrivacyError, unknown_name
from synthkit.plain_json import plain_json

if TYPE_CHECKING:
    from synthkit.privacy.linter import LintReport
    from synthkit.privacy.private_model import PrivateModel

# what is modelled -> module with a function `lint`
LINTERS = {
    "table": "synthkit.tables.private_lint",
    "scans": "synthkit.scans.private_lint",
    "expression": "synthkit.expression.private_lint",
}
_FORMS = (".txt", ".html", ".json")


class Subcommands(click.Group):
    """A group that names the nearest subcommand for an unknown one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand, or name the nearest one."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise InputError(
                unknown_name("subcommand of privacy", args[0], self.commands), remedy="See `synthkit privacy --help`."
            )
        return super().resolve_command(ctx, args)


@click.group(cls=Subcommands, subcommand_metavar="SUBCOMMAND [ARGS]...")
def command() -> None:
    """Plan a privacy budget, check a model that was fitted under one, and print what is guaranteed.

    \b
    synthkit privacy plan --schema declared.yaml --epsilon 1 --delta 1e-6
    synthkit fit people.csv --schema declared.yaml --epsilon 1 --delta 1e-6 -o people.synth
    synthkit privacy lint people.synth
    synthkit privacy certificate people.synth -o certificate.html
    """


@command.command()
@click.option("--schema", "schema_path", type=PATH, help="The declared schema of the table.")
@click.option("--size", metavar="SIZE", help="Scans, instead of a schema: samples along each axis, such as 64x64.")
@click.option("--window", "--intensity", "window", metavar="LOW..HIGH", help="Scans: declared range of intensities.")
@click.option("--classes", metavar="a,b", help="Scans: declared classes, or a=100,b=200 with public numbers.")
@click.option("--steps", type=click.IntRange(min=1), help="Scans: steps of the critic.")
@click.option("--batch", type=click.IntRange(min=1), help="Scans: patients in a step of the critic, on average.")
@budget_options
@json_option
def plan(
    schema_path: Path | None,
    size: str | None,
    window: str | None,
    classes: str | None,
    steps: int | None,
    batch: int | None,
    as_json: bool,
    asked: BudgetOptions,
) -> None:
    """Show what a budget would be spent on and how far off the result would be; no data is read.

    \b
    synthkit privacy plan --schema declared.yaml --epsilon 1 --delta 1e-6
    synthkit privacy plan --size 64x64 --intensity 0..255 --classes benign,malignant \\
        --records 2000 --epsilon 10 --delta 1e-5 --unit patient --rows-per-unit 4
    """
    if asked.epsilon is None:
        raise PrivacyError("a plan needs a budget, and --epsilon is missing", remedy="add --epsilon and --delta")
    of_scans = {"size": size, "intensity": window, "classes": classes, "steps": steps, "batch": batch}
    given = [name for name, value in of_scans.items() if value is not None]
    if schema_path is None and not given:
        raise InputError(
            "a plan needs what is declared, and --schema is missing",
            remedy="Add --schema FILE for a table, or --size, --intensity and --records for scans.",
        )
    if schema_path is not None and given:
        raise InputError(f"--{given[0]} is for scans, and --schema is for tables", remedy=f"Leave --{given[0]} out.")
    if schema_path is None:
        from synthkit.cli.scan_privacy import show_plan

        show_plan(asked, size=size, window=window, classes=classes, steps=steps, batch=batch, as_json=as_json)
        return

    from synthkit.schema import Schema

    budget = asked.budget()
    schema = asked.declared(Schema.load(schema_path))
    if budget is None:
        return

    from synthkit.tables.outlook import outlook
    from synthkit.tables.private import plan_for

    found = outlook(schema, plan_for(schema, budget, engine=asked.engine or "auto", buy=asked.buy))
    if as_json:
        _print_json(found.to_json())
    else:
        click.echo(found.to_text(), nl=False)


@command.command()
@click.argument("model_path", metavar="MODEL", type=PATH)
@json_option
def lint(model_path: Path, as_json: bool) -> None:
    """Check the private model MODEL against its own ledger and schema: exit code 3 if anything is wrong.

    Everything is worked out again from the file; no data is needed. A model that was fitted without a budget is refused
    with exit code 2.

    \b
    synthkit privacy lint people.synth
    """
    found = lint_model(_opened(model_path))
    if as_json:
        _print_json(found.to_json())
    else:
        click.echo(found.to_text(), nl=False)
    if found.failed:
        names = ", ".join(finding.check for finding in found.failed)
        raise GateError(
            f"{len(found.failed)} of {len(found.findings)} checks of '{model_path}' fail: {names}",
            remedy="Do not release the model; fit it again under a budget.",
        )


@command.command()
@click.argument("model_path", metavar="MODEL", type=PATH)
@click.option(
    "-o",
    "--output",
    "outputs",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Write it to a file: .html (to print and sign), .txt or .json. May be given several times.",
)
@click.option("--opacus", is_flag=True, help="Ask the accountants of Opacus too, if it is installed.")
@json_option
def certificate(model_path: Path, outputs: tuple[Path, ...], opacus: bool, as_json: bool) -> None:
    """Print the certificate of the private model MODEL: what is guaranteed, what it means, what is not covered.

    The checks of `synthkit privacy lint` run too. A model that is not private gets a certificate that says so, and exit
    code 3.

    \b
    synthkit privacy certificate people.synth -o certificate.html
    """
    from synthkit.archive import atomic_path, check_output

    for output in outputs:
        if output.suffix.lower() not in _FORMS:
            raise InputError(
                f"the certificate '{output}' has the suffix {output.suffix!r}, expected one of {', '.join(_FORMS)}",
                remedy="Name the file after what it shall be.",
            )
        check_output(output, inputs=[model_path])
    model = _opened(model_path)

    from synthkit.privacy.certificate import certify

    found = certify(model, lint=lint_model(model), opacus=opacus)
    texts: dict[str, Callable[[], str]] = {
        ".txt": found.to_text,
        ".html": found.to_html,
        ".json": lambda: _as_json(found.to_json()),
    }
    for output in outputs:
        with atomic_path(output) as temporary:
            temporary.write_text(texts[output.suffix.lower()](), encoding="utf-8")
        click.echo(f"certificate written to {output}", err=as_json)
    if as_json:
        click.echo(texts[".json"](), nl=False)
    elif not outputs:
        click.echo(texts[".txt"](), nl=False)
    if not found.holds:
        raise GateError(found.stamps[0], remedy="Do not release the model.")


@command.command()
@click.argument("path", metavar="FILE", type=PATH)
@click.option("--create", is_flag=True, help="Make the file; needs --epsilon and --delta, the total of all releases.")
@click.option("--epsilon", type=float, help="With --create: the total budget of the data.")
@click.option("--delta", type=float, help="With --create: its delta.")
@click.option("--data", "name", default="", metavar="NAME", help="With --create: what the data is called.")
@click.option("--unit", metavar="COL", help="With --create: the column that names the person; each row when left out.")
@click.option("--rows-per-unit", type=click.IntRange(min=1), help="With --create: rows of one person that are used.")
@click.option(
    "--adjacency",
    type=click.Choice(["add-remove", "replace-one"]),
    help="With --create: what neighbouring tables are.  [default: add-remove]",
)
@json_option
def ledger(
    path: Path,
    create: bool,
    epsilon: float | None,
    delta: float | None,
    name: str,
    unit: str | None,
    rows_per_unit: int | None,
    adjacency: str | None,
    as_json: bool,
) -> None:
    """Show what was released from one data set and what is left of its budget, from the ledger FILE.

    A fit with `--ledger FILE` adds its release to it, and is refused when too little is left.

    \b
    synthkit privacy ledger people.ledger.json --create --epsilon 3 --delta 1e-6
    synthkit privacy ledger people.ledger.json
    """
    from synthkit.privacy.budget import PrivacyBudget
    from synthkit.privacy.ledger import LedgerFile

    options = {
        "epsilon": epsilon, "delta": delta, "data": name, "unit": unit, "rows-per-unit": rows_per_unit,
        "adjacency": adjacency,
    }  # fmt: skip
    if not create:
        given = [option for option, value in options.items() if value not in (None, "")]
        if given:
            raise InputError(f"--{given[0]} is given without --create", remedy="Add --create, or leave it out.")
        file = LedgerFile(path)
    else:
        if epsilon is None or delta is None:
            missing = "--epsilon" if epsilon is None else "--delta"
            raise PrivacyError(f"a new ledger needs a total budget, and {missing} is missing", remedy=f"Add {missing}.")
        total = PrivacyBudget(
            epsilon,
            delta,
            unit=unit or "row",
            adjacency=adjacency or "add-remove",  # type: ignore[arg-type]
            rows_per_unit=rows_per_unit or 1,
        )
        file = LedgerFile.create(path, total, name)
    content = _ledger_facts(file)
    if as_json:
        _print_json(content)
    else:
        _show_ledger(path, content)


def lint_model(model: PrivateModel) -> LintReport:
    """Run the checks for the kind of a model.

    Raises
    ------
    InputError
        There are no checks for this kind.
    """
    if model.kind not in LINTERS:
        raise InputError(unknown_name("kind of private model", model.kind, LINTERS), remedy="Upgrade synthkit.")
    found: LintReport = import_module(LINTERS[model.kind]).lint(model)
    return found


def _opened(path: Path) -> PrivateModel:
    from synthkit.privacy.private_model import PrivateModel

    return PrivateModel.open(path)


def _ledger_facts(file: Any) -> dict[str, Any]:
    """Return what a ledger file says, as plain values."""
    from synthkit.privacy.accounting import epsilon_spent

    total = file.total
    return {
        "data": file.data,
        "total": total.to_json(),
        "spent": file.epsilon(),
        "left": file.epsilon_left(),
        "releases": [
            {
                "name": release.name,
                "created": release.created,
                "status": release.status,
                "events": [event.name for event in release.events],
                "epsilon": epsilon_spent(release.events, total.delta, total.adjacency),
            }
            for release in file.releases
        ],
    }


def _show_ledger(path: Path, content: dict[str, Any]) -> None:
    from synthkit.privacy.describe import short

    total = content["total"]
    print_facts(
        {
            "ledger": path,
            "data": content["data"] or None,
            "budget": f"epsilon {short(total['epsilon'])}, delta {short(total['delta'])}, {total['adjacency']}",
            "unit": total["unit"],
            "rows per unit": total["rows_per_unit"],
            "spent": f"epsilon {content['spent']:.4g}",
            "left": f"epsilon {content['left']:.4g} for one more release of counts" if content["left"] else "nothing",
            "releases": len(content["releases"]),
        }
    )
    for release in content["releases"]:
        unfinished = "" if release["status"] == "finished" else ", not finished: all that was planned counts"
        click.echo(f"  {release['name']}  {release['created']}  epsilon {release['epsilon']:.4g} by itself{unfinished}")


def _as_json(content: dict[str, Any]) -> str:
    return json.dumps(plain_json(content), indent=2, ensure_ascii=False) + "\n"


def _print_json(content: dict[str, Any]) -> None:
    click.echo(_as_json(content), nl=False)
