"""Suites of scores of scans: which are computed and which gates they have to pass, as YAML like those of tables."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from synthkit.evaluation.scans.metrics import METRICS, NEEDED
from synthkit.evaluation.suite import Gate, Suite
from synthkit.schema_yaml import read_named

SUITES: Mapping[str, str] = MappingProxyType(
    {"standard": "standard.yaml", "quick": "quick.yaml", "scores-only": "scores-only.yaml"}
)
_TITLES = MappingProxyType({name: metric.title for name, metric in METRICS.items()})


class ScanGate(Gate):
    """One condition that a score of scans has to meet; see `synthkit.evaluation.suite.Gate`."""

    titles: ClassVar[Mapping[str, str]] = _TITLES
    needed: ClassVar[Mapping[str, str]] = NEEDED
    controls: ClassVar[Mapping[str, str]] = {"ceiling": "real scans", "floor": "blurred scans"}


class ScanSuite(Suite):
    """Scores of scans and gates; see `synthkit.evaluation.suite.Suite`."""

    titles: ClassVar[Mapping[str, str]] = _TITLES

    gates: tuple[ScanGate, ...] = Field(default=())


def load_scan_suite(name: str | Path) -> ScanSuite:
    """Read a suite for scans.

    Parameters
    ----------
    name
        "standard", "quick", "scores-only", or the path of a YAML file.

    Raises
    ------
    InputError
        No such suite, or a file that is not one.
    """
    return ScanSuite.parsed(*read_named(name, "suite", SUITES, files("synthkit.evaluation.scans") / "suites"))
