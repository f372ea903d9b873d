"""Whether a classifier that learned from synthetic scans names real ones: TSTR, TRTR and the gain of adding scans."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats

from synthkit.evaluation.intervals import LEVEL, Floats
from synthkit.evaluation.records import Score
from synthkit.evaluation.scans.classifiers import STEPS, LabelledScans, probabilities, train_classifier
from synthkit.random import RandomSource

Measure = Literal["balanced accuracy", "AUC"]
MEASURES: Mapping[Measure, str] = {
    "balanced accuracy": "mean over the classes of the share of scans that are named rightly",
    "AUC": "area under the ROC curve, mean over the classes against the rest",
}
SEEDS = 4
_BOOTSTRAPS = 200


def balanced_accuracy(probability: Floats, labels: npt.NDArray[np.int64], weights: Floats | None = None) -> float:
    """Return the mean over the classes of the share that is named rightly; NaN without any scan.

    Parameters
    ----------
    probability
        ``[n, classes]``.
    labels
        ``[n]``.
    weights
        How often each scan counts, ``[n]``; once when None.
    """
    counted = np.ones(len(labels)) if weights is None else weights
    totals = np.bincount(labels, weights=counted, minlength=probability.shape[1])
    right = np.bincount(labels, weights=counted * (probability.argmax(axis=1) == labels), minlength=len(totals))
    present = totals > 0
    return float((right[present] / totals[present]).mean()) if present.any() else math.nan


def area_under_curve(probability: Floats, labels: npt.NDArray[np.int64], weights: Floats | None = None) -> float:
    """Return the area under the ROC curve, the mean over the classes against the rest; ties count one half.

    Parameters
    ----------
    probability, labels, weights
        As in `balanced_accuracy`.
    """
    counted = np.ones(len(labels)) if weights is None else weights
    areas = []
    for place in range(probability.shape[1]):
        own = labels == place
        positive, negative = counted[own].sum(), counted[~own].sum()
        if positive == 0 or negative == 0:
            continue
        _, ranks = np.unique(probability[:, place], return_inverse=True)
        below = np.bincount(ranks, weights=counted * ~own)
        at = np.bincount(ranks, weights=counted * own)
        areas.append(float((at * (np.cumsum(below) - below / 2)).sum() / (positive * negative)))
    return float(np.mean(areas)) if areas else math.nan


_COMPUTED: Mapping[Measure, Callable[..., float]] = {
    "balanced accuracy": balanced_accuracy,
    "AUC": area_under_curve,
}


@dataclass(frozen=True)
class Trial:
    """What classifiers of several seeds, trained on the same scans, say of held-out real scans.

    Attributes
    ----------
    probability
        Of each class for each held-out scan by each classifier, ``[seeds, n, classes]``.
    labels
        True class of each held-out scan, ``[n]``.
    groups
        Patient of each held-out scan, ``[n]``.
    """

    probability: Floats
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]

    def values(self, measure: Measure, weights: Floats | None = None) -> Floats:
        """Return the measure of each classifier, ``[seeds]``."""
        return np.array([_COMPUTED[measure](one, self.labels, weights) for one in self.probability])

    def sensitivities(self, classes: Sequence[str]) -> dict[str, float]:
        """Return, for each class, the share of its scans that is named rightly, mean over the classifiers."""
        right = (self.probability.argmax(axis=2) == self.labels[None]).mean(axis=0)
        return {
            name: float(right[self.labels == place].mean()) if (self.labels == place).any() else math.nan
            for place, name in enumerate(classes)
        }


def trial(
    training: LabelledScans,
    held_out: LabelledScans,
    groups: npt.NDArray[np.int64],
    random: RandomSource,
    *,
    seeds: int = SEEDS,
    steps: int = STEPS,
    shares: Floats | None = None,
    device: str | torch.device = "cpu",
) -> Trial:
    """Train classifiers of several seeds and ask them about held-out real scans.

    Parameters
    ----------
    training
        What they learn from.
    held_out
        Real scans that nothing has learned from.
    groups
        Patient of each held-out scan, ``[n]``.
    random
        Where randomness comes from; the same source gives the same starts whatever the scans.
    seeds, steps
        Number of classifiers, and of batches that each learns from.
    shares
        Weight of each training scan within its class.
    device
        Where to compute.
    """
    found = []
    for seed in range(seeds):
        net = train_classifier(training, random.child(f"seed {seed}"), steps=steps, shares=shares, device=device)
        found.append(probabilities(net, held_out))
    return Trial(np.stack(found), held_out.labels, groups)


def trial_score(own: Trial, measure: Measure, *, against: Trial | None = None, seed: int = 0) -> Score:
    """Return a measure with an interval for other starts of the classifier and for other held-out patients.

    Parameters
    ----------
    own
        The classifiers.
    measure
        What is measured.
    against
        Classifiers of the same seeds asked about the same scans: then the score is the difference, paired by seed and
        by held-out scan.
    seed
        Seed of the bootstrap.
    """

    def values(weights: Floats | None = None) -> Floats:
        found = own.values(measure, weights)
        return found if against is None else found - against.values(measure, weights)

    each = values()
    value = float(each.mean())
    half = math.hypot(_over_seeds(each), _over_patients(own.groups, values, seed))
    details = {"seeds": each.tolist(), "over seeds ±": _over_seeds(each), "measure": measure}
    low, high = value - half, value + half
    if against is None:
        low, high = max(0.0, low), min(1.0, high)
    return Score(value, low, high, n=len(own.labels), direction="higher", note=measure, details=details)


def kept_share(synthetic: Trial, real: Trial, measure: Measure, *, chance: float = 0.0, seed: int = 0) -> Score:
    """Return which share of a measure classifiers keep that learned from synthetic in place of real scans.

    Parameters
    ----------
    synthetic, real
        Classifiers trained on either.
    measure
        What is measured.
    chance
        What guessing gets, which is taken off both; 0 to divide as it stands.
    seed
        Seed of the bootstrap.
    """

    def values(weights: Floats | None = None) -> Floats:
        base = float(real.values(measure, weights).mean()) - chance
        return (synthetic.values(measure, weights) - chance) / base

    each = values()
    value = float(each.mean())
    both = math.hypot(_over_seeds(each), _over_seeds(real.values(measure)) * value / float(real.values(measure).mean()))
    half = math.hypot(both, _over_patients(synthetic.groups, values, seed))
    return Score(value, value - half, value + half, n=len(synthetic.labels), direction="higher", note=measure)


def _over_seeds(values: Floats) -> float:
    """Return half the interval of the mean over seeds (Student's t); 0 for one seed."""
    if len(values) < 2:
        return 0.0
    return float(stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


def _over_patients(groups: npt.NDArray[np.int64], values: Callable[[Floats], Floats], seed: int) -> float:
    """Return half the interval for other held-out patients, by a Bayesian bootstrap of the patients.

    References
    ----------
    Rubin (1981), The Bayesian bootstrap: no patient is left out entirely, so that no class runs empty.
    """
    rng = RandomSource(seed).numpy("patients")
    _, places = np.unique(groups, return_inverse=True)
    n_patients = int(places.max()) + 1
    means = []
    for _ in range(_BOOTSTRAPS):
        weights = rng.exponential(size=n_patients)[places]
        means.append(float(values(weights).mean()))
    low, high = np.nanquantile(means, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
    return float(high - low) / 2
