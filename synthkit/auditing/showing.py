"""How an audit is shown: in one line, and as a page for a notebook."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.gate_words import title_of
from synthkit.auditing.records import Estimate, Outcome
from synthkit.auditing.result import Audit, GateStatus
from synthkit.auditing.text import (
    LIMITS,
    OUTCOME_WORDS,
    findings,
    number,
    policy_line,
    rows_line,
    signing_lines,
    verdicts_of,
)
from synthkit.html_table import Html, bullets, folded, page, paragraph, table, verdict

_KINDS: dict[GateStatus, Literal["good", "bad", "unsure"]] = {"not met": "bad", "not tested": "unsure", "met": "good"}
# An attack that finds nothing is no good mark: others may find something.
_OUTCOMES: dict[Outcome, Literal["bad", "unsure"]] = {"disclosure": "bad", "inconclusive": "unsure"}


def audit_text(audit: Audit) -> str:
    """Return one line: the rows, how many attacks found something, and whether the policy is met."""
    made = sum(risk.outcome != "not applicable" for risk in audit.risks.values())
    found = f"{len(audit.disclosures)} of {made} attacks found a disclosure"
    return f"Audit({rows_line(audit)}; {found}; {policy_line(audit)})"


def audit_html(audit: Audit) -> str:
    """Return the page of an audit: the verdict, what each attack found, and what that does not say.

    The most exposed records are real ones, and are not shown.
    """
    rows = table(
        ("attack", "measure (chance)", "value", "interval", "on copies", "on held-out rows", "outcome"),
        list(_by_family(audit)),
        numbers=(2, 3, 4, 5),
        most=None,
    )
    lines = [line.removeprefix("- ") for line in findings(audit)]
    return page(
        f"Audit of {rows_line(audit)}",
        _verdicts(audit),
        rows,
        bullets(lines),
        *(paragraph(f"Note: {note}", dim=True) for note in audit.notes),
        *(paragraph(limit, dim=True) for limit in LIMITS),
    )


def _verdicts(audit: Audit) -> Html:
    """Return whether the policy is met, what is not met, and the other gates folded."""
    line = policy_line(audit)
    if not audit.verdicts:
        return paragraph(line, dim=True)
    rows = [(verdict(one.status, _KINDS[one.status]), one.gate, one.sentence) for one in verdicts_of(audit)]
    failed = len(audit.failed)
    parts = [paragraph(verdict(line, "bad" if failed else "good"))]
    if rows[:failed]:
        parts.append(table((), rows[:failed], most=None))
    if rows[failed:]:
        parts.append(folded("the gates that are met, or not tested", table((), rows[failed:], most=None)))
    return Html("".join([*parts, *(paragraph(line) for line in signing_lines(audit))]))


def _by_family(audit: Audit) -> Iterator[tuple[object, ...] | str]:
    """Yield the first measure of each attack, with the family of the attacks before the first of each."""
    family = None
    for risk in audit.risks.values():
        own = ATTACKS[risk.attack].family if risk.attack in ATTACKS else "other"
        if own != family:
            family = own
            yield own
        headline, outcome = risk.headline, risk.outcome
        told = OUTCOME_WORDS[outcome]
        yield (
            title_of(risk),
            f"{next(iter(risk.estimates))} ({headline.baseline:g})" if headline.applies else "",
            number(headline.value),
            "" if math.isnan(headline.low) else f"{number(headline.low)} to {number(headline.high)}",
            _control(risk.positive),
            _control(risk.negative),
            verdict(told, _OUTCOMES[outcome]) if outcome in _OUTCOMES else told,
        )


def _control(estimate: Estimate | None) -> str:
    return "" if estimate is None else number(estimate.value)
