"""Many small arrays in few large ones: a wide table has thousands, and a file should not have as many entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def pack(groups: Sequence[Mapping[str, NDArray[Any]]]) -> tuple[list[list[list[Any]]], Arrays]:
    """Lay the arrays of all groups end to end, one long array per dtype.

    Returns
    -------
    layout : list of list of [name, dtype, shape]
        One list per group, JSON-safe.
    packed : dict of dtype name to ndarray
        One-dimensional.
    """
    layout: list[list[list[Any]]] = []
    pieces: dict[str, list[NDArray[Any]]] = {}
    for group in groups:
        entries: list[list[Any]] = []
        for name, array in group.items():
            kind = array.dtype.name
            entries.append([name, kind, list(array.shape)])
            pieces.setdefault(kind, []).append(np.ravel(array))
        layout.append(entries)
    return layout, {kind: np.concatenate(arrays) for kind, arrays in pieces.items()}


def unpack(layout: Sequence[Sequence[Sequence[Any]]], packed: Mapping[str, NDArray[Any]]) -> list[Arrays]:
    """Inverse of `pack`.

    Raises
    ------
    KeyError, ValueError
        The layout asks for more than there is, or there is more than it asks for.
    """
    used = dict.fromkeys(packed, 0)
    groups: list[Arrays] = []
    for entries in layout:
        group: Arrays = {}
        for name, kind, shape in entries:
            count = int(np.prod(shape, dtype=np.int64))
            start = used[kind]
            group[name] = packed[kind][start : start + count].reshape(shape)
            used[kind] = start + count
        groups.append(group)
    for kind, end in used.items():
        if end != len(packed[kind]):
            raise ValueError(f"expected {end} numbers of type {kind}, got {len(packed[kind])}")
    return groups
