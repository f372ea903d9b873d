"""Between `TableGAN` and a fit under a privacy budget: the plan of a schema, the ledger, and what the file tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pandas as pd

from synthkit.errors import InputError, PrivacyError, unknown_name
from synthkit.gan.trainer import Trainer
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import CATEGORIES_OF
from synthkit.privacy.ledger import Ledger, LedgerFile
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.plan import BUYABLE, ENGINES, ReleasePlan, plan_release
from synthkit.random import RandomSource
from synthkit.schema import Schema
from synthkit.tables.constraints import check_public
from synthkit.tables.declared import (
    bought_levels,
    check_declared,
    is_modelled,
    needs_categories,
    schema_digest,
    with_public_domains,
)
from synthkit.tables.fitted import FittedTable
from synthkit.tables.plan import FitPlan, budget_settings
from synthkit.tables.private_fit import PrivateTableFit
from synthkit.tables.statistics import is_number

FORMAT_VERSION = 1


@dataclass(frozen=True)
class PrivacySettings:
    """How a budget is to be spent.

    Attributes
    ----------
    budget
        Epsilon, delta, unit and adjacency.
    engine
        "anchor", "dp-sgd", "hybrid" or "auto".
    buy
        What is bought instead of declared: "records", "categories".
    ledger
        File of releases from the same data, or None.
    reproducible_noise
        Seed of the noise for tests, or None for the operating system's; with a seed nothing is private.
    """

    budget: PrivacyBudget
    engine: str = "auto"
    buy: tuple[str, ...] = ()
    ledger: Path | None = None
    reproducible_noise: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The settings of a `TableGAN`, checked.

        Raises
        ------
        InputError
            A setting that makes no sense, or one of privacy without a budget.
        """
        budget, buy, ledger = settings["privacy"], settings["buy"], settings["ledger"]
        if isinstance(buy, str):
            buy = (buy,)
        if budget is None:
            given = budget_settings(settings)
            raise PrivacyError(f"{given[0]} is given without a privacy budget", remedy="give epsilon and delta too")
        if not isinstance(budget, PrivacyBudget):
            raise InputError(
                f"privacy is {budget!r}, expected a PrivacyBudget", remedy="PrivacyBudget(epsilon=1, delta=1e-6)"
            )
        if settings["privacy_engine"] not in ENGINES:
            raise PrivacyError(unknown_name("privacy engine", str(settings["privacy_engine"]), ENGINES))
        for one in buy:
            if one not in BUYABLE:
                raise PrivacyError(unknown_name("thing to buy", str(one), BUYABLE))
        if settings["generator"] != "codes":
            raise PrivacyError(
                f"generator={settings['generator']!r} reads the data without a budget, expected generator='codes'",
                remedy="choose how the budget is spent with the privacy engine (anchor, dp-sgd, hybrid)",
            )
        for name, without in (("adversary", "off"), ("validation_share", "auto")):
            if settings[name] not in ("auto", without):
                raise PrivacyError(
                    f"{name}={settings[name]!r} would read the data without a budget, expected {without!r}",
                    remedy="leave it out; a critic within the budget is --privacy-engine hybrid",
                )
        path = None if ledger is None else Path(ledger)
        return cls(budget, settings["privacy_engine"], tuple(buy), path, settings["reproducible_noise"])


def plan_for(schema: Schema, budget: PrivacyBudget, *, engine: str = "auto", buy: Sequence[str] = ()) -> ReleasePlan:
    """What a fit would read, with which noise, from public facts alone.

    Parameters
    ----------
    schema
        Declared description of the table, with the public number of records where it is not bought.
    budget
        The total.
    engine, buy
        As in `PrivacySettings`.

    Raises
    ------
    PrivacyError
        Something is neither declared nor bought (the remedy names the option), there is nothing to model, or the budget
        is impossible.
    """
    schema = with_public_domains(schema)
    check_declared(schema, unit=budget.unit, buy=buy)
    if schema.records is None and "records" not in buy:
        raise PrivacyError(
            "the number of records is not declared, and a budget must not count them for free",
            remedy="add 'records: N' to the schema, give --records N, or add --buy records",
        )
    columns = [column for column in schema if is_modelled(column, budget.unit)]
    if not columns:
        raise PrivacyError(
            f"none of the {len(schema)} columns of the schema can be modelled: all are identifiers, constants, free "
            "text or the unit of privacy",
            remedy="declare at least one other column",
        )
    levels = (len(bought_levels(column)) for column in columns if is_number(column))
    return plan_release(
        budget,
        columns=len(columns),
        levels=tuple(depth for depth in levels if depth),
        records=None if "records" in buy else schema.records,
        bought=tuple(column.name for column in columns if needs_categories(column)),
        engine=engine,
    )


def check_private(settings: Mapping[str, Any], schema: Schema | None) -> tuple[PrivacySettings, Schema, ReleasePlan]:
    """Check everything about a fit under a budget that can be checked before any data is read.

    Parameters
    ----------
    settings
        Those of a `TableGAN`.
    schema
        Declared; required.

    Returns
    -------
    tuple
        The settings of privacy, the schema with the domains that follow from dtypes, and the plan.

    Raises
    ------
    PrivacyError
        A setting or the schema does not allow a private fit, or the ledger file has no room for it.
    """
    private = PrivacySettings.of(settings)
    if schema is None:
        raise PrivacyError(
            "a fit under a budget needs a declared schema: an inferred one would read the data",
            remedy="write one (synthkit inspect shows the form), check it, and give it with --schema",
        )
    check_public(schema)
    schema = with_public_domains(schema)
    plan = plan_for(schema, private.budget, engine=private.engine, buy=private.buy)
    if private.ledger is not None and private.ledger.exists():
        file = LedgerFile(private.ledger)
        before = Ledger(private.budget, data=file.data, before=file.releases, total=file.total)
        before.plan(tuple(plan.events.values()))
    return private, schema, plan


def fit_private(
    frame: pd.DataFrame, schema: Schema | None, settings: Mapping[str, Any], training: FitPlan, trainer: Trainer
) -> FittedTable:
    """Fit a table under a budget; nothing of it is looked at before the plan is accepted.

    Parameters
    ----------
    frame
        The private table.
    schema
        Declared; required.
    settings
        Those of a `TableGAN`. The seed reaches the training only, never the noise.
    training
        Codes, loss and device.
    trainer
        Runs the stages.

    Raises
    ------
    PrivacyError
        Nothing was read: something is not declared, or the budget or the ledger does not allow it.

    Privacy
    -------
    (epsilon, delta) differential privacy of the returned model and of everything drawn from it, for the unit and
    adjacency of the budget, given what the schema declares.
    """
    private, schema, plan = check_private(settings, schema)
    trainer.message("measuring under the budget")
    noise = NoiseSource(reproducible_seed=private.reproducible_noise)
    with _ledger(private, plan) as ledger:
        fit = PrivateTableFit(
            plan,
            schema,
            ledger=ledger,
            noise=noise,
            random=RandomSource(settings["random_state"]),
            trainer=trainer,
            codes=training.n_codes,
            loss=training.loss,
            device=training.device,
        )
        fitted = fit.run(frame)
    fitted.privacy = _record(plan, fitted.encoder.schema, ledger, noise)
    fitted.report = {"columns": len(fitted.encoder.schema), **fitted.report}
    return fitted


def _ledger(settings: PrivacySettings, plan: ReleasePlan) -> AbstractContextManager[Ledger]:
    """A ledger of this fit alone, or the next release of a ledger file."""
    events = tuple(plan.events.values())
    if settings.ledger is not None:
        return LedgerFile.open_or_create(settings.ledger, settings.budget).release(settings.budget, events)
    ledger = Ledger(settings.budget)
    ledger.plan(events)
    return nullcontext(ledger)


def _record(plan: ReleasePlan, schema: Schema, ledger: Ledger, noise: NoiseSource) -> dict[str, Any]:
    """What the model file tells of its budget; the certificate and the linter read it."""
    from synthkit import __version__

    categories = [name.removeprefix(CATEGORIES_OF) for name in plan.events if name.startswith(CATEGORIES_OF)]
    numbers = [column for column in schema if is_modelled(column, plan.budget.unit) and is_number(column)]
    critic = plan.events.get("critic")
    return {
        "format_version": FORMAT_VERSION,
        "ledger": ledger.to_json(),
        "engine": plan.engine,
        "unit": plan.budget.unit,
        "records": plan.records,
        "bought": {
            "records": plan.records is None,
            "bins": [column.name for column in numbers if bought_levels(column)],
            "categories": categories,
        },
        "declared": {
            "columns": schema.names,
            "schema_sha256": schema_digest(schema, categories),
        },
        "noise": {"private": noise.is_private},
        "critic": critic and {"sampling_probability": critic.sampling_probability, "steps": critic.count},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"synthkit": __version__},
    }
