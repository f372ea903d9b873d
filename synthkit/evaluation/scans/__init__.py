"""Scores that tell whether synthetic scans are good, each with its interval and the real-against-real control.

Names are found on first use, because engines import the extractors alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PLACES = {
    "EXTRACTORS": "extractors",
    "ScanEvaluation": "records",
    "ScanSuite": "suite",
    "evaluate_scans": "evaluate",
    "extractor_named": "extractors",
    "fid": "distances",
    "kid": "distances",
    "load_scan_suite": "suite",
    "prdc": "distances",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
