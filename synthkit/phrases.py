"""Small phrases that many messages need."""

from __future__ import annotations

from collections.abc import Iterable


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: ``1 scan``, ``2,000 scans``, ``3 series``."""
    return f"{n:,} {noun}" + ("" if n == 1 or noun.endswith("s") else "s")


def by(lengths: Iterable[object]) -> str:
    """Return lengths of axes as people write them: ``40 x 56 x 40``."""
    return " x ".join(map(str, lengths))
