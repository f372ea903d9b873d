"""Rubin's rules: one estimate and one interval from the analyses of several completed tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from synthkit.errors import InputError

_NONE = 1e-9  # share of the variance between tables that is rounding


@dataclass(frozen=True)
class PooledEstimate:
    """An estimate from multiply imputed tables.

    Attributes
    ----------
    estimate
        Mean of the estimates.
    low, high
        Interval of Student's t at ``confidence``.
    confidence
        Share of such intervals that hold the true value, if the imputations are proper.
    within, between
        Mean of the squared standard errors, and variance of the estimates.
    total
        ``within + (1 + 1/m) between``.
    degrees_of_freedom
        Of the interval; infinite where the estimates agree.
    missing_information
        Share of the information on the estimate that the missing cells took, from 0 to 1.
    imputations
        m, the number of tables.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    within: float
    between: float
    total: float
    degrees_of_freedom: float
    missing_information: float
    imputations: int

    def to_dict(self) -> dict[str, Any]:
        """All fields, by name."""
        return asdict(self)


def pool_estimates(
    estimates: Sequence[float],
    standard_errors: Sequence[float],
    *,
    confidence: float = 0.95,
    complete_degrees_of_freedom: float = math.inf,
) -> PooledEstimate:
    """Pool one quantity that was estimated on each of several completed tables.

    Parameters
    ----------
    estimates, standard_errors
        One of each table, ``[m]``, m at least two. Estimates should be about normally distributed: pool log-odds rather
        than odds.
    confidence
        Between 0 and 1.
    complete_degrees_of_freedom
        Those of the analysis if nothing were missing, such as rows minus coefficients; small tables need it.

    Raises
    ------
    InputError
        Fewer than two tables, lists of different lengths, or numbers that cannot be estimates and standard errors.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, chapter 3.
    Barnard and Rubin (1999), Small-sample degrees of freedom with multiple imputation, Biometrika 86.
    """
    values, errors = np.asarray(estimates, dtype=np.float64), np.asarray(standard_errors, dtype=np.float64)
    if values.ndim != 1 or values.shape != errors.shape or len(values) < 2:
        raise InputError(
            f"got {values.size} estimates and {errors.size} standard errors, expected as many of both, from two tables",
            remedy="estimate the quantity on every completed table",
        )
    if not (np.isfinite(values).all() and np.isfinite(errors).all() and (errors >= 0).all()):
        raise InputError("estimates and standard errors have to be finite numbers, standard errors not below zero")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence!r}, expected a number between 0 and 1")
    m = len(values)
    within, between = float((errors**2).mean()), float(values.var(ddof=1))
    total = within + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total if total > 0 else 0.0
    share = share if share > _NONE else 0.0
    degrees = (m - 1) / share**2 if share > 0 else math.inf
    if math.isfinite(complete_degrees_of_freedom):
        complete = complete_degrees_of_freedom
        observed = (complete + 1) / (complete + 3) * complete * (1 - share)
        degrees = 1 / (1 / degrees + 1 / observed) if observed > 0 else degrees
    reach = float(stats.t.ppf((1 + confidence) / 2, degrees)) if math.isfinite(degrees) else _normal(confidence)
    half = reach * math.sqrt(total)
    centre = float(values.mean())
    ratio = share / (1 - share) if share < 1 else math.inf
    lost = (ratio + 2 / (degrees + 3)) / (ratio + 1) if math.isfinite(ratio) else 1.0
    return PooledEstimate(
        estimate=centre,
        low=centre - half,
        high=centre + half,
        confidence=confidence,
        within=within,
        between=between,
        total=total,
        degrees_of_freedom=degrees,
        missing_information=lost if share > 0 else 0.0,
        imputations=m,
    )


def _normal(confidence: float) -> float:
    return float(stats.norm.ppf((1 + confidence) / 2))
