"""What a budget is spent on, decided from public facts before any data is read."""

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
from synthkit.privacy.anchor import event_sigma, most_bins, score_change, sensitivity_of, signal
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import CATEGORIES_OF, Event, gaussian_event, laplace_event, sampled_gaussian_event
from synthkit.privacy.histograms import SCORE_STEPS

ENGINES = ("auto", "anchor", "dp-sgd", "hybrid")
BUYABLE = ("records", "categories")

_RECORDS = 0.01  # share of the precision for the number of records, where it is bought
_BINS = (0.08, 0.3)  # at least, at most; in between as much as keeps the noise of a node at a part of the records
_BINS_ALONE = 0.5  # where margins are all that is measured besides
_NODE = 1 / 200
_USUAL = 10_000  # records to plan with where their number is bought
_MARGINS = 0.1  # at least; as much as a block's share where there are few columns
_SCORES = 0.08
_WIDE = 20  # columns above which pairs are selected
_CATEGORIES = 0.1  # share of epsilon and of delta for all lists of categories that are bought
_READS = {
    "records": "the number of records",
    "bins": "where the values of numeric columns lie",
    "margins": "how often each value of each column occurs",
    "scores": "how strongly each pair of columns is related",
    "pairs": "how often each pair of values occurs",
    "critic": "gradients of the critic",
}
_BATCH, _LARGEST_BATCH, _CRITIC_STEPS = 1_000, 0.05, 1_500  # of DP-SGD: records, at most that share of them, steps
_CRITIC = {"anchor": 0.0, "hybrid": 0.4, "dp-sgd": 0.85}  # share of the precision that is left to the critic


@dataclass(frozen=True)
class ReleasePlan:
    """What will be read, in order, with which noise.

    Attributes
    ----------
    budget
        What it must stay within.
    engine
        "anchor", "dp-sgd" or "hybrid".
    records
        The public number of records, or None when it is bought.
    events
        By name: records, "categories of ...", bins, margins, scores, pairs, critic; absent where not needed.
    columns
        Number of columns that are measured.
    """

    budget: PrivacyBudget
    engine: str
    records: int | None
    events: Mapping[str, Event]
    columns: int

    @property
    def pairs(self) -> int:
        """Pairs of columns."""
        return self.columns * (self.columns - 1) // 2

    def sigma(self, name: str) -> float:
        """Standard deviation of the noise of each count of an event of histograms, in rows."""
        event = self.events[name]
        return event_sigma(event, self.budget, int(event.details["blocks"] or 0))

    def bins_for(self, records: float) -> int:
        """Most bins of a numeric column."""
        event = self.events.get("pairs")
        if event is None:
            return 32
        return most_bins(signal(records, event, max(self.pairs, 1), self.budget))

    def expected(self) -> dict[str, float]:
        """What the noise amounts to: standard deviation per count, in rows, for each event of counts."""
        return {name: self.sigma(name) for name in ("records", "bins", "margins", "pairs") if name in self.events}

    def _repr_html_(self) -> str:
        from synthkit.privacy.showing import release_html

        return release_html(self)


@lru_cache(maxsize=16)  # calibrating takes seconds, and a command plans before it reads what it then fits
def plan_release(
    budget: PrivacyBudget,
    *,
    columns: int,
    levels: tuple[int, ...],
    records: int | None,
    bought: tuple[str, ...] = (),
    engine: str = "auto",
) -> ReleasePlan:
    """Split a budget over what a fit reads.

    Parameters
    ----------
    budget
        The total.
    columns
        Columns that are modelled.
    levels
        Levels of the tree of each numeric column whose bins are bought.
    records
        The public number of records, or None to buy it.
    bought
        Columns whose categories are bought.
    engine
        One of `ENGINES`.

    Raises
    ------
    PrivacyError
        An unknown engine, or a delta that the number of records forbids.
    """
    if engine not in ENGINES:
        raise PrivacyError(unknown_name("privacy engine", engine, ENGINES))
    chosen = "anchor" if engine == "auto" else engine
    if records is not None:
        budget.check_records(records)
    elif chosen != "anchor":
        raise PrivacyError(
            f"the engine {chosen!r} samples records at a public rate and needs the number of records",
            remedy="declare it ('records: N' in the schema, or --records N)",
        )
    events: dict[str, Event] = {}
    for name in bought:
        events[CATEGORIES_OF + name] = laplace_event(
            CATEGORIES_OF + name,
            f"the labels of column {name!r}",
            budget.epsilon * _CATEGORIES / len(bought),
            delta=budget.delta * _CATEGORIES / len(bought),
        )
    precision = remaining_precision(budget, tuple(events.values()))
    usable = precision * (1 - _CRITIC[chosen])
    bins = 0.0
    if levels:
        wanted = sum(levels) / (usable * (_NODE * (records or _USUAL)) ** 2) * sensitivity_of(budget, 1) ** 2
        bins = min(max(wanted, _BINS[0]), _BINS[1])
    shares = _shares(columns, bins, records is None, chosen)
    pairs = columns * (columns - 1) // 2
    blocks = {"records": 1, "bins": sum(levels), "margins": columns, "scores": pairs, "pairs": pairs}
    events |= _counts(budget, usable, shares, blocks, tuple(events.values()))
    if chosen != "anchor" and records is not None:
        probability = min(_LARGEST_BATCH, _BATCH / records)
        multiplier = calibrate_sampled_gaussian(budget, tuple(events.values()), probability, _CRITIC_STEPS)
        events["critic"] = sampled_gaussian_event("critic", _READS["critic"], multiplier, probability, _CRITIC_STEPS)
    return ReleasePlan(budget, chosen, records, MappingProxyType(events), columns)


def _counts(
    budget: PrivacyBudget,
    precision: float,
    shares: Mapping[str, float],
    blocks: Mapping[str, int],
    before: tuple[Event, ...],
) -> dict[str, Event]:
    """Events of noisy counts that share a precision, within the budget beside those before."""
    while True:
        events = {}
        for name, share in shares.items():
            # scores are counted in parts of a row, so that noise on whole numbers fits them
            each = score_change(budget) * SCORE_STEPS if name == "scores" else 1.0
            sensitivity = sensitivity_of(budget, blocks[name], each)
            multiplier = noise_scale(precision * share, sensitivity) / sensitivity
            events[name] = gaussian_event(name, _READS[name], multiplier, sensitivity=sensitivity, blocks=blocks[name])
        # noise on whole numbers costs a little more where very many cells can change
        over = epsilon_spent((*before, *events.values()), budget.delta, budget.adjacency) / budget.epsilon
        if over <= 1:
            return events
        precision /= over**3


def _shares(columns: int, bins: float, count: bool, engine: str) -> dict[str, float]:
    """Shares of the precision of all Gaussian counts; they sum to one."""
    shares = {}
    if count:
        shares["records"] = _RECORDS
    if bins:
        shares["bins"] = bins if engine != "dp-sgd" else _BINS_ALONE
    pairs = columns * (columns - 1) // 2
    left = 1 - sum(shares.values())
    if engine == "dp-sgd" or not pairs:
        shares["margins"] = left
        return shares
    shares["margins"] = left * max(_MARGINS, columns / (columns + pairs))
    if columns > _WIDE:
        shares["scores"] = left * _SCORES
    shares["pairs"] = 1 - sum(shares.values())
    return shares
