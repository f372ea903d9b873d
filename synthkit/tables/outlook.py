"""What a privacy budget buys for a table, told before any data is read."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from synthkit.html_table import facts, folded, page
from synthkit.privacy.accounting import epsilon_spent
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.describe import EventLine, describe_events, percent, short, unit_in_words
from synthkit.privacy.plan import ReleasePlan
from synthkit.privacy.showing import budget_facts, events_table
from synthkit.privacy.tradeoff import Meaning, meaning
from synthkit.schema import Column, Schema
from synthkit.tables.declared import bought_levels, bounds_of, is_modelled
from synthkit.tables.statistics import is_number

# events whose noise is the error of a share, and of what
_SHARES = {"margins": "the share of a value", "pairs": "the share of a pair of values"}


@dataclass(frozen=True)
class Outlook:
    """What a fit would read, and how far off it would be.

    Attributes
    ----------
    budget, engine
        As in the plan.
    records
        The public number of records; None where it is bought.
    epsilon
        Of all events, by PLD.
    events
        One line each.
    errors
        By event: standard deviation of a share, from 0 to 1; empty where the number of records is bought.
    columns
        By name: what is measured of it, or why nothing is.
    meaning
        Bounds on attacks.
    """

    budget: PrivacyBudget
    engine: str
    records: int | None
    epsilon: float
    events: tuple[EventLine, ...]
    errors: dict[str, float]
    columns: dict[str, str]
    meaning: Meaning

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **asdict(self),
            "budget": self.budget.to_json(),
            "events": [event.to_json() for event in self.events],
        }

    def to_text(self, width: int = 100) -> str:
        """Return the outlook for a terminal, no line longer than `width`, apart from long names of columns."""
        budget = self.budget
        unit = f"one {unit_in_words(budget)}"
        known = "a number of records that is bought" if self.records is None else f"{self.records:,} records"
        lines = [
            f"epsilon {short(budget.epsilon)}, delta {short(budget.delta)}, {budget.adjacency}; protected is {unit}",
            f"engine {self.engine}, {known}; no data was read",
            "",
            *_table(self.events, self.errors),
            "",
            f"All events together spend epsilon {self.epsilon:.5g} (PLD).",
        ]
        for name, error in self.errors.items():
            text = f"{_SHARES[name]} is off by about {_points(error)}"
            later = ", before all tables are fitted together, which lowers it" if name == "pairs" else ""
            lines += textwrap.wrap(f"Expected error: {text} (one standard deviation){later}.", width)
        lines += textwrap.wrap(self._bound(), width)
        longest = max(map(len, self.columns), default=0)
        lines += ["", "columns", *(f"  {column:<{longest}}  {text}" for column, text in self.columns.items())]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def _bound(self) -> str:
        attack = self.meaning.attacks[0]
        return (
            f"An attacker who wrongly accuses {percent(attack.fpr)} finds at most {percent(attack.by_events)} of those "
            "who were in the data."
        )

    def __repr__(self) -> str:
        budget = self.budget
        return (
            f"Outlook(epsilon {short(budget.epsilon)}, delta {short(budget.delta)}, engine {self.engine!r}, "
            f"{len(self.events)} events, {len(self.columns)} columns)"
        )

    def _repr_html_(self) -> str:
        errors = {name: f"{_SHARES[name]} is off by about {_points(error)}" for name, error in self.errors.items()}
        return page(
            "What a privacy budget buys; no data was read",
            facts(budget_facts(self.budget, self.engine, self.records, self.epsilon)),
            events_table(self.events, errors),
            self._bound(),
            folded(f"{len(self.columns):,} columns", facts(self.columns)),
        )


def outlook(schema: Schema, plan: ReleasePlan) -> Outlook:
    """Return what a plan means for the columns of a schema.

    Parameters
    ----------
    schema
        Declared description of the table.
    plan
        From `synthkit.tables.private.plan_for` of the same schema.
    """
    events = tuple(plan.events.values())
    errors = {}
    if plan.records is not None:
        errors = {name: plan.sigma(name) / plan.records for name in _SHARES if name in plan.events}
    return Outlook(
        budget=plan.budget,
        engine=plan.engine,
        records=plan.records,
        epsilon=epsilon_spent(events, plan.budget.delta, plan.budget.adjacency),
        events=describe_events(events, plan.budget),
        errors=errors,
        columns={column.name: _measured(column, plan) for column in schema},
        meaning=meaning(events, plan.budget),
    )


def _measured(column: Column, plan: ReleasePlan) -> str:
    """What is measured of a column."""
    if column.name == plan.budget.unit:
        return "the unit of privacy: not measured, new values are made up"
    if not is_modelled(column, plan.budget.unit):
        return f"{column.type}: not measured"
    if not is_number(column):
        if column.categories is None:
            return "categories are bought, as far as they occur often enough"
        return f"{len(column.categories):,} categories"
    low, high = bounds_of(column)
    if not bought_levels(column):
        return f"one bin for each of {int(high) - int(low) + 1:,} values"
    most = "bins as many as the bought number of records allows"
    return most if plan.records is None else f"at most {plan.bins_for(plan.records):,} bins, bought within its bounds"


def _table(events: Sequence[EventLine], errors: dict[str, float]) -> list[str]:
    """Return the events in columns."""
    rows = [("event", "share", "noise, rows", "error of a share")]
    for event in events:
        rows.append(
            (
                event.name,
                f"{100 * event.share:.1f} %",
                "gradients" if event.noise_rows is None else f"{event.noise_rows:,.4g}",
                _points(errors[event.name]) if event.name in errors else "",
            )
        )
    name = max(len(row[0]) for row in rows)
    return [f"{row[0]:<{name}}  {row[1]:>7}  {row[2]:>12}  {row[3]}".rstrip() for row in rows]


def _points(error: float) -> str:
    return f"{100 * error:.2g} percentage points"
