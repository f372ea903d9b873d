"""What all membership attacks share: their measures, the columns as they see them, and when they cannot be made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synthkit.auditing.case import AuditCase
from synthkit.auditing.coding import jointly_coded
from synthkit.auditing.intervals import auc_estimate, true_positive_estimate
from synthkit.auditing.records import Risk, not_applicable

Floats = npt.NDArray[np.float64]
Score = Callable[[AuditCase], Floats]
FEWEST = 20
"""Members, non-members, synthetic and reference rows that an attack needs of each."""
RATES = {"tpr@fpr1%": 0.01, "tpr@fpr0.1%": 0.001}
MEASURES: Mapping[str, str] = {
    "auc": "Probability that a member scores higher than a non-member, equal scores one half; 0.5 is guessing.",
    "tpr@fpr1%": "Share of members found when one non-member in a hundred is accused wrongly; 1 % is guessing.",
    "tpr@fpr0.1%": "Share of members found when one non-member in a thousand is accused wrongly; 0.1 % is guessing.",
}


@dataclass(frozen=True)
class Columns:
    """All columns as whole numbers that mean the same in each table.

    Numbers are coded by their rank among all values, categories by their labels; missing values are a value.

    Attributes
    ----------
    synthetic, reference, targets
        Codes, shape [columns, rows]; the targets are members, then non-members.
    snapped
        As `synthetic`, with each number moved to the nearest number of the reference rows and targets: noise that real
        numbers do not have is gone.
    sizes
        Number of codes of each column.
    numeric
        How many columns, which come first, hold numbers.
    """

    synthetic: npt.NDArray[np.int32]
    snapped: npt.NDArray[np.int32]
    reference: npt.NDArray[np.int32]
    targets: npt.NDArray[np.int32]
    sizes: tuple[int, ...]
    numeric: int


def columns_of(case: AuditCase) -> Columns:
    """Return the columns of a case, coded once for all attacks; at most `limits` rows of each table."""
    return case.share("membership columns", lambda: _columns(case))


def scores_of(case: AuditCase, name: str, score: Score) -> Floats:
    """Return the score of each target under an attack, computed once; higher scores accuse.

    Parameters
    ----------
    case
        The targets: members, then non-members.
    name
        Of the attack.
    score
        Computes them, shape [targets].
    """
    return case.share(f"scores: {name}", lambda: np.asarray(score(case), dtype=np.float64))


def membership_risk(
    case: AuditCase,
    name: str,
    score: Score,
    *,
    reference: bool = True,
    details: Callable[[AuditCase], Mapping[str, Any]] = lambda case: {},
) -> tuple[Risk, ...]:
    """Return how well an attack tells members from non-members.

    Parameters
    ----------
    case
        What is attacked.
    name
        Of the attack.
    score
        Scores the targets, shape [targets]; higher ones accuse.
    reference
        Whether the attack needs reference rows.
    details
        Further plain values to keep.
    """
    lack = _lack(case, reference)
    if lack:
        return (not_applicable(name, lack),)
    found = scores_of(case, name, score)
    members, nonmembers = found[case.is_member], found[~case.is_member]
    estimates = {"auc": auc_estimate(members, nonmembers, case.confidence)} | {
        measure: true_positive_estimate(members, nonmembers, rate, case.confidence) for measure, rate in RATES.items()
    }
    kept = {"advantage": advantage(members, nonmembers), **details(case)}
    return (Risk(name, estimates=estimates, n=len(found), note=_note(case), details=kept),)


def advantage(members: Floats, nonmembers: Floats) -> float:
    """Return the largest difference of true- and false-positive rate over all thresholds.

    Chance alone makes it positive: it is the statistic of Kolmogorov and Smirnov.

    Parameters
    ----------
    members, nonmembers
        Scores of the targets; higher ones accuse.

    References
    ----------
    Yeom et al. (2018), Privacy Risk in Machine Learning, CSF.
    """
    levels = np.unique(np.concatenate([members, nonmembers]))
    true, false = (1 - np.searchsorted(np.sort(x), levels, side="right") / len(x) for x in (members, nonmembers))
    # the highest level accuses nobody, so that the difference is at least 0
    return float((true - false).max())


def _columns(case: AuditCase) -> Columns:
    drawn = case.some("synthetic"), case.some("reference")
    tables = jointly_coded(case.view, *drawn, case.members, case.nonmembers)
    ends = np.cumsum([len(table) for table in tables])
    width = len(case.view.columns)
    codes = np.empty((width, int(ends[-1])), dtype=np.int32)
    snapped = np.empty((width, int(ends[0])), dtype=np.int32)
    numeric = len(case.view.numeric)
    for position in range(width):
        values = np.concatenate(
            [
                table.numbers[:, position] if position < numeric else table.codes[:, position - numeric]
                for table in tables
            ]
        )
        levels, codes[position] = np.unique(values, return_inverse=True)
        snapped[position] = codes[position, : ends[0]]
        if position < numeric:
            snapped[position] = _nearest_level(levels, codes[position, ends[0] :])[snapped[position]]
    sizes = tuple(int(column.max(initial=0)) + 1 for column in codes)
    synthetic, reference, targets = np.split(codes, ends[:2], axis=1)
    return Columns(synthetic, snapped, reference, targets, sizes, numeric)


def _nearest_level(levels: Floats, kept: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return for each level of a number the nearest one of those kept; a missing number stays so.

    Levels ascend, missing last; `kept` are positions of levels.
    """
    nearest = np.arange(len(levels))
    present = ~np.isnan(levels)
    targets = np.unique(kept)
    targets = targets[present[targets]]
    if len(targets) == 0:
        return nearest
    values, where = levels[targets], np.searchsorted(levels[targets], levels[present])
    below, above = np.maximum(where - 1, 0), np.minimum(where, len(targets) - 1)
    lower = levels[present] - values[below] <= values[above] - levels[present]
    # between two values that are equally far the smaller one; beyond either end the difference has the other sign
    lower = np.where(where == 0, False, np.where(where == len(targets), True, lower))
    nearest[present] = targets[np.where(lower, below, above)]
    return nearest


def _lack(case: AuditCase, reference: bool) -> str:
    """Return which rows are too few for the attack, as a sentence, or nothing."""
    counts = {"members": len(case.members), "non-members": len(case.nonmembers), "synthetic rows": len(case.synthetic)}
    if reference:
        counts["reference rows"] = len(case.reference)
    few = [f"{count} {kind}" for kind, count in counts.items() if count < FEWEST]
    if few:
        return f"The attack needs at least {FEWEST} rows of each kind, and there are only {' and '.join(few)}."
    if not case.view.columns:
        return "There is no column to look at."
    return ""


def _note(case: AuditCase) -> str:
    """Say at which false-positive rate the non-members are too few to find anybody for certain."""
    n = len(case.nonmembers)
    for rate in RATES.values():
        if n * rate < 1:
            return f"With {n:,} non-members a false-positive rate of {100 * rate:g} % means that none is accused."
    return ""
