"""What reports on scans and on cells have in common: the head, what attacks found, what follows, and signing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from synthkit.auditing.report import contents as common
from synthkit.auditing.report import risks
from synthkit.auditing.report.markdown import headed, tables
from synthkit.auditing.result import Audit
from synthkit.auditing.text import OUTCOME_WORDS, number, verdict_lines
from synthkit.evaluation.report.contents import Table
from synthkit.evaluation.report.markdown import item_lines, markdown, table_lines
from synthkit.html_table import bullets, page, paragraph, table
from synthkit.phrases import counted

_LINE = "________________"
_NAMED = 8


def page_values(audit: Audit, words: ModuleType) -> dict[str, Any]:
    """Return what the template ``released_audit.html.j2`` prints, but for facts, summary and scope.

    Parameters
    ----------
    audit
        What is reported.
    words
        What every report of this kind says.
    """
    promised = audit.guarantee
    return {
        "audit": audit,
        "words": words,
        "digest": common.digest(audit),
        "overall": common.overall(audit),
        "verdicts": common.sorted_verdicts(audit),
        "moods": common.MOODS,
        "inputs": common.inputs_table(audit),
        "origin_table": common.origin_table(audit),
        "guarantee": common.guarantee_lines(promised) if promised is not None else (),
        "guarantee_table": common.guarantee_table(promised) if promised is not None else None,
        "groups": risks.groups(audit, words.GROUPS),
        "measures": risks.measures_table(audit),
        "described": risks.described(audit),
        "not_tested": risks.not_tested(audit),
        "policy": common.policy_table(audit),
        "conditions": common.conditions(audit),
        "review": common.review_fields(audit),
    }


def outcome_lines(audit: Audit, words: ModuleType) -> list[tuple[str, str]]:
    """Return how many attacks ended how, what that means, and which these are."""
    lines = []
    for outcome, meaning in words.OUTCOMES_MEAN.items():
        found = [risks.titled(risk) for risk in audit.risks.values() if risk.outcome == outcome]
        if found:
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            told = f" These are: {'; '.join(found[:_NAMED])}{more}." if outcome != "not applicable" else ""
            head = f"{words.OUTCOME_WORDS[outcome]}: {len(found)} of {counted(len(audit.risks), 'result')}"
            lines.append((head, f"{meaning[:1].upper()}{meaning[1:]}.{told}"))
    return lines


def head_lines(
    audit: Audit, words: ModuleType, facts: Sequence[tuple[str, str]], summary: Sequence[tuple[str, str]]
) -> Iterator[str]:
    """Yield the title, the verdict and the summary as Markdown."""
    _, verdict, rests = common.overall(audit)
    yield from (f"# {words.TITLE}", "", f"**{words.CONFIDENTIAL}**", "")
    yield from (f"**{markdown(verdict)}.** {markdown(rests)}", "")
    yield from item_lines(f"{term}: {value}" for term, value in facts)
    yield from ("## Verdict", "")
    if audit.verdicts:
        rows = tuple(
            (words.GATE_WORDS[one.status], one.gate, one.sentence, one.reason) for one in common.sorted_verdicts(audit)
        )
        yield from table_lines(Table("Gates", ("status", "gate", "what was found", "reason"), rows, texts=(1, 2, 3)))
    else:
        yield from (words.NO_POLICY, "")
    yield from headed(summary)


def attack_lines(audit: Audit, words: ModuleType) -> Iterator[str]:
    """Yield what the attacks found and what they are as Markdown."""
    yield from ("## Risks: what attacks found", "", words.CONTROLS, "")
    for group in risks.groups(audit, words.GROUPS):
        yield from table_lines(risks.risks_table(group))
    yield from tables(risks.measures_table(audit))
    missing = risks.not_tested(audit)
    if missing:
        yield from table_lines(Table("Attacks that were not made", ("attack", "why"), tuple(missing), texts=(1,)))
    for one in risks.described(audit):
        attack = one.attack
        yield from (f"**{markdown(risks.capital(attack.title))}**", "")
        yield from item_lines(
            (
                f"Threat: {attack.threat}",
                f"How to read it: {attack.reading}",
                f"Misleads: {attack.lies}",
                f"Source: {attack.source}",
            )
        )


def closing_lines(audit: Audit, words: ModuleType, scope: Table) -> Iterator[str]:
    """Yield the guarantee, what no attack covers, scope, lineage and signatures as Markdown."""
    yield from ("## Guarantee", "")
    if audit.guarantee is None:
        yield from (words.NO_GUARANTEE, "")
    else:
        yield from item_lines(common.guarantee_lines(audit.guarantee))
        yield from tables(common.guarantee_table(audit.guarantee))
    yield from ("## What no attack here covers", "")
    yield from item_lines(words.NOT_COVERED)
    yield from ("## Scope and lineage", "")
    yield from tables(scope)
    yield from item_lines(audit.notes)
    yield from (f"Digest of this audit (SHA-256 of its JSON form): `{common.digest(audit)}`", "")
    yield from tables(common.inputs_table(audit), common.origin_table(audit))
    yield from ("## Recipients, review and sign-off", "")
    yield from tables(common.policy_table(audit))
    yield from item_lines(common.conditions(audit))
    yield from item_lines(f"{field}: {text or _LINE}" for field, text in common.review_fields(audit))
    yield from (f"- [ ] {decision}" for decision in words.DECISIONS)
    yield ""
    rows = tuple((who, *("" for _ in words.SIGNED)) for who in words.SIGNERS)
    yield from table_lines(Table("Signatures", ("", *words.SIGNED), rows))
    yield from ("## Tamper evidence", "")
    for line in words.TAMPER:
        yield from (line, "")


def notebook_page(audit: Audit, title: str, findings: Sequence[str], limits: Sequence[str]) -> str:
    """Return the page of an audit for a notebook: the verdict, what each attack found, and what that does not say.

    Parameters
    ----------
    audit
        What is shown.
    title
        Above it.
    findings
        Sentences on what was found.
    limits
        Sentences on what that does not say.
    """
    rows = table(
        ("attack", "measure", "value", "on copies", f"on held-out {audit.thing}s", "outcome"),
        [
            (
                risks.titled(risk),
                next(iter(risk.estimates), ""),
                number(risk.headline.value),
                "" if risk.positive is None else number(risk.positive.value),
                "" if risk.negative is None else number(risk.negative.value),
                OUTCOME_WORDS[risk.outcome],
            )
            for risk in audit.risks.values()
        ],
        numbers=(2, 3, 4),
        most=None,
    )
    return page(
        title,
        *(paragraph(line.strip()) for line in verdict_lines(audit)[:1]),
        rows,
        bullets(list(findings)),
        *(paragraph(limit, dim=True) for limit in limits),
    )
