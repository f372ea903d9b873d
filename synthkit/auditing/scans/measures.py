"""What distances between scans say: copies beyond what held-out scans come to, authenticity, and a two-sample test.

All of these are pure functions of distances. A threshold is never chosen by hand: it is a quantile of how near held-out
scans, which nobody copied, lie to training scans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthkit.auditing.intervals import auc_estimate
from synthkit.auditing.records import Estimate
from synthkit.auditing.residual import Comparison
from synthkit.evaluation.records import Score

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

SHARES: Mapping[str, float] = MappingProxyType({"excess": 0.05, "excess@0.5%": 0.005, "excess@nearest": 0.0})
"""Share of held-out scans that are as near to a training scan by chance, by the name of the measure; 0 for the nearest
of them all."""
FEWEST_OF_A_CLASS = 40
"""Held-out scans of a class from which it gets a threshold of its own."""
_RESAMPLED = 400
# Below this it is no chance that synthetic scans lie nearer to held-out scans than to training scans.
_OTHERWISE = 1e-3


@dataclass(frozen=True)
class Near:
    """Scans that are nearer to a training scan than a threshold.

    Attributes
    ----------
    synthetic, holdout
        Which they are, shapes [synthetic] and [held-out].
    thresholds
        The threshold of each synthetic scan, shape [synthetic].
    """

    synthetic: Marks
    holdout: Marks
    thresholds: Floats


def near(
    synthetic: Floats, holdout: Floats, share: float, classes: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> Near:
    """Return which scans are nearer to a training scan than a share of the held-out ones.

    Parameters
    ----------
    synthetic, holdout
        Distance of each scan to the nearest training scan.
    share
        Of the held-out scans that count as near; 0 for one only.
    classes
        Class of each synthetic and each held-out scan. Classes with enough held-out scans have thresholds of their own:
        a generator that draws many scans of an even class is not taken for a copier.

    Notes
    -----
    The threshold is the distance of a held-out scan, which counts as near itself; a synthetic one has to be nearer. So
    a generator that copies nothing stays at or below the rate of the held-out scans.
    """
    counts = np.bincount(classes[1], minlength=int(max(classes[0].max(initial=0), classes[1].max(initial=0))) + 1)
    own = counts >= FEWEST_OF_A_CLASS
    near_synthetic = np.zeros(len(synthetic), dtype=bool)
    near_holdout = np.zeros(len(holdout), dtype=bool)
    thresholds = np.zeros(len(synthetic))
    groups = [(classes[0] == one, classes[1] == one) for one in np.flatnonzero(own)]
    rest = ~own[classes[0]]
    if rest.any():
        # what has no threshold of its own is held against all held-out scans
        groups.append((rest, ~own[classes[1]] if (~own[classes[1]]).sum() >= FEWEST_OF_A_CLASS else np.ones(
            len(holdout), dtype=bool)))  # fmt: skip
    for these, those in groups:
        ordered = np.sort(holdout[those])
        threshold = ordered[max(1, int(np.ceil(share * len(ordered)))) - 1]
        near_synthetic |= these & (synthetic < threshold)
        near_holdout |= those & (holdout <= threshold)
        thresholds[these] = threshold
    return Near(near_synthetic, near_holdout, thresholds)


def compared(found: Near, patients: npt.NDArray[np.int64], random: np.random.Generator) -> Comparison:
    """Return the copy rate of the synthetic scans beside that of the held-out ones.

    Parameters
    ----------
    found
        Which are near.
    patients
        Number of the patient of each held-out scan: the scans of one patient are near together or not at all, so that
        they count as fewer, by a bootstrap of patients.
    random
        For the bootstrap.
    """
    tried = effective_number(found.holdout, patients, random)
    rate = float(found.holdout.mean())
    return Comparison(float(found.synthetic.sum()), float(len(found.synthetic)), rate * tried, tried)


def effective_number(marks: Marks, patients: npt.NDArray[np.int64], random: np.random.Generator) -> float:
    """Return as many independent scans as tell as much about a share as these, by a bootstrap of patients.

    Parameters
    ----------
    marks
        Of which a share is estimated, shape [scans].
    patients
        Number of the patient of each, from 0.
    random
        For the bootstrap.
    """
    n, share = len(marks), float(marks.mean())
    sizes = np.bincount(patients)
    sizes = sizes[sizes > 0]
    if len(sizes) == n or not 0 < share < 1:
        return float(len(sizes))
    hits = np.bincount(patients, weights=marks)[np.bincount(patients) > 0]
    drawn = random.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=_RESAMPLED)
    shares = (drawn @ hits) / (drawn @ sizes)
    variance = float(shares.var(ddof=1))
    return float(np.clip(share * (1 - share) / max(variance, 1e-12), 1.0, n))


def copy_rates(comparison: Comparison, confidence: float) -> tuple[Estimate, Estimate, Estimate]:
    """Return the excess of the copy rate, the copy rate itself and that of the held-out scans, with intervals."""
    return comparison.excess(confidence), comparison.attack(confidence), comparison.control(confidence)


@dataclass(frozen=True)
class Preference:
    """Whether near synthetic scans lie nearer to training scans than to held-out ones.

    Attributes
    ----------
    near
        Synthetic scans that are near to either.
    training
        Those of them whose nearest scan is a training scan.
    expected
        The share of them that this would be were nothing copied: that of the training scans among all real ones.
    p_value
        How likely at least so many would be, were nothing copied.
    p_value_below
        How likely at most so many would be. A tiny one says that the release has scans of held-out patients: then it
        tells nothing that near scans lie near to held-out ones.
    """

    near: int
    training: int
    expected: float
    p_value: float
    p_value_below: float

    def none(self, chance: float) -> bool:
        """Return whether near scans lie near to either kind as often as chance has it."""
        return self.p_value > chance and self.p_value_below > _OTHERWISE


def preference(to_training: Floats, to_holdout: Floats, thresholds: Floats, sizes: tuple[int, int]) -> Preference:
    """Return whether near synthetic scans lie nearer to training scans than to held-out ones.

    A generator that copies nothing has no reason to: which real scans were held out is chance.

    Parameters
    ----------
    to_training, to_holdout
        Distance of each synthetic scan to the nearest scan of either kind.
    thresholds
        Distance below which it is near.
    sizes
        Number of training and of held-out scans.
    """
    nearest = np.minimum(to_training, to_holdout)
    close = nearest < thresholds
    count = int(close.sum())
    won = int((close & (to_training < to_holdout)).sum())
    expected = sizes[0] / max(1, sum(sizes))
    p_value = float(stats.binom.sf(won - 1, count, expected)) if count else 1.0
    below = float(stats.binom.cdf(won, count, expected)) if count else 1.0
    return Preference(count, won, expected, p_value, below)


def nearer_score(synthetic: Floats, holdout: Floats) -> Score:
    """Return the two-sample test of distances to training scans: how often a synthetic scan is nearer than a real one.

    Parameters
    ----------
    synthetic, holdout
        Distance of each synthetic and each held-out scan to the nearest training scan.

    Returns
    -------
    Score
        Probability that a synthetic scan lies nearer than a held-out one, equal ones one half, with DeLong's interval;
        0.5 for scans of the same source. The details have the p-value of the rank test of Mann and Whitney against
        "nearer", and that of the test of Kolmogorov and Smirnov against any difference.
    """
    area = auc_estimate(-synthetic, -holdout, 0.95)
    ranks = stats.mannwhitneyu(synthetic, holdout, alternative="less", method="asymptotic")
    curves = stats.ks_2samp(synthetic, holdout, method="asymp")
    details = {
        "p-value of nearer (Mann-Whitney)": float(ranks.pvalue),
        "largest difference of the two curves": float(curves.statistic),
        "p-value of any difference (Kolmogorov-Smirnov)": float(curves.pvalue),
    }
    return Score(area.value, area.low, area.high, ceiling=0.5, n=len(synthetic), direction="half", details=details)


def authenticity_score(
    synthetic: tuple[Floats, Floats], holdout: tuple[Floats, Floats], confidence: float = 0.95
) -> Score:
    """Return the share of synthetic scans that are not nearer to a training scan than another training scan is.

    Parameters
    ----------
    synthetic, holdout
        For each scan, its distance to the nearest training scan, and the distance of that one to the nearest training
        scan of another patient.
    confidence
        Level of the interval.

    Returns
    -------
    Score
        The share, with the same share of held-out scans as ceiling: about one half, as two scans near each other are
        each other's neighbours about as often as not.

    References
    ----------
    Alaa, van Breugel, Saveliev and van der Schaar (2022), How Faithful is Your Synthetic Data?, ICML, section 3.3.
    """
    from synthkit.auditing.intervals import share_estimate

    authentic = synthetic[0] >= synthetic[1]
    real = holdout[0] >= holdout[1]
    found = share_estimate(float(authentic.sum()), float(len(authentic)), confidence)
    return Score(
        found.value,
        found.low,
        found.high,
        ceiling=float(real.mean()) if len(real) else float("nan"),
        n=len(authentic),
        direction="higher",
    )
