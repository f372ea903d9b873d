"""Drawing from fitted latent codes, fast, and exactly under conditions on any subset of columns.

A condition on a column is a weight between 0 and 1 for each of its symbols (0 excludes it, a part of a bin counts by
its part). Restricting every code to it and reweighting the codes by the mass they keep gives codes again, so a
conditional draw is an ordinary draw and nothing is ever rejected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from synthkit.errors import ConditionError
from synthkit.gan.codes import joint_log_likelihood
from synthkit.gan.relaxed import Segments

Array = NDArray[np.float64]
Symbols = NDArray[np.int32]
Codes = NDArray[np.int64]
_BATCH = 8_192
_BELOW_ONE = 1 - 1e-12


class CodeTable:
    """Latent codes ready to draw from.

    Parameters
    ----------
    log_theta
        Log-probability of every symbol in every code, ``[K, D]``.
    log_weights
        Log-weights of the codes, ``[K]``.
    sizes
        Symbols of each column, ``[C]``.
    """

    def __init__(self, log_theta: NDArray[np.float32], log_weights: NDArray[np.float64], sizes: Sequence[int]) -> None:
        self.log_theta = log_theta
        self.log_weights = log_weights
        self.sizes = np.asarray(sizes, dtype=np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)])
        weights = np.exp(log_weights - log_weights.max())
        self._weights = np.cumsum(weights) / weights.sum()
        # row k of a column's cumulative probabilities is shifted by k: one sorted vector serves all codes
        self._cumulative = [self._cumulate(c) for c in range(len(self.sizes))]
        self._torch_theta = torch.from_numpy(np.ascontiguousarray(log_theta.T))
        self._segments = Segments(self.sizes.tolist())

    def _cumulate(self, column: int) -> Array:
        part = np.exp(self.log_theta[:, self.offsets[column] : self.offsets[column + 1]].astype(np.float64))
        cumulative = np.cumsum(part, axis=1)
        cumulative /= cumulative[:, -1:]
        shifted: Array = np.minimum(cumulative, 1.0) + np.arange(len(part))[:, None]
        return shifted.ravel()

    def draw_codes(self, n: int, rng: np.random.Generator) -> Codes:
        """Codes of ``n`` rows, ``[n]``."""
        return self._codes_at(rng.random(n))

    def _codes_at(self, marks: Array) -> Codes:
        """Codes at these quantiles, from 0 to below 1, of their weights, ``[n]``."""
        found: Codes = np.searchsorted(self._weights, marks, side="right").clip(max=len(self._weights) - 1)
        return found

    def draw_column(self, column: int, codes: Codes, rng: np.random.Generator) -> Symbols:
        """Symbols of one column given the codes, ``[n]``."""
        return self._symbols_at(column, codes, rng.random(len(codes)))

    def _symbols_at(self, column: int, codes: Codes, marks: Array) -> Symbols:
        """Symbols of a column at these quantiles, from 0 to below 1, of its distribution in each code, ``[n]``."""
        size = int(self.sizes[column])
        found = np.searchsorted(self._cumulative[column], codes + marks, side="right")
        # clip: rounding at the seam between two codes
        symbols: Symbols = (found - codes * size).clip(0, size - 1).astype(np.int32)
        return symbols

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Codes, Symbols]:
        """Codes ``[n]`` and symbols ``[n, C]``."""
        codes = self.draw_codes(n, rng)
        return codes, self.draw_given(codes, rng)

    def draw_given(self, codes: Codes, rng: np.random.Generator) -> Symbols:
        """Symbols ``[n, C]`` given the codes."""
        symbols = np.empty((len(codes), len(self.sizes)), dtype=np.int32)
        for column in range(len(self.sizes)):
            symbols[:, column] = self.draw_column(column, codes, rng)
        return symbols

    def draw_evenly(self, n: int, rng: np.random.Generator) -> tuple[Codes, Symbols]:
        """Codes ``[n]`` and symbols ``[n, C]`` of a systematic sample: each row as `draw` has it, all together nearer.

        Codes come as often as their weights say, and so do the symbols of each column among the rows of a code, up to
        one row. Every single row has exactly the distribution of `draw`; the rows depend on each other a little, which
        takes most of the noise of sampling from margins and pairs.

        References
        ----------
        Madow and Madow (1944), On the theory of systematic sampling, Annals of Mathematical Statistics 15.
        """
        codes = self._codes_at((np.arange(n) + rng.random()) / n)
        rows = np.bincount(codes, minlength=len(self._weights))
        place = np.arange(n) - (np.cumsum(rows) - rows)[codes]
        symbols = np.empty((n, len(self.sizes)), dtype=np.int32)
        for column in range(len(self.sizes)):
            within = (place + rng.random(len(rows))[codes]) / rows[codes]
            drawn = self._symbols_at(column, codes, np.minimum(within, _BELOW_ONE))
            # within each code in an order of its own: given the code the columns are independent
            symbols[:, column] = drawn[np.argsort(codes + rng.random(n))]
        order = rng.permutation(n)
        return codes[order], symbols[order]

    @torch.no_grad()
    def joint(self, symbols: Symbols) -> NDArray[np.float32]:
        """Log of weight times probability of each row in each code, ``[n, K]``; negative symbols are unknown cells."""
        rows = torch.from_numpy(np.ascontiguousarray(symbols))
        scores = joint_log_likelihood(rows, self._torch_theta.T, self._segments).numpy()
        joint: NDArray[np.float32] = scores + self.log_weights.astype(np.float32)
        return joint

    def log_likelihood(self, symbols: Symbols) -> Array:
        """Log-likelihood of rows in nats, ``[n]``; negative symbols are integrated out."""
        out = np.empty(len(symbols))
        for start in range(0, len(symbols), _BATCH):
            joint = self.joint(symbols[start : start + _BATCH]).astype(np.float64)
            top = joint.max(axis=1)
            out[start : start + _BATCH] = top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
        return out

    def posterior(self, symbols: Symbols, rng: np.random.Generator) -> Codes:
        """Draw the code of each row from its posterior, ``[n]``; negative symbols are unknown cells."""
        codes = np.empty(len(symbols), dtype=np.int64)
        for start in range(0, len(symbols), _BATCH):
            joint = self.joint(symbols[start : start + _BATCH])
            joint -= joint.max(axis=1, keepdims=True)
            np.exp(joint, out=joint)
            cumulative = np.cumsum(joint, axis=1)
            marks = rng.random(len(joint), dtype=np.float32) * cumulative[:, -1]
            found = (cumulative <= marks[:, None]).sum(axis=1)
            codes[start : start + _BATCH] = found.clip(max=joint.shape[1] - 1)
        return codes

    def restricted(self, weights: Mapping[int, Array]) -> CodeTable:
        """The same generator given conditions.

        Parameters
        ----------
        weights
            Column to the weight of each of its symbols ``[size]``, between 0 and 1.

        Returns
        -------
        CodeTable
            Its columns under a condition hold only symbols with positive weight. Codes that cannot produce them have
            no weight.

        Raises
        ------
        ConditionError
            All symbols of a column have weight zero.
        """
        impossible = [column for column, allowed in weights.items() if not np.any(allowed > 0)]
        if impossible:
            raise ConditionError(f"the conditions exclude every symbol of columns {impossible}")
        log_theta = self.log_theta.copy()
        log_weights = self.log_weights.copy()
        for column, allowed in weights.items():
            part = slice(self.offsets[column], self.offsets[column + 1])
            with np.errstate(divide="ignore"):
                kept = log_theta[:, part].astype(np.float64) + np.log(allowed)
            top = kept.max(axis=1, keepdims=True)
            mass = top[:, 0] + np.log(np.exp(kept - top).sum(axis=1))
            # float32 logs keep "impossible" as a very small number, so that sums over columns stay finite
            log_theta[:, part] = np.maximum(kept - mass[:, None], -1e4)
            log_weights += mass
        return CodeTable(log_theta, log_weights - np.logaddexp.reduce(log_weights), self.sizes.tolist())
