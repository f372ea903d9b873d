"""Markov chains over rows whose law is the latent-code generator times a density ratio.

The state of a chain is a code and a row. Given its code, columns are independent, so proposing new symbols for a few
columns costs next to nothing, and because the proposal is the generator's own conditional law, Metropolis and Hastings
accept it with the ratio alone (Metropolis-Hastings GAN, Turner 2019, with Gibbs steps on the code). Under conditions
the generator is restricted to them and everything else stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from synthkit.gan.boosting import BoostedRatio, Floats, Symbols, TreeView
from synthkit.gan.table import Array, Codes, CodeTable

Intervals = Mapping[int, tuple[Array, Array]]

# share of the columns that each kind of move proposes anew; None draws code and row anew
MOVES: tuple[float | None, ...] = (0.5, 0.1, 0.25, 0.05, None)
REFRESH: tuple[float | None, ...] = (0.25, 0.5, 0.1, None)


@dataclass
class Chains:
    """State of n chains.

    Attributes
    ----------
    codes, symbols, positions
        ``[n]``, ``[n, C]``, ``[n, C]``.
    view
        The rows as trees see them, ``[n, C]``.
    energy
        Log-ratio, ``[n]``.
    """

    codes: Codes
    symbols: Symbols
    positions: Floats
    view: Floats
    energy: Floats

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Copies of some chains, in the given order."""
        return type(self)(
            self.codes[rows], self.symbols[rows], self.positions[rows], self.view[rows], self.energy[rows]
        )

    def put(self, where: NDArray[np.bool_], other: Chains) -> None:
        """Overwrite the chains in ``where`` with the same chains of ``other``."""
        for name in ("codes", "symbols", "positions", "view", "energy"):
            getattr(self, name)[where] = getattr(other, name)[where]


class ChainSampler:
    """Starts and moves chains.

    Parameters
    ----------
    table
        The generator, restricted to the conditions if there are any.
    view
        What the trees see.
    ratio
        The density ratio; it may grow while chains are moved.
    intervals
        Column to the lowest and highest position of each of its symbols, where conditions ask for it.
    """

    def __init__(
        self, table: CodeTable, view: TreeView, ratio: BoostedRatio, intervals: Intervals | None = None
    ) -> None:
        self._table, self._view, self._ratio = table, view, ratio
        self._intervals = dict(intervals or {})

    def start(self, n: int, rng: np.random.Generator) -> Chains:
        """``n`` chains drawn from the generator."""
        codes, symbols = self._table.draw(n, rng)
        return self.of(codes, symbols, self._inside(symbols, rng))

    def of(self, codes: Codes, symbols: Symbols, positions: Floats) -> Chains:
        """Chains in the given states."""
        view = self._view.rows(symbols, positions)
        return Chains(codes, symbols, positions, view, self._ratio(view, symbols))

    def _inside(self, symbols: Symbols, rng: np.random.Generator) -> Floats:
        positions = rng.random(symbols.shape, dtype=np.float32)
        for column, (low, high) in self._intervals.items():
            own = symbols[:, column]
            positions[:, column] = _between(low[own], high[own], positions[:, column])
        return positions

    def move(self, chains: Chains, share: float | None, rng: np.random.Generator, *, recode: float = 0.0) -> float:
        """One Metropolis-Hastings step of every chain, in place; the share of accepted proposals.

        Parameters
        ----------
        chains
            What to move.
        share
            Share of the columns to propose anew, at least one; None proposes a whole new row.
        rng
            Source of randomness.
        recode
            Share of the chains whose code is first drawn anew given the row.
        """
        n = len(chains)
        if recode > 0:
            rows = np.flatnonzero(rng.random(n) < recode)
            chains.codes[rows] = self._table.posterior(chains.symbols[rows], rng)
        proposal = self.start(n, rng) if share is None else self._changed(chains, share, rng)
        with np.errstate(divide="ignore"):
            accepted = np.log(rng.random(n)) < proposal.energy - chains.energy
        chains.put(accepted, proposal)
        return float(accepted.mean()) if n else 0.0

    def _changed(self, chains: Chains, share: float, rng: np.random.Generator) -> Chains:
        n, columns = chains.symbols.shape
        symbols, positions, view = chains.symbols.copy(), chains.positions.copy(), chains.view.copy()
        anew = rng.random((n, columns), dtype=np.float32) < share
        anew[np.arange(n), rng.integers(0, columns, n)] = True
        for column in range(columns):
            rows = np.flatnonzero(anew[:, column])
            own = self._table.draw_column(column, chains.codes[rows], rng)
            inside = rng.random(len(rows), dtype=np.float32)
            if column in self._intervals:
                low, high = self._intervals[column]
                inside = _between(low[own], high[own], inside)
            symbols[rows, column], positions[rows, column] = own, inside
            view[rows, column] = self._view.column(column, own, inside)
        return Chains(chains.codes, symbols, positions, view, self._ratio(view, symbols))

    def settle(
        self, chains: Chains, moves: tuple[float | None, ...], rng: np.random.Generator, *, recode: float = 0.0
    ) -> float:
        """Several moves in a row; the mean share of accepted proposals."""
        accepted = [self.move(chains, share, rng, recode=recode if i == 0 else 0.0) for i, share in enumerate(moves)]
        return float(np.mean(accepted)) if accepted else 0.0


def _between(low: Array, high: Array, uniform: Floats) -> Floats:
    """Uniform numbers in (0, 1) moved to [low, high], never outside despite rounding."""
    moved = low + uniform * (high - low)
    return np.clip(moved, low, high).astype(np.float32)


def systematic(weights: Array, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers drawn in proportion to weights with the least variance (systematic resampling, Kitagawa 1996)."""
    running = np.cumsum(weights)
    marks = (np.arange(n) + rng.random()) / n * running[-1]
    drawn: NDArray[np.int64] = np.searchsorted(running, marks, side="right").clip(max=len(weights) - 1)
    return drawn
