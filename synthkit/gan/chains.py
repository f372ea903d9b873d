"""Markov chains over rows whose law is the latent-code generator times a density ratio.

The state of a chain is a code and a row. Given its code, columns are independent, so proposing new symbols for a few
columns costs next to nothing, and because the proposal is the generator's own conditional law, Metropolis and Hastings
accept it with the ratio alone (Metropolis-Hastings GAN, Turner 2019, with Gibbs steps on the code). Under conditions
the generator is restricted to them and everything else stays the same.

Where the ratio predicts a target of a few classes, the generator's own law of the target is not used: the target is
drawn from its predicted law given the rest of the row, always after the rest was proposed, so that it cancels in the
acceptance as the codes do. The state then has the law ``w_k prod_c p_k(x_c) p(y | x) exp(ratio(x, y))``, c over the
other columns. A condition that allows the target only values in A multiplies it by ``p(A | x)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from synthkit.gan.boosting import FOLDS, BoostedRatio, Floats, Folds, Symbols, TreeView
from synthkit.gan.table import Array, Codes, CodeTable

Intervals = Mapping[int, tuple[Array, Array]]


@dataclass(frozen=True)
class Move:
    """What a Metropolis-Hastings step proposes anew.

    Attributes
    ----------
    share
        Share of the columns, at least one.
    column
        This column alone.
    whole
        Code and row, independent of where the chain is.
    """

    share: float = 0.0
    column: int | None = None
    whole: bool = False


def moves(columns: int, target: int | None = None, repeats: int = 1) -> tuple[Move, ...]:
    """The moves of one round: about eight columns at once, one, four, twelve, a new row, and the target by itself.

    A change of half of fifty columns would nearly always be refused, so sizes are counts of columns, not shares. Large
    changes are refused by the first trees and cost little; per unit of time they change more than small ones.
    """
    sizes = (8.0, 1.5, 4.0, 12.0)
    usual = (*(Move(min(0.5, size / columns)) for size in sizes), Move(whole=True))
    return (usual if target is None else (*usual, Move(column=target))) * repeats


def refreshing(columns: int) -> tuple[Move, ...]:
    """The moves between a stored chain and a row that is handed out."""
    return Move(whole=True), Move(min(0.5, 4.0 / columns)), Move(min(0.5, 8.0 / columns))


def parting(columns: int) -> tuple[Move, ...]:
    """The moves between a row that was handed out and another row of the same chain.

    One column more than `refreshing`: it is the change that is refused least, so that few rows come out twice.
    """
    return *refreshing(columns), Move(min(0.5, 1.5 / columns))


@dataclass
class Chains:
    """State of n chains.

    Attributes
    ----------
    codes, symbols, positions
        ``[n]``, ``[n, C]``, ``[n, C]``.
    view
        The rows as trees see them, ``[n, C]``.
    predicted
        What is predicted of the target, ``[n, outputs]``.
    energy
        Log-ratio, ``[n]``; under a condition on a predicted target plus the log of its chance given the row.
    early
        What the first rounds of trees say of it, ``[n]``.
    folds
        ``[n]``: by which of the predictors the target is predicted (see `synthkit.gan.prediction`).
    """

    codes: Codes
    symbols: Symbols
    positions: Floats
    view: Floats
    predicted: Floats
    energy: Floats
    early: Floats
    folds: Folds

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Copies of some chains, in the given order."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Chains]) -> Self:
        """Chains one after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def put(self, where: NDArray[np.bool_], other: Chains) -> None:
        """Overwrite the chains in ``where`` with the same chains of ``other``."""
        for field in fields(self):
            getattr(self, field.name)[where] = getattr(other, field.name)[where]


class ChainSampler:
    """Starts and moves chains.

    Parameters
    ----------
    table
        The generator.
    view
        What the trees see.
    ratio
        The density ratio; it may grow while chains are moved.
    allowed
        Conditions: column to the weight of each of its symbols, between 0 and 1.
    intervals
        Column to the lowest and highest position of each of its symbols, where conditions ask for it.
    """

    def __init__(
        self,
        table: CodeTable,
        view: TreeView,
        ratio: BoostedRatio,
        allowed: Mapping[int, Array] | None = None,
        intervals: Intervals | None = None,
    ) -> None:
        self._view, self._ratio = view, ratio
        self._intervals = dict(intervals or {})
        given = dict(allowed or {})
        predictor = ratio.predictor
        self._target = predictor.column if predictor is not None and predictor.classes else None
        self._table = table.restricted(given) if given else table
        # starts know of a condition on a predicted target, the law of the codes given the row does not
        self._wanted = None if self._target is None else given.pop(self._target, None)
        self._rest = self._table if self._wanted is None else table.restricted(given) if given else table
        own, rest = self._table.log_weights, self._rest.log_weights
        self._lean = (rest - np.logaddexp.reduce(rest)) - (own - np.logaddexp.reduce(own))

    def start(self, n: int, rng: np.random.Generator, folds: Folds | None = None) -> Chains:
        """``n`` chains drawn from the generator."""
        chains = self._fresh(n, rng, folds)
        chains.early = self._ratio.early(chains.view, chains.predicted)
        chains.energy = chains.early + self._late(chains)
        return chains

    def _fresh(self, n: int, rng: np.random.Generator, folds: Folds | None = None) -> Chains:
        """``n`` chains drawn from the generator, without their energy."""
        codes, symbols = self._table.draw(n, rng)
        chosen = rng.integers(0, FOLDS, n, dtype=np.int8) if folds is None else folds
        positions = self._inside(symbols, rng)
        view = self._view.rows(symbols, positions)
        return self._with_target(codes, symbols, positions, view, self._ratio.predict(view, chosen), chosen, rng)

    def weights(self, chains: Chains) -> Array:
        """How much more often chains that `start` returned are to be than they are: log-weights, ``[n]``."""
        weights: Array = chains.energy.astype(np.float64) + self._lean[chains.codes]
        return weights

    def of(self, codes: Codes, symbols: Symbols, positions: Floats, folds: Folds) -> Chains:
        """Chains in the given states."""
        chains = self.resume(codes, symbols, positions, np.zeros(len(codes), np.float32), folds)
        chains.energy = chains.early + self._late(chains)
        return chains

    def resume(self, codes: Codes, symbols: Symbols, positions: Floats, energy: Floats, folds: Folds) -> Chains:
        """Chains in states that satisfy the conditions, with the energy that they have without conditions."""
        view = self._view.rows(symbols, positions)
        predicted = self._ratio.predict(view, folds)
        early = self._ratio.early(view, predicted)
        return Chains(codes, symbols, positions, view, predicted, energy + self._chance(predicted), early, folds)

    def unconditional(self, chains: Chains) -> Floats:
        """The energy that the chains have without conditions, as `resume` takes it, ``[n]``."""
        found: Floats = chains.energy - self._chance(chains.predicted)
        return found

    def _late(self, chains: Chains) -> Floats:
        """All of the energy but what the first rounds say, ``[n]``."""
        return self._ratio.late(chains.view, chains.symbols, chains.predicted) + self._chance(chains.predicted)

    def _with_target(
        self,
        codes: Codes,
        symbols: Symbols,
        positions: Floats,
        view: Floats,
        predicted: Floats,
        folds: Folds,
        rng: np.random.Generator,
    ) -> Chains:
        """Chains without their energy; the target is drawn, in place, if it is predicted."""
        if self._target is not None:
            cumulative = np.cumsum(self._law(predicted), axis=1)
            marks = rng.random(len(symbols)) * cumulative[:, -1]
            drawn = (cumulative <= marks[:, None]).sum(axis=1)
            symbols[:, self._target] = drawn.clip(max=cumulative.shape[1] - 1)
            view[:, self._target] = self._view.column(
                self._target, symbols[:, self._target], positions[:, self._target]
            )
        nothing = np.zeros(len(symbols), np.float32)
        return Chains(codes, symbols, positions, view, predicted, nothing, nothing.copy(), folds)

    def _law(self, predicted: Floats) -> Array:
        """Weight of each class of the target, ``[n, classes]``; those that a condition excludes have none."""
        if self._ratio.predictor is None:
            raise RuntimeError("no target is predicted")
        law: Array = np.exp(self._ratio.predictor.log_probabilities(predicted))
        return law if self._wanted is None else law * self._wanted

    def _chance(self, predicted: Floats) -> Floats:
        """Log of the chance of the condition on the target given the rest of the row, ``[n]``; 0 without one."""
        if self._wanted is None:
            return np.zeros(len(predicted), np.float32)
        chance: Floats = np.log(np.maximum(self._law(predicted).sum(axis=1), 1e-30)).astype(np.float32)
        return chance

    def recode(self, symbols: Symbols, rng: np.random.Generator) -> Codes:
        """Draw the codes of rows given the rows."""
        if self._target is not None:
            symbols = symbols.copy()
            symbols[:, self._target] = -1
        return self._rest.posterior(symbols, rng)

    def _inside(self, symbols: Symbols, rng: np.random.Generator) -> Floats:
        positions = rng.random(symbols.shape, dtype=np.float32)
        for column, (low, high) in self._intervals.items():
            own = symbols[:, column]
            positions[:, column] = _between(low[own], high[own], positions[:, column])
        return positions

    def move(self, chains: Chains, move: Move, rng: np.random.Generator, *, recode: float = 0.0) -> float:
        """One Metropolis-Hastings step of every chain, in place; the share of accepted proposals.

        Acceptance is delayed (Christen and Fox 2005): most proposals are refused by the first rounds of trees, and
        only the others are shown to the rest. Each stage has an acceptance ratio of its own, which leaves the law as
        it is and refuses little more than one ratio would.

        Parameters
        ----------
        chains
            What to move.
        move
            What to propose anew.
        rng
            Source of randomness.
        recode
            Share of the chains whose code is first drawn anew given the row.
        """
        n = len(chains)
        if recode > 0:
            rows = np.flatnonzero(rng.random(n) < recode)
            chains.codes[rows] = self.recode(chains.symbols[rows], rng)
        proposal = self._fresh(n, rng, chains.folds) if move.whole else self._changed(chains, move, rng)
        # a proposal that is where its chain is needs no energy
        other = (proposal.symbols != chains.symbols) | (proposal.positions != chains.positions)
        rows = np.flatnonzero(other.any(axis=1) | (proposal.codes != chains.codes))
        asked = len(rows)
        early = self._ratio.early(proposal.view[rows], proposal.predicted[rows])
        kept = _accepted(early.astype(np.float64) - chains.early[rows], rng)
        rows, early = rows[kept], early[kept]
        found = proposal.take(rows)
        found.early, found.energy = early, early + self._late(found)
        gain = (found.energy - found.early).astype(np.float64) - (chains.energy[rows] - chains.early[rows])
        if move.whole and self._wanted is not None:
            gain += self._lean[found.codes] - self._lean[chains.codes[rows]]
        kept = _accepted(gain, rng)
        where = np.zeros(n, dtype=bool)
        where[rows[kept]] = True
        proposal.early[rows], proposal.energy[rows] = found.early, found.energy
        chains.put(where, proposal)
        return 1 - (asked - int(where.sum())) / n if n else 0.0

    def _changed(self, chains: Chains, move: Move, rng: np.random.Generator) -> Chains:
        n, columns = chains.symbols.shape
        symbols, positions, view = chains.symbols.copy(), chains.positions.copy(), chains.view.copy()
        if move.column is None:
            anew = rng.random((n, columns), dtype=np.float32) < move.share
            anew[np.arange(n), rng.integers(0, columns, n)] = True
        else:
            anew = np.zeros((n, columns), dtype=bool)
            anew[:, move.column] = True
        if self._target is not None:
            anew[:, self._target] = False
        for column in range(columns):
            rows = np.flatnonzero(anew[:, column])
            own = self._table.draw_column(column, chains.codes[rows], rng)
            inside = rng.random(len(rows), dtype=np.float32)
            if column in self._intervals:
                low, high = self._intervals[column]
                inside = _between(low[own], high[own], inside)
            symbols[rows, column], positions[rows, column] = own, inside
            view[rows, column] = self._view.column(column, own, inside)
        predictor = self._ratio.predictor
        same = predictor is None or move.column == predictor.column
        predicted = chains.predicted if same else self._ratio.predict(view, chains.folds)
        return self._with_target(chains.codes, symbols, positions, view, predicted, chains.folds, rng)

    def settle(self, chains: Chains, moves: Sequence[Move], rng: np.random.Generator, *, recode: float = 0.0) -> float:
        """Several moves in a row; the mean share of accepted proposals."""
        accepted = [self.move(chains, move, rng, recode=recode if i == 0 else 0.0) for i, move in enumerate(moves)]
        return float(np.mean(accepted)) if accepted else 0.0


def _accepted(gain: Array, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which proposals are accepted, by the log of their acceptance ratio, ``[n]``."""
    with np.errstate(divide="ignore"):
        accepted: NDArray[np.bool_] = np.log(rng.random(len(gain))) < gain
    return accepted


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


def systematic_subset(weights: Array, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``n`` different row numbers, drawn in proportion to weights as far as no row's chance exceeds one."""
    largest = weights.max()
    if not 1e-100 < largest < 1e100:
        # Their sum would vanish or overflow.
        weights = weights / largest
    chance = weights * (n / weights.sum())
    for _ in range(20):
        sure = chance >= 1.0
        left = n - sure.sum()
        total = chance[~sure].sum()
        if total <= 0 or abs(total - left) < 1e-6:
            break
        # In this order nothing overflows, however small the weights: none of these chances exceeds their total.
        chance[~sure] = chance[~sure] * left / total
        chance[sure] = 1.0
    order = rng.permutation(len(weights))
    running = np.cumsum(np.minimum(chance[order], 1.0))
    # no chance exceeds one, so no two marks fall on the same row
    marks = np.arange(n) + rng.random() * min(1.0, running[-1] - n + 1)
    places = np.unique(np.searchsorted(running, marks, side="right").clip(max=len(weights) - 1))
    if len(places) < n:  # fewer rows have a weight worth the name, or rounding at the seam between two
        places = np.append(places, np.setdiff1d(np.arange(len(weights)), places)[: n - len(places)])
    drawn: NDArray[np.int64] = order[places]
    return drawn
