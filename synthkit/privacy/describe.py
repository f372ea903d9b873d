"""Events in words and in rows, for the plan and the certificate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from synthkit.phrases import counted
from synthkit.privacy.accounting import epsilon_spent
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.calibration import gaussian_precision
from synthkit.privacy.events import DISCRETE_LAPLACE, EMBEDDING, GAUSSIAN, MOMENTS, Event
from synthkit.privacy.histograms import SCORE_STEPS
from synthkit.privacy.wording import TABLE, Wording

# events whose query is not counted in rows: how many of its steps make one
STEPS_PER_ROW = {"scores": SCORE_STEPS}

_RARE = 0.001


@dataclass(frozen=True)
class EventLine:
    """One event as it is shown.

    Attributes
    ----------
    name, reads
        As in the event.
    mechanism
        The noise in words.
    noise_rows
        Standard deviation of the noise in each number that is released, in rows; None for gradients.
    alone
        Epsilon of this event if it were the only one, at the budget's delta. Epsilons do not add up.
    share
        Share of the budget, by the Gaussian noise that would cost as much; shares of all events sum to one.
    delta
        Failure probability of its own.
    """

    name: str
    reads: str
    mechanism: str
    noise_rows: float | None
    alone: float
    share: float
    delta: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def describe_events(events: Sequence[Event], budget: PrivacyBudget) -> tuple[EventLine, ...]:
    """Return one line for each event, in order.

    Parameters
    ----------
    events
        Planned or spent events.
    budget
        Gives delta and adjacency.
    """
    alone = [epsilon_spent([event], budget.delta, budget.adjacency) for event in events]
    # what is spent on one event next to nothing is still more than nothing
    weights = [gaussian_precision(max(epsilon, 1e-9), budget.delta) if epsilon < 700 else math.inf for epsilon in alone]
    if math.inf in weights:  # beside events without a bound all others are nothing
        weights = [float(math.isinf(weight)) for weight in weights]
    total = math.fsum(weights)
    return tuple(
        EventLine(
            event.name,
            event.reads,
            mechanism(event, budget),
            noise_in_rows(event, budget),
            epsilon,
            weight / total,
            event.delta,
        )
        for event, epsilon, weight in zip(events, alone, weights, strict=True)
    )


def noise_in_rows(event: Event, budget: PrivacyBudget) -> float | None:
    """Return the standard deviation of the noise of an event in rows, or None where it is not added to counts.

    Parameters
    ----------
    event
        Any event; the sensitivity that it states is believed.
    budget
        Gives the rows of a unit.
    """
    if event.kind == DISCRETE_LAPLACE and event.epsilon is not None:
        rate = event.epsilon / budget.rows_per_unit
        return math.sqrt(2 * math.exp(-rate)) / -math.expm1(-rate)
    if event.name == EMBEDDING or event.name.startswith(MOMENTS):
        return None  # sums of features are no counts
    if event.kind == GAUSSIAN and event.noise_multiplier is not None:
        return event.noise_multiplier * event.sensitivity / STEPS_PER_ROW.get(event.name, 1)
    return None


def mechanism(event: Event, budget: PrivacyBudget) -> str:
    """Return the noise of an event in words."""
    times = f", {event.count:,} times" if event.count > 1 else ""
    if event.kind == DISCRETE_LAPLACE and event.epsilon is not None:
        text = f"discrete Laplace noise of scale {budget.rows_per_unit / event.epsilon:.4g}{times}"
        return text + (
            f", shown above a threshold (fails with a chance of {one_in(event.delta)})" if event.delta else ""
        )
    if event.kind == GAUSSIAN:
        kind = "discrete Gaussian" if event.discrete else "Gaussian"
        blocks = event.details.get("blocks")
        over = f" over {blocks:,} tables" if isinstance(blocks, int) and blocks > 1 else ""
        return (
            f"{kind} noise, {event.noise_multiplier:.4g} times the sensitivity of {event.sensitivity:.4g}{over}{times}"
        )
    return (
        f"Gaussian noise, {event.noise_multiplier:.4g} times the clipping norm, in each of {event.count:,} steps on a "
        f"Poisson sample of {percent(event.sampling_probability or 0.0)} of the units"
    )


def unit_in_words(budget: PrivacyBudget, words: Wording = TABLE) -> str:
    """Return what is protected, to stand after "one": "row", or a value of a column with its rows."""
    if words.is_record(budget.unit):
        return words.record
    name = words.one(budget.unit).removeprefix("one ")
    if words.all_records:
        return f"{name} with all {words.records}"
    return f"{name} with up to {counted(budget.rows_per_unit, words.record)}"


def short(number: float) -> str:
    """Return a number in few letters: 0.5, 1e-6."""
    mantissa, _, exponent = f"{number:g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def one_in(chance: float) -> str:
    """Return a small probability as "1 in 1,000,000"; it is never told too small."""
    if chance >= _RARE:
        return percent(chance)
    times = min(1 / chance, 1e300) * (1 + 1e-12)  # 1e300: one over the smallest floats is no float
    step = 10 ** max(math.floor(math.log10(times)) - 2, 0)
    return f"1 in {math.floor(times / step) * step:,}"


def percent(share: float) -> str:
    """Return a share as per cent with three significant digits, rounded up: a bound is never told too small."""
    if share <= 0:
        return "0 %"
    value = 100 * share
    digits = 2 - math.floor(math.log10(value))
    # a last bit above a round number is the float's, not the bound's
    rounded = math.ceil(value * 10.0**digits * (1 - 1e-12)) / 10.0**digits
    return f"{rounded:.{max(digits, 0)}f}".rstrip("0").rstrip(".") + " %" if digits > 0 else f"{rounded:.0f} %"
