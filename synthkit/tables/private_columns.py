"""Columns of a private table on their way from declared cells to symbols, and into a fitted table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthkit.gan.layout import Layout
from synthkit.gan.table import CodeTable
from synthkit.schema import Column
from synthkit.tables.columns import ColumnCodec
from synthkit.tables.declared import (
    PlainColumn,
    bounds_of,
    label_codec,
    number_codec,
    own_edges,
    symbols_of_labels,
)
from synthkit.tables.encoder import TableEncoder
from synthkit.tables.fitted import FittedTable
from synthkit.tables.label_codec import LabelCodec
from synthkit.tables.number_codec import NumberCodec
from synthkit.tables.statistics import is_number


@dataclass(eq=False)
class Measured:
    """A modelled column on its way from declared cells to symbols.

    Attributes
    ----------
    column
        Its description; bought categories are filled in.
    edges
        Bins of a numeric column.
    places, own
        Order of the labels of another column, and how many have a symbol of their own.
    codec
        Made of noisy counts at the end.
    """

    column: Column
    edges: NDArray[Any] | None = None
    places: NDArray[np.int64] | None = None
    own: int = 0
    codec: ColumnCodec | None = None

    @property
    def is_number(self) -> bool:
        """Whether the column lies on a line."""
        return is_number(self.column)

    @property
    def size(self) -> int:
        """Number of symbols."""
        return self.working().code.size

    def working(self) -> NumberCodec | LabelCodec:
        """Codec without shares, for encoding."""
        if self.is_number:
            edges = self.edges if self.edges is not None else own_edges(self.column)
            return number_codec(self.column, edges)
        labels = list(self.column.categories or ())
        places = self.places if self.places is not None else np.arange(len(labels))
        own = self.own if self.places is not None else len(labels)
        return label_codec(self.column, labels, own, np.ones(len(labels), np.int64), 0, places)

    def encode(self, plain: PlainColumn) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Symbols of cells ``[n]``, -1 where the cell counts nowhere, and positions inside them."""
        codec = self.working()
        if isinstance(codec, NumberCodec):
            found, inside = codec.encode_numbers(plain.values, plain.missing, None, int(self.column.nullable) - 1)
            return found.astype(np.int32), inside.astype(np.float32)
        places = self.places if self.places is not None else np.arange(len(self.column.categories or ()))
        symbols = symbols_of_labels(codec, self.column, plain, places).astype(np.int32)
        return symbols, np.full(len(symbols), 0.5, np.float32)


def plain_of(data: Mapping[str, NDArray[Any]], one: Measured) -> PlainColumn:
    """A column out of the arrays that private rows hold; bought labels get their place in the list."""
    values, missing = data[f"{one.column.name}/values"], data[f"{one.column.name}/missing"]
    if not one.is_number and values.dtype == object:
        place = {label: position for position, label in enumerate(one.column.categories or ())}
        found = np.array([place.get(label, -1) for label in values.tolist()], dtype=np.int64)
        return PlainColumn(np.maximum(found, 0), found < 0)
    return PlainColumn(values, missing)


def identifier_codec(column: Column, records: int | None) -> NumberCodec:
    """Codec that makes up whole-number identifiers within declared bounds."""
    bounded = column
    if column.minimum is None or column.maximum is None:
        bounded = replace(column, minimum=1, maximum=100 * (records or 1_000_000))
    low, high = bounds_of(bounded)
    middle = int(low) + (int(high) - int(low)) // 2 + 1
    edges = np.array([int(low), middle, int(high) + 1], dtype=np.int64)
    return number_codec(replace(bounded, nullable=False), edges, distinct=True)


def with_unmeasured(
    encoder: TableEncoder, measured: Sequence[Measured], layout: Layout, table: CodeTable
) -> FittedTable:
    """Put columns that were not measured, such as numbers of persons, beside those that were: uniform, unrelated."""
    own = {one.column.name: place for place, one in enumerate(measured)}
    if list(own) == encoder.names:
        return FittedTable(encoder, layout, table)
    thetas, counts, inside, keys, sizes, atoms = [], [], [], [], [], []
    starts = table.offsets
    for code in encoder.columns:
        place = own.get(code.name)
        if place is None:
            uniform = np.full(code.size, 1.0 / code.size)
            thetas.append(np.broadcast_to(np.log(uniform), (len(table.log_theta), code.size)))
            counts.append(uniform)
        else:
            part = slice(starts[place], starts[place + 1])
            thetas.append(table.log_theta[:, part])
            counts.append(layout.share[part])
        inside.append(code.has_inside)
        keys.append(code.values if code.is_numeric else None)
        sizes.append(code.size)
        atoms.append(code.n_atoms)
    whole = CodeTable(np.concatenate(thetas, axis=1).astype(np.float32), table.log_weights, sizes)
    return FittedTable(encoder, Layout.from_counts(sizes, atoms, counts, inside, keys, rows=1.0), whole)
