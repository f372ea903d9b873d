"""Who is most exposed: in which groups of records the strongest membership attack finds members best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthkit.auditing.attacks.membership import SCORES, membership_scores
from synthkit.auditing.case import AuditCase
from synthkit.auditing.intervals import adjusted, auc_estimate
from synthkit.auditing.records import Risk
from synthkit.auditing.result import ExposedGroup, Exposure
from synthkit.errors import InputError

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

FEWEST = 20
"""Members and non-members that a group must have of each."""
MOST_GROUPS = 20
MOST_RECORDS = 20
MOST_EXPOSED = 0.01
"""Share of the members that count as most exposed."""
SCORE = "membership score"
_FIFTHS = ("commonest fifth", "second fifth", "middle fifth", "fourth fifth", "rarest fifth")
_MISSING = "missing"


@dataclass(frozen=True)
class _Group:
    by: str
    label: str
    inside: Marks  # of the targets, shape [targets]


def find_exposure(
    case: AuditCase,
    risks: Mapping[str, Risk],
    *,
    raw_rows: bool = False,
    original: pd.DataFrame | None = None,
) -> Exposure | None:
    """Return which groups of training records the strongest membership attack finds best.

    Parameters
    ----------
    case
        The case that was attacked.
    risks
        What was found; the membership attack with the largest lower end of its first measure ranks the records.
    raw_rows
        Whether the most exposed rows themselves are returned. They are real records.
    original
        The rows of `case.members` as they were given, in the same order, to return those.

    Returns
    -------
    Exposure or None
        Groups by rarity and by value of each quasi-identifier and sensitive column, the most exposed first, with an
        interval of the area under the curve within the group that is adjusted for the number of groups. None where no
        membership attack was made.

    Raises
    ------
    InputError
        If `original` has other rows than `case.members`.
    """
    if original is not None and len(original) != len(case.members):
        raise InputError(
            f"the original rows are {len(original):,}, expected one for each of {len(case.members):,} members",
            remedy="pass the rows of the members in their order, or none",
        )
    made = [risk for risk in risks.values() if risk.attack in SCORES and not math.isnan(risk.headline.low)]
    if not made:
        return None
    strongest = min(made, key=lambda risk: (-risk.headline.low, risk.attack))
    scores = membership_scores(case, strongest.attack)
    candidates = [group for group in _groups(case) if _large(group, case)]
    # the strongest attack was chosen by what it found, so that the intervals must hold whichever it is
    confidence = adjusted(case.confidence, len(candidates) * len(made))
    weights = exposed_weights(scores[case.is_member])
    found = [_exposed(group, case, scores, weights, confidence) for group in candidates]
    found.sort(key=lambda group: (-group.low, -group.auc, group.by, group.label))
    note = (
        "Score of each record among the training and held-out records of its group, so that 0.5 is guessing. The "
        f"intervals hold together for all {len(candidates)} groups with at least {FEWEST} training and {FEWEST} "
        "held-out records."
    )
    if not strongest.headline.above:
        note += " The attack does not succeed on all records together: the order of the records is that of chance."
    records = _records(case, scores, original) if raw_rows else ()
    return Exposure(strongest.attack, tuple(found[:MOST_GROUPS]), records, note)


def exposed_weights(scores: Floats) -> Floats:
    """Return how much of each member is among the most exposed hundredth.

    Parameters
    ----------
    scores
        Of the members; higher ones accuse, shape [members].

    Returns
    -------
    ndarray
        1 above the limit, 0 below; members that tie at the limit share what is left, so that their order does not
        matter. The sum is a hundredth of the members, rounded up.
    """
    most = math.ceil(MOST_EXPOSED * len(scores))
    limit = np.sort(scores)[-most]
    above, level = scores > limit, scores == limit
    return np.asarray(above + level * ((most - above.sum()) / level.sum()), dtype=np.float64)


def _exposed(group: _Group, case: AuditCase, scores: Floats, weights: Floats, confidence: float) -> ExposedGroup:
    members = group.inside[case.is_member]
    area = auc_estimate(scores[group.inside & case.is_member], scores[group.inside & ~case.is_member], confidence)
    return ExposedGroup(
        by=group.by,
        label=group.label,
        records=int(members.sum()),
        share_exposed=float(weights[members].mean()),
        auc=area.value,
        low=area.low,
        high=area.high,
    )


def _large(group: _Group, case: AuditCase) -> bool:
    members = group.inside & case.is_member
    return min(int(members.sum()), int((group.inside & ~case.is_member).sum())) >= FEWEST


def _groups(case: AuditCase) -> Iterator[_Group]:
    """Yield all groups of targets; they mean the same for members and non-members."""
    distances = case.to_reference().distances.mean(axis=1)
    fifth = np.searchsorted(np.quantile(distances, (0.2, 0.4, 0.6, 0.8)), distances, side="left")
    for number, label in enumerate(_FIFTHS):
        yield _Group("rarity", label, fifth == number)
    for name in dict.fromkeys((*case.quasi_identifiers, *case.sensitive)):
        if name in case.view.numeric:
            yield from _quarters(case, name)
        elif name in case.view.categorical:
            yield from _categories(case, name)


def _quarters(case: AuditCase, name: str) -> Iterator[_Group]:
    """Yield the quartiles of a number. Only the limits between them are told, never a smallest or largest value."""
    position = case.view.numeric.index(name)
    values = np.concatenate([rows.coded.numbers[:, position] for rows in (case.members, case.nonmembers)])
    missing = np.isnan(values)
    if missing.any():
        yield _Group(name, _MISSING, missing)
    if missing.all():
        return
    # limits that are values of the column, each once: a column with few values has fewer groups
    limits = np.unique(np.quantile(values[~missing], (0.25, 0.5, 0.75), method="lower"))
    limits = limits[limits < values[~missing].max()]
    quarter = np.where(missing, -1, np.searchsorted(limits, values, side="left"))
    texts = [_text(case, name, limit) for limit in limits]
    if not texts:
        yield _Group(name, "all values", ~missing)
        return
    yield _Group(name, f"at most {texts[0]}", quarter == 0)
    for number in range(1, len(texts)):
        yield _Group(name, f"above {texts[number - 1]}, at most {texts[number]}", quarter == number)
    yield _Group(name, f"above {texts[-1]}", quarter == len(texts))


def _categories(case: AuditCase, name: str) -> Iterator[_Group]:
    texts = np.concatenate([case.view.target(rows.frame, name) for rows in (case.members, case.nonmembers)])
    labels, place = np.unique(texts.astype(str), return_inverse=True)
    counts = np.bincount(place, minlength=len(labels))
    for number in np.flatnonzero(counts >= 2 * FEWEST):
        yield _Group(name, str(labels[number]), place == number)


def _text(case: AuditCase, name: str, value: float) -> str:
    """Return a limit of a number as text; dates as days."""
    if pd.api.types.is_datetime64_any_dtype(case.members.frame[name].dtype):
        return str(pd.Timestamp(int(value)).date())
    return f"{value:g}" if value != round(value) else f"{value:.0f}"


def _records(case: AuditCase, scores: Floats, original: pd.DataFrame | None) -> tuple[Mapping[str, Any], ...]:
    """Return the most exposed members themselves, with their score."""
    own = scores[case.is_member]
    frame = case.members.frame if original is None else original
    order = np.argsort(-own, kind="stable")[:MOST_RECORDS]
    return tuple(
        {SCORE: float(own[position])} | {str(name): _plain(frame[name].iloc[position]) for name in frame.columns}
        for position in order
    )


def _plain(value: Any) -> Any:
    """Return a cell as JSON can hold it."""
    if pd.isna(value):
        return None
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)
