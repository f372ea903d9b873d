"""Copies: whether synthetic rows lie nearer to the rows that the generator learned from than to others.

A copied table passes every fidelity score; only this page catches it. It is a check of memorising, not a privacy
guarantee.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synthkit.evaluation.case import Case
from synthkit.evaluation.coverage import cell_interval
from synthkit.evaluation.intervals import LEVEL, NORMAL, Floats, mean_interval
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, TableView

MOST_ROWS = 5000
# Real rows that are searched for the nearest one; fewer for near copies where rows have more than 200 features.
MOST_REFERENCE = 50_000
MOST_CELLS = 10_000_000
# The share of held-out rows that are near by definition.
_NEAR = 0.01
# Rows this near in the standardised view are the same row up to rounding of floats.
_SAME = 1e-6


@dataclass(frozen=True)
class CopyDistances:
    """How near synthetic rows lie to training rows and to equally many held-out rows.

    Attributes
    ----------
    to_train, to_test
        Distance of each synthetic row to the nearest training and held-out row, shape [rows].
    owner
        Number of the nearest real row of each synthetic row: rows with the same one share its fate.
    kind
        Equal for equal synthetic rows, which all are copies or none is.
    n_real
        Number of training and held-out rows together.
    """

    to_train: Floats
    to_test: Floats
    owner: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    n_real: int

    def scores(self) -> dict[str, Score]:
        """Return the scores of `copy_scores`."""
        nearer = (self.to_train < self.to_test) + 0.5 * (self.to_train == self.to_test)
        share, low, high = _share_interval(nearer, self.owner, self.n_real)
        return {
            "dcr_share": Score(share, max(0.0, low), min(1.0, high), n=len(nearer), direction="half"),
            "exact_train": _share(self.to_train < _SAME, self.kind),
            "exact_test": _share(self.to_test < _SAME, self.kind),
        }

    def excess(self) -> Score:
        """Return the share of rows that equal a training row less the share of those that equal a held-out row."""
        difference = (self.to_train < _SAME).astype(np.float64) - (self.to_test < _SAME)
        return Score(*_difference_interval(difference, self.kind), n=len(difference), direction="lower")


def copy_distances(
    view: TableView,
    train: CodedTable,
    test: CodedTable,
    synthetic: CodedTable,
    generator: np.random.Generator,
    *,
    most_rows: int = MOST_ROWS,
) -> CopyDistances:
    """Return how near synthetic rows lie to training rows and to equally many held-out rows.

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
        At most this many synthetic rows; of training and held-out rows at most `MOST_REFERENCE`.
    """
    m = min(len(train), len(test), MOST_REFERENCE)
    rows = synthetic.take(generator.permutation(len(synthetic))[:most_rows])
    points = view.linear(rows)
    (to_train, in_train), (to_test, in_test) = (
        _nearest(view.linear(table.take(generator.permutation(len(table))[:m])), points) for table in (train, test)
    )
    owner = _numbered(np.where(to_train <= to_test, in_train, m + in_test))
    return CopyDistances(to_train, to_test, owner, _numbered(_row_hashes(rows)), 2 * m)


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
    view, train, test, synthetic, generator, most_rows
        As in `copy_distances`.

    Returns
    -------
    dict of Score
        ``dcr_share``: share of synthetic rows whose nearest training row is nearer than their nearest held-out row
        (ties count one half), 0.5 without memorising. ``exact_train`` and ``exact_test``: share of synthetic rows that
        are a training or held-out row; the first may not exceed the second, up to chance.
    """
    return copy_distances(view, train, test, synthetic, generator, most_rows=most_rows).scores()


def near_copied_score(
    view: TableView,
    train: CodedTable,
    test: CodedTable,
    synthetic: CodedTable,
    generator: np.random.Generator,
    *,
    most_rows: int = MOST_ROWS,
    most_reference: int = MOST_REFERENCE,
) -> Score:
    """Return the share of synthetic rows that lie nearer to a training row than 99 % of held-out rows do to theirs.

    Parameters
    ----------
    view
        How columns are read.
    train, test
        The rows the generator learned from, and held-out rows of the same source.
    synthetic
        The synthetic rows.
    generator
        Draws the rows.
    most_rows
        At most this many synthetic and held-out rows.
    most_reference
        At most this many training rows to be near to.

    Returns
    -------
    Score
        The share; its interval allows for the threshold, which is an estimate too. A threshold of 0 counts rows that
        equal a training row.
    """
    n_features = max(1, view.linear(train.take(np.arange(1))).shape[1])
    most_reference = max(most_rows, min(most_reference, MOST_CELLS // n_features))
    reference = view.linear(train.take(generator.permutation(len(train))[:most_reference]))
    held_out, distance = (
        _nearest(reference, view.linear(table.take(generator.permutation(len(table))[:most_rows])))[0]
        for table in (test, synthetic)
    )
    return near_share(held_out, distance)


def near_share(
    real: Floats,
    synthetic: Floats,
    *,
    clusters: npt.NDArray[np.int64] | None = None,
    reference: str = "held-out rows equal a training row",
) -> Score:
    """Return the share of distances of synthetic rows below the first percentile of those of real rows.

    Parameters
    ----------
    real, synthetic
        Distance of each row to its nearest other one, shape [rows].
    clusters
        Which synthetic rows share their fate, shape [rows]; None if none do.
    reference
        What real rows do at a distance of 0, for the note.
    """

    def near(level: float) -> tuple[float, float, float]:
        # This definition of the quantile is exceeded downwards by a new real row with that very probability.
        threshold = float(np.quantile(real, level, method="weibull"))
        values = synthetic < max(threshold - _SAME, _SAME)
        return mean_interval(values) if clusters is None else cell_interval(values, clusters)

    # The order statistics between which the true percentile lies.
    n = len(real)
    first, last = stats.binom.ppf([0.5 - LEVEL / 2, 0.5 + LEVEL / 2], n, _NEAR)
    value, low, high = near(_NEAR)[0], near(first / (n + 1))[1], near((last + 1) / (n + 1))[2]
    note = ""
    if float(np.quantile(real, _NEAR, method="weibull")) < 2 * _SAME:
        note = f"a hundredth or more of the {reference}, so only equal rows count as near"
    low, high = max(0.0, min(low, value)), min(1.0, max(high, value))
    return Score(value, low, high, n=len(synthetic), direction="lower", note=note)


def copied_score(train: CodedTable, synthetic: CodedTable) -> Score:
    """Return the share of all synthetic rows that equal some training row in every column.

    To be read beside the same share of held-out rows: in a table with few distinct rows repeats are no copies.
    """
    hashes = _row_hashes(synthetic)
    return _share(np.isin(hashes, np.unique(_row_hashes(train))), _numbered(hashes))


def _share(values: npt.NDArray[np.bool_], clusters: npt.NDArray[np.int64]) -> Score:
    """Return the share of rows for which something holds; rows of one cluster all have it or none has."""
    value, low, high = cell_interval(values, clusters)
    return Score(value, max(0.0, low), min(1.0, high), n=len(values), direction="lower")


def _share_interval(nearer: Floats, owner: npt.NDArray[np.int64], n_real: int) -> tuple[float, float, float]:
    """Return the share of synthetic rows that lie nearer to a training row, and its interval.

    A real row decides for all synthetic rows that it is the nearest to: the variance is that of clusters. As many of
    the real rows are training as held-out rows by design, which takes off the variance of a draw of so many rows.
    """
    share, low, high = mean_interval(nearer)
    sums = np.bincount(owner, weights=nearer - share)
    variance = float((sums**2).sum()) / len(nearer) ** 2 - share * (1 - share) / n_real
    half = NORMAL * float(np.sqrt(max(0.0, variance)))
    return share, min(low, share - half), max(high, share + half)


def _difference_interval(difference: Floats, clusters: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    """Return the mean of differences that are -1, 0 or 1, and its interval.

    The interval keeps its width where all differences are 0: it is Newcombe's for the shares of 1 and of -1.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 2635: interval estimation for the difference of proportions.
    """
    value, low, high = cell_interval(difference, clusters)
    more, less = mean_interval(difference > 0), mean_interval(difference < 0)
    lower = value - float(np.hypot(more[0] - more[1], less[2] - less[0]))
    upper = value + float(np.hypot(more[2] - more[0], less[0] - less[1]))
    return value, max(-1.0, min(low, lower)), min(1.0, max(high, upper))


def _numbered(keys: npt.NDArray[np.int64] | npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the number of each key among the distinct ones."""
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _nearest(
    reference: npt.NDArray[np.float32], points: npt.NDArray[np.float32]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return for each point the distance and the position of the nearest reference row."""
    from sklearn.neighbors import NearestNeighbors

    distances, positions = NearestNeighbors(n_neighbors=1).fit(reference).kneighbors(points)
    return distances[:, 0].astype(np.float64), positions[:, 0]


def _row_hashes(table: CodedTable) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of each row; missing numbers are equal to each other."""
    parts = {f"n{position}": column + 0.0 for position, column in enumerate(table.numbers.T)}
    parts |= {f"c{position}": column for position, column in enumerate(table.codes.T)}
    return pd.util.hash_pandas_object(pd.DataFrame(parts), index=False).to_numpy().astype(np.uint64)


def _distances(case: Case) -> CopyDistances:
    """Return the distances that several scores of a case share."""
    tables = (case.train.coded, case.test.coded, case.synthetic.coded)
    return case.share(
        "copies",
        lambda: copy_distances(case.view, *tables, case.generator(), most_rows=case.limits.neighbours),
    )


def _scored(name: str) -> Callable[[Case], Score]:
    """Return the function that computes one of the scores that share their distances."""
    return lambda case: _distances(case).scores()[name]


def _near_copied(case: Case) -> Score:
    most = case.limits.neighbours if case.role == "synthetic" else max(1, case.limits.neighbours // 4)
    tables = (case.train.coded, case.test.coded, case.synthetic.coded)
    return near_copied_score(case.view, *tables, case.generator(), most_rows=most)


_ROWS = "at most 5,000 synthetic rows; equally many training and held-out rows, at most 50,000"
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
    Metric(
        name="copy_excess",
        theme="copies",
        title="copies beyond chance",
        direction="lower",
        bounds=(-1.0, 1.0),
        ideal=0.0,
        source="identical match share, training less held-out rows",
        meaning="Synthetic rows equal a training row more often than a held-out one by {percent} of all rows.",
        reading="The share of synthetic rows that equal one of some training rows, less the share that equal one of "
        "equally many held-out rows; row by row, so that what is common to both does not count. Above 0, training rows "
        "are repeated more often than chance allows.",
        lies="Where fewer rows are held out than trained on, only as many training rows are looked at: with a fifth "
        "held out, a full copy of the training table scores about 0.25. Copies with a little noise are not counted.",
        good="An interval that holds 0.",
        rows=_ROWS,
        ceiling="halves",
        compute=lambda case: _distances(case).excess(),
    ),
    Metric(
        name="near_copied",
        theme="copies",
        title="near copies of training rows",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=_NEAR,
        source="distance to the closest record against that of held-out rows",
        meaning="{percent} of synthetic rows lie nearer to a training row than 99 % of real held-out rows do.",
        reading="For each synthetic row the distance to the nearest training row, numbers in standard deviations and "
        "an indicator for each category. Near is what is below the first percentile of the same distance of held-out "
        "rows: 1 % of honest rows are. Finds copies with a little noise.",
        lies="Typical rows lie near to training rows honestly, so a generator that avoids rare rows scores a few per "
        "cent without copying. Where a hundredth of the held-out rows equal a training row, only equal rows count as "
        "near: compare with the ceiling. With fewer than 99 held-out rows the smallest distance is the limit. Of more "
        "than 50,000 training rows (or 10 million features) some are looked at, and a copy of one that is not can be "
        "missed.",
        good="Below 0.05, and not far above the ceiling. A noisy copy of the training table scores near 1.",
        rows="at most 5,000 synthetic and held-out rows (controls: 1,250) against at most 50,000 training rows",
        ceiling="halves",
        compute=_near_copied,
    ),
)
