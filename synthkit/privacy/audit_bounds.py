"""What the scores of an attack prove about epsilon: lower bounds that hold with a stated confidence.

Many runs (`threshold_bound`): an attacker tells releases made with a canary from releases made without it. Its two
error rates are bounded from above by Clopper and Pearson (1934), each with its part of the error that the confidence
leaves, and a curve (`synthkit.privacy.audit_curves`) says which epsilon such rates need. Scores need no shape. With the
Gaussian curve this is the fit of mu of Nasr et al. (2023).

One run (`one_run_bound`): many canaries, each in or out by a coin flip of its own, and how many of the coins the
attacker guesses right (Steinke, Nasr and Jagielski, 2023).

A bound can only refute. That it stays below a claim shows nothing: another attack might find more. How much it could
have shown is given with it (`EpsilonBound.detectable`, `EpsilonBound.expected`).

Nothing here draws random numbers or reads data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import beta, binom

from synthkit.errors import PrivacyError
from synthkit.privacy.audit_curves import AnyMechanism, Curve, gaussian_mu

Floats = NDArray[np.float64]

_CANDIDATES = 200  # thresholds that are looked at
_SHARES = np.linspace(0.04, 1.0, 13)  # of canaries that are guessed


@dataclass(frozen=True)
class EpsilonBound:
    """A lower bound on epsilon.

    Attributes
    ----------
    bound
        At least 0.
    delta
        Delta that the bound goes with.
    confidence
        Chance, over the randomness of the runs, that the bound is right, at least.
    runs
        Runs with and without the canary together, or canaries of a single run.
    detectable
        The largest bound that so many runs could show: that of an attack that never errs.
    expected
        The bound to expect of a mechanism exactly at its claim; None where no claim was given.
    method
        Name of the curve, or "one run".
    """

    bound: float
    delta: float
    confidence: float
    runs: int
    detectable: float
    expected: float | None
    method: str


def require_confidence(confidence: float) -> None:
    """Refuse a confidence that is none, or below one half."""
    if not 0.5 <= confidence < 1:
        raise PrivacyError(
            f"the confidence of a bound on epsilon must be 0.5 or more and below 1, got {confidence!r}",
            remedy="Give a confidence such as 0.99.",
        )


def upper_rate(count: float, runs: int, confidence: float) -> float:
    """Return the upper end of the one-sided interval of Clopper and Pearson (1934) for a rate.

    Parameters
    ----------
    count
        Events that were seen; need not be whole for what is to be expected.
    runs
        Trials, at least 1.
    confidence
        Chance that the rate is at most what is returned, at least.
    """
    return 1.0 if count >= runs else float(beta.ppf(confidence, count + 1, runs - count))


def threshold_bound(
    without: Floats,
    with_canary: Floats,
    *,
    delta: float,
    confidence: float = 0.99,
    threshold: float | None = None,
    curve: Curve | None = None,
    ideal: tuple[Floats, Floats] | None = None,
) -> EpsilonBound:
    """Bound epsilon by many independent runs with and without a canary.

    Parameters
    ----------
    without, with_canary
        Score of each run ``[n_0]`` and ``[n_1]``; the canary should raise it. Independent runs.
    delta
        Delta that the bound goes with.
    confidence
        Of the bound, at least 0.5 and below 1.
    threshold
        Scores above it say "with". It must have been chosen without these scores (a white-box attack knows the best
        one); None chooses it on every other run and bounds on the rest.
    curve
        What mechanisms are thought of; None is `AnyMechanism`, which is always right.
    ideal
        Many scores without and with the canary of a simulated mechanism exactly at its claim, for what is to be
        expected.

    Returns
    -------
    EpsilonBound

    Raises
    ------
    PrivacyError
        If there are fewer than two runs of a kind, a score is not a number, or confidence or delta is out of range.
    """
    _check(delta, confidence)
    family: Curve = AnyMechanism() if curve is None else curve
    out, into = _scores(without, "without"), _scores(with_canary, "with")
    runs = len(out) + len(into)
    if threshold is None:
        threshold = best_threshold(out[::2], into[::2], delta=delta, confidence=confidence, curve=family)
        out, into = out[1::2], into[1::2]
    cut, each = threshold, 1 - (1 - confidence) / 2

    def of(false_positive: float, false_negative: float) -> float:
        return family.epsilon(
            upper_rate(false_positive * len(out), len(out), each),
            upper_rate(false_negative * len(into), len(into), each),
            delta,
        )

    def by(without: Floats, with_canary: Floats) -> float:
        return of(float((without > cut).mean()), float((with_canary <= cut).mean()))

    return EpsilonBound(
        bound=by(out, into),
        delta=delta,
        confidence=confidence,
        runs=runs,
        detectable=of(0.0, 0.0),
        expected=None if ideal is None else by(*ideal),
        method=family.name,
    )


def best_threshold(
    without: Floats, with_canary: Floats, *, delta: float, confidence: float, curve: Curve | None = None
) -> float:
    """Return the threshold that would give the largest bound on these runs; it must be used on others.

    Parameters
    ----------
    without, with_canary, delta, confidence, curve
        As in `threshold_bound`.
    """
    out, into = np.sort(without), np.sort(with_canary)
    each = 1 - (1 - confidence) / 2
    candidates = np.unique(np.quantile(np.concatenate([out, into]), np.linspace(0, 1, _CANDIDATES)))
    wrong = len(out) - np.searchsorted(out, candidates, side="right")
    missed = np.searchsorted(into, candidates, side="right")
    # of two rates by Clopper and Pearson; a rate of 1 has no finite score
    first, second = (
        np.where(count < n, beta.ppf(each, count + 1, np.maximum(n - count, 1)), 1.0)
        for count, n in ((wrong, len(out)), (missed, len(into)))
    )
    with np.errstate(divide="ignore"):
        if curve is None or isinstance(curve, AnyMechanism):
            better = np.maximum(
                np.log(np.maximum(1 - delta - second, 0) / first), np.log(np.maximum(1 - delta - first, 0) / second)
            )
        else:
            better = -ndtri(first) - ndtri(second)
    return float(candidates[int(np.argmax(better))])


def one_run_bound(
    scores: Floats,
    included: NDArray[np.bool_],
    *,
    delta: float,
    confidence: float = 0.99,
    guesses: int | None = None,
    claimed: float | None = None,
) -> EpsilonBound:
    """Bound epsilon by one run with many canaries, each of them in or out by a coin flip of its own.

    The attacker guesses "in" for the canaries with the highest scores and "out" for as many with the lowest. Under
    (epsilon, 0)-privacy the number of right guesses is at most binomial with chance exp(epsilon) / (1 + exp(epsilon));
    delta adds a term (Steinke, Nasr and Jagielski, NeurIPS 2023, theorem 5.2). No shape is assumed, and the canaries
    need not be independent of each other in the release.

    Parameters
    ----------
    scores
        Of each canary ``[m]``.
    included
        Whether it was in ``[m]``: fair and independent coins, drawn before the run.
    delta, confidence
        As in `threshold_bound`. The protected unit is one canary, under "add-remove".
    guesses
        Canaries that are guessed at all; chosen without the scores. None chooses it for the claim, or all without one.
    claimed
        The claimed epsilon, for the choice and for what is to be expected (of a Gaussian mechanism).

    Returns
    -------
    EpsilonBound

    Raises
    ------
    PrivacyError
        If shapes differ, a score is not a number, or a number is out of range.
    """
    _check(delta, confidence)
    values = _scores(scores, "of canaries")
    m = len(values)
    if np.shape(included) != (m,):
        raise PrivacyError(f"coins of {m} canaries have shape ({m},), got {np.shape(included)}")
    expected = None
    if claimed is not None:
        best, expected = best_guesses(m, claimed, delta, confidence)
        guesses = best if guesses is None else guesses
    total = m if guesses is None else guesses
    if not 2 <= total <= m:
        raise PrivacyError(f"an audit in one run guesses 2 to {m} canaries, got {total}")
    each_side = total // 2
    order = np.argsort(values, kind="stable")
    coins = np.asarray(included, bool)
    right = int(coins[order[m - each_side :]].sum() + (~coins[order[:each_side]]).sum())
    return EpsilonBound(
        bound=one_run_epsilon(m, 2 * each_side, right, delta, confidence),
        delta=delta,
        confidence=confidence,
        runs=m,
        detectable=one_run_epsilon(m, 2 * each_side, 2 * each_side, delta, confidence),
        expected=expected,
        method="one run",
    )


def one_run_epsilon(canaries: int, guesses: int, right: int, delta: float, confidence: float) -> float:
    """Return the largest epsilon that so many right guesses of so many refute; 0 if they refute none.

    Parameters
    ----------
    canaries
        m, in or out by coin flips.
    guesses
        How many of them were guessed.
    right
        How many guesses were right.
    delta, confidence
        As in `one_run_bound`.
    """

    def chance(epsilon: float) -> float:
        """Largest chance of at least that many right guesses under (epsilon, delta)-privacy."""
        each = 1 / (1 + math.exp(-epsilon))
        tail = float(binom.sf(right - 1, guesses, each))
        if right == 0:
            return 1.0
        steps = np.arange(1, right + 1)
        below = np.cumsum(binom.pmf(right - steps, guesses, each))
        return tail + 2 * canaries * delta * float((below / steps).max())

    allowed = 1 - confidence
    if chance(0.0) >= allowed:
        return 0.0
    low, high = 0.0, 1.0
    while chance(high) < allowed:
        low, high = high, high + 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) < allowed else (low, middle)
    return low


def best_guesses(canaries: int, claimed: float, delta: float, confidence: float) -> tuple[int, float]:
    """Return how many canaries to guess for the largest expected bound on a Gaussian at its claim, and that bound.

    Parameters
    ----------
    canaries
        m.
    claimed, delta
        The claim.
    confidence
        Of the bound.
    """
    mu = gaussian_mu(claimed, delta)
    best = (canaries, 0.0)
    for share in _SHARES.tolist():
        # above the cut lies half of the share, of canaries that are in with chance 1/2
        cut = float(brentq(lambda c, s=share: ndtr(-c) + ndtr(mu - c) - s, -40.0, 40.0 + mu))
        guesses = 2 * int(share * canaries / 2)
        right = int(guesses * float(ndtr(mu - cut)) / share)
        if guesses >= 2:
            bound = one_run_epsilon(canaries, guesses, right, delta, confidence)
            best = max(best, (guesses, bound), key=lambda entry: entry[1])
    return best


def _scores(values: Floats, which: str) -> Floats:
    """Return the scores as an array, if they are at least two numbers."""
    scores = np.asarray(values, np.float64)
    if scores.ndim != 1 or len(scores) < 2 or np.isnan(scores).any():
        raise PrivacyError(
            f"scores {which} must be at least two numbers in a row, got shape {scores.shape}"
            + (" with values that are no numbers" if np.isnan(scores).any() else ""),
            remedy="run the audit with at least two runs of each kind",
        )
    return scores


def _check(delta: float, confidence: float) -> None:
    if not 0 <= delta < 1:
        raise PrivacyError(
            f"delta of a bound on epsilon must be >= 0 and below 1, got {delta!r}",
            remedy="Give the delta of the claim.",
        )
    require_confidence(confidence)
