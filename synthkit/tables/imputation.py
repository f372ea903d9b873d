"""Missing cells of a table: drawn from their law given the observed ones, or filled by the best single guess."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import InputError, unknown_name
from synthkit.gan.estimator import is_whole
from synthkit.random import RandomSource
from synthkit.tables.cell_laws import Belief, beliefs, is_number, sentinel_symbols
from synthkit.tables.cells import put_cells
from synthkit.tables.chained import draw_chained
from synthkit.tables.completion import ENOUGH, MOST_CLASSES, Completion
from synthkit.tables.expected import Expectation
from synthkit.tables.fitted import FittedTable
from synthkit.tables.imputed_constraints import satisfying
from synthkit.tables.number_codec import NumberCodec

Strategy = Literal["draw", "mean"]
STRATEGIES = ("draw", "mean")
_REFERENCE = 4_000  # synthetic rows to learn from where a table has too few
_FEW = 2 * ENOUGH  # rows below which a table has too few


@dataclass(frozen=True, eq=False)
class Gaps:
    """An encoded table and its cells to fill.

    Attributes
    ----------
    symbols, positions
        ``[n, C]``; negative symbols are labels that the model never saw.
    hidden
        Cells to fill ``[n, C]``.
    numbers
        Values of the columns of numbers on their scale, NaN where missing or a sentinel; ``[n]`` each.
    """

    symbols: NDArray[np.int32]
    positions: NDArray[np.float32]
    hidden: NDArray[np.bool_]
    numbers: dict[int, NDArray[np.float64]]


def impute_table(
    fitted: FittedTable,
    frame: pd.DataFrame,
    random: RandomSource,
    *,
    multiple: int | None = None,
    strategy: Strategy = "draw",
    refined: bool = True,
) -> pd.DataFrame | list[pd.DataFrame]:
    """Fill the missing cells of modelled columns; all other cells come back unchanged.

    Parameters
    ----------
    fitted
        With latent codes.
    frame
        ``[n_rows, ...]``, with the modelled columns.
    random
        Source of the draws.
    multiple
        Number of completed tables; None for one that is not in a list.
    strategy
        "draw": from the law of the cells given the observed ones. "mean": the conditional mean of numbers and the most
        likely label.
    refined
        Whether trees improve on what the codes say, see `synthkit.tables.chained`.

    Raises
    ------
    InputError
        A wrong setting, or a model without codes.
    SchemaError
        A modelled column is not in the frame.
    DataError
        Cells that do not fit the schema.
    """
    _check(frame, multiple, strategy)
    fitted.codes()
    gaps = _gaps(fitted, frame)
    _warn_of_gaps_that_stay(fitted, frame)
    if not gaps.hidden.any():
        return frame.copy() if multiple is None else [frame.copy() for _ in range(multiple)]
    _warn_of_empty_rows(frame)
    if refined:
        gaps = _with_reference(fitted, gaps, random)
    columns = np.flatnonzero(gaps.hidden.any(axis=0)).tolist()
    said: Mapping[int, Belief] = {}
    if refined or strategy == "mean":
        said = beliefs(fitted, gaps.symbols, gaps.hidden, columns, most_classes=MOST_CLASSES)
    tables = []
    for number in range(multiple or 1):
        own = random.child(f"imputation {number}")
        fill = _by_means if strategy == "mean" else _by_draws
        completed = fill(fitted, frame, gaps, said, own, refined)
        if fitted.encoder.schema.constraints:
            completed = satisfying(fitted.encoder.schema, frame, completed, _redraw(fitted, own))
        tables.append(completed)
    return tables[0] if multiple is None else tables


def _check(frame: pd.DataFrame, multiple: int | None, strategy: str) -> None:
    if multiple is not None and (not is_whole(multiple) or multiple < 1):
        raise InputError(f"multiple is {multiple!r}, expected a whole number from 1, or None for a single table")
    if strategy not in STRATEGIES:
        raise InputError(unknown_name("strategy", str(strategy), STRATEGIES))
    if multiple is not None and multiple > 1 and strategy == "mean":
        raise InputError(
            'strategy="mean" gives the same table every time, got multiple=' + str(multiple),
            remedy='leave out multiple, or take strategy="draw"',
        )
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"the table has two columns {str(twice)!r}, expected distinct names", remedy="rename one")


def _gaps(fitted: FittedTable, frame: pd.DataFrame) -> Gaps:
    encoder = fitted.encoder
    encoded = encoder.encode(frame, unknown=True)
    hidden = frame[encoder.names].isna().to_numpy()
    numbers = {}
    for place, name in enumerate(encoder.names):
        codec = encoder.codec(name)
        if codec.column.type == "identifier":
            hidden[:, place] = False
        elif is_number(codec) and isinstance(codec, NumberCodec):
            values, missing = codec.scale.numbers(frame[name])
            numbers[place] = _without_sentinels(values, missing, codec, encoded.symbols[:, place])
    return Gaps(encoded.symbols, encoded.positions, hidden, numbers)


def _without_sentinels(
    values: NDArray[Any], missing: NDArray[np.bool_], codec: NumberCodec, symbols: NDArray[np.int32]
) -> NDArray[np.float64]:
    special = sentinel_symbols(codec)
    apart = missing | ((symbols >= special.start) & (symbols < special.stop))
    return np.where(apart, np.nan, values.astype(np.float64))


def _with_reference(fitted: FittedTable, gaps: Gaps, random: RandomSource) -> Gaps:
    """Add synthetic rows at the end of a small table, if the model has better ones than the codes alone can draw."""
    if len(gaps.symbols) >= _FEW or not fitted.is_refined:
        return gaps
    own = random.child("reference")
    drawn = next(fitted.batches(_REFERENCE, {}, own))
    symbols, positions = drawn[0].astype(np.int32), drawn[1].astype(np.float32)
    frame = fitted.encoder.decode(symbols, positions, rng=own.numpy("decode"))
    added = _gaps(fitted, frame)
    return Gaps(
        np.concatenate([gaps.symbols, added.symbols]),
        np.concatenate([gaps.positions, added.positions]),
        np.concatenate([gaps.hidden, added.hidden]),
        {place: np.concatenate([own, added.numbers[place]]) for place, own in gaps.numbers.items()},
    )


def _by_draws(
    fitted: FittedTable,
    frame: pd.DataFrame,
    gaps: Gaps,
    said: Mapping[int, Belief],
    random: RandomSource,
    refined: bool,
) -> pd.DataFrame:
    symbols, positions = gaps.symbols.copy(), gaps.positions.copy()
    fitted.impute(symbols, positions, gaps.hidden, random)
    if refined:
        completion = Completion(fitted.layout, fitted.encoder.columns, symbols, positions, gaps.hidden)
        draw_chained(completion, said, random.child("chained"))
    return _completed(fitted, frame, gaps, symbols, positions, random)


def _by_means(
    fitted: FittedTable,
    frame: pd.DataFrame,
    gaps: Gaps,
    said: Mapping[int, Belief],
    random: RandomSource,
    refined: bool,
) -> pd.DataFrame:
    symbols, positions = gaps.symbols.copy(), gaps.positions.copy()
    completion = Completion(fitted.layout, fitted.encoder.columns, symbols, positions, gaps.hidden)
    numbers = {place: own.copy() for place, own in gaps.numbers.items()}
    expectation = Expectation(fitted.encoder, completion, numbers, said)
    if refined:
        expectation.improve(random.child("expected"))
    return _completed(fitted, frame, gaps, symbols, positions, random, expectation.numbers)


def _redraw(fitted: FittedTable, random: RandomSource) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    """Completes rows by draws from the codes alone, differently at every try."""

    def draw(rows: pd.DataFrame, attempt: int) -> pd.DataFrame:
        return _by_draws(fitted, rows, _gaps(fitted, rows), {}, random.child(f"try {attempt}"), False)

    return draw


def _completed(
    fitted: FittedTable,
    frame: pd.DataFrame,
    gaps: Gaps,
    symbols: NDArray[np.int32],
    positions: NDArray[np.float32],
    random: RandomSource,
    numbers: Mapping[int, NDArray[np.float64]] | None = None,
) -> pd.DataFrame:
    """The frame with its hidden cells decoded; numbers that are given are taken as they are."""
    rng = random.numpy("decode")
    filled = frame.copy()
    for place, name in enumerate(fitted.encoder.names):
        rows = np.flatnonzero(gaps.hidden[: len(frame), place])
        if not len(rows):
            continue
        codec = fitted.encoder.codec(name)
        cells = codec.decode(symbols[rows, place].astype(np.int64), positions[rows, place].astype(float), rng, None)
        given = None if numbers is None else numbers.get(place)
        if given is not None and isinstance(codec, NumberCodec):
            own = given[rows]
            there = np.isfinite(own)
            exact = np.nan_to_num(own).astype(codec.scale.dtype)
            means = codec.scale.cells(exact, np.zeros(len(rows), dtype=bool))
            cells = means if there.all() else cells.where(~pd.Series(there), means)
        filled[name] = put_cells(frame[name], rows, cells)
    return filled


def _warn_of_gaps_that_stay(fitted: FittedTable, frame: pd.DataFrame) -> None:
    """Say which missing cells are left missing, and why."""
    schema, encoder = fitted.encoder.schema, fitted.encoder
    reasons = []
    for name in frame.columns:
        gaps = int(frame[name].isna().sum())
        if not gaps:
            continue
        if name not in schema.names:
            why = "the model never saw the column"
        elif schema[name].type == "identifier":
            why = "an identifier"
        elif schema[name].type == "text":
            why = "free text"
        elif name not in encoder.names:
            why = "a constant, or empty when the model was fitted"
        else:
            continue
        reasons.append(f"{gaps:,} in {name!r} ({why})")
    if reasons:
        warnings.warn(f"missing cells that are left as they are: {'; '.join(reasons)}", UserWarning, stacklevel=4)


def _warn_of_empty_rows(frame: pd.DataFrame) -> None:
    empty = int(frame.isna().all(axis=1).sum())
    if empty:
        warnings.warn(
            f"{empty:,} rows have no observed cell: they are filled like rows of the table in general",
            UserWarning,
            stacklevel=4,
        )
