"""Repeats: whether a synthetic table repeats itself with little changes.

A generator that grows many rows from few states, or that has collapsed to few rows, fills a table with near copies of
its own rows. Margins, pairs and the distance to real rows look well; an analysis takes them for as many people.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synthkit.evaluation.case import Case
from synthkit.evaluation.copies import MOST_CELLS, MOST_REFERENCE, near_share
from synthkit.evaluation.intervals import Floats
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView


def repeated_score(
    view: TableView,
    real: CodedTable,
    synthetic: CodedTable,
    generator: np.random.Generator,
    *,
    most_rows: int,
    most_reference: int = MOST_REFERENCE,
) -> Score:
    """Return the share of synthetic rows nearer to another synthetic row than 99 % of real rows are to a real one.

    Parameters
    ----------
    view
        How columns are read.
    real, synthetic
        The rows.
    generator
        Draws the rows.
    most_rows
        At most this many rows of either kind are looked at.
    most_reference
        At most this many rows of either kind to be near to; equally many of both.

    Returns
    -------
    Score
        The share, 0.01 for rows that are as different as real ones. In its interval near copies of each other count as
        one row.
    """
    features = max(1, view.linear(real.take(np.arange(min(1, len(real))))).shape[1])
    m = min(len(real), len(synthetic), max(most_rows, min(most_reference, MOST_CELLS // features)))
    if m < 2:
        return Score(float("nan"), n=m, direction="lower", note="needs two rows of either kind")
    points = (view.linear(table.take(generator.permutation(len(table))[:m])) for table in (real, synthetic))
    (own, _), (distance, families) = (_to_another(rows, most_rows) for rows in points)
    return near_share(own, distance, clusters=families, reference="real rows equal another one")


def _to_another(points: npt.NDArray[np.float32], most_rows: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return for each of the first points the distance to the nearest other one, and its family by nearest points."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from sklearn.neighbors import NearestNeighbors

    asked = np.arange(min(len(points), most_rows))
    distances, places = NearestNeighbors(n_neighbors=2).fit(points).kneighbors(points[asked])
    # a point is its own nearest, but for equal points, of which either may come first
    other = np.where(places[:, 0] == asked, 1, 0)
    nearest = places[asked, other]
    links = coo_array((np.ones(len(asked)), (asked, nearest)), shape=(len(points), len(points)))
    families = connected_components(links, directed=False)[1][asked]
    return distances[:, 1].astype(np.float64), families.astype(np.int64)


def _repeated(case: Case) -> Score:
    most = case.limits.neighbours if case.role == "synthetic" else max(2, case.limits.neighbours // 4)
    return repeated_score(case.view, case.train.coded, case.synthetic.coded, case.generator(), most_rows=most)


METRICS = (
    Metric(
        name="near_repeated",
        theme="coverage",
        title="near copies of each other",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.01,
        source="distance to the closest record, within the table, against that of real rows",
        meaning="{percent} of synthetic rows lie nearer to another one than 99 % of real rows do to another real row.",
        reading="For each row the distance to the nearest other row of its own table, equally many rows of both, "
        "numbers in standard deviations and an indicator for each category. Near is what is below the first percentile "
        "of that distance of real rows: 1 % of honest rows are. Finds families of rows that differ in a cell or two.",
        lies="A generator that avoids rare rows scores a few per cent without repeating any. Where a hundredth of the "
        "real rows equal another one, only equal rows count as near: compare with the ceiling. Repeats are found among "
        "the rows that are looked at, and of a large table those are some.",
        good="Below 0.05, and not far above the ceiling. Clearly above it, the table holds less than its rows promise: "
        "intervals computed from it are too narrow.",
        rows="at most 5,000 rows of either kind (controls: 1,250) against at most 50,000 of their own",
        compute=_repeated,
    ),
)
