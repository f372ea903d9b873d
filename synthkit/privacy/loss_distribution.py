"""The privacy loss distribution (PLD) of events: what is reported and enforced.

It is exact for adaptive composition up to a discretisation that only ever rounds up (Koskela, Jälkö and Honkela, 2020;
"connect the dots", Doroshenko, Ghazi, Kamath, Kumar and Manurangsi, 2022, as in dp-accounting). The discretisation is
refined until it costs at most about 0.1 % of epsilon. Gaussian events alone need none: their composition is one
Gaussian curve (Dong, Roth and Su, 2022).

**Discrete Gaussian noise** is accounted in two ways, each an upper bound, of which the smaller is taken:

- exactly, by dp-accounting's discrete Gaussian PLD, where the sensitivity is 1 (one cell moves by one) and sigma <= 20;
  it takes milliseconds there;
- otherwise, and always as the alternative, as continuous noise of variance sigma^2 - 2. Proof: draw x from
  N(m, s^2), then a whole number y with probability proportional to exp(-(y - x)^2 / (2 r^2)). For whole m and
  s^2 + r^2 = sigma^2 the law of y is that of the discrete Gaussian around m up to factors 1 +- e with
  e = 2 exp(-2 pi^2 r^2) (Poisson summation). So the discrete mechanism is a post-processing of the continuous one of
  variance s^2, up to a factor exp(+-eta), eta = log((1 + e) / (1 - e)), for each cell that differs between neighbours.
  With r^2 = 2, eta is below 1e-16; it is added for every cell that may differ.

**Adjacency.** Plain Gaussian events carry a noise multiplier relative to the sensitivity under the budget's adjacency,
so both adjacencies have the same curve here: dp-accounting's REPLACE_ONE, which would double the sensitivity, is not
used for them. Sampled Gaussian events are relative to the clipping norm, and there REPLACE_ONE is used: the replaced
unit may turn its contribution around, (1 - q) N(0) + q N(+1) against (1 - q) N(0) + q N(-1). Laplace events exist for
"add-remove" only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import numpy as np
from dp_accounting import NeighboringRelation, get_epsilon_gaussian
from dp_accounting.pld import privacy_loss_distribution

from synthkit.errors import PrivacyError
from synthkit.privacy.budget import Adjacency
from synthkit.privacy.events import DISCRETE_LAPLACE, GAUSSIAN, Event

LATTICE_VARIANCE = 2.0  # r^2 above
# A little more than the first term of the series; the further ones are below 1e-50.
_LATTICE_E = 2 * math.exp(-2 * math.pi**2 * LATTICE_VARIANCE) * (1 + 1e-6)
_LATTICE_ETA = math.log1p(_LATTICE_E) - math.log1p(-_LATTICE_E)
_EXACT_UP_TO = 20.0  # sigma; above, the exact distribution is worth less than 0.2 % of epsilon

COARSEST, _FINEST, FINER = 6.4e-3, 2.5e-5, 4
_COST = 1e-3  # of epsilon, that the discretisation may cost
_MOST_POINTS = 500_000  # of a discretised distribution, whatever the noise


@dataclass(frozen=True)
class Parts:
    """The events sorted by how they compose."""

    precision: float  # of everything that counts as continuous Gaussian: sum of 1 / multiplier^2
    shift: float  # logarithm of the factor by which the discrete ones among them may differ
    lattice: tuple[tuple[float, int], ...]  # sigma and count of discrete Gaussians of sensitivity 1
    laplace: tuple[tuple[float, int], ...]  # epsilon, count
    sampled: tuple[tuple[float, float, int], ...]  # multiplier, probability, steps


def sorted_parts(events: Sequence[Event], *, exact: bool) -> Parts:
    """Sort the events; with `exact`, discrete Gaussians keep their own distribution where that is feasible."""
    precision, cells = 0.0, 0.0
    lattice, laplace, sampled = [], [], []
    for event in events:
        multiplier, count = event.noise_multiplier, event.count
        if multiplier is None:
            laplace.append((event.epsilon or 0.0, count))
        elif event.sampling_probability is not None:
            sampled.append((multiplier, event.sampling_probability, count))
        elif not event.discrete:
            precision += count / multiplier**2
        elif exact and _is_exact(event):
            lattice.append((multiplier, count))
        else:
            variance = multiplier**2 - LATTICE_VARIANCE / event.sensitivity**2
            precision += count / variance if variance > 0 else math.inf
            cells += count * event.sensitivity**2  # whole numbers: at most that many cells can differ
    return Parts(precision, cells * _LATTICE_ETA, tuple(lattice), tuple(laplace), tuple(sampled))


def _is_exact(event: Event) -> bool:
    """Whether the exact distribution of discrete Gaussian noise is known, and worth having.

    Only for a sensitivity of 1: which whole-number changes a larger one allows is not known here, and a mechanism may
    count less than was planned, with less noise, at the same continuous curve.
    """
    gaussian = event.kind == GAUSSIAN and event.discrete and event.sensitivity == 1
    return gaussian and (event.noise_multiplier or math.inf) <= _EXACT_UP_TO


def only_gaussian(events: Sequence[Event]) -> bool:
    """Whether the composition is accounted as one Gaussian curve."""
    return all(event.kind == GAUSSIAN and not _is_exact(event) for event in events)


def pld_epsilon(events: Sequence[Event], delta: float, adjacency: Adjacency) -> float:
    """Return the epsilon of all events together at a total delta; infinite where none holds.

    Parameters
    ----------
    events
        In any order.
    delta
        Total failure probability; the events' own are taken off it.
    adjacency
        "add-remove" or "replace-one".

    Raises
    ------
    PrivacyError
        For Laplace events under "replace-one".

    Privacy
    -------
    Never below the true epsilon of the events under that adjacency.
    """
    return pld_epsilon_and_step(events, delta, adjacency)[0]


def pld_epsilon_and_step(
    events: Sequence[Event], delta: float, adjacency: Adjacency, step: float | None = None
) -> tuple[float, float]:
    """Return the smaller of the two bounds on epsilon, and the step of its discretisation (0 where there is none)."""
    if adjacency == "replace-one" and any(event.kind == DISCRETE_LAPLACE for event in events):
        raise PrivacyError(
            "Laplace events are accounted for adding and removing units only, not for 'replace-one'",
            remedy="Use Gaussian noise, or the adjacency 'add-remove'.",
        )
    left = delta - math.fsum(event.delta for event in events)
    if not events:
        return 0.0, 0.0
    if left <= 0:
        return math.inf, 0.0
    found = []
    for exact in (False, True) if any(map(_is_exact, events)) else (False,):
        try:
            found.append(_epsilon_of(sorted_parts(events, exact=exact), left, adjacency, step))
        except ArithmeticError:  # numbers beyond the range of floats: infinity is an upper bound of any epsilon
            found.append((math.inf, 0.0))
    return min(epsilon for epsilon, _ in found), max(step for _, step in found)


@lru_cache(maxsize=256)  # a certificate asks for the same again: its checks, its table of events, its bounds on attacks
def _epsilon_of(parts: Parts, delta: float, adjacency: Adjacency, step: float | None) -> tuple[float, float]:
    """Return the epsilon of the parts and the step: the one that is given, or one so fine that it costs little."""
    if math.isinf(parts.precision):
        return math.inf, 0.0
    target = delta * math.exp(-parts.shift)
    if not (parts.lattice or parts.laplace or parts.sampled):
        return float(get_epsilon_gaussian(1 / math.sqrt(parts.precision), target)) + 2 * parts.shift, 0.0
    least = _spread(parts) / _MOST_POINTS
    if step is not None:
        step = _fitted(max(step, least), parts)
        with np.errstate(all="ignore"):  # an epsilon in the hundreds overflows exp
            found = float(_composed(parts, adjacency, step).get_epsilon_for_delta(target)) + 2 * parts.shift
        return (math.inf if math.isnan(found) else found), step
    step, finer = max(COARSEST, 50 * least), 1 / FINER
    epsilon = _epsilon_of(parts, delta, adjacency, step)[0]
    while step > max(_FINEST, least) and math.isfinite(epsilon):
        step *= finer
        rougher, epsilon = epsilon, min(epsilon, _epsilon_of(parts, delta, adjacency, step)[0])
        # The cost falls with the square of the step, which tells what is left of it and which step would do.
        cost = (rougher - epsilon) / (finer**-2 - 1)
        if cost <= _COST * epsilon:
            break
        finer = min(max(0.8 * math.sqrt(_COST * epsilon / cost), 1 / FINER), 2 / 3)
    return epsilon, step


def _fitted(step: float, parts: Parts) -> float:
    """Return the next smaller step of which the first Laplace epsilon is a multiple: it is then not rounded."""
    epsilon = parts.laplace[0][0] if parts.laplace else 0.0
    return epsilon / math.ceil(epsilon / step) if epsilon > step else step


def _spread(parts: Parts) -> float:
    """Return about how far the privacy loss spreads, mean and ten standard deviations, as if it were Gaussian."""
    variance = parts.precision + sum(times / sigma**2 for sigma, times in parts.lattice)
    variance += sum(count * epsilon**2 for epsilon, count in parts.laplace)
    for multiplier, probability, steps in parts.sampled:
        amplified = probability**2 * math.expm1(min(multiplier**-2, 700.0))
        variance += steps * min(4 * multiplier**-2, amplified)  # 4: a replaced unit may turn its contribution around
    return variance / 2 + 10 * math.sqrt(variance)


@lru_cache(maxsize=4)
def _sampled_pld(multiplier: float, probability: float, steps: int, relation: NeighboringRelation, step: float) -> Any:
    """Return the distribution of DP-SGD; it is the slow one, and asked for twice beside discrete noise."""
    return privacy_loss_distribution.from_gaussian_mechanism(
        multiplier, sampling_prob=probability, neighboring_relation=relation, value_discretization_interval=step
    ).self_compose(steps)


def _composed(parts: Parts, adjacency: Adjacency, step: float) -> Any:
    """Return dp-accounting's distribution of the parts together, never optimistic."""
    plds = [
        privacy_loss_distribution.from_discrete_gaussian_mechanism(
            sigma, value_discretization_interval=step, use_connect_dots=True
        ).self_compose(times)
        for sigma, times in parts.lattice
    ]
    plds += [
        privacy_loss_distribution.from_discrete_laplace_mechanism(
            epsilon, value_discretization_interval=step, use_connect_dots=True
        ).self_compose(count)
        for epsilon, count in parts.laplace
    ]
    relation = NeighboringRelation.ADD_OR_REMOVE_ONE if adjacency == "add-remove" else NeighboringRelation.REPLACE_ONE
    plds += [_sampled_pld(*of_one, relation, step) for of_one in parts.sampled]
    if parts.precision:
        plds.append(
            privacy_loss_distribution.from_gaussian_mechanism(
                1 / math.sqrt(parts.precision), value_discretization_interval=step
            )
        )
    return reduce(lambda one, other: one.compose(other), plds)
