"""Validity: whether the cells of the synthetic table could stand in the real one.

What is allowed is learned from the training rows alone. Honest held-out rows break it too, now and then, and the
ceiling says how often. Data Validity and Data Structure are those of SDMetrics' diagnostic report.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.evaluation.case import Marks, Rows
from synthkit.evaluation.intervals import NORMAL, Floats, groups_of, wilson_interval
from synthkit.evaluation.metric import Metric
from synthkit.evaluation.records import Score
from synthkit.evaluation.sdmetrics_scores import Side, by_column, label_counts, sides_of
from synthkit.evaluation.view import TableView

Groups = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint32]

# Columns of real numbers with more decimals than this are measurements whose decimals mean nothing.
MOST_DECIMALS = 6
REASONS = (
    "not a number",
    "not a date",
    "missing",
    "unknown category",
    "below the minimum",
    "above the maximum",
    "not a whole number",
)
_NOT_A_NUMBER, _NOT_A_DATE, _MISSING, _UNKNOWN, _BELOW, _ABOVE, _NOT_WHOLE = range(1, len(REASONS) + 1)
# Units in the last place by which a decimal number may be off.
_ROUNDING = 4


def learned_share(marks: Marks, doubts: Bits, n_groups: int) -> tuple[float, float, float]:
    """Return the share of marked rows and its interval, when what is marked was learned from real rows.

    Wilson's interval for as many rows as have the variance of both parts: the rows marked by chance (binomial), and the
    real rows learned from (jackknife over their groups).

    Parameters
    ----------
    marks
        Which rows break a rule, shape [rows].
    doubts
        Bit g tells whether the row would break a rule if the real rows of group g were not there, shape [rows].
    n_groups
        Number of groups of real rows.
    """
    share, n = float(marks.mean()), len(marks)
    unmarked = doubts[~marks]
    unmarked = unmarked[unmarked > 0]
    more = np.array([((unmarked >> np.uint32(group)) & 1).sum() / n for group in range(n_groups)])
    variance = (n_groups - 1) / n_groups * float(((more - more.mean()) ** 2).sum())
    # As after Agresti and Coull, so that a share of 0 has a variance too.
    typical = (share * n + NORMAL**2 / 2) / (n + NORMAL**2)
    return wilson_interval(share, 1 / (1 / n + variance / (typical * (1 - typical))))


def bits_of(groups: npt.NDArray[np.int64]) -> Bits:
    """Return groups as bits, none for -1."""
    return np.where(groups < 0, 0, 1 << np.maximum(groups, 0)).astype(np.uint32)


def only_group(codes: npt.NDArray[np.int64], groups: Groups, size: int) -> npt.NDArray[np.int64]:
    """Return for each code the one group that all of its rows belong to, -1 for none; shape [size]."""
    only = np.full(size, -1, dtype=np.int64)
    only[codes] = groups
    only[codes[only[codes] != groups]] = -1
    return only


def out_of_domain(view: TableView, real: Rows, synthetic: Rows, groups: Groups) -> Score:
    """Return the share of synthetic rows with a cell that the real column could not hold.

    Parameters
    ----------
    view
        How columns are read.
    real, synthetic
        The tables.
    groups
        Jackknife group of each real row.
    """
    marks, doubts = np.zeros(len(synthetic), dtype=bool), np.zeros(len(synthetic), dtype=np.uint32)
    columns = {}
    for name in view.columns:
        faults, only = _faults(view, real, synthetic, name, groups)
        marks |= faults > 0
        doubts |= bits_of(np.where(faults > 0, -1, only))
        counts = np.bincount(faults, minlength=len(REASONS) + 1)[1:]
        if counts.any():
            why = {reason: int(count) for reason, count in zip(REASONS, counts, strict=True) if count}
            columns[name] = {"cells": int(counts.sum()), "why": why}
    worst = dict(sorted(columns.items(), key=lambda item: -int(str(item[1]["cells"]))))
    value, low, high = learned_share(marks, doubts, int(groups.max()) + 1)
    return Score(value, low, high, n=len(marks), details={"rows": int(marks.sum()), "columns": worst})


def _faults(
    view: TableView, real: Rows, synthetic: Rows, name: str, groups: Groups
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Return the place of the fault of each cell in `REASONS`, from 1 on, 0 for none; and the only group it stands on.

    A cell stands on a group of real rows when it would be at fault without them; -1 when it stands on none or on many.
    """
    faults = np.zeros(len(synthetic), dtype=np.int8)
    only = np.full(len(synthetic), -1, dtype=np.int64)
    absent = real.frame[name].isna().to_numpy()
    unreadable = synthetic.unreadable.get(name, np.zeros(len(synthetic), dtype=bool))
    missing = synthetic.frame[name].isna().to_numpy() & ~unreadable
    present = ~missing & ~unreadable
    date = _is_date(real, name)
    if name in view.numeric:
        position = view.numeric.index(name)
        known, drawn = real.coded.numbers[:, position], synthetic.coded.numbers[:, position]
        if not date and (known[~absent] == np.floor(known[~absent])).all():
            faults[present & (drawn != np.floor(drawn))] = _NOT_WHOLE
        faults[drawn < known[~absent].min()] = _BELOW
        faults[drawn > known[~absent].max()] = _ABOVE
        parts = [known[(groups == group) & ~absent] for group in range(int(groups.max()) + 1)]
        for sign in (1, -1):
            least = np.array([(sign * part).min(initial=np.inf) for part in parts])
            only[present & (sign * drawn < np.partition(least, 1)[1])] = int(least.argmin())
    else:
        position = view.categorical.index(name)
        known_codes, codes = real.coded.codes[:, position], synthetic.coded.codes[:, position]
        n_labels = view.n_labels[position]
        faults[present & (codes >= n_labels)] = _UNKNOWN
        within = present & (codes < n_labels)
        only[within] = only_group(known_codes, groups, n_labels)[codes[within]]
    if absent.any():
        only[missing] = only_group(np.zeros(int(absent.sum()), dtype=np.int64), groups[absent], 1)[0]
    else:
        faults[missing] = _MISSING
    faults[unreadable] = _NOT_A_DATE if date else _NOT_A_NUMBER
    return faults, only


def _is_date(rows: Rows, name: str) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(rows.frame[name].dtype))


def decimals(values: Floats, precision: float = float(np.finfo(np.float64).eps)) -> int:
    """Return how many decimals the numbers have at most, `MOST_DECIMALS` + 1 for more than that many.

    Parameters
    ----------
    values
        Numbers, none missing.
    precision
        Relative precision in which they were stored.
    """
    for places in range(MOST_DECIMALS + 1):
        values = values[_has_more(values, places, precision)]
        if len(values) == 0:
            return places
    return MOST_DECIMALS + 1


def _has_more(values: Floats, places: int, precision: float) -> Marks:
    """Tell which numbers have more decimals than `places`; no binary fraction is exactly a decimal one."""
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(values - np.round(values, places)) > _ROUNDING * precision * np.abs(values)
    # Numbers beyond the precision of a float are whole, though their rounding overflows.
    more: Marks = off & (np.abs(values) * precision < 1)
    return more


def _precision(rows: Rows, name: str) -> float:
    kind = rows.frame[name].dtype
    stored = getattr(kind, "numpy_dtype", kind)
    return float(np.finfo(stored if isinstance(stored, np.dtype) and stored.kind == "f" else np.float64).eps)


def excess_decimals(view: TableView, real: Rows, synthetic: Rows) -> Score:
    """Return the share of synthetic numbers with more decimals than any real number of their column."""
    cells, excess = np.zeros(len(synthetic)), np.zeros(len(synthetic))
    columns = {}
    applies = False
    for position, name in enumerate(view.numeric):
        known = real.coded.numbers[:, position]
        places = decimals(known[~np.isnan(known)], _precision(real, name))
        if places > MOST_DECIMALS or _is_date(real, name):
            continue
        applies = True
        drawn = synthetic.coded.numbers[:, position]
        more = _has_more(drawn, places, _precision(synthetic, name))
        cells += ~np.isnan(drawn)
        excess += more
        if more.any():
            columns[name] = {"cells": int(more.sum()), "real decimals": places}
    n = len(synthetic)
    if not applies:
        return Score(float("nan"), n=n, note=f"no column holds numbers with at most {MOST_DECIMALS} decimals")
    if not cells.any():
        return Score(float("nan"), n=n, note="every number of the synthetic table is missing")
    worst = dict(sorted(columns.items(), key=lambda item: -item[1]["cells"]))
    return Score(*_ratio(excess, cells), n=n, details={"cells": int(excess.sum()), "columns": worst})


def _ratio(parts: Floats, wholes: Floats) -> tuple[float, float, float]:
    """Return the sum of parts over the sum of wholes and its interval, for independent rows.

    Wilson's interval for as many rows as have the variance of the ratio; all rows where the ratio is 0 or 1.
    """
    share = float(parts.sum() / wholes.sum())
    n = len(parts)
    residuals = (parts - share * wholes) / wholes.mean()
    variance = float(residuals.var()) / n
    return wilson_interval(share, share * (1 - share) / variance if 0 < share < 1 and variance > 0 else n)


def data_validity(real: Side, synthetic: Side) -> dict[str, Floats]:
    """Return BoundaryAdherence of each number or date and CategoryAdherence of each other column.

    Returns
    -------
    dict
        By column, the score on all rows, then without each group of either table; NaN where it is not computable.
    """
    scores = {name: _boundary_adherence(real, synthetic, name) for name in real.numeric}
    return scores | {name: _category_adherence(real, synthetic, name) for name in real.categorical}


def _boundary_adherence(real: Side, synthetic: Side, name: str) -> Floats:
    known, drawn = real.numbers(name), synthetic.numbers(name)

    def adherence(seen: Floats, judged: Floats) -> float:
        counted = len(judged) if not np.isnan(seen).any() else int((~np.isnan(judged)).sum())
        if counted == 0 or np.isnan(seen).all():
            return float("nan")
        return float(((judged >= np.nanmin(seen)) & (judged <= np.nanmax(seen))).sum() / counted)

    scores = [adherence(known, drawn)]
    if real.n_groups > 1:
        # What a group of real rows adds is its extremes and whether one is missing.
        parts = [known[start:stop] for start, stop in pairwise(real.bounds)]
        summaries = [_extremes(part) for part in parts]
        for group, (start, stop) in enumerate(pairwise(synthetic.bounds)):
            seen = np.concatenate(summaries[:group] + summaries[group + 1 :])
            scores.append(adherence(seen, np.concatenate([drawn[:start], drawn[stop:]])))
    return np.array(scores)


def _extremes(values: Floats) -> Floats:
    """Return the smallest and the largest number, and one missing if there is any."""
    missing = np.isnan(values)
    present = values[~missing]
    ends = [present.min(), present.max()] if len(present) else []
    return np.array([*ends, *([np.nan] if missing.any() else [])], dtype=np.float64)


def _category_adherence(real: Side, synthetic: Side, name: str) -> Floats:
    # Missing is a label like any other here: valid where the real column has it.
    return np.concatenate(
        [
            np.where(seen > 0, drawn, 0).sum(axis=1) / np.maximum(drawn.sum(axis=1), 1)
            for seen, drawn in label_counts(real, synthetic, name)
        ]
    )


def data_structure(real: pd.DataFrame, synthetic: pd.DataFrame) -> Score:
    """Return TableStructure: the share of (column, type) that both tables have among those that either has."""
    kinds = [{str(name): str(kind) for name, kind in frame.dtypes.items()} for frame in (real, synthetic)]
    both = set(kinds[0].items()) & set(kinds[1].items())
    value = len(both) / len(set(kinds[0].items()) | set(kinds[1].items()))
    others = {
        name: f"{kind} in the real table, {kinds[1].get(name, 'absent')} in the synthetic one"
        for name, kind in kinds[0].items()
        if kinds[1].get(name) != kind
    }
    return Score(value, value, value, n=len(synthetic), direction="higher", details={"columns": others})


_DIAGNOSTIC = "SDMetrics 0.32, DiagnosticReport"
METRICS = (
    Metric(
        name="out_of_domain",
        theme="validity",
        title="rows out of domain",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=None,
        source="synthkit",
        meaning="{percent} of synthetic rows hold a value that their column could not have.",
        reading="Share of synthetic rows with at least one cell that no training row could hold: a label that the "
        "column lacks, a number or date outside its extremes, a fraction among whole numbers, a missing value where "
        "none is missing, text among numbers. Rows and cells are counted exactly.",
        lies="A generator that repeats training rows scores 0. New labels and new extremes are not always wrong: in "
        "columns with many rare labels many honest rows are out of domain too, as the ceiling shows.",
        good="As the ceiling or below.",
        rows="every row",
        compute=lambda case: out_of_domain(
            case.view, case.train, case.synthetic, groups_of(len(case.train), case.generator())
        ),
    ),
    Metric(
        name="excess_decimals",
        theme="validity",
        title="excess decimals",
        direction="lower",
        bounds=(0.0, 1.0),
        ideal=0.0,
        source="synthkit",
        meaning="{percent} of synthetic numbers carry more decimals than any real one of their column.",
        reading="Share of synthetic numbers that are written with more decimals than any training number of the same "
        "column, over the columns whose training numbers have at most six.",
        lies="One real number with more decimals than the others allows as many everywhere. Numbers on another grid, "
        "such as prices that all end in 95, are not looked at.",
        good="0.",
        rows="every row",
        compute=lambda case: excess_decimals(case.view, case.train, case.synthetic),
    ),
    Metric(
        name="data_validity",
        theme="validity",
        title="Data Validity",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=1.0,
        source=_DIAGNOSTIC,
        meaning="{percent} of cells lie in the range or among the labels of the real column, as SDMetrics counts.",
        reading="SDMetrics' Data Validity: the share of cells between the smallest and the largest real value, or "
        "among the real labels, as a mean over the columns. A missing value is valid where the real column has one.",
        lies="One bad cell in every row of a table of 20 columns still scores 0.95; `out_of_domain` counts rows. Real "
        "held-out rows leave the range too, so compare with the ceiling.",
        good="As the ceiling or above.",
        rows="every row",
        compute=lambda case: by_column(data_validity(*sides_of(case)), case),
    ),
    Metric(
        name="data_structure",
        theme="validity",
        title="Data Structure",
        direction="higher",
        bounds=(0.0, 1.0),
        ideal=1.0,
        source=_DIAGNOSTIC,
        meaning="The columns and their types agree to {percent}, as SDMetrics counts.",
        reading="SDMetrics' Data Structure: of all pairs of column name and type that one of the tables has, the share "
        "that both have. It is no estimate, so its interval is the value itself.",
        lies="Types are those after reading. A column of whole numbers with a missing value has another type than one "
        "without, though nothing is wrong with either. A single column of another type counts twice.",
        good="1.",
        rows="every row",
        compute=lambda case: data_structure(case.train.frame, case.synthetic.frame),
    ),
)
