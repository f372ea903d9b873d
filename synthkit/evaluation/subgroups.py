"""Subgroups: whether the rows of each sex, region or age are as faithful as the table as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from synthkit.evaluation.case import Case
from synthkit.evaluation.distances import compare_numbers, cut, groups_of_both, inner_quantiles, shares_without_groups
from synthkit.evaluation.intervals import Floats, jackknife_interval
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.view import CodedTable, Codes, TableView

FEWEST_REAL = 50
FEWEST_SYNTHETIC = 10
# Of a column with more frequent values than this only the most frequent ones are subgroups.
MOST_SUBGROUPS = 50
_N_BINS = 4


@dataclass(frozen=True)
class Subgroup:
    """The rows with one value of a column.

    Attributes
    ----------
    name
        The column and the value, as "sex=Female" or "28<age<=37".
    column
        Position of the column in the view.
    real, synthetic
        Positions of the rows.
    """

    name: str
    column: int
    real: Codes
    synthetic: Codes


@dataclass(frozen=True)
class _Found:
    """A subgroup with its error on all rows, then without each jackknife group; empty with too few synthetic rows."""

    subgroup: Subgroup
    errors: Floats

    @property
    def error(self) -> float:
        return float(self.errors[0]) if len(self.errors) else math.nan


def subgroups(case: Case) -> Iterator[Subgroup]:
    """Yield the rows of each value, with at least 50 training rows, of the grouping columns of a case.

    Numbers and dates are cut at the real quartiles; missing values are a subgroup, too.
    """
    view, real, synthetic = case.view, case.train, case.synthetic
    for column in dict.fromkeys(case.groups):
        position = view.columns.index(column)
        if column in view.numeric:
            edges = inner_quantiles(real.coded.numbers[:, position], _N_BINS)
            bins = [cut(table.coded.numbers[:, position], edges) for table in (real, synthetic)]
            names = _ranges(column, edges, pd.api.types.is_datetime64_any_dtype(real.frame[column].dtype))
        else:
            bins = [table.coded.codes[:, position - len(view.numeric)] for table in (real, synthetic)]
            names = [f"{column}={label}" for label in view.labels[column]]
            gaps = np.flatnonzero(real.frame[column].isna())
            if len(gaps):
                names[int(bins[0][gaps[0]])] = f"{column}=missing"
        counts = np.bincount(bins[0], minlength=len(names))
        frequent = np.argsort(-counts, kind="stable")[:MOST_SUBGROUPS]
        for value in frequent[counts[frequent] >= FEWEST_REAL]:
            rows = [np.flatnonzero(side == value) for side in bins]
            yield Subgroup(names[value], position, rows[0], rows[1])


def shape_without_groups(
    view: TableView,
    real: CodedTable,
    synthetic: CodedTable,
    groups: tuple[Codes, Codes],
    n_groups: int,
    *,
    without: int | None = None,
) -> Floats:
    """Return the mean of `fidelity.shape_errors` on all rows, then without each jackknife group, shape [1 + groups].

    Parameters
    ----------
    view
        How columns are read.
    real, synthetic
        The rows.
    groups, n_groups
        Jackknife group of each row of either table, and their number; groups may be empty.
    without
        Position in the view of a column to leave out.
    """
    numeric = len(view.numeric)
    chosen = [position for position in range(len(view.columns)) if position != without]
    total = np.zeros(n_groups + 1)
    for position in chosen:
        if position < numeric:
            total += _numbers(real.numbers[:, position], synthetic.numbers[:, position], groups, n_groups)
            continue
        codes = [table.codes[:, position - numeric] for table in (real, synthetic)]
        size = int(max(codes[0].max(), codes[1].max())) + 1
        shares = (shares_without_groups(code, group, size, n_groups) for code, group in zip(codes, groups, strict=True))
        total += [np.abs(first - second).sum() / 2 for first, second in zip(*shares, strict=True)]
    return total / len(chosen)


def _numbers(real: Floats, synthetic: Floats, groups: tuple[Codes, Codes], n_groups: int) -> Floats:
    """Return the Kolmogorov-Smirnov statistic on all rows, then about that without each group."""
    compared = compare_numbers(real, synthetic, groups, n_groups)
    if compared is None:
        both_empty = bool(np.isnan(real).all() and np.isnan(synthetic).all())
        return np.full(n_groups + 1, 0.0 if both_empty else 1.0)
    largest = [np.abs(compared.difference).max(), *np.abs(compared.without_groups).max(axis=1)]
    return np.array(largest)


def subgroup_score(case: Case) -> Score:
    """Return the error of the margins in the worst subgroup, with a jackknife interval.

    A subgroup with fewer than 10 synthetic rows is left out with a note; one without any, where at least 10 were to be
    expected, has an error of 1.
    """
    n = len(case.synthetic)
    if len(case.view.columns) < 2:
        return Score(math.nan, n=n, note="there is no other column to compare")
    found = _shared(case)
    if not found:
        return Score(math.nan, n=n, note=f"no value of the grouping columns has {FEWEST_REAL} training rows")
    known = [entry for entry in found if len(entry.errors)]
    few = len(found) - len(known)
    said = f"{few} subgroup{' has' if few == 1 else 's have'} too few synthetic rows" if few else ""
    # What real held-out rows score in the same subgroup.
    real = case.ceiling("held-out") if case.role == "synthetic" else None
    ceilings = {entry.subgroup.name: entry.error for entry in _shared(real)} if real else {}
    details = {"groups": _details(found, ceilings)}
    if not known:
        return Score(math.nan, n=n, note=said, details=details)
    worst = np.max([entry.errors for entry in known], axis=0)
    low, high = jackknife_interval(float(worst[0]), worst[1:])
    name = max(known, key=lambda entry: entry.error).subgroup.name
    return Score(
        float(worst[0]),
        max(0.0, low),
        min(1.0, high),
        n=n,
        note=f"worst: {name}" + (f"; {said}" if said else ""),
        details=details,
    )


def _shared(case: Case) -> list[_Found]:
    """Return the errors of all subgroups of a case, computed once."""
    return case.share("subgroups", lambda: list(_errors(case)))


def _errors(case: Case) -> Iterator[_Found]:
    """Yield the errors of each subgroup."""
    real, synthetic = case.train.coded, case.synthetic.coded
    *groups, n_groups = groups_of_both(len(real), len(synthetic), case.generator())
    for subgroup in subgroups(case):
        expected = len(subgroup.real) / len(real) * len(synthetic)
        if len(subgroup.synthetic) >= FEWEST_SYNTHETIC:
            errors = shape_without_groups(
                case.view,
                real.take(subgroup.real),
                synthetic.take(subgroup.synthetic),
                (groups[0][subgroup.real], groups[1][subgroup.synthetic]),
                n_groups,
                without=subgroup.column,
            )
        elif len(subgroup.synthetic) == 0 and expected >= FEWEST_SYNTHETIC:
            errors = np.ones(n_groups + 1)
        else:
            errors = np.empty(0)
        yield _Found(subgroup, errors)


def _details(found: list[_Found], ceilings: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Return the error and the rows of each subgroup, worst first, those without an error last."""
    ordered = sorted(found, key=lambda entry: -entry.error if len(entry.errors) else math.inf)
    return {
        entry.subgroup.name: {
            "error": entry.error,
            "real rows": len(entry.subgroup.real),
            "synthetic rows": len(entry.subgroup.synthetic),
        }
        | ({"ceiling": ceilings[entry.subgroup.name]} if entry.subgroup.name in ceilings else {})
        for entry in ordered
    }


def _ranges(column: str, edges: Floats, dates: bool) -> list[str]:
    """Return the names of the bins of a number or a date."""
    texts = [str(pd.Timestamp(int(edge)).date()) if dates else f"{edge:.6g}" for edge in edges]
    if len(set(texts)) < len(texts):
        # Dates within a day, or numbers that are nearly equal.
        texts = [str(pd.Timestamp(int(edge)) if dates else float(edge)) for edge in edges]
    if not texts:
        return [column, f"{column}=missing"]
    inner = [f"{low}<{column}<={high}" for low, high in pairwise(texts)]
    return [f"{column}<={texts[0]}", *inner, f"{column}>{texts[-1]}", f"{column}=missing"]


METRICS = (
    Metric(
        name="subgroup_shape",
        theme="fidelity",
        title="shape error, worst subgroup",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.0,
        source="shape error within each value of the grouping columns",
        meaning="In the subgroup that fits worst single columns differ from the real ones by {percent} on average; "
        "{measure}.",
        reading="The shape error of all other columns among the rows with one value of a grouping column, real against "
        "synthetic; the score is that of the worst value. Numbers are cut at the real quartiles. Values with at least "
        "50 training rows count; one that the synthetic table lacks altogether has an error of 1.",
        lies="The fewer rows a subgroup has, the larger its error by chance alone, so that the worst one tends to be a "
        "small one: compare it with its own ceiling in the details, where held-out rows play the synthetic ones.",
        good="At most twice the ceiling, in every subgroup.",
        rows="every row; at most the 50 most frequent values of a column",
        needs=("groups",),
        compute=subgroup_score,
    ),
)
