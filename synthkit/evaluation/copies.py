"""Copies: whether synthetic rows lie nearer to the rows that the generator learned from than to others.

A copied table passes every fidelity score; only this page catches it. It is a check of memorising, not a privacy
guarantee.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.case import Case
from synthkit.evaluation.intervals import mean_interval
from synthkit.evaluation.metric import Metric
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


def _scored(name: str) -> Callable[[Case], Score]:
    """Return the function that computes one of the scores that share their distances."""

    def compute(case: Case) -> Score:
        three = case.share(
            "copies",
            lambda: copy_scores(
                case.view,
                case.train.coded,
                case.test.coded,
                case.synthetic.coded,
                case.generator(),
                most_rows=case.limits.neighbours,
            ),
        )
        return three[name]

    return compute


_ROWS = "at most 5,000 synthetic rows; equally many training and held-out rows"
METRICS = (
    Metric(
        name="dcr_share",
        theme="copies",
        title="nearest-record share",
        direction="half",
        bounds=(0.0, 1.0),
        ideal=0.5,
        source="share of distances to the closest record, as in TabSyn (Zhang et al. 2024)",
        meaning="{percent} of synthetic rows lie nearer to a training than to a held-out row; 50 % is chance.",
        reading="For each synthetic row: is the nearest training row nearer than the nearest of equally many held-out "
        "rows? Ties count one half.",
        lies="It is a smoke alarm, not a guarantee: tables that pass have been broken by membership attacks.",
        good="0.48 to 0.53.",
        rows=_ROWS,
        ceiling="halves",
        compute=_scored("dcr_share"),
    ),
    Metric(
        name="exact_train",
        theme="copies",
        title="equal to a training row",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=None,
        source="identical match share",
        meaning="{percent} of synthetic rows equal one of equally many training rows.",
        reading="Share of synthetic rows that equal a training row, up to rounding.",
        lies="In a table with few distinct rows repeats are no copies: compare with the next line.",
        good="No more than equal a held-out row.",
        rows=_ROWS,
        ceiling="halves",
        compute=_scored("exact_train"),
    ),
    Metric(
        name="exact_test",
        theme="copies",
        title="equal to a held-out row",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=None,
        source="identical match share",
        meaning="{percent} equal one of equally many held-out rows: that much is chance.",
        reading="The same share for held-out rows, which the generator cannot have copied.",
        lies="It says nothing alone: it is what the line above is compared with.",
        good="As the share of training rows.",
        rows=_ROWS,
        ceiling="halves",
        compute=_scored("exact_test"),
    ),
    Metric(
        name="copied",
        theme="copies",
        title="copied rows, whole table",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=None,
        source="identical match share",
        meaning="{percent} of all synthetic rows equal some training row in every column.",
        reading="Share of all synthetic rows that equal some training row in every column, cell by cell. The ceiling "
        "is the share of held-out rows that do.",
        lies="A copy with one cell changed is not counted: the near copies are.",
        good="No more than the ceiling.",
        rows="every row",
        compute=lambda case: copied_score(case.train.coded, case.synthetic.coded),
    ),
)
