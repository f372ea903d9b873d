"""New rows near given ones: Markov chains under the law of a fitted table that start at real rows.

A conditional draw from a model repeats what the model has wrong of a rare class, for which it had few rows. A chain
that starts at a real row and takes a few Metropolis-Hastings steps keeps what it has not changed: relations between
columns that no model of so few rows would find. As the law of the model is what the chain would reach in the end, each
step goes from the data towards the model and nowhere else.

References
----------
Metropolis-Hastings GAN: Turner et al. (2019), ICML. Steps from data instead of noise: Bengio et al. (2013),
Generalized denoising auto-encoders as generative models, NeurIPS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.errors import ConditionError
from synthkit.gan.boosting import FOLDS, BoostedRatio, TreeView
from synthkit.gan.chains import Chains, ChainSampler, Move
from synthkit.random import RandomSource
from synthkit.tables.constraints import Acceptance, Rows, Tally
from synthkit.tables.drawing import range_conditions
from synthkit.tables.fitted import BATCH, FittedTable
from synthkit.tables.identifiers import TakenIdentifiers

MOVES = 4
_COLUMNS = 2.0  # that a step proposes anew, on average
_MORE = 3  # times as many steps for rows that did not change yet


class Variation:
    """Draws rows that start at given ones and satisfy conditions and the constraints of the schema.

    Parameters
    ----------
    fitted
        With latent codes (see `can_vary`).
    where
        Conditions, as `TableGAN.sample` takes them.
    random
        Source of the steps.
    moves
        Steps of each chain. A step proposes about two columns anew given the rest of the row. Rows that have not
        changed at all go on for up to three times as many.
    taken
        Identifiers and unique keys that must not come back.

    Raises
    ------
    ConditionError
        An unknown column or value, or conditions that the model cannot satisfy.
    """

    def __init__(
        self,
        fitted: FittedTable,
        where: Mapping[str, Any],
        random: RandomSource,
        *,
        moves: int = MOVES,
        taken: TakenIdentifiers | None = None,
    ) -> None:
        self._fitted, self._encoder, self._moves = fitted, fitted.encoder, moves
        self._constraints = fitted.encoder.schema.constraints
        self._allowed = fitted.conditions(where)
        if self._constraints:
            self._allowed |= range_conditions(fitted.encoder, where)
        names = fitted.encoder.names
        self._given = {names.index(name): one for name, one in self._allowed.items() if name in names}
        for column, one in self._given.items():
            if not np.any(one.share > 0):
                raise ConditionError(
                    f"the condition on {names[column]!r} cannot hold in this model", remedy="loosen it"
                )
        self._sampler = ChainSampler(
            fitted.codes(),
            TreeView(fitted.layout),
            BoostedRatio(fitted.layout) if fitted.ratio is None else fitted.ratio,
            {column: one.share for column, one in self._given.items()},
            {column: (one.low, one.high) for column, one in self._given.items()},
        )
        self._rng, self._taken = random.numpy("rows"), TakenIdentifiers() if taken is None else taken
        self._tally = Tally()
        self._accepted = Rows(fitted, where, self._allowed, random.numpy("decode"), self._taken, self._tally)

    @property
    def acceptance(self) -> Acceptance | None:
        """How many rows satisfied the constraints so far; None without constraints."""
        return self._tally.result() if self._constraints else None

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One new row for each given one, as far as constraints hold.

        Parameters
        ----------
        frame
            Real rows ``[n, ...]`` that satisfy the conditions; a row may come several times. Rows with labels that the
            model never saw, or lacking a value where it never lacked one, cannot be varied and are left out.
        """
        encoded = self._encoder.encode(frame, rng=self._rng, unknown=True)
        known = (encoded.symbols >= 0).all(axis=1)
        for column, one in self._given.items():
            known &= one.mask[np.maximum(encoded.symbols[:, column], 0)]
        symbols, positions = encoded.symbols[known], encoded.positions[known]
        for first in range(0, len(symbols), BATCH):
            part = slice(first, first + BATCH)
            chains = self._walked(symbols[part], positions[part])
            symbols[part], positions[part] = chains.symbols, chains.positions
        for column, one in self._given.items():
            own = symbols[:, column]
            positions[:, column] = np.clip(positions[:, column], one.low[own], one.high[own])
        return self._accepted.accepted(symbols, positions)

    def _walked(self, symbols: NDArray[np.int32], positions: NDArray[np.float32]) -> Chains:
        """Chains from the given states, moved on; those that stand still longer than the others."""
        n, columns = len(symbols), symbols.shape[1]
        sampler, rng = self._sampler, self._rng
        move = Move(min(0.5, _COLUMNS / columns))
        codes = sampler.recode(symbols, rng)
        folds = rng.integers(0, FOLDS, n, dtype=np.int8)
        chains = sampler.of(codes, symbols.copy(), positions.copy(), folds)
        for _ in range(self._moves):
            sampler.move(chains, move, rng, recode=1.0)
        free = np.setdiff1d(np.arange(columns), list(self._given))
        for _ in range(_MORE * self._moves):
            still = (chains.symbols[:, free] == symbols[:, free]).all(axis=1)
            if not still.any():
                break
            part = chains.take(np.flatnonzero(still))
            sampler.move(part, move, rng, recode=1.0)
            # `put` copies chains that stand in the same places
            chains.put(np.asarray(still), part.take(np.cumsum(still) - 1))
        return chains


def can_vary(fitted: FittedTable) -> bool:
    """Whether a fitted table has what chains need: latent codes, and columns that they model."""
    return fitted.table is not None and len(fitted.layout.sizes) > 1
