"""Where new rows of a group come from: chains of a fitted table from real rows, draws from scratch, interpolation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.balance.groups import Group
from synthkit.balance.interpolation import interpolate_rows
from synthkit.evaluation.view import TableView
from synthkit.random import RandomSource
from synthkit.schema import Schema
from synthkit.schema_constraints import Unique
from synthkit.tables.encoder import TableEncoder
from synthkit.tables.fitted import FittedTable
from synthkit.tables.identifiers import TakenIdentifiers
from synthkit.tables.variation import Variation

if TYPE_CHECKING:
    from collections.abc import Callable

Rows = npt.NDArray[np.int64]


class RowSource(Protocol):
    """Makes rows of one group."""

    title: str

    def draw(self, places: Rows) -> pd.DataFrame:
        """Return new rows: one for each given place among the real rows of the group, as far as constraints hold."""


class VariedRows:
    """Rows that start at real ones and move a few steps under the law of a model.

    Parameters
    ----------
    fitted
        With latent codes.
    frame
        The real rows of the group.
    where
        What the new rows satisfy.
    random
        Source of the steps.
    moves
        Steps of each row.
    taken
        Identifiers and keys that must not come back.
    """

    title = "model, from real rows"

    def __init__(
        self,
        fitted: FittedTable,
        frame: pd.DataFrame,
        where: Mapping[str, Any],
        random: RandomSource,
        *,
        moves: int,
        taken: TakenIdentifiers,
    ) -> None:
        self._frame = frame
        self._variation = Variation(fitted, where, random, moves=moves, taken=taken)

    def draw(self, places: Rows) -> pd.DataFrame:
        """Return rows that started at the given ones."""
        return self._variation.rows(self._frame.take(places))


class SampledRows:
    """Rows drawn from a model from scratch, wherever real ones are.

    Parameters
    ----------
    sample
        Draws so many rows of the group with a seed.
    random
        Source of the seeds.
    """

    title = "model, from scratch"

    def __init__(self, sample: Callable[[int, RandomSource], pd.DataFrame], random: RandomSource) -> None:
        self._sample, self._random, self._calls = sample, random, 0

    def draw(self, places: Rows) -> pd.DataFrame:
        """Return as many rows as there are places."""
        self._calls += 1
        return self._sample(len(places), RandomSource(self._random.integer(f"draw {self._calls}")))


class InterpolatedRows:
    """Rows between real ones and their neighbours of the same group.

    Parameters
    ----------
    view
        How the interpolated columns of the whole table are encoded.
    frame
        All real rows.
    group
        The group.
    encoder
        Fitted to the table; makes identifiers.
    random
        Source of all choices.
    taken
        Identifiers and keys that must not come back.
    """

    title = "interpolation"

    def __init__(
        self,
        view: TableView,
        frame: pd.DataFrame,
        group: Group,
        encoder: TableEncoder,
        random: RandomSource,
        *,
        taken: TakenIdentifiers,
    ) -> None:
        self._view, self._encoder, self._taken = view, encoder, taken
        self._rows = frame.take(group.rows).reset_index(drop=True)
        self._rng = random.numpy("rows")

    def draw(self, places: Rows) -> pd.DataFrame:
        """Return rows between the given ones and neighbours; identifiers are made anew."""
        made = interpolate_rows(self._view, self._rows[list(self._view.columns)], places, self._rng)
        schema = self._encoder.schema
        good = np.ones(len(made), dtype=bool)
        for one in schema.constraints:
            if one.one_row and not set(one.names) - set(made.columns):
                good &= one.holds(made)
        made, places = made[good].reset_index(drop=True), places[good]
        for name in identifier_names(schema, self._rows):
            made[name] = self._identifiers(name, places)
        for one in schema.constraints:
            if isinstance(one, Unique) and not set(one.names) - set(made.columns):
                made = made[self._taken.take_keys(one, made)].reset_index(drop=True)
        return made

    def _identifiers(self, name: str, places: Rows) -> pd.Series[Any]:
        """New identifiers for rows that started at the given ones."""
        cells = self._encoder.made_up(name, len(places), self._rng, self._taken)
        if cells is not None:
            return cells
        symbols, positions = self._encoder.codec(name).encode(self._rows[name].take(places), self._rng, False)
        return self._encoder.decode_column(name, symbols, positions, self._rng, self._taken)


def identifier_names(schema: Schema, frame: pd.DataFrame) -> list[str]:
    """Columns that name rows: they are made anew for each, and say nothing about likeness."""
    return [column.name for column in schema if column.type == "identifier" and column.name in frame]


def text_names(schema: Schema, frame: pd.DataFrame) -> list[str]:
    """Columns of free text: new rows have none."""
    return [column.name for column in schema if column.type == "text" and column.name in frame]
