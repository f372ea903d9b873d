"""Identifiers that name one row each: new ones differ from each other and from those already taken."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.schema import Column
from synthkit.schema_constraints import Unique
from synthkit.schema_regex import Writer
from synthkit.schema_text import generate_identifiers
from synthkit.tables.cells import Numbers, dtype_of

_NO_SHAPE = "x{8,16}"


class TakenIdentifiers:
    """Identifiers that new rows must not use again: those of the batches before, those of real rows.

    One number or text is remembered for each row and identifier column, 64 bits for each row and unique key.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, NDArray[np.int64]] = {}
        self._texts: dict[str, set[str]] = {}

    def numbers(self, name: str) -> NDArray[np.int64]:
        """Numbers taken in a column, ascending."""
        return self._numbers.get(name, np.zeros(0, np.int64))

    def texts(self, name: str) -> set[str]:
        """Texts taken in a column."""
        return self._texts.setdefault(name, set())

    def add_numbers(self, name: str, numbers: NDArray[np.int64]) -> None:
        """Take numbers."""
        # a stable sort merges two ascending runs in one pass: a stream of many batches does not sort all of them anew
        both = np.sort(np.concatenate([self.numbers(name), np.sort(numbers)]), kind="stable")
        self._numbers[name] = both[np.append(True, both[1:] != both[:-1])] if len(both) else both

    def take_keys(self, unique: Unique, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Take the keys of the rows of a table.

        Returns
        -------
        ndarray of bool, shape (n_rows,)
            Rows whose key nobody had before: no row of an earlier call and none further up. Rows without a key are
            among them.
        """
        hashes, present = unique.keys(frame)
        keys = hashes.view(np.int64)
        name = f"keys {list(unique.columns)}"
        known = self.numbers(name)
        new = np.zeros(len(keys), dtype=bool)
        rows = np.flatnonzero(present)
        new[rows[np.unique(keys[rows], return_index=True)[1]]] = True
        place = np.searchsorted(known, keys).clip(max=max(len(known) - 1, 0))
        new &= (known[place] != keys) if len(known) else True
        self.add_numbers(name, keys[new])
        return np.asarray(new | ~present, dtype=bool)


class TextIdentifier:
    """A column of text identifiers: new values from a template, missing as often as in training.

    Parameters
    ----------
    column
        Its description.
    missing_share
        Share of the training rows without identifier.
    """

    def __init__(self, column: Column, missing_share: float) -> None:
        self.column, self.missing_share = column, missing_share

    def cells(self, n: int, rng: np.random.Generator, taken: TakenIdentifiers | None = None) -> pd.Series[Any]:
        """``n`` new identifiers, which are then taken; a warning tells of a template that has no room for them."""
        used = set() if taken is None else taken.texts(self.column.name)
        before = len(used)
        texts = generate_identifiers(self.column.pattern or _NO_SHAPE, n, rng, used)
        used.update(texts)
        if len(used) < before + n:
            warnings.warn(
                f"column {self.column.name!r}: {before + n - len(used):,} new identifiers repeat others, because the "
                f"pattern {self.column.pattern!r} has no room for more; give a wider one in the schema",
                UserWarning,
                stacklevel=2,
            )
        if self.missing_share > 0:
            texts[rng.random(n) < self.missing_share] = None
        return pd.Series(texts, dtype="object").astype(dtype_of(self.column.dtype))

    def present(
        self, n: int, rng: np.random.Generator, taken: TakenIdentifiers, source: Writer | None
    ) -> pd.Series[Any]:
        """``n`` new identifiers, none of them missing, after the template or written by ``source``."""
        used = taken.texts(self.column.name)
        if source is None:
            texts = generate_identifiers(self.column.pattern or _NO_SHAPE, n, rng, used)
        else:
            texts = source.write(n, rng, used)
        used.update(texts)
        return pd.Series(texts, dtype="object").astype(dtype_of(self.column.dtype))


def largest_number(dtype: str) -> int:
    """Largest whole number of at most 64 bits that a column of a dtype of numpy, pandas or Arrow holds exactly."""
    name = dtype.lower().removesuffix("[pyarrow]")
    name = {"double": "float64", "float": "float32", "halffloat": "float16"}.get(name, name)
    if name.startswith("float"):
        return int(2 ** (np.finfo(name).nmant + 1))
    whole = name if name.startswith(("int", "uint")) else "int64"
    return int(min(np.iinfo(whole).max, np.iinfo(np.int64).max))


def make_unique(
    numbers: Numbers, lowest: int, highest: int, taken: NDArray[np.int64] | None = None, limit: int = 2**63 - 1
) -> Numbers:
    """Move duplicates and taken numbers to nearby unused ones.

    Between lowest and highest as far as there is room, else above the highest, as running numbers go on. Without room
    up to ``limit`` numbers come back as they are. In ascending order each number moves up just past the one before it,
    and back down where that leaves the range: two running maxima instead of a search, on a line from which the taken
    numbers are cut out.

    Parameters
    ----------
    numbers
        Whole numbers ``[n]`` between lowest and highest.
    lowest, highest
        The range of the training rows.
    taken
        Ascending whole numbers that must not come back.
    limit
        Largest number that the column can hold.
    """
    n = len(numbers)
    if numbers.dtype.kind != "i" or not n:
        return numbers
    used = np.zeros(0, np.int64) if taken is None else taken[taken >= lowest]
    room = highest - lowest + 1 - int(np.searchsorted(used, highest, side="right"))
    if room < n:
        # as many numbers above the highest as are missing, and one more for each of those that is taken
        highest += n - room + len(used) - int(np.searchsorted(used, highest, side="right"))
    if highest > limit:
        return numbers
    used = used[used <= highest]
    cut = used - np.arange(len(used))
    free = numbers - np.searchsorted(used, numbers)
    order = np.argsort(free, kind="stable")
    steps = np.arange(n, dtype=np.int64)
    free = np.maximum(free, np.iinfo(np.int64).min + n)  # below that the next line would leave 64 bits
    moved = np.maximum.accumulate(free[order] - steps) + steps
    moved = np.minimum(moved, highest - len(used) - (n - 1 - steps))
    out = np.empty_like(numbers)
    out[order] = moved + np.searchsorted(cut, moved, side="right")
    return out
