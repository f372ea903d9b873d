"""Bringing rare classes up, with a generator or by interpolation, and finding out whether that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synthkit.balance.interpolation import balance_by_interpolation, interpolate_table
from synthkit.balance.table import Balanced, balance_table

if TYPE_CHECKING:
    from synthkit.balance.balancer import Balancer as Balancer

__all__ = ["Balanced", "Balancer", "balance_by_interpolation", "balance_table", "interpolate_table"]


def __getattr__(name: str) -> Any:
    # imbalanced-learn takes a second to import, which only its own interface needs
    if name == "Balancer":
        from synthkit.balance.balancer import Balancer

        return Balancer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
