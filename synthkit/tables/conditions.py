"""What a condition on one column allows: which symbols, and which part of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import ConditionError
from synthkit.tables.cells import Bools, Integers, Numbers

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AllowedSymbols:
    """Symbols of one column that can satisfy a condition.

    A record drawn with a symbol of `mask` and a position between `low` and `high`, and decoded with this object in
    `forced`, satisfies the condition exactly.

    Parameters
    ----------
    mask : ndarray of bool [size]
        Symbols that can satisfy the condition.
    low, high : ndarray of float64 [size]
        Positions that satisfy it, a closed interval; 0 and 1 for symbols that are allowed as a whole. Both are exact in
        float32.
    share : ndarray of float64 [size]
        Part of the symbol's training mass that satisfies the condition: 0 where not allowed, 1 for whole symbols.
        Weighting a symbol's probability by it gives the probability of the condition.
    choice_symbols : ndarray of int64 [n_choices]
        Symbols inside which single values are allowed that no interval describes, such as some of the rare categories.
    choices : ndarray [n_choices]
        Those values, in the column's own terms: a number on its scale, or the position among the rare categories.
    choice_weights : ndarray of float64 [n_choices]
        Their relative frequencies.
    """

    mask: Bools
    low: Floats
    high: Floats
    share: Floats
    choice_symbols: Integers
    choices: Numbers
    choice_weights: Floats

    @property
    def values(self) -> Numbers | None:
        """The single values that decoding chooses from, or None when symbols and intervals say it all."""
        return self.choices if len(self.choices) else None

    def choose(self, symbols: Integers, rng: np.random.Generator) -> tuple[Integers, Numbers]:
        """Rows whose value has to be chosen, and a choice for each in proportion to the weights."""
        rows: list[Integers] = []
        chosen: list[Numbers] = []
        for symbol in np.unique(self.choice_symbols):
            places = np.flatnonzero(symbols == symbol)
            options = np.flatnonzero(self.choice_symbols == symbol)
            running = np.cumsum(self.choice_weights[options])
            drawn = np.searchsorted(running, rng.random(len(places)) * running[-1], side="right")
            rows.append(places)
            chosen.append(self.choices[options[np.minimum(drawn, len(options) - 1)]])
        if not rows:
            return np.zeros(0, dtype=np.int64), self.choices[:0]
        return np.concatenate(rows), np.concatenate(chosen)


def allowed_symbols(
    mask: Bools,
    *,
    low: Floats | None = None,
    high: Floats | None = None,
    share: Floats | None = None,
    choices: tuple[Integers, Numbers, Floats] | None = None,
) -> AllowedSymbols:
    """Fill in what is not restricted: whole symbols, no choices."""
    size = len(mask)
    symbols, values, weights = choices or (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return AllowedSymbols(
        mask=mask,
        low=np.zeros(size) if low is None else low,
        high=np.ones(size) if high is None else high,
        share=mask.astype(np.float64) if share is None else share,
        choice_symbols=symbols,
        choices=values,
        choice_weights=weights,
    )


@dataclass(frozen=True)
class Request:
    """A condition taken apart: a closed range (None leaves an end open), or single values, missing ones apart."""

    is_range: bool
    low: Any
    high: Any
    values: tuple[Any, ...]
    missing: bool


def read_condition(name: str, condition: Any) -> Request:
    """Take a condition apart.

    Parameters
    ----------
    name
        Column, for messages.
    condition
        A value, None or NaN for missing cells, a list or set of these, or a tuple (low, high).

    Raises
    ------
    ConditionError
        An empty list, a tuple of another length, or a range that ends before it begins.
    """
    if isinstance(condition, tuple):
        if len(condition) != 2:
            raise ConditionError(
                f"the condition on column {name!r} is a tuple of {len(condition)}, expected (low, high)",
                remedy="give a list to allow several values",
            )
        low, high = (None if _is_missing(end) else end for end in condition)
        return Request(True, low, high, (), False)
    if isinstance(condition, str | bytes) or not isinstance(condition, Iterable):
        listed = [condition]
    else:
        listed = list(condition)
    if not listed:
        raise ConditionError(f"the condition on column {name!r} is an empty list", remedy="give at least one value")
    present = [value.item() if isinstance(value, np.generic) and value.dtype.kind != "M" else value for value in listed]
    return Request(
        False, None, None, tuple(v for v in present if not _is_missing(v)), any(_is_missing(v) for v in present)
    )


def _is_missing(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))
