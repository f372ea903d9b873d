"""All metrics by name, in the order in which a reader meets them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from synthkit.evaluation import (
    alpha,
    association,
    combinations,
    copies,
    coverage,
    detection,
    distances,
    fairness,
    fidelity,
    gains,
    giveaway,
    missingness,
    repeats,
    sdmetrics_scores,
    subgroups,
    utility,
    validity,
)
from synthkit.evaluation.metric import Metric

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            *validity.METRICS,
            *combinations.METRICS,
            *fidelity.METRICS,
            *sdmetrics_scores.METRICS,
            *distances.METRICS,
            *association.METRICS,
            *missingness.METRICS,
            *subgroups.METRICS,
            *detection.METRICS,
            *giveaway.METRICS,
            *coverage.METRICS,
            *alpha.METRICS,
            *repeats.METRICS,
            *utility.METRICS,
            *gains.METRICS,
            *fairness.METRICS,
            *copies.METRICS,
        )
    }
)
