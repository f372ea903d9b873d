"""Exact samplers of the discrete Laplace and the discrete Gaussian distribution, in whole numbers throughout.

The algorithms are those of Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy" (NeurIPS
2020), run on arrays: every step that they take with one number is taken with all numbers that still need it. A
probability is always a ratio of whole numbers, and is met by comparing a uniform whole number below the denominator
with the numerator.

A scale is given as a ratio `numerator / 2**halvings` (`rational_above`). With the limits of that function every
denominator stays below 2**61, and every number that is drawn fits int64; the one quantity that could exceed int64, for
a proposal far out in the tail, is computed with Python's whole numbers instead (`whole_and_rest`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from synthkit.errors import PrivacyError

Integers = NDArray[np.int64]
Below = Callable[[int, int], Integers]
"""(bound, n) -> n uniform whole numbers in [0, bound); bound from 1 to 2**62."""
Draw = Callable[[int], Integers]

_DIGITS = 26
_LARGEST = 2**30
_INT64 = 2**63 - 1


def rational_above(scale: float | Fraction, name: str = "sigma") -> tuple[int, int]:
    """Return (numerator, halvings) of the smallest ratio numerator / 2**halvings that is not below the scale.

    Parameters
    ----------
    scale
        Standard deviation or Laplace scale in counts; > 0 and at most 2**30.
    name
        What the scale is called in an error.

    Returns
    -------
    tuple[int, int]
        The numerator is at most 2**27 for scales up to 2**27 and at most 2**30 above; halvings is 0 to 26. The ratio
        exceeds the scale by less than 2**-26 of it from 1 on, and by less than 2**-26 below 1: noise may be a trace
        larger than stated, never smaller.

    Raises
    ------
    PrivacyError
        If the scale is no number in range.
    """
    if not isinstance(scale, Fraction):
        scale = float(scale)
    if not 0 < scale <= _LARGEST:
        raise PrivacyError(
            f"{name} of private noise must be > 0 and at most 2**30, got {scale}",
            remedy="Choose a larger epsilon, or count fewer things, so that the noise stays within reason.",
        )
    exact = Fraction(scale)
    # No halving below 1: the smallest step is then 2**-26 of a row.
    halvings = min(max(_DIGITS - (math.floor(exact).bit_length() - 1), 0), _DIGITS) if exact >= 1 else _DIGITS
    return math.ceil(exact * 2**halvings), halvings


def discrete_laplace(numerator: int, halvings: int, n: int, below: Below) -> Integers:
    """Draw from the discrete Laplace distribution, P(y) proportional to exp(-|y| / scale); scale as a ratio.

    Algorithm 2 of the source.

    Parameters
    ----------
    numerator, halvings
        scale = numerator / 2**halvings, from `rational_above`.
    n
        How many to draw.
    below
        Source of uniform whole numbers.

    Returns
    -------
    NDArray[int64]
        Shape [n].
    """
    kept: list[Integers] = []
    missing = n
    while missing > 0:
        # 1 - 1/e of the remainders are accepted.
        tries = int(1.7 * missing) + 16
        rest = below(numerator, tries)
        rest = rest[_bernoulli_exp(((rest, numerator),), tries, below)]
        # |y| * 2**halvings = rest + numerator * whole, below 2**30 * (whole + 1): int64 until whole reaches 2**32,
        # which would take as many turns of the loop in `_runs`.
        size = (rest + numerator * _runs(rest.size, below)) >> halvings
        negative = below(2, rest.size) == 1
        drawn = np.where(negative, -size, size)[~(negative & (size == 0))]
        kept.append(drawn[:missing])
        missing -= kept[-1].size
    return np.concatenate(kept) if kept else np.zeros(0, np.int64)


def discrete_gaussian(numerator: int, halvings: int, n: int, below: Below) -> Integers:
    """Draw from the discrete Gaussian distribution, P(y) proportional to exp(-y**2 / (2 sigma**2)); sigma as a ratio.

    Algorithm 3 of the source: a discrete Laplace y of scale t = floor(sigma) + 1 is accepted with probability
    exp(-r**2 / 2), r = | |y| / sigma - sigma / t |. With r = whole + rest, that is exp(-whole**2 / 2) *
    exp(-whole * rest) * exp(-rest**2 / 2), a product of trials whose exponents are at most 1 and whose denominators
    stay small.

    Parameters
    ----------
    numerator, halvings
        sigma = numerator / 2**halvings, from `rational_above`.
    n
        How many to draw.
    below
        Source of uniform whole numbers.

    Returns
    -------
    NDArray[int64]
        Shape [n].
    """
    scale = (numerator >> halvings) + 1
    denominator = scale * numerator << halvings
    kept: list[Integers] = []
    missing = n
    while missing > 0:
        # About 3 of 4 proposals are accepted when sigma is large.
        tries = int(1.4 * missing) + 16
        proposed = discrete_laplace(scale, 0, tries, below)
        whole, rest = whole_and_rest(np.abs(proposed), numerator, halvings)
        accepted = _accepted(whole, rest, denominator, below)
        kept.append(proposed[accepted][:missing])
        missing -= kept[-1].size
    return np.concatenate(kept) if kept else np.zeros(0, np.int64)


def whole_and_rest(size: Integers, numerator: int, halvings: int) -> tuple[Integers, Integers]:
    """Split r = | size / sigma - sigma / t | into its whole part and the numerator of the rest.

    Parameters
    ----------
    size
        |y| of the proposals, shape [n].
    numerator, halvings
        sigma = numerator / 2**halvings; t = floor(sigma) + 1.

    Returns
    -------
    tuple[NDArray[int64], NDArray[int64]]
        whole and rest, shape [n] each: r = whole + rest / (t * numerator * 2**halvings) exactly.
    """
    scale = (numerator >> halvings) + 1
    denominator = scale * numerator << halvings
    factor = scale << (2 * halvings)
    # size * factor <= 2**63 - 1, and numerator**2 <= 2**60: the difference fits too.
    small = size <= _INT64 // factor
    distance = np.abs(np.where(small, size, 0) * factor - numerator * numerator)
    whole, rest = distance // denominator, distance % denominator
    for place in np.flatnonzero(~small):
        split = divmod(abs(int(size[place]) * factor - numerator * numerator), denominator)
        whole[place], rest[place] = split
    return whole, rest


def _accepted(whole: Integers, rest: Integers, denominator: int, below: Below) -> NDArray[np.bool_]:
    """Accept with probability exp(-(whole + rest / denominator)**2 / 2), for each place; shape [n]."""
    accepted = _all_succeed(whole * whole, lambda places: _bernoulli_exp(((1, 2),), places.size, below))

    def mixed(places: Integers) -> NDArray[np.bool_]:
        return _bernoulli_exp(((rest[places], denominator),), places.size, below)

    accepted &= _all_succeed(np.where(accepted, whole, 0), mixed)
    places = np.flatnonzero(accepted)
    squared = ((rest[places], denominator), (rest[places], denominator), (1, 2))
    accepted[places] = _bernoulli_exp(squared, places.size, below)
    return accepted


def _runs(n: int, below: Below) -> Integers:
    """How often in a row a trial with probability 1/e succeeds, for each of n; shape [n]."""
    runs = np.zeros(n, np.int64)
    alive = np.arange(n)
    while alive.size:
        alive = alive[_bernoulli_exp((), alive.size, below)]
        runs[alive] += 1
    return runs


def _all_succeed(trials: Integers, attempt: Callable[[Integers], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Whether all of its trials succeed, for each place; `attempt` makes one trial for the places that it is given."""
    succeeds = np.ones(trials.size, bool)
    alive = np.flatnonzero(trials > 0)
    made = 0
    while alive.size:
        success = attempt(alive)
        succeeds[alive[~success]] = False
        made += 1
        alive = alive[success]
        alive = alive[trials[alive] > made]
    return succeeds


def _bernoulli_exp(factors: Sequence[tuple[Integers | int, int]], n: int, below: Below) -> NDArray[np.bool_]:
    """Succeed with probability exp(-x), x the product of ratios (numerator, denominator), each at most 1; shape [n].

    Algorithm 1 of the source: trials with probabilities x, x/2, x/3, ... are made until one fails; the probability that
    the first failure has an odd number is exp(-x). A trial with probability x/k is one success for each ratio and for
    1/k.
    """
    alive = np.arange(n)
    succeeds = np.zeros(n, bool)
    turn = 1
    while alive.size:
        going = alive
        if turn > 1:
            going = going[below(turn, going.size) == 0]
        for ratio, denominator in factors:
            bar = ratio if isinstance(ratio, int) else ratio[going]
            going = going[below(denominator, going.size) < bar]
        if turn % 2:
            failed = np.ones(n, bool) if turn == 1 else _marked(n, alive)
            failed[going] = False
            succeeds |= failed
        alive = going
        turn += 1
    return succeeds


def _marked(n: int, places: Integers) -> NDArray[np.bool_]:
    """True at the places, False elsewhere; shape [n]."""
    marked = np.zeros(n, bool)
    marked[places] = True
    return marked
