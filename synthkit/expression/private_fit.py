"""A fit of expression under a privacy budget: noisy class moments along public loadings, and a sampler made of them.

The only lines that see private cells are those inside ``reading``, in `synthkit.expression.private_sums`. What they
return is noisy; everything after is post-processing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthkit.errors import PrivacyError
from synthkit.expression.loadings import PublicLoadings, public_loadings
from synthkit.expression.private_domain import (
    ExpressionDomain,
    declared_classes,
    declared_longest,
    genes_sha256,
    unit_of,
)
from synthkit.expression.private_model import PrivateMomentsModel
from synthkit.expression.private_moments import MomentsRelease, NoisyMoments
from synthkit.expression.private_plan import ENGINE, Levels, MomentsPlan, plan_moments
from synthkit.expression.private_sums import private_rows
from synthkit.expression.space import ExpressionSpace
from synthkit.io.expression_set import ExpressionSet
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.ledger import Ledger, LedgerFile
from synthkit.privacy.noise import NoiseSource
from synthkit.privacy.private_model import FORMAT_VERSION
from synthkit.privacy.wording import CELL, DONOR

# settings of an open fit that would read cells outside the budget
_WITHOUT = {
    "batch": "has no private fit: batches are not part of what is released",
    "covariates": "has no private fit: quantiles of covariates are those of single cells",
    "holdout": "would choose by cells that are held out, which is one more release",
    "genes": "would choose genes by how much they vary in the private cells",
}


@dataclass(frozen=True, eq=False)
class PrivateExpression:
    """All about a fit under a budget that is settled before any cell is read.

    Attributes
    ----------
    budget
        Its unit is "donor" or "cell".
    domain
        What is declared.
    loadings
        Public.
    plan
        What will be read, with which noise.
    warned
        What the fit warns of.
    ledger
        File of releases from the same cells, or None.
    """

    budget: PrivacyBudget
    domain: ExpressionDomain
    loadings: PublicLoadings
    plan: MomentsPlan
    warned: tuple[str, ...]
    ledger: Path | None

    def open_ledger(self) -> AbstractContextManager[Ledger]:
        """Return a ledger of this fit alone, or the next release of a ledger file."""
        events = tuple(self.plan.events.values())
        if self.ledger is not None:
            return LedgerFile.open_or_create(self.ledger, self.budget).release(self.budget, events)
        ledger = Ledger(self.budget)
        ledger.plan(events)
        return nullcontext(ledger)


def plan_privately(
    genes: pd.Index,
    settings: Mapping[str, Any],
    *,
    label: str | None = None,
    donor: str | None = None,
    loadings: PublicLoadings | ExpressionSet | str | Path = "random:32",
    classes: object = None,
    records: int | None = None,
    ledger: str | Path | None = None,
    measure: str = "counts",
) -> PrivateExpression:
    """Settle all about a fit under a budget that can be settled before any cell is read.

    Parameters
    ----------
    genes
        Ids of the genes, which are public.
    settings
        ``privacy`` is a `PrivacyBudget`; optional are ``levels`` ("public", "global" or "by class"), ``covariance``
        ("pooled" or "by class"), ``longest`` and ``dispersion``, as in `ExpressionDomain`. ``classes``, ``records`` and
        ``ledger`` are taken from here where they are not given otherwise.
    label, donor
        Columns of classes and of donors; None without.
    loadings
        What `synthkit.expression.loadings.public_loadings` reads.
    classes
        Names of the classes, or names with public numbers of units.
    records
        Public number of units; the sum of the public numbers where these are given.
    ledger
        File of all releases from these cells.
    measure
        What the values are; only counts have a private fit.

    Raises
    ------
    PrivacyError
        Something is not declared, would be read outside the budget, or the budget or ledger does not allow it.
    InputError
        Loadings that are none.
    """
    for name, why in _WITHOUT.items():
        value = settings.get(name)
        if value is not None and (value != "all" if isinstance(value, str) else len(value) > 0):
            raise PrivacyError(f"{name} under a privacy budget {why}", remedy=f"Leave {name} out.")
    asked = settings.get("privacy")
    if not isinstance(asked, PrivacyBudget):
        raise PrivacyError(f"privacy is {asked!r}, expected a PrivacyBudget", remedy="PrivacyBudget(10, 1e-6)")
    if measure != "counts":
        raise PrivacyError(
            f"the values are {measure}, and only counts have a private fit: how long a cell's vector can be is known "
            "of counts alone",
            remedy="Give counts.",
        )
    budget = unit_of(asked, donor)
    names, counts = declared_classes(settings.get("classes") if classes is None else classes, label)
    known = records if records is not None else settings.get("records")
    if known is None and not counts:
        raise PrivacyError(
            "the public number of units is not declared, and a budget must not count them for free",
            remedy="Give records=N: donors, or cells where each is a unit; a rounded number will do.",
        )
    ids = [str(gene) for gene in genes]
    public = public_loadings(loadings, ids)
    domain = ExpressionDomain(
        records=sum(counts) if known is None else known,
        genes_sha256=genes_sha256(ids),
        n_genes=len(ids),
        label=label,
        classes=names,
        counts=counts,
        loadings=public.source,
        loadings_sha256=public.sha256,
        dimensions=public.dimensions,
        levels=_levels(settings.get("levels"), public),
        covariance=settings.get("covariance") or "pooled",
        longest=declared_longest(settings.get("longest"), len(ids)),
        dispersion=settings.get("dispersion"),
    )
    plan = plan_moments(budget, domain.shape(budget.unit))
    warned = list(plan.check())
    if budget.unit == CELL:
        warned.append(
            "each cell is protected by itself, and a cell is no person: a donor with k cells has k times the epsilon; "
            "name the column of donors to protect people"
        )
    path = None if (ledger or settings.get("ledger")) is None else Path(ledger or settings["ledger"])
    private = PrivateExpression(budget, domain, public, plan, tuple(warned), path)
    if path is not None and path.exists():
        file = LedgerFile(path)
        before = Ledger(budget, data=file.data, before=file.releases, total=file.total)
        before.plan(tuple(plan.events.values()))
    return private


def fit_privately(
    data: ExpressionSet,
    settings: Mapping[str, Any],
    *,
    label: str | None = None,
    donor: str | None = None,
    loadings: PublicLoadings | ExpressionSet | str | Path = "random:32",
    classes: object = None,
    records: int | None = None,
    ledger: str | Path | None = None,
    reproducible_noise: int | None = None,
) -> tuple[ExpressionSpace, PrivateMomentsModel, dict[str, Any], dict[str, Any]]:
    """Fit counts under a privacy budget; no count is looked at before the plan is accepted.

    Parameters
    ----------
    data
        The private cells, or samples. The ids of their genes are taken as public.
    settings, label, donor, loadings, classes, records, ledger
        As for `plan_privately`.
    reproducible_noise
        Seed of the noise, for tests only: nothing is private then, and the certificate says so.

    Returns
    -------
    space : ExpressionSpace
        Declared classes with public or noisy counts, and ids of genes.
    model : PrivateMomentsModel
        Draws counts.
    report : dict
        What was released, and what was found out about the loadings.
    privacy : dict
        The record of privacy of the model file.

    Raises
    ------
    PrivacyError
        Nothing was read: something is not declared, or the budget or the ledger does not allow it.

    Warns
    -----
    UserWarning
        Cells are units, or units are few.

    Privacy
    -------
    (epsilon, delta) differential privacy of all that is returned and of everything drawn from it, under the adjacency
    of the budget, "add-remove" unless asked otherwise: sets of cells that differ by one donor with all cells (by one
    cell, where donors are not named), given what is declared (`ExpressionDomain`).
    """
    private = plan_privately(
        data.genes.index, settings, label=label, donor=donor, loadings=loadings, classes=classes, records=records,
        ledger=ledger, measure=data.measure,
    )  # fmt: skip
    codes = private.domain.codes_of(data.cells)
    units = _units(data.cells, donor) if private.budget.unit == DONOR else np.arange(len(data), dtype=np.int64)
    for text in private.warned:
        warnings.warn(text, UserWarning, stacklevel=2)
    noise = NoiseSource(reproducible_seed=reproducible_noise)
    with private.open_ledger() as opened:
        moments = MomentsRelease(
            private_rows(data.values, codes, units, opened),
            private.plan,
            private.loadings,
            noise,
            longest=private.domain.longest,
            counts=private.domain.counts,
        ).run()
    model = PrivateMomentsModel.of(moments, private.loadings, private.domain.dispersion)
    joint = np.array(private.domain.counts or np.rint(moments.shares * moments.bounds["units"]), np.int64).clip(min=1)
    space = private.domain.space(data.genes.index, joint)
    return space, model, _report(private, moments, model, joint), _record(private, opened, noise)


def _levels(value: object, loadings: PublicLoadings) -> Levels:
    """Return where the levels of genes come from: what was asked for, or what suits the loadings."""
    if value is None:
        if loadings.levels is not None:
            return "public"
        return "by class" if loadings.partial else "global"
    if value == "public" and loadings.levels is None:
        raise PrivacyError(
            "the levels of genes are to be public, and the loadings have none",
            remedy="Give loadings of a public cohort, or leave levels out to buy them.",
        )
    return value  # type: ignore[return-value]  # the domain refuses other values


def _units(cells: pd.DataFrame, donor: str | None) -> np.ndarray:
    """Number of the donor of each cell, -1 for a cell without one, which might be anybody's."""
    if donor is None or donor not in cells.columns:
        raise PrivacyError(f"there is no column of donors {donor!r} among the cells", remedy="Name a column of obs.")
    return np.asarray(pd.factorize(cells[donor])[0], np.int64)


def _report(
    private: PrivateExpression, moments: NoisyMoments, model: PrivateMomentsModel, joint: np.ndarray
) -> dict[str, Any]:
    """What the fit did: noisy and public numbers only."""
    classes = private.domain.classes or ("all",)
    return {
        "model": model.name,
        "engine": ENGINE,
        "unit": private.budget.unit,
        "genes": private.domain.n_genes,
        "classes": dict(zip(classes, joint.tolist(), strict=True)),
        "loadings": private.loadings.source,
        "levels": private.domain.levels,
        "dispersion": round(model.dispersion, 6),
        "bought": {name: round(value, 6) for name, value in moments.bounds.items()},
        "outlook": list(private.plan.outlook()),
        "notes": list(private.loadings.notes),
        "warned": list(private.warned),
    }


def _record(private: PrivateExpression, ledger: Ledger, noise: NoiseSource) -> dict[str, Any]:
    """Return what the model file tells of its budget; the certificate and the linter read it."""
    from synthkit import __version__

    return {
        "format_version": FORMAT_VERSION,
        "ledger": ledger.to_json(),
        "engine": ENGINE,
        "unit": private.budget.unit,
        "records": private.domain.records,
        "bought": {"records": False, "bins": [], "categories": []},
        "declared": {"domain": private.domain.to_dict(), "domain_sha256": private.domain.sha256},
        "noise": {"private": noise.is_private},
        "critic": None,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"synthkit": __version__},
    }
