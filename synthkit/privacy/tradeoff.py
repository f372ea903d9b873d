"""What epsilon and delta mean: how well an attacker can tell whether a unit was in the data.

The attacker knows everything about the data except which of two neighbouring tables was used, and sees everything that
was published. A test of the attacker's accuses wrongly with some false-positive rate and finds with some true-positive
rate; differential privacy bounds the second by the first (Wasserman and Zhou, 2010; Kairouz, Oh and Viswanath, 2015;
Dong, Roth and Su, 2022). Rates are shares between 0 and 1. Every number here is an upper bound: no test does better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy.optimize import minimize_scalar
from scipy.special import expit, logit, ndtr, ndtri

from synthkit.errors import PrivacyError
from synthkit.privacy.accounting import epsilon_spent
from synthkit.privacy.budget import Adjacency, PrivacyBudget
from synthkit.privacy.events import Event

FALSE_POSITIVE_RATES = (0.01, 0.001)

_SMALLEST_DELTA = 1e-9
_LARGEST_LOG_ODDS = 14.0  # of delta
_NO_EPSILON = 1e-8
_GRID = 15  # deltas at which the curve of a composition is first looked at
_REFINED = 12  # and further ones around the best of them


def true_positive_bound(fpr: float, epsilon: float, delta: float) -> float:
    """Return the largest true-positive rate of any test that has a false-positive rate of at most `fpr`.

    Parameters
    ----------
    fpr
        False-positive rate, 0 to 1.
    epsilon, delta
        The guarantee.

    Returns
    -------
    float
        min(1, exp(epsilon) fpr + delta, 1 - exp(-epsilon) (1 - fpr - delta)): the inequality of the guarantee for the
        set of outputs that the test accuses, and for its complement with the neighbours swapped.

    Raises
    ------
    PrivacyError
        If the rate is no share, or epsilon or delta is negative.
    """
    _check(fpr, epsilon, delta)
    grown = math.exp(min(epsilon, 700.0)) * fpr + delta
    return min(1.0, grown, 1.0 - math.exp(-epsilon) * (1.0 - fpr - delta))


def gaussian_true_positive(fpr: float, mu: float) -> float:
    """Return the true-positive rate of the best test against Gaussian noise, exactly: Phi(Phi^-1(fpr) + mu).

    Parameters
    ----------
    fpr
        False-positive rate, 0 to 1.
    mu
        Sensitivity over standard deviation; of several mechanisms, the root of the sum of squares.
    """
    _check(fpr, 0.0, 0.0)
    return float(ndtr(ndtri(fpr) + mu))


def accuracy_bound(epsilon: float, delta: float) -> float:
    """Return the largest share of right guesses where "in the data" and "not in the data" are equally likely.

    (1 + TV) / 2 with the total variation TV <= (exp(epsilon) - 1 + 2 delta) / (exp(epsilon) + 1).

    Parameters
    ----------
    epsilon, delta
        The guarantee.
    """
    _check(0.0, epsilon, delta)
    return min(1.0, (1.0 + delta * math.exp(-epsilon)) / (1.0 + math.exp(-epsilon)))


def posterior_bound(prior: float, epsilon: float) -> float:
    """Return the largest belief after seeing everything published: the odds grow by at most exp(epsilon).

    With a delta it is the bound of a release that differs from the published one with a probability of at most delta:
    every (epsilon, delta) guarantee is an epsilon guarantee up to a distance of delta / (1 + exp(epsilon)) in total
    variation, for each pair of neighbours (Dwork and Roth, 2014, lemma 3.17). The belief after the published one itself
    can be larger with a probability above delta.

    Parameters
    ----------
    prior
        Belief before, 0 to 1.
    epsilon
        The guarantee.
    """
    _check(prior, epsilon, 0.0)
    if prior in (0.0, 1.0):
        return prior
    return 1.0 / (1.0 + (1.0 - prior) / prior * math.exp(-epsilon))


@dataclass(frozen=True)
class AttackBound:
    """What a test can find at one false-positive rate.

    Attributes
    ----------
    fpr
        Share of those who were not in the data that the test accuses.
    by_guarantee
        Largest share of those who were in the data that it finds, from (epsilon, delta) alone.
    by_events
        The same from all events together, at most `by_guarantee`.
    """

    fpr: float
    by_guarantee: float
    by_events: float


@dataclass(frozen=True)
class Meaning:
    """A guarantee in the terms of an attacker.

    Attributes
    ----------
    odds
        exp(epsilon): the factor by which the odds of an attacker's belief can grow.
    accuracy_by_guarantee, accuracy_by_events
        Largest share of right guesses at even odds; without the release it is 0.5.
    attacks
        By false-positive rate.
    """

    odds: float
    accuracy_by_guarantee: float
    accuracy_by_events: float
    attacks: tuple[AttackBound, ...]


def meaning(events: Sequence[Event], budget: PrivacyBudget, rates: Sequence[float] = FALSE_POSITIVE_RATES) -> Meaning:
    """Return what an attacker can do against the events, which must keep the budget.

    Parameters
    ----------
    events
        Everything that was done with the data.
    budget
        The guarantee, and the adjacency that says between which tables the attacker decides.
    rates
        False-positive rates.

    Notes
    -----
    Every pair (epsilon', delta') that the composition of the events keeps is a guarantee of its own; the best of them
    for a test is found on a grid of delta' and then between its neighbours. For Gaussian events this comes to the exact
    trade-off function within 0.1 %, from above.
    """
    curve = _Curve(events, budget.adjacency)

    def best(bound: Callable[[float, float], float]) -> float:
        return min(bound(budget.epsilon, budget.delta), curve.smallest(bound))

    attacks = [
        AttackBound(
            rate,
            true_positive_bound(rate, budget.epsilon, budget.delta),
            best(lambda epsilon, delta, rate=rate: true_positive_bound(rate, epsilon, delta)),  # type: ignore[misc]
        )
        for rate in rates
    ]
    return Meaning(
        odds=math.exp(budget.epsilon) if budget.epsilon < 700 else math.inf,
        accuracy_by_guarantee=accuracy_bound(budget.epsilon, budget.delta),
        accuracy_by_events=best(accuracy_bound),
        attacks=tuple(attacks),
    )


NO_GUARANTEE = Meaning(math.inf, 1.0, 1.0, tuple(AttackBound(rate, 1.0, 1.0) for rate in FALSE_POSITIVE_RATES))
"""What an attacker can do where no finite epsilon holds."""


class _Curve:
    """The guarantees (epsilon', delta') of a composition by the log odds of delta'; each is worked out once."""

    def __init__(self, events: Sequence[Event], adjacency: Adjacency) -> None:
        self._events, self._adjacency = tuple(events), adjacency
        self._known: dict[float, float] = {}
        own = math.fsum(event.delta for event in self._events)
        first = float(logit(own + _SMALLEST_DELTA))
        step = (_LARGEST_LOG_ODDS - first) / (_GRID - 1)
        self._grid = [first + step * place for place in range(_GRID)]

    def epsilon(self, log_odds: float) -> float:
        """Epsilon at a delta, by PLD."""
        if log_odds not in self._known:
            self._known[log_odds] = epsilon_spent(self._events, float(expit(log_odds)), self._adjacency)
        return self._known[log_odds]

    def smallest(self, bound: Callable[[float, float], float]) -> float:
        """Return the smallest bound that any of the guarantees gives."""
        if not self._events:
            return bound(0.0, 0.0)

        def at(log_odds: float) -> float:
            epsilon = self.epsilon(log_odds)
            return bound(epsilon, float(expit(log_odds))) if math.isfinite(epsilon) else 1.0

        grid = self._grid
        found = []
        for log_odds in grid:
            found.append(at(log_odds))
            if self.epsilon(log_odds) < _NO_EPSILON:
                break  # more delta buys nothing more
        place = found.index(min(found))
        low, high = grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)]
        options = {"maxiter": _REFINED, "xatol": 1e-3}
        refined = minimize_scalar(at, bounds=(low, high), method="bounded", options=options)
        return min(*found, float(refined.fun))


def _check(share: float, epsilon: float, delta: float) -> None:
    if not (0.0 <= share <= 1.0 and epsilon >= 0.0 and 0.0 <= delta <= 1.0):
        raise PrivacyError(
            f"a bound on attacks needs a share from 0 to 1, an epsilon from 0 and a delta from 0 to 1, got {share!r}, "
            f"{epsilon!r} and {delta!r}",
            remedy="Give them in range.",
        )
