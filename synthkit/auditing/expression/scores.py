"""Scores by which cells are accused of having been trained on: distances to synthetic and to held-out cells, densities.

Higher scores accuse. Each depends on an accused cell, the release and the reference, never on other accused cells but
for the radius of the Monte-Carlo attack and the bandwidth, which are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from synthkit.auditing.expression.case import ExpressionCase, Floats, Points
from synthkit.auditing.neighbours import within

CellScore = Callable[[ExpressionCase], Floats]
_RADIUS = 0.1
# The bandwidth of the densities, as a share of the median distance between accused and reference cells that are
# nearest: wider kernels smooth a copy away.
_BANDWIDTH = 0.25
_BLOCK = 4_000_000
_SETS: tuple[Literal["reference"], Literal["synthetic"]] = ("reference", "synthetic")


def nearest_cell_scores(case: ExpressionCase) -> Floats:
    """Return minus the distance to the nearest synthetic cell, shape [targets].

    Parameters
    ----------
    case
        What is attacked.

    References
    ----------
    Chen, Yu, Zhang and Fritz (2020), GAN-Leaks, CCS, the full black-box attack.
    """
    return -case.nearest("components", "synthetic").distances[:, 0]


def calibrated_scores(case: ExpressionCase) -> Floats:
    """Return the distance to the nearest reference cell less that to the nearest synthetic cell, shape [targets].

    Parameters
    ----------
    case
        What is attacked.

    References
    ----------
    Chen, Yu, Zhang and Fritz (2020), GAN-Leaks, CCS, section 4.5; held-out cells stand for a reference generator.
    """
    to_reference = case.nearest("components", "reference").distances[:, 0]
    return np.asarray(to_reference - case.nearest("components", "synthetic").distances[:, 0])


def monte_carlo_scores(case: ExpressionCase) -> Floats:
    """Return the share of synthetic cells within a radius of each target, shape [targets].

    The radius is that within which a tenth of all targets have a synthetic cell: with the median of the paper, types
    of which there are many cells hide the copies. Targets without any synthetic cell so near are told apart by nothing.

    Parameters
    ----------
    case
        What is attacked.

    References
    ----------
    Hilprecht, Haerterich and Bernau (2019), Monte Carlo and Reconstruction Membership Inference Attacks against
    Generative Models, PoPETs 2019 (4), equation 4.
    """
    radius = float(np.quantile(case.nearest("components", "synthetic").distances[:, 0], _RADIUS))
    points, base = case.points("components", "targets"), case.points("components", "synthetic")
    return within(points, base, radius) / len(base)


def domias_scores(case: ExpressionCase) -> Floats:
    """Return the log of the ratio of the densities of synthetic and reference cells at each target, shape [targets].

    Densities are normal kernels in principal components, with one bandwidth for both.

    Parameters
    ----------
    case
        What is attacked.

    References
    ----------
    van Breugel, Sun, Qian and van der Schaar (2023), Membership Inference Attacks against Synthetic Data through
    Overfitting Detection, AISTATS, equation 2.
    """
    width = _BANDWIDTH * float(np.median(case.nearest("components", "reference").distances[:, 0]))
    if width == 0:
        return np.zeros(len(case.points("components", "targets")))
    points = case.points("components", "targets")
    synthetic, reference = case.points("components", "synthetic"), case.points("components", "reference")
    return log_density(points, synthetic, width) - log_density(points, reference, width)


def log_density(points: Points, base: Points, width: float) -> Floats:
    """Return the log of a kernel density at each point, up to a constant, shape [points].

    Parameters
    ----------
    points
        Where, shape [points, components].
    base
        The cells of which it is the density, shape [cells, components].
    width
        Standard deviation of the normal kernel, above 0.
    """
    found = np.empty(len(points))
    squares = np.einsum("cd,cd->c", base, base, dtype=np.float64)
    block = max(1, _BLOCK // max(1, len(base)))
    for start in range(0, len(points), block):
        part = points[start : start + block]
        own = np.einsum("cd,cd->c", part, part, dtype=np.float64)
        exponents = np.maximum(own[:, None] + squares - 2.0 * (part @ base.T), 0.0) / (-2 * width**2)
        largest = exponents.max(axis=1)
        found[start : start + block] = largest + np.log(np.exp(exponents - largest[:, None]).mean(axis=1))
    return found


def surrounding_scores(case: ExpressionCase) -> Floats:
    """Return how much nearer the synthetic profiles around each target lie than the reference ones, shape [targets].

    It is the mean distance of the ten nearest of either kind, by correlation of profiles. A single cell says little by
    it; the mean over the cells of a donor tells a generator that learned the ways of this donor, and copied no cell.
    In principal components, which are fitted on other donors, most of what is particular to a donor is lost.

    Parameters
    ----------
    case
        What is attacked.
    """
    reference, synthetic = (case.nearest("profiles", part).distances.mean(axis=1) for part in _SETS)
    return np.asarray(reference - synthetic)


SCORES: Mapping[str, CellScore] = MappingProxyType(
    {
        "cell-gan-leaks": nearest_cell_scores,
        "cell-gan-leaks-calibrated": calibrated_scores,
        "cell-monte-carlo": monte_carlo_scores,
        "cell-domias": domias_scores,
    }
)
"""Score of each attack on the membership of cells, by name."""


def scores_of(case: ExpressionCase, name: str) -> Floats:
    """Return the score of each target under an attack, computed once: members, then non-members.

    Parameters
    ----------
    case
        What is attacked.
    name
        One of `SCORES`.
    """
    return case.share(f"scores: {name}", lambda: np.asarray(SCORES[name](case), dtype=np.float64))


def donor_means(scores: npt.NDArray[np.float64], donors: npt.NDArray[np.int64]) -> Floats:
    """Return the mean score of the cells of each donor, in the order of the numbers of the donors, shape [donors].

    Parameters
    ----------
    scores
        Of cells, shape [cells].
    donors
        Number of the donor of each cell, shape [cells].
    """
    _, numbers, counts = np.unique(donors, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(numbers, weights=scores) / counts)
