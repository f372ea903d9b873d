"""Scores that tell whether synthetic gene expression is good, each with its interval and two controls.

Names are found on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PLACES = {
    "ExpressionEvaluation": "records",
    "ExpressionSuite": "suite",
    "evaluate_expression": "evaluate",
    "load_expression_suite": "suite",
    "wilcoxon": "ranks",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
