"""Rows of a fitted table as users get them: whole tables and streams, with conditions, satisfying the constraints."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthkit.errors import ConditionError
from synthkit.random import RandomSource
from synthkit.schema import Column
from synthkit.schema_cells import place_on_line
from synthkit.schema_constraints import Range
from synthkit.tables.conditions import AllowedSymbols, read_condition
from synthkit.tables.constraints import Rows, Tally
from synthkit.tables.encoder import TableEncoder
from synthkit.tables.fitted import BATCH, FittedTable
from synthkit.tables.identifiers import TakenIdentifiers

if TYPE_CHECKING:
    import pyarrow

_FEWEST = 64  # rows that are drawn to take the place of others, at least
_LEAST_MOST = 1_024  # rows of a batch at most, where a stream has smaller ones
_SPARE = 1.1


class Draw:
    """One draw of rows.

    Parameters
    ----------
    fitted
        The model.
    where
        Conditions, as `TableGAN.sample` takes them; checked now.
    random
        Source of all random numbers.
    refined
        Whether rows are refined.
    taken
        Identifiers and unique keys that must not come back.
    tally
        Counts the rows that are drawn and those that satisfy the constraints; may be that of other draws too.

    Raises
    ------
    ConditionError
        An unknown column or value, or conditions that contradict each other or the constraints.
    """

    def __init__(
        self,
        fitted: FittedTable,
        where: Mapping[str, Any] | None,
        random: RandomSource,
        *,
        refined: bool = True,
        taken: TakenIdentifiers | None = None,
        tally: Tally | None = None,
    ) -> None:
        self.fitted, self.where, self.random, self.refined, self.taken = (
            fitted,
            dict(where or {}),
            random,
            refined,
            taken,
        )
        self.constraints = fitted.encoder.schema.constraints
        self.allowed = fitted.conditions(self.where)
        if self.constraints:
            self.allowed |= range_conditions(fitted.encoder, self.where)
        self.tally = Tally() if tally is None else tally

    def frame(self, n: int) -> pd.DataFrame:
        """A table of ``n`` rows."""
        if self.constraints:
            parts = list(self._accepted(n, BATCH)) if n else [self._none()]
            return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
        fitted = self.fitted
        drawn = list(fitted.batches(n, self.allowed, self.random, refined=self.refined))
        columns = len(fitted.layout.sizes)
        symbols = np.concatenate([one[0] for one in drawn]) if drawn else np.zeros((0, columns), np.int32)
        positions = np.concatenate([one[1] for one in drawn]) if drawn else np.zeros((0, columns), np.float32)
        rng = self.random.numpy("decode")
        return fitted.encoder.decode(symbols, positions, rng=rng, forced=self.allowed, taken=self.taken)

    def stream(self, n: int, batch_rows: int) -> Iterator[pyarrow.RecordBatch]:
        """``n`` rows as Arrow batches of ``batch_rows``; memory stays flat, apart from identifiers and keys."""
        from synthkit.io.arrow_frames import FrameConverter

        converter = FrameConverter(Path("sample"), self.fitted.encoder.schema)
        for frame in self._accepted(n, batch_rows) if self.constraints else self._decoded(n, batch_rows):
            yield from converter.convert(frame).combine_chunks().to_batches()

    def _decoded(self, n: int, batch_rows: int) -> Iterator[pd.DataFrame]:
        encoder, rng, taken = self.fitted.encoder, self.random.numpy("decode"), self.taken or TakenIdentifiers()
        for symbols, positions in self.fitted.batches(
            n, self.allowed, self.random, refined=self.refined, batch=batch_rows
        ):
            yield encoder.decode(symbols, positions, rng=rng, forced=self.allowed, taken=taken)

    def _none(self) -> pd.DataFrame:
        empty = np.zeros((0, len(self.fitted.layout.sizes)))
        rng = self.random.numpy("decode")
        return self.fitted.encoder.decode(empty.astype(np.int32), empty.astype(np.float32), rng=rng)

    # ------------------------------------------------------------------ under constraints
    def _accepted(self, n: int, batch_rows: int) -> Iterator[pd.DataFrame]:
        """``n`` rows that satisfy the constraints, ``batch_rows`` at a time and the rest."""
        if not n:
            return
        taken = TakenIdentifiers() if self.taken is None else self.taken
        rows = Rows(self.fitted, self.where, self.allowed, self.random.numpy("decode"), taken, self.tally)
        sizes = _Sizes(n, batch_rows, self.tally)
        waiting: list[pd.DataFrame] = []
        ready = done = 0
        for symbols, positions in self.fitted.batches_of(sizes, self.allowed, self.random, refined=self.refined):
            part = rows.accepted(symbols, positions)
            part = part.head(n - done - ready)
            waiting += [part] if len(part) else []
            ready += len(part)
            while ready >= batch_rows or (ready and done + ready == n):
                whole = pd.concat(waiting, ignore_index=True) if len(waiting) > 1 else waiting[0]
                now, rest = whole.head(batch_rows), whole.iloc[batch_rows:]
                waiting = [rest.reset_index(drop=True)] if len(rest) else []
                ready, done = len(rest), done + len(now)
                yield now
            if done == n:
                return
            sizes.wanted = n - done - ready


class _Sizes:
    """How many rows to draw next: as many as are wanted, divided by the share that was accepted so far."""

    def __init__(self, wanted: int, most: int, tally: Tally) -> None:
        self.wanted, self.most, self.tally = wanted, max(most, _LEAST_MOST), tally

    def __iter__(self) -> Iterator[int]:
        before, accepted = self.tally.drawn, self.tally.accepted
        while True:
            drawn = self.tally.drawn - before
            share = (self.tally.accepted - accepted + 1) / (drawn + 1)
            # at first as if there were no constraints: where all is computed, the rows are those of a plain draw
            wanted = max(_FEWEST, math.ceil(_SPARE * self.wanted / share)) if drawn else self.wanted
            yield min(self.most, wanted)


def range_conditions(encoder: TableEncoder, where: Mapping[str, Any]) -> dict[str, AllowedSymbols]:
    """What ranges among the constraints allow, as conditions that draws satisfy exactly, without rejection.

    Ranges that exclude nothing the model can draw are left out: a condition has its price. Missing cells and sentinels
    satisfy a range.

    Raises
    ------
    ConditionError
        A condition of the draw and a range have nothing in common.
    """
    found: dict[str, AllowedSymbols] = {}
    ranges = [one for one in encoder.schema.constraints if isinstance(one, Range)]
    for name in dict.fromkeys(one.column for one in ranges if one.column in encoder.names):
        column, own = encoder.schema[name], [one for one in ranges if one.column == name]
        if name in where:
            narrowed = _narrowed(column, own, where[name])
            if narrowed is not None:
                found[name] = encoder.condition(name, narrowed)
            continue
        listed = [one for one in own if one.values is not None]
        condition: Any = _bounds(column, own, None, None)
        if listed:
            condition = _known(encoder, name, _within(column, own, list(listed[0].values or ())))
        allowed = encoder.condition(name, condition)
        for other in (None, list(column.sentinels)):
            if (other is None and column.nullable) or other:
                allowed = either(allowed, encoder.condition(name, other))
        if not (allowed.mask.all() and (allowed.share >= 1.0).all()):
            found[name] = allowed
    return found


def _bounds(column: Column, ranges: list[Range], low: Any, high: Any) -> tuple[Any, Any]:
    """The tightest bounds of ranges and a condition."""
    lows = [one.minimum for one in ranges if one.minimum is not None] + ([] if low is None else [low])
    highs = [one.maximum for one in ranges if one.maximum is not None] + ([] if high is None else [high])
    return (
        max(lows, key=lambda end: place_on_line(end, column), default=None),
        min(highs, key=lambda end: place_on_line(end, column), default=None),
    )


def _within(column: Column, ranges: list[Range], values: list[Any]) -> list[Any]:
    """Those of the values that satisfy the ranges."""
    cells = pd.Series(values, dtype="object")
    good = np.ones(len(values), dtype=bool)
    for one in ranges:
        good &= one.test.marks(cells, column)
    return [value for value, fits in zip(values, good, strict=True) if fits]


def _known(encoder: TableEncoder, name: str, values: list[Any]) -> list[Any]:
    """Those of the values that the model can draw, or all of them where it can draw none."""
    found = []
    for value in values:
        with contextlib.suppress(ConditionError):
            encoder.condition(name, value)
            found.append(value)
    return found or values


def _narrowed(column: Column, ranges: list[Range], condition: Any) -> Any:
    """A condition of a draw, narrowed to the ranges on its column; None where they leave it as it is."""
    request = read_condition(column.name, condition)
    if request.is_range:
        if any(one.values is not None for one in ranges) or column.type == "ordinal":
            return None  # rejection takes care of what is left
        low, high = _bounds(column, ranges, request.low, request.high)
        if low is not None and high is not None and place_on_line(low, column) > place_on_line(high, column):
            raise _contradiction(column, ranges)
        return (low, high) if (low, high) != (request.low, request.high) else None
    kept: list[Any] = _within(column, ranges, list(request.values))
    if len(kept) == len(request.values):
        return None
    if not kept and not request.missing:
        raise _contradiction(column, ranges)
    return kept + ([None] if request.missing else [])


def _contradiction(column: Column, ranges: list[Range]) -> ConditionError:
    return ConditionError(
        f"the condition on {column.name!r} contradicts the constraint '{ranges[0].describe()}'",
        remedy="change the condition, or the constraint in the schema",
    )


def either(one: AllowedSymbols, other: AllowedSymbols) -> AllowedSymbols:
    """What satisfies one condition or the other, where no symbol is in both."""
    return dataclasses.replace(
        one,
        mask=one.mask | other.mask,
        low=np.where(other.mask, other.low, one.low),
        high=np.where(other.mask, other.high, one.high),
        share=np.where(other.mask, other.share, one.share),
        choice_symbols=np.concatenate([one.choice_symbols, other.choice_symbols]),
        choices=np.concatenate([one.choices, other.choices]),
        choice_weights=np.concatenate([one.choice_weights, other.choice_weights]),
    )
