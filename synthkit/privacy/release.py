"""The ledger of one release: what it may read, what it has read, and what that spends.

The whole plan is checked once, before anything is read; afterwards only planned events may be spent, each once, as they
were planned. So a release cannot find out half-way that its budget is gone, and no noise is chosen in the light of the
data.

Releases from one data set are composed by the privacy loss distribution of all their events together. That theorem
lets a release *depend* on the results of earlier ones, but takes every budget as fixed beforehand: whoever decides on
the next budget by looking at earlier results should leave a margin (Rogers, Roth, Ullman and Vadhan, 2016).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from synthkit.errors import PrivacyError
from synthkit.privacy.accounting import cross_check, epsilon_left, epsilon_spent
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import Event
from synthkit.privacy.release_record import Release, check_spent
from synthkit.privacy.stored import FORMAT_VERSION, Clock, check_format_version, checked_fields, stamp, utc_now

_ROUNDING = 1e-9  # of epsilon, by which sums in a different order may differ


class Ledger:
    """Says beforehand whether a release keeps its budget, and records what it reads.

    Parameters
    ----------
    budget
        What this release may spend.
    data
        Name of the data set, for the certificate.
    release
        Name of the release.
    before
        Earlier releases from the same data set.
    total
        What all releases together may spend; by default `budget`. It has the same unit and adjacency.
    clock
        Gives the time; for tests.

    Raises
    ------
    PrivacyError
        If `total` protects another unit or counts other neighbours.

    Privacy
    -------
    If data is read through planned and spent events only, all releases together keep `total`, and this one alone keeps
    `budget`, each under its adjacency and for its unit.
    """

    def __init__(
        self,
        budget: PrivacyBudget,
        *,
        data: str = "",
        release: str = "",
        before: Sequence[Release] = (),
        total: PrivacyBudget | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.budget = budget
        self.total = total or budget
        self.data = data
        self.release = release
        self.before = tuple(before)
        check_same_kind(budget, self.total)
        self._clock = clock
        self._planned: tuple[Event, ...] | None = None
        self._spent: list[Event] = []
        self._times: dict[str, Any] = {"created": stamp(clock), "planned": None, "spent": []}
        self._versions = _versions()
        self._closed = False

    @property
    def events(self) -> tuple[Event, ...]:
        """What was spent, in this order."""
        return tuple(self._spent)

    @property
    def planned(self) -> tuple[Event, ...]:
        """What may be spent in all; it keeps what was spent already."""
        return self._planned or ()

    @property
    def earlier(self) -> tuple[Event, ...]:
        """The events that earlier releases count for."""
        return tuple(event for release in self.before for event in release.events)

    def plan(self, events: Sequence[Event]) -> None:
        """Check all events of the release, before anything is read.

        Raises
        ------
        PrivacyError
            If they exceed the budget, alone or with all earlier releases, if two of them share a name, or if the
            release has a plan already.
        """
        if self._planned is not None or self._closed:
            raise PrivacyError(
                f"the release{_named(self.release)} is planned already",
                remedy="Plan all events at once, or start another release.",
            )
        names = [event.name for event in events]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise PrivacyError(
                f"{len(repeated)} name(s) of planned events stand for several of them: {', '.join(repeated)}",
                remedy="Give every event a name of its own.",
            )
        self._check(events)
        self._planned = tuple(events)
        self._times["planned"] = stamp(self._clock)

    def spend(self, event: Event) -> None:
        """Record an event; to be called before data is read for it.

        Raises
        ------
        PrivacyError
            If it was not planned, was planned differently, or was spent already.
        """
        if self._closed:
            raise PrivacyError(
                f"the release{_named(self.release)} is closed, and '{event.name}' cannot be read any more",
                remedy="Start another release.",
            )
        planned = {known.name: known for known in self.planned}.get(event.name)
        if planned is None:
            raise PrivacyError(
                f"the event '{event.name}' was not planned; {_listed(self.planned)}",
                remedy="Plan it before anything is read.",
            )
        if planned != event:
            differing = [name for name, value in planned.to_json().items() if event.to_json()[name] != value]
            raise PrivacyError(
                f"the event '{event.name}' differs from the one that was planned in {', '.join(differing)}",
                remedy="Spend it as it was planned.",
            )
        if any(spent.name == event.name for spent in self._spent):
            raise PrivacyError(
                f"the event '{event.name}' was spent already", remedy="Plan as many events as are needed."
            )
        self._spent.append(event)
        self._times["spent"].append(stamp(self._clock))

    def close(self) -> None:
        """Let nothing more be spent."""
        self._closed = True

    def epsilon(self, delta: float | None = None) -> float:
        """Return the epsilon of what this release spent, at `delta` (by default the budget's)."""
        return epsilon_spent(self.events, self.budget.delta if delta is None else delta, self.budget.adjacency)

    def epsilon_planned(self, delta: float | None = None) -> float:
        """Return the epsilon of all that this release planned, at `delta` (by default the budget's)."""
        return epsilon_spent(self.planned, self.budget.delta if delta is None else delta, self.budget.adjacency)

    def epsilon_total(self, delta: float | None = None) -> float:
        """Return the epsilon of earlier releases and what this one spent, at `delta` (by default the total's)."""
        events = (*self.earlier, *self.events)
        return epsilon_spent(events, self.total.delta if delta is None else delta, self.total.adjacency)

    def to_json(self, *, opacus: bool = False) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads: everything, and epsilon by each accountant.

        Parameters
        ----------
        opacus
            Whether to ask Opacus' accountants too, which takes seconds.
        """
        spent = cross_check(self.events, self.budget, opacus=opacus).to_json()
        whole = self.events == self.planned
        return {
            "format_version": FORMAT_VERSION,
            "data": self.data,
            "release": self.release,
            "budget": self.budget.to_json(),
            "total": self.total.to_json(),
            "events": [event.to_json() for event in self.events],
            "planned": None if self._planned is None else [event.to_json() for event in self._planned],
            "before": [release.to_json() for release in self.before],
            "epsilon": {
                "spent": spent,
                "planned": spent if whole else cross_check(self.planned, self.budget, opacus=opacus).to_json(),
                "with_earlier": self.epsilon_total() if self.before else spent["pld"],
            },
            "versions": dict(self._versions),
            "times": {**self._times, "spent": list(self._times["spent"])},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ledger:
        """Return the ledger that :meth:`to_json` wrote, as a closed record; every epsilon is worked out anew.

        Raises
        ------
        PrivacyError
            If it is not one, comes from a newer synthkit, or has spent what was not planned.
        """
        check_format_version(value, "ledger")
        fields = checked_fields(
            value,
            "ledger",
            {
                "format_version": int,
                "data": str,
                "release": str,
                "budget": Mapping,
                "total": Mapping,
                "events": list,
                "planned": (list, type(None)),
                "before": list,
                "epsilon": Mapping,
                "versions": Mapping,
                "times": Mapping,
            },
        )
        times = checked_fields(
            fields["times"], "list of times", {"created": str, "planned": (str, type(None)), "spent": list}
        )
        ledger = cls(
            PrivacyBudget.from_json(fields["budget"]),
            data=fields["data"],
            release=fields["release"],
            before=tuple(map(Release.from_json, fields["before"])),
            total=PrivacyBudget.from_json(fields["total"]),
        )
        planned = fields["planned"]
        ledger._planned = None if planned is None else tuple(map(Event.from_json, planned))
        ledger._spent = list(map(Event.from_json, fields["events"]))
        check_spent(ledger.planned, ledger._spent)
        ledger._times = {**times, "spent": [str(time) for time in times["spent"]]}
        ledger._versions = {str(name): str(text) for name, text in fields["versions"].items()}
        ledger.close()
        return ledger

    def _check(self, events: Sequence[Event]) -> None:
        """Refuse a plan that exceeds the budget of the release or of all of them."""
        asked = epsilon_spent(events, self.budget.delta, self.budget.adjacency)
        if asked > self.budget.epsilon * (1 + _ROUNDING):
            raise self._overspent(events, asked, self.budget, ())
        if self.before or self.total != self.budget:
            everything = epsilon_spent((*self.earlier, *events), self.total.delta, self.total.adjacency)
            if everything > self.total.epsilon * (1 + _ROUNDING):
                raise self._overspent(events, asked, self.total, self.earlier)

    def _overspent(
        self, events: Sequence[Event], asked: float, budget: PrivacyBudget, earlier: tuple[Event, ...]
    ) -> PrivacyError:
        spent = epsilon_spent(earlier, budget.delta, budget.adjacency)
        left = epsilon_left(budget, earlier) if earlier else budget.epsilon
        failing = math.fsum(event.delta for event in (*earlier, *events))
        why = f", since the failure probabilities of events alone come to {failing:.3g}" if failing > 0 else ""
        return PrivacyError(
            f"the release{_named(self.release)} asks for epsilon {asked:.4g}{why}, but of epsilon {budget.epsilon:g} "
            f"at delta {budget.delta:g} epsilon {spent:.4g} is spent and at most {left:.4g} is left",
            remedy="Plan with less, or agree on a larger budget with those whom it protects."
            if left
            else "Nothing more can be released from this data under this budget.",
        )


def check_same_kind(budget: PrivacyBudget, total: PrivacyBudget) -> None:
    """Refuse to add up guarantees of different kinds.

    Raises
    ------
    PrivacyError
        If unit or adjacency differ.
    """
    for what in ("unit", "adjacency"):
        asked, kept = getattr(budget, what), getattr(total, what)
        if asked != kept:
            raise PrivacyError(
                f"the budget of the release has the {what} '{asked}', but the ledger keeps '{kept}', and the two do "
                "not add up",
                remedy=f"Ask for the {what} '{kept}', or keep another ledger.",
            )


def _named(release: str) -> str:
    return f" '{release}'" if release else ""


def _listed(events: Sequence[Event]) -> str:
    return f"planned: {', '.join(repr(event.name) for event in events)}" if events else "nothing is planned"


def _versions() -> dict[str, str]:
    from synthkit import __version__

    try:
        accounting = version("dp-accounting")
    except PackageNotFoundError:  # a copy beside the program, without its metadata
        accounting = "unknown"
    return {"synthkit": __version__, "dp-accounting": accounting}
