"""The readable form of an audit for a terminal: the verdict, what each attack found, and what that does not say."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from synthkit.auditing.attacks import ATTACKS
from synthkit.auditing.gate_words import plain_title
from synthkit.auditing.policy import Policy
from synthkit.auditing.records import DESCRIPTIVE, Estimate, Outcome, Risk
from synthkit.auditing.result import Audit, GateStatus, GateVerdict
from synthkit.visible import one_line, visible

if TYPE_CHECKING:
    from rich.table import Table

_STATUSES: tuple[GateStatus, ...] = ("not met", "not tested", "met")
_STATUS = len("not tested")
_MOST_GROUPS = 3
OUTCOME_WORDS: dict[Outcome, str] = {
    "disclosure": "DISCLOSURE",
    "no disclosure found": "none found",
    "inconclusive": "inconclusive",
    "not applicable": "not made",
}
LIMITS = (
    "An attack that finds nothing shows that this attacker found nothing in this table; others may. A bound for any"
    " attacker needs a privacy budget.",
    "This text tells of the real table and is confidential.",
)


def as_text(audit: Audit, *, width: int) -> str:
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
    console = Console(file=stream, width=width, no_color=True, highlight=False)
    console.print(as_table(audit))
    blocks = (verdict_lines(audit), list(findings(audit)), [f"Note: {note}" for note in audit.notes], list(LIMITS))
    return as_lines(stream.getvalue(), blocks, width)


def as_lines(table: str, blocks: Sequence[Sequence[str]], width: int) -> str:
    """Return a table and blocks of lines below it as one text, wrapped.

    Parameters
    ----------
    table
        As rich printed it.
    blocks
        Lines that stand together.
    width
        Width of the text in characters.
    """
    text = [line.rstrip() for line in table.splitlines()]
    for block in blocks:
        if block:
            text.append("")
        for line in block:
            text += _wrapped(line, width)
    squeezed = [line for position, line in enumerate(text) if line or (position and text[position - 1])]
    return visible("\n".join(squeezed)) + "\n"


def as_table(audit: Audit) -> Table:
    """Return the first measure of each attack as a rich table: value, interval, baseline, controls, outcome."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=f"Audit of {rows_line(audit)}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("attack", overflow="fold")
    table.add_column("measure\n(chance)", no_wrap=True)
    for heading in ("value", "interval", "on\ncopies", "on held-\nout rows"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    family = None
    for risk in audit.risks.values():
        own = _family(risk)
        if family is not None and own != family:
            table.add_section()
        family = own
        headline = risk.headline
        measure = f"{next(iter(risk.estimates))} ({headline.baseline:g})" if headline.applies else ""
        table.add_row(
            escape(one_line(plain_title(risk))),
            escape(measure),
            number(headline.value),
            f"{number(headline.low)} to {number(headline.high)}" if not math.isnan(headline.low) else "",
            _control(risk.positive),
            _control(risk.negative),
            OUTCOME_WORDS[risk.outcome],
        )
    return table


def attacks_table(audit: Audit, title: str) -> Table:
    """Return the first measure of each attack as a rich table without baselines: value, interval, controls, outcome.

    Parameters
    ----------
    audit
        Of scans or of cells.
    title
        Above the table.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
        collapse_padding=True,
    )  # fmt: skip
    table.add_column("attack", overflow="fold")
    table.add_column("measure", no_wrap=True)
    for heading in ("value", "interval", "on\ncopies", f"on held-\nout {audit.thing}s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    for risk in audit.risks.values():
        own = risk.headline
        table.add_row(
            escape(one_line(plain_title(risk))),
            next(iter(risk.estimates), ""),
            number(own.value),
            f"{number(own.low)} to {number(own.high)}" if own.applies else "",
            number(risk.positive.value) if risk.positive is not None else "",
            number(risk.negative.value) if risk.negative is not None else "",
            OUTCOME_WORDS[risk.outcome],
        )
    return table


def rows_line(audit: Audit) -> str:
    """Return how many rows were looked at."""
    rows = audit.rows
    return (
        f"{rows.get('synthetic', 0):,} synthetic rows made from {rows.get('real', 0):,} real rows"
        f" ({rows.get('held-out', 0):,} held out)"
    )


def policy_line(audit: Audit) -> str:
    """Return whether the policy is met."""
    if audit.policy is None:
        return "No policy: these are findings without a verdict."
    failed, total = len(audit.failed), len(audit.verdicts)
    untested = sum(verdict.status == "not tested" for verdict in audit.verdicts)
    beside = f" ({untested} not tested, which the policy lets pass)" if untested else ""
    if not total:
        said = "it has no gate, so this is no verdict"
    elif failed:
        said = f"{failed} of {total} gates not met{beside}"
    else:
        said = f"all {total} gates met" if not untested else f"{total - untested} of {total} gates met{beside}"
    return f"Policy {str(audit.policy['name'])!r}: {said}"


def verdicts_of(audit: Audit) -> list[GateVerdict]:
    """Return the verdicts of the policy, those that are not met first."""
    return sorted(audit.verdicts, key=lambda verdict: _STATUSES.index(verdict.status))


def verdict_lines(audit: Audit) -> list[str]:
    """Return whether the policy is met and each gate on a line of its own, those that are not met first."""
    gates = [f"{found.status:>{_STATUS}}  {found.gate}: {found.sentence}" for found in verdicts_of(audit)]
    return [policy_line(audit), *gates, *signing_lines(audit)]


def signing_lines(audit: Audit) -> list[str]:
    """Return who has to sign and until when the audit counts."""
    if audit.policy is None:
        return []
    policy = Policy.model_validate(audit.policy)
    lines = []
    if policy.reviewer:
        lines.append(f"To be signed by: {policy.reviewer}.")
    expires = policy.expires(audit.created)
    if expires is not None:
        lines.append(f"Counts until {expires}, and no longer than the release, the model and the policy stay the same.")
    return lines


def findings(audit: Audit) -> Iterator[str]:
    """Yield what a reader should take away, one sentence or two each."""
    yield _summary(audit)
    for risk in audit.risks.values():
        if risk.outcome == "disclosure" and not risk.headline.above:
            told = OUTCOME_WORDS[risk.outcome]
            yield f"- {plain_title(risk)}: {told}, though not by the measure above: {_beyond(risk)}."
        elif risk.note and risk.outcome in ("inconclusive", "not applicable"):
            yield f"- {plain_title(risk)}: {OUTCOME_WORDS[risk.outcome]}. {risk.note}"
    exposure = audit.exposure
    if exposure is not None and exposure.groups:
        told = ", ".join(
            f"{group.label} ({group.by}: {group.records:,} records, AUC {group.low:.3f} to {group.high:.3f})"
            for group in exposure.groups[:_MOST_GROUPS]
        )
        chance = "" if any(group.low > 0.5 for group in exposure.groups) else ", none of them beyond chance (0.5)"
        yield f"- Most exposed groups{chance}: {told}."
    promised = audit.guarantee
    if promised is None:
        yield "- No guarantee was handed in: everything above is evidence, nothing is proved."
    else:
        held = {None: "was not checked, as the model was not given", True: "holds", False: "does NOT hold"}
        why = f" ({'; '.join(promised.reasons)})" if promised.reasons else ""
        yield (
            f"- Guarantee of {promised.source}: epsilon {promised.epsilon:.4g}, delta {promised.delta:.4g},"
            f" {promised.adjacency}, unit {promised.unit!r}; it {held[promised.holds]}{why}."
        )
    scores = [f"{name} {number(score.value)}" for name, score in audit.utility.items() if score.applies]
    if scores:
        yield f"- Usefulness: {', '.join(scores)}."
    if audit.left_out:
        yield "- No attack looked at: " + ", ".join(f"{name} ({why})" for name, why in audit.left_out.items()) + "."


def _summary(audit: Audit) -> str:
    """Return how many attacks ended how."""
    outcomes = [risk.outcome for risk in audit.risks.values()]
    made = [outcome for outcome in outcomes if outcome != "not applicable"]
    if not made:
        return "- No attack could be made: nothing is known about what this table discloses."
    leaks = audit.disclosures
    named = f" ({', '.join(plain_title(risk) for risk in leaks)})" if leaks else ""
    said = "1 attack was made" if len(made) == 1 else f"{len(made)} attacks were made"
    return (
        f"- {said}: {len(leaks)} found a disclosure{named},"
        f" {outcomes.count('no disclosure found')} found none, {outcomes.count('inconclusive')} inconclusive."
    )


def _beyond(risk: Risk) -> str:
    """Return the measures beside the first by which an attack succeeds, with their intervals."""
    told = [
        f"{name} {number(one.value)} ({number(one.low)} to {number(one.high)}), {one.baseline:g} by chance"
        for name, one in risk.estimates.items()
        if name not in DESCRIPTIVE and one.above
    ]
    return "; ".join(told) or "see its other measures"


def _wrapped(line: str, width: int) -> list[str]:
    """Return a line as lines that fit, with what follows a mark or a status below each other."""
    indent = 2 if line.startswith("- ") else _STATUS + 2 if line[:_STATUS].strip() in _STATUSES else 0
    kept = line.replace(" %", "\u00a0%")  # a number and its per cent sign stay on one line
    lines = textwrap.wrap(kept, width, subsequent_indent=" " * indent, break_on_hyphens=False)
    return [part.replace("\u00a0%", " %") for part in lines] or [""]


def _family(risk: Risk) -> str:
    return ATTACKS[risk.attack].family if risk.attack in ATTACKS else ""


def _control(estimate: Estimate | None) -> str:
    return "" if estimate is None else number(estimate.value)


def number(value: float) -> str:
    """Return a number with three decimals and a true minus sign, or a dash."""
    return "-" if math.isnan(value) else f"{round(value, 3) + 0.0:.3f}".replace("-", "−")


def percent(share: float) -> str:
    """Return a share in per cent."""
    return f"{100 * share + 0.0:.1f} %".replace("-", "−")
