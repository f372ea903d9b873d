"""Between `TableGAN` and a fit under a privacy budget: the plan of a schema, the ledger, and what the file tells."""

from __future__ import annotations

import hashlib
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
from synthkit.privacy.ledger import Ledger, LedgerFile
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.plan import BUYABLE, ENGINES, ReleasePlan, plan_release
from synthkit.random import RandomSource
from synthkit.schema import Schema
from synthkit.tables.declared import bought_levels, check_declared, is_modelled
from synthkit.tables.fitted import FittedTable
from synthkit.tables.plan import FitPlan
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
            given = [name for name in ("buy", "ledger", "reproducible_noise") if settings[name]]
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
        path = None if ledger is None else Path(ledger)
        return cls(budget, settings["privacy_engine"], tuple(buy), path, settings["reproducible_noise"])


def plan_for(
    schema: Schema,
    budget: PrivacyBudget,
    *,
    engine: str = "auto",
    buy: Sequence[str] = (),
    records: int | None = None,
) -> ReleasePlan:
    """What a fit would read, with which noise, from public facts alone.

    Parameters
    ----------
    schema
        Declared description of the table.
    budget
        The total.
    engine, buy
        As in `PrivacySettings`.
    records
        The public number of records; that of the schema when None.

    Raises
    ------
    PrivacyError
        Something is neither declared nor bought (the remedy names the option), or the budget is impossible.
    """
    check_declared(schema, unit=budget.unit, buy=buy)
    known = records if records is not None else schema.records
    if known is None and "records" not in buy:
        raise PrivacyError(
            "the number of records is not declared, and a budget must not count them for free",
            remedy="add 'records: N' to the schema, give --records N, or add --buy records",
        )
    columns = [column for column in schema if is_modelled(column, budget.unit)]
    levels = [len(bought_levels(column)) for column in columns if is_number(column)]
    bought = [column.name for column in columns if not is_number(column) and column.categories is None]
    return plan_release(
        budget,
        columns=len(columns),
        levels=[depth for depth in levels if depth],
        records=None if "records" in buy and records is None else known,
        bought=bought,
        engine=engine,
    )


def fit_settings(
    frame: pd.DataFrame,
    schema: Schema | None,
    target: str | None,
    settings: Mapping[str, Any],
    plan: FitPlan,
    trainer: Trainer,
    *,
    resume: bool,
) -> FittedTable:
    """Fit as the settings of a `TableGAN` say; nothing of the table is looked at before the plan is accepted.

    Raises
    ------
    PrivacyError
        As `fit_private`, and for a fit that is to be resumed.
    """
    private = PrivacySettings.of(settings)
    if resume:
        raise PrivacyError(
            "a fit under a budget keeps no checkpoint and cannot be resumed", remedy="fit again; it takes a minute"
        )
    if schema is not None and target is not None and schema.target != target:
        schema = schema.with_roles(target=target)
    trainer.message("measuring under the budget")
    random = RandomSource(settings["random_state"])
    fitted = fit_private(
        frame, schema, private, random, trainer, codes=plan.n_codes, loss=plan.loss, device=plan.device
    )
    fitted.report = {"columns": len(fitted.encoder.schema), **fitted.report}
    return fitted


def fit_private(
    frame: pd.DataFrame,
    schema: Schema | None,
    settings: PrivacySettings,
    random: RandomSource,
    trainer: Trainer,
    *,
    codes: int | None = None,
    loss: str = "wgan-gp",
    device: str = "cpu",
) -> FittedTable:
    """Fit a table under a budget.

    Parameters
    ----------
    frame
        The private table.
    schema
        Declared; required.
    settings
        The budget and how to spend it.
    random, trainer, codes, loss, device
        As for a fit without a budget. The seed reaches the training only, never the noise.

    Raises
    ------
    PrivacyError
        Nothing was read: something is not declared, or the budget or the ledger does not allow it.

    Privacy
    -------
    (epsilon, delta) differential privacy of the returned model and of everything drawn from it, for the unit and
    adjacency of the budget, given what the schema declares.
    """
    if schema is None:
        raise PrivacyError(
            "a fit under a budget needs a declared schema: an inferred one would read the data",
            remedy="write one (synthkit inspect shows the form), check it, and give it with --schema",
        )
    plan = plan_for(schema, settings.budget, engine=settings.engine, buy=settings.buy)
    noise = NoiseSource(reproducible_seed=settings.reproducible_noise)
    with _ledger(settings, plan) as ledger:
        fit = PrivateTableFit(
            plan, schema, unit=settings.budget.unit, ledger=ledger, noise=noise, random=random, trainer=trainer,
            codes=codes, loss=loss, device=device,
        )  # fmt: skip
        fitted = fit.run(frame)
    fitted.privacy = _record(plan, schema, ledger, noise)
    return fitted


def check_ledger(path: Path, budget: PrivacyBudget, plan: ReleasePlan) -> None:
    """Check that a ledger file, if there is one, has room for a plan; nothing is recorded.

    Raises
    ------
    PrivacyError
        The file is damaged, of another unit or adjacency, or what is left of its total is too little.
    """
    if path.exists():
        file = LedgerFile(path)
        Ledger(budget, data=file.data, before=file.releases, total=file.total).plan(tuple(plan.events.values()))


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

    columns = [column for column in schema if is_modelled(column, plan.budget.unit)]
    return {
        "format_version": FORMAT_VERSION,
        "ledger": ledger.to_json(),
        "engine": plan.engine,
        "unit": plan.budget.unit,
        "records": plan.records,
        "bought": {
            "records": plan.records is None,
            "bins": [column.name for column in columns if is_number(column) and bought_levels(column)],
            "categories": [column.name for column in columns if not is_number(column) and column.categories is None],
        },
        "declared": {
            "columns": schema.names,
            "schema_sha256": hashlib.sha256(schema.to_yaml().encode()).hexdigest(),
        },
        "noise": {"private": noise.is_private},
        "critic": None if plan.critic is None else vars(plan.critic) | {},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"synthkit": __version__},
    }
