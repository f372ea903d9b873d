"""Intervals hold what they say they hold: a short run of the simulation in evaluation/benchmarks/intervals.py.

The long run, over every metric, is recorded in evaluation/baselines/intervals.json.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from synthkit.evaluation.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"giveaway", "importance_agreement", *(name for name in METRICS if name.startswith(("c2st", "detection")))}
SLOW |= {name for name in METRICS if METRICS[name].theme in ("utility", "fairness")}
QUICK = [name for name in METRICS if name not in SLOW]
REPLICATIONS = 40


@pytest.fixture(scope="module")
def intervals() -> ModuleType:
    path = ROOT / "evaluation" / "benchmarks" / "intervals.py"
    spec = importlib.util.spec_from_file_location("benchmark_intervals", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def simulated(intervals: ModuleType) -> dict[str, dict[str, float]]:
    found = intervals.simulate(REPLICATIONS, 350, QUICK)
    return {name: intervals.coverage(found[name]["ends"]) for name in QUICK}


@pytest.mark.parametrize("name", QUICK)
def test_an_interval_holds_the_mean_over_other_rows(simulated: dict[str, dict[str, float]], name: str) -> None:
    assert simulated[name]["replications"] > 0.9 * REPLICATIONS
    # Of 40 intervals that hold it with 95 %, fewer than 33 do so once in 10,000 runs.
    assert simulated[name]["covered"] > 0.8


def test_the_long_run_is_on_record_for_every_metric() -> None:
    record = json.loads((ROOT / "evaluation" / "baselines" / "intervals.json").read_text())["metrics"]
    assert set(record) == set(METRICS)
    assert all(entry["covered"] >= 0.9 for entry in record.values())


def test_a_short_interval_would_be_found_out(intervals: ModuleType) -> None:
    found = intervals.simulate(REPLICATIONS, 350, ["trend_err"])["trend_err"]["ends"]
    short = [(value, value - 0.05 * (value - low), value + 0.05 * (high - value)) for value, low, high in found]
    assert intervals.coverage(short)["covered"] < 0.5
