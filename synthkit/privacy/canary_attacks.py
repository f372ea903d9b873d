"""What a canary audit attacks and how: real code on made-up rows, from the ledger to what is published.

A release is a callable from codes to what is published. An attack has two neighbouring tables. It learns from the code
itself how they differ in what is published, by a run on each with `SilentNoise`: a row that is counted twice, or where
it does not belong, gives it more to go by. By pilot runs it learns in which directions there is less noise than planned
(`whitening`). Then it scores runs by the likelihood ratio of the two tables.
"""

from __future__ import annotations

import copy
import math
from itertools import product
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, xlog1py, xlogy
from torch import Tensor

from synthkit.gan.critics import Critic
from synthkit.gan.features import FeatureMap
from synthkit.gan.layout import Layout
from synthkit.privacy.accounting import calibrate_sampled_gaussian
from synthkit.privacy.anchor import all_pairs, measure_margins, measure_pairs
from synthkit.privacy.audit_curves import Curve, GaussianCurve, SampledGaussianCurve
from synthkit.privacy.budget import ROW, PrivacyBudget
from synthkit.privacy.critic_step import NoisyCriticGradient
from synthkit.privacy.events import Event, sampled_gaussian_event
from synthkit.privacy.guard import PrivateRows
from synthkit.privacy.ledger import Ledger
from synthkit.privacy.noise import NoiseSource, Shape
from synthkit.privacy.plan import plan_release
from synthkit.privacy.record_loss import RecordLoss
from synthkit.random import RandomSource

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]

RECORDS = 1_000  # n0, public
CLIP = 0.5  # C, far shorter than the gradients of the canaries
_OTHERS = 20  # rows of the anchor's table beside the canary
_SYMBOLS = 3  # of each column: the others', the canary's, and that of who is in its place under "replace-one"
_IDEAL = 20_000  # simulated runs exactly at the claim
_PILOTS, _FEWEST_PILOTS = 5, 60  # for each number in which the tables differ; in all
_SILENCE = 1e-6  # smallest variance, in units of the planned one
MOST_STEPS = 10  # of the critic: every subset of them is looked at


class SilentNoise(NoiseSource):
    """Noise that is none, and samples of everybody: shows what a mechanism does to made-up rows, and hides nothing."""

    @property
    def is_private(self) -> bool:
        """False."""
        return False

    def bernoulli(self, p: Any, n: int) -> NDArray[np.bool_]:
        """Let everybody in."""
        return np.ones(n, np.bool_)

    def discrete_gaussian(self, sigma: Any, shape: Shape) -> NDArray[np.int64]:
        """Return zeros."""
        return np.zeros(shape, np.int64)

    def gaussian(self, sigma: float, shape: Shape) -> Floats:
        """Return zeros."""
        return np.zeros(shape)


class Release:
    """A plan that is checked once, and rows behind a guard for each run.

    Parameters
    ----------
    budget
        What is claimed to be kept.
    events
        The plan.

    Attributes
    ----------
    budget
        As given.
    claimed
        Epsilon of the plan, by the ledger.
    """

    def __init__(self, budget: PrivacyBudget, events: tuple[Event, ...]) -> None:
        self.budget = budget
        # checking a plan takes longer than a run: every run spends from a copy of a planned ledger
        self._planned = Ledger(budget, data="made up", release="canary audit")
        self._planned.plan(events)
        self.claimed = self._planned.epsilon_planned()

    def rows(self, codes: Codes) -> PrivateRows:
        """Guard made-up rows ``[n, C]``, as many times each as a unit may have rows."""
        most = self.budget.rows_per_unit
        units = None if self.budget.unit == ROW else np.repeat(np.arange(len(codes)), most)
        return PrivateRows({"codes": np.repeat(codes, most, axis=0)}, copy.deepcopy(self._planned), units)


class AnchorRelease(Release):
    """Margins and all pairs of a table.

    Parameters
    ----------
    budget
        What the release is planned for.
    columns, symbols
        Columns of the table, and symbols of each.
    """

    def __init__(self, budget: PrivacyBudget, columns: int, symbols: int) -> None:
        plan = plan_release(budget, columns=columns, levels=(), records=RECORDS, engine="anchor")
        self._events = plan.events["margins"], plan.events["pairs"]
        super().__init__(budget, self._events)
        self._sizes = [symbols] * columns
        self._pairs = all_pairs(self._sizes)

    def __call__(self, codes: Codes, noise: NoiseSource) -> tuple[list[Floats], list[Floats]]:
        """Measure; return the noisy counts of each column ``[S]`` and of each pair ``[S, S]``."""
        rows, (first, second) = self.rows(codes), self._events
        margins = measure_margins(rows, self._sizes, first, self.budget, noise)
        found = measure_pairs(rows, self._sizes, self._pairs, margins, second, self.budget, noise)
        # shares are counts over a published number
        return [own.astype(np.float64) for own in margins.counts], [table * margins.total for table in found.tables]

    @property
    def mu(self) -> float:
        """Distance of neighbours in what is published, in standard deviations of the planned noise."""
        return math.sqrt(sum(1 / (event.noise_multiplier or math.inf) ** 2 for event in self._events))

    @property
    def deviations(self) -> tuple[float, float]:
        """Standard deviation of the noise in counts of margins and of pairs, from the plan alone."""
        margins, pairs = ((event.noise_multiplier or 0.0) * event.sensitivity for event in self._events)
        return margins, pairs


class CriticRelease(Release):
    """All steps of a private critic, which stays as it is.

    It is linear: a record then has the same gradient in all steps, whatever its interpolate is.

    Parameters
    ----------
    budget
        What the steps are planned for.
    steps, probability
        Their number, and the sampling probability.
    weights
        Of the critic, one for each symbol of the only column ``[S]``.
    fake
        What the critic sees of every fake ``[S]``.
    """

    def __init__(self, budget: PrivacyBudget, steps: int, probability: float, weights: Floats, fake: Floats) -> None:
        self.steps, self.probability = steps, probability
        multiplier = calibrate_sampled_gaussian(budget, (), probability, steps)
        self._event = sampled_gaussian_event("critic", "gradients of the critic", multiplier, probability, steps)
        super().__init__(budget, (self._event,))
        self.deviation = multiplier * CLIP
        n = len(weights)
        self._features = FeatureMap(Layout.from_counts([n], [n], [np.ones(n)], [np.zeros(n, bool)], rows=n))
        self._critic = Critic(n, generator=RandomSource(0).torch("critic"), depth=0, fast=False)
        with torch.no_grad():
            self._critic.score.weight.copy_(torch.as_tensor(weights)[None])
        self._fake = torch.as_tensor(fake, dtype=torch.float32)

    def __call__(self, codes: Codes, noise: NoiseSource) -> Floats:
        """Take all steps; return the noisy sum of each ``[T, S + 1]``, the critic's bias last."""
        gradient = NoisyCriticGradient(
            self.rows(codes),
            self._event,
            self._features,
            RecordLoss(),
            records=RECORDS,
            noise=noise,
            rows_per_unit=self.budget.rows_per_unit,
        )
        steps = [gradient(self._critic, self._fakes, CLIP) for _ in range(self.steps)]
        means = torch.stack([torch.cat([tensor.flatten() for tensor in step]) for step in steps])
        return means.double().numpy() * (self.probability * RECORDS)

    def _fakes(self, n: int, generator: torch.Generator) -> Tensor:
        return self._fake.expand(n, -1)

    def log_ratio(self, projected: Floats, squared: float) -> Floats:
        """Log-likelihood of a step with a unit that is sampled with its probability, against without, any shape.

        Parameters
        ----------
        projected
            Inner product of the sum and what the unit contributes when it is in the sample.
        squared
            Squared norm of what it contributes.
        """
        inside = math.log(self.probability) + (projected - squared / 2) / self.deviation**2
        outside = math.log1p(-self.probability) if self.probability < 1 else -math.inf
        found: Floats = np.logaddexp(outside, inside)
        return found


class Attack(Protocol):
    """Two neighbouring tables, and a score that says which of them a release was made from.

    Attributes
    ----------
    name
        What is attacked.
    release
        It.
    tables
        Codes without and with the canary.
    curve
        The family that the claim belongs to.
    """

    name: str
    release: Release
    tables: tuple[Codes, Codes]
    curve: Curve

    def score(self, codes: Codes, noise: NoiseSource) -> float:
        """Run the release on one of the tables; return the log-likelihood ratio of the tables, "with" above."""

    def ideal(self) -> tuple[Floats, Floats]:
        """Simulate scores without and with the canary of a release exactly at its claim."""


class AnchorAttack:
    """An `Attack` on margins and pairs, by a canary in cells of its own.

    Parameters
    ----------
    budget
        What the release is planned for.
    columns
        Columns of the table.
    noise
        For pilot runs.
    """

    def __init__(self, budget: PrivacyBudget, columns: int, noise: NoiseSource) -> None:
        self.name = "anchor"
        self.curve: Curve = GaussianCurve()
        self._release = AnchorRelease(budget, columns, _SYMBOLS)
        self.release: Release = self._release
        self.tables = _neighbours(budget, np.zeros((_OTHERS, columns), np.int32))
        shown = [self._everything(codes, SilentNoise()) for codes in self.tables]
        self._differing = np.flatnonzero(shown[1] - shown[0])
        without, into = (own[self._differing] for own in shown)
        pilots = [self._published(self.tables[0], noise) for _ in range(_pilots(len(without)))]
        self._whitening = whitening(np.stack(pilots))
        self._middle, self._change = (into + without) / 2, self._whitening @ (into - without)

    def score(self, codes: Codes, noise: NoiseSource) -> float:
        """See `Attack`."""
        return float(self._change @ self._whitening @ (self._published(codes, noise) - self._middle))

    def ideal(self) -> tuple[Floats, Floats]:
        """See `Attack`."""
        mu = self._release.mu
        without, into = RandomSource(0).numpy("ideal scores").standard_normal((2, _IDEAL)) * mu
        return without - mu**2 / 2, into + mu**2 / 2

    def _published(self, codes: Codes, noise: NoiseSource) -> Floats:
        """What a run publishes where the tables differ."""
        return self._everything(codes, noise)[self._differing]

    def _everything(self, codes: Codes, noise: NoiseSource) -> Floats:
        """All that a run publishes, in standard deviations of the planned noise."""
        kinds = zip(self._release(codes, noise), self._release.deviations, strict=True)
        return np.concatenate([table.ravel() / deviation for tables, deviation in kinds for table in tables])


class CriticAttack:
    """An `Attack` on the noisy gradients of a critic, by a canary that is alone in the table.

    Parameters
    ----------
    budget
        What the steps are planned for.
    steps, probability
        Their number, at most `MOST_STEPS`, and the sampling probability.
    noise
        For pilot runs.
    release
        Makes what is attacked.
    """

    def __init__(
        self,
        budget: PrivacyBudget,
        steps: int,
        probability: float,
        noise: NoiseSource,
        release: type[CriticRelease] = CriticRelease,
    ) -> None:
        self.name = "critic"
        self.curve: Curve = SampledGaussianCurve(probability, steps, budget.adjacency)
        self._replaced = budget.adjacency == "replace-one"
        if self._replaced:
            # who takes the canary's place pulls the other way; a penalty would pull both the same way, so there is none
            weights, fake = [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]
        else:
            # real term, fake term and penalty are each longer than the clipping norm
            weights, fake = [3.0, 0.0, 0.0], [0.0, -9.0, 0.0]
        self._release = release(budget, steps, probability, np.array(weights), np.array(fake))
        self.release: Release = self._release
        nobody = np.zeros((0, 1), np.int32)
        self.tables = _neighbours(budget, nobody)
        # all subsets of steps in which a unit may have been sampled
        self._in_steps = np.array(list(product((0.0, 1.0), repeat=steps)))
        times = self._in_steps.sum(1)
        self._chances = xlogy(times, probability) + xlog1py(steps - times, -probability)
        shown = [self._everything(codes, SilentNoise()) for codes in self.tables]
        self._differing = np.flatnonzero((shown[0] != shown[1]).any(0))
        pilots = [self._published(nobody, noise) for _ in range(_pilots(steps * len(self._differing)))]
        self._whitening = whitening(np.stack(pilots))
        self._contributions = [self._subsets(own[:, self._differing]) for own in shown]

    def score(self, codes: Codes, noise: NoiseSource) -> float:
        """See `Attack`."""
        run = self._whitening @ self._published(codes, noise)
        without, into = (
            float(logsumexp(self._chances + parts @ run - (parts**2).sum(1) / 2)) for parts in self._contributions
        )
        return into - without

    def ideal(self) -> tuple[Floats, Floats]:
        """See `Attack`."""
        random, release = RandomSource(0).numpy("ideal scores"), self._release
        shape = (_IDEAL, release.steps)

        def simulated(contribution: float) -> Floats:
            sampled = random.random(shape) < release.probability
            noise = release.deviation * random.standard_normal(shape)
            sums: Floats = sampled * contribution * CLIP + noise
            ratio = release.log_ratio(CLIP * sums, CLIP**2)
            if self._replaced:
                ratio = ratio - release.log_ratio(-CLIP * sums, CLIP**2)
            total: Floats = ratio.sum(1)
            return total

        return simulated(-1.0 if self._replaced else 0.0), simulated(1.0)

    def _published(self, codes: Codes, noise: NoiseSource) -> Floats:
        """What a run publishes where the tables differ, step after step."""
        return self._everything(codes, noise)[:, self._differing].ravel()

    def _everything(self, codes: Codes, noise: NoiseSource) -> Floats:
        """All that a run publishes, in standard deviations of the planned noise ``[T, P]``."""
        return self._release(codes, noise) / self._release.deviation

    def _subsets(self, shown: Floats) -> Floats:
        """What a unit contributes, by the steps in which it is sampled, after whitening ``[2^T, T P]``."""
        parts: Floats = (self._in_steps[:, :, None] * shown).reshape(len(self._in_steps), -1) @ self._whitening
        return parts


def _pilots(width: int) -> int:
    return max(_PILOTS * width, _FEWEST_PILOTS)


def whitening(pilots: Floats) -> Floats:
    """Return the symmetric matrix ``[p, p]`` after which noise is as planned in every direction.

    Parameters
    ----------
    pilots
        What runs on the same table published ``[K, p]``, in standard deviations of the planned noise.

    Returns
    -------
    ndarray
        The identity where the noise is as planned. Variances that differ from most others by no more than chance
        (Marchenko and Pastur, 1967, with some room) count as theirs, and theirs as 1 where it is about that. Quiet
        directions, such as an exact count, are amplified up to a thousand times.
    """
    runs, width = pilots.shape
    if not width:
        # the tables do not differ in what is published: there is nothing to score by
        return np.zeros((0, 0))
    # numpy gives the variance of a single number without a shape
    variances, directions = np.linalg.eigh(np.cov(pilots, rowvar=False).reshape(width, width))
    variances = np.maximum(variances, _SILENCE)
    most = float(np.median(variances))
    spread = math.sqrt(width / runs)
    usual = (variances > 0.8 * (1 - spread) ** 2 * most) & (variances < 1.25 * (1 + spread) ** 2 * most)
    scale = np.where(usual, 1.0 if 0.7 < most < 1.4 else most, variances) ** -0.5
    found: Floats = (directions * scale) @ directions.T
    return found


def _neighbours(budget: PrivacyBudget, others: Codes) -> tuple[Codes, Codes]:
    """Tables without and with a canary, whose symbol 1 no other row has; symbol 2 is who is replaced by it."""
    canary, other = (np.full((1, others.shape[1]), symbol, np.int32) for symbol in (1, 2))
    without = np.concatenate([others, other]) if budget.adjacency == "replace-one" else others
    return without, np.concatenate([others, canary])
