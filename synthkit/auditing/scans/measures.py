"""What distances between scans say beside copies: authenticity, and a two-sample test. Pure functions of distances."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthkit.auditing.intervals import auc_estimate
from synthkit.evaluation.records import Score

Floats = npt.NDArray[np.float64]


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
