"""How unusual rows are for a fitted model, and which of their cells make them so.

Readings of a row, each as surprise in nats against the model's own synthetic rows: how unlikely it is as a whole under
the refined law (codes times density ratio), how poorly its cells can be reconstructed from the others, all of them and
the worst of them, how far out its cells are by themselves (as in ECOD, Li et al. 2022), and what the critic thinks of
it, where the model kept one. The score is their mean.

References
----------
Li, Zhao, Hu, Botta, Ionescu and Chen (2022), ECOD: unsupervised outlier detection using empirical cumulative
distribution functions, IEEE Transactions on Knowledge and Data Engineering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthkit.gan.boosting import FOLDS, TreeView
from synthkit.random import RandomSource
from synthkit.tables.cell_laws import cell_laws
from synthkit.tables.fitted import FittedTable
from synthkit.tables.surprise import ColumnTails, beyond, differs, never_seen

Floats = NDArray[np.float64]
REFERENCE = 5_000
"""Synthetic rows that scores are measured against."""
_ASSUMED = 10_000  # training rows where the model does not say how many there were
_OUTER = 0.05
_NARROWEST = 0.5  # nats; a reading that is the same for all synthetic rows has no tail to go by


@dataclass(frozen=True)
class CellSurprise:
    """One cell of a row and what it adds.

    Attributes
    ----------
    column
        Its column.
    surprise
        In nats: by itself and given the other cells, together.
    share
        Of the surprise of all cells of the row, from 0 to 1.
    given_others
        Whether it is more surprising given the other cells than by itself.
    """

    column: str
    surprise: float
    share: float
    given_others: bool


@dataclass(frozen=True, eq=False)
class AnomalyScores:
    """How unusual rows are.

    Attributes
    ----------
    total
        Score, higher for more unusual rows: the mean of the parts, ``[n]``.
    one_in
        One in so many synthetic rows of the model has a score at least as high, ``[n]``; 10,001 where none of 5,000
        has.
    parts
        By name the surprise in nats against synthetic rows, ``[n]`` each: "density", "reconstruction" (all cells given
        the others), "contradiction" (the worst of them), "margins", "critic"; without those that the model cannot give.
    columns
        Names of the C columns that were looked at.
    alone, given_others
        Surprise of each cell by itself and given the other cells of its row, ``[n, C]``; the second is zero for a
        model without codes.
    """

    total: Floats
    one_in: Floats
    parts: Mapping[str, Floats]
    columns: tuple[str, ...]
    alone: NDArray[np.float32]
    given_others: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.total)

    def __repr__(self) -> str:
        highest = f", the highest {self.total.max():.2f}" if len(self) else ""
        return f"AnomalyScores({len(self):,} rows{highest}; {', '.join(self.parts)})"

    def _repr_html_(self) -> str:
        from synthkit.tables.showing import scores_html

        return scores_html(self)

    def rarity(self, row: int) -> str:
        """How many synthetic rows there are for one that is as unusual, in words."""
        one_in = float(self.one_in[row])
        return f"1 in more than {REFERENCE:,}" if one_in > REFERENCE else f"1 in {one_in:,.0f}"

    def explain(self, row: int, count: int = 3) -> tuple[CellSurprise, ...]:
        """The cells that make a row unusual, the most surprising first, at most ``count``."""
        both = (self.alone[row] + self.given_others[row]).astype(np.float64)
        order = np.argsort(-both, kind="stable")[:count]
        whole = max(float(both.sum()), 1e-12)
        return tuple(
            CellSurprise(
                self.columns[place],
                float(both[place]),
                float(both[place] / whole),
                bool(self.given_others[row, place] > self.alone[row, place]),
            )
            for place in order.tolist()
            if both[place] > 0
        )

    def to_frame(self, explain: int = 0) -> pd.DataFrame:
        """One line per row: score, one_in, the parts, and the columns that explain it where asked for."""
        out = pd.DataFrame({"score": self.total, "one_in": self.one_in, **self.parts})
        both = (self.alone + self.given_others).astype(np.float64)
        order = np.argsort(-both, axis=1, kind="stable")
        shares = both / np.maximum(both.sum(axis=1, keepdims=True), 1e-12)
        names = np.array(self.columns, dtype=object)
        for place in range(min(explain, len(names))):
            own = order[:, place]
            share = shares[np.arange(len(own)), own]
            out[f"column_{place + 1}"] = pd.Series(names[own], dtype=object).where(share > 0, None)
            out[f"share_{place + 1}"] = share
        return out


@dataclass(frozen=True, eq=False)
class Readings:
    """Raw readings of rows, before they are measured against synthetic ones."""

    parts: dict[str, Floats]
    columns: tuple[str, ...]
    alone: NDArray[np.float32]
    given_others: NDArray[np.float32]


def score_rows(fitted: FittedTable, frame: pd.DataFrame, random: RandomSource) -> AnomalyScores:
    """Score the rows of a frame; see `AnomalyScores`.

    Parameters
    ----------
    fitted
        With codes or a network.
    frame
        ``[n, ...]``, with the columns of the model; others are not looked at.
    random
        Source of the synthetic rows that scores are measured against.

    Raises
    ------
    SchemaError
        A column of the model is not in the frame.
    DataError
        Cells that do not fit the schema.
    """
    own = read_rows(fitted, frame)
    batches = fitted.batches(REFERENCE, {}, random.child("reference"))
    rng = random.numpy("decode")
    synthetic = pd.concat(
        [fitted.encoder.decode(symbols, positions, rng=rng) for symbols, positions in batches], ignore_index=True
    )
    reference = read_rows(fitted, synthetic)
    parts = {name: surprise_against(reference.parts[name], found) for name, found in own.parts.items()}
    usual = {name: surprise_against(found, found) for name, found in reference.parts.items()}
    empty = np.zeros(len(frame))
    total = np.asarray(np.mean(list(parts.values()), axis=0) if parts else empty, dtype=np.float64)
    typical = np.mean(list(usual.values()), axis=0) if usual else np.zeros(REFERENCE)
    above = len(typical) - np.searchsorted(np.sort(typical), total, side="left")
    one_in = np.asarray((len(typical) + 0.5) / (above + 0.5), dtype=np.float64)
    return AnomalyScores(total, one_in, parts, own.columns, own.alone, own.given_others)


def surprise_against(reference: Floats, values: Floats) -> Floats:
    """Minus the logarithm of the share of reference values that are at least as high, in nats.

    Parameters
    ----------
    reference
        ``[m]``, at least one.
    values
        ``[n]``. Beyond the highest reference value the tail goes on exponentially, with the mean excess of its outer
        twentieth, at least half a nat.

    Returns
    -------
    ndarray of float64 [n]
        Rises with the value.
    """
    ascending = np.sort(reference)
    above = len(ascending) - np.searchsorted(ascending, values, side="left")
    found = -np.log((above + 0.5) / (len(ascending) + 0.5))
    start = float(np.quantile(ascending, 1 - _OUTER))
    excess = ascending[ascending > start] - start
    scale = max(float(excess.mean()) if len(excess) else 0.0, _NARROWEST)
    return np.asarray(found + np.maximum(values - ascending[-1], 0.0) / scale, dtype=np.float64)


def read_rows(fitted: FittedTable, frame: pd.DataFrame) -> Readings:
    """Raw readings of the rows of a frame."""
    encoder, layout = fitted.encoder, fitted.layout
    codes, names = encoder.columns, encoder.names
    encoded = encoder.encode(frame, unknown=True)
    symbols, positions = encoded.symbols, encoded.positions
    n, width = symbols.shape
    rows = int(fitted.report.get("rows", _ASSUMED))
    tails = [ColumnTails.of(layout, column, code, rows) for column, code in enumerate(codes)]
    looked_at = [column for column, code in enumerate(codes) if code.type != "identifier"]
    alone, given = np.zeros((n, width)), np.zeros((n, width))
    # what the symbols do not show: numbers beyond the training values, and cells like no training cell
    further, unlike = np.zeros((n, width)), np.zeros((n, width), dtype=bool)
    for column in looked_at:
        codec, series = encoder.codec(names[column]), frame[names[column]]
        share = layout.share[layout.offsets[column] : layout.offsets[column + 1]]
        law = (share + 0.5 / rows) / (1 + 0.5 / rows * len(share))
        alone[:, column] = tails[column].surprise(law[None], np.maximum(symbols[:, column], 0), positions[:, column])
        further[:, column] = beyond(codec, series)
        unlike[:, column] = never_seen(codec, series) | (symbols[:, column] < 0)
    least = np.log(rows + 1)  # rarer than one row in all that were seen
    parts: dict[str, Floats] = {}
    if fitted.table is not None and width:
        hidden = np.zeros(symbols.shape, dtype=bool)
        nullable = [code.missing for code in codes]
        for part, column, law in cell_laws(fitted.table, nullable, symbols, hidden, looked_at, present=False):
            own = np.maximum(symbols[part, column], 0)
            given[part, column] = tails[column].surprise(law, own, positions[part, column])
        given = np.where(unlike, least, given + further)
        likelihood = fitted.table.log_likelihood(symbols) + _log_ratio(fitted, symbols, positions)
        parts["density"] = (further + least * unlike).sum(axis=1) - likelihood
    alone = np.where(unlike, least, alone + further)
    constants = {name: codec for name, codec in encoder.constants.items() if name in frame}
    if constants:
        other = np.stack([least * differs(codec, frame[name]) for name, codec in constants.items()], axis=1)
        alone, given = np.concatenate([alone, other], axis=1), np.concatenate([given, other], axis=1)
        if "density" in parts:
            parts["density"] = parts["density"] + other.sum(axis=1)
    if "density" in parts:
        parts["reconstruction"] = given.sum(axis=1)
        parts["contradiction"] = given.max(axis=1)
    parts["margins"] = alone.sum(axis=1)
    if fitted.critic is not None and width:
        parts["critic"] = -fitted.critic.scores(np.maximum(symbols, 0), positions)
    columns = (*names, *constants)
    return Readings(parts, columns, alone.astype(np.float32), given.astype(np.float32))


def _log_ratio(fitted: FittedTable, symbols: NDArray[np.int32], positions: NDArray[np.float32]) -> Floats:
    """Log of the density ratio, ``[n]``; zero without a refinement. The mean over the predictors of a target."""
    ratio = fitted.ratio
    if ratio is None:
        return np.zeros(len(symbols))
    known = np.maximum(symbols, 0)
    view = TreeView(fitted.layout).rows(known, positions)
    view[symbols < 0] = np.nan
    folds = range(FOLDS) if ratio.predictor is not None else range(1)
    found = [ratio(view, known, ratio.predict(view, np.full(len(view), fold, np.int8))) for fold in folds]
    return np.asarray(np.mean(found, axis=0), dtype=np.float64)
