"""The laws of every registered metric."""

from __future__ import annotations

import pytest

from synthkit.evaluation.metrics import METRICS
from synthkit.testing import metric_checks

CHECKS = [(metric.name, name, check) for metric in METRICS.values() for name, check in metric_checks(metric)]


@pytest.mark.parametrize("check", [check for *_, check in CHECKS], ids=[f"{name}: {law}" for name, law, _ in CHECKS])
def test_a_metric_keeps_its_contract(check) -> None:
    check()
