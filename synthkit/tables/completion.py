"""Rows that are being completed, and boosted trees that say of one column what its cells could be given the others.

The codes are the start and the offset: trees learn only what the codes miss, from the rows where the cell is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synthkit.gan.boosting import TreeSettings, TreeView, available_threads
from synthkit.gan.layout import Layout
from synthkit.tables.columns import ColumnCode

if TYPE_CHECKING:
    import lightgbm

Symbols = NDArray[np.int32]
Positions = NDArray[np.float32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]

MOST_CLASSES = 15
"""Labels of a column up to which each gets trees of its own; beyond, the codes alone say what the label is."""
ENOUGH = 200
"""Known cells of a column below which trees find nothing that is not chance."""
MOST_ROWS = 50_000
"""Known cells that the trees of a column learn from, at most."""
_LARGE = 20_000


class Completion:
    """Rows with hidden cells, which are being filled.

    Parameters
    ----------
    layout, codes
        The columns.
    symbols, positions
        ``[n, C]``, filled in place; negative symbols are cells that the model cannot tell.
    hidden
        Cells to fill ``[n, C]``.

    Attributes
    ----------
    view
        The rows as trees see them, ``[n, C]``.
    """

    def __init__(
        self, layout: Layout, codes: list[ColumnCode], symbols: Symbols, positions: Positions, hidden: Bools
    ) -> None:
        self.layout, self.codes = layout, codes
        self.symbols, self.positions, self.hidden = symbols, positions, hidden
        self._trees_see = TreeView(layout)
        self.view = self._trees_see.rows(np.maximum(symbols, 0), positions)
        self.view[symbols < 0] = np.nan

    def put(self, column: int, rows: Rows, symbols: Symbols, positions: Positions) -> None:
        """Fill cells of a column."""
        self.symbols[rows, column], self.positions[rows, column] = symbols, positions
        self.view[rows, column] = self._trees_see.column(column, symbols, positions)

    def order(self) -> list[int]:
        """Columns with hidden cells, those with the fewest first."""
        counts = self.hidden.sum(axis=0)
        return [int(column) for column in np.argsort(counts, kind="stable") if counts[column]]

    def known(self, column: int) -> Rows:
        """Rows whose cell in this column is known."""
        there = ~self.hidden[:, column] & (self.symbols[:, column] >= int(self.codes[column].missing))
        return np.flatnonzero(there)

    def is_ranked(self, column: int) -> bool:
        """Whether the values of a column lie on a line, and are more than two."""
        own = slice(self.layout.offsets[column], self.layout.offsets[column + 1])
        return bool(self.layout.ranked[own].sum() > 2)

    def others(self, column: int, extra: NDArray[Any]) -> NDArray[np.float32]:
        """What the trees of a column see: the other columns, and what the codes say of this one."""
        return np.concatenate([np.delete(self.view, column, axis=1), extra.astype(np.float32)], axis=1)


def grow(
    features: NDArray[np.float32], response: NDArray[Any], offset: Floats, classes: int, trees: int, seed: int
) -> lightgbm.Booster:
    """Trees that go on from an offset.

    Parameters
    ----------
    features
        ``[n, F]``, NaN where a cell is not known.
    response
        ``[n]``: class from 0, or a number.
    offset
        Log-probabilities of the classes ``[n, classes]``, or numbers ``[n]``.
    classes
        At least two, or 0 for numbers.
    trees
        How many rounds; half as many for more than two classes, of which each has a tree in every round.
    seed
        Of LightGBM.
    """
    import lightgbm

    settings = TreeSettings(trees=trees, leaves=31 if len(features) >= _LARGE else 15, min_rows=20, learning_rate=0.15)
    objective = "regression" if not classes else "binary" if classes == 2 else "multiclass"
    chosen = settings.parameters(seed) | {"objective": objective, "bagging_fraction": 0.8}
    if classes > 2:
        chosen["num_class"] = classes
    start = offset if classes != 2 else offset[:, 1] - offset[:, 0]
    data = lightgbm.Dataset(features, response, init_score=start, free_raw_data=True)
    return lightgbm.train(chosen, data, trees if classes <= 2 else trees // 2)


def predict(trees: lightgbm.Booster, features: NDArray[np.float32], offset: Floats, classes: int) -> Floats:
    """Numbers ``[n]``, or log-probabilities of the classes ``[n, classes]``."""
    raw = np.asarray(trees.predict(features, raw_score=True, num_threads=available_threads()), dtype=np.float64)
    if not classes:
        return offset + raw
    if classes == 2:
        raw = np.stack([np.zeros(len(raw)), raw], axis=1)
    scores = offset + raw
    scores = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), dtype=np.float64)


def some(rows: Rows, rng: np.random.Generator, most: int = MOST_ROWS) -> Rows:
    """At most so many of the rows, drawn at random, in order."""
    return rows if len(rows) <= most else np.sort(rng.permutation(rows)[:most])
