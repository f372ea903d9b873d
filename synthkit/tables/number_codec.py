"""Numbers, dates, ordered categories, whole-number identifiers: point masses, ordered bins, positions inside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import ConditionError
from synthkit.schema import Column
from synthkit.tables.cells import Bools, Integers, Numbers
from synthkit.tables.columns import ColumnCode, Floats, State, missing_symbols
from synthkit.tables.conditions import AllowedSymbols, allowed_symbols, read_condition
from synthkit.tables.identifiers import TakenIdentifiers, largest_number, make_unique
from synthkit.tables.scale import NumberScale
from synthkit.tables.statistics import NumberStatistics
from synthkit.tables.support import Support
from synthkit.tables.support_fit import HEAPED, fit_support, is_grid, spikes


class NumberCodec:
    """A column whose values lie on a line.

    Parameters
    ----------
    column
        Its description.
    specials : ndarray [n_specials]
        Point masses in symbol order: sentinels, then spikes, each ascending.
    n_sentinels : int
        How many of them are sentinels.
    support : Support
        The ordered bins.
    shares : ndarray of float64 [size]
        Share of the training rows of each symbol.
    distinct : bool
        Whether no two training rows had the same value.
    blank_is_none : bool
        Whether missing cells of dtype "object" are None rather than NaN.
    """

    def __init__(
        self,
        column: Column,
        specials: Numbers,
        n_sentinels: int,
        support: Support,
        shares: Floats,
        distinct: bool,
        blank_is_none: bool,
    ) -> None:
        self.column = column
        self.scale = NumberScale(column)
        self.support = support
        self._specials = specials
        self._n_sentinels = n_sentinels
        self._distinct = distinct
        self._blank_is_none = blank_is_none
        self._offset = int(column.nullable)
        n_atoms = self._offset + len(specials)
        self._order = np.argsort(specials, kind="stable")
        self._ascending = specials[self._order]
        self._set_ranks(shares, n_atoms)
        bins = np.arange(support.n_bins)
        centres = support.decode(bins, np.full(len(bins), 0.5)) if len(bins) else specials[:0]
        blank = np.full(self._offset, np.nan)
        self.code = ColumnCode(
            name=column.name,
            type=column.type,
            n_atoms=n_atoms,
            n_bins=support.n_bins,
            is_numeric=True,
            missing=column.nullable,
            shares=shares,
            values=np.concatenate([blank, specials.astype(np.float64), centres.astype(np.float64)]),
            edges=support.bin_edges().astype(np.float64) if len(bins) else np.zeros((0, 2)),
            has_inside=np.append(np.zeros(n_atoms, dtype=bool), support.has_inside if len(bins) else []).astype(bool),
        )

    def _set_ranks(self, shares: Floats, n_atoms: int) -> None:
        """Rank of every cell and point mass in the distribution of all present values, in one order."""
        present = max(float(shares[self._offset :].sum()), 1e-300)
        special = shares[self._offset : n_atoms] / present
        bins = float(shares[n_atoms:].sum()) / present
        below = np.append(0.0, np.cumsum(special[self._order]))
        lowest, mass = self.support.lowest, self.support.mass
        self._cell_start = mass[:-1] * bins + below[np.searchsorted(self._ascending, lowest)]
        self._cell_height = np.diff(mass) * bins
        cells_below = mass[np.searchsorted(lowest, self._ascending)] * bins
        ranks = np.empty(len(special))
        ranks[self._order] = cells_below + below[:-1] + special[self._order] / 2
        self._atom_ranks = np.append(np.full(self._offset, np.nan), ranks)

    @classmethod
    def fit(
        cls, column: Column, statistics: NumberStatistics, *, max_bins: int, max_grid: int, spike_share: float
    ) -> NumberCodec:
        """Choose point masses, bins and cells from the statistics of a column."""
        scale = NumberScale(column)
        values, counts = statistics.values.astype(scale.dtype), statistics.counts
        wanted = np.array([scale.bounds(value, None)[0] for value in column.sentinels], dtype=scale.dtype)
        is_sentinel = np.isin(values, wanted)
        sentinels, sentinel_counts = values[is_sentinel], counts[is_sentinel]
        values, counts = values[~is_sentinel], counts[~is_sentinel]
        rows = int(counts.sum())
        distinct = len(values) + statistics.distinct - len(statistics.values)
        grid = (scale.kind == "rank" and len(values) <= max_grid) or is_grid(distinct, rows, max_grid)
        is_spike = np.zeros(len(values), dtype=bool) if grid else spikes(values, counts, spike_share)
        rest, rest_counts = values[~is_spike], counts[~is_spike]
        heaped = distinct < HEAPED * rows
        inner = np.sort(np.concatenate([sentinels, values[is_spike]]))
        support = fit_support(rest, rest_counts, inner, grid=grid, heaped=heaped, max_bins=max_bins)
        bin_rows = support.bin_mass * rest_counts.sum() if len(rest) else np.zeros(0)
        missing = [statistics.missing] if column.nullable else []
        shares = np.concatenate([missing, sentinel_counts, counts[is_spike], bin_rows]).astype(np.float64)
        shares = shares / max(float(shares.sum()), 1.0)
        specials = np.concatenate([sentinels, values[is_spike]])
        alone = column.type == "identifier" and distinct == rows
        return cls(column, specials, len(sentinels), support, shares, alone, statistics.blank_is_none)

    @property
    def n_sentinels(self) -> int:
        """How many of the point masses stand for something else, such as "not measured"; they come first."""
        return self._n_sentinels

    @property
    def extent(self) -> tuple[float, float]:
        """Smallest and largest training value on the scale, sentinels left out; NaN where there is none."""
        present = np.concatenate([self._specials[self._n_sentinels :], self.support.lowest, self.support.highest])
        return (float(present.min()), float(present.max())) if len(present) else (np.nan, np.nan)

    # ------------------------------------------------------------------ rows
    def encode(self, series: pd.Series[Any], rng: np.random.Generator | None, unknown: bool) -> tuple[Integers, Floats]:
        """Symbol and position of each cell; ties get the middle of their ranks, or a random one if there is an rng."""
        numbers, missing = self.scale.numbers(series)
        blank = missing_symbols(series, missing, self.column, unknown)
        return self.encode_numbers(numbers, missing, rng, blank)

    def encode_numbers(
        self, numbers: Numbers, missing: Bools, rng: np.random.Generator | None, blank: int = 0
    ) -> tuple[Integers, Floats]:
        """Symbol and position of numbers of the scale; missing ones get the symbol ``blank``."""
        symbols = np.full(len(numbers), blank, dtype=np.int64)
        positions = np.full(len(numbers), 0.5)
        inner = ~missing
        if len(self._ascending):
            place = np.minimum(np.searchsorted(self._ascending, numbers), len(self._ascending) - 1)
            if not self.support.n_bins and place.size:
                # Only point masses were seen: anything else belongs to the nearest.
                before = np.maximum(place - 1, 0)
                nearer = np.abs(numbers - self._ascending[before]) < np.abs(self._ascending[place] - numbers)
                place = np.where(nearer, before, place)
                hit = inner
            else:
                hit = inner & (self._ascending[place] == numbers)
            symbols[hit] = self._offset + self._order[place[hit]]
            inner = inner & ~hit
        if self.support.n_bins:
            rows = np.flatnonzero(inner)
            noise: Floats | float = rng.random(len(rows)) if rng is not None else 0.5
            bins, inside = self.support.encode(numbers[rows], noise)
            symbols[rows] = self.code.n_atoms + bins
            positions[rows] = inside
        return symbols, positions

    def decode(
        self,
        symbols: Integers,
        positions: Floats,
        rng: np.random.Generator,
        allowed: AllowedSymbols | None,
        taken: TakenIdentifiers | None = None,
    ) -> pd.Series[Any]:
        """A cell for each symbol and position; identifiers that were unique are made unique again, and taken."""
        numbers = np.zeros(len(symbols), dtype=self.scale.dtype)
        missing = symbols < self._offset
        atoms = ~missing & (symbols < self.code.n_atoms)
        numbers[atoms] = self._specials[symbols[atoms] - self._offset]
        rows = np.flatnonzero(symbols >= self.code.n_atoms)
        numbers[rows] = self.support.decode(symbols[rows] - self.code.n_atoms, positions[rows])
        if allowed is not None and allowed.values is not None:
            places, chosen = allowed.choose(symbols, rng)
            numbers[places] = chosen
        if self._distinct and self.scale.integral and allowed is None and self.support.n_bins:
            numbers[~missing] = self._unused(numbers[~missing], taken)
        cells = self.scale.cells(numbers, missing)
        if cells.dtype == object and missing.any():
            cells[missing] = None if self._blank_is_none else np.nan
        return cells

    def _unused(self, numbers: Integers, taken: TakenIdentifiers | None) -> Integers:
        name, limit = self.column.name, largest_number(self.column.dtype)
        lowest, highest = int(self.support.lowest[0]), int(self.support.highest[-1])
        unused = make_unique(numbers, lowest, highest, None if taken is None else taken.numbers(name), limit)
        if taken is not None:
            taken.add_numbers(name, unused)
        return unused

    def take(self, series: pd.Series[Any], taken: TakenIdentifiers) -> None:
        """Remember the identifiers of real rows, if this column names its rows."""
        if self._distinct and self.scale.integral:
            numbers, missing = self.scale.numbers(series)
            taken.add_numbers(self.column.name, numbers[~missing])

    def view(self, symbols: Integers, positions: Floats) -> NDArray[np.float32]:
        """Rank of the decoded value among the training values, from 0 to 1; NaN where missing."""
        out = np.full(len(symbols), np.nan)
        atoms = (symbols >= 0) & (symbols < self.code.n_atoms)
        out[atoms] = self._atom_ranks[symbols[atoms]]
        rows = np.flatnonzero(symbols >= self.code.n_atoms)
        cells, inside = self.support.split(symbols[rows] - self.code.n_atoms, positions[rows])
        width = self.support.widths[cells]
        if self.support.integral:
            inside = (np.minimum(np.floor(inside * (width + 1.0)), width) + 0.5) / (width + 1.0)
        else:
            inside = np.where(width > 0, inside, 0.5)
        out[rows] = self._cell_start[cells] + inside * self._cell_height[cells]
        return out.astype(np.float32)

    # ------------------------------------------------------------------ conditions
    def condition(self, condition: Any) -> AllowedSymbols:
        """Symbols and positions that satisfy a value, a list of values or a closed range.

        Sentinels are not in any range; they are allowed when asked for by value.
        """
        request = read_condition(self.column.name, condition)
        pairs = [(request.low, request.high)] if request.is_range else [(value, value) for value in request.values]
        size = self.code.size
        mask, share = np.zeros(size, dtype=bool), np.zeros(size)
        low, high = np.ones(size), np.zeros(size)
        choices: list[tuple[int, Any, float]] = []
        if request.missing and self.column.nullable:
            mask[0], low[0], high[0], share[0] = True, 0.0, 1.0, 1.0
        for pair in pairs:
            start, end = self.scale.bounds(*pair)
            if request.is_range and pair[0] is not None and pair[1] is not None and self._backwards(pair):
                raise ConditionError(
                    f"the range of column {self.column.name!r} ends ({pair[1]!r}) before it begins ({pair[0]!r})",
                    remedy="swap the two",
                )
            self._allow(start, end, not request.is_range, mask, low, high, share, choices)
        if not mask.any():
            raise ConditionError(
                f"column {self.column.name!r} has no value {self._asked(condition)}", remedy=self._known(pairs)
            )
        low, high = np.where(mask, low, 0.0), np.where(mask, high, 1.0)
        if len(pairs) == 1 and all(high[symbol] > low[symbol] for symbol, _, _ in choices):
            choices = []  # the interval of the one value or range says it all
        chosen = (
            np.array([choice[0] for choice in choices], dtype=np.int64),
            np.array([choice[1] for choice in choices], dtype=self.scale.dtype),
            np.array([choice[2] for choice in choices], dtype=np.float64),
        )
        return allowed_symbols(mask, low=low, high=high, share=np.minimum(share, 1.0), choices=chosen)

    def _allow(
        self,
        start: Any,
        end: Any,
        sentinels: bool,
        mask: NDArray[np.bool_],
        low: Floats,
        high: Floats,
        share: Floats,
        choices: list[tuple[int, Any, float]],
    ) -> None:
        """Add the symbols and positions whose numbers lie in [start, end]."""
        lowest = -np.inf if start is None else start
        highest = np.inf if end is None else end
        special = (self._specials >= lowest) & (self._specials <= highest)
        special &= sentinels | (np.arange(len(special)) >= self._n_sentinels)
        whole = self._offset + np.flatnonzero(special)
        if self.support.n_bins:
            edges = self.support.bin_edges()
            inside = (edges[:, 0] >= lowest) & (edges[:, 1] <= highest)
            partly = ~inside & (edges[:, 1] >= lowest) & (edges[:, 0] <= highest)
            whole = np.append(whole, self.code.n_atoms + np.flatnonzero(inside))
            for bin_index in np.flatnonzero(partly).tolist():
                self._allow_part(bin_index, lowest, highest, mask, low, high, share, choices)
        mask[whole], low[whole], high[whole], share[whole] = True, 0.0, 1.0, 1.0

    def _allow_part(
        self,
        bin_index: int,
        lowest: Any,
        highest: Any,
        mask: NDArray[np.bool_],
        low: Floats,
        high: Floats,
        share: Floats,
        choices: list[tuple[int, Any, float]],
    ) -> None:
        symbol = self.code.n_atoms + bin_index
        found = self.support.interval(bin_index, lowest, highest)
        if found is not None:
            part, value = found[1] - found[0], lowest
        else:
            # No position is fine enough for so narrow a range: if a cell covers it, its value is set when decoding.
            first_value = self.support.first_within(bin_index, lowest, highest)
            if first_value is None:
                return
            value = first_value
            part = 2.0**-24
            found = (0.5, 0.5)
        mask[symbol] = True
        low[symbol], high[symbol] = min(low[symbol], found[0]), max(high[symbol], found[1])
        share[symbol] += part
        choices.append((symbol, value if np.isfinite(value) else 0, part))

    def _backwards(self, pair: tuple[Any, Any]) -> bool:
        """Whether a range ends before it begins, apart from rounding to the grid."""
        start, end = self.scale.bounds(pair[0], None)[0], self.scale.bounds(None, pair[1])[1]
        floor = self.scale.bounds(None, pair[0])[1]
        return start is not None and end is not None and end < start and end < floor

    def _asked(self, condition: Any) -> str:
        if isinstance(condition, tuple):
            low, high = condition
            return f"up to {high}" if low is None else f"from {low}" if high is None else f"between {low} and {high}"
        return f"{condition!r}"

    def _known(self, pairs: list[tuple[Any, Any]]) -> str:
        present = np.concatenate([self._specials[self._n_sentinels :], self.support.lowest, self.support.highest])
        if not len(present):
            return "all its cells are missing"
        text = f"known range: {self.scale.describe(present.min())} to {self.scale.describe(present.max())}"
        if len(pairs) == 1:
            start, end = self.scale.bounds(*pairs[0])
            target = start if start is not None else end
            if target is not None:
                nearest = present[int(np.argmin(np.abs(present.astype(np.float64) - float(target))))]
                text += f"; nearest value: {self.scale.describe(nearest)}"
        return text

    # ------------------------------------------------------------------ storage
    def state(self) -> State:
        """What is stored: bin and cell borders, their masses, point masses and shares. No record."""
        arrays = {
            "specials": self._specials,
            "lowest": self.support.lowest,
            "highest": self.support.highest,
            "mass": self.support.mass,
            "first": self.support.first,
            "shares": self.code.shares,
        }
        return {
            "codec": "number",
            "n_sentinels": self._n_sentinels,
            "distinct": self._distinct,
            "step": self.support.step,
            "blank_is_none": self._blank_is_none,
        }, arrays

    @classmethod
    def from_state(cls, column: Column, fields: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> NumberCodec:
        """Inverse of `state`."""
        support = Support(arrays["lowest"], arrays["highest"], arrays["mass"], arrays["first"], int(fields["step"]))
        return cls(
            column,
            arrays["specials"],
            int(fields["n_sentinels"]),
            support,
            arrays["shares"],
            bool(fields["distinct"]),
            bool(fields["blank_is_none"]),
        )
