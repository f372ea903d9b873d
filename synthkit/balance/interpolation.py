"""Interpolation between neighbours in tables of numbers and categories: the baseline for generators.

SMOTE and SMOTE-NC of Chawla et al. (2002), JAIR 16, with missing values, whole numbers, decimals and dates kept. It
knows no density: new rows lie between real ones, near copies where neighbours are near, and it guards nobody's privacy.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.errors import SchemaError, unknown_name
from synthkit.evaluation.view import TableView
from synthkit.random import RandomSource
from synthkit.tables.balancing import balance_counts

# In units of a number's standard deviation: two different categories are as far apart as numbers that differ by 0.7
# deviations.
_CATEGORY_WEIGHT = 0.5
_MOST_DECIMALS = 8
_UNITS = (86_400_000_000_000, 3_600_000_000_000, 60_000_000_000, 1_000_000_000)
_DECIMAL_ROWS = 2000


def interpolate_table(
    frame: pd.DataFrame,
    n: int,
    *,
    target: str | None = None,
    n_neighbours: int = 5,
    random_state: int | None = None,
) -> pd.DataFrame:
    """Draw a whole synthetic table by interpolation, with the class shares of the real one.

    Parameters
    ----------
    frame
        The real table.
    n
        Number of rows to draw.
    target
        A column of classes within which to interpolate; None to interpolate among all rows.
    n_neighbours
        Number of neighbours to choose from.
    random_state
        Seed; None for one from the operating system.

    Returns
    -------
    pandas.DataFrame
        `n` rows with the columns, types and decimals of `frame`.
    """
    generator = RandomSource(random_state).child("interpolation").numpy("rows")
    if target is None:
        return _interpolate(frame, n, n_neighbours, generator)
    drawn = frame[target].take(generator.integers(0, len(frame), n))
    counts = {label: int(count) for label, count in drawn.value_counts(dropna=False).items() if count}
    rows = _by_class(frame, target, counts, n_neighbours, generator)
    return rows.take(generator.permutation(len(rows))).reset_index(drop=True)


def balance_by_interpolation(
    frame: pd.DataFrame,
    target: str,
    *,
    ratio: float = 1.0,
    n_neighbours: int = 5,
    random_state: int | None = None,
) -> pd.DataFrame:
    """Bring every class to `ratio` times the size of the largest by interpolation.

    Parameters
    ----------
    frame
        The real table.
    target
        The column that holds the class.
    ratio
        Wanted size of every class relative to the largest, in (0, 1].
    n_neighbours
        Number of neighbours to choose from.
    random_state
        Seed; None for one from the operating system.

    Returns
    -------
    pandas.DataFrame
        The real rows, first and untouched, then the new ones.

    Raises
    ------
    InputError
        If the target is unknown or has one class, or the ratio is outside (0, 1].
    """
    if target not in frame.columns:
        raise SchemaError(unknown_name("target column", target, [str(name) for name in frame.columns]))
    counts = balance_counts(frame[target], target, ratio=ratio)
    if not counts:
        return frame.reset_index(drop=True)
    generator = RandomSource(random_state).child("interpolation").numpy("balance")
    return pd.concat([frame, _by_class(frame, target, counts, n_neighbours, generator)], ignore_index=True)


def _by_class(
    frame: pd.DataFrame,
    target: str,
    counts: Mapping[Hashable, int],
    n_neighbours: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Draw the given number of rows of each class."""
    parts = []
    for label, count in counts.items():
        # A missing label differs from itself.
        member = frame[target] == label if label == label else frame[target].isna()
        rows = frame[member.to_numpy(dtype=bool, na_value=False)]
        parts.append(_interpolate(rows.reset_index(drop=True), count, n_neighbours, generator))
    return pd.concat(parts, ignore_index=True)


def _interpolate(frame: pd.DataFrame, n: int, n_neighbours: int, generator: np.random.Generator) -> pd.DataFrame:
    """Draw rows between random rows and their neighbours."""
    base = generator.integers(0, len(frame), n)
    return interpolate_rows(TableView(frame), frame, base, generator, n_neighbours=n_neighbours)


def interpolate_rows(
    view: TableView,
    frame: pd.DataFrame,
    base: npt.NDArray[np.int64],
    generator: np.random.Generator,
    *,
    n_neighbours: int = 5,
) -> pd.DataFrame:
    """Draw a row between each of the given rows and one of its neighbours.

    Parameters
    ----------
    view
        How the columns are encoded: standardised numbers, and an indicator for each category. Of all rows of a table
        where those of one class are too few to tell the scale of a column.
    frame
        The rows to interpolate among, such as those of one class.
    base
        Places in ``frame`` to start from, shape [n].
    generator
        Chooses neighbours, and how far to go.
    n_neighbours
        Number of neighbours to choose from.

    Returns
    -------
    pandas.DataFrame
        n rows: numbers on the way from the row to its neighbour, categories by vote of the neighbours.
    """
    n = len(base)
    neighbours = _neighbours(view, frame, base, n_neighbours)
    if neighbours.shape[1] == 0:
        return frame.take(base).reset_index(drop=True)
    chosen = neighbours[np.arange(n), generator.integers(0, neighbours.shape[1], n)]
    way = generator.random(n)
    coded = view.code(frame)
    columns: dict[Hashable, pd.Series] = {}
    for name in frame.columns:
        if name in view.numeric:
            values = coded.numbers[:, view.numeric.index(str(name))]
            start, end = values[base], values[chosen]
            between = np.where(np.isnan(end), start, start + way * (end - start))
            columns[name] = _restored(between, frame[name])
        else:
            codes = coded.codes[:, view.categorical.index(str(name))]
            columns[name] = frame[name].take(_vote(codes, neighbours)).reset_index(drop=True)
    return pd.DataFrame(columns)


def _neighbours(
    view: TableView, frame: pd.DataFrame, base: npt.NDArray[np.int64], n_neighbours: int
) -> npt.NDArray[np.int64]:
    """Return the nearest other rows of each base row, shape [rows, neighbours]; fewer where the class is small."""
    from sklearn.neighbors import NearestNeighbors

    n_neighbours = min(n_neighbours, len(frame) - 1)
    if n_neighbours < 1:
        return np.empty((len(base), 0), dtype=np.int64)
    points = view.linear(view.code(frame))
    points[:, len(view.numeric) :] *= _CATEGORY_WEIGHT
    needed, place = np.unique(base, return_inverse=True)
    found = NearestNeighbors(n_neighbors=n_neighbours + 1).fit(points).kneighbors(points[needed], return_distance=False)
    # The row itself is among the nearest, but not always first where rows repeat: it is moved to the end and dropped.
    order = np.argsort(found == needed[:, None], axis=1, kind="stable")
    others: npt.NDArray[np.int64] = np.take_along_axis(found, order, axis=1)[:, :n_neighbours]
    return others[place]


def _vote(codes: npt.NDArray[np.int64], neighbours: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each row the nearest of the neighbours that hold the most frequent category."""
    votes = codes[neighbours]
    support = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    winner: npt.NDArray[np.int64] = neighbours[np.arange(len(votes)), support.argmax(axis=1)]
    return winner


def _restored(values: npt.NDArray[np.float64], like: pd.Series) -> pd.Series:
    """Return numbers in the type of a real column: whole numbers rounded, decimals as seen, dates as dates."""
    kind = like.dtype
    if isinstance(kind, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_any_dtype(kind):
        unit = _unit(like)
        stamps = np.where(np.isnan(values), np.iinfo(np.int64).min, np.round(values / unit) * unit).astype(np.int64)
        moments = pd.Series(stamps.astype("datetime64[ns]"))
        return (moments.dt.tz_localize("UTC") if isinstance(kind, pd.DatetimeTZDtype) else moments).astype(kind)
    if pd.api.types.is_integer_dtype(kind):
        whole = pd.Series(np.round(values))
        return whole.astype("Int64").astype(kind) if pd.api.types.is_extension_array_dtype(kind) else whole.astype(kind)
    return pd.Series(np.round(values, _decimals(like))).astype(kind)


def _unit(series: pd.Series) -> int:
    """Return the nanoseconds of the coarsest of day, hour, minute and second in which all dates are whole."""
    dates = pd.to_datetime(series.dropna(), utc=True).dt.tz_localize(None)
    stamps = dates.to_numpy("datetime64[ns]").astype(np.int64)
    return next((unit for unit in _UNITS if not (stamps % unit).any()), 1)


def _decimals(series: pd.Series) -> int:
    """Return the number of decimals that the numbers of a column are written with."""
    values = series.dropna().head(_DECIMAL_ROWS).to_numpy(dtype=np.float64)
    for decimals in range(_MOST_DECIMALS):
        if np.array_equal(np.round(values, decimals), values):
            return decimals
    return 15
