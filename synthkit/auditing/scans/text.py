"""The readable form of an audit of scans for a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from synthkit.auditing.gate_words import plain_title
from synthkit.auditing.records import DESCRIPTIVE
from synthkit.auditing.scans.metadata import BURNED_IN
from synthkit.auditing.scans.metadata import NAME as METADATA
from synthkit.auditing.text import OUTCOME_WORDS, as_lines, attacks_table, percent, policy_line, verdict_lines

if TYPE_CHECKING:
    from rich.table import Table

    from synthkit.auditing.scans.result import ScanAudit

LIMITS = (
    "An attack that finds nothing shows that this attacker found nothing in these scans; others may. A bound for any"
    " attacker needs a privacy budget.",
    "This text tells of the real scans and is confidential; a report with pictures shows some of them.",
)


def scans_line(audit: ScanAudit) -> str:
    """Return how many scans were looked at."""
    rows = audit.rows
    return (
        f"{rows.get('synthetic', 0):,} synthetic scans made from {rows.get('real', 0):,} real scans"
        f" ({rows.get('held-out', 0):,} held out)"
    )


def audit_text(audit: ScanAudit) -> str:
    """Return one line: the scans, how many attacks found something, and whether the policy is met."""
    made = sum(risk.outcome != "not applicable" for risk in audit.risks.values())
    return (
        f"ScanAudit({scans_line(audit)}; {len(audit.disclosures)} of {made} attacks found a disclosure;"
        f" {policy_line(audit)})"
    )


def as_text(audit: ScanAudit, *, width: int) -> str:
    """Return the findings, the verdicts and the notes as text without colours.

    Parameters
    ----------
    audit
        What was found.
    width
        Width of the text in characters.
    """
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True, highlight=False).print(as_table(audit))
    blocks = (
        verdict_lines(audit),
        [f"- {line}" for line in findings(audit)],
        [f"Note: {note}" for note in audit.notes],
        list(LIMITS),
    )
    return as_lines(stream.getvalue(), blocks, width)


def as_table(audit: ScanAudit) -> Table:
    """Return the first measure of each attack as a rich table: value, interval, controls, outcome."""
    return attacks_table(audit, f"Audit of {scans_line(audit)}")


def findings(audit: ScanAudit) -> Iterator[str]:
    """Yield what a reader should take away, one sentence or two each."""
    leaks = audit.disclosures
    if leaks:
        yield f"Disclosure found by: {'; '.join(map(plain_title, leaks))}."
    elif any(risk.outcome == "no disclosure found" for risk in audit.risks.values()):
        yield "No attack that could be judged found a disclosure."
    else:
        yield "No attack could be judged: nothing is known about what these scans disclose."
    for name, risk in audit.risks.items():
        rate, control = risk.estimates.get("attack"), risk.estimates.get("control")
        if rate is not None and control is not None:
            yield (
                f"Copy rate ({name}): {percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)}) of the"
                f" synthetic scans are too near to a training scan; of the held-out scans {percent(control.value)}"
                f" ({percent(control.low)} to {percent(control.high)})."
            )
        beyond = [measure for measure, one in risk.estimates.items() if measure not in DESCRIPTIVE and one.above]
        if beyond and name != METADATA:
            yield f"{plain_title(risk)}: beyond chance by {', '.join(beyond)}."
        told = risk.note.replace(BURNED_IN, "").strip()
        if told and (risk.outcome in ("inconclusive", "not applicable") or name == METADATA):
            yield f"{plain_title(risk)}: {OUTCOME_WORDS[risk.outcome]}. {told}"
    if audit.metadata is not None and audit.metadata.unmarked:
        yield (f"{audit.metadata.unmarked:,} of {audit.metadata.files:,} files lack a mark of being synthetic.")
    found = audit.duplicates
    if found is not None:
        yield (
            f"Found twice: {found.training:,} training scans equal an earlier one; {found.exact:,} held-out scans equal"
            f" a training scan and {found.near:,} nearly do."
        )
    if audit.guarantee is None:
        yield "No guarantee was handed in: everything above is evidence, nothing is proved."
    if audit.metadata is not None:
        yield BURNED_IN
