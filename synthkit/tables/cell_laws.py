"""The law of a cell given the other cells of its row, exact under the latent codes, and what follows from it.

Hiding a cell takes its factor out of the posterior of the code; what is left says what the cell could have been. One
matrix product serves all cells of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from synthkit.gan.codes import joint_log_likelihood
from synthkit.gan.relaxed import Segments
from synthkit.gan.table import CodeTable
from synthkit.tables.columns import ColumnCodec
from synthkit.tables.fitted import FittedTable
from synthkit.tables.number_codec import NumberCodec

Symbols = NDArray[np.int32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_ENTRIES = 4_000_000  # rows times codes, or times symbols, that are worked on together
_PLACES = 6  # decimals kept of what trees are to see: rounding errors would tell them the cell
_LEAST = 1e-4  # probability below which the codes are not believed


def cell_laws(
    table: CodeTable,
    nullable: Sequence[bool],
    symbols: Symbols,
    hidden: Bools,
    columns: Sequence[int],
    *,
    present: bool,
) -> Iterator[tuple[slice, int, Floats]]:
    """Probability of each symbol of a cell given the other known cells of its row.

    Parameters
    ----------
    table
        The latent codes.
    nullable
        Of each column whether its first symbol means "missing", ``[C]``.
    symbols
        Rows ``[n, C]``; negative symbols are integrated out.
    hidden
        Cells that are not known either, ``[n, C]``.
    columns
        Whose cells, known ones too: a cell says nothing of its own law.
    present
        Whether the cells and all hidden ones are known not to be missing. Without that, codes of rows that lack a
        value would decide what the value is.

    Yields
    ------
    tuple of slice, int, ndarray [b, size]
        Rows, column and law, which sums to one.
    """
    nullable_columns = np.flatnonzero(np.asarray(nullable, dtype=bool))
    starts = table.offsets[:-1]
    absent = table.log_theta[:, starts[nullable_columns]].astype(np.float64)
    log_present = np.log(np.maximum(-np.expm1(absent), 1e-12))  # [K, columns that may lack a value]
    place = {int(column): i for i, column in enumerate(nullable_columns)}
    known = np.where(hidden, -1, symbols).astype(np.int32)
    # in double precision: what rounding leaves of a cell's own factor would tell trees the cell
    theta_of_all = torch.from_numpy(table.log_theta.astype(np.float64))
    segments = Segments(table.sizes.tolist())
    step = max(1, _ENTRIES // max(len(table.log_weights), int(table.sizes.sum())))
    for start in range(0, len(known), step):
        rows = slice(start, min(start + step, len(known)))
        joint = joint_log_likelihood(torch.from_numpy(known[rows]), theta_of_all, segments).numpy() + table.log_weights
        if present and len(nullable_columns):
            joint += hidden[rows][:, nullable_columns].astype(np.float64) @ log_present.T
        for column in columns:
            own = table.log_theta[:, starts[column] : table.offsets[column + 1]].astype(np.float64)
            others = joint.copy()
            seen = np.flatnonzero(known[rows, column] >= 0)
            others[seen] -= own.T[known[rows, column][seen]]
            theta = np.exp(own)
            if present and column in place:
                others[~hidden[rows, column]] += log_present[:, place[column]]
                theta[:, 0] = 0.0
            theta /= np.maximum(theta.sum(axis=1, keepdims=True), 1e-300)
            weights = np.exp(others - others.max(axis=1, keepdims=True))
            law = (weights / weights.sum(axis=1, keepdims=True)) @ theta
            yield rows, int(column), law / np.maximum(law.sum(axis=1, keepdims=True), 1e-300)


def symbol_means(codec: ColumnCodec) -> Floats:
    """Mean of the numbers that each symbol stands for, on the scale of the column ``[size]``; NaN for missing.

    Inside a bin the mean is over its cells by their mass, as rows are drawn: nothing is lost to the middle of a bin.
    """
    means = codec.code.values.astype(np.float64).copy()
    if isinstance(codec, NumberCodec) and codec.support.n_bins:
        support = codec.support
        middle = (support.lowest.astype(np.float64) + support.highest.astype(np.float64)) / 2
        mass = np.diff(support.mass)
        first = support.first[:-1]
        means[codec.code.n_atoms :] = np.add.reduceat(mass * middle, first) / np.add.reduceat(mass, first)
    return means


def is_number(codec: ColumnCodec) -> bool:
    """Whether a mean of the values of a column means anything: numbers and dates, not ordered categories."""
    return isinstance(codec, NumberCodec) and codec.scale.kind != "rank"


def sentinel_symbols(codec: ColumnCodec) -> slice:
    """Symbols of the numbers that stand for something else, such as -999 for "not measured"."""
    offset = int(codec.column.nullable)
    return slice(offset, offset + (codec.n_sentinels if isinstance(codec, NumberCodec) else 0))


@dataclass(frozen=True, eq=False)
class Belief:
    """What the codes say of the cells of one column, of known ones as if they were not.

    Attributes
    ----------
    mode
        Most likely symbol ``[n]``.
    rank
        Expected rank in the column ``[n]``; 0 where symbols have no place on a scale.
    mean
        Expected number on the column's scale, sentinels left out ``[n]``; NaN where a mean means nothing.
    special
        The sentinel that the cell probably is ``[n]``; -1 where it probably is none.
    log_law
        Log-probability of every symbol that is not "missing" ``[n, classes]``; None where there are more than were
        asked for.
    """

    mode: Symbols
    rank: NDArray[np.float32]
    mean: Floats
    special: Symbols
    log_law: Floats | None


def beliefs(
    fitted: FittedTable, symbols: Symbols, hidden: Bools, columns: Sequence[int], *, most_classes: int
) -> dict[int, Belief]:
    """What the codes say of the cells of some columns, by column; see `cell_laws` for rows and hidden cells."""
    encoder, layout, table = fitted.encoder, fitted.layout, fitted.codes()
    codes, starts, n = encoder.columns, layout.offsets, len(symbols)
    middle = (layout.rank_left + layout.rank_right) / 2
    found: dict[int, Belief] = {}
    means: dict[int, Floats] = {}
    for column in columns:
        codec = encoder.codec(codes[column].name)
        classes = codes[column].size - int(codes[column].missing)
        means[column] = np.nan_to_num(symbol_means(codec))
        found[column] = Belief(
            mode=np.zeros(n, np.int32),
            rank=np.zeros(n, np.float32),
            mean=np.full(n, np.nan),
            special=np.full(n, -1, np.int32),
            log_law=np.zeros((n, classes)) if classes <= most_classes else None,
        )
    nullable = [code.missing for code in codes]
    for rows, column, law in cell_laws(table, nullable, symbols, hidden, columns, present=True):
        own, codec = found[column], encoder.codec(codes[column].name)
        place = slice(starts[column], starts[column + 1])
        own.mode[rows] = law.argmax(axis=1)
        own.rank[rows] = np.round(law @ np.where(layout.ranked[place], middle[place], 0.0), _PLACES)
        if own.log_law is not None:
            chance = np.maximum(law[:, int(codes[column].missing) :], _LEAST)
            own.log_law[rows] = np.round(np.log(chance), _PLACES)
        if is_number(codec):
            special = sentinel_symbols(codec)
            of_special = law[:, special].sum(axis=1)
            likely = of_special > 0.5
            if likely.any():
                own.special[rows] = np.where(likely, special.start + law[:, special].argmax(axis=1), -1)
            law[:, special] = 0.0
            left = np.maximum(law.sum(axis=1), 1e-300)
            mean = (law @ means[column]) / left
            unit = max(float(np.ptp(means[column])), 1e-300)
            own.mean[rows] = np.round(mean / unit, _PLACES + 2) * unit
    return found
