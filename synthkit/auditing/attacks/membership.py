"""Membership: whether an attacker who has the release can tell who was in the training table.

All attacks are black-box: they see the synthetic rows, and most of them reference rows of the same population. Each
gives a score to every target; scores of members are compared with scores of equally many non-members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from synthkit.auditing.attack import Attack
from synthkit.auditing.attacks.membership_marginals import marginal_scores
from synthkit.auditing.attacks.membership_scores import MEASURES, Columns, Floats, Score, columns_of, membership_risk
from synthkit.auditing.attacks.membership_scores import scores_of as _scores_of
from synthkit.auditing.case import AuditCase
from synthkit.auditing.neighbours import reach, within
from synthkit.auditing.records import Risk
from synthkit.errors import InputError, unknown_name
from synthkit.gan.boosting import TreeSettings, fit_trees, log_odds

REFERENCE_NEIGHBOURS = 5
"""Nearest reference rows whose distance stands for the density of the population."""
# Standard deviations below which distances tell nothing more: a copy is at 0, and its logarithm must be finite.
_SMALLEST = 1e-3
# Deep trees: shallow ones see how the tables differ, and not which single rows the generator knows.
_TREES = TreeSettings(trees=100, leaves=255, min_rows=1, learning_rate=0.1, threads=1)


def domias_scores(case: AuditCase) -> Floats:
    """Return the log of the ratio of the densities of synthetic and reference rows at each target, up to a constant.

    The density of synthetic rows is that of the nearest one, the density of reference rows the geometric mean over
    the five nearest. In p dimensions a nearest-neighbour density is proportional to the distance to the power of -p:
    the log ratio is p times the difference of log distances, and a factor does not change an order.

    Parameters
    ----------
    case
        What is attacked.

    Notes
    -----
    Of nearest-neighbour densities with 1 to 10 neighbours and of kernel densities on 2 or 5 principal components, this
    found copies, recombined rows and an overfitted generator best together on a real table. Kernel densities smooth a
    copy away, and so does a second synthetic neighbour.

    References
    ----------
    van Breugel, Sun, Qian and van der Schaar (2023), Membership Inference Attacks against Synthetic Data through
    Overfitting Detection, AISTATS, equation 2.
    """
    near = np.log(case.to_synthetic().distances[:, 0] + _SMALLEST)
    expected = np.log(case.to_reference().distances[:, :REFERENCE_NEIGHBOURS] + _SMALLEST).mean(axis=1)
    return np.asarray(expected - near)


def nearest_scores(case: AuditCase) -> Floats:
    """Return minus the distance to the nearest synthetic row.

    Parameters
    ----------
    case
        What is attacked.
    """
    return -case.to_synthetic().distances[:, 0]


def calibrated_scores(case: AuditCase) -> Floats:
    """Return the distance to the nearest reference row less that to the nearest synthetic row.

    Parameters
    ----------
    case
        What is attacked.

    Notes
    -----
    The paper's calibrated error is L_cal(x) = L(x, R(x | G_victim)) - L(x, R(x | G_reference)), where R(x | G) is the
    row of G that is nearest to x, and a small one accuses. L is a distance here; rows of the population stand for a
    reference generator, as in the code of DOMIAS.

    References
    ----------
    Chen, Yu, Zhang and Fritz (2020), GAN-Leaks, CCS, section 4.5.
    """
    return case.to_reference().distances[:, 0] - case.to_synthetic().distances[:, 0]


def monte_carlo_scores(case: AuditCase) -> Floats:
    """Return the share of synthetic rows within a radius of each target.

    The radius is the median over all targets of the distance to the nearest synthetic row.

    Parameters
    ----------
    case
        What is attacked.

    References
    ----------
    Hilprecht, Haerterich and Bernau (2019), Monte Carlo and Reconstruction Membership Inference Attacks against
    Generative Models, PoPETs 2019 (4), equation 4.
    """
    near, radius = case.to_synthetic(), monte_carlo_radius(case)
    counts = (near.distances <= reach(radius)).sum(axis=1)
    # the others have fewer rows within the radius than neighbours were searched
    full = np.flatnonzero(counts == near.distances.shape[1])
    counts[full] = within(case.points[full], case.synthetic_points, radius)
    return np.asarray(counts / near.size)


def monte_carlo_radius(case: AuditCase) -> float:
    """Return the median over all targets of the distance to the nearest synthetic row."""
    return float(np.median(case.to_synthetic().distances[:, 0]))


def classifier_scores(case: AuditCase) -> Floats:
    """Return the log odds of each target under boosted trees that learned to tell synthetic from reference rows.

    Parameters
    ----------
    case
        What is attacked.

    References
    ----------
    Hayes, Melis, Danezis and De Cristofaro (2019), LOGAN, PoPETs 2019 (1), the black-box attack with auxiliary rows;
    boosted trees in place of a network.
    """
    columns = columns_of(case)
    synthetic, reference, targets = _features(columns)
    # by what they hold: the trees depend on the order of the rows
    synthetic = synthetic[np.lexsort(synthetic.T)]
    seed = int(case.generator("classifier").integers(2**31))
    trees = fit_trees(synthetic, reference, _TREES, seed)
    return np.asarray(log_odds(trees, targets, threads=1), dtype=np.float64)


def _features(columns: Columns) -> list[Any]:
    """Return what the trees see, shape [rows, columns] each: ranks of numbers, categories from rare to frequent.

    Numbers of synthetic rows are moved to the nearest real one. Else the trees learn to tell noise from none, which
    says nothing about members.
    A category that neither the synthetic nor the reference rows have is missing: nothing can be learned about it.
    """
    tables = [
        np.ascontiguousarray(codes.T, dtype=np.float32)
        for codes in (columns.snapped, columns.reference, columns.targets)
    ]
    for position in range(columns.numeric, len(columns.sizes)):
        seen = np.concatenate([columns.synthetic[position], columns.reference[position]])
        counts = np.bincount(seen, minlength=columns.sizes[position])
        order = np.empty(len(counts), dtype=np.float32)
        order[np.argsort(counts, kind="stable")] = np.arange(len(counts), dtype=np.float32)
        order[counts == 0] = np.nan
        for table, codes in zip(tables, (columns.synthetic, columns.reference, columns.targets), strict=True):
            table[:, position] = order[codes[position]]
    return tables


SCORES: Mapping[str, Score] = MappingProxyType(
    {
        "domias": domias_scores,
        "nearest": nearest_scores,
        "gan-leaks-calibrated": calibrated_scores,
        "monte-carlo": monte_carlo_scores,
        "classifier": classifier_scores,
        "marginals": marginal_scores,
    }
)
"""Score of each attack by name."""


def membership_scores(case: AuditCase, name: str) -> Floats:
    """Return the score of each target under an attack, computed once: members, then non-members; higher ones accuse.

    Parameters
    ----------
    case
        What is attacked.
    name
        Of the attack, as in `SCORES`.

    Raises
    ------
    InputError
        If there is no such attack.
    """
    if name not in SCORES:
        raise InputError(unknown_name("membership attack", name, SCORES))
    return _scores_of(case, name, SCORES[name])


def _run(
    name: str, *, reference: bool = True, details: Callable[[AuditCase], Mapping[str, Any]] = lambda case: {}
) -> Callable[[AuditCase], tuple[Risk, ...]]:
    return partial(membership_risk, name=name, score=SCORES[name], reference=reference, details=details)


_KNOWS = "Somebody who has a record, the release and other records of the same population"
_READING = "Probability that the score of a member is higher than that of a non-member; 0.5 is guessing."
ATTACKS = (
    Attack(
        name="domias",
        family="membership",
        title="DOMIAS (density ratio)",
        source="van Breugel et al. (2023), Membership Inference Attacks against Synthetic Data through Overfitting "
        "Detection",
        threat=f"{_KNOWS} asks where the release is denser than the population.",
        reading=_READING,
        lies="Densities are those of nearest neighbours in all columns at once: a column with noise hides a leak in "
        "the others.",
        measures=MEASURES,
        run=_run("domias", details=lambda case: {"reference rows": case.to_reference().size}),
    ),
    Attack(
        name="nearest",
        family="membership",
        title="nearest synthetic row (GAN-leaks)",
        source="distance to the closest record as an attack; the same order as the full black-box attack of Chen et "
        "al. (2020), GAN-Leaks",
        threat="Somebody who has a record and the release looks for a synthetic row near to it.",
        reading=_READING,
        lies="Ordinary records have near rows whether or not they are members; many copies of rare records are "
        "needed before the area moves.",
        measures=MEASURES,
        run=_run("nearest", reference=False),
    ),
    Attack(
        name="gan-leaks-calibrated",
        family="membership",
        title="calibrated GAN-leaks",
        source="Chen et al. (2020), GAN-Leaks, section 4.5",
        threat=f"{_KNOWS} asks whether a synthetic row is nearer to it than any of those.",
        reading=_READING,
        lies="Distances of records far from all others are large and vary most, so that they decide the order.",
        measures=MEASURES,
        run=_run("gan-leaks-calibrated", details=lambda case: {"reference rows": case.to_reference().size}),
    ),
    Attack(
        name="monte-carlo",
        family="membership",
        title="Monte-Carlo",
        source="Hilprecht et al. (2019), Monte Carlo and Reconstruction Membership Inference Attacks against "
        "Generative Models",
        threat="Somebody who has a record and the release counts the synthetic rows near to it.",
        reading=_READING,
        lies="Half of the targets have no synthetic row within the radius and share the lowest score. It finds dense "
        "regions rather than copies.",
        measures=MEASURES,
        run=_run("monte-carlo", reference=False, details=lambda case: {"radius": monte_carlo_radius(case)}),
    ),
    Attack(
        name="classifier",
        family="membership",
        title="classifier (LOGAN)",
        source="Hayes et al. (2019), LOGAN, with boosted trees",
        threat=f"{_KNOWS} lets a classifier learn how the release differs from the population.",
        reading=_READING,
        lies="With few reference rows the trees learn chance. What a bad generator gets wrong is no leak and does not "
        "help the attack.",
        measures=MEASURES,
        run=_run("classifier"),
    ),
    Attack(
        name="marginals",
        family="membership",
        title="marginals (as in MAMA-MIA)",
        source="Golob et al. (2024), Privacy Vulnerabilities in Marginals-based Synthetic Data, with all one- and "
        "two-way marginals",
        threat=f"{_KNOWS} asks which of its values and pairs of values the release has too often.",
        reading=_READING,
        lies="A number is compared exactly, so that a little noise on every number hides a copy. A generator that "
        "draws numbers from those of the training rows gives members away here, and nowhere else.",
        measures=MEASURES,
        run=_run("marginals"),
    ),
)
