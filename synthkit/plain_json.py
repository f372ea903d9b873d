"""Values as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def plain_json(value: Any) -> Any:
    """Return a value that JSON can hold.

    NaN and infinities become None, numpy becomes plain Python, the keys of a mapping text, other sequences and sets
    lists, and everything else its text.

    Parameters
    ----------
    value
        Anything, as deep as it may be.
    """
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_text(str(key)): plain_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain_json(entry) for entry in value]
    return value if value is None or isinstance(value, int) else _text(str(value))


def _text(text: str) -> str:
    """Return a text in which lone surrogates are escaped: names of files need not be text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
