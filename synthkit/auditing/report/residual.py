"""What is left: the most that an attacker of those tried could do, given the upper ends of all intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from synthkit.auditing.records import Estimate, Risk
from synthkit.auditing.report import words
from synthkit.auditing.report.risks import beside_the_first, by_family, kind_of, listed, measured, titled
from synthkit.auditing.result import Audit
from synthkit.evaluation.report.contents import percent
from synthkit.phrases import counted

_TOLD = ("disclosure", "no disclosure found")
_MOST = 6


def residual(audit: Audit) -> list[tuple[str, str]]:
    """Return for each group of attacks its title and the most that they could do, or that nothing bounds it.

    Parameters
    ----------
    audit
        Any audit.
    """
    found = by_family(audit)
    lines = []
    for family, (title, _, _) in [*words.GROUPS.items(), ("other", words.OTHER_GROUP)]:
        risks = found.get(family, [])
        if risks or family != "other":
            lines.append((title, _of_group(risks)))
    lines.append(("How sure", _how_sure(audit)))
    return lines


def _of_group(risks: Sequence[Risk]) -> str:
    told = [risk for risk in risks if risk.outcome in _TOLD]
    open_ones = [risk for risk in risks if risk.outcome not in _TOLD]
    if not told:
        why = "no attack of this kind was made" if not risks else "every one is inconclusive or could not run"
        return f"No bound: {why}. What an attacker can do here is unknown."
    said = [*_shown(told), *_areas(told), *_found(told), *_excess(told), *_shares(told)]
    if open_ones:
        names = "; ".join(titled(risk) for risk in open_ones[:_MOST])
        more = f" and {len(open_ones) - _MOST} more" if len(open_ones) > _MOST else ""
        said.append(f"No bound for {counted(len(open_ones), 'attack')} (inconclusive or not run): {names}{more}.")
    return " ".join(said)


def _shown(risks: Sequence[Risk]) -> list[str]:
    """What is no longer a risk but a finding: the attacks that succeeded, by whichever measure."""
    leaks = [risk for risk in risks if risk.outcome == "disclosure"]
    if not leaks:
        return []
    names = [f"{titled(risk)}{f' (by {listed(by)})' if (by := beside_the_first(risk)) else ''}" for risk in leaks]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return [f"Disclosure was found by {counted(len(leaks), 'attack')}: {'; '.join(names[:_MOST])}{more}."]


def _highest(risks: Sequence[Risk], kind: str, *, first: bool) -> list[tuple[float, Risk, Estimate]]:
    """Upper ends of the measures of a kind, the highest first."""
    ends = []
    for risk in risks:
        estimates = list(risk.estimates.items())[: 1 if first else None]
        ends += [
            (estimate.value if math.isnan(estimate.high) else estimate.high, risk, estimate)
            for name, estimate in estimates
            if estimate.applies and kind_of(risk, name, estimate) == kind
        ]
    return sorted(ends, key=lambda end: -end[0])


def _areas(risks: Sequence[Risk]) -> list[str]:
    for high, risk, _ in _highest(risks, "area", first=False)[:1]:
        return [
            f"Of two records, one of which was in the data, the best attack tried, {titled(risk)}, names the right one"
            f" in at most {percent(high)} of cases; a coin does in 50 %."
        ]
    return []


def _found(risks: Sequence[Risk]) -> list[str]:
    said = []
    ends = _highest(risks, "found", first=False)
    for rate in sorted({estimate.baseline for _, _, estimate in ends}, reverse=True):
        high, risk, _ = next(end for end in ends if end[2].baseline == rate)
        said.append(
            f"Accusing {percent(rate)} wrongly, the best one, {titled(risk)}, finds at most {percent(high)} of those"
            " who were in the data."
        )
    return said


def _excess(risks: Sequence[Risk]) -> list[str]:
    for high, risk, _ in _highest(risks, "excess", first=True)[:1]:
        return [
            f"Beyond what works on people who were not in the data, the best attack tried, {titled(risk)}, gains at"
            f" most {percent(high)} of what was left to gain."
        ]
    return []


def _shares(risks: Sequence[Risk]) -> list[str]:
    """The worst subject of each attack, furthest above what needs no leak."""
    ends = sorted(_highest(risks, "share", first=True), key=lambda end: _excess_of(end[0], end[2]))
    worst: dict[str, str] = {}
    for high, risk, estimate in ends:
        without = "" if math.isnan(estimate.baseline) else f", where {percent(estimate.baseline)} need no leak"
        worst.setdefault(risk.attack, f"{titled(risk)}. {measured(risk)}: at most {percent(high)}{without}.")
    return list(worst.values())[:_MOST]


def _excess_of(high: float, estimate: Estimate) -> float:
    """How far an upper end is above what needs no leak, negative so that the furthest comes first."""
    return -high if math.isnan(estimate.baseline) else estimate.baseline - high


def _how_sure(audit: Audit) -> str:
    return (
        f"These are the upper ends of intervals that hold together in each group with {percent(audit.confidence)}. They"
        " are averages over the targets, and bound the attacks that were made, with what they were given, and no"
        " others."
    )
