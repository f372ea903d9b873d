"""The stored chains of a refined model, and the rows that come from moving them on."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from synthkit.gan.chains import Chains, ChainSampler, parting, refreshing

Integers = NDArray[np.int64]
Symbols = NDArray[np.int32]
SPARE = 1.25
"""Chains for each row of the table, so that rows whose margins are close to the data's can be chosen among them."""
_LEAST_SPARE = 1.1  # of a table with more rows than there can be chains
_MOST_SPARE = 2.0  # of a table so small that there are more chains than that
_HALF = 0.5
_MOST = 16


@dataclass(frozen=True)
class Particles:
    """Chains as the refinement left them: synthetic rows that further ones are grown from."""

    codes: NDArray[np.int64]
    symbols: NDArray[np.int32]
    positions: NDArray[np.float32]
    energy: NDArray[np.float32]
    folds: NDArray[np.int8]

    def take(self, rows: Integers) -> Self:
        """Copies of some of them."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    def put(self, rows: Integers, other: Particles) -> None:
        """Overwrite some of them."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(other, field.name)


class Population:
    """Stored chains in the order in which a draw hands them out.

    Every chain is handed out once before any is again. Two rows of one chain are related, so chains that come again go
    on from where they were, and are moved as often as it takes to change half of their cells (as far as that has an
    end: at most sixteen times as often as at first).

    Parameters
    ----------
    particles
        The stored chains that may be used; they are written to.
    sampler
        Moves them.
    rng
        Source of randomness.
    conditional
        Whether the sampler has conditions; the codes of the stored chains were drawn without.
    """

    def __init__(
        self, particles: Particles, sampler: ChainSampler, rng: np.random.Generator, *, conditional: bool = False
    ) -> None:
        self._particles, self._sampler, self._rng, self._conditional = particles, sampler, rng, conditional
        self._waiting = np.zeros(0, np.int64)
        self._passes = self._repeats = 0
        self._same = 0.0  # cells that the moves of the first pass left as they were

    def moved(self, n: int) -> Chains:
        """The next ``n`` chains, moved on."""
        parts: list[Chains] = []
        while n > 0 or not parts:
            if not len(self._waiting):
                self._start_pass()
            picked, self._waiting = self._waiting[:n], self._waiting[n:]
            parts.append(self._advanced(picked))
            n -= len(picked)
        return parts[0] if len(parts) == 1 else Chains.joined(parts)

    def _start_pass(self) -> None:
        symbols = self._particles.symbols
        self._waiting = self._rng.permutation(len(symbols))
        self._passes += 1
        if self._passes == 1:
            self._chance = float(np.mean(np.roll(symbols, 1, axis=0) == symbols))  # that two rows agree in a cell
        self._repeats = 1 if self._passes == 1 else moves_apart(self._same / symbols.size, self._chance)

    def _advanced(self, picked: Integers) -> Chains:
        before, sampler, rng = self._particles.take(picked), self._sampler, self._rng
        codes = sampler.recode(before.symbols, rng) if self._conditional else before.codes
        chains = sampler.resume(codes, before.symbols.copy(), before.positions.copy(), before.energy, before.folds)
        columns = before.symbols.shape[1]
        for _ in range(self._repeats):
            sampler.settle(chains, refreshing(columns) if self._passes == 1 else parting(columns), rng)
        if self._passes == 1:
            self._same += float(np.sum(before.symbols == chains.symbols))
        energy = sampler.unconditional(chains)
        self._particles.put(picked, Particles(chains.codes, chains.symbols, chains.positions, energy, chains.folds))
        return chains


def spare(chains: int, rows: int | None) -> float:
    """Chains that are moved for each row that is handed out, given their number and that of the rows of the table."""
    return min(_MOST_SPARE, max(_LEAST_SPARE, chains / rows if rows else 0.0))


def moves_apart(same: float, chance: float) -> int:
    """How often to make moves until half of what makes a row that row is gone.

    Parameters
    ----------
    same
        Share of the cells that the moves leave as they are when they are made once.
    chance
        Share of the cells that rows have in common which have nothing to do with each other.
    """
    kept = (same - chance) / (1 - chance) if chance < 1 else 0.0
    if kept <= _HALF:
        return 1
    return _MOST if kept >= _HALF ** (1 / _MOST) else math.ceil(math.log(_HALF) / math.log(kept))
