"""The risks of an audit as rows of a report: numbers with their controls, and what they say in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from synthkit.auditing.attack import AttackText, Family
from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.expression.attacks import EXPRESSION_ATTACKS
from synthkit.auditing.records import DESCRIPTIVE, OUTCOMES, Estimate, Outcome, Risk
from synthkit.auditing.report import words
from synthkit.auditing.report.figure import Strip, axis_of, strip
from synthkit.auditing.result import Audit
from synthkit.auditing.scans.attacks import SCAN_ATTACKS
from synthkit.evaluation.report.contents import DASH, Table, percent, shown

Kind = Literal["area", "found", "excess", "share"]
_BEYOND_CONTROL = ("singling out", "linkability", "attribute")


@dataclass(frozen=True)
class RiskRow:
    """A risk with everything that is printed beside it."""

    risk: Risk
    title: str
    outcome: Outcome
    measure: str
    value: str
    interval: str
    baseline: str
    positive: str
    negative: str
    n: str
    words: str
    picture: Strip | None
    ends: tuple[str, str]


@dataclass(frozen=True)
class RiskGroup:
    """The risks that answer one question, the worst outcome first."""

    family: str
    title: str
    whose: str
    question: str
    rows: tuple[RiskRow, ...]


def attack_of(risk: Risk) -> AttackText | None:
    """Return the description of the attack that found a risk, or None where it is not registered."""
    return _registered().get(risk.attack)


def titled(risk: Risk) -> str:
    """Return what readers call a risk: the title of the attack, and its subject."""
    attack = attack_of(risk)
    title = capital(attack.title) if attack is not None else risk.attack
    return f"{title}: {risk.subject}" if risk.subject else title


def capital(text: str) -> str:
    """Return a text with a capital letter at its start."""
    return text[:1].upper() + text[1:]


def kind_of(risk: Risk, name: str, estimate: Estimate) -> Kind:
    """Return what a measure is, which follows from its name, its baseline and the family of the attack."""
    attack = attack_of(risk)
    family = attack.family if attack is not None else None
    if "auc" in name.lower() or (family == "membership" and estimate.baseline == 0.5):
        return "area"
    if family == "membership" and 0 < estimate.baseline < 0.5:
        return "found"
    if family in _BEYOND_CONTROL and estimate.baseline == 0:
        return "excess"
    return "share"


def first_kind(risk: Risk) -> Kind:
    """Return what the first measure of a risk is."""
    return kind_of(risk, next(iter(risk.estimates), ""), risk.headline)


def value_text(kind: Kind, value: float) -> str:
    """Return a measure as readers see it: an area as a number, all else in per cent."""
    return shown(value) if kind == "area" else percent(value)


def interval_text(kind: Kind, estimate: Estimate) -> str:
    """Return the two ends of an interval, or a dash."""
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return DASH
    return f"{value_text(kind, estimate.low)} to {value_text(kind, estimate.high)}"


def groups(audit: Audit, families: Mapping[Family, tuple[str, str, str]] = words.GROUPS) -> list[RiskGroup]:
    """Return the risks of attacks that ran, group by group in the order of WP216, then what else is asked.

    Parameters
    ----------
    audit
        What was found.
    families
        Title of each family, whose word it is, and its question.
    """
    found = []
    for family, (title, whose, question) in [*families.items(), ("other", words.OTHER_GROUP)]:
        risks = [risk for risk in audit.risks.values() if _family(risk) == family and _ran(risk)]
        if risks:
            found.append(RiskGroup(family, title, whose, question, _rows(risks)))
    return found


def not_tested(audit: Audit) -> list[tuple[str, str]]:
    """Return the attacks that did not run, and those without a number, with the reason."""
    return [(titled(risk), risk.note or "No reason is given.") for risk in audit.risks.values() if not _ran(risk)]


def not_asked(audit: Audit) -> list[str]:
    """Return titles of registered attacks of which the audit says nothing at all."""
    made = {risk.attack for risk in audit.risks.values()}
    return [attack.title for name, attack in ATTACKS.items() if name not in made]


@dataclass(frozen=True)
class Described:
    """An attack as it is described in a report.

    Attributes
    ----------
    group
        Title of its group.
    attack
        The attack.
    as_for
        Title of an attack above it with the very same measures, which are then not told again; else empty.
    """

    group: str
    attack: AttackText
    as_for: str = ""


def described(audit: Audit) -> list[Described]:
    """Return the attacks that the audit is about, in the order of the groups."""
    made = {risk.attack for risk in audit.risks.values()}
    found: list[Described] = []
    for family, (title, _, _) in words.GROUPS.items():
        for attack in (one for name, one in _registered().items() if name in made and one.family == family):
            alike = [one.attack for one in found if one.attack.measures == attack.measures and not one.as_for]
            found.append(Described(title, attack, capital(alike[0].title) if alike else ""))
    return found


def measures_table(audit: Audit) -> Table | None:
    """Return the measures of attacks that ran beside the first, or None where there are no others."""
    rows = []
    for group in groups(audit):
        for row in group.rows:
            for name, estimate in list(row.risk.estimates.items())[1:]:
                kind = kind_of(row.risk, name, estimate)
                compares = estimate.applies and not math.isnan(estimate.baseline) and name not in DESCRIPTIVE
                beyond = ("yes" if estimate.above else "no") if compares else DASH
                said = (value_text(kind, estimate.value), interval_text(kind, estimate), _expected(kind, estimate))
                rows.append((row.title, _spaced(name), *said, beyond, row.n))
    head = ("attack", "measure", "value", "interval", "without a leak", "beyond it", "targets")
    return Table("Further measures of the attacks that were made", head, tuple(rows), texts=(1,)) if rows else None


def risks_table(group: RiskGroup) -> Table:
    """Return the risks of a group as plain cells."""
    head = (
        "attack", "outcome", "measure", "value", "interval", "without a leak", "positive control", "negative control",
        "in words",
    )  # fmt: skip
    rows = tuple(
        (
            row.title,
            words.OUTCOME_WORDS[row.outcome],
            row.measure,
            row.value,
            row.interval,
            row.baseline,
            row.positive,
            row.negative,
            row.words,
        )
        for row in group.rows
    )
    return Table(f"{group.title} ({group.whose}). {group.question}", head, rows, texts=(1, 2, 8))


def _rows(risks: Sequence[Risk]) -> tuple[RiskRow, ...]:
    """One row each; risks with the same first measure and baseline share a scale."""
    alike: dict[tuple[str, Kind, str], list[Risk]] = {}
    for risk in risks:
        alike.setdefault(_scale(risk), []).append(risk)
    axes = {scale: axis_of(members) for scale, members in alike.items()}
    ordered = sorted(risks, key=lambda risk: OUTCOMES.index(risk.outcome))
    rows = []
    for risk in ordered:
        own, kind, axis = risk.headline, first_kind(risk), axes[_scale(risk)]
        ends = ("", "") if axis is None else (value_text(kind, axis.start), value_text(kind, axis.end))
        rows.append(
            RiskRow(
                risk=risk,
                title=titled(risk),
                outcome=risk.outcome,
                measure=_measure(risk),
                value=value_text(kind, own.value),
                interval=interval_text(kind, own),
                baseline=_expected(kind, own),
                positive=_control(kind, risk.positive),
                negative=_control(kind, risk.negative),
                n=f"{risk.n:,}" if risk.n else DASH,
                words=in_words(risk),
                picture=strip(risk, axis),
                ends=ends,
            )
        )
    return tuple(rows)


def in_words(risk: Risk) -> str:
    """Return what a risk says, in one sentence or a few."""
    own = risk.headline
    beyond = beside_the_first(risk)
    by = f" by {listed(beyond)}, not by its first measure" if beyond else ""
    parts = {
        "disclosure": f"The attack succeeds beyond chance{by}.",
        "no disclosure found": "The attack is not shown to do better than chance.",
        "inconclusive": "Nothing follows from this, neither way.",
        "not applicable": "It did not run.",
    }
    said = [parts[risk.outcome]]
    if own.applies and risk.outcome in ("disclosure", "no disclosure found"):
        said.append(_meaning(risk, next(iter(risk.estimates)), own))
        said += [_meaning(risk, name, risk.estimates[name]) for name in beyond]
    if risk.note:
        said.append(risk.note)
    return " ".join(said)


def beside_the_first(risk: Risk) -> list[str]:
    """Return the measures by which there is a disclosure where it is not by the first one."""
    if risk.outcome != "disclosure" or risk.headline.above:
        return []
    return [name for name, one in risk.estimates.items() if name not in DESCRIPTIVE and one.above]


def listed(names: Sequence[str]) -> str:
    """Return names of measures for a sentence."""
    return " and ".join(map(_spaced, names))


def _meaning(risk: Risk, name: str, own: Estimate) -> str:
    kind = kind_of(risk, name, own)
    value, high = percent(own.value), percent(own.high)
    least = f" ({high} at most)" if not math.isnan(own.high) else ""
    if kind == "area":
        return (
            f"Shown one record that was in the data and one that was not, it names the right one in {value} of cases"
            f"{least}; a coin does in 50 %."
        )
    if kind == "found":
        wrong = percent(own.baseline)
        return f"It finds {value}{least} of those who were in the data while it accuses {wrong} wrongly."
    if kind == "excess" and own.value <= 0:
        limit = f"; at most it gains {high} of what was left to gain" if own.high > 0 else ""
        return f"It succeeds no more often than the same attack on people who were not in the data{limit}."
    if kind == "excess":
        beyond = "Beyond the same attack on people who were not in the data"
        return f"{beyond} it gains {value}{least} of what was left to gain."
    without = "" if math.isnan(own.baseline) else f"; {percent(own.baseline)} without a leak"
    return f"{measured(risk, name)}: {value}{least}{without}."


def measured(risk: Risk, measure: str = "") -> str:
    """Return what a measure of a risk, the first unless named, is a share of, without a full stop."""
    attack, name = attack_of(risk), measure or next(iter(risk.estimates), "")
    text = attack.measures.get(name, "") if attack is not None else ""
    return capital(text.partition(". ")[0].rstrip(".")) or "It measures"


def _measure(risk: Risk) -> str:
    return _spaced(next(iter(risk.estimates), ""))


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _expected(kind: Kind, estimate: Estimate) -> str:
    return value_text(kind, estimate.baseline)


def _control(kind: Kind, control: Estimate | None) -> str:
    return value_text(kind, control.value) if control is not None else DASH


def _family(risk: Risk) -> str:
    attack = attack_of(risk)
    return attack.family if attack is not None and attack.family in words.GROUPS else "other"


def _ran(risk: Risk) -> bool:
    return risk.outcome != "not applicable"


def _scale(risk: Risk) -> tuple[str, Kind, str]:
    """What two risks must have in common to be drawn on one scale."""
    return next(iter(risk.estimates), ""), first_kind(risk), f"{risk.headline.baseline:.6g}"


def _registered() -> dict[str, AttackText]:
    return {**ATTACKS, **SCAN_ATTACKS, **EXPRESSION_ATTACKS}


def by_family(audit: Audit) -> Mapping[str, list[Risk]]:
    """Return the risks of each family, those that did not run too."""
    found: dict[str, list[Risk]] = {}
    for risk in audit.risks.values():
        found.setdefault(_family(risk), []).append(risk)
    return found
