"""Between a table and the codes that peers of the privacy benchmark work on: bins, labels, missing cells, and back.

A codec is made of the declared domain and of bins; bins are public ("equal-width") or bought from the peer's budget
with the mechanism that synthkit buys its own with ("ours"). Bins of a column on a grid (whole numbers, or few decimals)
have their edges between grid points: [16.5, 18.5, 20.5] holds 17, 18 | 19, 20.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from privacy_peer_run import zcdp_budget

from synthkit.privacy.edges import private_edges, tree_levels
from synthkit.privacy.noise import NoiseSource
from synthkit.schema import Column, Schema

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

MOST_BINS = 32
SHARE_FOR_BINS = 0.08
WIDE = 4096
LABELLED = ("categorical", "ordinal", "boolean")


@dataclass(frozen=True)
class Bins:
    """How numbers are cut for a peer.

    Attributes
    ----------
    edges
        For each numeric column its ascending edges, one more than bins.
    points
        For each numeric column the values with a code of their own, before those of the bins.
    share
        Share of the peer's zCDP budget that is left after the bins are paid for.
    facts
        What the record tells about them.
    """

    edges: Mapping[str, Floats]
    points: Mapping[str, tuple[float, ...]]
    share: float
    facts: Mapping[str, object]


def step_of(column: Column) -> float | None:
    """Return the distance of the grid that the values of a numeric column sit on, None for full precision."""
    if column.type == "integer":
        return 1.0
    return None if column.decimals is None else 10.0**-column.decimals


def range_of(column: Column) -> tuple[float, float]:
    """Return the declared bounds of a numeric column."""
    return float(column.minimum), float(column.maximum)  # type: ignore[arg-type]


def equal_width(column: Column, most: int = MOST_BINS) -> Floats:
    """Return the edges of equally wide bins over the declared range; one bin a value where there are few values."""
    low, high = range_of(column)
    step = step_of(column)
    if step is None:
        return np.linspace(low, high, most + 1)
    values = round((high - low) / step) + 1
    # On halves of the grid, so that no bin shares a value with its neighbour.
    return low - step / 2 + step * np.rint(np.linspace(0, values, min(most, values) + 1))


def has_bin_a_value(column: Column) -> bool:
    """Tell whether a column has so few values that each has a bin."""
    low, high = range_of(column)
    step = step_of(column)
    return step is not None and round((high - low) / step) < MOST_BINS


def points_of(column: Column) -> tuple[float, ...]:
    """Return zero and the bounds of a wide or continuous range: values that many rows may share, by a public rule."""
    low, high = range_of(column)
    if has_bin_a_value(column) or (column.type == "integer" and high - low <= WIDE):
        return ()
    return tuple(sorted({value for value in (low, 0.0, high) if low <= value <= high}))


def equal_width_bins(schema: Schema, train: pd.DataFrame, epsilon: float, delta: float, seed: int) -> Bins:
    """Cut every numeric column into equally wide bins of its declared range, which costs no privacy."""
    numeric = [column for column in schema if column.is_numeric]
    return Bins(
        edges={column.name: equal_width(column) for column in numeric},
        points={column.name: points_of(column) for column in numeric},
        share=1.0,
        facts={"kind": "equal width", "most": MOST_BINS, "share": 0.0},
    )


def bought_bins(schema: Schema, train: pd.DataFrame, epsilon: float, delta: float, seed: int) -> Bins:
    """Buy bins as synthkit buys its own, with 8 % of what the peer's accountant gives.

    Every level of a column's tree is a histogram with Gaussian noise, to which a row adds one: 1 / (2 sigma^2) of zCDP.
    The noise is repeatable, so what comes out is for a comparison only.
    """
    numeric = [column for column in schema if column.is_numeric]
    levels = {
        column.name: tree_levels(*range_of(column), column.type == "integer")
        for column in numeric
        if not has_bin_a_value(column)
    }
    edges = {column.name: equal_width(column) for column in numeric}
    points = {column.name: points_of(column) for column in numeric}
    if not levels:
        return Bins(edges, points, 1.0, {"kind": "one a value", "most": MOST_BINS, "share": 0.0})
    rho = SHARE_FOR_BINS * zcdp_budget(epsilon, delta)
    sigma = math.sqrt(sum(map(len, levels.values())) / (2 * rho))
    noise = NoiseSource(reproducible_seed=seed)
    for column in numeric:
        if column.name in levels:
            integral = column.type == "integer"
            low, high = range_of(column)
            found = private_edges(
                train[column.name].to_numpy(dtype=float),
                low,
                high,
                integral,
                sigma,
                noise,
                MOST_BINS,
                levels=levels[column.name],
                spikes=points[column.name],
            )
            edges[column.name] = found.edges - 0.5 if integral else found.edges
    facts = {"kind": "bought as synthkit's own", "most": MOST_BINS, "share": SHARE_FOR_BINS, "sigma": round(sigma, 2)}
    return Bins(edges, points, 1.0 - SHARE_FOR_BINS, facts)


# name -> function of (schema, train, epsilon, delta, seed)
BINS: dict[str, Callable[[Schema, pd.DataFrame, float, float, int], Bins]] = {
    "equal-width": equal_width_bins,
    "ours": bought_bins,
}


@dataclass(frozen=True)
class Codec:
    """Codes of a table's modelled columns; identifiers are left out and made up again.

    Attributes
    ----------
    schema
        The declared domain, in the order of the table.
    bins
        Of every numeric column.
    """

    schema: Schema
    bins: Bins

    @property
    def columns(self) -> list[Column]:
        """The columns that have codes."""
        return [column for column in self.schema if column.is_numeric or column.type in LABELLED]

    @property
    def sizes(self) -> dict[str, int]:
        """Number of codes of each column; the last one means a missing cell where cells may be missing."""
        return {column.name: self._known(column) + column.nullable for column in self.columns}

    def _known(self, column: Column) -> int:
        if not column.is_numeric:
            return len(column.categories or ())
        return len(self.bins.points[column.name]) + len(self.bins.edges[column.name]) - 1

    def encode(self, table: pd.DataFrame) -> Codes:
        """Return codes of shape (rows, columns); numbers outside the declared range go to the nearest bin."""
        return np.stack([self._encode_one(column, table[column.name]) for column in self.columns], axis=1)

    def _encode_one(self, column: Column, cells: pd.Series) -> npt.NDArray[np.int64]:
        missing = cells.isna().to_numpy()
        if missing.any() and not column.nullable:
            raise SystemExit(f"column {column.name!r} has missing cells, but its declared domain has none")
        if column.is_numeric:
            edges, points = self.bins.edges[column.name], self.bins.points[column.name]
            values = cells.to_numpy(dtype=float)
            codes = len(points) + np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
            for code, point in enumerate(points):
                codes[values == point] = code
        else:
            known = {label: code for code, label in enumerate(column.categories or ())}
            found = cells.map(known)
            unknown = found.isna().to_numpy() & ~missing
            if unknown.any():
                raise SystemExit(f"column {column.name!r}: {cells[unknown].iloc[0]!r} is not in the declared domain")
            codes = found.fillna(0).to_numpy(dtype=np.int64)
        return np.where(missing, self._known(column), codes).astype(np.int64)

    def decode(self, codes: Codes, generator: np.random.Generator) -> pd.DataFrame:
        """Return a table with the columns of the schema; a number is drawn uniformly from its bin."""
        place = {column.name: position for position, column in enumerate(self.columns)}
        table = {}
        for column in self.schema:
            if column.name in place:
                table[column.name] = self._decode_one(column, codes[:, place[column.name]], generator)
            elif column.type == "identifier" and column.dtype.startswith("int"):
                table[column.name] = pd.Series(np.arange(1, len(codes) + 1), dtype=column.dtype)
            else:
                raise SystemExit(f"column {column.name!r}: the benchmark has no codes for type {column.type}")
        return pd.DataFrame(table)

    def _decode_one(self, column: Column, codes: npt.NDArray[np.int64], generator: np.random.Generator) -> pd.Series:
        missing = codes >= self._known(column)
        present = np.where(missing, 0, codes)
        if column.is_numeric:
            edges, points = self.bins.edges[column.name], np.array(self.bins.points[column.name])
            lows, highs = np.append(points, edges[:-1]), np.append(points, edges[1:])
            drawn = lows[present] + generator.random(len(codes)) * (highs[present] - lows[present])
            step = step_of(column)
            if step is not None:
                drawn = np.round(np.rint(drawn / step) * step, max(0, -math.floor(math.log10(step))))
            cells = pd.Series(np.where(missing, np.nan, np.clip(drawn, *range_of(column))))
        else:
            labels = np.array([*(column.categories or ()), None], dtype=object)
            cells = pd.Series(labels[np.where(missing, len(labels) - 1, present)], dtype=object)
        return cells if missing.any() and column.dtype == "object" else cells.astype(column.dtype)


def one_row_per_unit(table: pd.DataFrame, unit: str, generator: np.random.Generator) -> pd.DataFrame:
    """Keep one random row of every unit, so that a guarantee for a row is one for a unit."""
    order = generator.permutation(len(table))
    return table.iloc[np.sort(order[~table[unit].iloc[order].duplicated().to_numpy()])].reset_index(drop=True)
