"""Suites: which metrics are computed and which gates they have to pass, as YAML that people edit.

A gate compares one score with a threshold, or its distance from its ceiling or floor. There is no overall score: an
average of incomparable numbers hides the one that matters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from synthkit.errors import InputError, unknown_name
from synthkit.evaluation.metrics import METRICS
from synthkit.evaluation.records import Score, Status, Verdict
from synthkit.evaluation.thresholds import COMPARED, Comparison, Threshold, holds
from synthkit.schema_yaml import parse_yaml, read_named

FORMAT_VERSION = 1
SUITES: Mapping[str, str] = MappingProxyType(
    {"standard": "standard.yaml", "quick": "quick.yaml", "scores-only": "scores-only.yaml"}
)

# What an option is called on the command line.
NEEDED = {
    "target": "a target column (--target)",
    "classes": "a target column that is a class (--target)",
    "sensitive": "a sensitive column (--sensitive)",
    "groups": "a grouping column (--group)",
}
_TITLES = MappingProxyType({name: metric.title for name, metric in METRICS.items()})


class Gate(BaseModel):
    """One condition that a score has to meet.

    Attributes
    ----------
    metric
        Name of the score.
    comparison
        How the number has to stand to the threshold.
    threshold
        The threshold.
    relative_to
        "absolute": the score itself is compared. "ceiling" or "floor": its distance from that control.
    unit
        With a control: "difference" compares score - control, "ratio" score / control.
    bound
        Which number is compared: the "value", or the "low" or "high" end of its interval.
    required
        Whether the gate fails when the score does not apply; otherwise it is told and passed over.
    reason
        Why the gate is there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    # What differs where other things than tables are judged: titles of the scores, what they need, names of controls.
    titles: ClassVar[Mapping[str, str]] = _TITLES
    needed: ClassVar[Mapping[str, str]] = NEEDED
    controls: ClassVar[Mapping[str, str]] = {"ceiling": "real rows", "floor": "independent columns"}

    metric: str
    comparison: Comparison
    threshold: Threshold
    relative_to: Literal["absolute", "ceiling", "floor"] = "absolute"
    unit: Literal["difference", "ratio"] = "difference"
    bound: Literal["value", "low", "high"] = "value"
    required: bool = False
    reason: str = ""

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in cls.titles:
            raise ValueError(unknown_name("metric", name, cls.titles))
        return name

    def verdict(self, score: Score | None, missing: str | None = None) -> Verdict:
        """Return whether a score meets the gate.

        Parameters
        ----------
        score
            The score, or None when it was not computed.
        missing
            The option without which it was not computed.
        """
        title = self.titles[self.metric]
        why = self._why_not(score, missing)
        if score is None or why is not None:
            status: Status = "fail" if self.required else "not applicable"
            return Verdict(self.metric, status, f"{title}: not applicable, because {why}.", self.reason)
        number = self._number(score, getattr(score, self.bound))
        met = self._holds(number)
        ends = [self._number(score, end) for end in (score.low, score.high) if not math.isnan(end)]
        if not met:
            status = "fail"
        else:
            status = "pass" if all(self._holds(end) for end in ends) or self.bound != "value" else "borderline"
        return Verdict(self.metric, status, self._sentence(title, score, number), self.reason, number, self.threshold)

    def _why_not(self, score: Score | None, missing: str | None) -> str | None:
        """Return why there is nothing to compare, or None."""
        if score is None:
            return f"it needs {self.needed[missing]}" if missing else "it was not computed"
        if not score.applies:
            return score.note or "it has no value"
        if self.relative_to != "absolute" and math.isnan(getattr(score, self.relative_to)):
            return f"it has no {self.relative_to} to compare with"
        if math.isnan(getattr(score, self.bound)):
            return "it has no interval"
        return None

    def _number(self, score: Score, value: float) -> float:
        if self.relative_to == "absolute":
            return value
        control = float(getattr(score, self.relative_to))
        if self.unit == "difference":
            return value - control
        if control != 0:
            return value / control
        return 1.0 if value == 0 else math.inf

    def _holds(self, number: float) -> bool:
        return holds(number, self.comparison, self.threshold)

    def _sentence(self, title: str, score: Score, number: float) -> str:
        said = f"{title} {_text(score.value)}"
        if self.bound != "value":
            said += f" ({'lower' if self.bound == 'low' else 'upper'} end {_text(getattr(score, self.bound))})"
        if self.relative_to == "absolute":
            return f"{said}: {COMPARED[self.comparison]} {_text(self.threshold)} is asked for."
        control = self.controls[self.relative_to]
        said += f", {control} {_text(float(getattr(score, self.relative_to)))}"
        return f"{said}: {self.unit} {_text(number)}, {COMPARED[self.comparison]} {_text(self.threshold)} is asked for."


class Suite(BaseModel):
    """Metrics and gates.

    Attributes
    ----------
    name
        What it is called.
    description
        Whom it is for.
    metrics
        Names of the metrics to compute, in this order; empty for all of them.
    gates
        The conditions.
    format_version
        Version of the file format.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    titles: ClassVar[Mapping[str, str]] = _TITLES

    format_version: int = FORMAT_VERSION
    name: str
    description: str = ""
    metrics: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = Field(default=())

    @field_validator("format_version")
    @classmethod
    def _readable(cls, version: int) -> int:
        if not 1 <= version <= FORMAT_VERSION:
            raise ValueError(f"format_version is {version}, and this version of synthkit reads 1 to {FORMAT_VERSION}")
        return version

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in cls.titles:
                raise ValueError(unknown_name("metric", name, cls.titles))
        return names

    def verdicts(self, scores: Mapping[str, Score], left_out: Mapping[str, str]) -> tuple[Verdict, ...]:
        """Return the verdict of each gate.

        Parameters
        ----------
        scores
            The scores by name.
        left_out
            Metrics that were not computed, with the option that they need.
        """
        return tuple(gate.verdict(scores.get(gate.metric), left_out.get(gate.metric)) for gate in self.gates)

    @classmethod
    def parsed(cls, text: str, source: str = "suite") -> Self:
        """Return the suite that a YAML text describes; InputError where it is none."""
        content = parse_yaml(text, f"suite '{source}'")
        if not isinstance(content, Mapping):
            raise InputError(
                f"the suite '{source}' holds no settings", remedy="It needs at least a name; see docs/how-to/suites.md."
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise InputError(
                f"the suite '{source}' is wrong at {where}: {first['msg'].removeprefix('Value error, ')}",
                remedy="Correct that entry.",
            ) from error


def load_suite(name: str | Path) -> Suite:
    """Read a suite.

    Parameters
    ----------
    name
        Name of a suite that comes with the package, or path of a YAML file.

    Raises
    ------
    InputError
        No such suite, or a file that is not one: says which entry is wrong and what was expected.
    """
    return parse_suite(*read_named(name, "suite", SUITES, files("synthkit.evaluation") / "suites"))


def parse_suite(text: str, source: str = "suite") -> Suite:
    """Return the suite that a YAML text describes; InputError where it is none."""
    return Suite.parsed(text, source)


def _text(value: float) -> str:
    """Return a number with three decimals, more where it is small."""
    return f"{value:.4f}" if 0 < abs(value) < 0.1 else f"{value:.3f}"
