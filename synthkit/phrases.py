"""Small phrases that many messages need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: ``1 scan``, ``2,000 scans``, ``3 series``."""
    return f"{n:,} {noun}" + ("" if n == 1 or noun.endswith("s") else "s")


def by(lengths: Iterable[object]) -> str:
    """Return lengths of axes as people write them: ``40 x 56 x 40``."""
    return " x ".join(map(str, lengths))


def some_named(names: Sequence[str], most: int = 3) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(names) - most
    return ", ".join(map(repr, names[:most])) + (f" and {more} more" if more > 0 else "")
