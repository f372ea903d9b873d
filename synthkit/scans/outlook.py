"""What a privacy budget buys for scans, told before any scan is read."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from synthkit.html_table import facts, page
from synthkit.privacy.accounting import epsilon_spent
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.describe import EventLine, describe_events, percent, short, unit_in_words
from synthkit.privacy.scan_plan import ScanReleasePlan
from synthkit.privacy.showing import events_table
from synthkit.privacy.tradeoff import Meaning, meaning
from synthkit.privacy.wording import SCANS
from synthkit.random import RandomSource
from synthkit.scans.domain import ScanDomain
from synthkit.scans.embedding import RandomFeatures


@dataclass(frozen=True)
class ScanOutlook:
    """What a fit would read of the scans, and how much noise would be in it.

    Attributes
    ----------
    budget, engine, records
        As in the plan.
    epsilon
        Of all events, by PLD.
    events
        One line each.
    feature_error
        Length of the noise in the mean features of a class, where the features of a scan have a length of 1 at most and
        all classes are as large; None without an embedding.
    count_error
        Standard deviation of the number of patients of a class; None where they are not counted.
    critic_noise
        Length of the noise in a critic's step over the longest sum of gradients that its sample can have, for each
        weight of the critic: times the root of their number it is the length of all noise. None without a critic.
    meaning
        Bounds on attacks.
    """

    budget: PrivacyBudget
    engine: str
    records: int
    epsilon: float
    events: tuple[EventLine, ...]
    feature_error: float | None
    count_error: float | None
    critic_noise: float | None
    meaning: Meaning

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **asdict(self),
            "budget": self.budget.to_json(),
            "events": [event.to_json() for event in self.events],
        }

    def to_text(self, width: int = 100) -> str:
        """Return the outlook for a terminal, no line longer than `width`."""
        lines = [*textwrap.wrap(f"{self._asked()}; no scan was read", width), ""]
        name = max(len(event.name) for event in self.events)
        for event in self.events:
            head = f"{event.name:<{name}}  {100 * event.share:5.1f} %  "
            text = f"{head}{event.reads}; {event.mechanism}".replace(" %", "\N{NO-BREAK SPACE}%")
            wrapped = textwrap.wrap(text, width, subsequent_indent=" " * len(head))
            lines += [line.replace("\N{NO-BREAK SPACE}", " ") for line in wrapped]
        lines += ["", f"All events together spend epsilon {self.epsilon:.5g} (PLD)."]
        for text in (*self._errors(), self._bound()):
            lines += textwrap.wrap(text, width)
        return "\n".join(lines) + "\n"

    def _asked(self) -> str:
        budget = self.budget
        return (
            f"epsilon {short(budget.epsilon)}, delta {short(budget.delta)}, {budget.adjacency}; protected is one "
            f"{unit_in_words(budget, SCANS)} of {self.records:,}; engine {self.engine}"
        )

    def _errors(self) -> list[str]:
        found = []
        if self.feature_error is not None and self.count_error is not None:
            found.append(
                f"Expected error: the mean features of a class are off by {self.feature_error:.2g} of the length that "
                f"a scan's features can have, its number of {self.budget.unit}s by about {self.count_error:.3g}."
            )
            if self.feature_error > 0.5:
                found.append("That is much: give more patients, fewer classes, or a larger epsilon.")
        if self.critic_noise is not None:
            found.append(
                f"In a critic's step the noise in each weight is {self.critic_noise:.2g} of the longest sum of "
                "gradients of a sample."
            )
        return found

    def _bound(self) -> str:
        attack = self.meaning.attacks[0]
        return (
            f"An attacker who wrongly accuses {percent(attack.fpr)} finds at most {percent(attack.by_events)} of those "
            "who were in the data."
        )

    def _repr_html_(self) -> str:
        return page(
            "What a privacy budget buys for scans; no scan was read",
            facts({"asked": self._asked(), "spent": f"epsilon {self.epsilon:.5g} by all events together (PLD)"}),
            events_table(self.events),
            " ".join([*self._errors(), self._bound()]),
        )


def scan_outlook(domain: ScanDomain, plan: ScanReleasePlan) -> ScanOutlook:
    """Return what a plan means for scans of a declared domain.

    Parameters
    ----------
    domain
        What is declared.
    plan
        From `synthkit.privacy.scan_plan.plan_scan_release`.
    """
    events = tuple(plan.events.values())
    features = RandomFeatures((domain.channels, *domain.size), RandomSource(0).child("scan embedding"))
    critic = next((event for event in events if event.sampling_probability is not None), None)
    noise = None
    if critic is not None and critic.noise_multiplier and critic.sampling_probability:
        noise = critic.noise_multiplier / (critic.sampling_probability * plan.records)
    return ScanOutlook(
        budget=plan.budget,
        engine=plan.engine,
        records=plan.records,
        epsilon=epsilon_spent(events, plan.budget.delta, plan.budget.adjacency),
        events=describe_events(events, plan.budget),
        feature_error=plan.feature_error(len(domain.classes), features.dimensions),
        count_error=plan.count_error,
        critic_noise=noise,
        meaning=meaning(events, plan.budget),
    )
