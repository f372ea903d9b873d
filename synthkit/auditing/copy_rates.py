"""Copies beyond what chance comes to: thresholds from held-out records, rates with intervals, and a test of preference.

All of these are pure functions of distances. A threshold is never chosen by hand: it is a quantile of how near held-out
records, which nobody copied, lie. Of scans, released ones are held against held-out ones by their distance to the
training scans; of cells, training cells take the part of the synthetic ones here, by their distance to the release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthkit.auditing.residual import Comparison

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

SHARES: Mapping[str, float] = MappingProxyType({"excess": 0.05, "excess@0.5%": 0.005, "excess@nearest": 0.0})
"""Share of held-out records that are as near by chance, by the name of the measure; 0 for the nearest of them all."""
FEWEST_OF_A_CLASS = 40
"""Held-out records of a class from which it gets a threshold of its own."""
_RESAMPLED = 400
# Below this it is no chance that synthetic records lie nearer to held-out records than to training records.
_OTHERWISE = 1e-3


@dataclass(frozen=True)
class Near:
    """Records that are nearer to a training record than a threshold.

    Attributes
    ----------
    synthetic, holdout
        Which they are, shapes [synthetic] and [held-out].
    thresholds
        The threshold of each synthetic record, shape [synthetic].
    """

    synthetic: Marks
    holdout: Marks
    thresholds: Floats


def near(
    synthetic: Floats, holdout: Floats, share: float, classes: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> Near:
    """Return which records are nearer to a training record than a share of the held-out ones.

    Parameters
    ----------
    synthetic, holdout
        Distance of each record to the nearest training record.
    share
        Of the held-out records that count as near; 0 for one only.
    classes
        Class of each synthetic and each held-out record. Classes with enough held-out records have thresholds of their
        own: a generator that draws many records of an even class is not taken for a copier.

    Notes
    -----
    The threshold is the distance of a held-out record, which counts as near itself; a synthetic one has to be nearer.
    So a generator that copies nothing stays at or below the rate of the held-out records.
    """
    counts = np.bincount(classes[1], minlength=int(max(classes[0].max(initial=0), classes[1].max(initial=0))) + 1)
    own = counts >= FEWEST_OF_A_CLASS
    near_synthetic = np.zeros(len(synthetic), dtype=bool)
    near_holdout = np.zeros(len(holdout), dtype=bool)
    thresholds = np.zeros(len(synthetic))
    groups = [(classes[0] == one, classes[1] == one) for one in np.flatnonzero(own)]
    rest = ~own[classes[0]]
    if rest.any():
        # what has no threshold of its own is held against all held-out records
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
    """Return the copy rate of the synthetic records beside that of the held-out ones.

    Parameters
    ----------
    found
        Which are near.
    patients
        Number of the patient of each held-out record: the records of one patient are near together or not at all, so
        that they count as fewer, by a bootstrap of patients.
    random
        For the bootstrap.
    """
    tried = effective_number(found.holdout, patients, random)
    rate = float(found.holdout.mean())
    return Comparison(float(found.synthetic.sum()), float(len(found.synthetic)), rate * tried, tried)


def effective_number(marks: Marks, patients: npt.NDArray[np.int64], random: np.random.Generator) -> float:
    """Return as many independent records as tell as much about a share as these, by a bootstrap of patients.

    Parameters
    ----------
    marks
        Of which a share is estimated, shape [records].
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


@dataclass(frozen=True)
class Preference:
    """Whether near synthetic records lie nearer to training records than to held-out ones.

    Attributes
    ----------
    near
        Synthetic records that are near to either.
    training
        Those of them whose nearest record is a training record.
    expected
        The share of them that this would be were nothing copied: that of the training records among all real ones.
    p_value
        How likely at least so many would be, were nothing copied.
    p_value_below
        How likely at most so many would be. A tiny one says that the release has records of held-out patients: then it
        tells nothing that near records lie near to held-out ones.
    """

    near: int
    training: int
    expected: float
    p_value: float
    p_value_below: float

    def none(self, chance: float) -> bool:
        """Return whether near records lie near to either kind as often as chance has it."""
        return self.p_value > chance and self.p_value_below > _OTHERWISE


def preference(to_training: Floats, to_holdout: Floats, thresholds: Floats, sizes: tuple[int, int]) -> Preference:
    """Return whether near synthetic records lie nearer to training records than to held-out ones.

    A generator that copies nothing has no reason to: which real records were held out is chance.

    Parameters
    ----------
    to_training, to_holdout
        Distance of each synthetic record to the nearest record of either kind.
    thresholds
        Distance below which it is near.
    sizes
        Number of training and of held-out records.
    """
    nearest = np.minimum(to_training, to_holdout)
    close = nearest < thresholds
    count = int(close.sum())
    won = int((close & (to_training < to_holdout)).sum())
    expected = sizes[0] / max(1, sum(sizes))
    p_value = float(stats.binom.sf(won - 1, count, expected)) if count else 1.0
    below = float(stats.binom.cdf(won, count, expected)) if count else 1.0
    return Preference(count, won, expected, p_value, below)
