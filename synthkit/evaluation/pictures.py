"""What a report draws, as small frozen records: no row of any table is needed any more once they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.association import association_matrices
from synthkit.evaluation.case import Case
from synthkit.evaluation.detection import roc_curve_points, tree_detection
from synthkit.evaluation.fidelity import shape_errors
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import Codes, Floats

Numbers = tuple[float, ...]
Matrix = tuple[Numbers, ...]
Kind = Literal["number", "date", "category"]

_N_BINS = 30
# Whole numbers over a range of at most this many get one bar each.
_MOST_WHOLE = 40
# Any other number with at most this many different values gets one bar for each.
_MOST_VALUES = 20
_MOST_CATEGORIES = 20
_GLANCE = 10_000
# Bins reach to these real quantiles where the values beyond them would stretch the picture by more than _LONG_TAIL.
_QUANTILES = (0.005, 0.995)
_LONG_TAIL = 0.25
_MOST_ASSOCIATED = 60
_MOST_POINTS = 1500


@dataclass(frozen=True)
class ColumnPicture:
    """The margins of one column.

    Attributes
    ----------
    name
        The column.
    kind
        "number", "date" or "category".
    error
        Distance of the two margins.
    labels
        The bins (as texts), values or categories.
    edges
        Ends of the bins of a number or a date (nanoseconds since 1970), one more than labels; the first or last is
        infinite where a bin holds everything beyond. Empty for a category and for a number with a bar for each value.
    real, synthetic
        Share of the present values in each.
    missing
        Share of missing cells, real and synthetic.
    """

    name: str
    kind: Kind
    error: float
    labels: tuple[str, ...]
    edges: Numbers
    real: Numbers
    synthetic: Numbers
    missing: tuple[float, float]


@dataclass(frozen=True)
class Pictures:
    """Everything that is drawn.

    Attributes
    ----------
    columns
        The margins, worst first.
    associated
        Names of the columns in the two matrices.
    real_association, synthetic_association
        Association of each pair of columns in [0, 1].
    projection
        "real" and "synthetic": points of a projection to two dimensions that was fitted on both, [points, 2].
    explained
        Share of the variance that each of the two dimensions shows.
    roc
        False and true positive rates of the boosted two-sample test; empty when there is none.
    """

    columns: tuple[ColumnPicture, ...] = ()
    associated: tuple[str, ...] = ()
    real_association: Matrix = ()
    synthetic_association: Matrix = ()
    projection: Mapping[str, Matrix] | None = None
    explained: Numbers = ()
    roc: tuple[Numbers, Numbers] = ((), ())


def draw_pictures(case: Case, scores: Mapping[str, Score]) -> Pictures:
    """Return what the report of a case draws.

    Parameters
    ----------
    case
        The tables; every row is counted in the margins, at most 1,500 of each kind are projected.
    scores
        The scores by name: the columns are sorted by their shape error.
    """
    shape = scores.get("shape_err")
    errors = dict(shape.details["columns"]) if shape is not None and "columns" in shape.details else None
    if errors is None:
        errors = shape_errors(case.view, case.train.coded, case.synthetic.coded)
    worst = sorted(errors, key=lambda name: -errors[name])
    associated, real, synthetic = _associations(case, worst)
    projection, explained = _projection(case)
    return Pictures(
        columns=tuple(_column(case, name, float(errors[name])) for name in worst),
        associated=associated,
        real_association=real,
        synthetic_association=synthetic,
        projection=projection,
        explained=explained,
        roc=_roc(case) if "c2st_tree" in scores and scores["c2st_tree"].applies else ((), ()),
    )


def _column(case: Case, name: str, error: float) -> ColumnPicture:
    if name not in case.view.numeric:
        return _categories(case, name, error)
    position = case.view.numeric.index(name)
    values = [rows.coded.numbers[:, position] for rows in (case.train, case.synthetic)]
    missing = _share(np.isnan(values[0])), _share(np.isnan(values[1]))
    real, synthetic = (column[~np.isnan(column)] for column in values)
    date = pd.api.types.is_datetime64_any_dtype(case.train.frame[name].dtype)
    labels, edges, places = bins(real, synthetic, date=date)
    shares = [_shares(codes, len(labels)) for codes in places]
    return ColumnPicture(name, "date" if date else "number", error, labels, edges, shares[0], shares[1], missing)


def bins(real: Floats, synthetic: Floats, *, date: bool) -> tuple[tuple[str, ...], Numbers, tuple[Codes, Codes]]:
    """Return how a number is cut for a picture.

    Parameters
    ----------
    real, synthetic
        The present values, shape [values].
    date
        Whether they are nanoseconds since 1970.

    Returns
    -------
    labels, edges
        Texts and ends of the bins; no edges where each value has its own bar.
    places
        The bin of each real and of each synthetic value.
    """
    both = np.concatenate([real, synthetic])
    if len(both) == 0:
        return (), (), (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    smallest, largest = float(both.min()), float(both.max())
    whole = not date and bool((both == np.round(both)).all())
    few = whole and largest - smallest <= _MOST_WHOLE
    # A glance at some of the values saves sorting all of a large table.
    if not few and len(np.unique(both[:_GLANCE])) <= _MOST_VALUES:
        values = np.unique(both)
        if len(values) <= _MOST_VALUES:
            labels = tuple(_moment(value) if date else _plain(value) for value in values)
            return labels, (), (np.searchsorted(values, real), np.searchsorted(values, synthetic))
    low, high = (smallest, largest) if few else _range(real, smallest, largest)
    inner = _edges(low, high, whole=whole, few=few, date=date)
    # A value beyond the last edge by rounding only is not worth a bin of its own.
    slack = 1e-9 * (inner[1] - inner[0])
    ends = [float(edge) for edge in inner]
    if smallest < ends[0] - slack:
        ends.insert(0, -np.inf)
    if largest > ends[-1] + slack:
        ends.append(np.inf)
    labels = tuple(_bin_label(*ends[place : place + 2], whole=whole, date=date) for place in range(len(ends) - 1))
    cuts = np.array(ends[1:-1])
    return labels, tuple(ends), (np.searchsorted(cuts, real, "right"), np.searchsorted(cuts, synthetic, "right"))


def _range(real: Floats, smallest: float, largest: float) -> tuple[float, float]:
    """Return the part of the joint range that is drawn: all of it, or the real quantiles where tails are long."""
    if len(real) == 0:
        return smallest, largest
    low, high = (float(end) for end in np.quantile(real, _QUANTILES))
    tail = _LONG_TAIL * (high - low)
    if not 0 < tail < np.inf:
        return smallest, largest
    return (low if low - smallest > tail else smallest), (high if largest - high > tail else largest)


def _edges(low: float, high: float, *, whole: bool, few: bool, date: bool) -> Floats:
    """Return the ends of about thirty bins; those of whole numbers lie between them, others are round numbers."""
    # Divided first: the width of the whole range may not be finite.
    width = high / _N_BINS - low / _N_BINS
    if date:
        return np.linspace(low, high, _N_BINS + 1, dtype=np.float64)
    if whole and width <= 10:
        step, first = 1.0 if few else float(np.ceil(width)), float(low)
    else:
        power = 10.0 ** np.floor(np.log10(width))
        step = float(power * next(factor for factor in (1, 2, 5, 10) if factor * power >= 0.999 * width))
        first = float(np.floor(low / step)) * step
    last = high + 1 if whole else high
    edges: Floats = first + step * np.arange(max(np.ceil(last / step - first / step - 1e-9), 1) + 1)
    return edges - 0.5 if whole else edges


def _bin_label(low: float, high: float, *, whole: bool, date: bool) -> str:
    if date:
        day = high - low > 2 * 86_400e9
        ends = ["" if np.isinf(end) else _moment(end, day=day) for end in (low, high)]
    elif whole:
        low, high = float(np.ceil(low)), float(np.floor(high))
        if low == high:
            return _plain(low)
        if np.isinf(high):
            return f"{_plain(low)} or more"
        ends = ["" if np.isinf(low) else _plain(low), _plain(high + 1 if np.isinf(low) else high)]
    else:
        ends = ["" if np.isinf(end) else _plain(end) for end in (low, high)]
    if not ends[0]:
        return f"below {ends[1]}"
    return f"{ends[0]} to {ends[1]}" if ends[1] else f"{ends[0]} or more"


def _plain(value: float) -> str:
    """Return a number without the noise of its last binary digits, in groups of three from 10,000 on."""
    if abs(value) >= 1e15 or 0 < abs(value) < 1e-4:
        return f"{value:.6g}".replace("-", "−")
    value += 0.0  # no minus zero
    rounded = f"{value:,.0f}" if value == round(value) else f"{value:,.10g}"
    return (rounded if abs(value) >= 10_000 else rounded.replace(",", "")).replace("-", "−")


def _moment(nanoseconds: float, *, day: bool = False) -> str:
    moment = pd.Timestamp(round(nanoseconds))
    if day or moment == moment.normalize():
        return moment.strftime("%Y-%m-%d")
    return moment.strftime("%Y-%m-%d %H:%M" if moment.second == 0 else "%Y-%m-%d %H:%M:%S")


def _categories(case: Case, name: str, error: float) -> ColumnPicture:
    """Return the shares of the most frequent real categories, of all others, and of those the real table lacks."""
    position = case.view.categorical.index(name)
    known = case.view.labels[name]
    n_known, texts = len(known), list(known)
    counts, missing = [], []
    for rows in (case.train, case.synthetic):
        absent = rows.frame[name].isna().to_numpy()
        codes = np.minimum(rows.coded.codes[~absent, position], n_known)
        counts.append(np.bincount(codes, minlength=n_known + 1))
        missing.append(_share(absent))
    seen = counts[0] + counts[1] > 0
    order = [code for code in np.lexsort([-counts[1], -counts[0]]) if seen[code] and code < n_known]
    if len(order) > _MOST_CATEGORIES + 1:
        order, rest = order[:_MOST_CATEGORIES], order[_MOST_CATEGORIES:]
    else:
        rest = []
    labels = [texts[code] for code in order]
    labels += [f"all {len(rest):,} others"] * bool(rest) + ["not in the real table"] * bool(seen[n_known])
    shares = []
    for count in counts:
        kept = [*count[order], *([count[rest].sum()] if rest else []), *([count[n_known]] if seen[n_known] else [])]
        shares.append(tuple(float(part) / max(int(count.sum()), 1) for part in kept))
    return ColumnPicture(name, "category", error, tuple(labels), (), shares[0], shares[1], (missing[0], missing[1]))


def _share(marks: npt.NDArray[np.bool_]) -> float:
    return float(marks.mean()) if len(marks) else 0.0


def _shares(places: Codes, size: int) -> Numbers:
    counts = np.bincount(places, minlength=size)
    return tuple((counts / max(len(places), 1)).tolist())


def _associations(case: Case, worst: list[str]) -> tuple[tuple[str, ...], Matrix, Matrix]:
    """Return the columns of the two matrices, at most the worst sixty, and the association of each pair."""
    chosen = worst[:_MOST_ASSOCIATED]
    if len(chosen) < 2:
        return (), (), ()
    names, *matrices = association_matrices(case.view, case.train.coded, case.synthetic.coded, chosen)
    real, synthetic = (tuple(tuple(row) for row in matrix.tolist()) for matrix in matrices)
    return names, real, synthetic


def _projection(case: Case) -> tuple[dict[str, Matrix] | None, Numbers]:
    """Return the first two principal components of equally many rows of each kind, fitted on both."""
    from sklearn.decomposition import PCA

    generator = case.generator()
    n = min(len(case.train), len(case.synthetic), _MOST_POINTS)
    tables = (case.train.coded, case.synthetic.coded)
    first, second = (table.take(generator.permutation(len(table))[:n]) for table in tables)
    points = case.view.linear(first.above(second))
    if points.shape[1] < 2 or not np.isfinite(points).all() or not points.std(axis=0).any():
        return None, ()
    fitted = PCA(n_components=2, random_state=0)
    placed = fitted.fit_transform(points)
    parts = {"real": placed[:n], "synthetic": placed[n:]}
    explained: Numbers = tuple(fitted.explained_variance_ratio_.tolist())
    return {kind: tuple(tuple(point) for point in part.tolist()) for kind, part in parts.items()}, explained


def _roc(case: Case) -> tuple[Numbers, Numbers]:
    """Return the ROC curve of the boosted two-sample test, thinned to what a picture can show."""
    found = tree_detection(case)
    return roc_curve_points(found.positive, found.negative)
