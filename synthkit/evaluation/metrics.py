"""All metrics by name, in the order in which a reader meets them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from synthkit.evaluation import copies, coverage, detection, fidelity, utility
from synthkit.evaluation.metric import Metric

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            *fidelity.METRICS,
            *detection.METRICS,
            *coverage.METRICS,
            *utility.METRICS,
            *copies.METRICS,
        )
    }
)
