"""What a budget for scans is spent on, decided from public facts before any scan is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from synthkit.errors import PrivacyError, unknown_name
from synthkit.privacy.accounting import (
    calibrate_sampled_gaussian,
    epsilon_spent,
    noise_scale,
    remaining_precision,
)
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import EMBEDDING, Event, gaussian_event, sampled_gaussian_event

SCAN_ENGINES = ("auto", "embedding", "critic", "hybrid")
"""How a budget for scans is spent: noisy random features, a critic under DP-SGD, or one after the other."""
CRITIC = "critic"
AUTO = "embedding"
"""What the budget is spent on unless something else is asked for."""

STEPS_PER_SCAN = 2**18
"""Whole numbers that make the norm of the vector of one unit."""
COUNT_SHARE = 0.02
"""Share of the squared norm of that vector that is spent on counting it."""

_READS = {
    EMBEDDING: "the sum of random features of the scans of each class, and their number",
    CRITIC: "gradients of the image critic on pairs of a scan and a fake",
}
_LEFT_TO_CRITIC = {"embedding": 0.0, "hybrid": 0.75, "critic": 1.0}  # share of the precision


@dataclass(frozen=True)
class CriticPlan:
    """Size of DP-SGD, a public choice.

    Attributes
    ----------
    steps
        Critic steps in all.
    batch
        Units that a step samples on average.
    largest
        Sampling probability at most.
    """

    steps: int = 2_000
    batch: int = 128
    largest: float = 0.25

    def __post_init__(self) -> None:
        """Refuse what is no plan."""
        if self.steps < 1 or self.batch < 1 or not 0 < self.largest <= 1:
            raise PrivacyError(
                f"a private critic takes {self.steps} steps of {self.batch} units at a rate up to {self.largest:g}, "
                "expected at least 1, at least 1, and above 0 up to 1",
                remedy="Give whole numbers from 1.",
            )

    def probability(self, records: int) -> float:
        """Sampling probability of a unit in one step, given the public number of units."""
        return min(self.largest, self.batch / records)


@dataclass(frozen=True)
class ScanReleasePlan:
    """What will be read of the scans, in order, with which noise.

    Attributes
    ----------
    budget
        What it must stay within.
    engine
        "embedding", "critic" or "hybrid".
    records
        The public number of units.
    events
        By name: "embedding", "critic"; absent where not needed.
    """

    budget: PrivacyBudget
    engine: str
    records: int
    events: Mapping[str, Event]

    @property
    def count_error(self) -> float | None:
        """Standard deviation of the noise in the number of units of a class; None where they are not counted."""
        event = self.events.get(EMBEDDING)
        if event is None or event.noise_multiplier is None:
            return None
        return float(event.noise_multiplier * event.sensitivity / (COUNT_SHARE**0.5 * STEPS_PER_SCAN))

    def feature_error(self, classes: int, dimensions: int) -> float | None:
        """Length of the noise in the mean features of a class, where the mean itself has a length of about 1.

        Parameters
        ----------
        classes
            Number of classes; all are taken to have as many units.
        dimensions
            Of the features.
        """
        event = self.events.get(EMBEDDING)
        if event is None or event.noise_multiplier is None:
            return None
        sigma = event.noise_multiplier * event.sensitivity / STEPS_PER_SCAN
        return float(sigma * dimensions**0.5 * max(classes, 1) / self.records)


@lru_cache(maxsize=16)  # calibrating takes seconds, and a command plans before it reads what it then fits
def plan_scan_release(
    budget: PrivacyBudget, *, records: int, engine: str = "auto", critic: CriticPlan | None = None
) -> ScanReleasePlan:
    """Split a budget over what a fit of scans reads.

    Parameters
    ----------
    budget
        The total; its unit is a patient or a scan.
    records
        n0, the public number of units.
    engine
        One of `SCAN_ENGINES`.
    critic
        Size of DP-SGD.

    Raises
    ------
    PrivacyError
        An unknown engine, or a delta that the number of units forbids.

    Privacy
    -------
    All events together keep the budget under its adjacency, by the accountant that is enforced.
    """
    if engine not in SCAN_ENGINES:
        raise PrivacyError(unknown_name("privacy engine for scans", engine, SCAN_ENGINES))
    chosen = AUTO if engine == "auto" else engine
    size = critic or CriticPlan()
    budget.check_records(records)
    events: dict[str, Event] = {}
    left = _LEFT_TO_CRITIC[chosen]
    if left < 1:
        precision = remaining_precision(budget, ())
        events[EMBEDDING] = embedding_event(budget, precision * (1 - left))
        while left == 0 and epsilon_spent(tuple(events.values()), budget.delta, budget.adjacency) > budget.epsilon:
            precision *= 1 - 1e-6  # noise on whole numbers costs a trace more
            events[EMBEDDING] = embedding_event(budget, precision)
    if left:
        probability = size.probability(records)
        multiplier = calibrate_sampled_gaussian(budget, tuple(events.values()), probability, size.steps)
        events[CRITIC] = sampled_gaussian_event(CRITIC, _READS[CRITIC], multiplier, probability, size.steps)
    return ScanReleasePlan(budget, chosen, records, MappingProxyType(events))


def embedding_event(budget: PrivacyBudget, precision: float) -> Event:
    """Describe the release of the embedding that spends a precision (mu^2).

    Privacy
    -------
    A unit adds a vector of whole numbers of norm at most 2^18 to the sums ("add-remove"); a replaced one changes them
    by twice as much at most.
    """
    sensitivity = embedding_sensitivity(budget)
    multiplier = noise_scale(precision, sensitivity) / sensitivity
    return gaussian_event(EMBEDDING, _READS[EMBEDDING], multiplier, sensitivity=sensitivity, blocks=1)


def embedding_sensitivity(budget: PrivacyBudget) -> float:
    """L2 sensitivity of the sums of whole-number vectors, in these whole numbers."""
    return float(STEPS_PER_SCAN * (2 if budget.adjacency == "replace-one" else 1))
