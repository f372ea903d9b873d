"""Categories, booleans and other labels: one symbol each, the rare ones together in one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import ConditionError, DataError, unknown_name
from synthkit.schema import Column
from synthkit.tables.cells import Integers, cells_from, codes_of
from synthkit.tables.columns import ColumnCode, Floats, State, missing_symbols
from synthkit.tables.conditions import AllowedSymbols, allowed_symbols, read_condition
from synthkit.tables.identifiers import TakenIdentifiers
from synthkit.tables.statistics import LabelStatistics


class LabelCodec:
    """A column of labels.

    Parameters
    ----------
    column
        Its description.
    labels : list
        Labels with a symbol of their own, then the rare ones.
    n_own : int
        How many have a symbol of their own.
    counts : ndarray of int64 [n_labels]
        Training rows of each label.
    missing : int
        Training rows without a label.
    declared : list, optional
        All categories of dtype "category", in order.
    declared_dtype : str, optional
        Their dtype.
    blank_is_none : bool
        Whether missing cells of dtype "object" are None rather than NaN.
    """

    def __init__(
        self,
        column: Column,
        labels: list[Any],
        n_own: int,
        counts: Integers,
        missing: int,
        declared: list[Any] | None,
        declared_dtype: str | None,
        blank_is_none: bool,
    ) -> None:
        self.column = column
        self._labels = labels
        self._n_own = n_own
        self._counts = counts
        self._missing = missing
        self._declared = declared
        self._declared_dtype = declared_dtype
        self._blank_is_none = blank_is_none
        self._offset = int(column.nullable)
        self._has_rare = len(labels) > n_own
        self._rare_running = np.cumsum(counts[n_own:])
        size = self._offset + n_own + int(self._has_rare)
        rows = np.zeros(size)
        rows[: self._offset] = missing
        rows[self._offset : self._offset + n_own] = counts[:n_own]
        if self._has_rare:
            rows[-1] = counts[n_own:].sum()
        self.code = ColumnCode(
            name=column.name,
            type=column.type,
            n_atoms=size,
            n_bins=0,
            is_numeric=False,
            missing=column.nullable,
            shares=rows / max(float(rows.sum()), 1.0),
            values=np.arange(size, dtype=np.float64),
            edges=np.zeros((0, 2)),
            has_inside=np.zeros(size, dtype=bool),
        )
        self._symbols = {label: self._offset + position for position, label in enumerate(labels[:n_own])}
        self._symbols_of_text = {str(label): symbol for label, symbol in self._symbols.items()}

    @classmethod
    def fit(cls, column: Column, statistics: LabelStatistics, *, max_categories: int) -> LabelCodec:
        """Give the most frequent labels a symbol of their own."""
        labels = statistics.labels
        n_own = len(labels) if len(labels) <= max_categories + 1 else max_categories
        return cls(
            column,
            labels,
            n_own,
            statistics.counts,
            statistics.missing,
            statistics.declared,
            statistics.declared_dtype,
            statistics.blank_is_none,
        )

    # ------------------------------------------------------------------ rows
    def encode(self, series: pd.Series[Any], rng: np.random.Generator | None, unknown: bool) -> tuple[Integers, Floats]:
        """Symbol of each cell; a label that was not seen is a rare one, if there are rare ones."""
        codes, uniques = codes_of(series)
        otherwise = self._offset + self._n_own if self._has_rare else -1
        blank = missing_symbols(series, codes < 0, self.column, unknown)
        table = np.empty(len(uniques) + 1, dtype=np.int64)
        for position, label in enumerate(uniques):
            symbol = self._symbols.get(label)
            table[position] = symbol if symbol is not None else self._symbols_of_text.get(str(label), otherwise)
        table[-1] = blank
        if not unknown and not self._has_rare:
            seen = np.bincount(codes[codes >= 0], minlength=len(uniques)) > 0
            new = np.flatnonzero((table[:-1] < 0) & seen)
            if new.size:
                label = uniques[int(new[0])]
                row = int(np.flatnonzero(codes == new[0])[0])
                raise DataError(
                    f"column {self.column.name!r}, row {row}: {unknown_name('category', str(label), self._texts())}",
                    remedy="train on a table that has it",
                )
        return table[codes], np.full(len(codes), 0.5)

    def decode(
        self,
        symbols: Integers,
        positions: Floats,
        rng: np.random.Generator,
        allowed: AllowedSymbols | None,
        taken: TakenIdentifiers | None = None,
    ) -> pd.Series[Any]:
        """A label for each symbol; rare ones in proportion to their training counts."""
        codes = np.maximum(symbols - self._offset, -1)
        if self._has_rare:
            if allowed is not None and allowed.values is not None:
                places, chosen = allowed.choose(symbols, rng)
            else:
                places = np.flatnonzero(codes == self._n_own)
                drawn = rng.integers(0, self._rare_running[-1], size=len(places))
                chosen = np.searchsorted(self._rare_running, drawn, side="right")
            codes[places] = self._n_own + chosen
        return cells_from(
            self._labels,
            codes,
            self.column.dtype,
            self._declared,
            self.column.ordered,
            self._declared_dtype,
            None if self._blank_is_none else np.nan,
        )

    def view(self, symbols: Integers, positions: Floats) -> NDArray[np.float32]:
        """The symbol itself."""
        return symbols.astype(np.float32)

    def unseen(self, series: pd.Series[Any]) -> NDArray[np.bool_]:
        """Which cells hold a label that no training row had, ``[n]``; missing ones do not."""
        codes, uniques = codes_of(series)
        known = {str(label) for label in self._labels}
        new = np.array([str(label) not in known for label in uniques] + [False])
        return np.asarray(new[codes], dtype=bool)

    # ------------------------------------------------------------------ conditions
    def condition(self, condition: Any) -> AllowedSymbols:
        """Symbols that satisfy a label, a list of labels, or a range where labels are numbers."""
        name = self.column.name
        request = read_condition(name, condition)
        mask = np.zeros(self.code.size, dtype=bool)
        share = np.zeros(self.code.size)
        if request.missing and self.column.nullable:
            mask[0] = True
        positions = self._in_range(request.low, request.high) if request.is_range else self._find(request.values)
        own = positions[positions < self._n_own]
        rare = positions[positions >= self._n_own]
        mask[self._offset + own] = True
        share[mask] = 1.0
        choices = None
        if rare.size:
            symbol = self._offset + self._n_own
            mask[symbol] = True
            weights = self._counts[rare].astype(np.float64)
            share[symbol] = weights.sum() / self._rare_running[-1]
            choices = (np.full(len(rare), symbol), rare - self._n_own, weights)
        if not mask.any():
            found = "missing" if request.missing else repr(condition)
            raise ConditionError(
                f"column {name!r} has no cell that is {found}", remedy=f"known: {', '.join(self._texts()[:10])}"
            )
        return allowed_symbols(mask, share=share, choices=choices)

    def _find(self, values: tuple[Any, ...]) -> Integers:
        """Positions of labels, by value or as text; ConditionError for one that there is not."""
        if not values:
            return np.zeros(0, dtype=np.int64)
        position = {label: index for index, label in enumerate(self._labels)}
        by_text = {str(label): index for index, label in enumerate(self._labels)}
        found = []
        for value in values:
            text = str(value)
            same_kind = isinstance(value, bool) == isinstance(self._labels[0], bool) if self._labels else False
            index = position.get(value) if same_kind else None
            for spelling in (text, text.capitalize() if text.lower() in ("true", "false") else text, _as_whole(text)):
                index = by_text.get(spelling) if index is None else index
            if index is None and _is_number(text):
                index = position.get(float(text))
            if index is None:
                raise ConditionError(f"column {self.column.name!r}: {unknown_name('value', text, self._texts())}")
            found.append(index)
        return np.unique(np.array(found, dtype=np.int64))

    def _in_range(self, low: Any, high: Any) -> Integers:
        if not all(isinstance(label, int | float) for label in self._labels):
            raise ConditionError(
                f"column {self.column.name!r} holds labels without an order, got a range in its condition",
                remedy="give a list of labels, or make its type ordinal",
            )
        numbers = np.array(self._labels, dtype=np.float64)
        try:
            start = -np.inf if low is None else float(low)
            end = np.inf if high is None else float(high)
        except (TypeError, ValueError):
            raise ConditionError(
                f"column {self.column.name!r} holds numbers, got the range {low!r} to {high!r}",
                remedy="give a range of two numbers",
            ) from None
        if start > end:
            raise ConditionError(
                f"the range of column {self.column.name!r} ends ({high!r}) before it begins ({low!r})",
                remedy="swap the two",
            )
        return np.flatnonzero((numbers >= start) & (numbers <= end)).astype(np.int64)

    def _texts(self) -> list[str]:
        return [str(label) for label in self._labels]

    # ------------------------------------------------------------------ storage
    def state(self) -> State:
        """What is stored: every label with its number of training rows. No record."""
        fields = {
            "codec": "label",
            "labels": self._labels,
            "n_own": self._n_own,
            "missing": self._missing,
            "declared": self._declared,
            "declared_dtype": self._declared_dtype,
            "blank_is_none": self._blank_is_none,
        }
        return fields, {"counts": self._counts}

    @classmethod
    def from_state(cls, column: Column, fields: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> LabelCodec:
        """Inverse of `state`."""
        return cls(
            column,
            list(fields["labels"]),
            int(fields["n_own"]),
            arrays["counts"],
            int(fields["missing"]),
            fields["declared"],
            fields["declared_dtype"],
            bool(fields["blank_is_none"]),
        )


def _as_whole(text: str) -> str:
    """The spelling of a whole number as a float, 1 for 1.0 and the other way round."""
    return text[:-2] if text.endswith(".0") else f"{text}.0"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
