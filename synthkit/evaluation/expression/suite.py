"""Suites of scores of gene expression: which are computed and which gates they have to pass, as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from synthkit.evaluation.expression.metrics import METRICS, NEEDED
from synthkit.evaluation.suite import Gate, Suite
from synthkit.schema_yaml import read_named

SUITES: Mapping[str, str] = MappingProxyType(
    {"standard": "standard.yaml", "quick": "quick.yaml", "scores-only": "scores-only.yaml"}
)
_TITLES = MappingProxyType({name: metric.title for name, metric in METRICS.items()})


class ExpressionGate(Gate):
    """One condition that a score of gene expression has to meet; see `synthkit.evaluation.suite.Gate`."""

    titles: ClassVar[Mapping[str, str]] = _TITLES
    needed: ClassVar[Mapping[str, str]] = NEEDED
    controls: ClassVar[Mapping[str, str]] = {"ceiling": "real cells", "floor": "independent genes"}


class ExpressionSuite(Suite):
    """Scores of gene expression and gates; see `synthkit.evaluation.suite.Suite`."""

    titles: ClassVar[Mapping[str, str]] = _TITLES

    gates: tuple[ExpressionGate, ...] = Field(default=())


def load_expression_suite(name: str | Path) -> ExpressionSuite:
    """Read a suite for gene expression.

    Parameters
    ----------
    name
        "standard", "quick", "scores-only", or the path of a YAML file.

    Raises
    ------
    InputError
        No such suite, or a file that is not one.
    """
    return ExpressionSuite.parsed(
        *read_named(name, "suite", SUITES, files("synthkit.evaluation.expression") / "suites")
    )
