"""Association: how strongly every pair of columns is related, whatever the kind of the columns and of the relation.

Adjusted mutual information of Vinh, Epps and Bailey (2010): mutual information minus what independent columns with the
same margins would show by chance, over the largest value that it can take. The chance part grows with the number of
categories and falls with the number of rows; without subtracting it a small table looks more related than a large one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import xlogy

from synthkit.evaluation.case import Case
from synthkit.evaluation.distances import cut, groups_of_both, inner_quantiles
from synthkit.evaluation.intervals import Floats, jackknife_interval
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, Codes, TableView

Pair = tuple[int, int]
# Numbers are cut at the real deciles.
_N_BINS = 10
# Rarer real labels than this many share one bin, with the labels that the real table lacks.
MOST_LABELS = 100
_MOST_LISTED = 20


@dataclass(frozen=True)
class Cuts:
    """How the values of each column are put into bins, learned from the real rows.

    Attributes
    ----------
    edges
        For each numeric column of the view where it is cut.
    places
        For each categorical column of the view the bin of each real label, then that of all other labels.
    """

    edges: tuple[Floats, ...]
    places: tuple[Codes, ...]

    @classmethod
    def learn(cls, view: TableView, real: CodedTable) -> Cuts:
        """Cut numbers at the real deciles and keep the most frequent real labels."""
        edges = tuple(inner_quantiles(column, _N_BINS) for column in real.numbers.T)
        places = []
        for codes, size in zip(real.codes.T, view.n_labels, strict=True):
            kept = np.argsort(-np.bincount(codes, minlength=size), kind="stable")[:MOST_LABELS]
            place = np.full(size + 1, len(kept), dtype=np.int64)
            place[kept] = np.arange(len(kept))
            places.append(place)
        return cls(edges, tuple(places))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of bins of each column of the view, numbers first."""
        return (*(len(edges) + 2 for edges in self.edges), *(int(place.max()) + 1 for place in self.places))

    def bins(self, table: CodedTable, column: int) -> Codes:
        """Return the bin of each row in a column of the view, shape [rows]."""
        if column < len(self.edges):
            return cut(table.numbers[:, column], self.edges[column])
        place = self.places[column - len(self.edges)]
        found: Codes = place[np.minimum(table.codes[:, column - len(self.edges)], len(place) - 1)]
        return found


def association_matrix(
    view: TableView, table: CodedTable, cuts: Cuts, columns: Sequence[str] | None = None
) -> tuple[tuple[str, ...], Floats]:
    """Return the adjusted mutual information of every pair of columns.

    Parameters
    ----------
    view
        How columns are read.
    table
        The rows.
    cuts
        The bins, the same for all tables that are compared.
    columns
        Names of the columns to look at; all by default.

    Returns
    -------
    tuple
        The names, numbers first, and a symmetric matrix [columns, columns] in [0, 1], with 1 on the diagonal; 0 where
        a column has a single value.
    """
    wanted = set(view.columns if columns is None else columns)
    chosen = [position for position, name in enumerate(view.columns) if name in wanted]
    counted = _Counted(table, cuts, chosen, np.zeros(len(table), dtype=np.int64), 0)
    matrix = np.diag([float(counted.entropy[column][0] > 0) for column in chosen])
    for first in range(len(chosen)):
        for second in range(first + 1, len(chosen)):
            value = float(counted.association((chosen[first], chosen[second]))[0])
            matrix[first, second] = matrix[second, first] = value
    return tuple(view.columns[position] for position in chosen), matrix


def association_matrices(
    view: TableView, real: CodedTable, synthetic: CodedTable, columns: Sequence[str] | None = None
) -> tuple[tuple[str, ...], Floats, Floats]:
    """Return the names of the columns and their associations in the real and in the synthetic table.

    Both tables are cut at the real deciles and labels; see `association_matrix`.
    """
    cuts = Cuts.learn(view, real)
    names, first = association_matrix(view, real, cuts, columns)
    return names, first, association_matrix(view, synthetic, cuts, columns)[1]


def expected_information(first: Codes, second: Codes) -> float:
    """Return the mutual information that two independent columns with these counts show by chance, in nats.

    Parameters
    ----------
    first, second
        Rows in each category of either column, shapes [categories].

    Notes
    -----
    Each cell of the table of two independent columns holds a hypergeometric number of rows; here a Poisson number with
    the same mean, scaled by the ratio of the variances. For tables of 50 rows or more the result is within some six
    per cent of the exact sum, which costs a sum over rows for every cell.
    """
    n = int(first.sum())
    sides = [counts[counts > 0].astype(np.float64) for counts in (first, second)]
    logarithms = np.log(sides[0])[:, None] + np.log(sides[1])[None] - math.log(n)
    excess = np.interp(logarithms, *_poisson_excess())
    weights = [1 - side / n for side in sides]
    return float(weights[0] @ excess @ weights[1]) / max(n - 1, 1)


@cache
def _poisson_excess() -> tuple[Floats, Floats]:
    """Return logarithms of means, and the expectation of k log(k / mean) for a Poisson number k of each mean."""
    means = np.exp(np.linspace(math.log(1e-6), math.log(200.0), 300))
    counts = np.arange(400)[:, None]
    terms = stats.poisson.pmf(counts, means) * xlogy(counts, np.maximum(counts, 1) / means)
    return np.log(means), terms.sum(axis=0)


class _Counted:
    """The bins of one table, with all that is counted for a single column.

    Parameters
    ----------
    table, cuts
        The rows and their bins.
    columns
        Positions in the view of the columns to keep.
    groups
        Jackknife group of each row.
    n_groups
        Number of groups; 0 for results on all rows only.
    """

    def __init__(self, table: CodedTable, cuts: Cuts, columns: Sequence[int], groups: Codes, n_groups: int) -> None:
        self._groups, self._n_groups = groups, n_groups
        removed = np.bincount(groups, minlength=n_groups)[:n_groups]
        self._rows = len(table) - np.concatenate([[0], removed]).astype(np.int64)
        counts = np.arange(len(table) + 1, dtype=np.float64)
        self._weighed = xlogy(counts, counts)
        # A bin is a small number: memory stays a quarter of that of the coded table.
        self._bins = {column: cuts.bins(table, column).astype(np.int16) for column in columns}
        self._sizes = cuts.sizes
        self.entropy: dict[int, Floats] = {}
        self._counts: dict[int, Codes] = {}
        for column in columns:
            by_group = self._by_group(self._bins[column].astype(np.int64), self._sizes[column])
            self.entropy[column], self._counts[column] = self._entropy(by_group)

    def association(self, pair: Pair) -> Floats:
        """Return the adjusted mutual information of two columns on all rows, then without each group."""
        first, second = pair
        sizes = self._sizes[first], self._sizes[second]
        joint = self._bins[first].astype(np.int64) * sizes[1] + self._bins[second]
        together, _ = self._entropy(self._by_group(joint, sizes[0] * sizes[1]))
        alone = self.entropy[first], self.entropy[second]
        # By chance the same number of nats times rows, whatever few rows are left out.
        chance = expected_information(self._counts[first], self._counts[second]) * len(joint) / self._rows
        largest = np.sqrt(alone[0] * alone[1]) - chance
        information = alone[0] + alone[1] - together - chance
        # The smallest possible difference of entropies that is no rounding is about log(n) / n.
        defined = largest > 1e-9
        return np.where(defined, np.clip(information / np.where(defined, largest, 1.0), 0.0, 1.0), 0.0)

    def _by_group(self, codes: Codes, size: int) -> Codes:
        """Return the rows with each code in each group, shape [at least 1, size]."""
        groups = max(self._n_groups, 1)
        return np.bincount(self._groups * size + codes, minlength=groups * size).reshape(groups, size)

    def _entropy(self, by_group: Codes) -> tuple[Floats, Codes]:
        """Return the entropy in nats on all rows, then without each group, and the rows with each code."""
        total = by_group.sum(axis=0)
        sums = [self._weighed[total].sum()]
        if self._n_groups:
            sums.extend(self._weighed[total - by_group].sum(axis=1))
        entropy = np.log(self._rows) - np.array(sums) / self._rows
        # One value alone has no entropy, up to rounding.
        return np.where(entropy < 1e-12, 0.0, entropy), total


def information_score(case: Case) -> Score:
    """Return the similarity of two tables of associations, with a jackknife interval.

    The sum of the smaller over the sum of the larger association of each pair of columns (Ruzicka similarity). Of more
    pairs than the limit of the case as many are drawn.
    """
    view, real, synthetic = case.view, case.train.coded, case.synthetic.coded
    n_columns = len(view.columns)
    pairs = [(first, second) for first in range(n_columns) for second in range(first + 1, n_columns)]
    n = len(synthetic)
    if not pairs:
        return Score(math.nan, n=n, direction="higher", note="a single column has no pairs")
    note = ""
    if len(pairs) > case.limits.pairs:
        note = f"{case.limits.pairs:,} of {len(pairs):,} pairs were drawn"
        kept = np.sort(case.generator().permutation(len(pairs))[: case.limits.pairs])
        pairs = [pairs[place] for place in kept]
    real_groups, groups, n_groups = groups_of_both(len(real), n, case.generator())
    cuts = case.root.share("association cuts", lambda: Cuts.learn(view, real))
    every = range(n_columns)
    # The real rows are the same in the controls.
    first = case.root.share(
        f"association of training rows, {n_groups} groups",
        lambda: _associations(_Counted(real, cuts, every, real_groups, n_groups), pairs),
    )
    second = _associations(_Counted(synthetic, cuts, every, groups, n_groups), pairs)
    smaller, larger = np.minimum(first, second).sum(axis=0), np.maximum(first, second).sum(axis=0)
    if larger[0] == 0:
        return Score(math.nan, n=n, direction="higher", note="no two columns are related in either table")
    similarity = np.divide(smaller, larger, out=np.ones_like(larger), where=larger > 0)
    low, high = jackknife_interval(float(similarity[0]), similarity[1:])
    worst = np.argsort(-np.abs(first[:, 0] - second[:, 0]), kind="stable")[:_MOST_LISTED]
    details = [
        [view.columns[pairs[place][0]], view.columns[pairs[place][1]], float(first[place, 0]), float(second[place, 0])]
        for place in worst
    ]
    return Score(
        float(similarity[0]),
        max(0.0, low),
        min(1.0, high),
        n=n,
        direction="higher",
        note=note,
        details={"pairs": details},
    )


def _associations(table: _Counted, pairs: Sequence[Pair]) -> npt.NDArray[np.float64]:
    """Return the association of each pair on all rows and without each group, shape [pairs, 1 + groups]."""
    return np.array([table.association(pair) for pair in pairs])


METRICS = (
    Metric(
        name="mutual_information",
        theme="fidelity",
        title="mutual information",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=1.0,
        source="adjusted mutual information of all pairs (Vinh et al. 2010), compared by Ruzicka similarity",
        meaning="{percent} of the association between columns is the same in both tables.",
        reading="The mutual information of every pair of columns, from 0 (unrelated) to 1 (each tells the other), "
        "less what unrelated columns show by chance; numbers are cut at the real deciles, and labels beyond the 100 "
        "most frequent are one. The score is the sum of the smaller over the sum of the larger value of each pair.",
        lies="It sees how strongly two columns are related, not how: a relation turned around counts as the same. "
        "Where no columns are related it compares noise with noise, as the ceiling shows.",
        good="Near the ceiling, which is above 0.95 for some ten thousand rows and about 0.8 for 500; independent "
        "columns are near 0.",
        rows="every row; at most 10,000 pairs",
        compute=information_score,
    ),
)
