"""How the plan of a private release is shown in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from synthkit.html_table import Html, facts, page, table
from synthkit.privacy.accounting import epsilon_spent
from synthkit.privacy.describe import EventLine, describe_events, short, unit_in_words

if TYPE_CHECKING:
    from synthkit.privacy.budget import PrivacyBudget
    from synthkit.privacy.plan import ReleasePlan


def release_html(plan: ReleasePlan) -> str:
    """Return the page of a plan: what is read with which noise, before anything is read."""
    events = tuple(plan.events.values())
    spent = epsilon_spent(events, plan.budget.delta, plan.budget.adjacency)
    told = budget_facts(plan.budget, plan.engine, plan.records, spent)
    return page(
        "Plan of a private release; no data was read",
        facts({**told, "columns": f"{plan.columns:,} are measured"}),
        events_table(describe_events(events, plan.budget)),
    )


def budget_facts(budget: PrivacyBudget, engine: str, records: int | None, spent: float) -> dict[str, object]:
    """Return what a plan is to keep and what it spends, by name."""
    return {
        "budget": f"epsilon {short(budget.epsilon)}, delta {short(budget.delta)}, {budget.adjacency}",
        "protected": f"one {unit_in_words(budget)}",
        "spent": f"epsilon {spent:.5g} by all events together (PLD)",
        "engine": engine,
        "records": "their number is bought" if records is None else f"{records:,}, public",
    }


def events_table(events: Sequence[EventLine], errors: Mapping[str, str] | None = None) -> Html:
    """Return the events of a plan, one row each.

    Parameters
    ----------
    events
        As `describe_events` returns them.
    errors
        By event: what its noise means, where that is known.
    """
    rows = [
        (
            event.name,
            event.reads,
            event.mechanism,
            f"{100 * event.share:.1f} %",
            "" if event.noise_rows is None else f"{event.noise_rows:,.4g}",
            *([errors.get(event.name, "")] if errors else []),
        )
        for event in events
    ]
    headings = ("event", "reads", "noise", "share of the budget", "noise, rows", "expected error")
    return table(headings if errors else headings[:-1], rows, numbers=(3, 4))
