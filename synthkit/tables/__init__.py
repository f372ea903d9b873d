"""Tables: from columns to symbols and back, and the models on top of them. Names are loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "AllowedSymbols": "synthkit.tables.conditions",
    "ColumnCode": "synthkit.tables.columns",
    "Encoded": "synthkit.tables.encoder",
    "TableEncoder": "synthkit.tables.encoder",
    "TableGAN": "synthkit.tables.gan",
    "TableStatistics": "synthkit.tables.statistics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
