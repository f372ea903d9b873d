"""The record of one release: what a fit did, or may do, with a data set.

The ledger file keeps one for each fit, and the ledger of a fit has those of the earlier ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synthkit.errors import PrivacyError
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import Event
from synthkit.privacy.stored import AS_WRITTEN, checked_fields


@dataclass(frozen=True)
class Release:
    """What one fit did, or may do, with a data set.

    Parameters
    ----------
    name
        For people, such as the name of the model file.
    budget
        What the fit asked for.
    planned, spent
        Its events.
    status
        "started" or "finished".
    created, finished
        Times in UTC (ISO 8601).
    key
        Tells releases of one file apart.
    """

    name: str
    budget: PrivacyBudget
    planned: tuple[Event, ...]
    spent: tuple[Event, ...] = ()
    status: Literal["started", "finished"] = "started"
    created: str = ""
    finished: str | None = None
    key: str = ""

    @property
    def events(self) -> tuple[Event, ...]:
        """What it counts for: all that was planned while it may still run or has crashed, then what was spent."""
        return self.spent if self.status == "finished" else self.planned

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads."""
        return {
            "name": self.name,
            "key": self.key,
            "status": self.status,
            "created": self.created,
            "finished": self.finished,
            "budget": self.budget.to_json(),
            "planned": [event.to_json() for event in self.planned],
            "spent": [event.to_json() for event in self.spent],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Release:
        """Return the release that :meth:`to_json` wrote.

        Raises
        ------
        PrivacyError
            If it is not one.
        """
        fields = checked_fields(
            value,
            "release",
            {
                "name": str,
                "key": str,
                "status": str,
                "created": str,
                "finished": (str, type(None)),
                "budget": Mapping,
                "planned": list,
                "spent": list,
            },
        )
        if fields["status"] not in ("started", "finished"):
            raise PrivacyError(f"a stored release has the status {fields['status']!r}", remedy=AS_WRITTEN)
        planned, spent = (tuple(map(Event.from_json, fields[name])) for name in ("planned", "spent"))
        check_spent(planned, spent)
        return cls(
            fields["name"],
            PrivacyBudget.from_json(fields["budget"]),
            planned,
            spent,
            fields["status"],
            fields["created"],
            fields["finished"],
            fields["key"],
        )


def check_spent(planned: Sequence[Event], spent: Sequence[Event]) -> None:
    """Refuse a record in which something was spent that was not planned, or twice.

    Raises
    ------
    PrivacyError
        If so.
    """
    names = [event.name for event in spent]
    if any(event not in planned for event in spent) or len(set(names)) < len(names):
        raise PrivacyError("a stored release has spent what was not planned, or twice", remedy=AS_WRITTEN)
