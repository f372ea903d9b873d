"""A fitted table generator: draws encoded rows, with and without conditions, and scores rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synthkit.errors import ConditionError, InputError
from synthkit.gan.boosting import BoostedRatio, TreeView
from synthkit.gan.chains import Chains, ChainSampler, moves, systematic, systematic_subset
from synthkit.gan.kept_critic import KeptCritic
from synthkit.gan.layout import Layout
from synthkit.gan.margins import rake
from synthkit.gan.network import NetworkGenerator
from synthkit.gan.population import Particles, Population, spare
from synthkit.gan.table import CodeTable
from synthkit.random import RandomSource
from synthkit.tables.conditions import AllowedSymbols
from synthkit.tables.encoder import TableEncoder

Symbols = NDArray[np.int32]
Positions = NDArray[np.float32]

BATCH = 16_384
_POOL = 3  # rows drawn for each row kept when a condition has too few chains
_ENOUGH = 400  # chains that satisfy a condition, from which more rows can be grown


@dataclass
class FittedTable:
    """Everything learned from a table.

    Attributes
    ----------
    encoder, layout
        Between frames and symbols.
    table
        Latent codes, or None when the generator is a network.
    ratio, particles
        Refinement, or None.
    network
        Classical generator, or None.
    critic
        Critic of the game that the generator comes from, or None.
    report
        What the fit did, JSON-safe.
    privacy
        Under a budget: its ledger and what was public, JSON-safe.
    """

    encoder: TableEncoder
    layout: Layout
    table: CodeTable | None = None
    ratio: BoostedRatio | None = None
    particles: Particles | None = None
    network: NetworkGenerator | None = None
    critic: KeptCritic | None = None
    report: dict[str, Any] = field(default_factory=dict)
    privacy: dict[str, Any] | None = None

    @property
    def is_refined(self) -> bool:
        """Whether rows can be drawn refined."""
        return self.ratio is not None and self.particles is not None

    def codes(self) -> CodeTable:
        """The latent codes.

        Raises
        ------
        InputError
            The generator is a network, which has no likelihood and no posterior.
        """
        if self.table is None:
            raise InputError(
                'a generator="network" has no likelihood and no posterior of missing cells',
                remedy='fit with generator="codes"',
            )
        return self.table

    # -- conditions ---------------------------------------------------------------------------------------------------

    def conditions(self, where: Mapping[str, Any] | None) -> dict[str, AllowedSymbols]:
        """What each condition allows, by column; columns without one are absent."""
        return {name: self.encoder.condition(name, wanted) for name, wanted in (where or {}).items()}

    def _modelled(self, allowed: Mapping[str, AllowedSymbols]) -> dict[int, AllowedSymbols]:
        names = self.encoder.names
        return {names.index(name): one for name, one in allowed.items() if name in names}

    # -- rows ---------------------------------------------------------------------------------------------------------

    def batches(
        self,
        n: int,
        allowed: Mapping[str, AllowedSymbols],
        random: RandomSource,
        *,
        refined: bool = True,
        batch: int = BATCH,
    ) -> Iterator[tuple[Symbols, Positions]]:
        """Encoded rows, at most ``batch`` at a time and ``n`` in total."""
        return self.batches_of(_parts(n, batch), allowed, random, refined=refined)

    def batches_of(
        self,
        sizes: Iterable[int],
        allowed: Mapping[str, AllowedSymbols],
        random: RandomSource,
        *,
        refined: bool = True,
    ) -> Iterator[tuple[Symbols, Positions]]:
        """Encoded rows, a batch of each size; a size is asked for when its batch is."""
        given = self._modelled(allowed)
        if not len(self.layout.sizes):
            yield from ((np.zeros((m, 0), np.int32), np.zeros((m, 0), np.float32)) for m in sizes)
        elif self.network is not None:
            yield from self._from_network(sizes, given, random)
        else:
            table = self.codes()
            self._check_possible(given)
            if refined and self.ratio is not None and self.particles is not None:
                yield from self._refined(sizes, table, given, random)
            else:
                rng = random.numpy("rows")
                restricted = table.restricted({column: one.share for column, one in given.items()}) if given else table
                for m in sizes:
                    _, symbols = restricted.draw_evenly(m, rng)
                    yield symbols, _positions(symbols, given, rng)

    def _check_possible(self, given: Mapping[int, AllowedSymbols]) -> None:
        for column, one in given.items():
            if not np.any(one.share > 0):
                raise ConditionError(
                    f"the condition on {self.encoder.names[column]!r} cannot hold in this model", remedy="loosen it"
                )

    def _refined(
        self, sizes: Iterable[int], table: CodeTable, given: Mapping[int, AllowedSymbols], random: RandomSource
    ) -> Iterator[tuple[Symbols, Positions]]:
        """Rows from the persistent chains, moved on; from newly started chains where too few satisfy a condition."""
        ratio, particles = self.ratio, self.particles
        if ratio is None or particles is None:
            return
        rng = random.numpy("rows")
        allowed = {column: one.share for column, one in given.items()}
        intervals = {column: (one.low, one.high) for column, one in given.items()}
        sampler = ChainSampler(table, TreeView(self.layout), ratio, allowed, intervals)
        rows = np.flatnonzero(_satisfied(particles, given))
        more = spare(len(particles.codes), self.report.get("rows"))
        population = Population(particles.take(rows), sampler, rng, conditional=bool(given))
        for m in sizes:
            if len(rows) < _ENOUGH and (given or not len(rows)):
                chains = self._grown(m, sampler, rng)
            else:
                chains = population.moved(m if given else round(m * more))
                if len(chains) > m:
                    # different chains whose one-way margins are closer to the data's than those of a plain draw
                    weights = rake(chains.symbols, self.layout, 2)
                    chains = chains.take(rng.permutation(systematic_subset(weights, m, rng)))
            yield chains.symbols, _positions(chains.symbols, given, rng, chains.positions)

    def _grown(self, m: int, sampler: ChainSampler, rng: np.random.Generator) -> Chains:
        """Chains from the restricted codes: the best of a larger pool by the ratio, then moved."""
        pool = sampler.start(_POOL * m, rng)
        weights = sampler.weights(pool)
        weights = np.exp(np.clip(weights - np.median(weights), -4.0, 4.0))
        chains = pool.take(rng.permutation(systematic(weights, m, rng)))
        sampler.settle(chains, moves(chains.symbols.shape[1], repeats=2), rng, recode=1.0)
        return chains

    def _from_network(
        self, sizes: Iterable[int], given: Mapping[int, AllowedSymbols], random: RandomSource
    ) -> Iterator[tuple[Symbols, Positions]]:
        if self.network is None:
            return
        rng, noise = random.numpy("rows"), random.torch("noise")
        starts = self.layout.offsets
        for m in sizes:
            shape = (m, len(self.layout.sizes))
            symbols, mask = np.zeros(shape, np.int32), np.zeros(shape, bool)
            for column, one in given.items():
                share = one.share * self.layout.share[starts[column] : starts[column + 1]]
                share = share if share.sum() > 0 else one.share
                symbols[:, column] = rng.choice(len(share), m, p=share / share.sum())
                mask[:, column] = True
            positions = _positions(symbols, given, rng)
            cells = (torch.from_numpy(symbols), torch.from_numpy(positions), torch.from_numpy(mask))
            drawn, inside = self.network.sample(m, noise, symbols=cells[0], positions=cells[1], mask=cells[2])
            yield drawn.cpu().numpy(), inside.cpu().numpy()

    # -- scores and missing cells -------------------------------------------------------------------------------------

    def impute(self, symbols: Symbols, positions: Positions, unknown: NDArray[np.bool_], random: RandomSource) -> None:
        """Draw the cells under ``unknown`` from their law given the others, in place; never "missing" again."""
        self.fill(symbols, positions, unknown, random.numpy("impute"))

    def fill(
        self, symbols: Symbols, positions: Positions, unknown: NDArray[np.bool_], rng: np.random.Generator
    ) -> None:
        """As `impute`, with a generator that goes on."""
        table = self.codes()
        never_missing = {}
        for column, code in enumerate(self.encoder.columns):
            if code.missing and unknown[:, column].any():
                weights = np.ones(code.size)
                weights[0] = 0.0
                never_missing[column] = weights
        drawn_from = table.restricted(never_missing) if never_missing else table
        known = np.where(unknown, -1, symbols).astype(np.int32)
        codes = self._codes_of_present(table, known, unknown, list(never_missing), rng)
        for column in range(len(self.layout.sizes)):
            rows = np.flatnonzero(unknown[:, column])
            symbols[rows, column] = drawn_from.draw_column(column, codes[rows], rng)
            positions[rows, column] = rng.random(len(rows), dtype=np.float32)

    def _codes_of_present(
        self,
        table: CodeTable,
        known: Symbols,
        unknown: NDArray[np.bool_],
        columns: list[int],
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Draw the code of each row given its known cells and that the unknown ones of ``columns`` are not missing.

        Without the second part, codes of rows that lack a value would decide what the value is.
        """
        missing = table.log_theta[:, table.offsets[columns]].astype(np.float64)  # the first symbol of a nullable column
        present = np.log(np.maximum(-np.expm1(missing), 1e-12)).T
        codes = np.empty(len(known), np.int64)
        for start in range(0, len(known), BATCH // 2):
            rows = slice(start, start + BATCH // 2)
            joint = table.joint(known[rows]) + unknown[rows][:, columns].astype(np.float64) @ present
            running = np.cumsum(np.exp(joint - joint.max(axis=1, keepdims=True)), axis=1)
            marks = rng.random(len(running)) * running[:, -1]
            codes[rows] = (running <= marks[:, None]).sum(axis=1).clip(max=running.shape[1] - 1)
        return codes


def _parts(n: int, batch: int) -> Iterator[int]:
    done = 0
    while done < n:
        yield min(batch, n - done)
        done += batch


def _positions(
    symbols: Symbols, given: Mapping[int, AllowedSymbols], rng: np.random.Generator, drawn: Positions | None = None
) -> Positions:
    """Positions inside the symbols; those under a condition inside what it allows."""
    positions = rng.random(symbols.shape, dtype=np.float32) if drawn is None else drawn
    for column, one in given.items():
        own = symbols[:, column]
        low, high = one.low[own], one.high[own]
        inside = low + rng.random(len(own)) * (high - low) if drawn is None else positions[:, column]
        positions[:, column] = np.clip(inside, low, high)
    return positions


def _satisfied(particles: Particles, given: Mapping[int, AllowedSymbols]) -> NDArray[np.bool_]:
    """Which particles satisfy all conditions, ``[n]``."""
    good = np.ones(len(particles.codes), dtype=bool)
    for column, one in given.items():
        own, inside = particles.symbols[:, column], particles.positions[:, column]
        good &= one.mask[own] & (inside >= one.low[own]) & (inside <= one.high[own])
    return good
