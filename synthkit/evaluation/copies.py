"""Copies: whether synthetic rows lie nearer to the rows that the generator learned from than to others.

A copied table passes every fidelity score; only this page catches it. It is a check of memorising, not a privacy
guarantee.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.intervals import mean_interval
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView

MOST_ROWS = 5000
# Rows this near in the standardised view are the same row up to rounding of floats.
_SAME = 1e-6


def copy_scores(
    view: TableView,
    train: CodedTable,
    test: CodedTable,
    synthetic: CodedTable,
    generator: np.random.Generator,
    *,
    most_rows: int = MOST_ROWS,
) -> dict[str, Score]:
    """Compare the distance of synthetic rows to training rows with that to equally many held-out rows.

    Parameters
    ----------
    view
        How columns are read.
    train, test
        The rows the generator learned from, and held-out rows of the same source.
    synthetic
        The synthetic rows, of which at most `most_rows` are looked at.
    generator
        Draws the rows.
    most_rows
        At most this many synthetic rows.

    Returns
    -------
    dict of Score
        ``dcr_share``: share of synthetic rows whose nearest training row is nearer than their nearest held-out row
        (ties count one half), 0.5 without memorising. ``exact_train`` and ``exact_test``: share of synthetic rows that
        are a training or held-out row; the first may not exceed the second, up to chance.
    """
    m = min(len(train), len(test))
    chosen = generator.permutation(len(synthetic))[:most_rows]
    points = view.linear(synthetic.take(chosen))
    to_train, to_test = (
        _nearest(view.linear(table.take(generator.permutation(len(table))[:m])), points) for table in (train, test)
    )
    n = len(points)
    share, low, high = mean_interval((to_train < to_test) + 0.5 * (to_train == to_test))
    scores = {"dcr_share": Score(share, max(0.0, low), min(1.0, high), n=n, direction="half")}
    for name, distance in (("exact_train", to_train), ("exact_test", to_test)):
        scores[name] = Score(*mean_interval(distance < _SAME), n=n, direction="lower")
    return scores


def copied_score(train: CodedTable, synthetic: CodedTable) -> Score:
    """Return the share of all synthetic rows that equal some training row in every column.

    To be read beside the same share of held-out rows: in a table with few distinct rows repeats are no copies.
    """
    known = np.unique(_row_hashes(train))
    return Score(*mean_interval(np.isin(_row_hashes(synthetic), known)), n=len(synthetic), direction="lower")


def _nearest(reference: npt.NDArray[np.float32], points: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the distance of each point to the nearest reference row."""
    from sklearn.neighbors import NearestNeighbors

    distances: npt.NDArray[np.float64] = NearestNeighbors(n_neighbors=1).fit(reference).kneighbors(points)[0][:, 0]
    return distances


def _row_hashes(table: CodedTable) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of each row; missing numbers are equal to each other."""
    parts = {f"n{position}": column + 0.0 for position, column in enumerate(table.numbers.T)}
    parts |= {f"c{position}": column for position, column in enumerate(table.codes.T)}
    return pd.util.hash_pandas_object(pd.DataFrame(parts), index=False).to_numpy().astype(np.uint64)
