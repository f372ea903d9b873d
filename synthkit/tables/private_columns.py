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
        Bins of a numeric column, once they are bought.
    places
        Order of the labels of another column; those after the first few share a symbol.
    """

    column: Column
    edges: NDArray[Any] | None = None
    places: NDArray[np.int64] | None = None
    _codec: NumberCodec | LabelCodec | None = None

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.column.name

    @property
    def is_number(self) -> bool:
        """Whether the column lies on a line."""
        return is_number(self.column)

    @property
    def codec(self) -> NumberCodec | LabelCodec:
        """Codec as far as it is known: without shares until there are noisy counts."""
        if self._codec is None:
            if self.is_number:
                self._codec = number_codec(self.column, self._edges())
            else:
                labels = len(self.column.categories or ())
                self.places = np.arange(labels)
                self._codec = label_codec(self.column, labels, np.ones(labels, np.int64), 0, self.places)
        return self._codec

    def encode(self, plain: PlainColumn) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Symbols of cells ``[n]``, -1 where the cell counts nowhere, and positions inside them."""
        codec = self.codec
        if isinstance(codec, NumberCodec):
            found, inside = codec.encode_numbers(plain.values, plain.missing, None, int(self.column.nullable) - 1)
            return found.astype(np.int32), inside.astype(np.float32)
        places = np.zeros(0, np.int64) if self.places is None else self.places
        symbols = symbols_of_labels(codec, self.column, plain, places).astype(np.int32)
        return symbols, np.full(len(symbols), 0.5, np.float32)

    def take_labels(self, labels: Sequence[Any]) -> None:
        """Take bought labels; a column of which none occurs often enough is missing everywhere."""
        nullable = self.column.nullable or not labels
        self.column = replace(self.column, categories=tuple(labels), nullable=nullable)
        self._codec = None

    def merge_rare(self, counts: NDArray[np.int64], least: float, most: int) -> NDArray[np.int64]:
        """Let labels share a symbol that are counted less than ``least``, or come after the ``most`` frequent ones.

        Parameters
        ----------
        counts
            Noisy counts of the symbols ``[size]``.

        Returns
        -------
        ndarray [new size]
            Counts of the symbols that are left; those of shared ones are added up.
        """
        if self.is_number or not self.column.categories:
            return counts
        offset = int(self.column.nullable)
        labels = counts[offset:]
        places = np.argsort(-labels, kind="stable").astype(np.int64)
        kept = int(np.clip((labels >= least).sum(), 1, most))
        kept = len(labels) if kept >= len(labels) - 1 else kept
        self.places = places
        self._codec = label_codec(
            self.column, kept, np.maximum(labels[places], 1), max(0, int(counts[:offset].sum())), places
        )
        shared = labels[places[kept:]]
        return np.concatenate([counts[:offset], labels[places[:kept]], [shared.sum()] if len(shared) else []]).astype(
            np.int64
        )

    def take_shares(self, shares: NDArray[np.float64]) -> None:
        """Take the noisy shares of the symbols ``[size]``; labels have theirs already."""
        if self.is_number:
            self._codec = number_codec(self.column, self._edges(), shares)

    def _edges(self) -> NDArray[Any]:
        return own_edges(self.column) if self.edges is None else self.edges


def plain_of(data: Mapping[str, NDArray[Any]], one: Measured) -> PlainColumn:
    """A column out of the arrays that private rows hold; bought labels get their place in the list."""
    values, missing = data[f"{one.name}/values"], data[f"{one.name}/missing"]
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
    own = {one.name: place for place, one in enumerate(measured)}
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
