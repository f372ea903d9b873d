"""Which epsilon a test with given error rates needs: curves for audits.

A test that tells two neighbouring tables apart has a false-positive and a false-negative rate. Three families of
mechanisms are known, each ordered by epsilon; a curve gives the epsilon of the most private member that allows the
rates:

- `AnyMechanism`: nothing is assumed. ``1 - fnr <= exp(epsilon) fpr + delta`` and the same with the rates exchanged
  (Kairouz, Oh and Viswanath, 2015).
- `GaussianCurve`: Gaussian mechanisms (Dong, Roth and Su, 2022; Nasr et al., 2023).
- `SampledGaussianCurve`: DP-SGD with a planned number of steps and sampling probability, and any noise.

Where the claim itself is a member of the family, an answer above the claim refutes it whatever the true mechanism is.
As a bound on the true epsilon the answer holds where the true mechanism is of the family, or always for `AnyMechanism`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from dp_accounting import NeighboringRelation, get_epsilon_gaussian
from dp_accounting.pld import privacy_loss_distribution
from scipy.optimize import brentq
from scipy.special import ndtri

from synthkit.privacy.accounting import gaussian_precision
from synthkit.privacy.budget import Adjacency

_LARGEST_MU = 60.0
_LOSSES = 100  # epsilons at which the curve of DP-SGD is looked at
_STEP = 1e-2  # of its discretisation, which costs less than 1e-3 of epsilon
_CLOSE = 1e-3  # relative distance of noise multipliers that counts as none
_LEAST_NOISE, _MOST_NOISE = 0.15, 1e3  # multipliers that are looked at


class Curve(Protocol):
    """A family of mechanisms, ordered by epsilon."""

    @property
    def name(self) -> str:
        """What the family is called."""

    def epsilon(self, false_positive: float, false_negative: float, delta: float) -> float:
        """Return the epsilon of the most private member that allows a test with these error rates."""


@dataclass(frozen=True)
class AnyMechanism:
    """All mechanisms: the definition of (epsilon, delta)-privacy and nothing else."""

    name: str = "any mechanism"

    def epsilon(self, false_positive: float, false_negative: float, delta: float) -> float:
        """Return the epsilon without which a test cannot have these error rates."""
        found = [0.0]
        for rate, other in ((false_positive, false_negative), (false_negative, false_positive)):
            if other < 1 - delta:
                found.append(math.log((1 - delta - other) / rate) if rate > 0 else math.inf)
        return max(found)


@dataclass(frozen=True)
class GaussianCurve:
    """Gaussian mechanisms, alone or composed: one curve for each ratio mu of sensitivity and noise."""

    name: str = "Gaussian"

    def epsilon(self, false_positive: float, false_negative: float, delta: float) -> float:
        """Return the epsilon of the Gaussian curve through the rates."""
        mu = min(separation(false_positive, false_negative), _LARGEST_MU)
        return max(0.0, float(get_epsilon_gaussian(1 / mu, delta))) if mu > 1e-6 else 0.0


@dataclass(frozen=True)
class SampledGaussianCurve:
    """DP-SGD with a given number of steps and sampling probability, and any noise.

    Attributes
    ----------
    sampling_probability
        Chance of a unit to take part in a step.
    steps
        Number of steps.
    adjacency
        "add-remove" or "replace-one".
    """

    sampling_probability: float
    steps: int
    adjacency: Adjacency = "add-remove"

    @property
    def name(self) -> str:
        """What the family is called."""
        return f"{self.steps} steps of a Gaussian on samples of {self.sampling_probability:g}"

    def epsilon(self, false_positive: float, false_negative: float, delta: float) -> float:
        """Return the epsilon of the largest noise that allows the rates.

        Where no noise allows them (a unit that is rarely sampled cannot always be found), that of the least noise that
        is looked at, a multiplier of 0.15.
        """
        if false_positive + false_negative >= 1:
            return 0.0

        def excess(log_noise: float) -> float:
            return self._excess(self._distribution(math.exp(log_noise)), false_positive, false_negative)

        low, high = math.log(_LEAST_NOISE), math.log(_MOST_NOISE)
        if excess(low) >= 0:
            root = low
        elif excess(high) <= 0:
            return 0.0
        else:
            # a little more noise than the root: the bound must not be rounded up
            root = float(brentq(excess, low, high, xtol=_CLOSE)) + _CLOSE
        return float(self._distribution(math.exp(root)).get_epsilon_for_delta(delta))

    def _distribution(self, noise_multiplier: float) -> Any:
        return _sampled(noise_multiplier, self.sampling_probability, self.steps, self.adjacency)

    def _excess(self, distribution: Any, false_positive: float, false_negative: float) -> float:
        """Return by how much a test with these rates does better than the mechanism allows; negative if it does not."""
        # a slope beyond one over the smaller rate cannot help
        steepest = -math.log(max(min(false_positive, false_negative), 1e-9))
        epsilons = np.linspace(0.0, steepest, _LOSSES)
        deltas = np.asarray(distribution.get_delta_for_epsilon(epsilons))
        rates = np.array([[false_positive, false_negative], [false_negative, false_positive]])
        return float(np.max(1 - rates[:, 1:] - np.exp(epsilons) * rates[:, :1] - deltas))


@lru_cache(maxsize=64)
def _sampled(noise_multiplier: float, probability: float, steps: int, adjacency: Adjacency) -> Any:
    """Return dp-accounting's privacy loss distribution of DP-SGD, never optimistic."""
    relation = {"add-remove": NeighboringRelation.ADD_OR_REMOVE_ONE, "replace-one": NeighboringRelation.REPLACE_ONE}
    return privacy_loss_distribution.from_gaussian_mechanism(
        noise_multiplier,
        sampling_prob=probability,
        neighboring_relation=relation[adjacency],
        # small noise has large losses, which need no fine grid
        value_discretization_interval=_STEP * max(1.0, 1 / noise_multiplier),
    ).self_compose(steps)


def separation(false_positive: float, false_negative: float) -> float:
    """Return mu, by how many standard deviations two Gaussians lie apart that a test tells with these error rates."""
    return float(-ndtri(false_positive) - ndtri(false_negative))


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Return mu, sensitivity over noise, of the Gaussian mechanism that is exactly (epsilon, delta)-private."""
    return math.sqrt(gaussian_precision(epsilon, delta))
