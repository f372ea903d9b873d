"""Bringing rare classes up: what a generator must beat to be worth its while."""

from synthkit.balance.interpolation import balance_by_interpolation, interpolate_table

__all__ = ["balance_by_interpolation", "interpolate_table"]
