"""Calibration: the noise that a privacy budget asks for, worked out before anything runs.

Every function gives noise with which the epsilon of :func:`synthkit.privacy.loss_distribution.pld_epsilon` keeps the
budget, and uses at least 99.5 % of it. A search takes at most about two seconds, but for very small samples with many
steps (50,000 steps at a probability of 1e-4: ten).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from dp_accounting import get_epsilon_gaussian, get_sigma_gaussian
from scipy.optimize import brentq

from synthkit.errors import PrivacyError
from synthkit.privacy.budget import PrivacyBudget
from synthkit.privacy.events import Event, gaussian_event, sampled_gaussian_event
from synthkit.privacy.loss_distribution import (
    COARSEST,
    FINER,
    LATTICE_VARIANCE,
    only_gaussian,
    pld_epsilon,
    pld_epsilon_and_step,
    sorted_parts,
)

_AIM = 0.998  # of epsilon, that a calibration aims at: another discretisation may cost up to 0.1 % more
_LEAST_NOISE = 0.25  # a sampled Gaussian is never calibrated below


def gaussian_precision(epsilon: float, delta: float) -> float:
    """Return the largest sum of 1 / noise_multiplier^2 of Gaussian mechanisms within (epsilon, delta).

    Exact, for continuous noise and nothing else beside: mu-GDP composes by adding squares (Dong, Roth and Su, 2022).

    Parameters
    ----------
    epsilon, delta
        The budget.

    Returns
    -------
    float
        mu^2, the sum over all blocks of (sensitivity / sigma)^2.
    """
    # The root is rounded up by more than its error, so that the curve never exceeds epsilon.
    return 1 / (float(get_sigma_gaussian(epsilon, delta)) * (1 + 1e-9)) ** 2


def noise_scale(precision: float, sensitivity: float = 1.0, *, discrete: bool = True) -> float:
    """Return the sigma that spends at most `precision` (mu^2) on one Gaussian mechanism.

    Parameters
    ----------
    precision
        Share of the precision that :func:`gaussian_precision` or :func:`remaining_precision` gave. Above 0.
    sensitivity
        L2 sensitivity of the query under the budget's adjacency, in whole numbers of the query for discrete noise.
    discrete
        Whether the noise is the discrete Gaussian: its variance is then larger by 2, the price of whole numbers.

    Returns
    -------
    float
        Sigma; the noise multiplier of the event is sigma / sensitivity.
    """
    return math.sqrt(sensitivity**2 / precision + (LATTICE_VARIANCE if discrete else 0.0))


def remaining_precision(budget: PrivacyBudget, events: Sequence[Event]) -> float:
    """Return the precision mu^2 that Gaussian mechanisms may spend beside events that are planned already.

    Parameters
    ----------
    budget
        The budget of all of them together.
    events
        Planned events of any type.

    Returns
    -------
    float
        mu^2. Continuous events whose 1 / noise_multiplier^2 add up to it, and discrete ones of :func:`noise_scale`,
        keep the budget and use at least 99.5 % of epsilon.

    Raises
    ------
    PrivacyError
        If the events leave nothing.
    """
    if only_gaussian(events):
        parts = sorted_parts(events, exact=False)
        epsilon = budget.epsilon - 2 * parts.shift
        delta = (budget.delta - math.fsum(event.delta for event in events)) * math.exp(-parts.shift)
        total = gaussian_precision(epsilon, delta) if epsilon > 0 and delta > 0 else 0.0
        # The share of 1e-5 is for what discrete events add (eta for every cell).
        left = total * (1 - 1e-5) - parts.precision
        if left > 0:
            return left
        raise _nothing_left(budget, pld_epsilon(events, budget.delta, budget.adjacency))
    guess = 1 / math.sqrt(gaussian_precision(budget.epsilon, budget.delta))
    noise = _smallest_noise(
        budget, events, lambda s: [gaussian_event("calibration", "-", s, discrete=False)], guess, guess / 2
    )
    return 1 / noise**2


def calibrate_sampled_gaussian(
    budget: PrivacyBudget, events: Sequence[Event], sampling_probability: float, steps: int
) -> float:
    """Return the smallest noise multiplier of DP-SGD that keeps the budget beside events that are planned already.

    Parameters
    ----------
    budget
        The budget of all of them together.
    events
        Planned events of any type.
    sampling_probability
        Probability with which each unit takes part in a step. Above 0, at most 1.
    steps
        Number of steps.

    Returns
    -------
    float
        Standard deviation of the noise over the clipping norm, at least 0.25; at least 99.5 % of epsilon is used unless
        that is the bound.

    Raises
    ------
    PrivacyError
        If the events leave nothing.
    """
    # Central limit of Dong, Roth and Su (2022): mu = q sqrt(T (exp(1/s^2) - 1)). It is only where the search starts.
    mu = math.sqrt(gaussian_precision(budget.epsilon, budget.delta)) / (1 if budget.adjacency == "add-remove" else 2)
    guess = max(1 / math.sqrt(math.log1p(mu**2 / (sampling_probability**2 * steps))), _LEAST_NOISE)
    return _smallest_noise(
        budget,
        events,
        lambda s: [sampled_gaussian_event("calibration", "-", s, sampling_probability, steps)],
        guess,
        _LEAST_NOISE,
    )


def calibrate_noise(
    budget: PrivacyBudget, events: Sequence[Event], make: Callable[[float], Sequence[Event]], guess: float
) -> float:
    """Return the smallest scale with which events of a given shape keep the budget, discrete noise included.

    Parameters
    ----------
    budget
        The budget of all of them together.
    events
        Planned events of any type that do not change.
    make
        Gives further events by a scale above 0: more scale, more noise, such as
        ``lambda s: [gaussian_event("counts", "all pairs", 2 * s, count=105), ...]``.
    guess
        A scale that is about right; the result is at least a hundredth of it.

    Returns
    -------
    float
        The scale; at least 99.5 % of epsilon is used unless the scale is at its bound.

    Raises
    ------
    PrivacyError
        If the events leave nothing.
    """
    return _smallest_noise(budget, events, make, guess, guess / 100)


def epsilon_left(budget: PrivacyBudget, events: Sequence[Event]) -> float:
    """Return the largest epsilon, at the budget's delta, of a further Gaussian release that still fits; 0 for none."""
    try:
        precision = remaining_precision(budget, events)
    except PrivacyError:
        return 0.0
    return float(get_epsilon_gaussian(1 / math.sqrt(precision), budget.delta))


def _smallest_noise(
    budget: PrivacyBudget,
    events: Sequence[Event],
    make: Callable[[float], Sequence[Event]],
    guess: float,
    least: float,
) -> float:
    """Return the smallest noise, not below `least`, with which `make(noise)` still fits beside the events.

    The search runs on a coarse discretisation; a fine one corrects it, so that few fine ones are needed.
    """
    goal = budget.epsilon * _AIM
    spent = pld_epsilon(events, budget.delta, budget.adjacency)
    if spent >= goal or math.fsum(event.delta for event in [*events, *make(guess)]) >= budget.delta:
        raise _nothing_left(budget, spent)

    def at(noise: float, step: float | None) -> tuple[float, float]:
        return pld_epsilon_and_step([*events, *make(noise)], budget.delta, budget.adjacency, step)

    @cache
    def rough(noise: float) -> float:
        return at(noise, (step or COARSEST / FINER) * FINER)[0]

    # From any guess to a good one on a coarse discretisation, because fine ones are slow where there is little noise.
    noise = _crossing(cache(lambda noise: at(noise, COARSEST / FINER)[0]), goal, max(guess, least), least)
    fine, step = at(noise, None)
    for _ in range(5):
        if 0.998 * goal <= fine <= goal or (noise <= least and fine <= goal):
            break
        ratio = rough(noise) / fine if 0 < fine < math.inf else 1.0
        noise = _crossing(rough, goal * ratio * (1 - 2e-4), noise, least)
        fine = at(noise, step or None)[0]
    while pld_epsilon([*events, *make(noise)], budget.delta, budget.adjacency) > budget.epsilon * (1 - 1e-6):
        noise *= 1 + 1e-3
        if noise > 1e12:
            raise _nothing_left(budget, spent)
    return noise


def _crossing(falling: Callable[[float], float], level: float, start: float, least: float) -> float:
    """Return where a falling function crosses a level, to 1e-4 relative, or `least` if that is further right."""
    low = high = start
    factor = 1.1
    while falling(high) > level:
        low, high, factor = high, high * factor, min(factor**2, 1.5)
        if high > 1e12:
            return high
    while falling(low) <= level:
        if low <= least:
            return low
        high, low, factor = low, max(low / factor, least), min(factor**2, 1.5)
    # In logarithms it is nearly a straight line; an infinite epsilon is put far above.
    return math.exp(
        brentq(
            lambda x: math.log(min(max(falling(math.exp(x)), 1e-12), 1e12) / level),
            math.log(low),
            math.log(high),
            xtol=5e-5,
            rtol=5e-5,
        )
    )


def _nothing_left(budget: PrivacyBudget, spent: float) -> PrivacyError:
    return PrivacyError(
        f"the planned events spend epsilon {spent:.4g} of {budget.epsilon:g} at delta {budget.delta:g}, which leaves "
        "nothing for more",
        remedy="Plan less, or give a larger epsilon or delta.",
    )
