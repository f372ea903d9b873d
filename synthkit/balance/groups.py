"""The rows of a target that are brought to a size together: its classes, or ranges of a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.errors import DataError, InputError
from synthkit.tables.balancing import balance_counts

MOST_CLASSES = 20
"""A number with more distinct values than this is no class, unless counts are asked for."""


class ResampleError(DataError, ValueError):
    """A target that cannot be balanced; a `ValueError` too, as imbalanced-learn's users expect."""


@dataclass(frozen=True)
class Group:
    """A class, or a range of a numeric target.

    Attributes
    ----------
    name
        What people read.
    condition
        What rows of it satisfy, as `TableGAN.sample` takes it.
    rows
        Places of its real rows, shape [rows].
    wanted
        Rows to add.
    """

    name: str
    condition: Any
    rows: npt.NDArray[np.int64]
    wanted: int


def class_groups(
    labels: pd.Series[Any], name: str, *, ratio: float | None = None, counts: Mapping[Any, int] | None = None
) -> list[Group]:
    """Classes in the order in which they first occur; rows without a class belong to none.

    Parameters
    ----------
    labels
        The column of classes.
    name
        Its name, for messages.
    ratio
        Rows of every class as a share of the largest class, in (0, 1]; 1 when neither is given.
    counts
        Rows that these classes shall have instead; the others stay as they are.

    Raises
    ------
    ResampleError
        Fewer than two classes, a number that is none, or a class of one row that is to grow.
    InputError
        A ratio outside (0, 1], one that would need removal, an unknown class, or a count below what there is.
    """
    if counts is None and _is_number(labels) and labels.nunique() > MOST_CLASSES:
        raise ResampleError(
            f"column {name!r} has {labels.nunique():,} distinct numbers, expected classes",
            remedy="give quantiles, such as 0.1 and 0.9, to balance the ranges between them",
        )
    added = _checked(balance_counts, labels, name, ratio=1.0 if ratio is None else ratio, counts=counts)
    positions, found = pd.factorize(labels, use_na_sentinel=True)
    sizes = np.bincount(positions[positions >= 0], minlength=len(found))
    if counts is None and ratio is not None:
        _check_ratio(sizes, ratio, name)
    groups = []
    for code, label in enumerate(found):
        rows = np.flatnonzero(positions == code).astype(np.int64)
        plain = label.item() if isinstance(label, np.generic) else label
        groups.append(_grown(Group(str(label), plain, rows, int(added.get(label, 0))), name))
    return groups


def range_groups(
    numbers: pd.Series[Any], name: str, quantiles: Sequence[float], *, ratio: float | None = None
) -> list[Group]:
    """Ranges of a numeric target between quantiles, ascending; a border belongs to the range below it.

    Parameters
    ----------
    numbers
        The target; missing cells belong to no range.
    name
        Its name, for messages.
    quantiles
        Shares of the rows at which the target is cut, ascending, between 0 and 1. Where many rows share one value
        several cuts may fall together, and are then one.
    ratio
        Rows of every range as a share of the largest, in (0, 1]; 1 when absent.

    Raises
    ------
    ResampleError
        No number, all cuts outside its values, or a range of one row that is to grow.
    InputError
        Quantiles that are not between 0 and 1 and ascending, or a ratio outside (0, 1] or that would need removal.
    """
    cuts = check_quantiles(quantiles)
    if not _is_number(numbers):
        raise ResampleError(f"column {name!r} has the dtype {numbers.dtype}, expected numbers to cut at quantiles")
    values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    present = np.sort(values[np.isfinite(values)])
    if not len(present):
        raise ResampleError(f"column {name!r} has no numbers")
    # Borders are values that occur: the smallest that at least this share of the rows does not exceed.
    places = [min(len(present) - 1, max(0, math.ceil(cut * len(present)) - 1)) for cut in cuts]
    borders = np.unique(present[places])
    borders = borders[borders < present[-1]]
    if not len(borders):
        raise ResampleError(
            f"column {name!r} is not cut into ranges by the quantiles {', '.join(f'{cut:g}' for cut in cuts)}",
            remedy="give others; most of its rows share one value, or there is a single value",
        )
    owner = np.where(np.isfinite(values), np.searchsorted(borders, values, side="left"), -1)
    sizes = np.bincount(owner[owner >= 0], minlength=len(borders) + 1)
    if ratio is not None:
        if not 0.0 < ratio <= 1.0:
            raise InputError(f"the ratio is {ratio!r}, expected more than 0 and at most 1")
        _check_ratio(sizes, ratio, name)
    wanted = math.ceil((1.0 if ratio is None else ratio) * int(sizes.max()))
    groups = []
    for code, size in enumerate(sizes):
        rows = np.flatnonzero(owner == code).astype(np.int64)
        low, high = numbers.iloc[rows].min(), numbers.iloc[rows].max()
        ends = tuple(end.item() if isinstance(end, np.generic) else end for end in (low, high))
        groups.append(_grown(Group(f"{ends[0]:g} to {ends[1]:g}", ends, rows, max(0, wanted - int(size))), name))
    return groups


def check_quantiles(quantiles: Sequence[float]) -> tuple[float, ...]:
    """Return quantiles as plain numbers.

    Raises
    ------
    InputError
        None, or some that are not between 0 and 1 and ascending.
    """
    cuts = tuple(float(cut) for cut in quantiles)
    if not cuts or not all(0.0 < cut < 1.0 for cut in cuts) or any(above <= below for below, above in pairwise(cuts)):
        shown = ", ".join(str(cut) for cut in quantiles)
        raise InputError(
            f"the quantiles are {shown or 'none'}, expected ascending numbers between 0 and 1", remedy="give 0.1, 0.9"
        )
    return cuts


def _is_number(series: pd.Series[Any]) -> bool:
    kind = series.dtype
    return bool(pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind))


def _checked(count: Any, labels: pd.Series[Any], name: str, **options: Any) -> dict[Any, int]:
    """What `balance_counts` says, with errors that imbalanced-learn's users expect."""
    try:
        found: dict[Any, int] = count(labels, name, **options)
    except DataError as error:
        raise ResampleError(error.what, remedy=error.remedy) from None
    return found


def _check_ratio(sizes: npt.NDArray[np.int64], ratio: float, name: str) -> None:
    """Refuse a ratio that all classes exceed: it could be reached only by removing rows."""
    reached = sizes.min() / sizes.max()
    if math.ceil(ratio * int(sizes.max())) < sizes.min():
        raise InputError(
            f"the smallest part of column {name!r} has {reached:.3g} times the rows of the largest already, more than "
            f"the ratio {ratio:g} asked for",
            remedy="real rows are never removed: ask for a larger ratio",
        )


def _grown(group: Group, name: str) -> Group:
    if group.wanted and len(group.rows) < 2:
        raise ResampleError(
            f"class {group.name!r} of column {name!r} has one row, expected at least two to make others from",
            remedy="merge it with another class, leave its row out, or ask for counts of the other classes",
        )
    return group
