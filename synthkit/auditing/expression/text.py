"""The readable form of an audit of cells for a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from synthkit.auditing.expression.metadata import NAME as METADATA
from synthkit.auditing.expression.metadata import NOT_READ
from synthkit.auditing.gate_words import described_attacks, plain_title
from synthkit.auditing.records import DESCRIPTIVE
from synthkit.auditing.text import OUTCOME_WORDS, as_lines, attacks_table, number, percent, policy_line, verdict_lines
from synthkit.phrases import counted

if TYPE_CHECKING:
    from synthkit.auditing.expression.result import ExpressionAuditResult, PlantedCopies

LIMITS = (
    "An attack that finds nothing shows that this attacker found nothing in these cells; others may. A bound for any"
    " attacker needs a privacy budget.",
    "This text tells of the real cells and is confidential.",
)
_MOST_TYPES = 5


def cells_line(audit: ExpressionAuditResult) -> str:
    """Return how many cells were looked at."""
    rows = audit.rows
    return (
        f"{rows.get('synthetic', 0):,} synthetic cells made from {rows.get('real', 0):,} real cells"
        f" ({rows.get('held-out', 0):,} held out)"
    )


def audit_text(audit: ExpressionAuditResult) -> str:
    """Return one line: the cells, how many attacks found something, and whether the policy is met."""
    made = sum(risk.outcome != "not applicable" for risk in audit.risks.values())
    return (
        f"ExpressionAuditResult({cells_line(audit)}; {len(audit.disclosures)} of {made} attacks found a disclosure;"
        f" {policy_line(audit)})"
    )


def as_text(audit: ExpressionAuditResult, *, width: int) -> str:
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
    table = attacks_table(audit, f"Audit of {cells_line(audit)}")
    Console(file=stream, width=width, no_color=True, highlight=False).print(table)
    blocks = (
        verdict_lines(audit),
        [f"- {line}" for line in findings(audit)],
        [f"Note: {note}" for note in audit.notes],
        list(LIMITS),
    )
    return as_lines(stream.getvalue(), blocks, width)


def findings(audit: ExpressionAuditResult) -> Iterator[str]:
    """Yield what a reader should take away, one sentence or two each."""
    leaks = audit.disclosures
    if leaks:
        yield f"Disclosure found by: {'; '.join(map(plain_title, leaks))}."
    elif any(risk.outcome == "no disclosure found" for risk in audit.risks.values()):
        yield "No attack that could be judged found a disclosure."
    else:
        yield "No attack could be judged: nothing is known about what these cells disclose."
    yield from rates(audit)
    yield from (f"{line}" for line in worst_attack(audit))
    for risk in audit.risks.values():
        beyond = [measure for measure, one in risk.estimates.items() if measure not in DESCRIPTIVE and one.above]
        if beyond and risk.attack != METADATA:
            yield f"{plain_title(risk)}: beyond chance by {', '.join(beyond)}."
        told = risk.note.replace(NOT_READ, "").strip()
        if told and (risk.outcome in ("inconclusive", "not applicable") or risk.attack == METADATA):
            yield f"{plain_title(risk)}: {OUTCOME_WORDS[risk.outcome]}. {told}"
    exposed = [one for one in audit.types if one.exposed]
    if exposed:
        named = ", ".join(
            f"{one.label} ({counted(one.training, 'training cell')}, AUC {number(one.auc.low)} to"
            f" {number(one.auc.high)})"
            for one in exposed[:_MOST_TYPES]
        )
        more = f" and {len(exposed) - _MOST_TYPES} more" if len(exposed) > _MOST_TYPES else ""
        yield f"Types whose training cells are told from held-out ones: {named}{more}."
    yield from map(planted_line, audit.planted)
    found = audit.duplicates
    if found is not None:
        yield (
            f"Found twice: {found.released:,} synthetic cells equal a training cell, {found.training:,} training cells"
            f" equal an earlier one, {found.exact:,} held-out cells equal a training cell."
        )
    if audit.guarantee is None:
        yield "No guarantee was handed in: everything above is evidence, nothing is proved."
    if audit.metadata is not None:
        if audit.metadata.unmarked:
            yield "The file does not say that its cells are synthetic."
        yield NOT_READ


def rates(audit: ExpressionAuditResult) -> Iterator[str]:
    """Yield the copy rate beside that of held-out cells, and the strictest of its measures."""
    risk = audit.risks.get("cell-copies")
    if risk is None or "attack" not in risk.estimates:
        return
    rate, control, nearest = (risk.estimates[name] for name in ("attack", "control", "excess@nearest"))
    yield (
        f"Copy rate: {percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)}) of the training cells have a"
        f" synthetic cell too near; of the held-out cells {percent(control.value)} ({percent(control.low)} to"
        f" {percent(control.high)}). Nearer to the release than any held-out cell, beyond chance:"
        f" {percent(nearest.value)} ({percent(nearest.low)} to {percent(nearest.high)})."
    )


def worst_attack(audit: ExpressionAuditResult) -> Iterator[str]:
    """Yield which attack on the membership of cells tells most, with an interval that holds for all of them."""
    areas = {name: risk.headline for name, risk in audit.risks.items() if _is_on_cells(name) and risk.headline.applies}
    if areas:
        name = max(areas, key=lambda one: areas[one].value)
        own = areas[name]
        yield (
            f"Worst attack on membership: {described_attacks()[name].title}, AUC {number(own.value)}"
            f" ({number(own.low)} to {number(own.high)}, widened for all attacks on membership together)."
        )


def planted_line(one: PlantedCopies) -> str:
    """Return what the audit would have found, as a sentence."""
    said = (
        f"If copies of {percent(one.share)} of the training cells ({one.cells:,}) were in this release, sequenced again"
    )
    if not one.found_by:
        return f"{said}, this audit would NOT find them: it needs more cells to say something."
    titles = [described_attacks()[name].title for name in one.found_by]
    return f"{said}, this audit finds them, by: {'; '.join(titles)}."


def _is_on_cells(name: str) -> bool:
    attack = described_attacks().get(name)
    return attack is not None and attack.family == "membership" and name.startswith("cell-")
