"""What the gates of suites and policies share: a finite threshold, and how a number has to stand to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

Comparison = Literal["<=", ">=", "<", ">"]
COMPARED: Mapping[Comparison, str] = {"<=": "at most", ">=": "at least", "<": "below", ">": "above"}
"""How a comparison is said."""


def holds(number: float, comparison: Comparison, threshold: float) -> bool:
    """Return whether a number keeps its threshold."""
    match comparison:
        case "<=":
            return number <= threshold
        case ">=":
            return number >= threshold
        case "<":
            return number < threshold
        case ">":
            return number > threshold


def _no_switch(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"a threshold must be a number, got {str(value).lower()}")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"a threshold must be a finite number, got {value}")
    return value


Threshold = Annotated[float, BeforeValidator(_no_switch), AfterValidator(_finite)]
"""A finite number."""
